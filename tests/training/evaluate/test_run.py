import json
import re
from pathlib import Path

import pytest

from services.contract.errors import ConfigError, DataError, ModelBundleError
from services.contract.model_bundle import read as read_bundle
from tests.tiny_model import SENTENCE, tiny_bundle
from tests.training.small_corpus import write_corpus
from tests.worker.models import babbling_bundle
from training.evaluate import decode
from training.evaluate.config import EvaluateConfig
from training.evaluate.metrics import ErrorCounts
from training.evaluate.report import EvaluationReport, Utterance, read_report
from training.evaluate.run import evaluate, read_utterances
from training.prepare.shards import PreparedCorpus

CONFIG = EvaluateConfig(device="cpu", beam_size=2, long_form_minutes=0.2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    """The tiny model says SENTENCE to everything, so these are its errors: none, one word, all."""
    almost, other = "Hej och hallå.", "Tolv <b>katter</b> & en hund satt på taket."
    return write_corpus(
        tmp_path_factory.mktemp("corpus") / "prepared",
        {
            "dev": [(SENTENCE, 2.0, "greeting"), (almost, 1.0, "greeting")],
            "test": [(SENTENCE, 3.0, "greeting"), (other, 7.0, "animals"), ("Ja.", 1.0, "short")],
        },
    )


@pytest.fixture(scope="module")
def report(
    corpus: PreparedCorpus, tiny_bundle_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[EvaluationReport, Path]:
    out_dir = tmp_path_factory.mktemp("out") / "report"
    return evaluate(CONFIG, str(tiny_bundle_dir), corpus, out_dir), out_dir


def test_rates_are_those_of_the_known_transcripts(report: tuple[EvaluationReport, Path]) -> None:
    result = report[0].result("dev", "full")
    assert result is not None
    assert result.overall.normalised.words.model_dump() == {
        "hits": 5,
        "substitutions": 1,
        "deletions": 0,
        "insertions": 0,
    }
    assert result.overall.raw.wer == pytest.approx(1 / 6)
    assert result.test_set_sha256


def test_groups_add_up_to_the_whole(report: tuple[EvaluationReport, Path]) -> None:
    result = report[0].result("test", "short")
    assert result is not None
    assert [group.label for group in result.by_duration] == ["0-2 s", "2-4 s", "6-10 s"]
    assert [group.label for group in result.by_domain] == ["animals", "greeting", "short"]
    for groups in (result.by_duration, result.by_domain):
        assert sum(group.n_clips for group in groups) == result.overall.n_clips == 3
        n_words = sum(group.normalised.words.n_reference for group in groups)
        assert n_words == result.overall.normalised.words.n_reference


def test_worst_comes_first_and_right_ones_are_left_out(
    report: tuple[EvaluationReport, Path],
) -> None:
    result = report[0].result("test", "full")
    assert result is not None
    assert [each.id for each in result.worst] == ["test-001", "test-002"]


def test_missing_end_is_counted(report: tuple[EvaluationReport, Path]) -> None:
    result = report[0].result("test", "full")
    assert result is not None
    assert result.missing_end_rate == pytest.approx(1 / 3)
    assert result.repetition_rate == result.unterminated_rate == 0


def test_equal_transcripts_prove_short_context_if_they_are_many(
    report: tuple[EvaluationReport, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report[0].objection_to_short_context().startswith("5 clips with 18 words")
    assert "not proved (5 clips" in (report[1] / "page.html").read_text()
    monkeypatch.setattr("training.evaluate.report.SHORT_CONTEXT_MIN_CLIPS", 5)
    monkeypatch.setattr("training.evaluate.report.SHORT_CONTEXT_MIN_WORDS", 18)
    assert report[0].proves_short_context()


def test_report_survives_the_disk(report: tuple[EvaluationReport, Path]) -> None:
    assert read_report(report[1]) == report[0]


def test_report_that_was_broken_off_does_not_count_as_made(
    corpus: PreparedCorpus, tiny_bundle_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.evaluate.run.write_page", stopped)
    config = CONFIG.model_copy(update={"long_form_minutes": 0.0, "contexts": ("short",)})
    with pytest.raises(KeyboardInterrupt):
        evaluate(config, str(tiny_bundle_dir), corpus, tmp_path)
    with pytest.raises(DataError, match="no evaluation report"):
        read_report(tmp_path)


def test_every_clip_is_in_the_utterances(report: tuple[EvaluationReport, Path]) -> None:
    lines = (report[1] / "utterances-test-full.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["test-000", "test-001", "test-002"]
    assert json.loads(lines[0])["hypothesis"] == SENTENCE


def test_page_loads_nothing_and_escapes_text(report: tuple[EvaluationReport, Path]) -> None:
    page = (report[1] / "page.html").read_text()
    assert page.count("<svg") == 6
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    assert "<script" not in page
    assert "Tolv &lt;b&gt;katter" in page


def test_long_form_compares_with_the_same_clips(report: tuple[EvaluationReport, Path]) -> None:
    result = report[0].long_form
    assert result is not None
    assert result.n_clips == 3
    assert result.words.n_reference == result.words_of_single_clips.n_reference


@pytest.mark.slow
def test_checkpoint_is_converted_for_evaluation(
    corpus: PreparedCorpus, tiny_checkpoint_dir: Path, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(
        update={"splits": ("dev",), "contexts": ("full",), "long_form_minutes": 0.0}
    )
    report = evaluate(config, str(tiny_checkpoint_dir), corpus, tmp_path)
    assert report.results[0].overall.normalised.wer == pytest.approx(1 / 6)
    assert not report.proves_short_context()


def test_part_of_a_split_is_another_test_set(
    corpus: PreparedCorpus, tiny_bundle_dir: Path, tmp_path: Path
) -> None:
    update = {"splits": ("test",), "contexts": ("full",), "max_clips": 2, "long_form_minutes": 0.0}
    config = CONFIG.model_copy(update=update)
    result = evaluate(config, str(tiny_bundle_dir), corpus, tmp_path).results[0]
    assert result.overall.n_clips == 2
    assert result.test_set_sha256 != corpus.manifest.splits["test"].sha256


def test_missing_split_and_model_are_clear_errors(
    corpus: PreparedCorpus, tiny_bundle_dir: Path, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"splits": ("dev", "validation")})
    with pytest.raises(ConfigError, match="no split 'validation'; it has dev, test"):
        evaluate(config, str(tiny_bundle_dir), corpus, tmp_path)
    with pytest.raises(ModelBundleError, match="not a CTranslate2 Whisper model"):
        evaluate(CONFIG, str(tmp_path), corpus, tmp_path)
    with pytest.raises(DataError, match="run `python -m training evaluate`"):
        read_report(tmp_path)


@pytest.mark.slow
def test_a_suspicious_transcript_without_padding_is_decoded_again_with_it(
    corpus: PreparedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The random model babbles other words with padding than without."""
    bundle = str(babbling_bundle(tmp_path / "bundle"))
    config = CONFIG.model_copy(
        update={"splits": ("dev",), "long_form_minutes": 0.0, "max_new_tokens": 20, "beam_size": 1}
    )

    def texts(folder: str) -> list[list[str]]:
        evaluate(config, bundle, corpus, tmp_path / folder)
        return [
            [each.hypothesis for each in read_utterances(tmp_path / folder, "dev", context)]
            for context in ("full", "short")
        ]

    monkeypatch.setattr(decode, "_is_suspicious", lambda *_: False)
    full, short = texts("trusting")
    assert full != short, "padding makes no difference here"
    monkeypatch.setattr(decode, "_is_suspicious", lambda *_: True)
    assert texts("doubting") == [full, full]


@pytest.mark.parametrize(
    ("asked", "ends_with"),
    [
        ({}, "<|notimestamps|>"),
        ({"task": "translate"}, "<|translate|>"),
        ({"timestamps": True}, "<|transcribe|>"),
        ({"task": "translate", "timestamps": False}, "<|notimestamps|>"),
    ],
)
def test_times_are_written_as_the_service_has_them_written(
    asked: dict[str, object], ends_with: str, tiny_bundle_dir: Path
) -> None:
    decoder = decode.Decoder(read_bundle(tiny_bundle_dir), CONFIG.model_copy(update=asked))
    assert decoder._prompt[-1] == decoder._token_id(ends_with)


def test_what_the_model_leaves_out_at_the_end_of_a_clip_is_read_next(
    corpus: PreparedCorpus, tmp_path: Path
) -> None:
    """It reads one second at a time, and half a second is worth a look."""
    bundle = read_bundle(tiny_bundle(tmp_path / "bundle", stops_early=True))
    clips = corpus.clips("dev")
    config = CONFIG.model_copy(update={"timestamps": True})
    found = decode.Decoder(bundle, config).decode(corpus, clips, "full", "decoding")
    n_looks = [max(1, int(clip.duration_s + 0.5)) for clip in clips]
    assert max(n_looks) > 1
    assert [each.text for each in found.decoded] == [" ".join([SENTENCE] * n) for n in n_looks]
    assert found.audio_s == pytest.approx(sum(clip.duration_s for clip in clips))


def test_engine_that_fails_while_decoding_is_told_in_one_line(
    corpus: PreparedCorpus, tiny_bundle_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = decode.Decoder(read_bundle(tiny_bundle_dir), CONFIG)

    def encode(batch: object) -> None:
        raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")

    monkeypatch.setattr(decoder, "_encode", encode)
    with pytest.raises(ModelBundleError, match="cannot compute with cpu: Library .*; set evaluate"):
        decoder.decode(corpus, corpus.clips("dev"), "full", "decoding")


def test_transcript_with_a_line_separator_is_read_again(tmp_path: Path) -> None:
    said = Utterance(
        id="a",
        domain="",
        duration_s=1.0,
        reference="Hej.",
        hypothesis="Hej\u2028då\x85.",
        words=ErrorCounts(hits=1),
        ended=True,
    )
    (tmp_path / "utterances-dev-full.jsonl").write_text(2 * f"{said.model_dump_json()}\n")
    assert read_utterances(tmp_path, "dev", "full") == [said, said]


def test_word_times_that_cannot_be_read_are_told_before_hours_of_decoding(
    corpus: PreparedCorpus, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"word_times": tmp_path / "nothing.jsonl"})
    with pytest.raises(DataError, match="give the file of word times"):
        evaluate(config, str(tmp_path / "no-model"), corpus, tmp_path / "report")
