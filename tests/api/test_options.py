"""Form fields to options: every spelling that clients use."""

from dataclasses import replace

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES
from hypothesis import given
from hypothesis import strategies as st

from services.api.form_fields import gather
from services.api.languages import NAMES, code_of, name_of
from services.api.options import (
    LIST_FIELDS,
    MAX_PROMPT_WORDS,
    JobFields,
    OptionFields,
    TranscriptionFields,
    lane,
    parse,
    to_options,
    unknown_names,
)
from services.api.served_model import ServedModel, unknown
from services.contract.errors import (
    InvalidOptionsError,
    PromptTooLongError,
    SttError,
    UnsupportedLanguageError,
    UnsupportedTaskError,
)
from services.contract.schema import Lane, TranscriptionOptions, VadOptions

SERVED: ServedModel = unknown("any")


def options(*pairs: tuple[str, str], kind: type[OptionFields] = JobFields) -> TranscriptionOptions:
    return to_options(parse(kind, pairs), "transcribe", SERVED)


def test_nothing_given_is_the_default() -> None:
    assert options() == TranscriptionOptions()
    assert options(kind=TranscriptionFields) == TranscriptionOptions()


@pytest.mark.parametrize(
    "pairs",
    [
        [("languages[]", "sv"), ("languages[]", "en")],
        [("languages", "sv"), ("languages", "en")],
        [("languages", "sv,en")],
        [("languages", '["sv", "en"]')],
        [("languages", "swedish, EN-gb")],
        [("languages[0]", "sv"), ("languages[1]", "en")],
    ],
)
def test_lists_have_many_spellings(pairs: list[tuple[str, str]]) -> None:
    assert options(*pairs).languages == ("sv", "en")


@pytest.mark.parametrize("given", ["sv", "SV", "sv-SE", "sv_SE", "Swedish", " swedish "])
def test_languages_have_many_spellings(given: str) -> None:
    assert options(("language", given)).language == "sv"


@pytest.mark.parametrize(
    ("given", "code"), [("nb-NO", "no"), ("nb", "no"), ("jv", "jw"), ("fil-PH", "tl"), ("iw", "he")]
)
def test_languages_that_whisper_calls_otherwise_are_known(given: str, code: str) -> None:
    """Home Assistant, browsers and systems call Norwegian so."""
    assert options(("language", given)).language == code


