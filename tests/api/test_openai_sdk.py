"""The real OpenAI SDK against the real API: what it sends is read, what it gets it understands."""

import asyncio
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from services.contract.schema import ErrorInfo
from tests.api.recordings import browser_webm, wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.redis_server import RedisServer

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
    assert len(worker.started) == 1


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


def test_every_kind_of_file(sdk: openai.OpenAI, tmp_path: Path) -> None:
    path, body = tmp_path / "clip.wav", wav()
    path.write_bytes(body)
    kinds = (path, body, io.BytesIO(body), (None, body), ("clip.wav", body, "audio/wav"))
    with path.open("rb") as opened:
        for kind in (*kinds, opened):
            answer = sdk.audio.transcriptions.create(model="whisper-1", file=kind)
            assert answer.text == TEXT


def test_raw_and_streamed_answers(sdk: openai.OpenAI) -> None:
    raw = sdk.audio.transcriptions.with_raw_response.create(model="whisper-1", file=FILE)
    assert raw.parse().text == TEXT
    assert raw.request_id and raw.headers["x-job-id"]
    streamed = sdk.audio.transcriptions.with_streaming_response
    with streamed.create(model="whisper-1", file=FILE, response_format="text") as answer:
        assert list(answer.iter_lines()) == [TEXT]


def test_our_own_fields_go_into_the_extra_body(sdk: openai.OpenAI) -> None:
    extra = {"beam_size": 1, "hotwords": "Åsa", "vad": {"threshold": 0.4}, "beam": 2}
    raw = sdk.audio.transcriptions.with_raw_response.create(
        model="whisper-1", file=FILE, extra_body=extra
    )
    assert raw.headers["x-ignored-fields"] == "beam"
    job = httpx.get(f"{sdk.base_url}jobs/{raw.headers['x-job-id']}").json()
    options = job["options"]
    assert (options["beam_size"], options["hotwords"]) == (1, "Åsa")
    assert options["vad"]["threshold"] == 0.4


def test_it_waits_as_long_as_a_refusal_says(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.limits.QUEUE_RETRY_S", 1.0)
    with (
        RunningApi(redis_url, tmp_path, queue_limit=1) as api,
        openai.OpenAI(base_url=f"{api.url}/v1", api_key="any", max_retries=5) as sdk,
    ):
        httpx.post(f"{api.url}/v1/jobs", files={"file": FILE})
        with pytest.raises(openai.RateLimitError) as caught:
            sdk.with_options(max_retries=0).audio.transcriptions.create(
                model="whisper-1", file=FILE
            )
        assert caught.value.response.headers["retry-after"] == "1"
        with ScriptedWorker(redis_url):
            answer = sdk.audio.transcriptions.create(model="whisper-1", file=FILE)
    assert answer.text == TEXT


def test_it_comes_through_a_restart_of_redis(redis_server: RedisServer, tmp_path: Path) -> None:
    with (
        RunningApi(redis_server.url, tmp_path) as api,
        openai.OpenAI(base_url=f"{api.url}/v1", api_key="any", max_retries=5) as sdk,
    ):
        redis_server.kill()
        with pytest.raises(openai.InternalServerError) as caught:
            sdk.with_options(max_retries=0).audio.transcriptions.create(
                model="whisper-1", file=FILE
            )
        assert (caught.value.status_code, caught.value.code) == (503, "queue_unavailable")
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(sdk.audio.transcriptions.create, model="whisper-1", file=FILE)
            redis_server.start()
            with ScriptedWorker(redis_server.url):
                assert call.result(60).text == TEXT


def test_a_call_that_ran_out_of_time_meets_its_job_again(
    sdk: openai.OpenAI, worker: ScriptedWorker
) -> None:
    worker.gate.clear()
    impatient = sdk.with_options(timeout=0.5, max_retries=1)
    with pytest.raises(openai.APITimeoutError):
        impatient.audio.transcriptions.create(model="whisper-1", file=FILE)
    worker.gate.set()
    assert sdk.audio.transcriptions.create(model="whisper-1", file=FILE).text == TEXT
    assert len(worker.started) == 1
