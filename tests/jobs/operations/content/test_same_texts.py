"""Shows jobs/operations/content/same_texts.py: all but one row of each cluster are renewed, each told what not to repeat."""

from typing import Any

import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.rounds import load_batch, read_round
from jobs.checks.batch.audit import AuditRow, audit
from jobs.checks.batch.limits import AuditLimits
from jobs.checks.batch.report import SEVERITIES, Audit, Cluster, Code
from jobs.errors import RequestError
from jobs.kinds.registry import load_kinds
from jobs.operations.content.same_texts import Reopened, left_out, renewals, reopen_same
from jobs.publishing.auditing import Auditor

SAME = "The old bakery at the corner of the market square opens its doors on Sundays from now on"
OTHER = "Tomatoes need sunlight because their leaves make sugar from light, water and air all day long"


def cluster(code: Code, *rows: int, beginnings: tuple[str, ...] = ("Once",)) -> Cluster:
    return Cluster(
        code=code,
        severity=SEVERITIES[code],
        kind="chat",
        tenant="default",
        rows=len(rows),
        row_numbers=rows,
        custom_ids=tuple(map(str, rows)),
        beginning=beginnings[0],
        beginnings=beginnings,
        share=0.1,
    )


def renewed(*clusters: Cluster) -> dict[int, tuple[str, ...]]:
    report = Audit(rows=99, limits=AuditLimits(), figures=(), clusters=clusters, clusters_left_out=0)
    return {row: one.avoid for one in renewals(report) for row in one.rows}


NEAR, OPENING = "near_duplicate", "same_opening"


@pytest.mark.parametrize(
    ("clusters", "rows"),
    [
        pytest.param([(NEAR, 3, 5, 9)], {5, 9}, id="the first of a cluster stays"),
        pytest.param([(NEAR, 0, 1), (NEAR, 2, 3)], {1, 3}, id="two clusters"),
        pytest.param([(NEAR, 2, 3), (OPENING, 1, 2, 3)], {1, 3}, id="what stays in one stays in the other"),
        pytest.param([(NEAR, 0, 1), (NEAR, 2, 3), (OPENING, 0, 1, 2, 3)], {1, 2, 3}, id="one of a cluster of clusters"),
        pytest.param([(NEAR, 0, 1), (OPENING, 1, 2)], {1}, id="a row that goes leaves another to stay"),
        pytest.param([("inconsistent", 0, 1), ("reused", 2, 3)], set(), id="translations follow their source"),
        pytest.param([], set(), id="nothing"),
    ],
)
def test_all_but_one_of_each_cluster_are_renewed(clusters: list[Any], rows: set[int]) -> None:
    assert set(renewed(*(cluster(code, *members) for code, *members in clusters))) == rows


def test_a_row_is_told_the_beginnings_of_all_its_clusters() -> None:
    near = cluster("near_duplicate", 1, 2, beginnings=("a", "b", "c"))
    opening = cluster("same_opening", 0, 1, 2, 3, beginnings=("c", "d", "e", "f", "g"))
    assert renewed(near, opening) == {
        0: ("c", "d", "e", "f", "g"),
        2: ("a", "b", "c", "d", "e"),
        3: ("c", "d", "e", "f", "g"),
    }


def auditor(shelf: Any) -> Auditor:
    return Auditor(shelf.store, load_kinds())


def publish(shelf: Any, *texts: str) -> None:
    shelf.accept(rows=len(texts))
    shelf.write("night-1", [shelf.completed(row, output={"text": text}) for row, text in enumerate(texts)])
    shelf.publish()


def test_a_round_is_opened_for_texts_that_repeat_others(shelf: Any) -> None:
    """The round was not audited before, so it is now."""
    publish(shelf, SAME, OTHER, SAME, SAME)
    assert reopen_same(auditor(shelf), "night-1", None, shelf.clock) == Reopened(2, 2, 0)
    batch = load_batch(shelf.store, "night-1")
    assert batch is not None
    current = read_round(shelf.store, batch)
    assert dict(current.renewed) == {2: (SAME[:80],), 3: (SAME[:80],)}
    assert shelf.store.exists(BatchPaths("night-1").audit(1))
    with pytest.raises(RequestError, match="still open"):
        reopen_same(auditor(shelf), "night-1", None, shelf.clock)


def test_rows_whose_clusters_are_not_named_are_counted(shelf: Any) -> None:
    publish(shelf, SAME, SAME, SAME, OTHER, OTHER)
    limited = Auditor(shelf.store, load_kinds(), AuditLimits(most_ids=2, most_clusters=1))
    assert reopen_same(limited, "night-1", None, shelf.clock) == Reopened(2, 1, 2)


def test_a_report_that_names_all_rows_leaves_none_out() -> None:
    """Of two clusters that share rows, another row may stay than the one that the share of repeating rows assumes."""
    texts = [f"Come to our old bakery {text}" for text in (SAME, OTHER, SAME)]
    rows = [AuditRow(f"p{n}", "chat", "default", text) for n, text in enumerate(texts)]
    report = audit(rows)
    assert left_out(report, 0) == left_out(report, 1) == 0
    assert left_out(audit(rows, AuditLimits(most_ids=2)), 1) == 1


def test_texts_that_differ_open_no_round(shelf: Any) -> None:
    publish(shelf, SAME, OTHER)
    with pytest.raises(RequestError, match="no texts of night-1 repeat others"):
        reopen_same(auditor(shelf), "night-1", None, shelf.clock)
    assert not shelf.store.exists(BatchPaths("night-1").reopen(2))
