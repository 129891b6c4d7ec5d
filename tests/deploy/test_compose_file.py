"""docker-compose.yml as text: settings reach their process, nothing is open that need not be."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.contract.settings import (
    ApiSettings,
    CommonSettings,
    WorkerSettings,
    known_names,
    load,
)

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OVERRIDE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())
OURS = ("api", "worker", "train")
PROCESSES = {"api": ApiSettings, "worker": WorkerSettings}
#: What the file decides itself: paths inside the containers and names inside its network.
DECIDED = {
    "STT_REDIS_URL",
    "STT_MODELS_DIR",
    "STT_HUB_CACHE_DIR",
    "STT_HOST",
    "STT_PORT",
    "STT_PUBLISHED_HOST",
}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
REDIS_PASSWORD = "not-published"


def names_of(kind: type[CommonSettings]) -> set[str]:
    return {f"STT_{field.upper()}" for field in kind.model_fields}


def environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}


def resolved(service: str) -> dict[str, str]:
    """The environment of a service when nobody has set anything."""
    return {
        name: VARIABLE.sub(lambda match: match["default"] or "", value)
        for name, value in environment(service).items()
    }


def variables_of_this_file() -> set[str]:
    return {match["name"] for match in VARIABLE.finditer(TEXT)} - known_names()


@pytest.mark.parametrize("service", PROCESSES)
def test_every_setting_of_a_process_reaches_it_and_no_other(service: str) -> None:
    given = {name for name in environment(service) if name.startswith("STT_")}
    assert given == names_of(PROCESSES[service])


@pytest.mark.parametrize("service", PROCESSES)
def test_a_setting_is_passed_through_by_its_own_name(service: str) -> None:
    for name, value in environment(service).items():
        if name.startswith("STT_") and name not in DECIDED:
            match = VARIABLE.fullmatch(value)
            assert match and match["name"] == name, f"{service}: {name}"


@pytest.mark.parametrize("service", PROCESSES)
def test_without_an_env_file_the_processes_accept_what_they_get(service: str) -> None:
    load(PROCESSES[service], resolved(service))


@pytest.mark.parametrize("service", ["worker", "train"])
def test_what_fetches_models_gets_the_hub_s_token(service: str) -> None:
    assert environment(service)["HF_TOKEN"] == "${HF_TOKEN:-}"


def test_variables_of_this_file_alone_are_documented_in_both_places() -> None:
    at_the_end = set(
        re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", TEXT.rpartition("# Settings of this")[2])
    )
    assert at_the_end == variables_of_this_file()
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    documented = re.findall(r"^# (\w+)=(.*)$", example, flags=re.MULTILINE)
    assert {name for name, _ in documented} == variables_of_this_file()
    defaults = {m["name"]: m["default"] for m in VARIABLE.finditer(TEXT)}
    for name, value in documented:
        assert value == (defaults[name] or ""), name


def test_no_secret_is_written_down() -> None:
    for service in SERVICES:
        for name, value in environment(service).items():
            if re.search("KEY|SECRET|TOKEN|PASSWORD|AUTH", name) and name != "STT_ALLOW_NO_KEYS":
                match = VARIABLE.fullmatch(value)
                assert match and match["default"] in ("", REDIS_PASSWORD), f"{service}: {name}"
    assert set(re.findall(r"\$\{REDIS_PASSWORD:-([^}]*)\}", TEXT)) == {REDIS_PASSWORD}
    assert TEXT.count(REDIS_PASSWORD) == TEXT.count("${REDIS_PASSWORD:-" + REDIS_PASSWORD)


def test_redis_cannot_be_reached_from_outside() -> None:
    assert "ports" not in SERVICES["redis"]
    assert SERVICES["redis"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_what_is_published_is_published_on_loopback() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            address = VARIABLE.sub(lambda match: match["default"] or "", port)
            assert address.startswith("127.0.0.1:"), f"{name}: {port}"


@pytest.mark.parametrize("service", [*OURS, "prometheus"])
def test_our_containers_can_do_little(service: str) -> None:
    content = SERVICES[service]
    assert content["read_only"] is True
    assert content["security_opt"] == ["no-new-privileges:true"]
    assert content["cap_drop"] == ["ALL"]
    assert "privileged" not in content and "user" not in content


def test_redis_keeps_what_it_was_given() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    for wanted in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert wanted in command
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]


def test_every_volume_and_network_is_declared_and_used() -> None:
    mounts = [mount.split(":")[0] for s in SERVICES.values() for mount in s.get("volumes", [])]
    folders = {mount for mount in mounts if mount.startswith(".")}
    assert set(mounts) - folders == set(COMPOSE["volumes"])
    assert all((ROOT / folder).is_dir() for folder in folders)
    used = {network for service in SERVICES.values() for network in service["networks"]}
    assert used == set(COMPOSE["networks"])


def test_logs_memory_and_the_time_to_stop_are_bounded() -> None:
    for name in ("redis", "api", "worker", "prometheus"):
        service = SERVICES[name]
        assert service["logging"]["options"]["max-size"], name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["restart"] == "unless-stopped", name
    for name in ("redis", "api", "worker", "train"):
        assert SERVICES[name]["stop_grace_period"], name


def test_images_exist_and_start_with_an_init() -> None:
    for service in OURS:
        dockerfile = (ROOT / SERVICES[service]["build"]["dockerfile"]).read_text()
        assert 'ENTRYPOINT ["tini"' in dockerfile, service


def test_the_gpu_file_changes_services_that_exist() -> None:
    assert set(OVERRIDE["services"]) <= set(SERVICES)
    for service in OVERRIDE["services"].values():
        devices = service["deploy"]["resources"]["reservations"]["devices"]
        assert devices[0]["capabilities"] == ["gpu"]
        assert service["build"]["args"]["DEVICE"] == "cuda"
