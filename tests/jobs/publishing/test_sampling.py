"""Shows how a batch is quoted: a sample of its own rows runs in draws, the others wait for an answer, and no row runs twice."""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import pytest
import structlog

from jobs.batches.batch import Batch, BatchPaths, QuoteTerms
from jobs.batches.budgets.reservation import reservation
from jobs.batches.input import read_row
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.quotes.quoted import Quoted, read_quoted
from jobs.batches.quotes.sample import read_sample
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import close, pause, read_round, reopen, resume
from jobs.batches.segments.line import Outcome
from jobs.errors import RequestError
from jobs.intake.remembering import RowLookup
from jobs.lanes.feed import Feeder
from jobs.lanes.job import Lease
from jobs.prices import Money
from jobs.usage import Usage
from tests.support.clocks import EVENING
from tests.support.night import chats
from tests.support.outcomes import RECEIPT, completed, failed
from tests.support.timed_night import TimedNight

PRICE = 40_000_000 // 1_000_000
"""What the stub's prices charge for a completion token, in billionths."""
OTHER = "smollm2-135m"
"""A second model, which is a second lane."""


def even(of: Lease) -> Outcome:
    """Rows that are all alike."""
    return completed(of, usage=Usage(20, 0, 30, 1_000, 1, 1_400))


def spread(sigma: float) -> Callable[[Lease], Outcome]:
    """Rows whose completions are lognormal, each its own by its number."""

    def outcome(of: Lease) -> Outcome:
        tokens = int(random.Random(of.key.row).lognormvariate(4, sigma)) + 1
        return completed(of, usage=Usage(0, 0, tokens, tokens, 0, tokens * PRICE))

    return outcome


def run(
    night: TimedNight, outcome: Callable[[Lease], Outcome] = even, lanes: Sequence[str] = ("stub",), turns: int = 60
) -> list[int]:
    """Claim, finish and sweep until nothing more happens. Returns the rows in the order in which they ran."""
    ran: list[int] = []
    idle = 0
    for _ in range(turns):
        claimed = 0
        for lane in lanes:
            if jobs := night.claim(200, lane=lane):
                night.finish(jobs, outcome, lane=lane)
                ran += [job.key.row for job in jobs]
                claimed += len(jobs)
        night.sweep()
        idle = 0 if claimed else idle + 1
        if idle == 3:
            break
    return ran


def quote_of(night: TimedNight, batch: Batch) -> Quoted:
    found = read_quoted(night.store, batch)
    assert found is not None
    return found


def is_waiting(night: TimedNight, batch: Batch) -> bool:
    return read_round(night.store, batch).awaits_answer


def test_a_sample_runs_first_and_the_others_once_somebody_agrees(night: TimedNight) -> None:
    batch = night.accept(1000, quote=QuoteTerms())
    ran = run(night)
    assert len(ran) == 64
    assert is_waiting(night, batch)
    found = quote_of(night, batch)
    assert (found.rows, found.sampled, found.failed, found.reached) == (1000, 64, 0, True)
    assert (found.tokens.low, found.tokens.expected, found.tokens.high) == (50_000, 50_000, 50_000)
    assert (found.charge.expected, found.device_ns.expected) == (1_400_000, 1_000_000)
    assert found.sample_charge == 64 * 1_400
    resume(night.store, batch)
    ran += run(night)
    assert sorted(ran) == list(range(1000))  # each row ran once
    output, errors = night.published()
    assert (len(output), errors) == (1000, [])
    assert sum(row["usage"]["charge"] for row in output) == found.charge.expected


def test_the_sample_is_drawn_from_all_of_the_input(night: TimedNight) -> None:
    night.accept(1000, quote=QuoteTerms())
    rows = run(night)
    assert min(rows) < 100
    assert max(rows) > 900
    assert sorted(rows) != list(range(min(rows), min(rows) + 64))


def test_draws_follow_until_the_interval_is_narrow(night: TimedNight) -> None:
    batch = night.accept(3000, quote=QuoteTerms())
    ran = run(night, spread(0.8))
    found = quote_of(night, batch)
    assert found.reached
    assert 64 < found.sampled == len(ran) <= 750
    assert BatchPaths(batch.batch_id).drawn(2).rpartition("/")[2] in night.store.list(BatchPaths(batch.batch_id).root)
    resume(night.store, batch)
    ran += run(night, spread(0.8))
    assert sorted(ran) == list(range(3000))
    output, _ = night.published()
    assert found.tokens.low <= sum(row["usage"]["completion_tokens"] for row in output) <= found.tokens.high
    assert found.charge.low <= sum(row["usage"]["charge"] for row in output) <= found.charge.high


