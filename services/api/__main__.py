"""Run the API: `python -m services.api`, configured by STT_ variables."""

import sys

import uvicorn

from services.api.app import create_app
from services.contract import logs
from services.contract.errors import SttError
from services.contract.redis_client import refuse_wrong_password
from services.contract.settings import ApiSettings, load

#: Open streams are cut after this when the process is asked to stop; their clients come back.
SHUTDOWN_S = 5
#: A client may keep a connection open between two requests.
KEEP_ALIVE_S = 65


def main() -> int:
    """Serve until told to stop; return the exit code."""
    try:
        settings = load(ApiSettings)
        refuse_wrong_password(settings.redis_url)
        app = create_app(settings)
    except SttError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    logs.configure(settings.log_level)
    # The access log is ours (middleware.py): uvicorn's has queries in it.
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
