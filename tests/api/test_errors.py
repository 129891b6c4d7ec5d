"""The tree of errors and HTTP: each code has a status, a way back, and a row in the docs."""

from pathlib import Path

import pytest

from services.api.error_handlers import STATUS, envelope, from_code, response, tree
from services.contract.errors import BusyError, QueueFullError, SttError

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
CODES = sorted({kind.code for kind in tree(SttError)})


@pytest.mark.parametrize("kind", tree(SttError), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[SttError]) -> None:
    assert STATUS[kind.code] >= 400


def test_no_status_is_left_over() -> None:
    assert sorted(STATUS) == CODES


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_documented(code: str) -> None:
    assert f"`{code}`" in DOCS.read_text()


@pytest.mark.parametrize("code", CODES)
def test_the_documented_status_is_the_real_one(code: str) -> None:
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{code}` |")]
    if rows:
        assert f"| {STATUS[code]} |" in rows[0]


def test_the_error_of_a_job_comes_back_as_its_own_kind() -> None:
    for kind in tree(SttError):
        if not issubclass(kind, BusyError):
            assert from_code(kind.code, "why").code == kind.code
    assert from_code("from_another_version", "why").code == "internal_error"


def test_the_envelope_is_the_one_of_openai() -> None:
    error = SttError("Why.", param="file")
    assert envelope(error) == {
        "error": {"message": "Why.", "type": "server_error", "param": "file", "code": "stt_error"}
    }


def test_busy_answers_say_when_to_come_back() -> None:
    answer = response(QueueFullError("Full.", retry_after_s=1.2), "id-1")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["x-should-retry"] == "true"
    assert answer.headers["x-request-id"] == "id-1"
