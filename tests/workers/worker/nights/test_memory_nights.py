"""Nights with the translation memory: the second asks only for what has changed, and all else is as without a memory."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.accounts.tallies import tallies
from jobs.batches.input import read_rows
from jobs.batches.rounds import reopen
from jobs.catalog import ModelCard
from jobs.checks.registry import load_checks
from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.findings import CheckSetting, Severity
from jobs.generation import Completion, GenerationRequest
from jobs.memory.entry import Entry
from jobs.memory.files import folder_of, import_name, list_names, write_section
from jobs.operations.status_reader import StatusReader
from jobs.publishing.remembering import Rememberer
from jobs.usage import Remembered
from tests.support.engines import Scripted
from tests.support.worker_night import WorkerNight

KEPT = {"placeholders_changed", "max_length", "glossary_missed", "forbidden_term"}
SETTINGS: Mapping[str, Any] = {
    "models": {"stub": ModelCard(engine="stub", checks=True)},
    "checks": {code: "off" for code in load_checks() if code not in KEPT},
}
AT = datetime(2026, 12, 1, tzinfo=UTC)


class Translator(Scripted):
    """An engine that translates by writing each word backwards, marks excepted. It counts the texts that it was asked for."""

    def __init__(self, write: Callable[[str], str] = lambda text: f"<{text}>") -> None:
        super().__init__(self._translated)
        self.texts: list[str] = []
        self.prompts: list[str] = []
        self.write = write

    def _translated(self, request: GenerationRequest) -> Completion:
        asked = request.prompt.translatable
        assert asked is not None
        self.texts.append(asked.text)
        self.prompts.append(request.prompt.messages[-1].content)
        return Completion(
            request.request_id, self.write(asked.text), "stop", 10 + len(asked.text), 0, len(asked.text), 7
        )


def messages(*texts: str, languages: Sequence[str] = ("de",), **fields: Any) -> list[dict[str, Any]]:
    asked = {"kind": "translation", "source_language": "en", "format": "segment", **fields}
    return [{**asked, "text": text, "target_language": language} for language in languages for text in texts]


@pytest.fixture
def night(make_night: Callable[..., WorkerNight], tmp_path: Path) -> WorkerNight:
    return make_night(cache_dir=tmp_path / "cache", **SETTINGS)


Row = Mapping[str, Any]


def run(
    night: WorkerNight, until: Callable[..., Any], rows: Sequence[Row], name: str, engine: Translator | None = None
) -> tuple[Translator, list[dict[str, Any]], list[dict[str, Any]]]:
    """Run a night of these rows, and let its errand fill the memory. Returns the engine, and the rows of both files."""
    engine = engine or Translator()
    night.accept(list(rows), name)
    runner = night.start(engine)
    try:
        output, errors = night.outputs(until)
    finally:
        runner.stop(0.0)
    Rememberer(night.store, night.kinds, night.settings).remember()
    return engine, output, errors


def edit(night: WorkerNight, *entries: Entry, n: int = 0) -> None:
    """Import an editor's entries."""
    write_section(night.store, "default", import_name(f"{n:016x}"), entries)


def editors(source: str, target: str, **fields: Any) -> Entry:
    return Entry(source, target, "en", "de", AT, origin="editor", **fields)


