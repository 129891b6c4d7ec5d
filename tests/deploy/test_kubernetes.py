"""The Kubernetes manifests: valid against the API's schema, and consistent with each other."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from rq import Queue

from services.contract.schema import Lane
from services.contract.settings import known_names

MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"
FILES = sorted(p for p in MANIFESTS.rglob("*.yaml") if p.name != "kustomization.yaml")
PATCHES = {"worker-gpu.yaml"}
KUSTOMIZATIONS = sorted(path.parent for path in MANIFESTS.rglob("kustomization.yaml"))
KEDA_KINDS = {"ScaledObject", "TriggerAuthentication"}


def documents(path: Path) -> list[dict[str, Any]]:
    return [d for d in yaml.safe_load_all(path.read_text()) if d]


def containers() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path in FILES:
        for document in documents(path):
            pod = document.get("spec", {}).get("template", {}).get("spec")
            for container in (pod or {}).get("containers", []):
                yield path.name, pod, container


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_manifest_is_valid(path: Path) -> None:
    for document in documents(path):
        if document["kind"] not in KEDA_KINDS and path.name not in PATCHES:
            kubernetes_validate.validate(document, "1.31", strict=True)


@pytest.mark.parametrize("path", sorted(MANIFESTS.rglob("kustomization.yaml")), ids=str)
def test_kustomization_names_what_exists(path: Path) -> None:
    content = documents(path)[0]
    named = content["resources"] + [patch["path"] for patch in content.get("patches", [])]
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


def test_no_container_is_root_or_writes_to_its_root() -> None:
    for name, pod, container in containers():
        if name in PATCHES:
            continue
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"], name
        assert security["capabilities"] == {"drop": ["ALL"]}, name


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
            if "KEYS" in entry["name"] or "PASSWORD" in entry["name"] or "AUTH" in entry["name"]:
                assert "secretKeyRef" in entry.get("valueFrom", {}), f"{name}: {entry['name']}"


def test_workers_scale_from_zero_on_both_lanes_and_the_api_does_not_wait_for_them() -> None:
    scaler = next(
        d
        for d in documents(MANIFESTS / "overlays" / "keda" / "scaled-object.yaml")
        if d["kind"] == "ScaledObject"
    )
    lists = {trigger["metadata"]["listName"] for trigger in scaler["spec"]["triggers"]}
    assert lists == {Queue.redis_queue_namespace_prefix + lane.value for lane in Lane}
    redis = next(d for d in documents(MANIFESTS / "base" / "redis.yaml") if d["kind"] == "Service")
    namespace = documents(MANIFESTS / "base" / "kustomization.yaml")[0]["namespace"]
    address = f"{redis['metadata']['name']}.{namespace}.svc:{redis['spec']['ports'][0]['port']}"
    assert {trigger["metadata"]["address"] for trigger in scaler["spec"]["triggers"]} == {address}
    assert scaler["spec"]["minReplicaCount"] == 0
    api = (MANIFESTS / "base" / "api.yaml").read_text()
    assert "STT_READY_REQUIRES_WORKER" not in api


def test_the_training_job_continues_after_exit_75() -> None:
    job = next(
        d for d in documents(MANIFESTS / "overlays" / "train" / "train.yaml") if d["kind"] == "Job"
    )
    rules = job["spec"]["podFailurePolicy"]["rules"]
    ignored = [
        r["onExitCodes"]["values"] for r in rules if r["action"] == "Ignore" and "onExitCodes" in r
    ]
    assert ignored == [[75]]
