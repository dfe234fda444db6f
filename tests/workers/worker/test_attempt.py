"""Shows workers/worker/attempt.py: the conversation of one row, its usage and its receipt."""

import random
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from jobs.batches.request_row import RowRequest
from jobs.batches.segments.line import Outcome, to_line
from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.checker import Checker
from jobs.errors import CheckFailed, GenerationFailed, RowError
from jobs.findings import Place, Severity
from jobs.generation import Completion, Fault, GenerationRequest, Message, Prompt, SamplingParams
from jobs.kinds.registry import load_kinds
from jobs.lanes.job import Job, JobKey, Lease
from jobs.prices import Prices
from jobs.usage import Usage
from jobs.writing.cleaning import CleanedOutput
from jobs.writing.terms.row_terms import terms_sha256
from workers.engines.scoring import ScoringEngine
from workers.engines.stub.engine import StubEngine
from workers.worker.attempt import Attempt, take_turn
from workers.worker.outcome import OutcomeBuilder
from workers.worker.retry import RetryPolicy


class EchoRequest(BaseModel):
    words: list[str]


class EchoOutput(BaseModel):
    text: str


class Echo:
    """A kind that yields a prompt for each word at once, and one more if the first answer is `again`."""

    name = "echo"
    request_type = EchoRequest
    output_type = EchoOutput

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], BaseModel]:
        assert isinstance(request, EchoRequest)
        params = SamplingParams(max_tokens=10)
        prompts = [Prompt(text=w, label=w, params=params, template_sha256="t" + w) for w in request.words]
        answers = list((yield prompts))
        if answers and answers[0].text == "again":
            answers[0:1] = yield [Prompt(text="!", label="second", replaces=request.words[0], params=params)]
        if answers and answers[0].text == "bad":
            raise CheckFailed("empty_output", "nothing there")
        return EchoOutput(text=" ".join(a.text for a in answers))

    def expected_tokens(self, request: BaseModel) -> int:
        return 10


def attempt_for(words: list[str], **fields: object) -> Attempt:
    job = Job(Lease(JobKey("b-1", 7), 1, 3, "w-1-i-7"), b"", attempt=2)
    row = RowRequest(row=7, line=8, kind="echo", model="stub", request={"words": words}, **fields)  # type: ignore[arg-type]
    return Attempt(job, row, Echo(), datetime.now(UTC))


def answer(request: GenerationRequest, text: str, tokens: int = 1, reason: str = "stop") -> Completion:
    return Completion(request.request_id, text, reason, 2, 1, tokens, 100)  # type: ignore[arg-type]


def test_side_by_side_answers_arrive_in_any_order() -> None:
    """The kind is sent its completions in the order of its prompts."""
    attempt = attempt_for(["a", "b"])
    first, second = attempt.start()
    assert attempt.receive(answer(second, "two")) == ()
    unfinished = attempt.output
    assert unfinished is None
    assert attempt.receive(answer(first, "one")) == ()
    assert attempt.output == EchoOutput(text="one two")
    assert attempt.usage == Usage(4, 2, 2, 200)
    assert attempt.wasted == Usage()


def spent(request: GenerationRequest, prompt: int, cached: int, written: int, device_ns: int) -> Completion:
    return Completion(request.request_id, "fine", "stop", prompt, cached, written, device_ns)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_prompt_with_several_answers_is_billed_once(order: Sequence[int]) -> None:
    """The prompt was computed once. For the other answers it was cached."""
    attempt = attempt_for(["a", "a", "a"])
    requests = attempt.start()
    usage = [(90, 16, 5, 300), (90, 89, 6, 40), (90, 89, 7, 50)]
    for n in order:
        attempt.receive(spent(requests[n], *usage[n]))
    assert attempt.usage == Usage(90, 16, 18, 390)
    assert attempt.wasted == Usage()


