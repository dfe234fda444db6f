"""Intake gives rows of translations the terms of their tenant, and the batch tells which files they came from."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.input import read_rows
from jobs.errors import RequestError
from jobs.intake.accept import Accepted, IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.store.store import Store

KINDS = load_kinds()
ROW = {
    "kind": "translation",
    "text": "Pay the invoices with Acme.",
    "source_language": "en",
    "target_language": "de",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def accepted(store: Store, rows: list[dict[str, Any]], terms: dict[str, Any], **options: Any) -> Accepted:
    settings = Settings(model="stub", terms=terms, tenants={"acme": {"terms": {"do_not_translate": ["Acme"]}}})
    data = io.BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    return accept(store, data, IntakeOptions(**options), kinds=KINDS, settings=settings, run_key="k")


def requests(store: Store, made: Accepted) -> list[dict[str, Any]]:
    return [dict(row.request) for row in read_rows(store, made.batch.batch_id, "stub")]


def test_rows_hold_the_terms_that_stand_in_their_text(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("en,de\ninvoice,Rechnung\naccount,Konto\n")
    other = {"kind": "chat", "prompt": "Pay the invoices with Acme."}
    made = accepted(store, [ROW, other, {**ROW, "target_language": "fr"}], {"files": [str(path)]}, tenant="acme")
    first, second, third = requests(store, made)
    assert first["glossary"] == {"invoice": "Rechnung"}
    assert first["do_not_translate"] == ["Acme"]
    assert second == {"prompt": "Pay the invoices with Acme."}
    assert "glossary" not in third
    assert third["do_not_translate"] == ["Acme"]
    assert [(Path(name).name, len(sha256)) for name, sha256 in made.batch.glossaries.items()] == [("terms.csv", 64)]


def test_a_batch_without_glossaries_is_as_it_was(store: Store) -> None:
    made = accepted(store, [ROW], {})
    assert made.batch.glossaries == {}
    assert requests(store, made)[0].keys() == ROW.keys() - {"kind"}


def test_another_glossary_makes_another_batch_and_another_line_of_it_does_not(store: Store, tmp_path: Path) -> None:
    ids = []
    for table in ("invoice,Rechnung\n", "invoice,Beleg\n", "invoice,Rechnung\nother,anderes\n"):
        path = tmp_path / "terms.csv"
        path.write_text(f"en,de\n{table}")
        ids.append(accepted(store, [ROW], {"files": [str(path)]}).batch.batch_id)
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize("table", ["en,de\ninvoice,Rechnung\ninvoice,Beleg\n", "no header\n", 'en,de\na,"b\n'])
def test_a_glossary_that_is_not_valid_refuses_the_file_and_blames_no_row(
    store: Store, tmp_path: Path, table: str
) -> None:
    path = tmp_path / "terms.csv"
    path.write_text(table)
    with pytest.raises(RequestError, match=r"^terms\.csv, line \d: "):
        accepted(store, [ROW], {"files": [str(path)]})
    assert list(store.list("batches/")) == []


def test_a_glossary_that_is_not_valid_is_noticed_before_a_row_needs_it(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("en,de\n--,x\n")
    with pytest.raises(RequestError, match=r"^terms\.csv, line 2: "):
        accepted(store, [{"kind": "chat", "prompt": "Hello"}], {"files": [str(path)]})


def test_a_row_with_a_fault_gets_no_terms(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("en,de\ninvoice,Rechnung\n")
    made = accepted(store, [{**ROW, "source_language": "klingon"}, ROW], {"files": [str(path)]})
    assert [fault.field for fault in made.faults] == ["source_language"]
    assert made.batch.refused == 1
