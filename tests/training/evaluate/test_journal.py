"""An evaluation that is cut off, and the one that goes on with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.contract.errors import OutputError
from tests.training.small_corpus import write_corpus
from training.evaluate.config import EvaluateConfig
from training.evaluate.decode import Decoder
from training.evaluate.decoded import Decoded, Piece
from training.evaluate.journal import Entry, open_journal
from training.evaluate.report import EvaluationReport
from training.evaluate.run import evaluate, read_utterances
from training.prepare.shards import Clip, PreparedCorpus

CONFIG = EvaluateConfig(
    device="cpu", beam_size=1, batch_size=1, splits=("test",), long_form_minutes=0
)
N_CLIPS = 4
JOURNAL = ".transcripts.jsonl"
CLIP = Clip("a", "Hej.", 2.0, "", "test", "test-00000", 0, 100, None, None, "")
DECODED = Decoded("Hej\u2028då.", 3, True, False, 1.5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    texts = [(f"Mening {number}.", 1.0 + number, "") for number in range(N_CLIPS)]
    return write_corpus(tmp_path_factory.mktemp("corpus") / "prepared", {"test": texts})


@pytest.fixture
def n_decoded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Counts the recordings that are decoded; `until` so many, then somebody presses Ctrl-C."""
    real = Decoder._decode_recordings

    def count(until: int | None = None) -> list[int]:
        sizes: list[int] = []

        def decode(self: Decoder, recordings: list[Any], context: Any) -> list[Decoded]:
            if len(sizes) == until:
                raise KeyboardInterrupt
            sizes.append(len(recordings))
            return real(self, recordings, context)

        monkeypatch.setattr(Decoder, "_decode_recordings", decode)
        return sizes

    return count


def figures(report: EvaluationReport) -> list[dict[str, Any]]:
    return [result.model_dump(exclude={"real_time_factor"}) for result in report.results]


def test_what_was_decoded_before_a_break_is_not_decoded_again(
    corpus: PreparedCorpus,
    tiny_bundle_dir: Path,
    tmp_path: Path,
    n_decoded: Callable[..., list[int]],
) -> None:
    whole = n_decoded()
    unbroken = evaluate(CONFIG, str(tiny_bundle_dir), corpus, tmp_path / "unbroken")
    n_decoded(until=3)
    with pytest.raises(KeyboardInterrupt):
        evaluate(CONFIG, str(tiny_bundle_dir), corpus, tmp_path / "broken")
    assert (tmp_path / "broken" / JOURNAL).is_file()
    rest = n_decoded()
    larger_batches = CONFIG.model_copy(update={"batch_size": 2})
    report = evaluate(larger_batches, str(tiny_bundle_dir), corpus, tmp_path / "broken")
    assert sum(rest) == sum(whole) - 3
    assert figures(report) == figures(unbroken)
    for context in CONFIG.contexts:
        found, expected = (
            read_utterances(tmp_path / name, "test", context) for name in ("broken", "unbroken")
        )
        assert found == expected
    assert all(result.real_time_factor > 0 for result in report.results)
    assert not (tmp_path / "broken" / JOURNAL).exists()


def test_another_config_begins_anew(
    corpus: PreparedCorpus,
    tiny_bundle_dir: Path,
    tmp_path: Path,
    n_decoded: Callable[..., list[int]],
) -> None:
    n_decoded(until=3)
    with pytest.raises(KeyboardInterrupt):
        evaluate(CONFIG, str(tiny_bundle_dir), corpus, tmp_path)
    all_of_them = n_decoded()
    other = CONFIG.model_copy(update={"beam_size": 2})
    evaluate(other, str(tiny_bundle_dir), corpus, tmp_path)
    assert len(all_of_them) >= N_CLIPS * len(CONFIG.contexts)


def test_what_was_measured_to_the_end_is_measured_again_only_if_something_changed(
    corpus: PreparedCorpus,
    tiny_bundle_dir: Path,
    tmp_path: Path,
    n_decoded: Callable[..., list[int]],
) -> None:
    first = evaluate(CONFIG, str(tiny_bundle_dir), corpus, tmp_path)
    again = n_decoded()
    assert evaluate(CONFIG, str(tiny_bundle_dir), corpus, tmp_path) == first
    assert again == []
    fewer = CONFIG.model_copy(update={"max_clips": N_CLIPS - 1})
    evaluate(fewer, str(tiny_bundle_dir), corpus, tmp_path)
    n_of_fewer = len(again)
    assert n_of_fewer > 0
    other = write_corpus(tmp_path / "other", {"test": [("Hej.", 1.0, "")] * (N_CLIPS - 1)})
    evaluate(fewer, str(tiny_bundle_dir), other, tmp_path)
    assert len(again) > n_of_fewer


@pytest.mark.parametrize("damage", [b'{"split": "te', b'{"split": 1}\n{}\n', bytes(20) + b"\n"])
def test_what_a_killed_run_left_half_written_is_dropped(tmp_path: Path, damage: bytes) -> None:
    path, whole = tmp_path / JOURNAL, Piece(CLIP)
    with open_journal(path, {"model": "m"}) as journal:
        journal.add([Entry.of(whole, "full", DECODED, 0.5)])
    with path.open("ab") as file:
        file.write(damage)
    with open_journal(path, {"model": "m"}) as journal:
        journal.add([Entry.of(whole.rest(1.5), "full", DECODED, 0.25)])
    with open_journal(path, {"model": "m"}) as journal:
        first, rest = (journal.find(piece, "full") for piece in (whole, whole.rest(1.5)))
        assert first and rest
        assert (first.decoded, first.processing_s) == (DECODED, 0.5)
        assert (rest.decoded, rest.processing_s) == (DECODED, 0.25)
        assert journal.find(whole, "short") is None
    with open_journal(path, {"model": "other"}) as journal:
        assert journal.find(whole, "full") is None


def test_a_journal_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).mkdir()
    with pytest.raises(OutputError, match="make room"), open_journal(tmp_path / JOURNAL, {}):
        pass
    full = Path("/dev/full").open("ab", buffering=0)
    with full, open_journal(tmp_path / "journal", {}) as journal:
        journal._file = full
        with pytest.raises(OutputError, match="No space left"):
            journal.add([Entry.of(Piece(CLIP), "full", DECODED, 0.5)])
