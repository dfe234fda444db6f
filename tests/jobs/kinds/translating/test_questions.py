"""Shows jobs/kinds/translating/questions.py: no damaged mark is ever completed, and a damaged answer is asked for again."""

# ruff: noqa: RUF001 - letters of other scripts

import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import CheckFailed
from jobs.findings import CheckSetting, Severity
from jobs.generation import Prompt
from jobs.kinds.kind import contract_of
from jobs.kinds.registry import load_kinds
from jobs.marks.grammar import find_marks
from jobs.marks.keeping import check_kept
from tests.support.conversations import Answer, checker_of, converse
from tests.support.translating.apertium import is_installed, translated

EN_DE = {"source_language": "en", "target_language": "de"}
SIGN = re.compile(r"(?:[XZ]*[QZ][XQZ]*)[A-Z]+|[\ue000-\uf8ff]")
KIND = load_kinds()["translation"]
OFF = {code: CheckSetting(severity=Severity.OFF) for code in contract_of(KIND).checks}


def masked(prompt: Prompt) -> str:
    assert prompt.translatable is not None
    return prompt.translatable.text


def run(row: dict[str, Any], answer: Answer, **settings: Any) -> tuple[Any, list[list[Prompt]]]:
    row = {**EN_DE, **row}
    return converse("translation", row, answer, checker_of("translation", row, settings or OFF))


def failure(row: dict[str, Any], answer: Callable[[Prompt], str]) -> CheckFailed:
    with pytest.raises(CheckFailed) as raised:
        run(row, answer)
    return raised.value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Hi %s, %d new", "Hi XQA, XQB new", id="printf"),
        pytest.param("%(count)d of {all}", "XQA of XQB", id="Python and braces"),
        pytest.param("{{ user.first_name }} and $name", "XQA and XQB", id="double braces and variables"),
        pytest.param("Delete :id of %{count}", "Delete XQA of XQB", id="Laravel and Ruby"),
        pytest.param("%1 of %2, %n left, %@", "XQA of XQB, XQC left, XQD", id="Qt and iOS"),
        pytest.param("Dear <%= name %>, {% if x %}hi{% endif %}", "Dear XQA, XQB hi XQC", id="ERB and Jinja"),
        pytest.param('A <g id="1">word</g> <x id="2"/>', "A XQA word XQB XQC", id="XLIFF"),
        pytest.param("Read <1>this</1>", "Read XQA this XQB", id="numbered tags"),
        pytest.param("Mail a@b.example or see https://b.example/x", "Mail XQA or see XQB", id="addresses"),
        pytest.param("Run `make` now", "Run XQA now", id="code"),
    ],
)
def test_a_model_sees_signs_in_the_chat_and_beside_it(text: str, shown: str) -> None:
    output, [[prompt]] = run({"text": text}, masked)
    assert masked(prompt) == shown
    assert prompt.messages[-1].content.endswith(f"\n\n{shown}")
    signs = ", ".join(dict.fromkeys(SIGN.findall(shown)))
    assert f"Keep {signs} exactly as {'they are' if ',' in signs else 'it is'}.\n" in prompt.messages[-1].content
    assert output.text == text
    assert prompt.translatable is not None
    assert prompt.translatable.signs == tuple(SIGN.findall(shown))


def test_private_signs_are_for_models_that_keep_any_character() -> None:
    output, [[prompt]] = run({"text": "Hi {name}", "signs": "private"}, masked)
    assert masked(prompt) == "Hi \ue000"
    assert output.text == "Hi {name}"


