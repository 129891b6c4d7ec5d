"""How fast `prepare` reads mp3 on one core, and whether its memory grows with the corpus.

    python benchmarks/prepare.py [--hours 1 10] [--workers 1]

Speaks some sentences with espeak-ng, encodes them as Common Voice does (mp3, 48 kHz, 64 kbit/s) and
repeats them, each copy with a tag of its own so that it is no duplicate, to corpora of the given
sizes. Each size is prepared by a fresh process; the kernel counts CPU time and peak memory.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import av

WORDS = "katten hunden solen månen bilen båten huset skogen vägen sjön bordet stolen".split()
N_SENTENCES = 60
RUN = """
import sys
from training.prepare.config import PrepareConfig
from training.prepare.run import prepare
if __name__ == "__main__":
    filters = {"max_repeats_per_sentence": 10**9, "duplicate_sentences": False}
    splits = {"dev_share": 0, "test_share": 0}
    options = {"filters": filters, "splits": splits, "trim_silence": True}
    config = {"source": sys.argv[1], "workers": int(sys.argv[3]), **options}
    prepare(PrepareConfig.model_validate(config), sys.argv[2])
"""


def speak(folder: Path) -> list[tuple[bytes, str, float]]:
    """Return mp3 bytes, text and seconds of the spoken sentences."""
    clips = []
    for number in range(N_SENTENCES):
        words = [WORDS[(number * step + step) % len(WORDS)] for step in (1, 5, 7, 11, 2, 3)]
        text = " ".join(words).capitalize() + "."
        wav, mp3 = folder / "clip.wav", folder / "clip.mp3"
        speed = str(130 + number)
        subprocess.run(["espeak-ng", "-v", "sv", "-s", speed, "-w", str(wav), text], check=True)
        clips.append((encode(wav, mp3), text, duration_s(wav)))
    return clips


def encode(wav: Path, mp3: Path) -> bytes:
    with av.open(str(wav)) as source, av.open(str(mp3), "w", format="mp3") as target:
        stream = target.add_stream("libmp3lame", rate=48_000, layout="mono")
        stream.bit_rate = 64_000
        resampler = av.AudioResampler(format="s16p", layout="mono", rate=48_000, frame_size=1152)
        for frame in [*source.decode(audio=0), None]:
            for part in resampler.resample(frame):
                target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return mp3.read_bytes()


def duration_s(wav: Path) -> float:
    with av.open(str(wav)) as source:
        return float((source.duration or 0) / av.time_base)


def write_release(folder: Path, clips: list[tuple[bytes, str, float]], hours: float) -> float:
    """Write a release of at least so many hours; return its seconds of audio."""
    (folder / "clips").mkdir(parents=True)
    lines, seconds = ["client_id\tpath\tsentence"], 0.0
    for number in count():
        if seconds >= hours * 3600:
            break
        mp3, text, clip_s = clips[number % len(clips)]
        name = f"clip_{number:07d}.mp3"
        tag = b"TAG" + name.encode().ljust(
            125, b"\0"
        )  # ID3v1: read by nobody, hashed with the file
        (folder / "clips" / name).write_bytes(mp3 + tag)
        lines.append(f"speaker{number % 97}\t{name}\t{text}")
        seconds += clip_s
    (folder / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return seconds


def measure(release: Path, out: Path, workers: int) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and the peak memory of the main process in MB."""
    script = out.with_suffix(".py")
    script.write_text(RUN)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    began = time.perf_counter()
    command = [sys.executable, str(script), str(release), str(out), str(workers)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"prepare ended with {process.returncode}")
    wall_s = time.perf_counter() - began
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = speak(folder)
        print(
            f"{'audio':>9} {'wall':>9} {'CPU':>9} {'x real time per core':>21} {'peak memory':>12}"
        )
        for hours in arguments.hours:
            seconds = write_release(folder / f"{hours}h", clips, hours)
            out = folder / f"{hours}h-out"
            wall_s, cpu_s, peak_mb = measure(folder / f"{hours}h", out, arguments.workers)
            print(
                f"{seconds / 3600:>7.2f} h {wall_s:>7.1f} s {cpu_s:>7.1f} s"
                f" {seconds / cpu_s:>20.0f}x {peak_mb:>9.0f} MB"
            )


if __name__ == "__main__":
    main()
