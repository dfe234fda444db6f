"""Terms in translations: names are hidden from the model, terms are told, and a term that was missed is put in at last."""

from typing import Any

import pytest

from jobs.errors import CheckFailed
from jobs.generation import Prompt
from tests.support.conversations import checker_of, converse

EN_DE = {"source_language": "en", "target_language": "de"}


def asked(prompt: Prompt) -> str:
    """Return the text that a model made for translation reads."""
    assert prompt.translatable is not None
    return prompt.translatable.text


def test_a_name_is_hidden_and_comes_back() -> None:
    request = {**EN_DE, "text": "Open the Word, not the word.", "do_not_translate": ["Word"]}
    output, [[prompt]] = converse(
        "translation", request, lambda p: asked(p).replace("Open the", "Das").replace("word", "Wort")
    )
    assert "Word" not in asked(prompt)
    assert "Keep XQA exactly as it is." in prompt.messages[1].content
    assert output.text == "Das Word, not the Wort."


def test_names_are_hidden_beside_the_marks_that_a_row_gives() -> None:
    text = "<b>Acme</b> sells Acme %s."
    marks = [{"start": 0, "end": 3}, {"start": 7, "end": 11}, {"start": 23, "end": 25}]
    request = {**EN_DE, "text": text, "marks": marks, "do_not_translate": ["Acme", "b"]}
    output, [[prompt]] = converse("translation", request, lambda p: asked(p).replace("sells", "verkauft"))
    assert "Acme" not in asked(prompt)
    assert output.text == "<b>Acme</b> verkauft Acme %s."


def test_a_text_of_a_name_alone_needs_no_prompt() -> None:
    output, turns = converse("translation", {**EN_DE, "text": "Nightpress", "do_not_translate": ["Nightpress"]}, asked)
    assert (output.text, turns) == ("Nightpress", [])


def test_a_name_that_was_lost_is_asked_for_again_and_then_fails() -> None:
    request = {**EN_DE, "text": "Open Word now.", "do_not_translate": ["Word"]}
    answers = iter(["Jetzt das Wort.", "Jetzt das Wort.", "Öffne jetzt Word."])
    output, turns = converse("translation", request, lambda _: next(answers), checker_of("translation", request))
    assert (output.text, len(turns)) == ("Öffne jetzt Word.", 3)
    with pytest.raises(CheckFailed) as raised:
        converse("translation", request, lambda _: "Jetzt das Wort.", checker_of("translation", request))
    assert raised.value.code == "names_changed"


def test_a_name_in_an_icu_message_is_told() -> None:
    text = "{n, plural, one {# file in Word} other {# files in Word}}"
    request = {**EN_DE, "text": text, "do_not_translate": ["Word"]}
    output, turns = converse("translation", request, asked)
    assert all('Keep "Word" as it is.' in prompt.messages[1].content for turn in turns for prompt in turn)
    assert output.text.count("Word") == 2


def test_the_prompt_has_the_terms_of_its_part() -> None:
    request = {
        **EN_DE,
        "text": "Pay both invoices.\nCall us.",
        "glossary": {"invoice": ["Rechnung", "Faktura"], "US": "USA"},
        "forbidden_terms": [f"Wort{n}" for n in range(30)],
    }
    _, [[first, second]] = converse("translation", request, asked)
    assert 'Translate "invoice" as "Rechnung".' in first.messages[1].content
    assert "Faktura" not in first.messages[1].content
    assert 'as "' not in second.messages[1].content
    assert 'Do not use "Wort19".' in second.messages[1].content
    assert "Wort20" not in second.messages[1].content


def test_a_model_that_reads_no_instructions_gets_a_missed_term_as_a_sign_at_last() -> None:
    request: dict[str, Any] = {
        **EN_DE,
        "text": "Invoices are late. Pay the bill.",
        "glossary": {"invoice": "rechnung", "bill": "Beleg"},
    }

    def engine(prompt: Prompt) -> str:
        text = asked(prompt).replace("Invoices", "Belege").replace("are late", "sind spät")
        return text.replace("Pay the bill", "Zahle den Beleg")

    output, turns = converse("translation", request, engine, checker_of("translation", request))
    assert [len(turn) for turn in turns] == [1, 1, 1]
    assert ["Invoices" in asked(turn[0]) for turn in turns] == [True, True, False]
    assert "bill" in asked(turns[2][0])
    assert output.text == "Rechnung sind spät. Zahle den Beleg."


def test_a_term_that_was_not_missed_stays_in_sight() -> None:
    request = {**EN_DE, "text": "The invoice.", "glossary": {"invoice": "Rechnung"}}
    output, turns = converse("translation", request, lambda _: "Die Rechnungen.", checker_of("translation", request))
    assert (output.text, len(turns)) == ("Die Rechnungen.", 1)