def test_a_quote_says_that_its_sample_has_the_most_rows(night: TimedNight) -> None:
    batch = night.accept(600, quote=QuoteTerms())
    assert len(run(night, spread(1.5))) == 150  # a quarter
    found = quote_of(night, batch)
    assert (found.reached, found.at_most_rows) == (False, True)


def test_a_batch_no_larger_than_its_sample_is_published_and_its_quote_is_exact(night: TimedNight) -> None:
    batch = night.accept(40, quote=QuoteTerms())
    assert sorted(run(night, spread(1.5))) == list(range(40))
    found = quote_of(night, batch)
    output, _ = night.published()
    total = sum(row["usage"]["completion_tokens"] for row in output)
    assert (found.tokens.low, found.tokens.expected, found.tokens.high, found.reached) == (total, total, total, True)


def test_a_quoted_batch_may_be_cancelled_and_the_sample_stays_published_and_charged(night: TimedNight) -> None:
    batch = night.accept(500, quote=QuoteTerms())
    ran = run(night)
    close(night.store, batch.batch_id, "cancelled")
    night.sweep()
    output, errors = night.published()
    assert [row["row"] for row in output] == sorted(ran)
    assert {row["error"]["code"] for row in errors} == {"cancelled"}
    assert len(errors) == 500 - 64
    assert not is_waiting(night, batch)
    with pytest.raises(RequestError, match="not paused"):
        resume(night.store, batch)


def test_a_batch_that_needs_no_answer_goes_on(night: TimedNight) -> None:
    batch = night.accept(300, quote=QuoteTerms(goes_on=True))
    assert sorted(run(night)) == list(range(300))
    assert quote_of(night, batch).sampled == 64
    assert len(night.published()[0]) == 300


def test_failed_rows_of_the_sample_are_named_and_not_charged(night: TimedNight) -> None:
    batch = night.accept(400, quote=QuoteTerms())

    def outcome(of: Lease) -> Outcome:
        return failed(of, "length", usage=Usage(5, 0, 5, 700, 0, 9)) if of.key.row % 4 == 0 else even(of)

    run(night, outcome)
    found = quote_of(night, batch)
    share = found.failed / found.sampled
    assert 0 < found.failed < found.sampled
    assert found.codes == {"length": found.failed}
    assert found.charge.expected == pytest.approx(400 * 1_400 * (1 - share), rel=0.01)
    assert found.device_ns.expected == pytest.approx(400 * (1_000 * (1 - share) + 700 * share), rel=0.01)


def test_refused_rows_are_no_part_of_a_quote(night: TimedNight) -> None:
    rows: list[Mapping[str, object] | bytes] = [*chats(200), *[b"no JSON"] * 50]
    batch = night.accept(rows, quote=QuoteTerms())
    run(night)
    found = quote_of(night, batch)
    assert (found.rows, found.sampled) == (200, 64)


def test_each_model_and_kind_is_a_stratum_of_its_own(night: TimedNight) -> None:
    posts = [{"kind": "social_post", "topic": f"Tea {n}", "platform": "x"} for n in range(100)]
    batch = night.accept([*chats(300), *chats(200, model=OTHER), *posts, *chats(10, model=OTHER)], quote=QuoteTerms())
    ran = run(night, lanes=("stub", OTHER))
    found = quote_of(night, batch)
    assert {(one.kind, one.model, one.rows, one.sampled) for one in found.strata} == {
        ("chat", "stub", 300, 64),
        ("chat", OTHER, 210, 64),
        ("social_post", "stub", 100, 64),
    }
    assert [one.template for one in found.strata if one.kind == "social_post"] != [""]
    resume(night.store, batch)
    ran += run(night, lanes=("stub", OTHER))
    assert sorted(ran) == list(range(610))


