"""Every benchmark that needs no GPU in turn, or the named ones: `python -m benchmarks [NAME ...]`.

Each runs in a process of its own and prints its ratios; each has options of its own, which
`python -m benchmarks.NAME --help` shows.
"""

import argparse
import subprocess
import sys

SERVING = (
    "latency",
    "short_beside_long",
    "http_throughput",
    "engine",
    "encoder",
    "long_file",
    "uploads",
    "soak",
)
#: Only where they are named.
ON_A_GPU = ("gpu",)
TRAINING = ("prepare", "synthesize", "train_throughput", "evaluate_throughput")


def main() -> int:
    """Run the benchmarks; return 0 if all of them ran and reached their targets."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*SERVING, *TRAINING, *ON_A_GPU, []], metavar="NAME"
    )
    failed = [name for name in parser.parse_args().names or SERVING + TRAINING if not run(name)]
    if failed:
        print(f"error: did not run, or missed a target: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str) -> bool:
    """Run one benchmark as its own process."""
    print(f"\n== {name}", flush=True)
    return subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
