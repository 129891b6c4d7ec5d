"""HTTP as uvicorn speaks it, with bounds, and also to clients that would rather speak another one.

Whoever has no key yet can send a head (or trailers) without end or never end it: uvicorn would keep
all of it, and the connection, for ever.

Java's HttpClient offers HTTP/2 with every plain request. For httptools what follows such an offer
is the other protocol, so the body would be lost (uvicorn issue 2722); h11 reads it as HTTP.
"""

import asyncio

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: What h11 takes, too; most proxies pass on less.
MAX_HEAD_BYTES = 64 * 1024


class HttpProtocol(HttpToolsProtocol):
    """Leaves a connection with such an offer to h11; all others stay with httptools."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, and wait for the first head no longer than for a later one."""
        super().connection_made(transport)
        self._n_bytes = 0
        self._cycles: list[RequestResponseCycle] = []
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request that its client is gone; uvicorn tells only the last one sent."""
        super().connection_lost(exc)
        for cycle in self._cycles:
            cycle.disconnected = True
            cycle.message_event.set()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._n_bytes = 0

    def on_headers_complete(self) -> None:
        """Take a request whose head is whole; only this ends the wait for it."""
        self._n_bytes = 0
        self._unset_keepalive_if_required()
        super().on_headers_complete()
        open_cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
        self._cycles = open_cycles if self.cycle is None else [*open_cycles, self.cycle]

    def on_body(self, body: bytes) -> None:
        """Take bytes of a body."""
        self._n_bytes = 0
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        # Set to 0 by all that is a step forward: what remains belongs to lines without end.
        self._n_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            if self._should_upgrade():
                self._leave_to_h11(data[offer.args[0] :])
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        else:
            if self._n_bytes > MAX_HEAD_BYTES:
                self.send_400_response("The request's head or trailers are too large.")

    def _should_upgrade(self) -> bool:
        # Answers that are still under way need this protocol; nobody offers behind them.
        return self.cycle is None or self.cycle.response_complete

    def _leave_to_h11(self, rest: bytes) -> None:
        """Repeat the head that was read, and go on with what came behind it."""
        lines = [b"%s %s HTTP/1.1" % (self.parser.get_method(), self.url)]
        lines += [b"%s: %s" % header for header in self.headers]
        self.connections.discard(self)
        protocol = _DecliningProtocol(self.config, self.server_state, self.app_state)
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.data_received(b"\r\n".join([*lines, b"", rest]))


class _DecliningProtocol(H11Protocol):
    """Declines all offers without a warning: its clients repeat them with every request."""

    def data_received(self, data: bytes) -> None:
        """Take the next bytes; here, too, only a whole head ends the wait for it."""
        self.conn.receive_data(data)
        self.handle_events()

    def _should_upgrade(self) -> bool:
        return False
