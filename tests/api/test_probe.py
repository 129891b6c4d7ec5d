"""The probe: typed answers, and a process that hangs or dies costs one upload at most."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import psutil
import pytest

from services.api import probe_process
from services.api.probe import COMMAND, N_PROCESSES, Probe
from services.api.wav_header import wav_duration
from services.contract import audio_formats
from services.contract.audio_store import AudioStore
from services.contract.errors import (
    AudioStoreError,
    EmptyAudioError,
    SttError,
    UnsupportedAudioError,
)
from tests.api.recordings import (
    RARE,
    amr_with_pauses,
    browser_webm,
    cut_film,
    encoded,
    flv_with_a_late_picture,
    repeated_table,
    stream_at,
    wav,
)
from tests.waiting import wait_until

HANG = (sys.executable, "-c", "import sys, time; sys.stdin.readline(); time.sleep(60)")
CRASH = (sys.executable, "-c", "import os, sys; sys.stdin.readline(); os.abort()")


@pytest.fixture
def store(tmp_path: Path) -> AudioStore:
    return AudioStore(f"file://{tmp_path}")


def put(store: AudioStore, key: str, body: bytes) -> int:
    with store.writer(key) as writer:
        writer.write(body)
        writer.commit()
    return len(body)


@contextmanager
def running(probe: Probe) -> Iterator[Probe]:
    probe.start()
    try:
        yield probe
    finally:
        probe.close()


def look(probe: Probe, key: str, n_bytes: int) -> float:
    return anyio.run(probe.duration, key, n_bytes)


def test_durations_are_counted_not_believed(store: AudioStore) -> None:
    bodies = {"webm": browser_webm(3.0), "m4a": encoded("m4a", 3.0), "wav": wav(3.0)}
    with running(Probe(store.url, 10)) as probe:
        for key, body in bodies.items():
            assert look(probe, key, put(store, key, body)) == pytest.approx(3.0, abs=0.15)


def test_packets_are_counted_by_their_clock(store: AudioStore) -> None:
    """Matroska rounds the durations of packets to milliseconds."""
    with running(Probe(store.url, 10)) as probe:
        n_bytes = put(store, "mka", encoded("mka", 20.0))
        assert look(probe, "mka", n_bytes) == pytest.approx(20.0, abs=0.1)


def test_a_pause_of_the_clock_counts(store: AudioStore) -> None:
    early, late = stream_at(0.0, 2.0), stream_at(7.0, 2.0)
    with running(Probe(store.url, 10)) as probe:
        assert look(probe, "pause", put(store, "pause", early + late)) == pytest.approx(
            9.0, abs=0.3
        )


def test_what_is_not_to_be_played_does_not_count(store: AudioStore) -> None:
    """A film that was cut without encoding it again keeps the sound before its first picture."""
    n_bytes = put(store, "film", cut_film(5.0, begins_s=-2.0))
    assert probe_process.duration(store, "film", n_bytes) == pytest.approx(3.0, abs=0.1)


def test_a_pause_at_the_start_of_a_phone_s_recording_is_no_damage(store: AudioStore) -> None:
    n_bytes = put(store, "a", amr_with_pauses())
    assert probe_process.duration(store, "a", n_bytes) == pytest.approx(41.84, abs=0.1)


def test_it_sees_what_the_worker_will(store: AudioStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are another container, too, are WAV; and no packet may be too large."""
    plain = wav(1.5)
    n_bytes = put(store, "a", plain[:4] + b"moov" + plain[8:])
    assert probe_process.duration(store, "a", n_bytes) == pytest.approx(1.5)
    monkeypatch.setattr(audio_formats, "MAX_PACKET_SAMPLES", 100)
    with pytest.raises(UnsupportedAudioError, match="cannot be decoded"):
        probe_process.duration(store, "a", n_bytes)


@pytest.mark.parametrize(("body", "seconds"), RARE.values(), ids=RARE)
def test_rare_containers_are_taken(store: AudioStore, body: bytes, seconds: float) -> None:
    n_bytes = put(store, "a", body)
    assert probe_process.duration(store, "a", n_bytes) == pytest.approx(seconds, abs=0.2)


def test_a_large_file_without_a_duration_is_counted_too(store: AudioStore) -> None:
    put(store, "webm", browser_webm(3.0))
    with running(Probe(store.url, 10)) as probe:
        assert look(probe, "webm", 10**9) == pytest.approx(3.0, abs=0.15)


def test_a_bucket_that_fails_is_not_blamed_on_the_file(store: AudioStore) -> None:
    told = {"code": AudioStoreError.code, "message": "The audio store cannot be used."}
    said = f"import sys; sys.stdin.readline(); print({json.dumps(json.dumps(told))}, flush=True)"
    with (
        running(Probe(store.url, 10, (sys.executable, "-c", said))) as probe,
        pytest.raises(AudioStoreError, match="cannot be used"),
    ):
        look(probe, "a", 1)