def test_other_prompts_of_the_same_turn_are_billed_each() -> None:
    attempt = attempt_for(["a", "b", "a"])
    for request, usage in zip(attempt.start(), [(90, 0, 5, 300), (70, 8, 6, 200), (90, 89, 7, 50)], strict=True):
        attempt.receive(spent(request, *usage))
    assert attempt.usage == Usage(160, 8, 18, 550)


def test_answers_that_failed_before_the_prompt_was_read_make_nothing_cached() -> None:
    attempt = attempt_for(["a", "a", "a"])
    first, second, _ = attempt.start()
    attempt.receive(spent(first, 90, 80, 5, 300))
    with pytest.raises(GenerationFailed):
        attempt.receive(Completion(second.request_id, "", "error", fault=Fault("out_of_memory", "full")))
    assert attempt.usage == Usage(90, 80, 5, 300)


@pytest.mark.parametrize("replaced", [1, 2])
def test_a_prompt_is_billed_with_the_answers_that_are_kept(replaced: int) -> None:
    attempt = attempt_for(["a", "a"])
    for request, usage in zip(attempt.start(), [(90, 0, 5, 300), (90, 89, 7, 50)], strict=True):
        attempt.receive(spent(request, *usage))
    attempt._replaced |= {"first", "second"} if replaced == 2 else {"first"}
    attempt._spent = [replace(one, label=name) for one, name in zip(attempt._spent, ("first", "second"), strict=True)]
    kept, wasted = (Usage(90, 0, 7, 50), Usage(0, 0, 5, 300)) if replaced == 1 else (Usage(), Usage(90, 0, 12, 350))
    assert (attempt.usage, attempt.wasted) == (kept, wasted)


def test_regenerated_text_is_wasted_and_not_billed() -> None:
    attempt = attempt_for(["a"])
    (first,) = attempt.start()
    (again,) = attempt.receive(answer(first, "again", tokens=5, reason="length"))
    attempt.receive(answer(again, "fine", tokens=3))
    assert attempt.output == EchoOutput(text="fine")
    assert attempt.usage.completion_tokens == 3
    assert attempt.wasted.completion_tokens == 5
    assert attempt.receipt["finish_reason"] == "stop"


def test_a_kind_without_prompts_returns_at_once() -> None:
    attempt = attempt_for([])
    assert attempt.start() == ()
    assert attempt.output == EchoOutput(text="")


def test_an_engines_fault_becomes_the_error_of_the_row() -> None:
    attempt = attempt_for(["a"])
    (request,) = attempt.start()
    fault = Fault("out_of_memory", "too long", retryable=True)
    with pytest.raises(GenerationFailed) as raised:
        attempt.receive(Completion(request.request_id, "", "error", fault=fault))
    assert (raised.value.code, raised.value.retryable) == ("out_of_memory", True)


def test_a_failed_check_keeps_its_usage() -> None:
    attempt = attempt_for(["a"])
    (request,) = attempt.start()
    with pytest.raises(CheckFailed):
        attempt.receive(answer(request, "bad"))
    assert attempt.usage.completion_tokens == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"temperature": 9.0}, "out_of_range", id="params that do not go together"),
    ],
)
def test_params_that_do_not_go_together_fail_the_row(fields: dict[str, object], code: str) -> None:
    with pytest.raises(RowError) as raised:
        attempt_for(["a"], **fields).start()
    assert raised.value.code == code


def test_a_stored_request_that_does_not_fit_its_kind_fails_the_row() -> None:
    attempt = attempt_for(["a"])
    attempt.row = attempt.row._replace(request={"words": 5})
    with pytest.raises(RowError, match="does not fit kind echo") as raised:
        attempt.start()
    assert raised.value.code == "bad_record"
    assert "\n" not in str(raised.value)
    assert "pydantic" not in str(raised.value)