def test_a_damaged_answer_is_asked_again_with_what_was_wrong_and_at_last_in_sight() -> None:
    """The damaged mark comes in sight, and the other one stays hidden."""
    answers = ["Hallo XQB", "Hallo QXB", "Hallo {name}, ZQA"]
    output, turns = run({"text": "Hi {name}, {other}"}, lambda prompt: answers.pop(0))
    assert output.text == "Hallo {name}, {other}"
    assert [masked(turn[0]) for turn in turns] == ["Hi XQA, XQB", "Hi QXA, QXB", "Hi {name}, ZQA"]
    told = [turn[0].messages[-1].content for turn in turns]
    assert "the translation lost 'QXA'" in told[1]
    assert "the translation lost '{name}'" in told[2]
    assert "Keep ZQA, {name} exactly as they are." in told[2]
    assert [turn[0].label for turn in turns] == ["segment 1", "segment 1, try 2", "segment 1, try 3"]
    assert [turn[0].replaces for turn in turns] == [None, "segment 1", "segment 1, try 2"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("Hi {name}", "placeholders_changed", id="placeholder"),
        pytest.param("A <b>big</b> word", "markup_changed", id="tag"),
        pytest.param("Run `make` now", "markup_changed", id="code"),
        pytest.param("See https://b.example/x", "url_or_email_changed", id="link"),
        pytest.param("Mail a@b.example", "url_or_email_changed", id="mail"),
        pytest.param("Dear <%= name %>", "placeholders_changed", id="ERB"),
    ],
)
def test_a_row_fails_by_the_code_of_its_mark_whatever_its_checks_say(text: str, code: str) -> None:
    error = failure({"text": text}, lambda _: "Wort")
    assert (error.code, error.field) == (code, "text")
    assert error.message.startswith("segment 1: the translation lost")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("XQA and {a}", id="our own sign in the text"),
        pytest.param("XQ QX ZQ QZ XZQ QXZ ZXQ QZX XQZX QXZQ xqx {a} word", id="all beginnings of signs"),
        pytest.param("{a} word {b}", id="signs at the edges"),
        pytest.param("{a}{b}<br/>{c} word {d}{e}", id="marks side by side"),
        pytest.param("%s%s word %d", id="ordered side by side"),
        pytest.param("\ue000 \uf8ff word {a}", id="private characters in the text"),
        pytest.param("Ünïcödé wörd {a}ß{b}", id="letters beside marks"),
        pytest.param("Line one {a}\n\nline two {a}\r\n", id="lines"),
        pytest.param("İstanbul ıf ſ {a}", id="letters that change with their case"),
        pytest.param("{a} כלב \u202b{b}\u202c", id="right to left"),
        pytest.param("'{a}' \"{b}\" ({c}) [{d}]", id="in quotes"),
    ],
)
@pytest.mark.parametrize("signs", ["letters", "private"])
@pytest.mark.parametrize("change", [str, str.lower, str.upper], ids=["as it is", "lower", "upper"])
def test_hostile_texts_keep_their_marks(text: str, signs: str, change: Callable[[str], str]) -> None:
    row = {"text": text, "signs": signs, "target_language": "ar"}
    output, _ = run(row, lambda prompt: SIGN.sub(lambda one: change(one[0]), masked(prompt)))
    check_kept(output.text, find_marks(text))


@pytest.mark.parametrize("text", ["{a}", "{a} {b}\n%s", "https://b.example/x", "<b></b>", "`los`", "{a} - 42"])
def test_texts_of_marks_only_are_not_asked_for(text: str) -> None:
    output, turns = run({"text": text}, masked)
    assert (output.text, turns, output.segments) == (text, [], ())


def test_seven_thousand_marks_come_back() -> None:
    text = " ".join(f"word {{name{n}}}" for n in range(7_000))
    output, [prompts] = converse("translation", {**EN_DE, "text": text}, masked)
    assert output.text == text
    assert max(len(masked(prompt)) for prompt in prompts) < 2_000
    marks = [{"start": one.start, "end": one.end} for one in find_marks(text)]
    row = {**EN_DE, "text": text, "marks": marks, "format": "segment", "signs": "private"}
    output, _ = converse("translation", row, masked)
    assert output.text == text


PIECES = [
    "{a}",
    "{b}",
    "%s",
    "%d",
    "<b>",
    "</b>",
    "$name",
    "https://b.example/x",
    "`x`",
    "word",
    "Wort.",
    " ",
    "XQA",
    "Q",
    "x",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join), st.randoms(use_true_random=False))
def test_no_answer_completes_damaged(text: str, chance: random.Random) -> None:
    """Whatever comes back: signs in any order and case, doubled, lost, or marks in their place."""
    if not text.strip():
        return
    marks = find_marks(text)

    def answer(prompt: Prompt) -> str:
        words = [
            *SIGN.findall(masked(prompt)),
            *(one.text for one in marks if chance.random() < 0.2),
            "Wort",
            "xq",
            "mehr",
        ]
        kept = [chance.choice([word, word, word, word.lower(), f"{word} {word}", ""]) for word in words]
        if chance.random() < 0.5:
            chance.shuffle(kept)
        return chance.choice([" ", ""]).join(kept) or "Wort"

    try:
        output, _ = run({"text": text}, answer)
    except CheckFailed:
        return
    check_kept(output.text, marks)


def damaging(chance: random.Random) -> Callable[[Prompt], str]:
    """A stub that drops, doubles, reorders or translates placeholders in a third of its answers."""

    def answer(prompt: Prompt) -> str:
        text = masked(prompt)
        signs = prompt.translatable.signs if prompt.translatable else ()
        if not signs or chance.random() > 1 / 3:
            return text
        sign = chance.choice(signs)
        harm = chance.randrange(4)
        if harm == 0:
            return text.replace(sign, "")
        if harm == 1:
            return f"{text} {sign}"
        if harm == 2 and len(signs) > 1:
            return SIGN.sub(lambda one: signs[-1 - signs.index(one[0])] if one[0] in signs else one[0], text)
        return text.replace(sign, "{nombre}")

    return answer


