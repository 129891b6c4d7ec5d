"""The real OpenAI SDK against the real API: what it sends is read, what it gets it understands."""

import asyncio
from collections.abc import Iterator

import openai
import pytest

from services.contract.schema import ErrorInfo
from tests.api.recordings import browser_webm, wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker

TEXT = "Hej och välkommen. Det här är två fönster."
FILE = ("clip.wav", wav())


@pytest.fixture
def sdk(api: RunningApi, worker: ScriptedWorker) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key="any", max_retries=2) as client:
        yield client


def test_json(sdk: openai.OpenAI) -> None:
    answer = sdk.audio.transcriptions.create(model="whisper-1", file=FILE, language="sv")
    assert answer.text == TEXT
    assert answer.usage is not None and answer.usage.type == "duration"


def test_verbose_json_with_words(sdk: openai.OpenAI) -> None:
    answer = sdk.audio.transcriptions.create(
        model="whisper-1",
        file=FILE,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        temperature=0,
    )
    assert (answer.language, answer.text) == ("swedish", TEXT)
    assert answer.segments is not None and answer.segments[0].text == " Hej och välkommen."
    assert answer.words is not None and answer.words[0].word == "Hej"


@pytest.mark.parametrize("name", ["text", "srt", "vtt"])
def test_text_formats_are_plain_strings(sdk: openai.OpenAI, name: str) -> None:
    answer = sdk.audio.transcriptions.create(
        model="gpt-4o-transcribe",
        file=FILE,
        response_format=name,  # type: ignore[call-overload]
    )
    assert isinstance(answer, str)
    assert "Hej och" in answer


def test_all_new_fields(sdk: openai.OpenAI) -> None:
    answer = sdk.audio.transcriptions.create(
        model="gpt-transcribe",
        file=("speech.webm", browser_webm()),
        languages=["sv", "en"],
        keywords=["Åsa", "KTH"],
        prompt="Ett möte.",
        include=["logprobs"],
        chunking_strategy={"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 300},
    )
    assert answer.text == TEXT


def test_stream(sdk: openai.OpenAI) -> None:
    events = list(sdk.audio.transcriptions.create(model="whisper-1", file=FILE, stream=True))
    assert [e.type for e in events][-1] == "transcript.text.done"
    assert events[-1].text == TEXT  # type: ignore[union-attr]
    assert "".join(e.delta for e in events[:-1]) == TEXT  # type: ignore[union-attr]


def test_a_failure_in_a_stream_is_raised(sdk: openai.OpenAI, worker: ScriptedWorker) -> None:
    worker.fail_with = ErrorInfo(code="worker_lost", message="The worker died.")
    with pytest.raises(openai.APIError, match="The worker died") as caught:
        list(sdk.audio.transcriptions.create(model="whisper-1", file=FILE, stream=True))
    assert caught.value.code == "worker_lost"


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_translation(sdk: openai.OpenAI) -> None:
    assert sdk.audio.translations.create(model="whisper-1", file=FILE).text == TEXT


def test_models(sdk: openai.OpenAI) -> None:
    assert sdk.models.retrieve("whisper-1").id == "whisper-1"
    assert [m.object for m in sdk.models.list()] == ["model"]


def test_errors_have_code_param_and_request_id(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"not audio"))
    assert caught.value.code == "unsupported_audio"
    assert caught.value.param == "file"
    assert caught.value.request_id
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.audio.transcriptions.create(model="gpt-9", file=FILE)
    assert missing.value.code == "model_not_found"


def test_a_failed_job_is_not_sent_three_times(sdk: openai.OpenAI, worker: ScriptedWorker) -> None:
    worker.fail_with = ErrorInfo(code="transcription_timeout", message="It took too long.")
    with pytest.raises(openai.InternalServerError):
        sdk.audio.transcriptions.create(model="whisper-1", file=FILE)
    assert len(worker.done) == 1


def test_many_at_once(api: RunningApi, worker: ScriptedWorker) -> None:
    async def send_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key="any") as sdk:
            calls = [
                sdk.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav(1 + i / 10)))
                for i in range(16)
            ]
            return [answer.text for answer in await asyncio.gather(*calls)]

    assert asyncio.run(send_all()) == [TEXT] * 16


def test_an_async_stream(api: RunningApi, worker: ScriptedWorker) -> None:
    async def read() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key="any") as sdk:
            stream = await sdk.audio.transcriptions.create(
                model="whisper-1", file=FILE, stream=True
            )
            return [event.type async for event in stream]

    assert asyncio.run(read())[-1] == "transcript.text.done"