def test_the_row_overrides_the_kinds_params_and_seeds_follow_from_the_row() -> None:
    requests = attempt_for(["a", "b"], max_tokens=4, temperature=0.0, seed=40, adapter="brand").start()
    assert [r.prompt.params.seed for r in requests] == [40, 41]
    assert {r.prompt.params.max_tokens for r in requests} == {4}
    assert {r.prompt.adapter for r in requests} == {"brand"}
    assert [r.request_id for r in requests] == ["b-1/7#2.0~7", "b-1/7#2.1~7"]


def test_without_a_seed_one_is_made_from_batch_and_row() -> None:
    """Each attempt at a row gets the same seed, and another row gets another."""
    assert attempt_for(["a"]).seed == attempt_for(["a"]).seed
    other = attempt_for(["a"])
    other.job = Job(Lease(JobKey("b-1", 8), 1, 3, "w-1-i-7"), b"")
    assert other.seed != attempt_for(["a"]).seed


def test_the_receipt_names_templates_and_cut_text() -> None:
    attempt = attempt_for(["a", "b"])
    first, second = attempt.start()
    attempt.receive(answer(first, "one", reason="length"))
    attempt.receive(answer(second, "two"))
    assert attempt.receipt["templates"] == {"a": "ta", "b": "tb"}
    assert attempt.receipt["finish_reason"] == "length"


def test_the_receipt_has_the_hash_of_the_terms() -> None:
    attempt = attempt_for(["a"])
    assert "terms" not in attempt.receipt
    request = {"glossary": {"invoice": "Rechnung"}}
    attempt.row = attempt.row._replace(request=request)
    assert attempt.receipt["terms"] == terms_sha256(request)


@pytest.mark.parametrize(
    ("adapter", "named"), [("brand", {"adapter_revision": "b1"}), ("other", {}), (None, {})], ids=str
)
def test_the_receipt_names_the_adapter_of_the_row_and_which_files_it_had(
    adapter: str | None, named: dict[str, str]
) -> None:
    attempt = attempt_for([], adapter=adapter)
    attempt.start()
    builder = OutcomeBuilder("w", "stub", "cpu", {}, Prices(), RetryPolicy(), {"brand": "b1"})
    receipt = builder.ended(attempt, None, datetime.now(UTC), random.Random(0))[0].receipt
    assert receipt["adapter"] == adapter
    assert {name: receipt[name] for name in receipt if name == "adapter_revision"} == named


class Stubborn(Echo):
    """A kind whose conversation, when it is closed, raises an error or yields another prompt."""

    def __init__(self, way: str) -> None:
        self._way = way

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], BaseModel]:
        try:
            return (yield from super().compose(request))
        finally:
            if self._way == "raises":
                raise OSError("cannot clean up")
            yield [Prompt(text="something else")]


@pytest.mark.parametrize("way", ["raises", "goes on"])
def test_a_kind_that_does_not_close_is_logged_and_nothing_else_fails(
    way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = attempt_for(["a"])
    attempt.kind = Stubborn(way)
    attempt.start()
    attempt.close()
    attempt.close()
    events = capsys.readouterr().out
    assert events.count("kind.close_failed") == 1
    assert "b-1/7" in events
    assert "echo" in events


def test_the_receipt_has_the_hash_of_each_rendered_prompt() -> None:
    """Requests carry the time when the batch was accepted, so that a date in a prompt is the same in each attempt."""
    attempt = attempt_for(["a", "b"])
    attempt.created_at = datetime(2024, 2, 29, tzinfo=UTC)
    requests = attempt.start()
    assert {request.created_at for request in requests} == {attempt.created_at}
    assert "prompts" not in attempt.receipt
    for request in requests:
        attempt.receive(replace(answer(request, "one"), prompt_sha256=f"hash of {request.prompt.label}"))
    assert attempt.receipt["prompts"] == {"a": "hash of a", "b": "hash of b"}


class Talk(Echo):
    """The kind `Echo`, with a turn in its prompt."""

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], BaseModel]:
        conversation = super().compose(request)
        prompts = next(conversation)
        while True:
            try:
                answers = yield [replace(one, text="", messages=(Message("user", one.text),)) for one in prompts]
                prompts = conversation.send(answers)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]


