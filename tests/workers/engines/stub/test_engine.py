"""Shows workers/engines/stub/engine.py: its timing, its faults and its texts."""

from dataclasses import dataclass, field, replace

import pytest

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from jobs.generation import Completion, GenerationRequest, Prompt, SamplingParams, Translatable
from workers.engines.options import parse_options
from workers.engines.stub.engine import StubEngine, StubOptions


@dataclass
class Time:
    """A clock that moves only when the engine sleeps."""

    now_ns: int = 0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += round(seconds * 1e9)


class Crashed(BaseException):
    """Raised in place of the end of the process."""


def crash() -> None:
    raise Crashed


class Killed(BaseException):
    """Raised in place of the signal that would kill the process."""


def kill() -> None:
    raise Killed


def request_of(request_id: str, text: str = "three short words", **params: object) -> GenerationRequest:
    return GenerationRequest(request_id, Prompt(text=text, params=SamplingParams(seed=1, **params)))  # type: ignore[arg-type]


def stub(time: Time | None = None, **options: object) -> StubEngine:
    time = time or Time()
    return StubEngine(StubOptions(**options), clock_ns=time.clock, sleep=time.sleep, crash=crash, segfault=kill)


def run(engine: StubEngine, requests: list[GenerationRequest], steps: int = 300) -> dict[str, Completion]:
    for request in requests:
        engine.submit(request)
    return {one.request_id: one for _ in range(steps) for one in engine.step()}


def test_a_step_takes_its_time_and_gives_each_request_one_word() -> None:
    time = Time()
    engine = stub(time, step_s=0.5, prompt_token_s=0.1, slots=2)
    for name in ("a", "b", "c"):
        engine.submit(request_of(name, min_tokens=2, max_tokens=2))
    assert engine.step() == []
    assert time.slept == [pytest.approx(0.5 + 6 * 0.1)]
    assert (engine.stats().running, engine.stats().waiting) == (2, 1)
    done = engine.step()
    assert {one.request_id for one in done} == {"a", "b"}
    assert [one.completion_tokens for one in done] == [2, 2]
    assert [one.device_ns for one in done] == [800_000_000, 800_000_000]
    engine.step()
    assert engine.stats().running == 1
    time.sleep(3)
    assert engine.stats().idle_ns == 3_000_000_000


def test_without_step_time_running_requests_end_in_one_step() -> None:
    time = Time()
    engine = stub(time)
    for n in range(100):
        engine.submit(request_of(str(n)))
    assert len(engine.step()) == 64
    assert len(engine.step()) == 36
    assert time.slept == []


def test_a_running_request_is_cancelled_with_the_words_so_far() -> None:
    engine = stub(step_s=0.1)
    engine.submit(request_of("r", min_tokens=9, max_tokens=9))
    engine.step()
    engine.step()
    engine.cancel("r")
    (done,) = engine.step()
    assert (done.finish_reason, done.completion_tokens, len(done.text.split())) == ("cancelled", 2, 2)
    assert done.device_ns == engine.stats().busy_ns == 200_000_000


@pytest.mark.parametrize(
    ("rate", "low", "high"),
    [
        pytest.param(0.0, 0, 0, id="never"),
        pytest.param(0.2, 20, 60, id="some"),
        pytest.param(1.0, 200, 200, id="always"),
    ],
)
def test_failure_rate_gives_faults_that_may_be_retried(rate: float, low: int, high: int) -> None:
    done = run(stub(failure_rate=rate), [request_of(f"row-{n}#1.0") for n in range(200)])
    faults = [one.fault for one in done.values() if one.fault is not None]
    assert low <= len(faults) <= high
    assert {(fault.code, fault.retryable) for fault in faults} <= {("generation_failed", True)}


