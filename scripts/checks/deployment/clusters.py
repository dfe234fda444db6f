"""Checks the cluster files of `ray up`: by Ray's schema, by Ray's own reading of them, and by what each cloud knows.

Ray's schema lets any field of a provider and of a machine pass. So these are held against what the cloud takes: AWS by the model
of its service in botocore, Azure by the parameters of Ray's template, Google's and the provider's own fields by the lists here.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import jsonschema

from scripts.checks.deployment.files import Wrong, document

PROVIDERS: Final[Mapping[str, frozenset[str]]] = {
    "local": frozenset({"type", "head_ip", "worker_ips"}),
    "aws": frozenset(
        {"type", "region", "availability_zone", "cache_stopped_nodes", "use_internal_ips", "security_group"}
    ),
    "gcp": frozenset({"type", "region", "availability_zone", "project_id", "cache_stopped_nodes"}),
    "azure": frozenset(
        {"type", "location", "resource_group", "subscription_id", "cache_stopped_nodes", "availability_zone"}
    ),
}
"""The fields of each provider that our files may use."""

GOOGLE: Final[Mapping[str, Any]] = {
    "machineType": str,
    "serviceAccounts": [{"email": str, "scopes": [str]}],
    "shieldedInstanceConfig": {"enableSecureBoot": bool, "enableVtpm": bool, "enableIntegrityMonitoring": bool},
    "guestAccelerators": [{"acceleratorType": str, "acceleratorCount": int}],
    "metadata": {"items": [{"key": str, "value": str}]},
    "scheduling": {
        "provisioningModel": str,
        "instanceTerminationAction": str,
        "onHostMaintenance": str,
        "automaticRestart": bool,
    },
    "disks": [
        {
            "boot": bool,
            "autoDelete": bool,
            "type": str,
            "initializeParams": {"diskSizeGb": int, "sourceImage": str, "diskType": str},
        }
    ],
}
"""The fields of a machine of Google's that our files may use, with their types, as its API of machines names them."""


def faults(folder: Path) -> list[str]:
    """Return what is wrong with the cluster files of a folder."""
    paths = sorted(folder.glob("*.yaml"))
    found = [] if paths else [f"{folder}: no cluster file"]
    for path in paths:
        try:
            config = document(path)
        except Wrong as error:
            found.append(str(error))
            continue
        found += [f"{path.name}: {fault}" for fault in _faults(config)]
    return found


def _faults(config: dict[str, Any]) -> Iterator[str]:
    origin = (spec := find_spec("ray")) and spec.origin
    package = Path(origin or "").parent / "autoscaler"
    validator = jsonschema.Draft7Validator(json.loads((package / "ray-schema.json").read_text()))
    wrong = [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(config)]
    yield from wrong
    if wrong:
        return
    from ray.autoscaler._private.util import prepare_config, validate_config

    try:
        validate_config(prepare_config(copy.deepcopy(config)))
    except Exception as error:  # noqa: BLE001 - Ray raises errors of no common class
        yield f"Ray refuses it: {error}"
    provider = config["provider"]
    yield from (f"provider has no field {name}" for name in sorted(set(provider) - PROVIDERS[provider["type"]]))
    for target, source in config.get("file_mounts", {}).items():
        if not (source.startswith(("~/", "/")) and target.startswith(("~/", "/"))):
            yield f"file_mounts: {source} is a path from the present folder, so `ray up` works in one folder alone"
    template = package / "_private/_azure/azure-vm-template.json"
    for name, node in config.get("available_node_types", {}).items():
        given = node["node_config"]
        match provider["type"]:
            case "aws":
                yield from (f"{name}: {fault}" for fault in _aws(given))
            case "gcp":
                yield from (f"{name}.{fault}" for fault in _google(given, GOOGLE))
            case "azure":
                known = json.loads(template.read_text())["parameters"]
                unknown = set(given) - {"azure_arm_parameters"} | set(given.get("azure_arm_parameters", ())) - set(
                    known
                )
                yield from (f"{name}: a machine of Azure has no field {field}" for field in sorted(unknown))


def _aws(given: Mapping[str, Any]) -> Iterator[str]:
    import botocore.session
    from botocore.validate import ParamValidator

    service = botocore.session.get_session().get_service_model("ec2")
    shape = service.operation_model("RunInstances").input_shape
    report = ParamValidator().validate({"MinCount": 1, "MaxCount": 1, **given}, shape)
    if report.has_errors():
        yield from report.generate_report().splitlines()
    for name, kind in (("HttpTokens", "HttpTokensState"), ("MarketType", "MarketType")):
        allowed = service.shape_for(kind).enum
        for value in _values(given, name):
            if value not in allowed:
                yield f"{name} is none of {', '.join(allowed)}: {value}"


def _values(given: Any, name: str) -> Iterator[Any]:
    if isinstance(given, Mapping):
        for key, inner in given.items():
            if key == name:
                yield inner
            else:
                yield from _values(inner, name)


def _google(given: Any, known: Any, at: str = "") -> Iterator[str]:
    if isinstance(known, Mapping) and isinstance(given, Mapping):
        for key, inner in given.items():
            if key not in known:
                yield f"{at}{key}: a machine of Google's has no such field, or the check does not know it yet"
            else:
                yield from _google(inner, known[key], f"{at}{key}.")
    elif isinstance(known, list) and isinstance(given, list):
        for inner in given:
            yield from _google(inner, known[0], at)
    elif not isinstance(known, type) or type(given) is not known:
        yield f"{at.rstrip('.')}: it has the wrong type: {given!r}"
