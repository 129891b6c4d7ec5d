"""Everything real at once: `whisper-sv up` with Redis, API and worker; speech; stock SDKs.

The tiny model says one sentence to whatever it hears, so that the words are known.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.api.recordings import wav
from tests.running_stack import RunningStack
from tests.tiny_model import SENTENCE

Speak = Callable[..., Path]
ROUTE = "/v1/audio/transcriptions"
#: One row per format that clients send: ffmpeg's options for it.
CODECS = {
    "wav": [],
    "flac": [],
    "mp3": [],
    "m4a": ["-c:a", "aac"],
    "ogg": ["-c:a", "libopus"],
    "webm": ["-c:a", "libopus", "-f", "webm", "-live", "1"],
    "mp4": ["-f", "lavfi", "-i", "color=s=64x64:r=5", "-shortest", "-c:v", "mpeg4"],
    # As news cameras write it: mono tracks of 24 bits beside MPEG-2.
    "mxf": ["-f", "lavfi", "-i", "color=s=720x576:r=25", "-shortest", "-ar", "48k"],
}


@pytest.fixture
def sdk(stack: RunningStack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def http(stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        yield client


def test_speech_becomes_text(sdk: openai.OpenAI, speech: Speak) -> None:
    answer = sdk.audio.transcriptions.create(
        model="whisper-1", file=speech("Hej och välkommen till provet"), language="sv"
    )
    assert answer.text == SENTENCE


def test_words_have_times_within_the_recording(sdk: openai.OpenAI, speech: Speak) -> None:
    answer = sdk.audio.transcriptions.create(
        model="whisper-1",
        file=speech("Det här är en mening med tider"),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert answer.segments and answer.words
    assert [w.word.strip() for w in answer.words] == SENTENCE.split()
    assert all(0 <= w.start <= w.end <= answer.duration for w in answer.words)


def test_text_streams(sdk: openai.OpenAI, speech: Speak) -> None:
    stream = sdk.audio.transcriptions.create(
        model="whisper-1", file=speech("Texten kommer bit för bit"), stream=True
    )
    events = list(stream)
    assert events[-1].type == "transcript.text.done"
    assert "".join(e.delta for e in events[:-1]) == events[-1].text == SENTENCE  # type: ignore[union-attr]


def test_many_callers_at_once(stack: RunningStack, speech: Speak) -> None:
    clips = [speech(f"Det här är klipp nummer {number}") for number in range(12)]

    async def send_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key="any") as sdk:
            calls = (sdk.audio.transcriptions.create(model="tiny", file=c) for c in clips)
            return [answer.text for answer in await asyncio.gather(*calls)]

    assert asyncio.run(send_all()) == [SENTENCE] * len(clips)


@pytest.mark.parametrize(
    "suffix",
    [
        suffix if suffix in ("m4a", "webm") else pytest.param(suffix, marks=pytest.mark.slow)
        for suffix in CODECS
    ],
)
def test_real_codecs(http: httpx.Client, speech: Speak, tmp_path: Path, suffix: str) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    recording = tmp_path / f"clip.{suffix}"
    spoken = speech("Samma mening i många format")
    command = ["ffmpeg", "-v", "error", "-i", str(spoken), *CODECS[suffix], str(recording)]
    subprocess.run(command, check=True)
    answer = http.post(ROUTE, files={"file": (recording.name, recording.read_bytes())})
    assert answer.json()["text"] == SENTENCE, answer.text


@pytest.mark.parametrize("what", ["silence", "20 ms"])
def test_without_speech_the_text_is_empty(http: httpx.Client, what: str) -> None:
    silence = wav(2.0)[:44] + bytes(64_000)
    body = silence if what == "silence" else wav(0.02)
    answer = http.post(ROUTE, files={"file": ("a.wav", body)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == ""


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("prompt", "ett två tre fyra " * 200, "prompt_too_long"),
        ("language", "en", "unsupported_language"),
    ],
)
def test_what_the_model_cannot_do_is_a_typed_error(
    http: httpx.Client, speech: Speak, field: str, value: str, code: str
) -> None:
    body = speech("En mening").read_bytes()
    answer = http.post(ROUTE, data={field: value}, files={"file": ("a.wav", body)})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == code


def test_a_damaged_recording_fails_and_its_neighbour_does_not(
    http: httpx.Client, speech: Speak
) -> None:
    spoken = speech("En hel och fin inspelning").read_bytes()
    damaged = spoken[:44] + os.urandom(20_000)
    answers = [http.post(ROUTE, files={"file": ("a.wav", body)}) for body in (damaged, spoken)]
    assert answers[0].status_code in (200, 400)
    assert answers[1].json()["text"] == SENTENCE


def test_a_job_with_subtitles(http: httpx.Client, speech: Speak) -> None:
    body = speech("Ett jobb med undertexter").read_bytes()
    job = http.post("/v1/jobs?batch=prov", content=body, headers={"content-type": "audio/wav"})
    with http.stream("GET", job.json()["links"]["events"]) as events:
        told = events.read().decode()
    assert "event: segments" in told and told.rstrip().splitlines()[-2] == "event: done"
    srt = http.get(job.json()["links"]["transcript"], params={"format": "srt"}).text
    assert srt.startswith("1\n00:00:0") and SENTENCE in srt
    assert http.get("/v1/batches/prov").json()["counts"]["succeeded"] == 1
    assert http.delete(job.headers["location"]).status_code == 200


NODE_SCRIPT = """
import OpenAI from 'openai';
import fs from 'fs';
const client = new OpenAI({ baseURL: process.argv[2] + '/v1', apiKey: 'any', maxRetries: 0 });
const file = () => fs.createReadStream(process.argv[3]);
const out = {};
const model = 'whisper-1';
out.json = (await client.audio.transcriptions.create({ model, file: file() })).text;
const verbose = await client.audio.transcriptions.create({
  model, file: file(), response_format: 'verbose_json',
  timestamp_granularities: ['word', 'segment'],
});
out.words = verbose.words.map((w) => w.word.trim());
out.vtt = await client.audio.transcriptions.create({
  model, file: file(), response_format: 'vtt',
});
out.events = [];
for await (const e of await client.audio.transcriptions.create({
  model, file: file(), stream: true,
})) out.events.push(e.type);
try {
  await client.audio.transcriptions.create({ model: 'gpt-9', file: file() });
} catch (error) { out.error = [error.status, error.code, error.param]; }
console.log(JSON.stringify(out));
"""


@pytest.mark.slow
def test_the_node_sdk(stack: RunningStack, speech: Speak, tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", "openai@^6"]
    if subprocess.run(install, cwd=tmp_path, timeout=300, check=False).returncode:
        pytest.skip("npm cannot install the SDK here")
    (tmp_path / "prov.mjs").write_text(NODE_SCRIPT)
    clip = str(speech("Det här kommer från Node"))
    command = ["node", "prov.mjs", stack.url, clip]
    run = subprocess.run(command, cwd=tmp_path, timeout=300, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    out = json.loads(run.stdout)
    assert out["json"] == SENTENCE
    assert out["words"] == SENTENCE.split()
    assert out["vtt"].startswith("WEBVTT") and SENTENCE in out["vtt"]
    assert out["events"][-1] == "transcript.text.done"
    assert out["error"] == [404, "model_not_found", "model"]
