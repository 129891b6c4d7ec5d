"""The documents tell the truth: commands parse, names exist, nothing that matters is left out."""

import importlib.util
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml
from pydantic import SecretStr
from starlette.routing import Match

from services.api.app import create_app
from services.api.auth import KeyRing
from services.api.error_handlers import STATUS, tree
from services.client.verbs import app as client_app
from services.contract.errors import SttError
from services.contract.settings import ApiSettings, known_names
from tests import documents
from tests.documents import ROOT, Command
from training.__main__ import _parser as training_parser
from training.config import TrainingConfig, load_config

OPERATIONS, API = "docs/operations.md", "docs/api.md"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
COMMANDS = list(documents.commands())


def of(*programs: str) -> pytest.MarkDecorator:
    found = [command for command in COMMANDS if command.words[0] in programs]
    assert found, programs
    return pytest.mark.parametrize("command", found, ids=str)


def test_every_line_of_a_command_block_is_a_command() -> None:
    for command in COMMANDS:
        known = (*documents.PROGRAMS, "echo", "openssl", "printf", "sha256sum", "cut")
        assert command.words[0] in known, command


@of("make")
def test_make_targets_and_variables_exist(command: Command) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in command.words[1:]:
        name, is_variable, _ = word.partition("=")
        pattern = rf"^{name} [?:]=" if is_variable else rf"^{name}:"
        assert re.search(pattern, makefile, flags=re.MULTILINE), word


@of("python", "torchrun")
def test_python_modules_and_their_options_exist(command: Command) -> None:
    words = list(command.words)
    check_module(words[words.index("-m") + 1 :])


def check_module(words: list[str]) -> None:
    module, *arguments = words
    if module == "training":
        check_training(arguments)
    elif module == "training.platforms.until_done":
        assert arguments[:2] == ["python", "-m"]
        check_module(arguments[2:])
    else:
        assert importlib.util.find_spec(module), module


def check_training(arguments: list[str]) -> None:
    try:
        options = training_parser().parse_args(arguments)
    except SystemExit:
        pytest.fail(f"no such command line: {arguments}")
    config = load_config(ROOT / options.config, options.overrides)
    needed = {"rollback": "deploy"}.get(options.command, options.command)
    assert getattr(config, needed, config) is not None, f"{options.config} has no section {needed}"


@of("whisper-sv")
def test_client_commands_and_options_exist(command: Command) -> None:
    verbs = typer.main.get_group(client_app).commands
    name, *arguments = command.words[1:]
    assert name in verbs, command
    verbs[name].make_context(name, [*arguments])


@of("docker")
def test_docker_commands_name_what_exists(command: Command) -> None:
    words = [word for word in command.words[1:] if word not in ("-d", "--rm")]
    verb, *rest = words
    {"compose": check_compose, "run": check_run, "build": check_build, "volume": check_volume}[
        verb
    ](rest)


