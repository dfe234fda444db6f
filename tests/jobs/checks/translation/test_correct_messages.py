"""No check at all finds a fault in these correct translations of messages of programs, and each finds one beside them."""

# ruff: noqa: RUF001 - letters of other scripts

import pytest

from jobs.checks.checker import Checker
from jobs.kinds.kind import contract_of, with_defaults
from jobs.kinds.registry import load_kinds

KIND = load_kinds()["translation"]


def codes(languages: str, source: str, target: str) -> set[str]:
    """Return the codes of all checks that find something."""
    source_language, target_language = languages.split()
    row = {"text": source, "source_language": source_language, "target_language": target_language}
    checker = Checker.over("translation", with_defaults(KIND, row), contract_of(KIND))
    return {one.code for one in checker.findings({"text": target})}


@pytest.mark.parametrize(
    ("languages", "source", "target"),
    [
        pytest.param("en ja", "Enter a decimal number.", "10進数を入力してください。", id="a system of numbers"),
        pytest.param("en ko", "Octal digits", "8진수 숫자", id="a system of numbers in Korean"),
        pytest.param(
            "zh en", "这是一个16进制数。", "This is a hexadecimal number.", id="a system of numbers in Chinese"
        ),
        pytest.param(
            "en ko",
            "We’re sorry, this page could not be found.",
            "죄송합니다, 요청한 페이지를 찾을 수 없습니다.",
            id="an apology that is no refusal",
        ),
        pytest.param(
            "en ja",
            "Required. 80 characters or fewer.",
            "必須です。80文字以内にしてください。",
            id="the source asks itself",
        ),
        pytest.param(
            "en cs",
            "%(name)s with this key already exists.",
            "Položka %(name)s s tímto klíčem již existuje.",
            id="a placeholder ends like the next word",
        ),
        pytest.param("en fr", "April", "avr.", id="the abbreviation of a month"),
        pytest.param("en fi", "Feb.", "helmi", id="a month that has no abbreviation"),
    ],
)
def test_a_correct_message_passes(languages: str, source: str, target: str) -> None:
    assert codes(languages, source, target) == set()


@pytest.mark.parametrize(
    ("languages", "source", "target", "code"),
    [
        ("en ja", "Enter a decimal number.", "10個の数を入力してください。", "numbers_changed"),
        ("en ko", "Octal digits", "8진행 숫자", "numbers_changed"),
        ("en ko", "Open this page and read it.", "죄송합니다, 요청한 페이지를 찾을 수 없습니다.", "chat_markup"),
        ("en ja", "This field is required.", "必須です。80文字以内にしてください。", "echo"),
        ("en cs", "It opens with a key.", "Otevírá se s s klíčem.", "doubled_word"),
        ("en de", "The end of April", "Ende April.", "end_punctuation"),
        ("en de", "Finished", "Beendet.", "end_punctuation"),
        ("en zh", "Title", "标题。", "end_punctuation"),
    ],
)
def test_its_neighbour_is_found(languages: str, source: str, target: str, code: str) -> None:
    assert code in codes(languages, source, target)
