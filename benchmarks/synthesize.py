"""Clips per second and core that `synthesize` makes: text in, effects and audio file included.

    python benchmarks/synthesize.py [--format flac] [--clips 500]

Counts processor seconds of one process, so that other work on the machine does not change it.
"""

import argparse
import tempfile
import time
from pathlib import Path

from training.synthesize import batches
from training.synthesize.config import SynthesizeConfig
from training.synthesize.plan import plan


def main() -> None:
    """Make the clips in this process and print the rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=("flac", "wav", "mp3"), default="flac")
    parser.add_argument("--clips", type=int, default=500)
    chosen = parser.parse_args()
    config = SynthesizeConfig(
        n_train=chosen.clips, n_dev=0, n_test=0, audio_format=chosen.format, n_processes=1
    )
    clips = plan(config)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        for batch in batches.cut(clips, Path(folder), Path(folder)):
            batches.speak(batch, config)
        seconds = time.process_time() - began
    print(f"{chosen.format}: {len(clips) / seconds:.0f} clips per processor second")


if __name__ == "__main__":
    main()