def test_the_second_night_asks_only_for_what_has_changed(night: WorkerNight, until: Callable[..., Any]) -> None:
    languages = ("de", "fr", "pl")
    first = [f"Open the folder number {n} of the list" for n in range(100)]
    second = [text if n % 20 else f"{text}, please" for n, text in enumerate(first)]
    engine, before, errors = run(night, until, messages(*first, languages=languages), "first")
    assert (len(engine.texts), errors) == (300, [])
    assert all("memory" not in row for row in before), "an empty memory was not asked"
    engine, after, errors = run(night, until, messages(*second, languages=languages), "second")
    assert errors == []
    assert sorted(engine.texts) == sorted(3 * [text for text in second if text.endswith("please")])
    assert len(engine.texts) == 15, "5 % of 300"
    assert [row["output"]["text"] for row in after] == [f"<{text}>" for _ in languages for text in second]
    known = [row for row in after if row["memory"]["known"]]
    assert len(known) == 285
    for row in known:
        used = row["usage"]
        assert [used[name] for name in ("prompt_tokens", "completion_tokens", "device_ns", "charge")] == [0, 0, 0, 0]
        assert (row["verdict"], row["finish_reason"]) == ("fit", None)
    by_text = {(row["output"]["source"], row["output"]["target_language"]): row["usage"] for row in before}
    saved = [by_text[row["output"]["source"], row["output"]["target_language"]] for row in known]
    prompt, completion = (sum(one[name] for one in saved) for name in ("prompt_tokens", "completion_tokens"))
    status = StatusReader(night.store).batch(night.batch_id)
    assert status.memory == Remembered(300, 285, prompt, completion)
    sums = tallies(night.store, "batch")
    ((_, by_batch),) = sums.items()
    assert by_batch[night.batch_id].memory == status.memory
    assert by_batch[night.batch_id].usage.prompt_tokens == sum(10 + len(text) for text in engine.texts)


def test_what_was_known_is_not_written_again(night: WorkerNight, until: Callable[..., Any]) -> None:
    run(night, until, messages("Open", "Close"), "first")
    run(night, until, messages("Open", "Close"), "second")
    assert len(list_names(night.store, "default").single) == 1
    engine, _, _ = run(night, until, messages("Open", "Close", "Save"), "third")
    assert engine.texts == ["Save"]


def test_the_lines_of_a_text_are_known_one_by_one(night: WorkerNight, until: Callable[..., Any]) -> None:
    run(night, until, messages("One line.\n\nAnother line.", format="plain"), "first")
    rows = messages("Another line.\nA new line.\nAnother line.", format="plain")
    engine, (row,), _ = run(night, until, rows, "second")
    assert engine.texts == ["A new line."]
    assert row["output"]["text"] == "<Another line.>\n<A new line.>\n<Another line.>"
    assert (row["memory"]["segments"], row["memory"]["known"]) == (3, 2)


def test_the_tokens_of_a_row_are_divided_among_its_segments(night: WorkerNight, until: Callable[..., Any]) -> None:
    _, (row,), _ = run(night, until, messages("One line.\nAnother, longer line.\nYes", format="plain"), "first")
    _, after, _ = run(night, until, messages("One line.", "Another, longer line.", "Yes", format="plain"), "second")
    for name in ("prompt_tokens", "completion_tokens"):
        assert sum(one["memory"][name] for one in after) == row["usage"][name]
        assert all(one["memory"][name] > 0 for one in after)


def test_an_editors_entry_wins(night: WorkerNight, until: Callable[..., Any]) -> None:
    run(night, until, messages("Open"), "first")
    edit(night, editors("Open", "Öffnen"))
    engine, (row,), _ = run(night, until, messages("Open"), "second")
    assert (engine.texts, row["output"]["text"]) == ([], "Öffnen")


def test_a_known_segment_that_a_check_refuses_is_asked_for(night: WorkerNight, until: Callable[..., Any]) -> None:
    edit(night, editors("Open %s", "Öffnen"), editors("Close", "Das hier schließen"))
    rows = [*messages("Open %s"), *messages("Close", max_length=9)]
    engine, (first, second), errors = run(night, until, rows, "first")
    assert errors == []
    assert len(engine.texts) == 2
    assert "%s" in first["output"]["text"]
    assert second["output"]["text"] == "<Close>"
    assert [row["memory"] for row in (first, second)] == [Remembered(1, 0).as_dict()] * 2


def test_a_text_that_is_refused_as_a_whole_is_asked_for_without_the_memory(
    night: WorkerNight, until: Callable[..., Any]
) -> None:
    """Each line is right for itself, and only the text as a whole is too long. The third line is not known."""
    edit(night, editors("One", "Das ist die Eins"), editors("Two", "Das ist die Zwei"))
    engine, output, errors = run(night, until, messages("One\nTwo\nThree", format="plain", max_length=25), "first")
    assert errors == []
    (row,) = output
    assert row["output"]["text"] == "<One>\n<Two>\n<Three>"
    assert set(engine.texts) == {"One", "Two", "Three"}
    assert row["usage"]["completion_tokens"] == len("OneTwoThree")
    assert row["memory"] == Remembered(3, 0).as_dict()
    (line,) = [one for one in night.outcomes() if one.status == "completed"]
    assert line.wasted.completion_tokens == sum(map(len, engine.texts)) - len("OneTwoThree") > 0
    assert set(line.receipt["params"]) > {"segment 1", "segment 2", "segment 3"}