def test_a_bucket_that_is_slow_is_not_blamed_on_the_file(
    store: AudioStore, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store, "_is_local", False)  # a bucket has no files of its own
    with store.writer("a") as writer:
        writer.write(wav())
        writer.commit()
    with probe_process._opened(store, "a"):
        words = capfd.readouterr().out.splitlines()
    reading, looking = words[:2]
    assert words == [reading, looking] * (len(words) // 2) and len(words) > 2, "open, then reads"
    for said, kind in ((reading, AudioStoreError), (looking, UnsupportedAudioError)):
        program = f"import sys, time; sys.stdin.readline(); print({said!r}, flush=True)"
        command = (sys.executable, "-c", f"{program}; time.sleep(60)")
        with running(Probe(store.url, 1, command)) as probe, pytest.raises(kind, match="1 s"):
            look(probe, "a", 1)


def test_a_limit_on_memory_from_outside_is_kept(store: AudioStore) -> None:
    limited = ("sh", "-c", 'ulimit -v 3000000; exec "$@"', "sh", *COMMAND)
    n_bytes = put(store, "a", encoded("flac"))
    with running(Probe(store.url, timeout_s=20, command=limited)) as probe:
        assert look(probe, "a", n_bytes) == pytest.approx(1.0, abs=0.1)


def test_a_small_file_that_needs_much_memory_is_refused(store: AudioStore) -> None:
    """Else the worker would need it as well, for each such file at once."""
    with running(Probe(store.url, 60)) as probe:
        assert look(probe, "small", put(store, "small", repeated_table(100_000))) > 0
        with pytest.raises(EmptyAudioError):  # That is what FFmpeg makes of a refused table.
            look(probe, "large", put(store, "large", repeated_table(20_000_000)))
        assert look(probe, "a", put(store, "a", encoded("flac"))) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("command", "words"), [(HANG, "longer than 0.3 s"), (CRASH, "crashes")])
def test_a_process_that_hangs_or_dies_is_replaced(
    store: AudioStore, command: tuple[str, ...], words: str
) -> None:
    n_bytes = put(store, "a", wav())
    with running(Probe(store.url, 0.3, command)) as probe:
        for _ in range(N_PROCESSES + 1):
            with pytest.raises(UnsupportedAudioError, match=words):
                look(probe, "a", n_bytes)


def test_a_process_that_ends_by_itself_is_replaced_and_its_pipes_are_closed(
    store: AudioStore,
) -> None:
    said = json.dumps({"duration": 1.0})
    command = (sys.executable, "-c", f"input(); print({said!r})")
    before = running_children()
    with running(Probe(store.url, 10, command)) as probe:
        for _ in range(2):
            assert look(probe, "a", 1) == 1.0
            wait_until(lambda: running_children() <= before, what="its end")


def running_children() -> set[int]:
    children = psutil.Process().children()
    return {child.pid for child in children if child.status() != psutil.STATUS_ZOMBIE}


def test_errors_keep_their_kind(store: AudioStore) -> None:
    with running(Probe(store.url, 10)) as probe:
        with pytest.raises(EmptyAudioError):
            look(probe, "empty", put(store, "empty", wav(0.0)))
        with pytest.raises(UnsupportedAudioError, match="no audio stream"):
            video = encoded("mp4", video=True, audio=False)
            look(probe, "video", put(store, "video", video))
        with pytest.raises(SttError):
            look(probe, "gone", 1)


@pytest.mark.parametrize("kind", ["s16", "f32", "f64"])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_plain_wav_is_read_without_a_decoder(kind: str, channels: int) -> None:
    body = wav(1.5, kind=kind, channels=channels)
    assert wav_duration(body[:4096], len(body)) == 1.5


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"RIFF",
        wav()[:40],
        wav(0.0),
        wav()[:-100],
        wav().replace(b"\x01\x00\x01\x00", b"\x02\x00\x01\x00", 1),
        encoded("flac"),
    ],
)
def test_what_is_not_plain_wav_is_left_to_the_probe(body: bytes) -> None:
    assert wav_duration(body[:4096], len(body)) is None


def test_timestamps_that_jump_do_not_lengthen_a_recording(store: AudioStore) -> None:
    early, late = stream_at(0.0, 2.0), stream_at(90_000.0, 2.0)
    with running(Probe(store.url, 10)) as probe:
        n_bytes = put(store, "jump", early + late)
        assert look(probe, "jump", n_bytes) == pytest.approx(4.0, abs=0.3)


def test_a_track_that_begins_late_is_no_error(store: AudioStore) -> None:
    with running(Probe(store.url, 10)) as probe:
        n_bytes = put(store, "late", flv_with_a_late_picture(60.0))
        assert look(probe, "late", n_bytes) == pytest.approx(60.0, abs=0.15)
