"""Shows jobs/commands/views/audit.py: what a person reads of an audit, within 80 columns."""

from jobs.checks.batch.audit import AuditRow, audit
from jobs.checks.batch.limits import AuditLimits
from jobs.checks.batch.report import Audit
from jobs.commands.views.audit import audit_lines, audit_note
from jobs.commands.views.fitting import fitted

SAME = "The old bakery at the corner of the market\x1b[2J square opens on Sundays"


def posts(*texts: str, kind: str = "social_post") -> Audit:
    return audit([AuditRow(f"p{n}", kind, "acme", text) for n, text in enumerate(texts)])


def read(report: Audit) -> list[str]:
    return [part for line in audit_lines(report, "night-1") for part in fitted(line, 80)]


def test_texts_that_differ_are_a_line() -> None:
    report = posts("Tea is best in spring when the leaves are young", "Bread wants a hot oven and a cook who waits")
    (line,) = audit_lines(report, "night-1")
    assert line.replace("\u00a0", " ").startswith(
        "  alike: social_post of acme: 0.0% of 2 rows repeat others (limit 5%), distinct-2 1.00, self-BLEU 0."
    )
    assert audit_note(report, "night-1") is None


def test_texts_that_are_alike_are_named_with_what_to_do() -> None:
    report = posts(*[SAME] * 8)
    lines = read(report)
    assert max(map(len, lines)) <= 80
    text = " ".join(line.strip() for line in lines)
    assert "87.5% of 8 rows repeat others (limit 5%)" in text
    assert "over the limit: collapse" in text
    assert "near_duplicate, 8 rows: p0, p1, p2, p3, p4 and 3 more: The old bakery" in text
    assert "\x1b" not in text, "a text of a model cannot steer the terminal"
    assert "to write them anew: nightpress failed retry night-1 --reopen-same" in text
    note = audit_note(report, "night-1")
    assert note is not None
    assert note.startswith("night-1: its texts are too much alike (collapse): 87.5% of its rows repeat others;")


def test_many_groups_and_clusters_are_counted() -> None:
    texts = [f"{SAME} {'abcdefgh'[n // 2] * 3} {n // 2} " + f"word{n // 2} " * 20 for n in range(16)]
    report = audit([AuditRow(f"p{n}", f"kind{n // 2}", "acme", text) for n, text in enumerate(texts)])
    text = "\n".join(read(report))
    assert text.count("alike: ") == 5
    assert "and 3 more pairs of kind and tenant: nightpress status night-1 --json" in text
    assert text.count("near_duplicate, 2 rows") == 5
    assert "and 3 more clusters: nightpress status night-1 --json" in text


def test_translations_are_told_by_their_sources() -> None:
    rows = [
        AuditRow("a", "translation", "acme", "Offen", "Open"),
        AuditRow("b", "translation", "acme", "Auf", "Open"),
        AuditRow("c", "translation", "acme", "Auf", "Up"),
    ]
    text = " ".join(line.strip() for line in read(audit(rows)))
    assert "2 of 3 rows have another translation of their source, 2 share theirs with another source" in text
    assert "over the limit: inconsistent" in text
    assert "inconsistent, 2 rows: a, b: Offen" in text
    assert "--reopen-same" not in text, "translations are not written anew"


def test_nothing_is_said_of_no_rows() -> None:
    assert list(audit_lines(audit([]), "night-1")) == []
    assert audit(posts_of_one(), AuditLimits(most_collapse=1)).is_varied


def posts_of_one() -> list[AuditRow]:
    return [AuditRow("p", "chat", "acme", SAME)] * 3
