"""Tests fleets whose supervisor, command or cluster is killed: a detached supervisor that Ray starts again adopts its workers, a
command that stands by takes over, and a fleet on another cluster does the rest.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator

import pytest
import ray
from ray.cluster_utils import Cluster

from jobs.store.identity import make_id
from tests.faults.premises import LANE, Premises
from tests.support.ray_clusters import ray_cluster
from workers.fleet.actor import KEPT, named_actors
from workers.fleet.desk import kept, ray_desk
from workers.fleet.desk.ray_desk import namespace_of
from workers.fleet.log_relay.worker_log import logs_folder

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(900)]
KILLS = 20
ROWS = 400


@pytest.fixture
def night(make_night: Callable[..., Premises]) -> Premises:
    return make_night(stub={"step_s": 0.1})


@pytest.fixture
def cluster(night: Premises) -> Iterator[Cluster]:
    with ray_cluster(night.env, num_cpus=3) as made:
        night.env["NIGHTPRESS_RAY_ADDRESS"] = made.address
        yield made


@pytest.fixture
def namespace(night: Premises, cluster: Cluster) -> Iterator[str]:
    """The namespace of the night's store, in the cluster that this process has joined."""
    store_id = make_id(night.store)
    ray.init(address=cluster.address, log_to_driver=False)
    yield namespace_of(store_id)
    ray.shutdown()


def workers(namespace: str) -> set[str]:
    return {name for name in named_actors(namespace) if name.startswith(KEPT)}


def pid_of_supervisor(namespace: str) -> int:
    found = kept.holder_of(kept.find(namespace), 10.0)
    return 0 if found is None else found[0].pid


def test_a_supervisor_killed_at_twenty_moments_adopts_its_workers_each_time(night: Premises, namespace: str) -> None:
    """It is killed when it has just been made, when it sits at the desk, when it has told how its workers are, and when further
    rows were done under it. No worker dies or is doubled, and no row is done twice.
    """
    batch_id = night.submit(ROWS)
    started = night.command("work", "--detach")
    assert started.returncode == 0, started.stderr
    night.until(lambda: len(workers(namespace)) == 2, 120, "two workers")
    night.at_least(batch_id, 1)
    first, last = workers(namespace), 0
    for n in range(KILLS):
        pid = night.until(lambda: (pid := pid_of_supervisor(namespace)) != last and pid, 120, "a supervisor")  # noqa: B023
        done = night.outcomes(batch_id)

        def has_told(pid: int = pid) -> bool:
            shown = ray_desk.show(namespace)
            return shown is not None and shown["holder"]["pid"] == pid and shown["silent_s"] < 1

        def has_done_rows(done: int = done) -> bool:
            return night.outcomes(batch_id) > done or night.outcomes(batch_id) == ROWS

        moments: list[Callable[[], bool]] = [
            lambda: True,
            has_told,
            lambda: has_told() and has_done_rows(),
            has_done_rows,
        ]
        night.until(moments[n % len(moments)], 120, "the moment")
        os.kill(pid, signal.SIGKILL)
        last = pid
        assert workers(namespace) == first, "they go on, and there is none beside them"
    assert night.command("wait", batch_id, timeout_s=400.0).returncode == 0
    assert workers(namespace) == first
    assert night.check(batch_id) == {"completed": ROWS}
    assert len(night.lines(batch_id)) == ROWS, "no row was done twice"
    stopped = night.command("work", "stop")
    assert (stopped.returncode, stopped.stdout) == (0, ""), stopped.stderr
    assert list(named_actors(namespace)) == []


def test_a_command_that_stands_by_takes_over_when_the_first_is_killed(night: Premises, namespace: str) -> None:
    """The workers of a command in the foreground end with it, so their rows are done again once their leases have run out."""
    batch_id = night.submit(ROWS // 4)
    first = night.start("work", "--workers", "2")
    night.at_least(batch_id, 1)
    second = night.start("work", "--workers", "2", "--until-empty")
    night.wait_for_log("fleet.joined")
    assert night.logged("fleet.started") == 1
    first.kill()
    second.wait(300)
    assert second.returncode == 0, night.logs()
    assert night.logged("fleet.started") == 2
    assert night.check(batch_id) == {"completed": ROWS // 4}
    night.until(lambda: not named_actors(namespace), 60, "the desk to be cleared")


def test_a_cluster_that_loses_its_head_loses_no_row(night: Premises, cluster: Cluster) -> None:
    """The detached supervisor, the desk and the worker are on the head, and die with it. A fleet on another cluster goes on."""
    batch_id = night.submit(ROWS // 4)
    started = night.command("work", "--detach")
    assert started.returncode == 0, started.stderr
    night.at_least(batch_id, 1)
    for processes in cluster.head_node.all_processes.values():
        for process in processes:
            process.process.kill()
    assert night.outcomes(batch_id) < ROWS // 4
    with ray_cluster(night.env, num_cpus=2) as other:
        night.env["NIGHTPRESS_RAY_ADDRESS"] = other.address
        second = night.start("work", "--until-empty")
        second.wait(300)
        assert second.returncode == 0, night.logs()
    assert night.check(batch_id) == {"completed": ROWS // 4}


def test_what_the_log_of_a_detached_supervisor_holds_is_no_secret(night: Premises, namespace: str) -> None:
    """The settings reach it through Ray, with the password of Redis. No log of Ray or of ours has it."""
    night.client.acl_setuser("fleet", enabled=True, passwords=["+pass-7413"], keys=["*"], commands=["+@all"])
    night.env["NIGHTPRESS_REDIS_URL"] = night.server.url.replace("redis://", "redis://fleet:pass-7413@")
    night.env["NIGHTPRESS_LOG_LEVEL"] = "debug"
    batch_id = night.submit(10)
    started = night.command("work", "--detach")
    assert started.returncode == 0, started.stderr
    assert night.command("wait", batch_id).returncode == 0
    folder = logs_folder()
    shown = night.command("work", "status", "--json")
    assert json.loads(shown.stdout)["fleet"]["models"][LANE]["loaded"] == 1
    stopped = night.command("work", "stop", "--now")
    assert stopped.returncode == 0
    found = [path.name for path in folder.rglob("*") if path.is_file() and b"pass-7413" in path.read_bytes()]
    assert found == []
    assert "pass-7413" not in "".join((started.stdout, started.stderr, shown.stdout, stopped.stderr))
