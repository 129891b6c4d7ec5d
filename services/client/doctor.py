"""`whisper-sv doctor`: looks at everything a stack needs and says what to do about the rest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from services.client import data_folder, embedded_redis, error_answers, redis_binary
from services.client.answers import ReadyAnswer
from services.client.connection import address, is_elsewhere, reason
from services.client.findings import Finding, Verdict, bad, good, warning
from services.client.machine_checks import check_codecs, check_model, check_store
from services.client.redis_checks import check_redis
from services.client.up_command import DataDir
from services.contract.errors import SttError
from services.contract.settings import ClientSettings, child_environ, load

COLOURS = {Verdict.GOOD: "green", Verdict.WARNING: "yellow", Verdict.BAD: "red"}


def doctor(
    data_dir: DataDir = Path("data"),
    model: Annotated[str | None, typer.Option(help="As for `up`; else STT_MODEL.")] = None,
) -> None:
    """Check Redis, clock, store, codecs, model, device and API; say what to do.

    A stack that `up` runs is found by its --data-dir, any other by the STT_ settings. Exit
    status 1 if something does not work.
    """
    console = Console()
    is_well = True
    for finding in look(data_dir, model):
        _show(console, finding)
        is_well = is_well and finding.verdict is not Verdict.BAD
    if not is_well:
        raise typer.Exit(1)


def look(data_dir: Path, model: str | None) -> Iterator[Finding]:
    """Yield every finding as soon as it is known."""
    given = load(ClientSettings)
    changes = {**data_folder.defaults(data_dir, given), **data_folder.address(data_dir, given)}
    if model is not None:
        changes["STT_MODEL"] = model
    settings = load(ClientSettings, child_environ(changes))
    if "STT_REDIS_URL" in changes and not embedded_redis.socket_path(data_dir).exists():
        yield _embedded_redis(data_dir)
    else:
        yield from check_redis(settings.redis_url)
    yield from check_store(settings)
    yield from check_codecs()
    yield from check_model(settings)
    yield _api(settings.base_url)


def _embedded_redis(data_dir: Path) -> Finding:
    try:
        server = redis_binary.for_folder(data_dir.resolve() / "redis")
        return good("Redis", f"not running; `up` will start {server}")
    except SttError as error:
        return bad("Redis", error.message)


def _api(given: str) -> Finding:
    try:
        base_url = address(given)
        trust_env = is_elsewhere(base_url)
        answer = httpx.get(f"{base_url}/readyz", timeout=5.0, trust_env=trust_env)
        if answer.is_success:
            ReadyAnswer.read(answer.content, answer.url)
            return good("API", f"{base_url} is ready")
    except SttError as error:
        return bad("API", error.message, "correct STT_BASE_URL")
    except httpx.RequestError as error:
        told = f"nothing answers at {base_url} ({reason(error)})"
        return warning("API", told, "`whisper-sv up`, or STT_BASE_URL")
    try:
        checks = ReadyAnswer.read(answer.content, answer.url).checks
    except SttError:
        return bad("API", error_answers.from_response(answer).message)
    states = ", ".join(f"{part} {state}" for part, state in checks.items())
    return bad("API", f"{base_url} is not ready: {states}")


def _show(console: Console, finding: Finding) -> None:
    colour = COLOURS[finding.verdict]
    line = f"[{colour}]{finding.verdict.value:<4}[/] {finding.subject:<12}"
    console.print(line, escape(finding.detail), soft_wrap=True, highlight=False)
    if finding.advice:
        console.print(f"     {'':<12} -> {escape(finding.advice)}", soft_wrap=True, highlight=False)
