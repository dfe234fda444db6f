"""Shows jobs/publishing/auditing.py: each published round is audited once, and the report lies beside its marker."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from jobs.batches.batch import Batch, BatchPaths, Done, LaneInput
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import load_batch, reopen
from jobs.checks.batch.limits import AuditLimits
from jobs.checks.batch.report import Audit
from jobs.errors import NoBatch, RequestError, StoreDamaged
from jobs.kinds.registry import load_kinds
from jobs.operations.content.same_texts import renewals
from jobs.operations.status_reader import StatusReader
from jobs.publishing.auditing import Auditor, read_audit
from jobs.publishing.retention import delete_batch
from jobs.settings import Settings
from tests.support.night import LANE

PATHS = BatchPaths("night-1")
KINDS = load_kinds()
SAME = "The old bakery at the corner of the market square opens its doors on Sundays from now on"
OTHER = "Tomatoes need sunlight because their leaves make sugar from light, water and air all day long"


def auditor(stored: Any, **given: Any) -> Auditor:
    return Auditor(stored.store, KINDS, **given)


def publish(stored: Any, texts: list[str | None], **fields: Any) -> Done:
    """Publish a batch with these texts; None is a row that failed."""
    stored.accept(rows=len(texts), **fields)
    lines = [
        stored.failed(row) if text is None else stored.completed(row, output={"text": text})
        for row, text in enumerate(texts)
    ]
    stored.write("night-1", lines)
    done: Done = stored.publish()
    return done


def test_a_published_round_is_audited_once(stored: Any) -> None:
    done = publish(stored, [SAME, None, OTHER, SAME])
    assert stored.store.list("unaudited") == ["night-1.1"]
    assert StatusReader(stored.store).batch("night-1").audit is None
    reports: list[Audit] = []
    with capture_logs() as logs:
        auditor(stored, on_audited=reports.append).audit()
        auditor(stored, on_audited=reports.append).audit()
    assert [(log["event"], log["round"], log["over"]) for log in logs] == [("batch.audited", 1, "collapse")]
    assert stored.store.list("unaudited") == []
    report = read_audit(stored.store, "night-1", done)
    assert report is not None
    assert [report] == reports
    assert (report.rows, report.collapse) == (3, round(1 / 3, 4))
    (cluster,) = report.clusters
    assert (cluster.row_numbers, cluster.custom_ids) == ((0, 3), ("c0", "c3"))
    assert stored.store.list(PATHS.root).count("audit-1.json") == 1


def test_the_note_is_there_before_the_round_is_decided(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher that dies after `done` loses no audit."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jobs.publishing.publish.create_marker", die)
    with pytest.raises(KeyboardInterrupt):
        publish(stored, [SAME, SAME])
    assert stored.store.list("unaudited") == ["night-1.1"]
    auditor(stored).audit()
    assert stored.store.list("unaudited") == ["night-1.1"], "the round is not published yet"
    monkeypatch.undo()
    stored.publish()
    auditor(stored).audit()
    assert stored.store.list("unaudited") == []
    assert stored.store.exists(PATHS.audit(1))


def test_two_auditors_write_the_same(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one finds the file of the first, and takes its report."""
    done = publish(stored, [SAME, OTHER, SAME])
    batch = load_batch(stored.store, "night-1")
    assert batch is not None
    first = auditor(stored).audit_round(batch, done)
    data = stored.store.read(PATHS.audit(1))
    stored.store.delete(PATHS.audit(1))
    second, create = auditor(stored), stored.store.create

    def create_later(path: str, given: bytes) -> bool:
        if path == PATHS.audit(1):
            assert given == data
            create(path, data)
        return bool(create(path, given))

    monkeypatch.setattr(stored.store, "create", create_later)
    assert second.audit_round(batch, done) == first
    assert stored.store.read(PATHS.audit(1)) == data


def test_an_auditor_that_died_left_an_audit_of_a_deleted_batch(stored: Any) -> None:
    """The file names the published folder, so it is not taken for the audit of the next batch with the same id."""
    done = publish(stored, [SAME, OTHER])
    auditor(stored).audit()
    old = stored.store.read(PATHS.audit(1))
    delete_batch(stored.store, "night-1", clock=stored.clock)
    assert not stored.store.exists(PATHS.audit(1)), "an audit is deleted with its batch"
    done = publish(stored, [SAME, SAME, SAME])
    stored.store.create(PATHS.audit(1), old)
    assert read_audit(stored.store, "night-1", done) is None
    auditor(stored).audit()
    report = read_audit(stored.store, "night-1", done)
    assert report is not None
    assert report.rows == 3