def test_another_attempt_has_another_chance() -> None:
    first = run(stub(failure_rate=0.3), [request_of(f"row-{n}#1.0") for n in range(100)])
    again = run(stub(failure_rate=0.3), [request_of(f"row-{n}#1.0") for n in range(100)])
    second = run(stub(failure_rate=0.3), [request_of(f"row-{n}#2.0") for n in range(100)])
    struck = {name.partition("#")[0] for name, one in first.items() if one.fault}
    assert {name for name, one in first.items() if one.fault} == {name for name, one in again.items() if one.fault}
    assert any(one.fault is None and name.partition("#")[0] in struck for name, one in second.items())


def test_a_hanging_request_runs_until_it_is_cancelled() -> None:
    engine = stub(hang_rate=1.0)
    assert run(engine, [request_of("r")], steps=50) == {}
    assert engine.stats().running == 1
    engine.cancel("r")
    assert [one.finish_reason for one in engine.step()] == ["cancelled"]


def test_crash_rate_ends_the_process() -> None:
    with pytest.raises(Crashed):
        run(stub(crash_rate=1.0), [request_of("r")])


@pytest.mark.parametrize(
    ("fault", "raises"),
    [
        pytest.param("exit", Crashed, id="exits"),
        pytest.param("segfault", Killed, id="is killed"),
        pytest.param("out_of_memory", MemoryError, id="has no memory left"),
    ],
)
def test_scripted_faults_end_the_engine(fault: str, raises: type[BaseException]) -> None:
    engine = stub(faults={"guilty": fault})
    assert set(run(engine, [request_of("good")])) == {"good"}
    with pytest.raises(raises):
        run(engine, [request_of("bad", "the guilty one")])


def test_scripted_requests_hang_or_are_slow_and_others_go_on() -> None:
    engine = stub(faults={"never": "hang", "late": "slow"}, step_s=0.1)
    requests = [request_of(name, f"{name} done", min_tokens=5, max_tokens=5) for name in ("never", "late", "soon")]
    assert set(run(engine, requests, steps=5)) == {"soon"}
    assert set(run(engine, [], steps=45)) == {"late"}
    assert engine.stats().running == 1


def test_a_scripted_request_gives_a_flood_of_text() -> None:
    engine = stub(faults={"guilty": "flood"})
    completions = run(engine, [request_of("bad", "the guilty one"), request_of("good", "another")])
    assert len(completions["bad"].text) == 10 << 20
    assert completions["bad"].completion_tokens == 1
    assert len(completions["good"].text) < 10_000


def test_a_scripted_request_stalls_the_step_that_begins_it() -> None:
    time = Time()
    run(stub(time, faults={"guilty": "stall"}), [request_of("bad", "guilty")], steps=1)
    assert time.slept[0] > 1e6


def test_an_echo_is_the_text_to_translate() -> None:
    text = "Add  XQA\napples. "
    asked = GenerationRequest("t", Prompt(text="Translate it.", translatable=Translatable(text, "en", "fr")))
    short = GenerationRequest("s", replace(asked.prompt, params=SamplingParams(max_tokens=2)))
    found = run(stub(echoes=True), [asked, short, request_of("other")])
    assert (found["t"].text, found["t"].finish_reason) == (text, "stop")
    assert (found["s"].text, found["s"].finish_reason) == ("Add ", "length")
    assert run(stub(), [request_of("other")])["other"].text == found["other"].text, "only a text to translate is echoed"


def test_a_text_follows_from_prompt_and_seed_and_is_often_short_of_the_limit() -> None:
    done = run(stub(), [request_of(str(n), f"topic {n}", max_tokens=80) for n in range(50)])
    assert {one.finish_reason for one in done.values()} == {"stop", "length"}
    assert len({one.text for one in done.values()}) == 50
    assert run(stub(), [request_of("x", "topic 3", max_tokens=80)])["x"].text == done["3"].text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"stepp_s": 1}, r"option stepp_s; it knows prompt_token_s, step_s, slots", id="unknown"),
        pytest.param({"step_s": -1}, r"option step_s is wrong: .*greater than or equal to 0", id="range"),
        pytest.param({"slots": "many"}, r"option slots is wrong", id="type"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ModelUnavailable, match=message):
        parse_options("stub", StubOptions, ModelCard(engine="stub", options=options).options)
