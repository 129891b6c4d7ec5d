import shutil
from pathlib import Path

import hiredis.hiredis
import pytest

from services.contract import cublas

#: Any shared library will do: its file name is what counts.
SOME_LIBRARY = Path(hiredis.hiredis.__file__)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the library folder of an installed wheel that holds both libraries."""
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    folder.mkdir(parents=True)
    facts = tmp_path / "nvidia_cublas_cu12-12.9.1.4.dist-info"
    facts.mkdir()
    facts.joinpath("METADATA").write_text("Name: nvidia-cublas-cu12\nVersion: 12.9.1.4\n")
    names = ("libcublas.so.12", "libcublasLt.so.12", "libnvblas.so.12")
    facts.joinpath("RECORD").write_text("".join(f"nvidia/cublas/lib/{name},,\n" for name in names))
    for name in names:
        shutil.copyfile(SOME_LIBRARY, folder / name)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def loaded(folder: Path) -> list[str]:
    """List the libraries of this process that come from a folder."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    return sorted({Path(line.split()[-1]).name for line in maps if str(folder) in line})


def test_the_libraries_of_an_installed_wheel_are_loaded(wheel: Path) -> None:
    cublas.load_cublas()
    assert loaded(wheel) == ["libcublas.so.12", "libcublasLt.so.12"]


def test_a_library_that_does_not_load_is_left_to_ctranslate2(wheel: Path) -> None:
    for path in wheel.iterdir():
        path.write_bytes(b"no library")
    cublas.load_cublas()
    assert loaded(wheel) == []


def test_a_machine_without_the_wheel_is_none_of_its_business(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cublas, "_WHEEL", "no-such-wheel")
    cublas.load_cublas()
    assert loaded(wheel) == []
