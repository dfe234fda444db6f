"""Shows workers/engines/causal/slot_engine.py when requests or memory fail: a request that fails harms no other, and when
memory runs out, all requests continue.
"""

import itertools
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch

from jobs.generation import Completion
from tests.workers.engines.architectures import VOCABULARY
from tests.workers.engines.causal.small_engines import (
    GREEDY,
    SAMPLED,
    before_each_step,
    completions,
    prompts,
    request_of,
    slot_engine,
)
from workers.engines.causal.model import CausalModel


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        pytest.param(RuntimeError("shapes differ\nat line 3"), "generation_failed", True, id="any error"),
        pytest.param(torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory", False, id="of the device"),
        pytest.param(
            RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory", False, id="of the CPU"
        ),
    ],
)
def test_only_the_request_that_makes_a_step_fail_fails(
    llama: CausalModel, error: Exception, code: str, retryable: bool
) -> None:
    requests = [request_of(f"r{n}", tokens) for n, tokens in enumerate(prompts(7))]
    requests[3] = request_of("r3", [4, 55, 4])
    expected = completions(slot_engine(llama), *requests)

    def raises(ids: torch.Tensor) -> None:
        row = ids[0].tolist()
        if any(row[n : n + 3] == [4, 55, 4] for n in range(len(row))):
            raise error

    engine = slot_engine(llama)
    with before_each_step(llama, raises):
        done = completions(engine, *requests)
    fault = done["r3"].fault
    assert fault is not None
    assert (fault.code, fault.retryable) == (code, retryable)
    assert "\n" not in fault.message
    others = {name: one.text for name, one in done.items() if name != "r3"}
    assert others == {name: one.text for name, one in expected.items() if name != "r3"}
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


def test_faults_of_every_kind_among_64_requests_change_no_other_text(llama: CausalModel) -> None:
    """An empty prompt, an unknown token, a prompt that is too long, a step that fails, and a request cancelled while it runs."""
    some = prompts(64, seed=3)
    requests = [request_of(f"r{n}", tokens, SAMPLED if n % 2 else GREEDY) for n, tokens in enumerate(some)]
    expected = completions(slot_engine(llama, 64), *requests)
    context = llama.encoder.context or 0
    wrong = {"r5": [], "r17": [VOCABULARY], "r30": [4] * context, "r41": [4, 55, 4], "r63": [5, 6, 7]}
    for name, tokens in wrong.items():
        requests[int(name[1:])] = request_of(name, tokens)

    def raises(ids: torch.Tensor) -> None:
        row = ids[0].tolist()
        if any(row[n : n + 3] == [4, 55, 4] for n in range(len(row))):
            raise RuntimeError("shapes differ")

    engine = slot_engine(llama, 64)
    for request in requests:
        engine.submit(request)
    done: dict[str, Completion] = {}
    with before_each_step(llama, raises):
        for step in itertools.count():
            if step == 4:
                engine.cancel("r63")
            done |= {one.request_id: one for one in engine.step()}
            if len(done) == 64:
                break
    codes = {name: done[name].fault.code if done[name].fault else done[name].finish_reason for name in wrong}  # type: ignore[union-attr]
    assert codes == {
        "r5": "empty_prompt",
        "r17": "token_out_of_range",
        "r30": "prompt_too_long",
        "r41": "generation_failed",
        "r63": "cancelled",
    }
    assert {n: one.text for n, one in done.items() if n not in wrong} == {
        n: one.text for n, one in expected.items() if n not in wrong
    }
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


def test_out_of_memory_halves_the_slots_and_all_requests_go_on(llama: CausalModel) -> None:
    requests = [request_of(f"r{n}", tokens, SAMPLED) for n, tokens in enumerate(prompts(9))]
    expected = completions(slot_engine(llama, 8), *requests)
    steps: list[int] = []

    def raises(ids: torch.Tensor) -> None:
        steps.append(ids.shape[1])
        if len(steps) > 4 and engine.stats().slots > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine = slot_engine(llama, 8)
    with before_each_step(llama, raises):
        done = completions(engine, *requests)
    assert engine.stats().slots == 2
    assert {name: one.text for name, one in done.items()} == {name: one.text for name, one in expected.items()}
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns
    assert sum(one.completion_tokens for one in done.values()) == engine.stats().completion_tokens


def test_running_out_of_memory_while_a_failed_step_is_repeated_loses_no_request(llama: CausalModel) -> None:
    """When memory runs out, one sequence has ended, one is being computed, and one has not been computed yet."""
    requests = [
        request_of("ended", [5, 6], replace(GREEDY, max_tokens=1)),
        request_of("b", [7, 8]),
        request_of("c", [9, 10]),
    ]
    expected = completions(slot_engine(llama, 4), *requests)
    calls: list[int] = []

    def raises(_ids: torch.Tensor) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("shapes differ")
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine = slot_engine(llama, 4)
    with before_each_step(llama, raises):
        done = completions(engine, *requests)
        assert engine.step() == []
    assert engine.stats().slots == 2
    assert {name: one.text for name, one in done.items()} == {name: one.text for name, one in expected.items()}


def test_a_request_that_can_never_fit_fails_and_a_long_one_waits(llama: CausalModel) -> None:
    """Memory holds 150 tokens: enough for eight short sequences at once or for one long sequence, but not for the longest."""
    requests = [request_of(f"r{n}", [3 + n], replace(SAMPLED, max_tokens=18)) for n in range(6)]
    long = request_of("long", [9] * 40, replace(GREEDY, max_tokens=100, min_tokens=100))
    never = request_of("never", [9] * 60, replace(GREEDY, max_tokens=100))
    token_bytes = 2 * 2 * 2 * 8 * 4
    engine = slot_engine(llama, 8, cache_bytes=150 * token_bytes)
    done = completions(engine, *requests[:3], long, never, *requests[3:])
    fault = done["never"].fault
    assert fault is not None
    assert fault.code == "out_of_memory"
    assert "159 tokens of cache, and there is memory for 150" in fault.message
    expected = completions(slot_engine(llama, 1), long, *requests)
    assert {name: done[name].text for name in expected} == {name: one.text for name, one in expected.items()}
    assert done["long"].completion_tokens == 100