def test_a_row_that_was_sent_back_takes_nothing_but_from_editors(night: WorkerNight, until: Callable[..., Any]) -> None:
    run(night, until, messages("Open", "Close"), "first")
    edit(night, editors("Close", "Schließen"))
    run(night, until, messages("Open", "Close"), "second")
    reopen(night.store, night.batch_id, [0, 1])
    engine = Translator(lambda text: f"[{text}]")
    night.start(engine)
    output, _ = night.outputs(until)
    assert [row["output"]["text"] for row in output] == ["[Open]", "Schließen"]
    assert engine.texts == ["Open"]
    Rememberer(night.store, night.kinds, night.settings).remember()
    _, (row,), _ = run(night, until, messages("Open"), "third")
    assert row["output"]["text"] == "[Open]", "the later text of a model counts"


def test_a_similar_segment_is_a_hint(night: WorkerNight, until: Callable[..., Any]) -> None:
    run(night, until, messages("Open the big folder of the list"), "first")
    engine, _, errors = run(night, until, messages("Open the big folder of the lists", "Quit"), "second")
    assert errors == []
    with_hint, without = sorted(engine.prompts, key=len, reverse=True)
    assert '"Open the big folder of the list"' in with_hint
    assert '"<Open the big folder of the list>"' in with_hint
    assert "translated as" not in without


@pytest.mark.parametrize("setting", [{"enabled": False}, {"hints": False}])
def test_the_memory_can_be_switched_off(
    night: WorkerNight, until: Callable[..., Any], setting: dict[str, bool]
) -> None:
    night.change(memory=night.settings.memory.model_copy(update=setting))
    run(night, until, messages("Open the big folder of the list"), "first")
    rows = messages("Open the big folder of the list", "Open the big folder of the lists")
    engine, _, _ = run(night, until, rows, "second")
    assert len(engine.texts) == (1 if setting.get("enabled", True) else 2)
    assert not any("translated as" in prompt for prompt in engine.prompts)
    assert night.store.list("unremembered") == []
    assert bool(night.store.list("memory")) == setting.get("enabled", True)