def test_a_batch_that_is_deleted_during_its_audit_leaves_nothing(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(stored, [SAME, OTHER])
    create = stored.store.create

    def create_after_deletion(path: str, data: bytes) -> bool:
        if path == PATHS.audit(1):
            delete_batch(stored.store, "night-1", clock=stored.clock)
        return bool(create(path, data))

    monkeypatch.setattr(stored.store, "create", create_after_deletion)
    auditor(stored).audit()
    monkeypatch.undo()
    assert (stored.store.list("unaudited"), stored.store.list(PATHS.root)) == ([], [])


def test_notes_of_batches_that_are_gone_are_removed(stored: Any) -> None:
    stored.store.create("unaudited/night-7.1", b"")
    stored.store.create("unaudited/foreign.txt", b"")
    auditor(stored).audit()
    assert stored.store.list("unaudited") == ["foreign.txt"]


def test_audits_can_be_switched_off(stored: Any) -> None:
    done = publish(stored, [SAME, SAME])
    auditor(stored, limits=None).audit()
    assert (stored.store.list("unaudited"), read_audit(stored.store, "night-1", done)) == ([], None)


def test_a_damaged_batch_keeps_its_note_and_holds_up_no_other(stored: Any) -> None:
    done = publish(stored, [SAME, SAME])
    path = f"{PATHS.root}/{done.folder}/output.jsonl"
    data = stored.store.read(path)
    stored.store.delete(path)
    stored.store.create(path, data.replace(b"bakery", b"bakeri"))
    stored.accept("night-2", rows=1)
    stored.write("night-2", [stored.completed(0)])
    stored.publish("night-2")
    with pytest.raises(StoreDamaged, match=r"output\.jsonl"):
        auditor(stored).audit()
    assert stored.store.list("unaudited") == ["night-1.1"]
    assert stored.store.exists(BatchPaths("night-2").audit(1))


def test_each_round_has_an_audit_of_its_own(stored: Any) -> None:
    first = publish(stored, [SAME, SAME])
    reopen(stored.store, "night-1", [1])
    stored.write("night-1", [stored.completed(1, round_=2, output={"text": OTHER})])
    second = stored.publish()
    auditor(stored).audit()
    found = [read_audit(stored.store, "night-1", done) for done in (first, second)]
    assert [one.collapse for one in found if one is not None] == [0.5, 0.0]


def translations(stored: Any, rows: list[tuple[dict[str, Any], str]]) -> Audit:
    """Publish translations, given by request and text, on two lanes; return their audit."""
    lanes: dict[str, bytes] = {LANE: b"", "other": b""}
    for row, (request, _) in enumerate(rows):
        line = RowRequest(row=row, line=row + 1, kind="translation", model="stub", request=request, custom_id=f"c{row}")
        lanes[LANE if row % 2 else "other"] += line.to_line()
    batch: Batch = stored.accept(rows=len(rows), kinds=["translation"])
    stored.store.delete(PATHS.input(LANE))
    stored.store.delete(PATHS.acceptance)
    counts = {LANE: len(rows) // 2, "other": len(rows) - len(rows) // 2}
    inputs = {
        name: LaneInput(model="stub", rows=counts[name], bytes=len(data), sha256="0" * 64)
        for name, data in lanes.items()
    }
    for name, data in lanes.items():
        stored.store.create(PATHS.input(name), data)
    batch = batch.model_copy(update={"lanes": inputs, "kinds": {"translation": len(rows)}})
    stored.store.create(PATHS.acceptance, batch.model_dump_json().encode())
    lines = [
        stored.completed(row, kind="translation", output={"text": text, "source": request["text"]})
        for row, (request, text) in enumerate(rows)
    ]
    stored.write("night-1", lines)
    done = stored.publish()
    auditor(stored).audit()
    report = read_audit(stored.store, "night-1", done)
    assert report is not None
    return report


def test_one_source_with_two_translations_is_named_and_so_is_one_translation_of_two_sources(stored: Any) -> None:
    def asked(source: str, **more: str) -> dict[str, Any]:
        return {"text": source, "source_language": "en", "target_language": "de", **more}

    report = translations(
        stored,
        [
            (asked("Open"), "Offen"),
            (asked("Open"), "Öffnen"),
            (asked("Close"), "Schließen"),
            (asked("Shut"), "Schließen"),
            (asked("Close", target_language="fr"), "Fermer"),
            (asked("Open", formality="formal"), "Öffnen Sie"),
        ],
    )
    assert [(one.code, one.row_numbers) for one in report.clusters] == [("inconsistent", (0, 1)), ("reused", (2, 3))]
    assert report.figures[0].over == ("inconsistent",)


def test_the_main_text_of_each_kind_is_compared(stored: Any) -> None:
    """An article's titles differ, and its bodies are alike; a kind that is not installed has all its texts compared."""
    stored.accept(rows=4, kinds=["article", "gone"])
    outputs = [{"title": f"Title {row}", "body_markdown": SAME} for row in range(4)]
    stored.write(
        "night-1",
        [stored.completed(row, kind=("article", "gone")[row % 2], output=outputs[row]) for row in range(4)],
    )
    done = stored.publish()
    auditor(stored).audit()
    report = read_audit(stored.store, "night-1", done)
    assert report is not None
    assert {one.row_numbers: one.beginning[:9] for one in report.clusters} == {(0, 2): "The old b", (1, 3): "Title 1 T"}


def test_all_variants_are_compared(stored: Any) -> None:
    """The posts differ, and a variant of the first row is that of the third one."""
    variants = [
        [OTHER, SAME],
        ["Bees fly out as soon as the morning sun has warmed the garden wall behind them", "A wool blanket keeps warm"],
        ["Tonight the choir of the old town sings in the square in front of the theatre", SAME],
    ]
    stored.accept(rows=4, kinds=["social_post"])
    outputs: list[dict[str, Any]] = [{"text": texts[0], "variants": texts} for texts in variants]
    outputs.append(
        {"text": "Our library lends out bicycles on every first Sunday of the month", "thread": [SAME, SAME]}
    )
    stored.write("night-1", [stored.completed(n, kind="social_post", output=one) for n, one in enumerate(outputs)])
    done = stored.publish()
    auditor(stored).audit()
    report = read_audit(stored.store, "night-1", done)
    assert report is not None
    assert (report.rows, report.figures[0].rows, report.figures[0].repeating) == (7, 7, 1)
    ((code, numbers, names),) = [(one.code, one.row_numbers, one.custom_ids) for one in report.clusters]
    assert (code, numbers, names) == ("near_duplicate", (0, 2), ("c0", "c2"))
    assert [one.rows for one in renewals(report)] == [(2,)]


def test_a_row_whose_own_variants_are_alike_is_not_told_to_avoid_itself(stored: Any) -> None:
    stored.accept(rows=2, kinds=["social_post"])
    outputs = [{"text": SAME, "variants": [SAME, SAME]}, {"text": OTHER, "variants": [OTHER, OTHER, SAME]}]
    stored.write("night-1", [stored.completed(n, kind="social_post", output=one) for n, one in enumerate(outputs)])
    done = stored.publish()
    auditor(stored).audit()
    report = read_audit(stored.store, "night-1", done)
    assert report is not None
    near = [one.row_numbers for one in report.clusters if one.code == "near_duplicate"]
    assert sorted(near) == [(0, 0, 1), (1, 1)]
    assert [one.rows for one in renewals(report)] == [(1,)]


def test_kinds_that_choose_among_labels_are_not_compared(stored: Any) -> None:
    """Many rows rightly have the same label."""
    label = "a label that is as long as a short sentence"
    stored.accept(rows=60, kinds=["label"])
    rows = [stored.completed(row, kind="label", output={"label": label, "margin": 0.5}) for row in range(60)]
    stored.write("night-1", rows)
    done = stored.publish()
    auditor(stored).audit()
    report = read_audit(stored.store, "night-1", done)
    assert report is not None
    assert (report.rows, report.is_varied) == (0, True)


def test_of_answers_by_a_schema_only_their_texts_are_compared(stored: Any) -> None:
    numbers = [{"name": f"n{row}", "is there in stock at the moment": True, "price": row} for row in range(60)]
    texts = [{"name": f"n{row}", "post": [{"text": SAME if row < 2 else f"{row} " * 9}]} for row in range(4)]
    rows = [*(orjson.dumps(one).decode() for one in [*numbers, *texts]), "{" + OTHER, "[1, 2]"]
    done = publish(stored, list(rows))
    auditor(stored).audit()
    report = read_audit(stored.store, "night-1", done)
    assert report is not None
    assert [one.row_numbers for one in report.clusters] == [(60, 61)]
    assert report.figures[0].sampled == 5


def test_wrong_settings_are_named_before_anything_is_audited(stored: Any) -> None:
    wrong = Settings(checks={"audit": {"sample": 0}}, store_url="unused")
    with pytest.raises(RequestError, match=r"checks\.audit\.sample"):
        Auditor.from_settings(stored.store, KINDS, wrong)
    own = Settings(tenants={"acme": {"checks": {"audit": "off"}}}, store_url="unused")
    with pytest.raises(RequestError, match=r"tenants\.acme\.checks\.audit: .*under \[checks\.audit\]"):
        Auditor.from_settings(stored.store, KINDS, own)
    right = Settings(checks={"audit": {"most_collapse": 0.5}}, store_url="unused")
    assert Auditor.from_settings(stored.store, KINDS, right).limits == AuditLimits(most_collapse=0.5)


def test_a_deleted_batch_is_not_audited(stored: Any) -> None:
    done = publish(stored, [SAME])
    batch = load_batch(stored.store, "night-1")
    assert batch is not None
    delete_batch(stored.store, "night-1", clock=stored.clock)
    with pytest.raises(NoBatch):
        auditor(stored).audit_round(batch, done)


def test_temporary_files_go_where_they_are_told(stored: Any, tmp_path: Path) -> None:
    """The report does not depend on it."""
    done = publish(stored, [SAME, replace(stored.completed(0)).output["text"]])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    auditor(stored, scratch=scratch).audit()
    assert orjson.loads(stored.store.read(PATHS.audit(1)))["folder"] == done.folder
    assert list(scratch.iterdir()) == []
