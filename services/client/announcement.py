"""What `whisper-sv up` says once everything runs: where it is, how to try it, which model."""

from pathlib import Path

from rich.console import Console

from services.client.answers import ModelAnswer
from services.client.client import Client
from services.contract.errors import InvalidApiKeyError
from services.contract.settings import ClientSettings

REAL_MODEL = "KBLab/kb-whisper-small"


def show(console: Console, base_url: str, data_dir: Path, settings: ClientSettings) -> None:
    """Print the address, one recording to try, and a plain word about the demo model."""
    model = served_model(base_url, settings.api_key.get_secret_value())
    key = ' -H "Authorization: Bearer $STT_API_KEY"' if model is None else ""
    lines = [
        "",
        f"whisper-sv is ready: {base_url}",
        "",
        "Open it in a browser, or try:",
        "",
        f"  curl -s -o sample.mp3 {base_url}/page/sample.mp3",
        f"  curl -s {base_url}/v1/audio/transcriptions{key} -F model=whisper-1 -F file=@sample.mp3",
        "",
        *_about(model),
        f"Data and logs: {data_dir}. Ctrl-C stops everything.",
    ]
    for line in lines:
        style = "bold green" if line.startswith("whisper-sv is ready") else None
        console.print(line, style=style, soft_wrap=True, highlight=False, markup=False)


def served_model(base_url: str, key: str) -> ModelAnswer | None:
    """Return the model that is served; None if the API wants a key that we do not have."""
    try:
        with Client(base_url, key) as client:
            return next((model for model in client.models() if model.bundle), None)
    except InvalidApiKeyError:
        return None


def _about(model: ModelAnswer | None) -> list[str]:
    if model is None:
        return ["API keys are on: put yours in STT_API_KEY."]
    if not model.demo:
        return [f"Model: {model.bundle}"]
    return [
        f"Model: {model.bundle}, a demo that knows only synthetic Swedish speech.",
        f"For real speech:  whisper-sv up --model {REAL_MODEL}   (or: make run MODEL={REAL_MODEL})",
    ]