def test_arguments_of_the_chat_template_reach_prompts_with_turns() -> None:
    kwargs = {"enable_thinking": False}
    attempt = attempt_for(["a"], chat_template_kwargs=kwargs)
    (raw,) = attempt.start()
    assert raw.prompt.chat_template_kwargs == {}
    assert attempt.receipt["params"] == {"a": {"max_tokens": 10}}
    attempt = attempt_for(["a"], chat_template_kwargs=kwargs)
    attempt.kind = Talk()
    (asked,) = attempt.start()
    assert asked.prompt.chat_template_kwargs == kwargs
    assert attempt.receipt["params"] == {"a": {"max_tokens": 10, "chat_template_kwargs": kwargs}}
    own = replace(asked.prompt, chat_template_kwargs={"enable_thinking": True, "b": 1})
    assert own.with_template_kwargs(kwargs).chat_template_kwargs == {"enable_thinking": False, "b": 1}
    assert own.read != asked.prompt.read


@pytest.mark.parametrize("own", [None, 7])
def test_thoughts_count_towards_a_limit_of_the_row(own: int | None) -> None:
    (request,) = attempt_for(["a"], max_tokens=own).start()
    assert request.thoughts_count is (own is not None)


def test_a_receipt_counts_the_tokens_of_thoughts() -> None:
    """Thoughts of answers that were thrown away are not counted. An attempt without thoughts has no such count."""
    attempt = attempt_for(["a", "b"])
    first, second = attempt.start()
    attempt.receive(replace(answer(first, "again", tokens=9), reasoning="x", reasoning_tokens=5))
    (third,) = attempt.receive(replace(answer(second, "two", tokens=9), reasoning="x", reasoning_tokens=3))
    attempt.receive(replace(answer(third, "one", tokens=9), reasoning="x", reasoning_tokens=1))
    assert attempt.receipt["reasoning_tokens"] == 4
    assert attempt.usage.completion_tokens == 18
    plain = attempt_for(["a"])
    (only,) = plain.start()
    plain.receive(answer(only, "one"))
    assert "reasoning_tokens" not in plain.receipt


REQUESTS: dict[str, dict[str, object]] = {
    "chat": {"prompt": "a"},
    "translation": {"text": "Guten Tag.", "source_language": "de", "target_language": "en"},
    "social_post": {"topic": "tea", "platform": "x"},
    "article": {"topic": "tea", "target_words": 50, "outline": ["Tea"]},
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize(("reason", "says"), [("length", "took all 9 tokens"), ("stop", "thoughts did not end")])
def test_a_row_whose_thoughts_do_not_end_fails_with_a_code_of_its_own(name: str, reason: str, says: str) -> None:
    """The row fails after all tries of its kind. Some kinds ask again if a text is empty."""
    code, message, tries = end_of_cut_answers(name, reason, of_thoughts=9)
    assert code == "reasoning_incomplete"
    assert says in message
    assert "max_tokens" in message
    assert tries == {"chat": 1, "translation": 1, "social_post": 3, "article": 3}[name]
    # The thoughts have ended here, and no word follows them.
    assert end_of_cut_answers(name, reason, of_thoughts=8)[0] == "empty_output"


def end_of_cut_answers(name: str, reason: str, of_thoughts: int) -> tuple[str, str, int]:
    """Return how a row fails if its answers have 9 tokens and no text: the code, the message, and the number of answers."""
    attempt = attempt_for([])
    attempt.kind = load_kinds()[name]
    attempt.row = attempt.row._replace(kind=name, request=REQUESTS[name])
    requests, tries = list(attempt.start()), 0
    while requests:
        tries += 1
        cut = replace(answer(requests.pop(0), "", 9, reason), reasoning="Hm", reasoning_tokens=of_thoughts)
        try:
            requests += attempt.receive(cut)
        except CheckFailed as error:
            return error.code if not error.retryable else "", error.message, tries
    raise AssertionError("the row did not fail")


class Cleaned(CleanedOutput):
    text: str


class Cleaner(Echo):
    """A kind that takes `Title: ` off each answer."""

    output_type = Cleaned  # type: ignore[assignment]

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], BaseModel]:
        assert isinstance(request, EchoRequest)
        answers = yield [Prompt(text=word, label=word) for word in request.words]
        texts = [answer.text.removeprefix("Title: ") for answer in answers]
        removed = {
            word: ["Title:"] for word, a in zip(request.words, answers, strict=True) if a.text.startswith("Title:")
        }
        return Cleaned(text=" ".join(texts)).with_removed(removed)


