"""HTTP as uvicorn speaks it, also to clients that would rather speak another protocol.

Java's HttpClient offers HTTP/2 with every plain request. For httptools what follows such an offer
is the other protocol, so the body would be lost (uvicorn issue 2722); h11 reads it as HTTP.
"""

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HttpProtocol(HttpToolsProtocol):
    """Leaves a connection with such an offer to h11; all others stay with httptools."""

    def data_received(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            if self._should_upgrade():
                self._leave_to_h11(data[offer.args[0] :])
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

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

    def _should_upgrade(self) -> bool:
        return False
