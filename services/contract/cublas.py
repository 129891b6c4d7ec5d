"""NVIDIA's cuBLAS 12, the one library that CTranslate2 needs on a GPU, out of its wheel."""

import ctypes
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path

_WHEEL = "nvidia-cublas-cu12"
#: The second one needs the first.
_LIBRARIES = ("libcublasLt.so.12", "libcublas.so.12")
HOW_TO_GET_IT = f"pip install {_WHEEL}"


def load_cublas() -> None:
    """Load the wheel's libraries into this process, if the wheel is installed.

    CTranslate2 asks the system's linker for `libcublas.so.12` and knows nothing of wheels; the
    linker finds whatever is loaded under that name.
    """
    for path in _wheel_files():
        with suppress(OSError):  # CTranslate2 then says what it misses, if it needs it at all
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def is_missing(error: Exception) -> bool:
    """Whether CTranslate2 failed for want of cuBLAS."""
    return "libcublas" in str(error)


def _wheel_files() -> Iterator[Path]:
    try:
        files = metadata.files(_WHEEL) or []
    except metadata.PackageNotFoundError:
        return
    located = {file.name: Path(str(file.locate())) for file in files}
    yield from (located[name] for name in _LIBRARIES if name in located)