def test_of_a_stub_that_damages_a_third_nothing_completes_damaged() -> None:
    chance = random.Random(20)
    texts = [
        "Hi %s, you have %d new letters",
        "Delete {name} from {place}?",
        "A <b>big</b> word for {name}",
        "See https://b.example/x and `make`",
        "%1 of %2",
    ]
    completed, again, failed = 0, 0, 0
    for n in range(600):
        text = texts[n % len(texts)]
        try:
            output, turns = run({"text": text}, damaging(chance))
        except CheckFailed as error:
            failed += error.code in ("placeholders_changed", "markup_changed", "url_or_email_changed")
            continue
        check_kept(output.text, find_marks(text))
        completed += 1
        again += len(turns) > 1
    assert completed + failed == 600
    assert completed > 550
    assert again > 100


def test_a_damaged_answer_gives_way_to_an_alternative_that_is_whole() -> None:
    damaged = ("Hallo, neue Nachrichten", "stop", "Hallo XQA", "Hallo XQA, XQB neue", "Hallo XQA, es gibt XQB neue")
    output, turns = run({"text": "Hello %s, %d new"}, lambda _: damaged)
    assert (output.text, len(turns)) == ("Hallo %s, %d neue", 1)
    assert output.segments[0].alternatives == (), "the row asked for none"


def test_a_damaged_answer_without_a_whole_alternative_is_asked_for_again() -> None:
    answers = iter([("Hallo", "stop", "Hallo XQA", "XQB"), ("Hallo {}, {}", "stop")])
    signs = []

    def answer(prompt: Prompt) -> tuple[str, ...]:
        text, *rest = next(answers)
        assert prompt.translatable is not None
        signs.append(prompt.translatable.signs)
        return (text.format(*prompt.translatable.signs), *rest)

    output, turns = run({"text": "Hello %s, %d new"}, answer)
    assert output.text == "Hallo %s, %d"
    assert len(turns) == 2
    assert signs[0] != signs[1]


def test_the_alternatives_of_a_segment_are_whole_different_and_as_many_as_asked_for() -> None:
    row = {"text": "# Title of %s\n\n- Save", "format": "markdown", "alternatives": 2}

    def answer(prompt: Prompt) -> tuple[str, ...]:
        if masked(prompt) == "Save":
            return "Speichern", "stop", "Sichern", "Sichern", "Speichern", "Ablegen", "Merken"
        return "Titel von XQA", "stop", "Titel", "XQA als Titel", "Der Titel von XQA", "Ein Titel von XQA"

    output, turns = run(row, answer)
    assert output.text == "# Titel von %s\n\n- Speichern"
    assert [one.alternatives for one in output.segments] == [
        ("%s als Titel", "Der Titel von %s"),
        ("Sichern", "Ablegen"),
    ]
    assert len(turns) == 1
    assert "alternatives" in output.model_dump(mode="json")["segments"][0]


def test_an_alternative_to_an_answer_that_was_cut_off_is_whole() -> None:
    cut_off = ("Speichern Sie die", "length", "Speichern Sie die Datei.")
    output, _ = run({"text": "Save the file.", "alternatives": 1}, lambda _: cut_off)
    assert output.text == "Speichern Sie die Datei."
    assert "alternatives" not in output.model_dump(mode="json")["segments"][0]


def test_a_text_in_several_parts_has_no_alternatives() -> None:
    text = " ".join(f"Sentence {n} is about the garden and the rain." for n in range(40))
    row = {"text": text, "format": "segment", "alternatives": 2}
    output, turns = run(row, lambda prompt: (masked(prompt).replace("is", "ist"), "stop", "anders"))
    assert len(turns[0]) > 1
    assert output.segments[0].alternatives == ()


@pytest.mark.skipif(not is_installed(), reason="apertium with apertium-eng-spa is not installed")
def test_a_real_translator_keeps_what_is_hidden() -> None:
    texts = [
        "Hello {user.first_name}, you have %d new messages.",
        "<b>Save</b> the file `a.txt`",
        "Delete %(count)s items",
    ]
    seen: list[str] = []
    for text in texts:
        row = {"text": text, "target_language": "es"}
        output, _ = run(row, lambda prompt: seen.append(masked(prompt)) or translated([masked(prompt)])[0])  # type: ignore[func-returns-value]
        check_kept(output.text, find_marks(text))
        assert output.text != text
    assert not any("{" in one or "%" in one or "<" in one for one in seen)
