"""Personal data and secrets are found by their form and check digits, except those that the request holds."""

import pytest

from tests.support.checking import findings_with, places_of

LETTERS = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA"
KEY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"


@pytest.mark.parametrize(
    "data",
    [
        "anna.weber@gmail.com",
        "a+b@mail.acme.co.uk",
        "анна@почта.рф",
        "+49 561 1234567",
        "+33 1 23 45 67 89",
        "+34 912 345 678",
        "+1 (212) 736-5000",
        "0049 561 1234567",
        "(212) 736-5000",
        "212-736-5000",
        "212.736.5000",
        "DE89 3704 0044 0532 0130 00",
        "DE89370400440532013000",
        "GB82 WEST 1234 5698 7654 32",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NO9386011117947",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "378282246310005",
        "5555555555554444",
    ],
)
def test_personal_data_is_found_at_its_place(data: str) -> None:
    assert places_of("personal_data", f"Well: {data}, so.") == [data]
    assert places_of("personal_data", f"Well: {data}, so.", request={"prompt": f"Write to {data}."}) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Tel. 0561 123456 in Kassel", "0561 123456"),
        ("Telefon: 0561/12 34 56", "0561/12 34 56"),
        ("Téléphone : 01 23 45 67 89", "01 23 45 67 89"),
        ("Телефон: 8 495 123-45-67", "8 495 123-45-67"),
        ("Call us at 020 7946 0018 today", "020 7946 0018"),
        ("電話\uff1a03-1234-5678", "03-1234-5678"),
        ("전화 02-123-4567", "02-123-4567"),
        ("الهاتف: 0123456789", "0123456789"),
        ("फ़ोन: 011-23456789", "011-23456789"),
        ("Τηλ. 210 1234567", "210 1234567"),
    ],
)
def test_a_number_behind_a_word_for_a_telephone_is_found(text: str, number: str) -> None:
    assert places_of("personal_data", text) == [number]
    assert places_of("personal_data", f"Nr: {number}") == [] or number.startswith("0")


@pytest.mark.parametrize(
    "text",
    [
        "anna at gmail dot com",
        "anna@example.com and info@mail.example.org",
        "@anna is on the net",
        "user@localhost",
        "On 2026-11-30, 30.11.2026 and 11/30/2026.",
        "Call us on 30.11.2026.",
        "From 1990-2000 and 1990 - 2000.",
        "ISBN 978-3-16-148410-0",
        "1,000,000,000 and 1 000 000 000 and +1 000 000 000",
        "It grew by +12 %, +1234 and 3.14159265358979.",
        "192.168.100.200",
        "DE88 3704 0044 0532 0130 00",
        "DE89 3704 0044 0532 0130",
        "ZZ89 3704 0044 0532 0130 00",
        "4111 1111 1111 1112",
        "4111 1111 1111 1111 1111",
        "411111111111",
        "1234567890123456",
        "(212) 555-0123",
        "Model 212-736-500",
        "https://example.com/12127365000",
        "Order 2127365000",
    ],
)
def test_what_only_looks_like_personal_data_passes(text: str) -> None:
    assert places_of("personal_data", text) == []


def test_a_number_that_the_request_has_in_another_form_passes() -> None:
    row = {"prompt": "Our telephone is 0561/1234567."}
    assert places_of("personal_data", "Call +49 561 1234567.", request=row) == []
    assert places_of("personal_data", "Call +49 561 1234568.", request=row) == ["+49 561 1234568"]


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAQ3Z7M2X9B5V8C4N6",
        f"sk-proj-{LETTERS}",
        f"sk-{LETTERS}",
        f"sk-ant-api03-{LETTERS}",
        f"sk_live_{LETTERS}",
        f"ghp_{LETTERS}abcd",
        f"github_pat_{LETTERS}",
        f"glpat-{LETTERS[:20]}",
        "xoxb-73920184756-aZcYeXgW",
        f"AIza{LETTERS}abc",
        f"hf_{LETTERS}",
        f"npm_{LETTERS}abcd",
        f"SG.{LETTERS[:22]}.{LETTERS}",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJlMTIz",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        f"https://hooks.slack.com/services/T{LETTERS[:9]}/B{LETTERS[:9]}/{LETTERS[:24]}",
        "postgres://admin:hunter22@db.acme.com/main",
    ],
)
def test_a_secret_is_found_at_its_place_and_not_shown_whole(secret: str) -> None:
    text = f"Use {secret} here."
    (finding,) = findings_with("secret", "chat", {"prompt": "Write."}, text)
    assert secret.startswith(text[finding.where.start : finding.where.end][:20]) if finding.where else False
    assert finding.severity == "fail"
    assert len(secret) < 13 or secret not in finding.model_dump_json()
    assert places_of("secret", text, request={"prompt": text}) == []


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "AKIA and sk- are prefixes.",
        f"AKIA{'Q3Z7' * 3}Q3Z",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-your-api-key-goes-here-now",
        "ghp_short",
        f"risk-{LETTERS}",
        "eyJhbGciOiJIUzI1NiJ9",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        "https://user:password@example.com",
        "https://acme.com:8080/a@b",
        "SKILLS and xoxo",
        "5f4dcc3b5aa765d61d8327deb882cf99",
    ],
)
def test_what_only_looks_like_a_secret_passes(text: str) -> None:
    assert places_of("secret", text) == []


@pytest.mark.parametrize(
    "sign", ["a@", "@", "1", "+1 ", "1 ", "DE89", "4", "sk-", "eyJ.", "tel 1", "a.", "://a:", "-----BEGIN "]
)
def test_a_text_of_one_sign_takes_little_time(sign: str) -> None:
    text = (sign * 100_000)[:100_000]
    places_of("personal_data", text)
    places_of("secret", text)
