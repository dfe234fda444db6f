"""Shows workers/fleet/staffing/demand.py: how many workers each model should have, and when a lane has rows to do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import close
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.protocol import FeedRow, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from jobs.store.opening import open_store
from workers.fleet.handles import Capacity
from workers.fleet.nodes.needs import Node
from workers.fleet.staffing.demand import (
    FleetPlan,
    Want,
    held_by_others,
    on_its_nodes,
    room_for_us,
    rows_to_do,
    share_out,
)

GPU = {"GPU": 1.0, "CPU": 1.0}
CPU = {"CPU": 1.0}
GPUS_8 = {"GPU": 8.0, "CPU": 64.0}


@pytest.mark.parametrize(
    ("wants", "room", "workers"),
    [
        pytest.param([Want("a", GPU, 1000, 10)], GPUS_8, {"a": 8}, id="as many as fit"),
        pytest.param([Want("a", GPU, 25, 10)], GPUS_8, {"a": 3}, id="no more than the rows keep busy"),
        pytest.param([Want("a", GPU, 0, 10)], GPUS_8, {"a": 0}, id="none without rows"),
        pytest.param([Want("a", GPU, 1000, 10, least=2)], GPUS_8, {"a": 2}, id="no more than the deadline needs"),
        pytest.param([Want("a", GPU, 5, 10, least=4)], GPUS_8, {"a": 1}, id="but never more than the rows keep busy"),
        pytest.param([Want("a", GPU, 100, 10), Want("b", GPU, 100, 10)], GPUS_8, {"a": 4, "b": 4}, id="alike"),
        pytest.param([Want("a", GPU, 600, 10), Want("b", GPU, 200, 10)], GPUS_8, {"a": 6, "b": 2}, id="by rows"),
        pytest.param([Want("a", GPU, 600, 10), Want("b", GPU, 600, 30)], GPUS_8, {"a": 6, "b": 2}, id="by slots"),
        pytest.param([Want("a", GPU, 999, 1), Want("b", GPU, 1, 64)], GPUS_8, {"a": 7, "b": 1}, id="one at least"),
        pytest.param(
            [Want(alias, GPU, 100) for alias in "abc"],
            {"GPU": 1.0, "CPU": 4.0},
            {"a": 1, "b": 1, "c": 1},
            id="each has its turn",
        ),
        pytest.param(
            [Want("a", {"GPU": 0.25, "CPU": 1.0}, 9999, 1)], {"GPU": 2.0, "CPU": 64.0}, {"a": 8}, id="parts of a GPU"
        ),
        pytest.param([Want("a", CPU, 1000, 1)], {"CPU": 8.0}, {"a": 7}, id="one core is left"),
        pytest.param([Want("a", CPU, 1000, 1)], {"CPU": 1.0}, {"a": 1}, id="the only core"),
        pytest.param([Want("a", GPU, 1000, 1)], {"GPU": 4.0, "CPU": 4.0}, {"a": 4}, id="a core for each GPU"),
        pytest.param([Want("a", GPU, 1000, 1)], {"GPU": 4.0, "CPU": 3.0}, {"a": 3}, id="too few cores"),
        pytest.param([Want("a", GPU, 0, 10, fixed=12)], GPUS_8, {"a": 12}, id="a number that was set"),
        pytest.param(
            [Want("a", GPU, 0, 10, fixed=6), Want("b", GPU, 1000, 10)], GPUS_8, {"a": 6, "b": 2}, id="beside one"
        ),
    ],
)
def test_a_plan(wants: list[Want], room: Mapping[str, float], workers: Mapping[str, int]) -> None:
    assert share_out(wants, room).workers == workers


def test_a_plan_of_thousands_of_workers_is_made_at_once() -> None:
    wants = [Want(f"m{n}", GPU, 10_000_000, 64) for n in range(50)]
    plan = share_out(wants, {"GPU": 1000.0, "CPU": 8000.0})
    assert sum(plan.workers.values()) == 1000
    assert set(plan.workers.values()) == {20}


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [({}, True), ({"GPU": 1.0, "CPU": 1.0}, True), ({"GPU": 2.0, "CPU": 2.0}, False), ({"GPU": 0.0}, True)],
)
def test_no_more_is_asked_for_than_the_plan_allows(asked: Mapping[str, float], allowed: bool) -> None:
    assert FleetPlan({}, {"GPU": 2.0, "CPU": 8.0}).allows(asked, GPU) == allowed


def test_the_first_worker_is_asked_for_even_if_the_cluster_cannot_hold_it() -> None:
    """So Ray says that it is infeasible, and a cluster that grows has something to grow for."""
    assert FleetPlan({}, {"CPU": 1.0}).allows({}, GPU)


@pytest.mark.parametrize(
    ("free", "held", "max_gpus", "grown", "room"),
    [
        pytest.param(8, 0, None, 0, 8, id="an empty cluster"),
        pytest.param(2, 6, None, 0, 8, id="what we hold is ours"),
        pytest.param(2, 0, None, 0, 2, id="what others hold is not"),
        pytest.param(2, 6, 3, 0, 3, id="a limit"),
        pytest.param(8, 0, None, 100, 100, id="as far as it grows"),
        pytest.param(2, 2, None, 100, 96, id="less what others hold"),
        pytest.param(8, 0, 20, 100, 20, id="a limit to growth"),
    ],
)
def test_the_room_for_a_fleet(free: int, held: int, max_gpus: float | None, grown: int, room: float) -> None:
    capacity = Capacity({"GPU": free, "CPU": 64}, [{"GPU": 8, "CPU": 64}], grown={"GPU": grown} if grown else {})
    others = held_by_others(capacity, Counter({"GPU": held}), {}, {})
    assert room_for_us(capacity, others, {} if max_gpus is None else {"GPU": max_gpus})["GPU"] == room


@pytest.mark.parametrize(
    "looks",
    [
        # at each look: free, what our workers hold that are up, what those hold or will hold that are not; what others hold
        pytest.param(
            [(8, 0, 0, 0), (8, 0, 8, 0), (3, 0, 8, 0), (0, 0, 8, 0), (0, 5, 3, 0), (0, 8, 0, 0)], id="only we"
        ),
        pytest.param([(4, 0, 0, 4), (4, 0, 4, 4), (1, 0, 4, 4), (0, 0, 4, 4), (0, 4, 0, 4)], id="others hold some"),
        pytest.param([(8, 0, 0, 0), (8, 0, 4, 0), (2, 0, 4, 2), (0, 4, 0, 4)], id="others come meanwhile"),
        pytest.param([(4, 0, 0, 4), (4, 0, 4, 4), (4, 4, 0, 0)], id="others leave meanwhile"),
        pytest.param([(6, 2, 0, 0), (6, 2, 4, 0), (2, 2, 4, 0), (2, 0, 4, 2)], id="ours end meanwhile"),
    ],
)
def test_workers_that_come_up_are_not_taken_for_others(looks: Sequence[tuple[int, int, int, int]]) -> None:
    """Else a fleet that has asked for eight workers finds no room for them while they come up, and takes seven back."""
    known: Mapping[str, float] = {}
    for free, held, asked, others in looks:
        capacity = Capacity({"GPU": free}, [{"GPU": 8}])
        known = held_by_others(capacity, Counter({"GPU": held}), Counter({"GPU": asked}), known)
        assert known["GPU"] == others


SPOT = {"label:tier=spot": 0.001, "CPU": 1.0}
A100 = {"GPU": 1.0, "accelerator_type:A100": 0.001, "CPU": 1.0}
NODES = [
    Node({"CPU": 16.0}, {}),
    Node({"CPU": 4.0}, {"tier": "spot"}),
    Node({"CPU": 8.0, "GPU": 2.0, "accelerator_type:A100": 1.0}, {}),
    Node({"CPU": 8.0, "GPU": 4.0, "accelerator_type:L4": 1.0}, {}),
]


@pytest.mark.parametrize(
    ("needs", "workers"),
    [
        pytest.param({"a": SPOT}, {"a": 4}, id="all cores of the labelled node"),
        pytest.param({"a": SPOT, "b": SPOT}, {"a": 2, "b": 2}, id="two models share it"),
        pytest.param({"a": SPOT, "b": CPU}, {"a": 4, "b": 31}, id="another has the rest, but for a core"),
        pytest.param({"a": A100, "b": A100}, {"a": 1, "b": 1}, id="two models share a type of GPU"),
        pytest.param({"a": A100, "b": GPU}, {"a": 2, "b": 4}, id="another has the other GPUs"),
        pytest.param({"a": {"label:x=y": 0.001, "CPU": 1.0}}, {"a": 1}, id="no node has the label"),
        pytest.param({"a": CPU}, {"a": 35}, id="no label"),
    ],
)
def test_models_that_need_the_same_nodes_share_them(needs: Mapping[str, Any], workers: Mapping[str, int]) -> None:
    room: dict[str, float] = {"CPU": 36.0, "GPU": 6.0}
    wants = []
    for alias, one in needs.items():
        needed, of_nodes = on_its_nodes(one, NODES)
        room.update(of_nodes)
        wants.append(Want(alias, needed, 1_000, 1))
    assert share_out(wants, room).workers == workers


# -- what is to do --------------------------------------------------------------------------------------------------------


def test_a_lane_has_work_from_its_first_row_to_its_last(tmp_path: Any, fake_queue: RedisQueue) -> None:
    settings = Settings(store_url=str(tmp_path), model="stub", models={"other": {"engine": "stub"}})
    store = open_store(settings.store_url)
    batches = OpenBatches(store, batch_scan_s=0.0)
    assert not rows_to_do(fake_queue.snapshot("stub"), batches, "stub")
    line = orjson.dumps({"kind": "chat", "prompt": "Say."})
    batch = accept(store, [line], IntakeOptions(), kinds=load_kinds(), settings=settings, run_key="k").batch
    batches.scan()
    assert rows_to_do(fake_queue.snapshot("stub"), batches, "stub"), "it is not fed yet"
    assert not rows_to_do(fake_queue.snapshot("other"), batches, "other")
    fake_queue.feed("stub", batch.batch_id, 1, 0, 9, True, [FeedRow(0, line, 1, 5, "t")])
    assert rows_to_do(fake_queue.snapshot("stub"), batches, "stub"), "it waits"
    fake_queue.pause("stub")
    assert not rows_to_do(fake_queue.snapshot("stub"), batches, "stub"), "not for now"
    fake_queue.resume("stub")
    (job,) = fake_queue.claim("stub", "w-i-1", 5, 60_000, WorkerRecord("w", 1, "n", "stub", 0)).jobs
    assert rows_to_do(fake_queue.snapshot("stub"), batches, "stub"), "it runs"
    fake_queue.settle("stub", [Settlement(job.lease)])
    assert not rows_to_do(fake_queue.snapshot("stub"), batches, "stub"), "it is done"


def test_a_closed_batch_that_was_never_fed_is_no_work(tmp_path: Any, fake_queue: RedisQueue) -> None:
    settings = Settings(store_url=str(tmp_path), model="stub")
    store = open_store(settings.store_url)
    line = orjson.dumps({"kind": "chat", "prompt": "Say."})
    batch = accept(store, [line], IntakeOptions(), kinds=load_kinds(), settings=settings, run_key="k").batch
    close(store, batch.batch_id, "cancelled")
    batches = OpenBatches(store, batch_scan_s=0.0)
    batches.scan()
    assert not rows_to_do(fake_queue.snapshot("stub"), batches, "stub")
