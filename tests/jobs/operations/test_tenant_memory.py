"""Shows jobs/operations/memory: what editors wrote goes in, and the memory comes out as TMX and goes in again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.errors import DocumentError, RequestError
from jobs.memory.entry import Entry, Query
from jobs.memory.files import folder_of, list_names, round_name, write_section
from jobs.memory.opening import open_index
from jobs.operations.memory.tenant_memory import TenantMemory
from jobs.store.local import LocalStore

AT = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)
ASKED = Query(("Save",), "en", "de", context="menu", terms="ab", model="m", template="t")
TMX = """<?xml version="1.0" encoding="UTF-8"?>
<tmx version="1.4"><header srclang="{srclang}" creationtool="x" creationtoolversion="1" segtype="sentence" o-tmf="x"
 adminlang="en" datatype="plaintext"/><body>{units}</body></tmx>"""
UNIT = """<tu><tuv xml:lang="en-US"><seg>Save <ph x="1">%s</ph></seg></tuv><tuv xml:lang="DE" changedate="{changed}"
 changeid="Ina"><seg>Sichere <ph x="1">%s</ph></seg></tuv><tuv xml:lang="fr"><seg>Enregistrer %s</seg></tuv></tu>"""
PO = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"

msgid "Save"
msgstr "Sichern"

msgctxt "menu"
msgid "Open"
msgstr "Öffnen"

#, fuzzy
msgid "Close"
msgstr "Zu"

msgid "Quit"
msgstr ""
"""


@pytest.fixture
def memory(tmp_path: Path) -> TenantMemory:
    return TenantMemory(LocalStore(str(tmp_path / "store")), "acme", tmp_path / "cache", lambda: AT)


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def known(memory: TenantMemory, query: Query, segment: str) -> Entry | None:
    index = open_index(memory.store, "acme", memory.cache_dir)
    assert index is not None
    try:
        return index.known(query, segment)
    finally:
        index.close()


def test_a_memory_of_editors_is_taken_in(memory: TenantMemory, tmp_path: Path) -> None:
    path = written(tmp_path, "a.tmx", TMX.format(srclang="en-US", units=UNIT.format(changed="20260101T120000Z")))
    assert memory.take_in(path) == 2
    found = known(memory, replace(ASKED, source_language="en-US"), "Save %s")
    assert found is not None
    assert (found.target, found.author, found.origin) == ("Sichere %s", "Ina", "editor")
    assert found.at == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert known(memory, ASKED, "Save %s") is None, "the file says en-US"
    assert memory.take_in(path, "en", "de") == 1
    assert known(memory, ASKED, "Save %s") is not None


@pytest.mark.parametrize(
    ("changed", "at"),
    [
        pytest.param("", AT, id="none"),
        pytest.param("yesterday", AT, id="no time"),
        pytest.param("20990101T000000Z", AT, id="a time to come"),
    ],
)
def test_the_time_of_an_editors_entry(memory: TenantMemory, tmp_path: Path, changed: str, at: datetime) -> None:
    memory.take_in(written(tmp_path, "a.tmx", TMX.format(srclang="*all*", units=UNIT.format(changed=changed))), "en")
    found = known(memory, replace(ASKED, target_language="de"), "Save %s")
    assert found is not None
    assert found.at == at


def test_a_corrected_catalogue_is_taken_in(memory: TenantMemory, tmp_path: Path) -> None:
    path = written(tmp_path, "de.po", PO)
    assert memory.take_in(path, "en", "de") == 2
    found = known(memory, ASKED, "Save")
    assert found is not None
    assert (found.target, found.origin, found.batch) == ("Sichern", "editor", "de.po")
    (opened,) = [one.entry for one in memory.find("Open") if one.similarity == 1]
    assert opened.context
    assert known(memory, replace(ASKED, context=opened.context), "Open") is not None
    assert known(memory, replace(ASKED, context="dialog"), "Open") is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("texts.csv", "key,en,de,fr\nsave,Save,Sichern,Enregistrer\nquit,Quit,,\n", id="a table"),
        pytest.param(
            "de.xlf",
            '<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file source-language="en" '
            'target-language="de" datatype="plaintext" original="a"><body><trans-unit id="1"><source>Save</source>'
            '<target state="translated">Sichern</target></trans-unit></body></file></xliff>',
            id="XLIFF",
        ),
    ],
)
def test_other_documents_with_source_and_target(memory: TenantMemory, tmp_path: Path, name: str, text: str) -> None:
    assert memory.take_in(written(tmp_path, name, text), "en", "de") == 1
    assert [(one.entry.source, one.entry.target) for one in memory.find("Save")] == [("Save", "Sichern")]


