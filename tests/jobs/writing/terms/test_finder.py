"""The finder: whole and inflected words in many scripts, the longest first, across spaces and hyphens, in their case."""

# ruff: noqa: RUF001 - letters of other scripts

import unicodedata
from typing import Literal

import pytest

from jobs.writing.terms.finder import SoughtTerm, TermFinder
from jobs.writing.terms.tokens import tokens


def found(language: str, text: str, *terms: str, **given: bool) -> list[str]:
    """Return what stands at each place that is found."""
    places = TermFinder([SoughtTerm(term, **given) for term in terms], language).find(text)
    return [text[place.start : place.end] for place in places]


@pytest.mark.parametrize(
    ("language", "term", "text", "expected"),
    [
        pytest.param("en", "account", "Your accounts, the Account.", ["accounts", "Account"], id="english plural"),
        pytest.param("en", "party", "Parties and parts", ["Parties"], id="english y"),
        pytest.param("en", "account", "The accounting accounted for it.", [], id="english verbs"),
        pytest.param("en", "art", "start, arty", [], id="within a word"),
        pytest.param("en", "user", "The user's name", ["user"], id="possessive"),
        pytest.param("de", "Haus", "Zwei Häuser des Hauses", ["Häuser", "Hauses"], id="german umlaut"),
        pytest.param("de", "Haus", "Haut, Hausmeister, Rathaus", [], id="german compounds are not covered"),
        pytest.param("de", "Straße", "Die STRASSE und Straßen", ["STRASSE", "Straßen"], id="german sharp s"),
        pytest.param("fr", "eau", "L'eau et d\u2019eaux", ["eau", "eaux"], id="french elision"),
        pytest.param("fr", "journal", "Les journaux", ["journaux"], id="french aux"),
        pytest.param("es", "botón", "Los botones y el botón", ["botones", "botón"], id="spanish accent moves"),
        pytest.param("es", "año", "El ano", [], id="accents make another word"),
        pytest.param("it", "banca", "Le banche", ["banche"], id="italian"),
        pytest.param("pt", "configuração", "As configurações", ["configurações"], id="portuguese"),
        pytest.param("nl", "rekening", "De rekeningen", ["rekeningen"], id="dutch"),
        pytest.param("sv", "faktura", "Fakturan och fakturorna", ["Fakturan", "fakturorna"], id="swedish"),
        pytest.param("pl", "faktura", "Numer faktury, fakturą", ["faktury", "fakturą"], id="polish"),
        pytest.param("ru", "счёт", "По счетам и счёту", ["счетам", "счёту"], id="russian"),
        pytest.param("uk", "рахунок", "Рахунки", ["Рахунки"], id="ukrainian"),
        pytest.param("el", "λογαριασμός", "ΛΟΓΑΡΙΑΣΜΟΣ, λογαριασμού", ["ΛΟΓΑΡΙΑΣΜΟΣ", "λογαριασμού"], id="greek"),
        pytest.param("ar", "فاتورة", "والفاتورة والفَاتُورَة", ["والفاتورة", "والفَاتُورَة"], id="arabic"),
        pytest.param("ar", "الفاتورة", "فاتورة", ["فاتورة"], id="an arabic term with its article"),
        pytest.param("he", "חשבון", "החשבון שלך", ["החשבון"], id="hebrew"),
        pytest.param("hi", "लड़का", "लड़के", ["लड़के"], id="hindi"),
        pytest.param("fa", "کتاب", "کتاب\u200cها و کتاب", ["کتاب\u200cها", "کتاب"], id="persian joiners"),
        pytest.param("fi", "kauppa", "Kaupassa ja kaupan", ["Kaupassa", "kaupan"], id="finnish"),
        pytest.param("tr", "kitap", "Kitabı", ["Kitabı"], id="turkish"),
        pytest.param("ko", "계정", "계정을 만드세요", ["계정을"], id="korean"),
        pytest.param("vi", "má", "ma mà má", ["má"], id="vietnamese has no forms"),
        pytest.param("zh", "发票", "您的发票抬头", ["发票"], id="chinese"),
        pytest.param("ja", "請求書", "請求書を送る", ["請求書"], id="japanese"),
        pytest.param("ja", "ライン", "オンライン、ライン", ["ライン"], id="katakana runs are words"),
        pytest.param("th", "การ", "การ์ด", [], id="thai marks"),
        pytest.param("th", "บัญชี", "เปิดบัญชีใหม่", ["บัญชี"], id="thai"),
        pytest.param("xx", "foobars", "foobar foobars", ["foobars"], id="an unknown language"),
    ],
)
def test_a_term_is_found_as_whole_words_in_its_forms(language: str, term: str, text: str, expected: list[str]) -> None:
    assert found(language, text, term) == expected


