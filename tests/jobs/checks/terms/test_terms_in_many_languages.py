"""The checks of terms pass and fail in many languages and scripts: glossary, names that stay, and forbidden terms."""

# ruff: noqa: RUF001 - letters of other scripts

from typing import Any

import pytest

from tests.support.checking import pointed_at, translated

CASES = [
    # languages, source, a right translation, a wrong one, glossary
    ("en de", "Pay both invoices.", "Zahlen Sie beide Rechnungen.", "Zahlen Sie beide Belege.", "invoice", "Rechnung"),
    ("en fr", "The user accounts", "Les comptes utilisateurs", "Les profils", "account", "compte"),
    ("en pl", "The number of the invoice", "Numer faktury", "Numer rachunku", "invoice", "faktura"),
    ("en ru", "Settings of the account", "Настройки учётной записи", "Настройки профиля", "account", "учётная запись"),
    ("en uk", "Open the invoice", "Відкрийте рахунок-фактуру", "Відкрийте чек", "invoice", "рахунок-фактура"),
    ("en el", "Your account", "Του λογαριασμού σας", "Του προφίλ σας", "account", "λογαριασμός"),
    ("en ar", "Your invoice", "تفاصيل فاتورتك والفاتورة", "تفاصيل الإيصال", "invoice", "فاتورة"),
    ("en he", "The account", "בחשבון", "בפרופיל", "account", "חשבון"),
    ("en hi", "Two invoices", "दो चालानों में", "दो रसीदें", "invoice", "चालान"),
    ("en ja", "Send the invoice", "請求書を送る", "領収書を送る", "invoice", "請求書"),
    ("en zh", "Your invoice", "您的发票", "您的收据", "invoice", "发票"),
    ("en ko", "Create an account", "계정을 만드세요", "프로필을 만드세요", "account", "계정"),
    ("en th", "Open an account", "เปิดบัญชีใหม่", "เปิดโปรไฟล์ใหม่", "account", "บัญชี"),
    ("en fi", "In the store", "Kaupassa", "Myymälässä", "store", "kauppa"),
    ("en tr", "The books", "Kitapları", "Defterleri", "book", "kitap"),
    ("de en", "Zwei Häuser", "Two houses", "Two buildings", "Haus", "house"),
    ("ru de", "Номера счетов", "Die Nummern der Rechnungen", "Die Nummern der Konten", "счёт", "Rechnung"),
    ("ja en", "請求書を送る", "Send the invoices", "Send the receipts", "請求書", "invoice"),
]
WITH_NAMES = [
    ("en de", "Nightpress runs.", "Nightpress läuft.", "Nachtpresse läuft."),
    ("en fr", "Open Acme Cloud.", "Ouvrez Acme\u00a0Cloud.", "Ouvrez le nuage Acme."),
    ("en pl", "Share it on Facebook.", "Udostępnij na Facebooku.", "Udostępnij na fejsie."),
    ("en ru", "With Nightpress", "С Nightpress", "С Найтпресс"),
    ("en ar", "And Nightpress", "وNightpress", "ونايتبرس"),
    ("en ja", "Use Nightpress.", "Nightpressを使う。", "ナイトプレスを使う。"),
    ("en zh", "Use Nightpress.", "使用Nightpress。", "使用夜报。"),
    ("en el", "Open Word", "Ανοίξτε το Word", "Ανοίξτε τη λέξη"),
    ("en tr", "In Nightpress", "Nightpress'te", "Gecebaskı'da"),
]
FORBIDDEN = [
    ("en de", "Your mobile phone", "Ihr Mobiltelefon", "Ihre Handys", "Handy", "Handys"),
    ("en fr", "Send e-mails.", "Envoyez des courriels.", "Envoyez des mails.", "mail", "mails"),
    ("en ru", "Your account", "Ваша учётная запись", "Вашего аккаунта", "аккаунт", "аккаунта"),
    ("en pl", "The price", "Koszt", "Nowe ceny", "cena", "ceny"),
    ("en ja", "The user", "利用者", "ユーザーの設定", "ユーザー", "ユーザー"),
    ("en ar", "The computer", "الحاسوب", "الكمبيوتر", "كمبيوتر", "الكمبيوتر"),
    ("en el", "The user", "Ο χρήστης", "Οι γιούζερ", "γιούζερ", "γιούζερ"),
]


@pytest.mark.parametrize(("languages", "source", "right", "wrong", "term", "target"), CASES)
def test_the_glossary_is_kept_in_any_inflection(
    languages: str, source: str, right: str, wrong: str, term: str, target: str
) -> None:
    given: dict[str, Any] = {"languages": languages, "glossary": {term: target}}
    assert translated("glossary_missed", source, right, **given) == []
    (finding,) = translated("glossary_missed", source, wrong, **given)
    assert (finding.limit, finding.severity) == (target, "fail")


@pytest.mark.parametrize(("languages", "source", "right", "wrong"), WITH_NAMES)
def test_names_stay_as_they_are(languages: str, source: str, right: str, wrong: str) -> None:
    names = ["Nightpress", "Acme Cloud", "Facebook", "Word"]
    assert translated("names_changed", source, right, languages, do_not_translate=names) == []
    (finding,) = translated("names_changed", source, wrong, languages, do_not_translate=names)
    assert finding.severity == "fail"
    assert finding.limit in names


def test_a_name_keeps_its_case_and_an_address_is_no_name() -> None:
    assert translated("names_changed", "Word and word", "Word und Wort", do_not_translate=["Word"]) == []
    assert translated("names_changed", "In Word", "In word", do_not_translate=["Word"])
    assert translated("names_changed", "See example.com/Word", "Siehe dort", do_not_translate=["Word"]) == []


@pytest.mark.parametrize(("languages", "source", "right", "wrong", "term", "found"), FORBIDDEN)
def test_forbidden_terms_are_found_in_translations_in_their_forms(
    languages: str, source: str, right: str, wrong: str, term: str, found: str
) -> None:
    assert translated("forbidden_term", source, right, languages, forbidden_terms=[term]) == []
    findings = translated("forbidden_term", source, wrong, languages, forbidden_terms=[term])
    assert pointed_at(findings, wrong) == [found]


def test_any_of_several_translations_is_right() -> None:
    glossary = {"invoice": ["Rechnung", "Faktura"]}
    assert translated("glossary_missed", "The invoice", "Die Faktura", glossary=glossary) == []
    (finding,) = translated("glossary_missed", "The invoice", "Der Beleg", glossary=glossary)
    assert "'Rechnung' or 'Faktura'" in finding.message


def test_a_name_or_a_term_with_its_own_words_may_be_left_as_it_is() -> None:
    given: dict[str, Any] = {"do_not_translate": ["fast lane"]}
    assert translated("untranslated", "fast lane pro", "fast lane pro", **given) == []
    assert (
        translated("untranslated", "fast lane pro", "fast lane pro", glossary={"fast lane": ["x", "fast lane"]}) == []
    )
