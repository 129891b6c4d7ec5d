"""The same promises on a folder, on S3 (a moto server) and in memory."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from services.contract import audio_store
from services.contract.audio_store import AudioStore, new_key
from services.contract.errors import (
    AudioExpiredError,
    AudioStoreError,
    SettingsError,
    StoreFullError,
)

MIB = 1024 * 1024


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Address of a moto server on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, reached as an operator would configure it: by AWS variables."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = f"b{new_key()}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/recordings"


@pytest.fixture
def unknown_to_s3fs() -> Iterator[None]:
    """Let s3fs look at the environment anew: it keeps a file system for each set of arguments."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(params=["file", "s3", "memory"])
def audio(request: pytest.FixtureRequest, tmp_path: Path) -> AudioStore:
    """An empty audio store of each kind."""
    match request.param:
        case "file":
            return AudioStore(f"file://{tmp_path}/audio")
        case "s3":
            return AudioStore(request.getfixturevalue("s3_url"))
        case _:
            return AudioStore(f"memory://{new_key()}")


def put(audio: AudioStore, data: bytes, key: str | None = None) -> str:
    key = key or new_key()
    with audio.writer(key) as writer:
        writer.write(data)
        writer.commit()
    return key


def read(audio: AudioStore, key: str) -> bytes:
    with audio.open(key) as recording:
        return recording.read()


def test_committed_recording_reads_back(audio: AudioStore) -> None:
    data = os.urandom(100_000)
    key = put(audio, data)
    assert read(audio, key) == data
    assert audio.size(key) == len(data)
    assert audio.exists(key)
    assert list(audio.keys()) == [key]


def test_recording_is_seekable_and_readers_are_independent(audio: AudioStore) -> None:
    key = put(audio, bytes(range(200)))
    with audio.open(key) as first, audio.open(key) as second:
        assert first.seek(100) == 100
        assert first.read(3) == bytes([100, 101, 102])
        assert second.read(2) == bytes([0, 1])


def test_large_recording_in_many_writes(audio: AudioStore) -> None:
    key, block = new_key(), os.urandom(MIB)
    with audio.writer(key) as writer:
        for _ in range(12):
            writer.write(block)
        writer.commit()
    assert audio.size(key) == 12 * MIB
    with audio.open(key) as recording:
        recording.seek(11 * MIB)
        assert recording.read() == block


