"""Shows jobs/publishing/ledger.py: what is charged, what is wasted, and in which currency."""

from dataclasses import replace
from typing import Any

from jobs.batches.published import read_usage, verify
from jobs.batches.rounds import reopen
from jobs.prices import Prices
from jobs.usage import Usage, total


def test_usage_is_the_exact_sum_and_waste_is_the_rest_of_the_cost(stored: Any) -> None:
    stored.accept(rows=4)
    big = Usage(2**40, 3, 5, 2**45 + 1, 2**44 + 3, 10**15 + 7)
    first = replace(stored.completed(0), usage=big, wasted=Usage(1, 0, 2, 3, 4, 5))
    lost = replace(stored.completed(0), fence=2)
    other = replace(stored.completed(1), model="other")
    retried = replace(stored.failed(2, final=False), usage=Usage(7, 0, 1, 1, 1, 1))
    failed = replace(stored.failed(2), usage=Usage(9, 0, 1, 1, 1, 1))
    stored.write("night-1", [first, other])
    stored.write("night-1", [lost, retried, failed, stored.failed(3)])
    usage = read_usage(stored.store, stored.publish(), "night-1")
    assert {"batch_id": "night-1", "tenant": "default", "round": 1, "currency": "USD"}.items() <= usage.items()
    assert (usage["rows"], usage["prices"]) == (2, Prices().version)
    assert Usage.from_dict(usage) == big + other.usage
    wasted = total([first.wasted, lost.usage, retried.usage, failed.usage])
    assert usage["wasted"] == {"rows": 2, **wasted.as_dict()}
    assert Usage.from_dict(usage["models"]["other"]) == other.usage
    assert usage["models"]["stub"] == {"rows": 1, "fit": 0, "review": 0, **big.as_dict(), "wasted": usage["wasted"]}
    new = {"rows": 2, "fit": 0, "review": 0, **(big + other.usage).as_dict(), "wasted": usage["wasted"]}
    assert usage["new"] == new
    assert verify(stored.store, "night-1") == []


def test_the_currency_is_that_of_the_rows_and_not_of_the_publisher(stored: Any) -> None:
    """If a row names no currency, its currency is that of the other rows."""
    stored.accept(rows=3)
    stored.write("night-1", [stored.priced(0, "EUR"), stored.failed(1)])
    stored.write("night-1", [stored.completed(2)])
    done = stored.publish()
    usage = read_usage(stored.store, done, "night-1")
    assert (Prices().currency, usage["currency"]) == ("USD", "EUR")
    assert usage["charge"] == stored.completed(0).usage.charge + stored.completed(2).usage.charge
    assert "other_currencies" not in usage
    assert [row["usage"].get("currency") for row in stored.rows(done)] == ["EUR", None]


def test_amounts_of_two_currencies_are_never_added_up(stored: Any) -> None:
    """Tokens of rows in both currencies are added up. The first currency of the batch stays its currency, even if most rows of
    a later round have another.
    """
    stored.accept(rows=4)
    lost = replace(stored.priced(0, "USD"), fence=2)
    stored.write("night-1", [stored.priced(0, "EUR"), stored.failed(1), stored.failed(2), stored.failed(3)])
    stored.write("night-1", [lost])
    first = read_usage(stored.store, stored.publish(), "night-1")
    reopen(stored.store, "night-1")
    stored.write("night-1", [stored.priced(row, "USD", round_=2) for row in (1, 2, 3)])
    second = read_usage(stored.store, stored.publish(), "night-1")
    assert verify(stored.store, "night-1") == []
    used = [stored.completed(row).usage for row in range(4)]
    for usage, dollars in ((first, Usage()), (second, total(used[1:]))):
        other = usage["other_currencies"]["USD"]
        assert (usage["currency"], list(usage["other_currencies"])) == ("EUR", ["USD"])
        assert (usage["charge"], usage["device_cost"]) == (used[0].charge, used[0].device_cost)
        assert Usage.from_dict(other) == dollars
        assert Usage.from_dict(other["wasted"]) == lost.usage
        assert (usage["wasted"]["prompt_tokens"], usage["wasted"]["charge"]) == (lost.usage.prompt_tokens, 0)
        assert usage["prompt_tokens"] == used[0].prompt_tokens + dollars.prompt_tokens
        assert usage["models"]["stub"]["other_currencies"] == usage["other_currencies"]
    new = second["new"]
    assert (new["rows"], new["charge"], new["prompt_tokens"]) == (3, 0, total(used[1:]).prompt_tokens)
    assert Usage.from_dict(new["other_currencies"]["USD"]) == total(used[1:])
    assert Usage.from_dict(new["other_currencies"]["USD"]["wasted"]) == Usage()