def test_the_receipt_has_what_the_kind_took_off() -> None:
    attempt = replace(attempt_for(["a", "b"]), kind=Cleaner())
    first, second = attempt.start()
    attempt.receive(answer(first, "Tea"))
    assert "removed" not in attempt.receipt
    attempt.receive(answer(second, "Title: Tea"))
    assert attempt.receipt["removed"] == {"b": ["Title:"]}


def test_the_receipt_names_nothing_that_was_taken_off_if_nothing_was() -> None:
    attempt = replace(attempt_for(["a"]), kind=Cleaner())
    [request] = attempt.start()
    attempt.receive(answer(request, "Tea"))
    assert attempt.output == Cleaned(text="Tea")
    assert "removed" not in attempt.receipt


def test_a_template_that_fails_is_named_in_the_error_of_its_row(tmp_path: Path) -> None:
    (tmp_path / "translation_user.j2").write_text("{{ source }}\n{% for i in range(99999) %}{{ source }}{% endfor %}")
    fields = {"text": "x" * 1_000, "source_language": "en", "target_language": "de"}
    job = Job(Lease(JobKey("b-1", 7), 1, 3, "w-1-i-7"), b"", attempt=2)
    row = RowRequest(row=7, line=8, kind="translation", model="stub", request=fields)
    attempt = Attempt(job, row, load_kinds(tmp_path)["translation"], datetime.now(UTC))
    error = take_turn(attempt, attempt.start).error
    assert isinstance(error, CheckFailed)
    assert str(error).startswith("kind translation: template translation_user.j2: a text would have more than")


def check_of(code: str, *broken: Broken, severity: Severity = Severity.FAIL) -> Check:
    """A check that finds the same in every output."""
    return Check(code, severity, "what a test wants", lambda subject, limits: broken)


def judged(*checks: Check, text: str = "fine", words: Sequence[str] = ("a",), reason: str = "stop") -> Outcome:
    """Return the line of an attempt with these checks. All prompts are answered with `text`, and a further one with `better`."""
    attempt = attempt_for(list(words))
    attempt.checks = lambda row, kind, request: Checker(kind.name, request.model_dump(), checks=checks)
    turn = take_turn(attempt, attempt.start)
    while turn.requests:
        for request in turn.requests:
            said = "better" if request.prompt.text == "!" else text
            turn = take_turn(attempt, partial(attempt.receive, answer(request, said, reason=reason)))
    assert turn.is_last
    builder = OutcomeBuilder("w", "stub", "cpu", {}, Prices(), RetryPolicy())
    return builder.ended(attempt, turn.error, datetime.now(UTC), random.Random(1))[0]


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        pytest.param([], "fit", id="nothing found"),
        pytest.param([Severity.NOTE], "fit", id="a note"),
        pytest.param([Severity.NOTE, Severity.REVIEW], "review", id="one for review"),
    ],
)
def test_a_row_without_a_failing_finding_completes_with_a_verdict(severities: list[Severity], verdict: str) -> None:
    checks = [check_of(f"c{n}", Broken("odd"), severity=severity) for n, severity in enumerate(severities)]
    line = judged(check_of("quiet"), *checks)
    assert (line.status, line.verdict, line.output, line.rejected) == ("completed", verdict, {"text": "fine"}, None)
    assert [one["severity"] for one in line.findings or ()] == [str(one) for one in reversed(severities)]


