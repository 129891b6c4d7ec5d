"""From the request's stream to the audio store: what an upload keeps on its way."""

import tracemalloc
from pathlib import Path

from services.api.uploads import FLUSH_BYTES, Upload, readable
from services.contract.audio_store import AudioStore


def test_a_recording_in_tiny_pieces_is_kept_in_little_memory(tmp_path: Path) -> None:
    # A slow client, or one that means harm, sends each byte by itself.
    store = AudioStore(f"file://{tmp_path}")
    upload = Upload(store, max_bytes=10**6)
    tracemalloc.start()
    try:
        for _ in range(50_000):
            if upload.take([memoryview(b"a")]):
                upload.flush()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    upload.commit()
    assert store.open(upload.key).read() == b"a" * 50_000
    assert peak_bytes < FLUSH_BYTES


def test_sizes_are_told_as_people_read_them() -> None:
    told = [readable(n) for n in (1024, 1_500_000, 300 * 2**20, 2 * 2**30, 2_500_000_000)]
    assert told == ["1 KiB", "1.4 MiB", "300 MiB", "2 GiB", "2.3 GiB"]