def test_an_attempt_that_came_too_late_for_its_round_is_waste_of_the_next(stored: Any) -> None:
    """The attempt is a second output of a published row. The output changes nothing, but its cost is counted."""
    stored.accept(rows=2)
    stored.write("night-1", [stored.completed(0), stored.failed(1)])
    first = stored.publish()
    stored.write("night-1", [replace(stored.completed(0), fence=2)])
    assert stored.publish() == first
    reopen(stored.store, "night-1", clock=stored.clock)
    stored.write("night-1", [stored.completed(1, round_=2)])
    new = read_usage(stored.store, stored.publish(), "night-1")["new"]
    of_row = {row: stored.completed(row).usage for row in range(2)}
    assert Usage.from_dict(new) == of_row[1]
    assert Usage.from_dict(new["wasted"]) == of_row[0]


def test_verdicts_are_added_up_over_rounds(stored: Any) -> None:
    """`new` has what the round added. A row that was not judged, and a row that failed, have no verdict."""
    stored.accept(rows=6, kinds=["chat", "article"])
    verdicts = ["fit", "review", None]
    stored.write("night-1", [stored.completed(row, verdict=verdict) for row, verdict in enumerate(verdicts)])
    stored.write("night-1", [stored.failed(3), stored.failed(4), stored.failed(5)])
    first = stored.publish()
    usage = read_usage(stored.store, first, "night-1")
    assert first.verdicts == {"fit": 1, "review": 1}
    assert [usage["new"][name] for name in ("rows", "fit", "review")] == [3, 1, 1]
    reopen(stored.store, "night-1", clock=stored.clock)
    third = stored.completed(3, verdict="fit", round_=2, kind="article")
    stored.write("night-1", [replace(third, model="other")])
    stored.write("night-1", [stored.completed(4, verdict="review", round_=2), stored.failed(5, round_=2)])
    second = stored.publish()
    usage = read_usage(stored.store, second, "night-1")
    assert second.verdicts == {"fit": 2, "review": 2}
    counts = {
        name: (part["rows"], part["fit"], part["review"])
        for name, part in {"all": usage, "new": usage["new"], **usage["models"]}.items()
    }
    assert counts == {"all": (5, 2, 2), "new": (2, 1, 1), "stub": (4, 1, 2), "other": (1, 1, 0)}
    groups = [(one["model"], one["kind"], one["rows"], one["fit"], one["review"]) for one in usage["groups"]]
    assert sorted(groups) == [("other", "article", 1, 1, 0), ("stub", "chat", 4, 1, 2)]
    assert verify(stored.store, "night-1") == []


def test_verdicts_are_counted_once_if_rows_have_several_currencies(stored: Any) -> None:
    stored.accept(rows=2)
    stored.write("night-1", [stored.priced(0, "EUR", verdict="fit")])
    stored.write("night-1", [stored.priced(1, "USD", verdict="fit")])
    usage = read_usage(stored.store, stored.publish(), "night-1")
    assert (usage["rows"], usage["fit"], usage["review"]) == (2, 2, 0)
    assert [
        usage["other_currencies"][name][part] for name in usage["other_currencies"] for part in ("rows", "fit")
    ] == [1, 1]