def test_a_row_with_a_failing_finding_fails_by_its_code_and_keeps_the_output() -> None:
    place = Place(field="text", start=0, end=4)
    checks = (
        check_of("odd_note", Broken("a note"), severity=Severity.NOTE),
        check_of("too_short", Broken("it has 1 word", 1, 9, place), Broken("twice")),
        check_of("too_dull", Broken("it is dull")),
    )
    line = judged(*checks)
    assert (line.status, line.final, line.verdict, line.output) == ("failed", True, None, None)
    assert line.error == {"code": "too_short", "message": "it has 1 word, and 1 other check failed", "line": 8}
    assert line.rejected == {"text": "fine"}
    assert [one["code"] for one in line.findings or ()] == ["too_short", "too_short", "too_dull", "odd_note"]
    assert (line.findings or [{}])[0] == {
        "code": "too_short",
        "severity": "fail",
        "message": "it has 1 word",
        "measured": 1,
        "limit": 9,
        "where": {"field": "text", "start": 0, "end": 4},
        "tries": 1,
    }
    assert line.usage.completion_tokens == 1, "the answer was written, and its cost is known"


def test_findings_say_how_often_the_text_was_asked_for() -> None:
    line = judged(check_of("too_short", Broken("short")), text="again")
    assert (line.error or {})["message"] == "short (asked for 2 times)"
    assert [one["tries"] for one in line.findings or ()] == [2]


@pytest.mark.parametrize(("reason", "cut_off"), [("stop", False), ("length", True)])
def test_a_check_knows_the_prompts_the_request_and_whether_the_text_was_cut_off(reason: str, *, cut_off: bool) -> None:
    seen: list[Subject] = []

    def find(subject: Subject, limits: Limits) -> list[Broken]:
        seen.append(subject)
        return []

    judged(Check("spy", Severity.FAIL, "sees all", find), words=["one", "two", "one more"], reason=reason)
    (subject,) = seen
    assert (subject.kind, list(subject.prompts), subject.cut_off) == ("echo", ["one", "two", "one more"], cut_off)
    assert subject.request == {"words": ["one", "two", "one more"]}
    assert [piece.text for piece in subject.pieces] == ["fine fine fine"]


def test_an_answer_that_was_replaced_does_not_count_as_cut_off() -> None:
    """The first answer reached the limit of tokens, and the kind asked again."""
    seen: list[bool] = []

    def find(subject: Subject, limits: Limits) -> list[Broken]:
        seen.append(subject.cut_off)
        return []

    attempt = attempt_for(["a"])
    attempt.checks = lambda row, kind, request: Checker(kind.name, checks=[Check("spy", Severity.FAIL, "sees", find)])
    (first,) = attempt.start()
    (second,) = attempt.receive(answer(first, "again", reason="length"))
    attempt.receive(answer(second, "whole"))
    assert (seen, attempt.verdict) == ([False], "fit")


def raising(subject: Subject, limits: Limits) -> Iterator[Broken]:
    yield Broken("the first of two")
    raise ZeroDivisionError("of another package")


