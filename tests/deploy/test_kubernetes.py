"""The Kubernetes manifests: valid against the API's schema, and consistent with each other."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from redis import Redis

from services.contract.job_queue import JobQueue
from services.contract.schema import Lane
from services.contract.settings import known_names
from tests.contract.builders import make_job
from training.config import load_config
from training.time_limit import EXIT_RESUMABLE

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deploy" / "kubernetes"
FILES = sorted(p for p in MANIFESTS.rglob("*.yaml") if p.name != "kustomization.yaml")
PATCHES = {"worker-gpu.yaml"}
KUSTOMIZATIONS = sorted(path.parent for path in MANIFESTS.rglob("kustomization.yaml"))
KEDA_KINDS = {"ScaledObject", "TriggerAuthentication"}


def documents(path: Path) -> list[dict[str, Any]]:
    return [d for d in yaml.safe_load_all(path.read_text()) if d]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the file and the specification of every pod, but for patches."""
    for path in FILES:
        for document in documents(path) if path.name not in PATCHES else []:
            spec = document.get("spec", {})
            pod = spec if document["kind"] == "Pod" else spec.get("template", {}).get("spec")
            if pod:
                yield path.name, pod


def containers() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, pod in pods():
        for container in pod["containers"]:
            yield name, pod, container


def one(path: str, kind: str) -> dict[str, Any]:
    """Return the one object of this kind in a file."""
    (found,) = [d for d in documents(MANIFESTS / path) if d["kind"] == kind]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_manifest_is_valid(path: Path) -> None:
    for document in documents(path):
        if document["kind"] not in KEDA_KINDS and path.name not in PATCHES:
            kubernetes_validate.validate(document, "1.31", strict=True)


@pytest.mark.parametrize("path", sorted(MANIFESTS.rglob("kustomization.yaml")), ids=str)
def test_kustomization_names_what_exists(path: Path) -> None:
    content = documents(path)[0]
    patches = [patch["path"] for patch in content.get("patches", []) if "path" in patch]
    named = content["resources"] + patches
    for name in named:
        assert (path.parent / name).exists(), f"{path}: {name}"
    beside = {p.name for p in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
    assert beside <= set(named)


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda p: p.name)
def test_kustomize_builds_valid_objects(folder: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on PATH to build kustomizations with")
    built = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    for document in yaml.safe_load_all(built.stdout):
        if document["kind"] not in KEDA_KINDS:
            kubernetes_validate.validate(document, "1.31", strict=True)
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "whisper-sv"


def test_patches_change_objects_of_the_base() -> None:
    base = {(d["kind"], d["metadata"]["name"]) for p in FILES for d in documents(p)}
    for path in (p for p in FILES if p.name in PATCHES):
        for document in documents(path):
            assert (document["kind"], document["metadata"]["name"]) in base


def test_no_container_is_root_or_writes_to_its_root_or_knows_the_cluster() -> None:
    """What the namespace's label `restricted` demands, and more."""
    for name, pod, container in containers():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False, name
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"], name
        assert security["capabilities"] == {"drop": ["ALL"]}, name


def test_our_pods_run_as_the_user_of_the_images() -> None:
    for name, pod, container in containers():
        if container["image"].startswith("whisper-sv-"):
            security = pod["securityContext"]
            assert {security[k] for k in ("runAsUser", "runAsGroup", "fsGroup")} == {10001}, name


def test_every_container_asks_for_what_it_needs_and_has_a_limit() -> None:
    for name, _, container in containers():
        resources = container["resources"]
        assert set(resources["requests"]) == {"cpu", "memory"}, name
        assert "memory" in resources["limits"], name


def test_images_are_those_that_the_dockerfiles_make() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for path in (*ROOT.glob("services/*/Dockerfile"), ROOT / "Dockerfile.train"):
        assert f"ARG VERSION={project['version']}\n" in path.read_text(), path
    images = {container["image"] for _, _, container in containers()}
    ours = {image for image in images if image.startswith("whisper-sv-")}
    parts = ("api", "worker", "train")
    assert ours == {f"whisper-sv-{part}:{project['version']}" for part in parts}
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert images - ours == {compose["redis"]["image"]}


def test_what_is_written_is_on_a_volume() -> None:
    """The root is read-only: every folder of the settings, and those of training, is mounted."""
    settings = one("base/settings.yaml", "ConfigMap")["data"]
    folders = [value.removeprefix("file://") for value in settings.values() if "/app/" in value]
    written = {
        "api.yaml": [*folders, "/tmp"],
        "worker.yaml": [*folders, "/tmp"],
        "redis.yaml": ["/data"],
        "train.yaml": ["/app/data", "/app/runs", "/app/data/models", "/tmp", "/dev/shm"],
    }
    for name, _, container in containers():
        mounted = {Path(mount["mountPath"]) for mount in container["volumeMounts"]}
        for folder in written.get(name, []):
            assert mounted & {Path(folder), *Path(folder).parents}, f"{name}: {folder}"


def test_every_volume_mount_has_its_volume() -> None:
    for name, pod, container in containers():
        volumes = {v["name"] for v in pod.get("volumes", [])} | {"data"}
        for mount in container.get("volumeMounts", []):
            assert mount["name"] in volumes, f"{name}: {mount['name']}"


def test_only_known_settings_are_set() -> None:
    for name, _, container in containers():
        for entry in container.get("env", []):
            if entry["name"].startswith("STT_"):
                assert entry["name"] in known_names(), f"{name}: {entry['name']}"
    settings = documents(MANIFESTS / "base" / "settings.yaml")[0]["data"]
    assert set(settings) <= known_names()


def test_secrets_come_from_the_secret_alone() -> None:
    for name, _, container in containers():
        for entry in container.get("env", []):
            if re.search("KEYS?$|KEY_ID|TOKEN|PASSWORD|AUTH", entry["name"]):
                assert "secretKeyRef" in entry.get("valueFrom", {}), f"{name}: {entry['name']}"


@pytest.mark.parametrize("service", ["api", "worker", "train"])
def test_what_compose_hands_to_buckets_and_hub_has_a_place_here(service: str) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][service]
    needed = {name for name in compose["environment"] if name.startswith(("AWS_", "HF_"))}
    ((_, _, container),) = [c for c in containers() if c[0] == f"{service}.yaml"]
    given = {entry["name"]: entry.get("valueFrom") for entry in container.get("env", [])}
    if "envFrom" in container:
        needed.discard("AWS_ENDPOINT_URL")  # No secret: a line in the ConfigMap.
    for name in needed:
        (source,) = (given.get(name) or {"": {}}).values()
        assert source == {"name": "whisper-sv", "key": name, "optional": True}, name


