"""One HTTP connection pool to the API that tries again while the API is busy or away."""

import logging
import time
from collections.abc import Callable

import httpx

from services.client import error_answers
from services.contract.errors import (
    InvalidApiKeyError,
    InvalidRequestError,
    ServiceError,
    SttError,
)

logger = logging.getLogger(__name__)

#: An upload may stall on a slow disk or line as long as the API lets it; there is no total limit.
TIMEOUT = httpx.Timeout(30.0, read=90.0, write=90.0, pool=None)
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
TEMPORARY = {408, 429, 502, 503, 504}

Build = Callable[[], httpx.Request]


class Patience:
    """Growing pauses until the time is up."""

    def __init__(self, patience_s: float, tell: Callable[[str], None]) -> None:
        """Start the clock; `tell` is called once the pauses are long, with their cause."""
        self._give_up_at = time.monotonic() + patience_s
        self._pause_s = FIRST_PAUSE_S
        self._tell: Callable[[str], None] | None = tell

    def pause(self, cause: SttError, at_least_s: float = 0.0) -> bool:
        """Sleep a little longer than last time; False, at once, if that takes too long."""
        pause_s = max(self._pause_s, at_least_s)
        if time.monotonic() + pause_s > self._give_up_at:
            return False
        if pause_s >= LONGEST_PAUSE_S and self._tell is not None:
            self._tell(cause.message)
            self._tell = None
        time.sleep(pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return True


class Connection:
    """Sends requests and raises the typed error of every answer that is not a success."""

    def __init__(
        self, base_url: str, api_key: str, patience_s: float, transport: httpx.BaseTransport | None
    ) -> None:
        """Connect lazily; see Client for the arguments.

        Raises:
            InvalidRequestError: the address is not one.
            InvalidApiKeyError: the key has characters that no key has.
        """
        if not (api_key.isascii() and (api_key.isprintable() or not api_key)):
            raise InvalidApiKeyError("The API key has characters that no key has; copy it again.")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        base_url = address(base_url)
        self.base_url = base_url
        self.patience_s = patience_s
        self.was_reached = False
        self._has_told = False
        self.http = httpx.Client(
            base_url=base_url,
            headers=headers,
            timeout=TIMEOUT,
            transport=transport,
            limits=httpx.Limits(max_connections=None),
            trust_env=is_elsewhere(base_url),
        )

    def send(self, build: Build) -> httpx.Response:
        """Send a request, built anew for every try.

        Raises:
            SttError: what the API answered; ServiceError when it cannot be reached.
        """
        patience = self.patience()
        while True:
            try:
                response = self.http.send(build())
            except httpx.RequestError as error:
                away = self.unreachable(error)
                if not (self.was_reached and patience.pause(away)):
                    raise away from error
                continue
            self.was_reached = True
            if response.is_success:
                self._has_told = False
                return response
            refusal = error_answers.from_response(response)
            if not (is_temporary(response) and patience.pause(refusal, asked_pause_s(response))):
                raise refusal

    def patience(self) -> Patience:
        """Return new patience, which says what it waits for when that takes long."""
        return Patience(self.patience_s, self._tell)

    def _tell(self, cause: str) -> None:
        """Say it once, however many threads wait, until something succeeds."""
        if not self._has_told:
            self._has_told = True
            logger.warning("Waiting, for up to %.0f s: %s", self.patience_s, cause)

    def unreachable(self, error: httpx.RequestError) -> SttError:
        """Say that nobody answers, and what to do."""
        return ServiceError(
            f"No answer from {self.base_url} ({reason(error)}); start the service with "
            "`whisper-sv up`, or give its address with --url or STT_BASE_URL"
        )


def address(base_url: str) -> str:
    """Return the address of an API as requests begin with it.

    The SDKs of OpenAI want /v1 in it: whoever copies that address means the same.

    Raises:
        InvalidRequestError: it is none.
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise InvalidRequestError(f"{base_url} is not an address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidRequestError(
            f"{base_url} is not an address: it begins with http:// or https://"
        )
    return base_url.rstrip("/").removesuffix("/v1")


def is_elsewhere(base_url: str) -> bool:
    """Whether proxies and certificates of the environment hold: not on the way to this machine."""
    return httpx.URL(base_url).host not in LOOPBACK


def reason(error: httpx.RequestError) -> str:
    """Return why nobody answers; some errors have a name only."""
    return str(error) or type(error).__name__


def is_temporary(response: httpx.Response) -> bool:
    """Whether the same request may succeed a little later."""
    forbidden = response.headers.get("x-should-retry") == "false"
    return response.status_code in TEMPORARY and not forbidden


def asked_pause_s(response: httpx.Response) -> float:
    """Return the seconds that a temporary answer asks to wait."""
    return error_answers.retry_after_s(response) if "retry-after" in response.headers else 0.0