def test_reader_of_a_bucket_does_not_fetch_a_recording_at_once(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    audio, sizes = AudioStore(s3_url), []
    key = put(audio, bytes(12 * MIB))
    fetched = s3fs.S3File._fetch_range

    def fetch(file: object, start: int, end: int) -> bytes:
        sizes.append(end - start)
        return bytes(fetched(file, start, end))

    monkeypatch.setattr(s3fs.S3File, "_fetch_range", fetch)
    with audio.open(key) as file:
        while file.read(32 * 1024):
            pass
    assert sum(sizes) == 12 * MIB and max(sizes) < 5 * MIB


def test_recording_that_goes_while_it_is_read_has_expired(s3_url: str) -> None:
    audio = AudioStore(s3_url)
    key = put(audio, b"abc")
    with audio.open(key) as file:
        audio.delete(key)
        with pytest.raises(AudioExpiredError):
            file.read(3)


@pytest.mark.parametrize("is_patient", [False, True])
def test_bucket_that_fails_while_a_recording_is_read(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, is_patient: bool
) -> None:
    """It answers at the opening; what comes later is an error of ours too, or read again."""
    import s3fs

    audio = AudioStore(s3_url)
    key = put(audio, b"abcdef")
    failures = [OSError(121, "We encountered an internal error.")] * 2
    fetched = s3fs.S3File._fetch_range

    def fetch(file: object, start: int, end: int) -> bytes:
        if failures:
            raise failures.pop()
        return bytes(fetched(file, start, end))

    def patiently(read: Callable[[int], bytes], n_bytes: int) -> bytes:
        while True:
            with suppress(AudioStoreError):
                return read(n_bytes)

    monkeypatch.setattr(s3fs.S3File, "_fetch_range", fetch)
    if not is_patient:
        with audio.open(key) as file, pytest.raises(AudioStoreError, match="OSError"):
            file.read(3)
        return
    with audio.open(key, patiently) as file:
        file.seek(1)
        assert (file.read(3), file.tell(), file.read(), file.read(1)) == (b"bcd", 4, b"ef", b"")


@pytest.mark.parametrize("size", [10, 12 * MIB])
def test_dropped_upload_leaves_nothing(audio: AudioStore, size: int) -> None:
    key = new_key()
    with pytest.raises(RuntimeError, match="client gone"), audio.writer(key) as writer:
        writer.write(bytes(size))
        raise RuntimeError("client gone")
    assert not audio.exists(key)
    assert list(audio.keys()) == []
    assert audio.sweep_unfinished(0) == 0, "nothing was left for the sweeper"


def test_upload_is_invisible_before_commit(audio: AudioStore) -> None:
    key = new_key()
    with audio.writer(key) as writer:
        writer.write(bytes(12 * MIB))
        assert not audio.exists(key)
        assert list(audio.keys()) == []
        writer.commit()
    assert audio.exists(key)


def test_missing_recording_is_expired(audio: AudioStore) -> None:
    key = new_key()
    with pytest.raises(AudioExpiredError):
        audio.open(key).close()
    with pytest.raises(AudioExpiredError):
        audio.size(key)
    audio.delete(key)


def test_deleted_recording_is_gone(audio: AudioStore) -> None:
    key = put(audio, b"abc")
    audio.delete(key)
    audio.delete(key)
    assert not audio.exists(key)
    with pytest.raises(AudioExpiredError):
        read(audio, key)


def test_check_leaves_nothing(audio: AudioStore) -> None:
    audio.check()
    assert list(audio.keys()) == []


def test_keys_by_age(audio: AudioStore) -> None:
    put(audio, b"abc")
    assert list(audio.keys(older_than_s=3600)) == []


@pytest.mark.parametrize("key", ["../x", "a/b", "", ".x.part", "a" * 200, "a\0b", "/etc/passwd"])
def test_key_that_is_not_ours_is_refused(audio: AudioStore, key: str) -> None:
    with pytest.raises(AudioStoreError):
        audio.writer(key)
    with pytest.raises(AudioStoreError):
        audio.open(key)
    with pytest.raises(AudioStoreError):
        audio.delete(key)


@pytest.mark.parametrize("audio", ["file", "s3"], indirect=True)
def test_upload_cut_off_by_a_crash_is_swept(audio: AudioStore) -> None:
    abandoned = audio.writer(new_key())
    abandoned.write(bytes(12 * MIB))
    if audio.url.startswith("file"):  # moto says that every upload began in 2010
        assert audio.sweep_unfinished(3600) == 0, "a running upload is left alone"
    assert audio.sweep_unfinished(0) == 1
    assert audio.sweep_unfinished(0) == 0
    abandoned.abort()


def test_local_path_is_the_file_itself(tmp_path: Path) -> None:
    audio = AudioStore(f"file://{tmp_path}/audio")
    key = put(audio, b"abc")
    path = audio.local_path(key)
    assert path is not None and path.read_bytes() == b"abc"
    assert path.stat().st_mode & 0o077 == 0, "only this user may read recordings"
    assert AudioStore("memory://x").local_path(key) is None


def test_relative_url_is_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key = put(AudioStore("file://./data/audio%20here"), b"abc")
    assert (tmp_path / "data/audio here" / key).read_bytes() == b"abc"


def test_unknown_protocol_is_a_setting_error() -> None:
    with pytest.raises(SettingsError, match="STT_AUDIO_STORE_URL"):
        AudioStore("gopher9://x/y")


@pytest.mark.usefixtures("unknown_to_s3fs")
def test_unreachable_bucket_is_an_audio_store_error(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(AudioStoreError):
        AudioStore(s3_url).check()


@pytest.mark.parametrize("size", [10, 12 * MIB], ids=["at commit", "at write"])
def test_full_disk_is_store_full_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    audio = AudioStore(f"file://{tmp_path}/audio")
    with (
        open("/dev/full", "wb") as full,
        pytest.raises(StoreFullError),
        audio.writer(new_key()) as writer,
    ):
        os.dup2(full.fileno(), writer._pending._file.fileno())  # type: ignore[attr-defined]
        writer.write(bytes(size))
        writer.commit()
    assert list((tmp_path / "audio").iterdir()) == []


def test_unwritable_folder_is_an_audio_store_error(tmp_path: Path) -> None:
    (tmp_path / "audio").write_text("a file where the folder should be")
    with pytest.raises(AudioStoreError):
        AudioStore(f"file://{tmp_path}/audio").check()


@pytest.mark.parametrize("at", ["open", "commit"])
def test_folder_that_vanished_is_an_audio_store_error(tmp_path: Path, at: str) -> None:
    audio = AudioStore(f"file://{tmp_path}/audio")
    with pytest.raises(AudioStoreError):
        if at == "open":
            shutil.rmtree(tmp_path / "audio")
        with audio.writer(new_key()) as writer:
            shutil.rmtree(tmp_path / "audio")
            writer.commit()


@pytest.mark.usefixtures("unknown_to_s3fs")
def test_bucket_that_never_answers_is_given_up(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(audio_store, "S3_TIMEOUTS", {"connect_timeout": 1, "read_timeout": 0.1})
    with silent, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(AudioStore(s3_url).size, "some-key")
        assert isinstance(asked.exception(timeout=45), AudioStoreError)


def test_bucket_that_does_not_exist_is_an_audio_store_error(s3_url: str) -> None:
    with pytest.raises(AudioStoreError):
        AudioStore(f"s3://none-{new_key()}/recordings").check()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:9/x", "nonsense://x", "s3://"])
def test_an_address_that_is_no_store_names_its_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="STT_AUDIO_STORE_URL"):
        AudioStore(url)


def test_a_folder_that_cannot_be_made_names_its_setting() -> None:
    with pytest.raises(AudioStoreError, match="STT_AUDIO_STORE_URL"):
        AudioStore("file:///proc/nothing/audio")
