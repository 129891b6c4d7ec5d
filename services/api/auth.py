"""Who calls: API keys, kept as hashes, and the rule that no public address is open by accident."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from services.contract.errors import InvalidApiKeyError, InvalidRequestError, SettingsError
from services.contract.settings import ApiSettings

PUBLIC = "public"
#: What changes nothing; all other methods do.
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_ENTRY = re.compile(r"^(?P<name>[\w.-]{1,64}):(?P<sha256>[0-9a-fA-F]{64})$", re.ASCII)


@dataclass(frozen=True)
class ApiKey:
    """One key: the name that owns its jobs, and the SHA-256 of the secret."""

    name: str
    sha256: bytes


class KeyRing:
    """All keys of this stack; empty accepts everybody."""

    def __init__(
        self, keys: Sequence[ApiKey], *, local_only: bool, pages: Collection[str] = ()
    ) -> None:
        """Keep the keys.

        Args:
            keys: none accepts every caller as "public".
            local_only: answer only requests that name this machine as their host, and no other
                as where they came from. A web page elsewhere could else point its own name at
                127.0.0.1 and read the answers.
            pages: origins of web pages elsewhere that may call.
        """
        self._keys = tuple(keys)
        self._local_only = local_only
        self._pages = pages

    @classmethod
    def of(cls, settings: ApiSettings) -> "KeyRing":
        """Read the keys of the settings.

        Raises:
            SettingsError: a key is malformed, or a public address would be open to everybody.
        """
        entries = [e.strip() for e in settings.api_keys.get_secret_value().split(",")]
        keys = [_parse(entry, place) for place, entry in enumerate(entries, 1) if entry]
        host = settings.published_host or settings.host
        if not keys and not settings.allow_no_keys and not is_loopback(host):
            raise SettingsError(
                f"{host} can be reached from other machines: set STT_API_KEYS (make one "
                "with `whisper-sv key NAME`), or STT_ALLOW_NO_KEYS=true if something else checks "
                "callers"
            )
        local_only = not keys and not settings.allow_no_keys
        return cls(keys, local_only=local_only, pages=settings.origins)

    @property
    def is_open(self) -> bool:
        """Whether callers need no key."""
        return not self._keys

    def owner(self, authorization: str | None, host: str, came_by: Iterable[str] = ()) -> str:
        """Return the name of the caller.

        Args:
            authorization: the header of that name.
            host: the Host header. Some proxies put the address there that they call.
            came_by: addresses of the caller and of proxies on the way, as proxies say.
        Raises:
            InvalidApiKeyError: a key is needed and it is missing or wrong.
            InvalidRequestError: a service for this machine alone was called by another name, or
                from elsewhere.
        """
        if self.is_open:
            if self._local_only and not all(map(is_loopback, (_without_port(host), *came_by))):
                raise InvalidRequestError(
                    "This service answers only to localhost; set STT_API_KEYS to use other names "
                    "and machines."
                )
            return PUBLIC
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise InvalidApiKeyError("Send an API key: Authorization: Bearer KEY.")
        return self._owner_of(secret.strip())

    def refuse_foreign_page(self, method: str, headers: Mapping[str, str]) -> None:
        """Keep web pages elsewhere from making jobs by the hand of whoever looks at them.

        A browser lets every page send a form to every address that it can reach, and adds the
        password that a proxy asked for: it asks for leave only to show the page the answer, or
        where a request has a key.

        Raises:
            InvalidRequestError: a page sent it whose origin is not ours and not in the settings.
        Source: Go's net/http, CrossOriginProtection.
        """
        if not self.is_open or method in SAFE_METHODS:
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if site is None:  # No browser, an old one, or a page without TLS.
            is_ours = origin is None or _is_at(origin, headers.get("host", ""))
        else:
            is_ours = site in ("same-origin", "none")
        if not is_ours and origin not in self._pages and "*" not in self._pages:
            raise InvalidRequestError(
                "A web page of another origin sent this; name it in STT_CORS_ORIGINS if it may."
            )

    def _owner_of(self, secret: str) -> str:
        """Compare with every key, so that time tells nothing about which one was near."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        found = [key.name for key in self._keys if hmac.compare_digest(key.sha256, digest)]
        if not found:
            raise InvalidApiKeyError("The API key is wrong.")
        return found[0]


class Authentication(SecurityBase):
    """The dependency that names a request's owner and reads no body.

    As a SecurityBase it also says in /openapi.json where a key goes.
    """

    model = HTTPBearer(description="Needed where the service has keys.")
    scheme_name = "key"

    async def __call__(self, request: Request) -> str:
        """Return the owner of a request. Raises as `authenticated`."""
        return authenticated(request, request.app.state.service.keys)


def authenticated(request: Request, ring: KeyRing) -> str:
    """Return the owner of a request. Raises as `owner` and `refuse_foreign_page` of KeyRing."""
    headers = request.headers
    ring.refuse_foreign_page(request.method, headers)
    came_by = (
        address.strip()
        for line in headers.getlist("x-forwarded-for")
        for address in line.split(",")
        if address.strip()
    )
    return ring.owner(headers.get("authorization"), headers.get("host", ""), came_by)


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    # As servers that listen on all addresses see those of IPv4: ::ffff:127.0.0.1
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_at(origin: str, host: str) -> bool:
    """Whether a page has the address that a request was sent to, in the Host header's words."""
    address = origin.partition("://")[2]
    # nginx's $host has no port.
    return address != "" and host in (address, _without_port(address))


def _without_port(host: str) -> str:
    return host.rsplit(":", 1)[0] if re.search(r":\d+$", host) else host


def _parse(entry: str, place: int) -> ApiKey:
    match = _ENTRY.match(entry)
    if match is None:
        # The entry may be a key that someone forgot to hash: it must not reach a log.
        raise SettingsError(
            f"STT_API_KEYS: entry {place} is not name:sha256-hex; `whisper-sv key NAME` makes one"
        )
    return ApiKey(match["name"], bytes.fromhex(match["sha256"]))
