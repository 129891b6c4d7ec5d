"""An HTTP server whose answers a test writes down: for what a real API does only on a bad day."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def scripted(answers: list[Answer]) -> Iterator[tuple[str, list[BaseHTTPRequestHandler]]]:
    """Yield the server's address and the requests it got; each answer is used once, in order."""
    requests: list[BaseHTTPRequestHandler] = []
    left = iter(answers)

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            requests.append(self)
            self.rfile.read(int(self.headers.get("content-length") or 0))
            next(left)(self)

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(status: int, body: str = "{}", **headers: str) -> Answer:
    """Answer with a status, a body and headers (underscores stand for hyphens)."""

    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        data = body.encode()
        request.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)

    return send


def stream(*chunks: str) -> Answer:
    """Send server-sent events, then close the connection."""

    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-type", "text/event-stream")
        request.end_headers()
        request.wfile.write("".join(chunks).encode())

    return send


def hang_up(request: BaseHTTPRequestHandler) -> None:
    """Close the connection without a word."""
    request.close_connection = True