def test_workers_scale_from_zero_on_both_lanes_and_the_api_does_not_wait_for_them(
    redis_client: Redis,
) -> None:
    scaler = one("overlays/keda/scaled-object.yaml", "ScaledObject")["spec"]
    triggers = [trigger["metadata"] for trigger in scaler["triggers"]]
    lanes = {queue.key for queue in JobQueue(redis_client).queues.values()}
    assert {trigger["listName"] for trigger in triggers} == lanes
    redis = one("base/redis.yaml", "Service")
    namespace = documents(MANIFESTS / "base" / "kustomization.yaml")[0]["namespace"]
    address = f"{redis['metadata']['name']}.{namespace}.svc:{redis['spec']['ports'][0]['port']}"
    assert {trigger["address"] for trigger in triggers} == {address}
    assert all(trigger["activationListLength"] == "0" for trigger in triggers)
    assert scaler["minReplicaCount"] == 0
    worker = one("base/worker.yaml", "Deployment")["metadata"]["name"]
    assert scaler["scaleTargetRef"]["name"] == worker
    api = (MANIFESTS / "base" / "api.yaml").read_text()
    assert "STT_READY_REQUIRES_WORKER" not in api


def test_a_waiting_job_is_in_the_list_that_the_scaler_reads(redis_client: Redis) -> None:
    scaler = one("overlays/keda/scaled-object.yaml", "ScaledObject")["spec"]
    lists = [trigger["metadata"]["listName"] for trigger in scaler["triggers"]]
    for lane in Lane:
        JobQueue(redis_client).enqueue(make_job(lane=lane))
    assert [redis_client.llen(name) for name in lists] == [1, 1]


def test_redis_lets_in_who_needs_it_and_nobody_else() -> None:
    (rule,) = one("base/network-policy.yaml", "NetworkPolicy")["spec"]["ingress"]
    apps = {
        peer["podSelector"]["matchLabels"]["app"] for peer in rule["from"] if "podSelector" in peer
    }
    names = {
        one(f"base/{app}.yaml", "Deployment")["spec"]["template"]["metadata"]["labels"]["app"]
        for app in ("api", "worker")
    }
    assert apps == names
    assert rule["ports"] == [{"port": 6379}]


def test_the_training_job_waits_for_its_corpus_and_continues_after_exit_75() -> None:
    job = one("overlays/train/train.yaml", "Job")["spec"]
    assert job["suspend"] is True
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    ignored = [
        rule["onExitCodes"]["values"]
        for rule in job["podFailurePolicy"]["rules"]
        if rule["action"] == "Ignore" and "onExitCodes" in rule
    ]
    assert ignored == [[EXIT_RESUMABLE]]
    (container,) = job["template"]["spec"]["containers"]
    config = load_config(ROOT / container["args"][2], [])
    assert container["args"][0] == "recipe" and config.prepare and config.deploy
    (mount,) = one("overlays/train/corpus.yaml", "Pod")["spec"]["containers"][0]["volumeMounts"]
    assert mount in container["volumeMounts"]
    assert Path("/app") / config.prepare.source.parent == Path(mount["mountPath"])
