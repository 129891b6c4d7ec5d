"""A TCP proxy in front of Redis, which loses a reply or leads to another server when it is told to.

A lost reply: the work is done, and the client cannot know.
"""

import socket
import threading


class LossyProxy:
    """Forwards every connection; `lose_reply(n)` cuts the line in place of the n-th reply."""

    def __init__(self, target_port: int) -> None:
        """Listen on a free port of loopback."""
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._lock = threading.Lock()
        self._replies_left = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_reply(self, number: int) -> None:
        """Lose the n-th reply from now on, once."""
        with self._lock:
            self._replies_left = number

    def lead_to(self, port: int) -> None:
        """Take new connections there; open ones stay where they are."""
        self._target = ("127.0.0.1", port)

    @property
    def has_lost_it(self) -> bool:
        """Whether the reply came by and was lost."""
        return self._replies_left == 0

    def __enter__(self) -> "LossyProxy":
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            for source, sink, counts in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._forward, args=(source, sink, counts), daemon=True
                ).start()

    def _forward(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        try:
            while data := source.recv(65536):
                if counts and self._is_the_one():
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def _is_the_one(self) -> bool:
        with self._lock:
            if self._replies_left == 0:
                return False
            self._replies_left -= 1
            return self._replies_left == 0
