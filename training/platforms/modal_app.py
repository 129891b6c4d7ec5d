"""Trains on Modal: checkpoints live in a volume, calls that run out of time are made again.

    pip install modal && modal setup
    modal volume create whisper-sv
    modal volume put whisper-sv prepared.tar.gz /prepared.tar.gz
    modal run -m training.platforms.modal_app --config training/configs/small-sv.yaml
    modal volume get whisper-sv /runs/small-sv/bundle bundle

If the machine that started it goes away, the same `modal run` continues from the last checkpoint.
"""

import sys
from pathlib import Path

import modal

from training.platforms.until_done import run, until_done

ROOT = Path(__file__).parents[2]
DATA = Path("/data")
HOUR_S = 3600

image = (
    modal.Image.debian_slim(python_version="3.11")
    .apt_install("espeak-ng", "wswedish")
    .add_local_file(ROOT / "requirements.lock", "/requirements.lock", copy=True)
    .pip_install_from_pyproject(
        str(ROOT / "pyproject.toml"),
        optional_dependencies=["train", "cuda"],
        extra_options="--constraint /requirements.lock",
    )
    .env({"HF_HOME": str(DATA / "hub")})
    .add_local_dir(ROOT / "services", "/root/services")
    .add_local_dir(ROOT / "training", "/root/training")
)
app = modal.App("whisper-sv-train")
volume = modal.Volume.from_name("whisper-sv", create_if_missing=True)


@app.function(image=image, gpu="A10", volumes={str(DATA): volume}, timeout=4 * HOUR_S)  # type: ignore[untyped-decorator]
def train_once(config: str, max_time: str) -> int:
    """Train on a GPU for at most `max_time`; returns the exit code."""
    code = run(command(config, max_time, DATA), cwd=ROOT)
    volume.commit()
    return code


@app.local_entrypoint()  # type: ignore[untyped-decorator]
def main(config: str = "training/configs/small-sv.yaml", max_time: str = "3h30m") -> None:
    """Call until the run is done. `max_time` must stay below the function's timeout of 4 h."""
    sys.exit(until_done(lambda: int(train_once.remote(config, max_time))))


def command(config: str, max_time: str, data: Path) -> list[str]:
    """Return the recipe on the archive and run folder of the volume."""
    work_dir = data / "runs" / Path(config).stem
    return [
        *(sys.executable, "-m", "training", "recipe", "--config", config),
        *("--set", f"prepared={data / 'prepared.tar.gz'}"),
        *("--set", f"work_dir={work_dir}"),
        *("--set", f"deploy.models_dir={data / 'models'}"),
        *("--max-time", max_time),
    ]