def test_a_queue_that_forgets_everything_is_fed_the_sample_alone(night: TimedNight) -> None:
    batch = night.accept(1000, quote=QuoteTerms())
    night.finish(night.claim(10), even)
    night.claim(20)
    night.client.flushall()
    ran = run(night)
    assert len(ran) == 54
    assert is_waiting(night, batch)
    night.client.flushall()
    assert night.claim() == []
    assert run(night) == []
    resume(night.store, batch)
    assert len(run(night)) == 1000 - 64


def test_a_sweeper_that_dies_after_it_drew_is_followed_by_another(
    night: TimedNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = night.accept(3000, quote=QuoteTerms())
    ran = []
    while jobs := night.claim():
        night.finish(jobs, spread(0.8))
        ran += [job.key.row for job in jobs]

    def die(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(night.queue), "reset", die)
        with pytest.raises(KeyboardInterrupt):
            night.sweep()
    current = read_round(night.store, batch)
    assert current.quoting is not None
    assert current.quoting.draw == 2
    ran += run(night, spread(0.8))
    resume(night.store, batch)
    ran += run(night, spread(0.8))
    assert sorted(ran) == list(range(3000))


def test_a_feeder_that_read_nothing_since_somebody_agreed_feeds_no_row_that_ran(night: TimedNight) -> None:
    batch = night.accept(200, quote=QuoteTerms())
    stale = Feeder(night.store, night.queue, night.open_batches(), night.settings, night.monotonic)
    stale._batches.scan(now=True)
    ran = run(night)
    resume(night.store, batch)
    night.sweep()  # the lane is fed anew
    stale.top_up("stub")
    ran += run(night)
    assert sorted(ran) == list(range(200))


def test_a_batch_may_be_resumed_before_its_quote_is_there(night: TimedNight) -> None:
    batch = night.accept(500, quote=QuoteTerms())
    first = night.claim(10)
    resume(night.store, batch)
    night.finish(first, even)
    ran = [job.key.row for job in first] + run(night)
    assert sorted(ran) == list(range(500))
    assert read_quoted(night.store, batch) is None


def test_a_batch_that_pauses_while_it_is_sampled_is_sampled_on(night: TimedNight) -> None:
    batch = night.accept(300, quote=QuoteTerms())
    night.finish(night.claim(10), even)
    pause(night.store, batch, "a reason", clock=night.now)
    assert run(night) == []
    resume(night.store, batch)
    assert len(run(night)) == 54
    assert is_waiting(night, batch)


def test_a_soft_deadline_does_not_end_a_quote_and_a_deadline_does(night: TimedNight) -> None:
    soft, hard = EVENING + timedelta(hours=1), EVENING + timedelta(hours=2)
    batch = night.accept(300, quote=QuoteTerms(), publish_at=soft, deadline=hard)
    run(night)
    night.at(soft + timedelta(minutes=1))
    assert run(night) == []
    assert is_waiting(night, batch)
    night.at(hard + timedelta(minutes=1))
    night.sweep()
    assert night.done(batch.batch_id).counts == {"completed": 64, "failed": 0, "cancelled": 0, "expired": 236}
    assert run(night) == []  # no further round opens by itself


def test_a_further_round_is_not_quoted(night: TimedNight) -> None:
    batch = night.accept(200, quote=QuoteTerms())
    ran = run(night)
    close(night.store, batch.batch_id, "cancelled")
    night.sweep()
    reopen(night.store, batch.batch_id)
    ran += run(night)
    assert sorted(ran) == list(range(200))


def test_a_quote_changes_no_id(night: TimedNight) -> None:
    batch = night.accept(100, quote=QuoteTerms())
    assert night.accept(100) == batch
    other = night.accept(100, name="unquoted")
    assert other.quote is None
    assert night.accept(100, name="unquoted", quote=QuoteTerms()) == other


@pytest.mark.parametrize("thoughts", [0, 5])
def test_the_bound_counts_thoughts_only_of_models_that_write_them(night: TimedNight, thoughts: int) -> None:
    batch = night.accept(100, quote=QuoteTerms())
    run(night, lambda of: completed(of, usage=even(of).usage, receipt={**RECEIPT, "reasoning_tokens": thoughts}))
    (stratum,) = read_sample(night.store, batch).strata
    assert stratum.thought_tokens == 100 * night.settings.catalog["stub"].reasoning_max_tokens
    without = stratum.prompt_tokens + stratum.completion_tokens
    assert quote_of(night, batch).tokens.most == without + (stratum.thought_tokens if thoughts else 0)


def test_a_bound_that_the_sample_passes_is_none(night: TimedNight) -> None:
    batch = night.accept(200, quote=QuoteTerms())
    run(night, lambda of: completed(of, usage=Usage(10, 0, 100_000, 1, 0, 1)))
    assert quote_of(night, batch).tokens.most is None


def test_the_places_of_a_sample_are_those_of_the_stored_input(night: TimedNight) -> None:
    batch = night.accept(300, quote=QuoteTerms())
    sample = read_sample(night.store, batch)
    (stratum,) = sample.strata
    assert len(stratum.drawn) == 300
    for row, offset, length in stratum.drawn:
        line = night.store.read_range(BatchPaths(batch.batch_id).input("stub"), offset, length)
        assert line.endswith(b"\n")
        assert b'"row":%d,' % row in line


def test_a_budget_pays_for_the_sample_before_it_is_fed(night: TimedNight) -> None:
    batch = night.accept(300, quote=QuoteTerms(), budget=Money(amount=10**9, currency="USD"))
    ran = run(night)
    assert len(ran) == 64
    assert is_waiting(night, batch)
    index = OutcomeIndex(night.store, batch)
    index.refresh()
    assert index.limit().used == 64 * 1_400
    resume(night.store, batch)
    ran += run(night)
    assert sorted(ran) == list(range(300))
    assert len(night.published()[0]) == 300


def test_a_budget_that_ends_within_the_sample_ends_it_and_the_quote_says_so(night: TimedNight) -> None:
    request = RowRequest(row=0, line=1, kind="chat", model="stub", request={"prompt": "Say 0."}, cost=256)
    amount = reservation(request, night.settings.prices)
    batch = night.accept(300, quote=QuoteTerms(), budget=Money(amount=3 * amount, currency="USD"))
    ran = run(night, lambda of: completed(of, usage=Usage(20, 0, 30, 1_000, 1, amount)))
    found = quote_of(night, batch)
    assert found.ended_by_budget
    assert 1 <= found.sampled == len(ran) < 64
    assert is_waiting(night, batch)
    assert read_round(night.store, batch).closed is None


def test_a_sample_lies_where_the_input_was_written_first(night: TimedNight, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another intake of the same rows wrote the input, with other lengths of lines, and died before the acceptance."""
    rows = [
        {"kind": "translation", "text": f"Say {n}.", "source_language": "en", "target_language": "de"}
        for n in range(90)
    ]

    def die(*_: object) -> bool:
        raise KeyboardInterrupt

    def remembered(_: RowLookup, row: RowRequest) -> RowRequest:
        return row._replace(known={"Say it": {"target": "Sag es" * row.row}})

    with monkeypatch.context() as patched:
        patched.setattr("jobs.intake.batch_files._create", die)
        patched.setattr(RowLookup, "with_memory", remembered)
        with pytest.raises(KeyboardInterrupt):
            night.accept(rows, quote=QuoteTerms())
        (left,) = night.store.list("batches")
        night.store.delete(BatchPaths(left).sample)
    batch = night.accept(rows, quote=QuoteTerms())
    assert left == batch.batch_id
    (stratum,) = read_sample(night.store, batch).strata
    for row, offset, length in stratum.drawn:
        line = night.store.read_range(BatchPaths(batch.batch_id).input("stub"), offset, length)
        request = read_row(line.rstrip(b"\n"))
        assert request is not None
        assert request.row == row


def test_a_small_window_is_filled_from_where_the_draw_was_left(make_night: Callable[..., TimedNight]) -> None:
    """No lane is taken for one that lost rows, neither within a draw nor between draws, the quote and the rest."""
    night = make_night(window_rows=10)
    batch = night.accept(2000, quote=QuoteTerms())
    with structlog.testing.capture_logs() as logs:
        ran = run(night, spread(0.6), turns=200)
        assert quote_of(night, batch).sampled == len(ran) > 64
        resume(night.store, batch)
        ran += run(night, spread(0.6), turns=600)
    assert sorted(ran) == list(range(2000))
    assert [one for one in logs if one["event"] == "batch.reset"] == []
