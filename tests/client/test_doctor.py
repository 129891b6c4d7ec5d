"""What `whisper-sv doctor` finds, and says to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import Result

from tests.client.scripted_api import reply, scripted
from tests.running_stack import RunningStack
from tests.waiting import wait_until


@pytest.mark.slow
def test_doctor_finds_the_stack_well(
    run: Callable[..., Result], stack: RunningStack, tiny_bundle_dir: Path
) -> None:
    result = run("doctor", "--data-dir", stack.data_dir, "--model", tiny_bundle_dir)
    assert result.exit_code == 0, result.output
    for told in (
        "append-only file on",
        "none; ",
        "can be written",
        "tiny@1",
        "is ready",
        "decodes",
    ):
        assert told in result.stdout


def test_doctor_reads_the_address_as_the_other_commands_do(
    run: Callable[..., Result],
    stack: RunningStack,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("STT_AUDIO_STORE_URL", f"file://{tmp_path}/a%20b")
    words = ("doctor", "--data-dir", stack.data_dir, "--model", tmp_path / "none")
    for address in (f"{stack.url}/", f"{stack.url}/v1"):
        monkeypatch.setenv("STT_BASE_URL", address)
        assert f"{stack.url} is ready" in run(*words).stdout
    monkeypatch.setenv("STT_BASE_URL", "http://[::1")
    result = run(*words)
    assert "fail API" in result.stdout and "is not an address" in result.stdout
    assert "GiB free" in result.stdout


def test_doctor_finds_the_api_of_a_data_folder_on_whatever_port(
    run: Callable[..., Result], stack: RunningStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("STT_BASE_URL")
    words = ("doctor", "--model", tmp_path / "none", "--data-dir")
    assert f"{stack.url} is ready" in run(*words, stack.data_dir).stdout
    assert "http://127.0.0.1:8000" in run(*words, tmp_path).stdout


def test_doctor_does_not_take_another_server_for_the_api(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with scripted([reply(200, "<html>Welcome</html>")]) as (url, _):
        monkeypatch.setenv("STT_BASE_URL", url)
        result = run("doctor", "--data-dir", tmp_path, "--model", tmp_path / "none")
    assert "fail API" in result.stdout
    assert "is this the address of a whisper-sv API?" in result.stdout


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("<html>\n<h1>502</h1>\n</html>", "/readyz answered 503 Service Unavailable\n"),
        ('{"checks": {"redis": "ok", "worker": "no_worker"}}', "redis ok, worker no_worker\n"),
    ],
)
def test_doctor_says_in_one_line_why_the_api_is_not_ready(
    page: str,
    told: str,
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with scripted([reply(503, page)]) as (url, _):
        monkeypatch.setenv("STT_BASE_URL", url)
        result = run("doctor", "--data-dir", tmp_path, "--model", tmp_path / "none")
    assert told in result.stdout and "<h1>" not in result.stdout


def test_doctor_goes_the_way_of_the_other_commands(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the environment says of proxies and certificates holds for machines elsewhere."""
    words = ("doctor", "--data-dir", tmp_path, "--model", tmp_path / "none")
    monkeypatch.setenv("STT_BASE_URL", "http://stt.example")
    with scripted([reply(200, '{"checks": {"redis": "ok"}}')]) as (proxy, _):
        monkeypatch.setenv("http_proxy", proxy)
        assert "http://stt.example is ready" in run(*words).stdout
    # Nobody listens there any more.
    assert "nothing answers at http://stt.example (" in run(*words).stdout


def test_doctor_says_what_is_wrong_with_redis(
    run: Callable[..., Result],
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("STT_REDIS_URL", redis_url)
    with Redis.from_url(redis_url) as client:
        try:
            client.config_set("appendonly", "no")
            client.config_set("maxmemory-policy", "allkeys-lru")
            result = run("doctor", "--data-dir", tmp_path, "--model", tmp_path / "none")
        finally:
            client.config_set("appendonly", "yes")
            client.config_set("maxmemory-policy", "noeviction")
            # Until its first file is whole it does not end when the tests do.
            wait_until(
                lambda: not client.info("persistence")["aof_rewrite_in_progress"],
                what="the append-only file",
            )
    assert result.exit_code == 1
    for told in ("set `appendonly yes`", "noeviction", "fail Model"):
        assert told in result.stdout