@pytest.mark.parametrize(
    ("find", "reason"),
    [
        pytest.param(raising, "ZeroDivisionError('of another package')", id="it raises"),
        pytest.param(lambda subject, limits: [Broken(None)], "NoneType", id="no text"),  # type: ignore[arg-type]
        pytest.param(lambda subject, limits: None, "NoneType", id="it returns nothing"),
        pytest.param(lambda subject: [], "positional argument", id="it takes too little"),
    ],
)
def test_a_check_with_an_error_of_its_own_sends_the_row_to_review(find: Any, reason: str) -> None:
    line = judged(Check("foreign", Severity.NOTE, "what another package wants", find), check_of("quiet"))
    assert (line.status, line.verdict) == ("completed", "review")
    (found,) = [one for one in line.findings or () if one["severity"] == "review"]
    assert found["code"] == "foreign"
    assert reason in found["message"]
    assert len(found["message"]) < 400
    to_line("b-1", line)


def test_a_finding_that_cannot_be_written_harms_no_other_row() -> None:
    """A message loses the half character; a row with a measured value that is no text fails, alone."""
    line = judged(check_of("foreign", Broken("half a character: \ud800"), severity=Severity.NOTE))
    assert (line.verdict, [one["message"] for one in line.findings or ()]) == ("fit", ["half a character: ?"])
    to_line("b-1", line)
    line = judged(check_of("foreign", Broken("odd", "\ud800"), severity=Severity.NOTE))
    assert ((line.error or {})["code"], line.final, line.verdict) == ("kind_failed", True, None)
    to_line("b-1", line)


def test_a_row_that_is_not_checked_has_no_verdict() -> None:
    line = judged()
    assert (line.status, line.verdict, line.findings) == ("completed", None, None)


def test_a_row_that_its_kind_refuses_has_no_findings() -> None:
    line = judged(check_of("too_short", Broken("short")), text="bad")
    assert (line.error or {})["code"] == "empty_output"
    assert (line.findings, line.rejected, line.verdict) == (None, None, None)


def test_the_receipt_says_how_far_schemas_constrained_the_engine() -> None:
    attempt = attempt_for(["a", "b"])
    first, second = attempt.start()
    attempt.receive(replace(answer(first, "one"), constraint="partial"))
    attempt.receive(replace(answer(second, "two"), constraint="none"))
    assert attempt.receipt["constraints"] == {"a": "partial", "b": "none"}
    plain = attempt_for(["a"])
    (request,) = plain.start()
    plain.receive(answer(request, "one"))
    assert "constraints" not in plain.receipt


def labelled(engine: ScoringEngine, text: str, row: int) -> Attempt:
    """Return a finished attempt at a row of the kind `label`."""
    job = Job(Lease(JobKey("b-1", row), 1, 3, f"w-1-i-{row}"), b"", attempt=1)
    request = {"text": text, "examples": [{"text": "So good", "label": "positive"}]}
    attempt = Attempt(job, RowRequest(row, 8, "label", "stub", request), load_kinds()["label"], datetime.now(UTC))
    for one in attempt.start():
        engine.submit(one)
    while attempt.output is None:
        for completion in engine.step():
            attempt.receive(completion)
    return attempt


def test_a_label_is_billed_for_its_prompts_whoever_asked_for_the_same_before() -> None:
    """The prompts are the row's text, three without content, and one for each example. The next row shares all but its text."""
    engine = ScoringEngine(StubEngine())
    first, second = labelled(engine, "Nice old tea", 1), labelled(engine, "Bad old tea", 2)
    words = 5 + 3 + 3 + 2 + 4
    assert first.usage == Usage(words, 0, 5 * 2, first.usage.device_ns)
    assert second.usage == Usage(words, words - 5, 5 * 2, second.usage.device_ns)
    assert first.usage.device_ns > 0 < second.usage.device_ns
    assert first.wasted == Usage()
    assert first.receipt["finish_reason"] == "stop"
    assert list(first.receipt["templates"]) == ["text"]
    assert [*first.receipt["params"]] == ["text", *(f"without content {n}" for n in (1, 2, 3)), "example 1"]
    one, other = (attempt.output.model_dump() for attempt in (first, second) if attempt.output)
    assert one["probabilities"] != other["probabilities"]
