"""Rows get the terms of their tenant that stand in their text: layers, languages, duplicates, and long glossaries."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import RequestError
from jobs.settings import Settings
from jobs.terms.row_glossaries import RowGlossaries


def glossaries(folder: Path, tables: Mapping[str, str], **terms: Any) -> RowGlossaries:
    """Return the glossaries of settings: `general` is that of `[terms]`, and any other name that of a tenant."""
    for name, table in tables.items():
        (folder / f"{name}.csv").write_text(table)
    settings: dict[str, Any] = {
        name: {"files": [str(folder / f"{name}.csv")], **terms.get(name, {})}
        for name in {**tables, **terms}
        if name in tables
    }
    for name, given in terms.items():
        settings.setdefault(name, given)
    general = settings.pop("general", {})
    return RowGlossaries(Settings(terms=general, tenants={name: {"terms": one} for name, one in settings.items()}))


def row(text: str, languages: str = "en de", **given: Any) -> dict[str, Any]:
    source, target = languages.split()
    return {"text": text, "source_language": source, "target_language": target, **given}


def added(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in ("text", "source_language", "target_language")}


GENERAL = (
    "en,de,fr,status\n"
    "invoice,Rechnung,facture,\n"
    "account,Konto,compte,\n"
    "account manager,Kundenbetreuer,,\n"
    "mobile phone,Handy,,forbidden\n"
)


def test_only_the_terms_of_a_text_are_given(tmp_path: Path) -> None:
    given = glossaries(tmp_path, {"general": GENERAL}, general={"do_not_translate": ["Nightpress", "Acme"]})
    found = given.applied(row("The account managers pay invoices with Nightpress."), "any")
    assert added(found) == {
        "glossary": {"account manager": "Kundenbetreuer", "invoice": "Rechnung"},
        "do_not_translate": ["Nightpress"],
    }
    assert added(given.applied(row("A mobile phone"), "any")) == {"forbidden_terms": ["Handy"]}
    assert added(given.applied(row("An invoice", "en fr"), "any")) == {"glossary": {"invoice": "facture"}}
    assert added(given.applied(row("Une facture", "fr en"), "any")) == {"glossary": {"facture": "invoice"}}


def test_a_row_without_terms_is_the_same_object(tmp_path: Path) -> None:
    given = glossaries(tmp_path, {"general": GENERAL})
    request = row("Nothing of that")
    assert given.applied(request, "any") is request
    assert RowGlossaries(Settings()).applied(request, "any") is request


def test_the_row_comes_before_the_tenant_and_the_tenant_before_the_settings(tmp_path: Path) -> None:
    tables = {"general": GENERAL, "acme": "en,de\nAccount,Zugang\n"}
    given = glossaries(tmp_path, tables, general={"do_not_translate": ["Windows"]})
    text = "The account and the invoice on Windows"
    assert added(given.applied(row(text), "acme"))["glossary"] == {"Account": "Zugang", "invoice": "Rechnung"}
    assert added(given.applied(row(text), "other"))["glossary"] == {"account": "Konto", "invoice": "Rechnung"}
    own = {"ACCOUNT": "Login", "windows": "Fenster"}
    assert added(given.applied(row(text, glossary=own), "acme")) == {"glossary": {**own, "invoice": "Rechnung"}}
    names = added(given.applied(row(text, do_not_translate=["invoice"]), "other"))
    assert names == {"glossary": {"account": "Konto"}, "do_not_translate": ["invoice", "Windows"]}


def test_a_right_translation_of_a_row_is_not_forbidden(tmp_path: Path) -> None:
    given = glossaries(tmp_path, {"general": GENERAL + "x,,,\n"})
    found = given.applied(row("A mobile phone", glossary={"phone": ["Telefon", "Handy"]}), "any")
    assert "forbidden_terms" not in found


def test_a_tenant_may_use_what_the_settings_forbid(tmp_path: Path) -> None:
    table = "source,target,source_language,target_language,status\n,Handy,,de,forbidden\n"
    tables = {"general": table, "acme": "en,de\nmobile phone,Handy\n"}
    given = glossaries(tmp_path, tables)
    assert added(given.applied(row("A phone"), "other")) == {"forbidden_terms": ["Handy"]}
    assert added(given.applied(row("A phone"), "acme")) == {}
    assert added(given.applied(row("A phone", "en fr"), "other")) == {}


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        ("en pt", "conta"),
        ("en pt-BR", "fatura"),
        ("en pt-PT", "conta"),
        ("en-US pt-BR", "fatura"),
        ("en pt-AO", "conta"),
        ("en zh-TW", "發票"),
        ("en zh-Hant-HK", "發票"),
        ("en zh-CN", "发票"),
        ("en zh", "发票"),
        ("en es-MX", None),
        ("fr pt", None),
    ],
)
def test_the_nearest_language_counts(tmp_path: Path, languages: str, expected: str | None) -> None:
    table = "en-GB,pt,pt-BR,zh-Hans,zh-Hant,es-ES\ninvoice,conta,fatura,发票,發票,factura\n"
    found = glossaries(tmp_path, {"general": table}).applied(row("An invoice", languages), "any")
    assert found.get("glossary") == (None if expected is None else {"invoice": expected})


def test_a_glossary_between_regions_of_one_language(tmp_path: Path) -> None:
    table = "en-GB,en-US\nlift,elevator\ncolour,color\n"
    given = glossaries(tmp_path, {"general": table})
    assert given.applied(row("The lifts", "en-GB en-US"), "any")["glossary"] == {"lift": "elevator"}
    assert given.applied(row("The elevator", "en-US en-GB"), "any")["glossary"] == {"elevator": "lift"}


def test_terms_never_chain(tmp_path: Path) -> None:
    """A translation that is itself a term of the source, also in a circle, is not looked up again."""
    table = "source,target,source_language,target_language\ngift,poison,en,de\npoison,gift,en,de\n"
    given = glossaries(tmp_path, {"general": table})
    assert given.applied(row("A gift"), "any")["glossary"] == {"gift": "poison"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "bill,Rechnung,\nBill,Beleg,",
            "general.csv, line 3: 'bill' has the translation 'Beleg', and in line 2 of general.csv another: ",
        ),
        (
            "bill,Rechnung,\nbill,Rechnung,forbidden",
            "'Rechnung' is both right and forbidden as a translation of 'bill'",
        ),
    ],
)
def test_two_translations_that_contradict_are_refused(tmp_path: Path, lines: str, message: str) -> None:
    given = glossaries(tmp_path, {"general": f"en,de,status\n{lines}\n"})
    with pytest.raises(RequestError) as raised:
        given.applied(row("A bill"), "any")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("lines", "targets"),
    [
        ("bill,Rechnung,\nbill,Rechnung,", "Rechnung"),
        ("bill,Rechnung,\nbill,Beleg,admitted", ["Rechnung", "Beleg"]),
        ("bill,Beleg,admitted\nbill,Rechnung,", ["Rechnung", "Beleg"]),
        ("bill,Rechnung|Beleg,\nbill,Beleg,", ["Rechnung", "Beleg"]),
    ],
)
def test_further_translations_are_admitted(tmp_path: Path, lines: str, targets: Any) -> None:
    given = glossaries(tmp_path, {"general": f"en,de,status\n{lines}\n"})
    assert given.applied(row("A bill"), "any")["glossary"] == {"bill": targets}


def test_case_keeps_two_terms_apart(tmp_path: Path) -> None:
    given = glossaries(tmp_path, {"general": "en,de,case_sensitive\nPolish,Polnisch,yes\npolish,Politur,yes\n"})
    assert given.applied(row("the Polish"), "any")["glossary"] == {"Polish": "Polnisch"}
    assert given.applied(row("the polish"), "any")["glossary"] == {"polish": "Politur"}


def test_a_row_gets_no_more_terms_than_it_may_have(tmp_path: Path) -> None:
    lines = "".join(f"term{n},Begriff{n}\n" for n in range(1_500))
    given = glossaries(tmp_path, {"general": f"en,de\n{lines}"})
    text = " ".join(f"term{n}" for n in range(1_500))
    found = given.applied(row(text, glossary={"own": "eigen"}), "any")["glossary"]
    assert len(found) == 1_000
    assert list(found)[:2] == ["own", "term0"]


def test_too_many_terms_that_are_forbidden_for_all_texts_are_refused(tmp_path: Path) -> None:
    lines = "".join(f",wort{n},,de,forbidden\n" for n in range(1_001))
    given = glossaries(tmp_path, {"general": f"source,target,source_language,target_language,status\n{lines}"})
    with pytest.raises(RequestError, match="forbid 1,001 terms in de for all texts"):
        given.applied(row("x"), "any")


def test_the_files_that_were_read_are_told_with_their_hashes(tmp_path: Path) -> None:
    given = glossaries(tmp_path, {"general": GENERAL, "acme": "en,de\na,b\n"})
    assert given.files == {}
    given.require("other")
    assert [Path(path).name for path in given.files] == ["general.csv"]
    given.require("acme")
    assert [len(one) for one in given.files.values()] == [64, 64]


def test_a_language_of_the_settings_must_be_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("source,target\na,b\n")
    file = {"path": str(path), "source_language": "klingon", "target_language": "de"}
    with pytest.raises(RequestError, match="source_language 'klingon' of a glossary is not a language tag"):
        RowGlossaries(Settings(terms={"files": [file]})).require("any")


CONTRARY = "en,de,status\naccount,Konto,\naccount,Account,admitted\ninvoice,Rechnung,\nbill,Konto,forbidden\n"


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        pytest.param(
            ["konto"], {"glossary": {"account": "Account"}, "forbidden_terms": ["konto"]}, id="another is left"
        ),
        pytest.param(["Konto", "ACCOUNT"], {"forbidden_terms": ["Konto", "ACCOUNT"]}, id="none is left"),
        pytest.param(
            ["Rechnung"],
            {"glossary": {"account": ["Konto", "Account"]}, "forbidden_terms": ["Rechnung"]},
            id="of others",
        ),
    ],
)
def test_what_a_row_forbids_is_not_given_as_a_translation(
    tmp_path: Path, own: list[str], wanted: dict[str, Any]
) -> None:
    """Else no translation of the row could keep both, and it would fail only after a model was asked."""
    given = glossaries(tmp_path, {"general": CONTRARY})
    assert added(given.applied(row("An account.", forbidden_terms=own), "any")) == wanted


def test_a_name_that_a_row_forbids_is_not_kept(tmp_path: Path) -> None:
    given = glossaries(tmp_path, {}, general={"do_not_translate": ["Acme"]})
    found = added(given.applied(row("Acme pays.", forbidden_terms=["acme"]), "any"))
    assert found == {"forbidden_terms": ["acme"]}


def test_what_is_wrong_for_one_term_may_be_right_for_another_of_the_text(tmp_path: Path) -> None:
    given = glossaries(tmp_path, {"general": CONTRARY})
    assert "forbidden_terms" not in added(given.applied(row("The bill of an account."), "any"))
    assert added(given.applied(row("The bill."), "any"))["forbidden_terms"] == ["Konto"]
