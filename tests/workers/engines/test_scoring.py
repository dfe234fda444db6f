"""Shows workers/engines/scoring.py: equal prompts are scored once, and count as if each was."""

from collections.abc import Callable

import pytest

from jobs.generation import Completion, GenerationRequest, Message, Prompt
from workers.engines.scoring import ScoringEngine
from workers.engines.stub.engine import StubEngine, StubOptions

LABELS = (" good\n", " good enough\n")


def asked(request_id: str, text: str = "Text: tea", **more: object) -> GenerationRequest:
    return GenerationRequest(request_id, Prompt(text=text, continuations=LABELS, **more))  # type: ignore[arg-type]


def made(**options: object) -> ScoringEngine:
    """Return a scoring engine over the stub, which sleeps 1 ms of its own clock a step."""
    now = [0]

    def sleep(seconds: float) -> None:
        now[0] += int(seconds * 1e9)

    given = StubOptions.model_validate({"step_s": 0.001, **options})
    return ScoringEngine(StubEngine(given, clock_ns=lambda: now[0], sleep=sleep))


def done(engine: ScoringEngine, *requests: GenerationRequest) -> dict[str, Completion]:
    for request in requests:
        engine.submit(request)
    found: dict[str, Completion] = {}
    while len(found) < len(requests):
        found.update({one.request_id: one for one in engine.step()})
    assert engine.step() == []
    return found


@pytest.fixture(params=["at once", "one after another"])
def answered(request: pytest.FixtureRequest) -> Callable[..., dict[str, Completion]]:
    """Has requests answered, either side by side or one after another."""
    if request.param == "at once":
        return done
    return lambda engine, *requests: {name: one for each in requests for name, one in done(engine, each).items()}


def test_equal_prompts_are_scored_once(answered: Callable[..., dict[str, Completion]]) -> None:
    """The first request takes the device time. The others count the same tokens, and their prompt as cached."""
    engine = made()
    ended = answered(engine, asked("a"), asked("b"), asked("c", "Text: coffee"), asked("d"))
    found = {name: ended[name] for name in "abcd"}
    assert [one.scores for one in found.values()] == [
        found["a"].scores,
        found["a"].scores,
        found["c"].scores,
        found["a"].scores,
    ]
    assert found["a"].scores != found["c"].scores
    assert [(one.prompt_tokens, one.cached_prompt_tokens, one.completion_tokens) for one in found.values()] == [
        (2, 0, 3), (2, 2, 3), (2, 0, 3), (2, 2, 3),
    ]  # fmt: skip
    assert [one.device_ns > 0 for one in found.values()] == [True, False, True, False]
    assert engine.inner.stats().completion_tokens == 6
    stats = engine.stats()
    assert (stats.prompt_tokens, stats.completion_tokens, stats.waiting, stats.running) == (8, 12, 0, 0)
    assert sum(one.device_ns for one in found.values()) == stats.busy_ns


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Prompt(text="Text: tea", continuations=LABELS[::-1]), id="continuations"),
        pytest.param(Prompt(text="Text: tea ", continuations=LABELS), id="text"),
        pytest.param(Prompt(text="Text: tea", continuations=LABELS, adapter="brand"), id="adapter"),
        pytest.param(Prompt(messages=(Message("user", "Text: tea"),), continuations=LABELS), id="messages"),
    ],
)
def test_prompts_that_differ_are_scored_each(other: Prompt) -> None:
    engine = made()
    done(engine, asked("a"), GenerationRequest("b", other))
    assert engine.inner.stats().completion_tokens == 6


def test_requests_that_wait_for_an_equal_prompt_outlive_its_cancellation() -> None:
    engine = made()
    for name in "abc":
        engine.submit(asked(name))
    assert engine.stats().waiting == 2 + 2
    engine.cancel("a")
    engine.cancel("c")
    first = {one.request_id: one for one in engine.step()}
    assert {name: one.finish_reason for name, one in first.items()} == {"a": "cancelled", "c": "cancelled"}
    rest = [one for _ in range(5) for one in engine.step()]
    assert [(one.request_id, one.finish_reason, len(one.scores)) for one in rest] == [("b", "stop", 2)]
    assert sum(one.device_ns for one in (*first.values(), *rest)) == engine.stats().busy_ns


def test_a_request_that_was_cancelled_alone_is_scored_when_it_comes_again() -> None:
    engine = made()
    engine.submit(asked("a"))
    engine.cancel("a")
    engine.submit(asked("a"))
    ended = [one for _ in range(6) for one in engine.step()]
    assert [(one.request_id, one.finish_reason) for one in ended] == [("a", "cancelled"), ("a", "stop")]


def test_a_request_whose_scores_are_ready_can_be_cancelled() -> None:
    engine = made()
    done(engine, asked("a"))
    engine.submit(asked("b"))
    engine.cancel("b")
    (ended,) = engine.step()
    assert (ended.request_id, ended.finish_reason, ended.prompt_tokens) == ("b", "cancelled", 0)


def test_a_fault_is_given_to_all_and_not_kept() -> None:
    engine = made(failure_rate=1.0)
    found = done(engine, asked("a"), asked("b"))
    assert [one.fault and one.fault.code for one in found.values()] == ["generation_failed"] * 2
    spent = engine.inner.stats().completion_tokens
    done(engine, asked("c"))
    assert engine.inner.stats().completion_tokens > spent


def test_old_scores_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt that was not asked for the longest goes first."""
    monkeypatch.setattr("workers.engines.scoring.KEPT_PROMPTS", 2)
    engine = made()
    for name in ("a", "b", "a", "c", "a", "b"):
        done(engine, asked(name, f"Text: {name}"))
    assert engine.inner.stats().completion_tokens == 4 * 3