def take_options(words: list[str], with_value: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """Split leading options from the rest."""
    options: dict[str, str] = {}
    while words and words[0].startswith("-"):
        name = words.pop(0)
        options[name] = words.pop(0) if name in with_value else ""
    return options, words


def check_compose(words: list[str]) -> None:
    given: list[tuple[str, str]] = []
    while words[0].startswith("-"):
        given.append((words.pop(0), words.pop(0)))
    profiles = {p for service in COMPOSE["services"].values() for p in service.get("profiles", [])}
    for option, value in given:
        assert (ROOT / value).exists() if option == "-f" else value in profiles, value
    verb, *rest = words
    options, rest = take_options(rest, ("--scale", "-v", "-p"))
    if "--scale" in options:
        assert options["--scale"].partition("=")[0] in COMPOSE["services"]
    if verb == "run":
        service, *arguments = rest
        assert service in COMPOSE["services"]
        if service == "train":
            check_training(arguments)
        return
    assert verb in ("up", "down", "build", "start", "stop", "logs"), verb
    assert set(rest) <= set(COMPOSE["services"])


def check_run(words: list[str]) -> None:
    for option, value in zip(words, words[1:], strict=False):
        if option == "-v":
            check_volume_name(value.partition(":")[0])
    _, rest = take_options(words, ("-v", "--env-file", "-e", "-p", "--restart", "--stop-timeout"))
    images = {service.get("image") for service in COMPOSE["services"].values()}
    assert rest[0] in images, rest[0]


def check_volume(words: list[str]) -> None:
    assert words[0] == "rm"
    for name in words[1:]:
        check_volume_name(name)


def check_volume_name(name: str) -> None:
    if name.startswith("whisper-sv_"):
        assert name.removeprefix("whisper-sv_") in COMPOSE["volumes"], name


def check_build(words: list[str]) -> None:
    options, rest = take_options(words, ("-f", "-t", "--build-arg"))
    assert (ROOT / options["-f"]).exists() and rest == ["."]


@of("kubectl")
def test_kubectl_commands_name_what_exists(command: Command) -> None:
    words = [word for word in command.words[1:] if word not in ("-n", "whisper-sv")]
    verb, *rest = words
    if verb == "apply":
        assert rest[0] == "-k" and (ROOT / rest[1] / "kustomization.yaml").exists()
        return
    manifests = ROOT.glob("deploy/kubernetes/**/*.yaml")
    objects = {
        (d["kind"].lower(), d["metadata"]["name"])
        for path in manifests
        for d in yaml.safe_load_all(path.read_text())
        if d and "metadata" in d
    }
    named = ("pod", rest[1].partition(":")[0]) if verb == "cp" else (rest[0], rest[1])
    assert verb in ("cp", "delete", "patch") and named in objects


@pytest.fixture(scope="module")
def has_route(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], bool]:
    """Tell whether the API answers to a method and path."""
    app = create_app(ApiSettings(audio_store_url=f"file://{tmp_path_factory.mktemp('store')}"))

    def answers(method: str, path: str) -> bool:
        scope = {"type": "http", "method": method, "path": path, "root_path": ""}
        return any(route.matches(scope)[0] is Match.FULL for route in app.routes)

    return answers


@of("curl")
def test_curl_meets_a_route(command: Command, has_route: Callable[[str, str], bool]) -> None:
    words = command.words
    address = next(word for word in words if word.startswith("http://127.0.0.1"))
    match = re.fullmatch(r"http://127\.0\.0\.1:8000(?P<path>/[^?]*)?(\?.*)?", address)
    assert match, address
    posts = {"-F", "-T", "-d"} & set(words)
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if posts else "GET"
    path = match["path"] or "/"
    assert has_route(method, path), f"{method} {path}"
    if path.startswith("/page/"):
        assert (ROOT / "services/api" / path[1:]).exists(), path


def test_routes_in_tables_exist(has_route: Callable[[str, str], bool]) -> None:
    found = re.findall(r"`(GET|POST|DELETE) (/[^`?\s]*)", documents.text_of(API, OPERATIONS))
    assert len(found) > 15
    for method, path in found:
        assert has_route(method, re.sub(r"\{\w+\}", "x", path)), f"{method} {path}"


@pytest.mark.parametrize(("path", "target"), [*documents.links()], ids=str)
def test_links_lead_somewhere(path: Path, target: str) -> None:
    file, _, anchor = target.partition("#")
    there = (path.parent / file).resolve() if file else path
    assert there.exists(), target
    if anchor:
        assert anchor in documents.anchors(there), target


def test_paths_that_are_named_exist() -> None:
    folders = ("services/", "training/", "deploy/", "tests/", "docs/", "models/", "benchmarks/")
    made_here = ("models/demo",)
    for path, code in documents.code_spans():
        if code.startswith(folders) and re.fullmatch(r"[\w./-]+", code):
            assert (ROOT / code).exists() or code.startswith(made_here), f"{path.name}: {code}"


