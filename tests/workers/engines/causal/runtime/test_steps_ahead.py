"""Shows `launch` and `collect` of workers/engines/causal/runtime/cuda_graphs.py: steps that run before their tokens are read."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

from structlog.testing import capture_logs

from jobs.generation import GenerationRequest, Prompt, SamplingParams
from tests.workers.engines.causal.runtime.recorders import RerunRecorder, long_request, random_requests, results
from tests.workers.engines.causal.small_engines import random_model, slot_engine
from workers.engines.causal.runtime.cuda_graphs import Step
from workers.engines.causal.sequences import Span

SHORT = SamplingParams(max_tokens=25, temperature=1.0, seed=7)


def test_the_next_step_is_launched_before_its_tokens_are_known() -> None:
    """No step runs twice. There is a replay for each step but the last, after which no sequence continues."""
    rerun = RerunRecorder()
    at_tokens: list[int] = []
    after: list[int] = []
    engine = slot_engine(random_model(), recorder=rerun)
    advance = engine._append_tokens

    def advanced(spans: Sequence[Span], tokens: Sequence[int]) -> Any:
        at_tokens.append(rerun.replayed)
        return advance(spans, tokens)

    engine._append_tokens = advanced  # type: ignore[method-assign]
    for n in range(3):  # the first sequence begins a step before the others, which copy its prompt
        engine.submit(long_request(f"r{n}", 110 + (n == 0), seed=n))
    while len(after) < 2 or engine.stats().running:
        engine.step()
        after.append(rerun.replayed)
    assert at_tokens == after, "a step replays nothing after its tokens are known"
    replays = [now - before for before, now in itertools.pairwise(after)][-20:]
    assert replays == [1] * 19 + [0], "the last step was launched by the one before"


def test_a_sequence_that_ends_in_a_launched_step_changes_no_other() -> None:
    """Three sequences end by stop texts, so a launched step computes their rows for nothing. Later sequences are not affected
    by these rows.
    """
    model = random_model()
    long = long_request("long", 90)
    plain = results(slot_engine(model, 4), [long])["long"][0].split()
    cut = [long_request(f"cut{n}", 90, stop=(" ".join(plain[at : at + 2]),)) for n, at in enumerate((20, 30, 41))]
    late = [long_request(f"late{n}", 40 + n, seed=n) for n in range(4)]
    expected = results(slot_engine(model, 4), [long, *cut], late)
    assert [expected[one.request_id][1:] for one in cut] == [("stop", 22), ("stop", 32), ("stop", 43)]
    rerun = RerunRecorder()
    assert results(slot_engine(model, 4, recorder=rerun), [long, *cut], late) == expected
    assert rerun.replayed > 50


def test_a_prefill_of_one_token_runs_beside_a_launched_step() -> None:
    """All tokens of the late prompt but the last are copied. So its first step has the size of a decode step, but was not
    launched.
    """
    model = random_model()
    some, late = [long_request("a", 90)], [long_request("b", 30, seed=2)]
    rerun = RerunRecorder()
    assert results(slot_engine(model, 3, recorder=rerun), some, late) == results(slot_engine(model, 3), some, late)
    assert rerun.replayed > 50


def test_a_prefill_of_several_steps_runs_beside_a_launched_step() -> None:
    """Only the last step of the prefill samples a token."""
    model, greedy = random_model(), SamplingParams(max_tokens=90, min_tokens=90, temperature=0.0)
    some = [GenerationRequest("a", Prompt(text="5 6 7", params=greedy))]
    late = [GenerationRequest("b", Prompt(text=" ".join(map(str, range(20, 50))), params=SHORT))]
    rerun = RerunRecorder()
    expected = results(slot_engine(model, 3), some, late)
    assert results(slot_engine(model, 3, step_tokens=7, recorder=rerun), some, late) == expected
    assert rerun.replayed > 50


def test_a_step_is_launched_after_one_that_scored_several_tokens() -> None:
    """The sampled tokens of the step begin with rows of scored tokens. The row of a prompt that ends in the same step comes
    after them.
    """
    model = random_model()
    some = [long_request("a", 100), long_request("b", 100, seed=2), long_request("c", 30, seed=3)]
    late = [
        GenerationRequest("scored", Prompt(text="20 21 22", continuations=(" 30 31 32",))),
        GenerationRequest("d", Prompt(text="40 41 42 43 44 45 46 47 48", params=SHORT)),
    ]
    rerun = RerunRecorder()
    assert results(slot_engine(model, 5, recorder=rerun), some, late) == results(slot_engine(model, 5), some, late)
    assert rerun.replayed > 50


@pytest.mark.parametrize(("one", "other", "tokens"), [("a", "b", 30), ("b", "a", 29)])
def test_a_request_that_is_cancelled_in_a_launched_step_keeps_its_text(one: str, other: str, tokens: int) -> None:
    """The request may be in either row of the step. `b` begins a step after `a`, and copies its prompt."""
    model, rerun = random_model(), RerunRecorder()
    expected = results(slot_engine(model, 3), [long_request("a", 60), long_request("b", 60, seed=3)])
    engine = slot_engine(model, 3, recorder=rerun)
    for request in (long_request("a", 60), long_request("b", 60, seed=3)):
        engine.submit(request)
    for _ in range(30):
        assert not engine.step()
    assert rerun.replayed
    engine.cancel(one)
    (done,) = engine.step()
    assert done.finish_reason == "cancelled"
    assert done.text.split() == expected[one][0].split()[:tokens]
    while not (ended := engine.step()):
        pass
    assert ended[0].text == expected[other][0]


def test_a_launch_that_fails_loses_no_token() -> None:
    """The tokens with which the failed launch would have continued were sampled already. They are sampled again."""
    model, some = random_model(), random_requests(9, seed=5)

    def failing(step: Step) -> Step:
        times = itertools.count()

        def replay() -> None:
            if next(times) == 9:
                raise RuntimeError("no replay any more")
            step()

        return replay

    with capture_logs() as logs:
        assert results(slot_engine(model, 5, recorder=failing), some) == results(slot_engine(model, 5), some)
    assert [line["event"] for line in logs] == ["engine.graphs_stopped"]