def test_more_words_than_any_model_takes_are_refused_at_once() -> None:
    # A word is a token at least; that the model counts fewer only it can tell.
    half = " ".join(["hej"] * (MAX_PROMPT_WORDS // 2))
    rest = " ".join(["du"] * (MAX_PROMPT_WORDS - MAX_PROMPT_WORDS // 2))
    assert options(("prompt", half), ("keywords", rest)).initial_prompt == half
    with pytest.raises(PromptTooLongError, match="224 words") as caught:
        options(("prompt", half), ("keywords", f"{rest} Åsa"))
    assert caught.value.param == "prompt"


def test_prompt_and_keywords_reach_the_model() -> None:
    asked = options(("prompt", " Möte med Åsa."), ("keywords[]", "Åsa"), ("keywords[]", "KTH"))
    assert asked.initial_prompt == " Möte med Åsa."
    assert asked.hotwords == "Åsa, KTH"
    theirs = options(("initial_prompt", "Hej"), ("hotwords", "Åsa KTH"))
    assert (theirs.initial_prompt, theirs.hotwords) == ("Hej", "Åsa KTH")


@pytest.mark.parametrize(
    "pairs",
    [
        [
            ("chunking_strategy[type]", "server_vad"),
            ("chunking_strategy[threshold]", "0.7"),
            ("chunking_strategy[silence_duration_ms]", "900"),
            ("chunking_strategy[prefix_padding_ms]", "100"),
        ],
        [
            (
                "chunking_strategy",
                '{"type":"server_vad","threshold":0.7,"silence_duration_ms":900,"prefix_padding_ms":100}',
            )
        ],
        [
            ("vad[threshold]", "0.7"),
            ("vad[min_silence_duration_ms]", "900"),
            ("vad[speech_pad_ms]", "100"),
        ],
    ],
)
def test_voice_activity_detection_can_be_tuned(pairs: list[tuple[str, str]]) -> None:
    wanted = VadOptions(threshold=0.7, min_silence_duration_ms=900, speech_pad_ms=100)
    assert options(*pairs).vad == wanted


def test_automatic_chunking_is_ours() -> None:
    assert options(("chunking_strategy", "auto")).vad == VadOptions()


@pytest.mark.parametrize(
    ("response_format", "has_words"),
    [("json", False), ("text", False), ("verbose_json", True), ("srt", True), ("vtt", True)],
)
def test_words_are_only_paid_for_where_they_show(response_format: str, has_words: bool) -> None:
    pairs = (("timestamp_granularities[]", "word"), ("response_format", response_format))
    assert options(*pairs, kind=TranscriptionFields).word_timestamps is has_words


def test_a_model_of_few_languages_refuses_others() -> None:
    swedish = replace(SERVED, languages=("sv",), tasks=("transcribe",))
    fields = parse(JobFields, [("language", "en")])
    with pytest.raises(UnsupportedLanguageError, match="it knows sv"):
        to_options(fields, "transcribe", swedish)
    with pytest.raises(UnsupportedTaskError):
        to_options(parse(JobFields, []), "translate", swedish)


def test_unknown_fields_are_named_once() -> None:
    pairs = [("languge", "sv"), ("a[b]", "1"), ("languge", "en"), ("language", "sv")]
    assert unknown_names(JobFields, pairs) == ["languge", "a"]


@pytest.mark.parametrize(
    ("pairs", "duration", "wanted"),
    [
        ([], 120.0, Lane.INTERACTIVE),
        ([], 121.0, Lane.BULK),
        ([("batch", "a")], 1.0, Lane.BULK),
        ([("batch", "a"), ("priority", "interactive")], 1.0, Lane.INTERACTIVE),
        ([("priority", "bulk")], 1.0, Lane.BULK),
    ],
)
def test_short_recordings_without_a_batch_go_first(
    pairs: list[tuple[str, str]], duration: float, wanted: Lane
) -> None:
    assert lane(parse(JobFields, pairs), duration) is wanted


def test_the_languages_are_those_of_whisper() -> None:
    assert set(NAMES) == set(_LANGUAGE_CODES)
    assert (name_of("sv"), name_of("xx")) == ("swedish", "xx")
    assert all(code_of(name) == code for code, name in NAMES.items())


names = st.one_of(st.sampled_from([*JobFields.model_fields, "x"]), st.text(max_size=20))
brackets = st.sampled_from(["", "[]", "[a]", "[", "[][]"])
pairs_of_text = st.lists(
    st.tuples(st.builds(str.__add__, names, brackets), st.text(max_size=30)), max_size=8
)


@given(pairs_of_text)
def test_any_form_is_read_or_refused_with_a_typed_error(pairs: list[tuple[str, str]]) -> None:
    for kind in (JobFields, TranscriptionFields):
        try:
            fields = parse(kind, pairs)
            to_options(fields, "transcribe", SERVED)
            unknown_names(kind, pairs)
        except SttError as error:
            assert error.message


def test_a_field_and_its_parts_do_not_mix() -> None:
    assert gather([("vad", "x"), ("vad[threshold]", "0.2")], LIST_FIELDS) == {
        "vad": {"threshold": "0.2"}
    }
    with pytest.raises(InvalidOptionsError):
        options(("vad", "x"))


@pytest.mark.parametrize("given", ["auto", "Auto", "null", "undefined", "none"])
def test_no_language_has_many_spellings(given: str) -> None:
    assert options(("language", given)).language is None


def test_candidates_that_the_model_does_not_know_are_passed_over() -> None:
    swedish = replace(SERVED, languages=("sv",))
    fields = parse(JobFields, [("languages", "en,sv")])
    assert to_options(fields, "transcribe", swedish).languages == ("sv",)
    for several in ("en,de", "sv,xx"):
        with pytest.raises(UnsupportedLanguageError):
            to_options(parse(JobFields, [("languages", several)]), "transcribe", swedish)


@pytest.mark.parametrize("given", ["TEXT", " Text "])
def test_formats_are_read_in_any_case(given: str) -> None:
    assert parse(TranscriptionFields, [("response_format", given)]).response_format == "text"


def test_a_format_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidOptionsError):
        parse(TranscriptionFields, [("response_format[x]", "text")])


@pytest.mark.parametrize("name", ["..", ".", "x" * 101, "a/b", "", "..."])
def test_batch_names_can_be_asked_for(name: str) -> None:
    """A name of dots is a folder to every client that cleans addresses."""
    if not name:
        assert parse(JobFields, [("batch", name)]).batch is None
        return
    with pytest.raises(InvalidOptionsError):
        parse(JobFields, [("batch", name)])


def test_a_refused_batch_name_is_told_in_words() -> None:
    with pytest.raises(InvalidOptionsError) as caught:
        parse(JobFields, [("batch", "a/b")])
    assert caught.value.message == (
        "batch: use letters, digits, spaces and any of . _ - @ : +, at most 100, "
        "and not dots alone."
    )


def test_names_of_choices_are_read_in_any_case() -> None:
    pairs = [("task", "Transcribe"), ("mode", "SEQUENTIAL"), ("priority", "Bulk ")]
    fields = parse(JobFields, [*pairs, ("timestamp_granularities[]", "Word")])
    assert (fields.task, fields.mode, fields.priority) == ("transcribe", "sequential", Lane.BULK)
    assert fields.wants_words


@pytest.mark.parametrize("name", ["måndag", "v1.2", "..a", "a b", "x" * 100])
def test_ordinary_batch_names_are_taken(name: str) -> None:
    assert parse(JobFields, [("batch", name)]).batch == name
