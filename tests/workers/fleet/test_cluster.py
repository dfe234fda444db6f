"""Shows workers/fleet/cluster.py and actor.py: one suite for Ray and for the fake of tests, and a fleet on a local Ray."""

import atexit
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable, UnavailableError
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from jobs.store.opening import open_store
from tests.support.fake_cluster import FakeCluster
from workers.fleet.actor import RayCluster, name_of_node, why
from workers.fleet.cluster import chosen_address, connect, needs_of
from workers.fleet.fleet import Fleet
from workers.fleet.gcs_watch import GcsWatch
from workers.fleet.handles import Cluster, End
from workers.fleet.log_relay.worker_log import RayLog, logs_folder
from workers.worker.worker import WorkerPlan


def test_a_cluster_that_is_not_there_is_named_at_once() -> None:
    with pytest.raises(UnavailableError, match=r"no Ray cluster at 127.0.0.1:1: nothing listens.*ray start --head"):
        connect("127.0.0.1:1")


@pytest.mark.parametrize("address", ["head", "ray://head:10001", "head:port", "http://head:8265", "", "/tmp/ray"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(UnavailableError, match="that is no address"):
        connect(address)


@pytest.mark.parametrize(
    ("variable", "recorded", "chosen"),
    [
        pytest.param(None, None, None, id="nothing"),
        pytest.param("head:6379", None, "head:6379", id="the variable of Ray"),
        pytest.param("local", "127.0.0.1", None, id="a local one"),
        pytest.param("auto", "127.0.0.1", "127.0.0.1", id="what was started here"),
        pytest.param(None, "127.0.0.1", "127.0.0.1", id="also without a word"),
        pytest.param(None, "127.0.0.1:1", None, id="one that has ended"),
    ],
)
def test_without_an_address_it_is_what_was_started_here(
    variable: str | None, recorded: str | None, chosen: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = f"127.0.0.1:{server.getsockname()[1]}"
        if recorded is not None:
            (tmp_path / "ray").mkdir()
            (tmp_path / "ray/ray_current_cluster").write_text(here if recorded == "127.0.0.1" else recorded)
        assert chosen_address(None) == (here if chosen == "127.0.0.1" else chosen)


@pytest.mark.parametrize(
    "error",
    [
        Exception("The current node timed out during startup. This could\n happen because"),
        ConnectionError("Ray is trying to start at 1, but is already running"),
        RuntimeError(""),
        ValueError("Invalid address format: x"),
        OSError(28, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_ends_rays_start_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: Any) -> None:
        raise error

    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # monkeypatch restores the variables after the test
    monkeypatch.setattr(ray, "init", fails)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UnavailableError, match="a local Ray does not start: ") as fault:
        connect(None, local=True)
    assert "\n" not in str(fault.value)
    assert fault.value.exit_status == 3
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


@pytest.fixture(scope="module")
def local_ray() -> Iterator[Cluster]:
    yield connect(None, local=True)
    ray.shutdown()


# -- what each cluster does ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["fake", pytest.param("ray", marks=pytest.mark.ray)])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    if request.param == "fake":
        return FakeCluster([Counter({"CPU": 2})])
    joined: Cluster = request.getfixturevalue("local_ray")
    return joined


@pytest.fixture
def plan(tmp_path: Path, redis_url: str) -> WorkerPlan:
    settings = Settings(store_url=str(tmp_path / "store"), model="stub", log_level="error")
    return WorkerPlan("w-1", "stub", redis_url, settings)


@pytest.fixture
def wait(cluster: Cluster, until: Callable[..., Any]) -> Callable[[Callable[[], Any]], Any]:
    """Waits for a condition. If the cluster is the fake, it first gives room to its workers."""

    def wait_for(condition: Callable[[], Any]) -> Any:
        if isinstance(cluster, FakeCluster):
            cluster.place()

        def has_come() -> Any:
            cluster.check()
            return condition()

        return until(has_come, 60, "the cluster")

    return wait_for


def test_a_worker_comes_up_answers_and_drains(cluster: Cluster, plan: WorkerPlan, wait: Callable[..., Any]) -> None:
    cpus = cluster.capacity().total("CPU")
    worker = cluster.start(plan, {"CPU": 1.0})
    wait(worker.is_placed)
    wait(lambda: cluster.capacity().free["CPU"] == cpus - 1)
    assert cluster.capacity().total("CPU") == cpus
    status = wait(worker.status)
    assert status["worker"] == "w-1"
    assert worker.end() is None
    wait(worker.was_loaded)
    worker.stop(0.0)
    assert wait(worker.end) == End("it ended")
    worker.kill()
    wait(lambda: cluster.capacity().free["CPU"] == cpus)


def test_a_worker_without_room_waits_until_it_is_killed(
    cluster: Cluster, plan: WorkerPlan, wait: Callable[..., Any]
) -> None:
    worker = cluster.start(plan, {"CPU": 1000.0})
    assert not worker.is_placed()
    assert worker.end(0.2) is None
    wait(lambda: {"CPU": 1000.0} in cluster.demands())
    worker.kill()
    assert wait(worker.end) is not None
    assert not worker.was_loaded()
    assert worker.status() is None


def test_a_cluster_that_answers_is_neither_away_nor_lost(cluster: Cluster) -> None:
    cluster.check()
    assert not cluster.is_away()
    cluster.close()


def test_a_ray_cluster_without_its_control_store_is_away_and_then_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, answers, exits = 0.0, True, list[int]()
    watch = GcsWatch("head:6379", 60.0, answers=lambda _: answers, monotonic=lambda: seconds, leave=exits.append)
    monkeypatch.setattr(atexit, "register", lambda _, status: exits.append(status))
    cluster = RayCluster("head")
    cluster._watch = watch
    watch.look()
    cluster.check()
    assert not cluster.is_away()
    answers = False
    for seconds in range(1, 54):
        watch.look()
        if seconds == 1:
            cluster.check()
            assert cluster.is_away()
    with pytest.raises(UnavailableError, match="the same command"):
        cluster.check()
    assert exits == [3], "before Ray's own exit handler, which would wait for the store"
    cluster.close()
    assert cluster.is_away(), "it is watched to the end"


# -- what a worker needs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "needs"),
    [
        pytest.param({"num_gpus": 1.0}, {"GPU": 1.0, "CPU": 1.0}, id="one a GPU"),
        pytest.param({"num_gpus": 0.25}, {"GPU": 0.25, "CPU": 1.0}, id="several a GPU"),
        pytest.param({"engine": "stub", "num_gpus": 3}, {"GPU": 3.0, "CPU": 1.0}, id="more GPUs than there are"),
        pytest.param({"num_gpus": 0.0}, {"CPU": 1.0}, id="no GPU wanted"),
        pytest.param({"device": "cpu"}, {"CPU": 1.0}, id="on the CPU"),
        pytest.param({"engine": "stub"}, {"CPU": 1.0}, id="the stub"),
    ],
)
def test_a_worker_needs_what_its_card_says(card: dict[str, Any], needs: dict[str, float]) -> None:
    cluster = FakeCluster([Counter({"CPU": 8, "GPU": 1})] * 2)
    model = ModelCard(**{"engine": "causal", "source": "nowhere", **card})
    assert needs_of(model, cluster) == needs


def test_a_cluster_that_has_no_gpu_yet_but_may_grow_by_some_runs_models_on_gpus() -> None:
    model = ModelCard(engine="causal", source="nowhere")
    assert needs_of(model, FakeCluster([Counter({"CPU": 8})])) == {"CPU": 1.0}
    grows = FakeCluster([Counter({"CPU": 8})], grown={"CPU": 72, "GPU": 8})
    assert needs_of(model, grows) == {"GPU": 1.0, "CPU": 1.0}


# -- logs of workers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def far_log(local_ray: Cluster, plan: WorkerPlan, tmp_path: Path, until: Callable[..., Any]) -> Iterator[Any]:
    """A worker that is up, and its log as it is read from another machine."""
    worker: Any = local_ray.start(
        replace(plan, settings=plan.settings.model_copy(update={"log_level": "info"})), {"CPU": 1.0}
    )
    until(lambda: worker.end(0.1) or worker.is_placed(), 60, "the worker")
    worker.log = RayLog(worker.log._name, worker.log._ask, worker.log._is_lost, tmp_path / "elsewhere")
    yield worker
    worker.kill()


def pid_of(worker: Any) -> int:
    worker.end(1.0)  # takes in what it has told
    return int(worker.status()["pid"])


def read(log: Any, event: str) -> Callable[[], bool]:
    """Return a condition that reads further lines of the log, and holds once the event has come."""
    seen: list[str] = []

    def is_read() -> bool:
        seen.extend(line for _, line in log.read())
        return any(event in line for line in seen)

    return is_read


@pytest.mark.ray
@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_the_log_of_a_worker_on_another_node_is_read_to_its_end(
    far_log: Any, end: str, until: Callable[..., Any]
) -> None:
    until(read(far_log.log, "worker.started"), 60, "its first lines")
    if end == "killed":
        os.kill(pid_of(far_log), signal.SIGKILL)
    else:
        far_log.stop(0.0)
    until(lambda: far_log.end(0.1), 60, "the end")
    rest = [line for _, line in far_log.log.read_rest(30.0)]
    assert any("worker.stopped" in line for line in rest) == (end == "stopped")
    assert not list(logs_folder().glob(f"nightpress-{far_log.log._name}.*")), "what was read is deleted"


@pytest.mark.ray
def test_workers_do_not_stand_back_for_other_programs_of_the_machine(far_log: Any) -> None:
    assert psutil.Process(pid_of(far_log)).nice() == os.nice(0)


@pytest.mark.ray
def test_a_log_whose_node_is_gone_is_said_to_be_lost(far_log: Any, until: Callable[..., Any]) -> None:
    until(read(far_log.log, "worker.started"), 60, "its first lines")
    far_log.log._is_lost = lambda: True
    with pytest.raises(UnavailableError, match="does not answer"):
        far_log.log.read_rest(1.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            "The actor died.\n\tpid: 7\nWorker exit type: NODE_OUT_OF_MEMORY Worker exit detail: Task was killed due to "
            "the node running low on memory.\nMemory was 9 GB",
            "RuntimeError: NODE_OUT_OF_MEMORY: Task was killed due to the node running low on memory. Memory was 9 GB",
            id="no memory",
        ),
        pytest.param(
            "x Worker exit type: SYSTEM_ERROR Worker exit detail: End of file. Some common causes include: (1) the",
            "RuntimeError: SYSTEM_ERROR: End of file.",
            id="killed",
        ),
        pytest.param("Its node\ndied.", "RuntimeError: Its node died.", id="another"),
    ],
)
def test_a_death_is_told_with_its_reason(text: str, reason: str) -> None:
    assert why(RuntimeError(text)) == reason


@pytest.mark.parametrize(
    ("node_id", "name"),
    [("aaaaaaaa1", "gpu-1"), ("bbbbbbbb1", "gpu-2/bbbbbb"), ("cccccccc1", "gpu-2/cccccc"), ("d1", "d1")],
)
def test_nodes_have_the_names_of_their_hosts(node_id: str, name: str) -> None:
    hosts = {"aaaaaaaa1": "gpu-1", "bbbbbbbb1": "gpu-2", "cccccccc1": "gpu-2"}
    nodes = [{"NodeID": one, "NodeManagerHostname": host, "Alive": True} for one, host in hosts.items()]
    nodes.append({"NodeID": "e1", "NodeManagerHostname": "gpu-1", "Alive": False})
    assert name_of_node(node_id, nodes) == name


# -- a fleet on Ray -----------------------------------------------------------------------------------------------------


@pytest.fixture
def fleet(local_ray: Cluster, tmp_path: Path, redis_url: str) -> Iterator[Fleet]:
    settings = Settings(
        store_url=str(tmp_path / "store"),
        model="stub",
        lease_s=3,
        log_level="error",
        models={
            "gone": {"source": str(tmp_path / "nowhere"), "device": "cpu"},
            "broken": {"engine": "stub", "options": {"load_fault": "exit"}},
        },
    )
    made = Fleet(settings, redis_url, local_ray)
    yield made
    made.kill()


def pids(fleet: Fleet) -> set[int]:
    queue = RedisQueue.from_url(fleet.redis_url, store=open_store(fleet.settings.store_url))
    try:
        return {worker.pid for worker in queue.snapshot("stub").workers if worker.worker.startswith(fleet.name)}
    finally:
        queue.close()


@pytest.mark.ray
def test_a_killed_worker_is_replaced_and_the_fleet_drains(fleet: Fleet, until: Callable[..., Any]) -> None:
    fleet.staff("stub", 1)
    fleet.staff("stub", 1)
    assert len(fleet.replicas) == 1
    (pid,) = until(lambda: pids(fleet), 60, "the worker")
    os.kill(pid, signal.SIGKILL)

    def replaced() -> bool:
        fleet.watch()
        return bool(pids(fleet) - {pid})

    until(replaced, 60, "another worker")
    assert fleet.replicas[0].deaths == 1

    def told() -> list[str]:
        fleet.watch()
        return [status["worker"] for status in fleet.statuses()]

    assert until(told, 60, "its status") == [fleet.replicas[0].worker]
    fleet.drain(1.0)
    assert fleet.replicas[0].handle is None


@pytest.mark.ray
def test_a_model_that_is_not_there_ends_the_fleet_with_its_remedy(fleet: Fleet, until: Callable[..., Any]) -> None:
    fleet.staff("gone", 1)

    def watched() -> bool:
        fleet.watch()
        return False

    with pytest.raises(ModelUnavailable, match="there is no folder"):
        until(watched, 60, "the fault")


@pytest.mark.ray
def test_workers_that_die_before_they_are_loaded_end_the_fleet(
    fleet: Fleet, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.fleet.fleet.BACKOFF_S", 0.01)
    fleet.staff("broken", 1)

    def watched() -> bool:
        fleet.watch()
        return False

    with pytest.raises(ModelUnavailable, match=r"no worker for broken can start, 4 have died") as fault:
        until(watched, 120, "the fault")
    assert fault.value.exit_status == 3
    assert "\n" not in str(fault.value)