def test_the_file_tree_of_the_readme_exists() -> None:
    tree_block = next(
        block
        for block in documents.blocks(ROOT / "README.md")
        if block.lines[0].startswith("services/contract/")
    )
    for line in tree_block.lines:
        name = line.split()[0]
        assert (ROOT / name).exists() or name == "models/demo/", name


def test_a_key_made_in_the_shell_opens_the_api() -> None:
    lines = (line for block in documents.blocks(ROOT / OPERATIONS) for line in block.lines)
    line = next(line for line in lines if line.startswith("KEY="))
    done = subprocess.run(["bash", "-euc", line], capture_output=True, text=True, check=True)
    key, entry = done.stdout.split()
    ring = KeyRing.of(ApiSettings(api_keys=SecretStr(entry)))
    assert ring.owner(f"Bearer {key}", "stt.example.org") == "anna"


def test_python_examples_compile() -> None:
    found = [
        block
        for path in documents.PATHS
        for block in documents.blocks(path)
        if block.language == "python"
    ]
    assert found
    for block in found:
        compile("\n".join(block.lines), str(block.path), "exec")


def test_variables_that_are_named_exist() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    of_compose = {"COMPOSE_FILE", *re.findall(r"\$\{(\w+)", compose)}
    for path in documents.PATHS:
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"\bSTT_[A-Z][A-Z0-9_]*\b", text):
            assert name in known_names(), f"{path.name}: {name}"
    for path, code in documents.code_spans():
        if re.fullmatch(r"[A-Z]+_[A-Z_]+", code) and not code.startswith("STT_"):
            assert code in of_compose, f"{path.name}: {code}"


def test_every_setting_is_explained_somewhere() -> None:
    text = documents.text_of(API, OPERATIONS)
    of_the_client = {"STT_BASE_URL", "STT_API_KEY", "STT_REDIS_URL"}
    missing = {name for name in known_names() if not re.search(rf"\b{name}\b", text)}
    assert missing <= of_the_client


def test_every_error_code_has_its_row() -> None:
    text = documents.text_of(OPERATIONS)
    for kind in tree(SttError):
        assert f"`{kind.code}`" in text, f"{OPERATIONS} says nothing about {kind.code}"


def test_the_table_of_codes_has_the_right_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", documents.text_of(API), flags=re.MULTILINE)
    assert len(rows) > 30
    assert dict(STATUS) | {code: int(status) for code, status in rows} == STATUS


def test_codes_that_are_named_exist() -> None:
    codes = {kind.code for kind in tree(SttError)}
    table = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|.*\|.*\|$", documents.text_of(OPERATIONS), re.M)
    named = {code for cell in table for code in re.findall(r"`(\w+)`", cell)}
    assert named and named <= codes


def test_figures_that_are_named_are_measured() -> None:
    sources = "".join(
        path.read_text() for path in ROOT.glob("services/*/metrics.py") if path.exists()
    )
    alerts = (ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8")
    codes = {kind.code for kind in tree(SttError)}
    named = set(re.findall(r"\bstt_[a-z_]+\b", documents.text_of(API, OPERATIONS) + alerts))
    for name in named - codes:
        known = re.sub(r"_(total|bucket|count|sum)$", "", name)
        of_a_worker = known.replace("stt_worker_", '_per_worker("') + '"'
        assert f'"{known}"' in sources or of_a_worker in sources, name


def test_config_keys_that_are_named_exist() -> None:
    sections = TrainingConfig.model_fields
    for path, code in documents.code_spans():
        section, dot, key = code.partition(":")[0].partition(".")
        if dot and section in sections and re.fullmatch(r"\w+", key) and key not in ("md", "py"):
            kind = sections[section].annotation
            assert key in keys_of(kind), f"{path.name}: {code}"


def keys_of(kind: object) -> list[str]:
    """Return the keys of a section, which may be optional."""
    choices = [kind, *getattr(kind, "__args__", ())]
    return [key for choice in choices for key in getattr(choice, "model_fields", {})]
