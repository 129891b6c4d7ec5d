"""Uploads folders to the hub until they are there.

A large upload breaks often: connections drop, the hub answers 500, 503 or 429. Each try sends only
what is missing, since the hub keeps files that arrived whole, so trying again is resuming. What
another try cannot mend (no token, no permission, a malformed card) stops at once and says why.
"""

import logging
import time
from pathlib import Path

import huggingface_hub

# HTTPError is that of the hub client's HTTP library, which is not the same in all versions.
from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

from services.contract.errors import PublishError
from training.publish.config import PublishConfig

logger = logging.getLogger(__name__)

_TRY_AGAIN_STATUS = frozenset({408, 409, 412, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 120.0


class Hub:
    """The hub, one repository of it, and the patience to upload there."""

    def __init__(self, config: PublishConfig) -> None:
        """Find the token.

        Raises:
            PublishError: there is none.
        """
        token = huggingface_hub.get_token()
        if token is None:
            raise PublishError(
                "no token for the hub: run `hf auth login` or set HF_TOKEN to a token with write "
                "permission, or set publish.dry_run to stage the folder only"
            )
        self._config = config
        self._api = huggingface_hub.HfApi(endpoint=config.endpoint, token=token)

    def upload(self, folder: Path, path_in_repo: str, message: str) -> str:
        """Make the repository if needed and bring a folder there.

        Args:
            folder: what to upload, all of it.
            path_in_repo: folder inside the repository, "" for its root.
            message: of the commit.
        Returns:
            address of the repository.
        Raises:
            PublishError: the hub refuses, or every attempt failed.
        """
        config = self._config
        for attempt in range(1, config.attempts + 1):
            try:
                return self._try(folder, path_in_repo, message)
            # An upload thread wraps its error in RuntimeError.
            except (OSError, HTTPError, RuntimeError, ValueError) as error:
                if not _may_pass(error):
                    raise PublishError(self._explain(error)) from error
                failure = error
            if attempt < config.attempts:
                wait_s = min(_LONGEST_WAIT_S, config.first_wait_s * 2 ** (attempt - 1))
                logger.warning(
                    "upload interrupted (%s), next try in %g s", _first_line(failure), wait_s
                )
                time.sleep(wait_s)
        raise PublishError(
            f"the upload to {config.repo_id} failed {config.attempts} times, last: "
            f"{_first_line(failure)}; run the command again to go on where it stopped"
        ) from failure

    def _try(self, folder: Path, path_in_repo: str, message: str) -> str:
        config = self._config
        url = self._api.create_repo(config.repo_id, private=config.private, exist_ok=True)
        self._api.upload_folder(
            repo_id=config.repo_id,
            folder_path=folder,
            path_in_repo=path_in_repo,
            commit_message=message,
        )
        return str(url)

    def _explain(self, error: Exception) -> str:
        status = _status(error)
        repo_id = self._config.repo_id
        if status == 401:
            return "the hub does not know this token; run `hf auth login` again"
        if status in (403, 404):
            return f"the token may not write to {repo_id}; use one with write permission there"
        return f"the hub refuses {repo_id}: {_first_line(error)}"


def _may_pass(error: Exception) -> bool:
    """Whether another try may succeed."""
    if isinstance(error, RuntimeError):
        # Without a cause it comes from hf_xet, whose failures in transfer are all RuntimeError.
        return not isinstance(error.__cause__, Exception) or _may_pass(error.__cause__)
    status = _status(error)
    if status is not None:
        return status in _TRY_AGAIN_STATUS
    return isinstance(error, (HTTPError, ConnectionError, TimeoutError))


def _status(error: Exception) -> int | None:
    if isinstance(error, HfHubHTTPError):
        return int(error.response.status_code)
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
