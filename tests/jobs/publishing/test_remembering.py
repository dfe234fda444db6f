"""Shows jobs/publishing/remembering.py: each published round is written into the memory once, whatever dies meanwhile."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from jobs.batches.batch import BatchPaths
from jobs.batches.rounds import reopen
from jobs.errors import StoreDamaged
from jobs.lanes.job import Lease
from jobs.memory.entry import Entry
from jobs.memory.files import list_names, read_sections, write_lines
from jobs.publishing.remembering import Rememberer
from jobs.publishing.retention import delete_batch
from jobs.store.local import LocalStore
from tests.support.night import Night, chats
from tests.support.outcomes import RECEIPT, completed, failed

TEXTS = ("Open", "Close", "Save")


@pytest.fixture
def night(tmp_path: Path, fake_client: redis.Redis) -> Night:
    return Night(LocalStore(str(tmp_path / "store")), fake_client)


def rememberer(night: Night) -> Rememberer:
    return Rememberer(night.store, night.kinds, night.settings)


def rows(*texts: str, **fields: Any) -> list[dict[str, Any]]:
    asked = {"kind": "translation", "source_language": "en", "target_language": "de", "context": "menu"}
    return [{**asked, "text": text, **fields} for text in texts]


def outcome(write: Callable[[str], str] = str.upper, **fields: Any) -> Callable[[Lease], Any]:
    def made(lease: Lease) -> Any:
        text = TEXTS[lease.key.row]
        output = {"text": write(text), "segments": [{"source": text, "target": write(text)}]}
        given = {"kind": "translation", "tenant": "default", "verdict": "fit", "output": output}
        return completed(lease, **{**given, "receipt": {**RECEIPT, "templates": {"segment 1": "abc"}}, **fields})

    return made


def publish(night: Night, **fields: Any) -> None:
    night.accept(rows(*TEXTS))
    night.finish(night.claim(), outcome(**fields))
    night.sweep()


def entries(night: Night, tenant: str = "default") -> list[Entry]:
    names = list_names(night.store, tenant).sections
    sections = (one for name in names for one in read_sections(night.store, tenant, name, lambda _: True))
    return [entry for section in sections for entry, _ in section.entries]


def test_a_published_round_is_remembered_once(night: Night) -> None:
    publish(night)
    assert night.store.list("unremembered") == [f"{night.batch_id}.1"]
    with capture_logs() as logs:
        rememberer(night).remember()
        rememberer(night).remember()
    assert [(log["event"], log["entries"]) for log in logs] == [("batch.remembered", 3)]
    assert night.store.list("unremembered") == []
    first, *_ = found = entries(night)
    assert [(one.source, one.target) for one in found] == [("Open", "OPEN"), ("Close", "CLOSE"), ("Save", "SAVE")]
    at = datetime.fromisoformat(str(RECEIPT["finished_at"])).astimezone(UTC)
    assert first == Entry(
        "Open",
        "OPEN",
        "en",
        "de",
        at,
        context="menu",
        model="stub",
        template="abc",
        verdict="fit",
        batch=night.batch_id,
        prompt_tokens=100,
        completion_tokens=10,
    )


def test_other_kinds_leave_no_note(night: Night) -> None:
    night.accept(chats(2))
    night.finish(night.claim())
    night.sweep()
    assert night.store.list("unremembered") == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"verdict": "review"}, id="for review"),
        pytest.param({"verdict": None}, id="not judged"),
        pytest.param({"output": {"text": "x"}}, id="without segments"),
    ],
)
def test_what_is_not_remembered(night: Night, fields: dict[str, Any]) -> None:
    publish(night, **fields)
    rememberer(night).remember()
    assert night.store.list("unremembered") == []
    assert night.store.list("memory") == []


def test_the_note_is_there_before_the_round_is_decided(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher that dies after `done` loses no translation."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    night.accept(rows(*TEXTS))
    night.finish(night.claim(), outcome())
    with monkeypatch.context() as patched:
        patched.setattr("jobs.publishing.publish.create_marker", die)
        with pytest.raises(KeyboardInterrupt):
            night.publish()
    rememberer(night).remember()
    assert night.store.list("unremembered") == [f"{night.batch_id}.1"], "the round is not published yet"
    night.publish()
    rememberer(night).remember()
    assert len(entries(night)) == 3


STEPS = ("write_lines", "merge_files")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_an_errand_that_dies_is_taken_up(night: Night, monkeypatch: pytest.MonkeyPatch, step: str, late: bool) -> None:
    publish(night)
    real = getattr(__import__("jobs.publishing.remembering", fromlist=[step]), step)

    def die(*given: Any) -> None:
        if late:
            real(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"jobs.publishing.remembering.{step}", die)
        with pytest.raises(KeyboardInterrupt):
            rememberer(night).remember()
    assert night.store.list("unremembered") == [f"{night.batch_id}.1"]
    rememberer(night).remember()
    assert len(entries(night)) == 3
    assert len(list_names(night.store, "default").sections) == 1
    assert night.store.list("unremembered") == []


def test_two_errands_at_once_write_one_file(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(night)
    real, first = write_lines, [True]

    def write(*given: Any) -> int:
        if first and first.pop():
            rememberer(night).remember()
        return real(*given)

    monkeypatch.setattr("jobs.publishing.remembering.write_lines", write)
    rememberer(night).remember()
    assert len(entries(night)) == 3
    assert len(list_names(night.store, "default").sections) == 1


def test_a_later_round_adds_only_what_it_has_done(night: Night) -> None:
    night.accept(rows(*TEXTS))
    jobs = sorted(night.claim(), key=lambda job: job.key.row)
    night.finish(jobs[:2], outcome())
    night.finish(jobs[2:], failed)
    night.sweep()
    rememberer(night).remember()
    assert [one.source for one in entries(night)] == ["Open", "Close"]
    reopen(night.store, night.batch_id, [0])
    night.finish(night.claim(), outcome(str.lower))
    night.sweep()
    rememberer(night).remember()
    assert [(one.source, one.target) for one in entries(night)] == [
        ("Open", "OPEN"),
        ("Close", "CLOSE"),
        ("Open", "open"),
        ("Save", "save"),
    ]


def test_the_memory_outlives_its_batch(night: Night) -> None:
    publish(night)
    rememberer(night).remember()
    delete_batch(night.store, night.batch_id, clock=night.now)
    assert len(entries(night)) == 3


def test_a_batch_that_was_deleted_before_leaves_no_note(night: Night) -> None:
    publish(night)
    delete_batch(night.store, night.batch_id, clock=night.now)
    rememberer(night).remember()
    assert night.store.list("unremembered") == []
    assert night.store.list("memory") == []


def test_a_damaged_batch_keeps_its_note_and_holds_up_no_other(night: Night) -> None:
    publish(night)
    broken = night.batch_id
    done = night.done(broken)
    night.accept(rows(*TEXTS), "other")
    night.finish(night.claim(), outcome())
    night.sweep()
    path = Path(night.store.url) / BatchPaths(broken).root / done.folder / "output.jsonl"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data.replace(b"OPEN", b"OPENS"))
    with pytest.raises(StoreDamaged):
        rememberer(night).remember()
    assert night.store.list("unremembered") == [f"{broken}.1"]
    assert len(entries(night)) == 3, "what was read of the damaged file is not used"