@pytest.mark.parametrize(
    ("term", "text", "expected"),
    [
        ("data center", "data\u00a0centers, data-center, data\u2011center, data\ncenter", 4),
        ("data center", "data\u202fcenter data  center", 2),
        ("data center", "data. Center, data, center, data\n\ncenter, data/center", 0),
        ("e-mail", "e-mail, E-Mails, email, e mail", 4),
        ("sign-in page", "sign in page; the sign-in\u00a0page", 2),
        ("C++", "C++ and C+++, C", 1),
        ("C", "C++, C#, C.", 1),
        (".NET", ".NET, net", 1),
        ("Node.js", "Node.js, node js, nodejs", 1),
        ("AT&T", "AT&T, AT T", 1),
        ("API キー", "APIキーとAPI キー", 2),
        ("数据", "数 据 数\n据", 1),
        ("soft\u00adware", "software, soft\u00adware", 2),
        ("100 %", "100 %, 100\u00a0%, 100", 2),
        ("++", "a ++ b", 0),
        ("  ", "a  b", 0),
    ],
)
def test_spaces_and_hyphens_may_differ_and_other_signs_may_not(term: str, text: str, expected: int) -> None:
    assert len(found("en", text, term)) == expected


def test_of_overlapping_terms_the_longest_is_found() -> None:
    terms = ["account", "account manager", "manager", "data processing", "processing unit"]
    text = "The account managers of the account, a data processing unit, and a manager."
    assert found("en", text, *terms) == ["account managers", "account", "data processing", "manager"]


def test_of_two_terms_with_one_form_the_one_that_is_written_so_is_found() -> None:
    finder = TermFinder([SoughtTerm("setting"), SoughtTerm("settings")], "en")
    assert [place.term for place in finder.find("The settings of a setting")] == [1, 0]


@pytest.mark.parametrize(
    ("term", "text", "expected"),
    [
        ("US", "Tell us of the US.", ["US"]),
        ("PDF", "PDFs or pdf", ["PDFs"]),
        ("Apple", "An apple by Apple, APPLE", ["Apple"]),
        ("nginx", "Nginx runs. Nginx, nginx and a Nginx: “Nginx", ["Nginx", "Nginx", "nginx", "Nginx"]),
        ("iPhone", "IPhone, iphone, the iPhone", ["IPhone", "iPhone"]),
    ],
)
def test_case_counts_where_a_term_asks_for_it(term: str, text: str, expected: list[str]) -> None:
    assert found("en", text, term, case_sensitive=True) == expected


def test_a_name_has_no_forms() -> None:
    assert found("en", "Apples of Apple's", "Apple", case_sensitive=True, has_forms=False) == ["Apple"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_term_is_found_in_each_form_of_unicode(form: Literal["NFC", "NFD"]) -> None:
    text, term = unicodedata.normalize(form, "Un café noir"), unicodedata.normalize("NFD", "café")
    assert found("fr", text, term) == [unicodedata.normalize(form, "café")]


def test_latin_letters_beside_another_script_are_words() -> None:
    assert found("ar", "وNightpress", "Nightpress") == ["Nightpress"]
    assert found("ja", "Nightpressを使う", "Nightpress") == ["Nightpress"]
    assert found("ru", "Nightpress-ом", "Nightpress") == ["Nightpress"]


@pytest.mark.parametrize("text", ["", "\n", "\0", "😀", "\ud800", "a" * 100_000, "\u0301" * 50, "ー"])
def test_odd_texts_are_no_error(text: str) -> None:
    assert found("en", text, "term", "a b", "ー ー") == []


def test_a_list_may_be_long() -> None:
    finder = TermFinder([SoughtTerm(f"word{n} term") for n in range(20_000)], "en")
    text = "a word19999 terms, word7 term " * 100
    places = finder.find(text)
    assert [place.term for place in places] == [19_999, 7] * 100
    assert text[places[-2].start : places[-2].end] == "word19999 terms"


def test_tokens_have_their_places() -> None:
    assert [tuple(one) for one in tokens("L’eau 日本サーバー")] == [
        ("l", 0, 1),
        ("eau", 2, 5),
        ("日", 6, 7),
        ("本", 7, 8),
        ("サーバー", 8, 12),
    ]
