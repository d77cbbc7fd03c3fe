"""deploy/kubernetes and deploy/kserve: by Kubernetes' own schemas, against each other, and against the service."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import PREFIX, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
OVERLAYS = ("cpu", "gpu")
OTHERS = ("ServiceMonitor", "ServingRuntime", "InferenceService", "Kustomization")
"""Kinds that Kubernetes itself does not know."""
VERSION = "1.34"


@cache
def documents(folder: str) -> list[dict[str, Any]]:
    """Of a kustomization's resources, in order."""
    root = DEPLOY / "kubernetes" / folder
    found = []
    for name in yaml.safe_load((root / "kustomization.yaml").read_text())["resources"]:
        path = (root / name).resolve()
        if path.is_dir():
            found += documents(str(path.relative_to(DEPLOY / "kubernetes")))
        else:
            found += list(yaml.safe_load_all(path.read_text()))
    return found


def merged(base: Any, patch: Any) -> Any:
    """As Kustomize's strategic merge does of what these files hold: containers by their names."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {key: merged(base[key], patch[key]) if key in base and key in patch else {**base, **patch}[key]
                for key in {**base, **patch}}  # fmt: skip
    if isinstance(base, list) and isinstance(patch, list) and all("name" in each for each in base + patch):
        by_name = {each["name"]: each for each in patch}
        held = [merged(each, by_name.pop(each["name"], {})) for each in base]
        return held + list(by_name.values())
    return patch


def built(overlay: str) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send, but for labels and images."""
    root = DEPLOY / "kubernetes/overlays" / overlay
    found = copy.deepcopy(documents(f"overlays/{overlay}"))
    for entry in yaml.safe_load((root / "kustomization.yaml").read_text())["patches"]:
        patch = yaml.safe_load((root / entry["path"]).read_text())
        for index, document in enumerate(found):
            if (document["kind"], document["metadata"]) == (patch["kind"], patch["metadata"]):
                found[index] = merged(document, patch)
    return found


def one(overlay: str, kind: str) -> dict[str, Any]:
    (found,) = [document for document in built(overlay) if document["kind"] == kind]
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_keeps_to_kubernetes_schema(overlay: str) -> None:
    checked = [document for document in built(overlay) if document["kind"] not in OTHERS]
    assert len(checked) == 8
    for document in checked:
        kubernetes_validate.validate(document, VERSION, strict=True)


def test_the_schemas_refuse_what_is_wrong() -> None:
    wrong = one("cpu", "Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pods_are_the_services_and_the_autoscalers(overlay: str) -> None:
    deployment = one(overlay, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels == one(overlay, "Service")["spec"]["selector"]
    for kind in ("PodDisruptionBudget", "ServiceMonitor"):
        assert one(overlay, kind)["spec"]["selector"]["matchLabels"] == labels
    assert one(overlay, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert one(overlay, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    pod = deployment["spec"]["template"]["spec"]
    claims = {volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "emptyDir" not in volume}
    assert claims == {one(overlay, "PersistentVolumeClaim")["metadata"]["name"]}
    (container,) = pod["containers"]
    assert [port["containerPort"] for port in container["ports"]] == [Settings.model_fields["port"].default]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert one(overlay, "ConfigMap")["data"]["VTV_CACHE"] in mounted
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (overlay == "gpu")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_has_time_to_drain_and_no_rights(overlay: str) -> None:
    pod = one(overlay, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    drain = float(one(overlay, "ConfigMap")["data"]["VTV_DRAIN_SECONDS"])
    pause = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= pause + drain + 10
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert f"--uid {pod['securityContext']['runAsUser']}" in (DEPLOY / "docker/Dockerfile").read_text()


def test_every_variable_is_a_setting() -> None:
    held = {name: value for overlay in OVERLAYS for name, value in one(overlay, "ConfigMap")["data"].items()}
    for overlay in OVERLAYS:
        (container,) = one(overlay, "Deployment")["spec"]["template"]["spec"]["containers"]
        held |= {entry["name"]: entry["value"] for entry in container["env"]}
    ours = {name.removeprefix(PREFIX).lower(): value for name, value in held.items() if name.startswith(PREFIX)}
    assert Settings(**ours, api_keys="key").store == "s3://models/vtv"  # type: ignore[arg-type]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_store_that_is_away_takes_no_pod_out(overlay: str) -> None:
    """A Service whose pods are all stale would answer nobody."""
    (container,) = one(overlay, "Deployment")["spec"]["template"]["spec"]["containers"]
    runtime = yaml.safe_load((DEPLOY / "kserve/servingruntime.yaml").read_text())["spec"]["containers"][0]
    named = {entry["name"] for each in (container, runtime) for entry in each["env"]}
    assert "VTV_STORE" in named | one(overlay, "ConfigMap")["data"].keys()
    assert "VTV_STALE_SECONDS" not in named | one(overlay, "ConfigMap")["data"].keys()


def test_kserve_runs_the_same_container() -> None:
    runtime, service = (
        yaml.safe_load((DEPLOY / "kserve" / name).read_text())
        for name in ("servingruntime.yaml", "inferenceservice.yaml")
    )
    pod = {"containers": runtime["spec"]["containers"], "volumes": runtime["spec"]["volumes"]}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "checked"}, "spec": pod}
    kubernetes_validate.validate(document, VERSION, strict=True)
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] == runtime["spec"]["supportedModelFormats"][0]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    variables = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    settings = Settings(**{name.removeprefix(PREFIX).lower(): value for name, value in variables.items()})  # type: ignore[arg-type]
    assert settings.port == model["readinessProbe"]["httpGet"]["port"]
