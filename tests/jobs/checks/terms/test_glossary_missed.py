"""Terms of the glossary: missing translations, inflected ones, terms within longer terms."""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from tests.support.checking import translated

CODE = "glossary_missed"


@pytest.mark.parametrize(
    ("languages", "source", "target", "glossary"),
    [
        ("en de", "Your invoice", "Ihr Beleg", {"invoice": "Rechnung"}),
        ("en de", "Your invoices", "Ihre Belege", {"invoice": "Rechnung"}),
        ("en de", "Your Invoice", "Ihr Rechner", {"invoice": "Rechnung"}),
        ("en ja", "Your invoice", "あなたの明細", {"invoice": "請求書"}),
        ("en ru", "Your invoice", "Ваша квитанция", {"invoice": "счёт"}),
        ("en ar", "Your invoice", "إيصالك", {"invoice": "فاتورة"}),
        ("en hi", "Your invoice", "आपकी रसीद", {"invoice": "चालान"}),
        ("zh en", "您的发票", "Your receipt", {"发票": "invoice"}),
        ("en de", "The account manager", "Der Kundenberater", {"account manager": "Kundenbetreuer"}),
        ("en fr", "the credit note", "la note de crédit", {"credit note": "facture d'avoir"}),
        ("en de", "Made in the US", "Hergestellt dort", {"US": "USA"}),
        ("en de", "The house", "Die Haut", {"house": "Haus"}),
        ("en de", "The place", "Das Wort", {"place": "Ort"}),
        (
            "en es",
            "the new password",
            "la contraseña del usuario en esta página blanca es nueva",
            {"new password": "contraseña nueva"},
        ),
    ],
)
def test_a_missing_translation_is_found(languages: str, source: str, target: str, glossary: dict[str, str]) -> None:
    (finding,) = translated(CODE, source, target, languages, glossary=glossary)
    assert finding.severity == "fail"
    assert finding.limit == next(iter(glossary.values()))


@pytest.mark.parametrize(
    ("languages", "source", "target", "glossary"),
    [
        ("en de", "Your invoice", "Ihre Rechnung", {"invoice": "Rechnung"}),
        ("en de", "The invoices", "Die RECHNUNGEN", {"invoice": "Rechnung"}),
        ("en de", "The invoice number", "Die Rechnungsnummer", {"invoice": "Rechnung"}),
        ("en de", "Two houses", "Zwei Häuser", {"house": "Haus"}),
        ("en ru", "no books", "нет книг", {"book": "книга"}),
        ("en ru", "by invoice", "по счетам", {"invoice": "счёт"}),
        ("en fi", "in the store", "kaupassa", {"store": "kauppa"}),
        ("en tr", "the book", "kitabı", {"book": "kitap"}),
        ("en ar", "the books", "الكتب", {"book": "كتاب"}),
        ("en ar", "the invoice", "الفاتورة", {"invoice": "فاتورة"}),
        ("en ja", "apply now", "今すぐ申し込みます", {"apply": "申し込む"}),
        ("en zh", "your invoice", "您的发票", {"invoice": "发票"}),
        ("en fr", "credit notes", "des notes de crédit", {"credit note": "note de crédit"}),
        ("en tr", "a new password", "yeni bir parola girin", {"new password": "yeni parola"}),
        ("en es", "the new password", "la nueva contraseña", {"new password": "contraseña nueva"}),
        ("en it", "the domain name", "un nome a dominio", {"domain name": "nome di dominio"}),
        ("en it", "the domain name", "un nome che è per il dominio", {"domain name": "nome di dominio"}),
        ("en ar", "your password", "كلمة مرورك", {"password": "كلمة المرور"}),
        ("en tr", "the object", "bu nesne", {"object": "nesneler"}),
        ("en de", "the form field", "des Formularfeldes", {"field": "Feld"}),
        ("en pl", "delete", "zostanie usunięte", {"delete": "usuń"}),
        ("en de", "A planet", "Ein Planet", {"plan": "Tarif"}),
        ("en de", "Tell us", "Sagen Sie uns", {"US": "USA"}),
        (
            "en de",
            "The account manager",
            "Der Kundenbetreuer",
            {"account": "Konto", "account manager": "Kundenbetreuer"},
        ),
        ("en de", "See example.com/invoice", "Siehe example.com/invoice", {"invoice": "Rechnung"}),
        ("en de", "Nothing", "Nichts", {}),
        ("en de", "C++ and .NET", "C++ und .NET", {"C++": "C++", ".NET": ".NET"}),
        ("en de", "e-mail address", "E-Mail-Adresse", {"e-mail": "E-Mail"}),
    ],
)
def test_a_translation_in_any_inflection_passes(
    languages: str, source: str, target: str, glossary: dict[str, str]
) -> None:
    assert translated(CODE, source, target, languages, glossary=glossary) == []


def test_a_longer_term_does_not_hide_the_term_elsewhere() -> None:
    glossary = {"account": "Konto", "account manager": "Kundenbetreuer"}
    source = "The account manager closes the account."
    assert len(translated(CODE, source, "Der Kundenbetreuer schließt es.", glossary=glossary)) == 1


def test_the_similarity_is_a_limit() -> None:
    # "kolor" and "color" are 80 % alike, but have different first letters.
    source, target, glossary = "the colour", "der kolor", {"colour": "color"}
    assert translated(CODE, source, target, limits={"similarity": 81}, glossary=glossary)
    assert not translated(CODE, source, target, limits={"similarity": 80}, glossary=glossary)


def test_a_tenant_may_have_it_reviewed() -> None:
    (finding,) = translated(CODE, "a bill", "x", limits={"severity": "review"}, glossary={"bill": "Rechnung"})
    assert finding.severity == "review"