def test_tenants_share_nothing(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.change(rows_may_set=("tenant",))
    rows = [*messages("Open", tenant="a"), *messages("Close", tenant="b")]
    run(night, until, rows, "first")
    assert night.store.list("memory") == ["a", "b"]
    rows = [*messages("Open", "Close", tenant="a"), *messages("Open", "Close", tenant="b"), *messages("Open", "Close")]
    engine, _, _ = run(night, until, rows, "second")
    assert sorted(engine.texts) == ["Close", "Close", "Open", "Open"]


def test_the_batch_stays_the_same_although_the_memory_has_changed(
    night: WorkerNight, until: Callable[..., Any]
) -> None:
    rows = messages("Open", "Close")
    batch = night.accept(rows, "twice")
    edit(night, editors("Open", "Öffnen"))
    assert night.accept(rows, "twice") == batch
    requests = [one for lane in batch.lanes for one in read_rows(night.store, batch.batch_id, lane)]
    assert [one.known for one in requests] == [None, None]


def test_an_intake_that_died_may_have_known_other_segments(night: WorkerNight, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its input stays, and `batch.json` describes that file, whatever the memory knows by now."""
    rows, edited = messages("Open", "Close"), editors("Open", "Öffnen")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    edit(night, edited)
    with monkeypatch.context() as patched:
        patched.setattr("jobs.intake.batch_files._create", die)
        with pytest.raises(KeyboardInterrupt):
            night.accept(rows, "twice")
    edit(night, replace(edited, target="Aufmachen", at=AT + timedelta(days=1)), editors("Close", "Schließen"), n=1)
    batch = night.accept(rows, "twice")
    ((lane, described),) = batch.lanes.items()
    path = f"batches/{batch.batch_id}/input/{lane}.jsonl"
    assert described.bytes == night.store.size(path)
    requests = list(read_rows(night.store, batch.batch_id, lane))
    assert described.cost == sum(one.cost for one in requests)
    assert [{source: known["target"] for source, known in (one.known or {}).items()} for one in requests] == [
        {"Open": "Öffnen"},
        {},
    ]


def test_only_fit_rows_are_remembered(night: WorkerNight, until: Callable[..., Any]) -> None:
    """A row that is for review, or failed, or was not checked, is asked for again."""
    night.change(checks={**night.settings.checks, "max_length": CheckSetting(severity=Severity.REVIEW)})
    run(night, until, [*messages("Open", max_length=3), *messages("Close")], "first")
    engine, _, _ = run(night, until, messages("Open", "Close"), "second")
    assert engine.texts == ["Open"]
    night.change(models={"stub": ModelCard(engine="stub", checks=False)})
    run(night, until, messages("Quit"), "third")
    engine, _, _ = run(night, until, messages("Quit"), "fourth")
    assert engine.texts == ["Quit"]


def test_a_damaged_file_of_the_memory_costs_tokens_and_nothing_else(
    night: WorkerNight, until: Callable[..., Any]
) -> None:
    run(night, until, messages("Open"), "first")
    run(night, until, messages("Close"), "second")
    name = list_names(night.store, "default").single[0]
    path = Path(night.store.url) / folder_of("default") / name
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])
    shutil.rmtree(night.settings.cache_dir)
    engine, output, _ = run(night, until, messages("Open", "Close"), "third")
    assert len(output) == 2
    assert len(engine.texts) == 1


def catalogue(texts: Sequence[str]) -> str:
    head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
    return head + "".join(f'\nmsgid "{text}"\nmsgstr ""\n' for text in texts)


@pytest.mark.parametrize("count", [100, pytest.param(2_000, marks=pytest.mark.faults)])
def test_a_catalogue_of_which_a_part_has_changed(
    night: WorkerNight, until: Callable[..., Any], tmp_path: Path, count: int
) -> None:
    """Into three languages: of the second night, only what has changed is sent, and the files are whole."""
    first = [f"Open the folder number {n} of the list" for n in range(count)]
    second = [text if n % 20 else f"{text}, please" for n, text in enumerate(first)]
    night.change(store_url=night.store.url)
    path, session = tmp_path / "messages.po", Session(night.settings)
    asked = ("--kind", "translation", "--set", "source_language=en", "--set", "target_language=fr,de,pl")
    for texts, sent in ((first, 3 * count), (second, 3 * count // 20)):
        path.write_text(catalogue(texts), encoding="utf-8")
        before = set(night.store.list("batches"))
        assert main(["enqueue", str(path), *asked], session) == 0
        (night.batch_id,) = set(night.store.list("batches")) - before
        engine = Translator()
        runner = night.start(engine)
        output, errors = night.outputs(until)
        runner.stop(0.0)
        Rememberer(night.store, night.kinds, night.settings).remember()
        assert (len(output), errors) == (3 * count, [])
        assert len(engine.texts) == sent
        out = tmp_path / "out"
        assert main(["results", night.batch_id, "--format", "document", "-o", str(out)], session) == 0
        written = sorted(path for path in out.rglob("*") if path.is_file())
        assert len(written) == 3
        for one in written:
            lines = one.read_text(encoding="utf-8").splitlines()
            assert [line for line in lines if line.startswith("msgid")][1:] == [f'msgid "{text}"' for text in texts]
            assert [line for line in lines if line.startswith("msgstr")][1:] == [f'msgstr "<{text}>"' for text in texts]
    used = [sum(row["usage"][name] for row in output) for name in ("completion_tokens", "charge")]
    assert used[0] == sum(map(len, engine.texts))
    assert StatusReader(night.store).batch(night.batch_id).memory.known == 3 * count - sent  # type: ignore[union-attr]