@pytest.mark.parametrize(
    ("name", "text", "languages", "message"),
    [
        pytest.param("a.tmx", "<tmx", (None, None), "a.tmx", id="no XML"),
        pytest.param(
            "a.tmx", TMX.format(srclang="*all*", units=UNIT), (None, None), "--source-language", id="no source"
        ),
        pytest.param("a.tmx", TMX.format(srclang="en", units=""), (None, None), "no segment", id="empty"),
        pytest.param("a.tmx", TMX.format(srclang="en", units=UNIT), (None, "ja"), "no segment", id="another language"),
        pytest.param("a.tmx", TMX.format(srclang="en", units=UNIT), ("english please", None), "--source", id="no tag"),
        pytest.param("de.po", PO, (None, "de"), "--source-language and --target-language", id="no languages"),
        pytest.param("de.po", 'msgid "a"\nmsgstr ""\n', ("en", "de"), "no segment", id="nothing translated"),
        pytest.param("a.xyz", "hello", ("en", "de"), "neither TMX", id="no known format"),
    ],
)
def test_a_file_that_cannot_be_taken_in(
    memory: TenantMemory, tmp_path: Path, name: str, text: str, languages: tuple[str | None, str | None], message: str
) -> None:
    with pytest.raises((RequestError, DocumentError), match=message):
        memory.take_in(written(tmp_path, name, text), *languages)
    assert memory.store.list("memory") == []


def test_a_missing_file_is_named(memory: TenantMemory, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="No such file"):
        memory.take_in(tmp_path / "a.tmx")


def entry(**fields: object) -> Entry:
    made = Entry("Save", "Sichern", "en", "de", AT, context="menu", terms="ab", model="m", template="t", verdict="fit")
    return replace(made, batch="b-1", row=3, prompt_tokens=5, completion_tokens=2, **fields)  # type: ignore[arg-type]


def test_an_export_goes_in_again_as_it_was(memory: TenantMemory, tmp_path: Path) -> None:
    late = AT + timedelta(seconds=5)
    edited = Entry("Close & <b>go</b>", "Zu & <b>los</b>", "en", "de", AT, origin="editor", author="Ina", batch="x.tmx")
    write_section(memory.store, "acme", round_name("b", 1, AT), [entry(), entry(target="Speichern", at=late), edited])
    path = tmp_path / "out.tmx"
    assert memory.export(path) == 2
    other = TenantMemory(LocalStore(str(tmp_path / "other")), "acme", tmp_path / "cache", lambda: late)
    assert other.take_in(path) == 2
    assert known(other, ASKED, "Save") == entry(target="Speichern", at=late)
    assert known(other, ASKED, "Close & <b>go</b>") == edited


def test_what_is_found_for_a_text(memory: TenantMemory) -> None:
    entries = [entry(source="Save the file"), entry(source="Save the files", target="Dateien"), entry(source="Quit")]
    write_section(memory.store, "acme", round_name("b", 1, AT), entries)
    found = memory.find("Save the file")
    assert [(one.entry.source, one.similarity) for one in found if one.similarity == 1] == [("Save the file", 1.0)]
    assert memory.find("Something else") == []


def test_an_empty_memory(memory: TenantMemory, tmp_path: Path) -> None:
    assert memory.find("Save") == []
    assert memory.forget("Save") == 0
    assert memory.export(tmp_path / "out.tmx") == 0


def test_what_is_forgotten_lies_in_no_file(memory: TenantMemory) -> None:
    write_section(memory.store, "acme", round_name("b", 1, AT), [entry(), entry(target_language="fr")])
    write_section(memory.store, "acme", round_name("c", 1, AT), [entry(source="Quit", target="Ende")])
    assert memory.forget("Save", "de") == 1
    assert memory.forget("Save") == 1
    assert memory.find("Quit")[0].entry.target == "Ende"
    names = memory.store.list(folder_of("acme"))
    assert not any(b"Sichern" in memory.store.read(f"{folder_of('acme')}/{name}") for name in names)
    assert memory.forget(None) == 1
    assert memory.find("Quit") == []
    assert len(list_names(memory.store, "acme").sections) == 1


def test_a_damaged_file_is_named_when_something_is_to_be_forgotten(memory: TenantMemory, tmp_path: Path) -> None:
    name = round_name("b", 1, AT)
    write_section(memory.store, "acme", name, [entry()])
    path = tmp_path / "store" / folder_of("acme") / name
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-5])
    memory.forget("Save")
    assert memory.store.exists(f"{folder_of('acme')}/{name}")
    assert [name in str(fault) for fault in memory.faults] == [True]


def test_what_was_forgotten_can_be_taken_in_again(memory: TenantMemory, tmp_path: Path) -> None:
    path = written(tmp_path, "a.tmx", TMX.format(srclang="en", units=UNIT.format(changed="20260101T120000Z")))
    memory.take_in(path, "en", "de")
    assert memory.forget(None) == 1
    memory.clock = lambda: AT + timedelta(minutes=1)
    memory.take_in(path, "en", "de")
    found = known(memory, ASKED, "Save %s")
    assert found is not None
    assert found.at == AT + timedelta(minutes=1)
