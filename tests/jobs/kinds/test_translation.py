"""Shows jobs/kinds/translation.py: the words are translated, and everything else stays as it was in the source."""

# ruff: noqa: RUF001 - marks of other scripts

import re
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt
from jobs.kinds.registry import load_kinds
from jobs.kinds.translating.request import TranslationRequest
from jobs.kinds.translating.units import Unit, units_of
from jobs.marks.keeping import check_kept
from jobs.marks.masking import mask
from tests.support.conversations import converse, failed

EN_DE = {"source_language": "en", "target_language": "de"}
KIND = load_kinds()["translation"]


def segmented(text: str, form: str) -> list[Unit]:
    return units_of(TranslationRequest.model_validate({**EN_DE, "text": text, "format": form}))


def source_of(prompt: Prompt) -> str:
    return prompt.messages[1].content.rpartition("\n")[2]


def shout(prompt: Prompt) -> str:
    return source_of(prompt).upper()


MARKDOWN = """# A title

> said - so
- one
  - [x] two
1. three

---
```python
code = "no # title"
~~~
```
2026
~~~~
code
~~~
~~~~
   last  \r
"""


def test_a_translation_keeps_the_form_of_its_source() -> None:
    """Each segment is a prompt. Marks, indentation, code, rules and blank lines stay untouched."""
    output, [prompts] = converse("translation", {**EN_DE, "text": MARKDOWN, "format": "markdown"}, shout)
    sources = ["A title", "said - so", "one", "two", "three", "last"]
    assert [segment.source for segment in output.segments] == sources
    assert [segment.target for segment in output.segments] == [source.upper() for source in sources]
    assert [prompt.label for prompt in prompts] == [f"segment {n}" for n in range(1, 7)]
    changed = [(a, b) for a, b in zip(MARKDOWN.splitlines(), output.text.splitlines(), strict=True) if a != b]
    assert changed[0] == ("# A title", "# A TITLE")
    assert [b for _, b in changed[1:]] == ["> SAID - SO", "- ONE", "  - [x] TWO", "1. THREE", "   LAST  "]
    assert output.text.endswith("   LAST  \r\n")


def test_marks_of_markdown_are_words_of_a_plain_text() -> None:
    assert [line.words for line in segmented("# one\n- two\n", "plain")] == ["# one", "- two"]
    assert [line.words for line in segmented("# one\n- two\n", "markdown")] == ["one", "two"]


def test_a_text_of_signs_and_numbers_needs_no_prompt() -> None:
    output, turns = converse("translation", {**EN_DE, "text": "---\n 42 \n"}, shout)
    assert (output.text, output.segments, turns) == ("---\n 42 \n", (), [])


def test_a_prompt_names_the_languages_and_only_the_terms_of_its_segment() -> None:
    request = {**EN_DE, "target_language": "pt-BR", "text": "A parcel.\nA lamp.", "glossary": {"Parcel": "pacote"}}
    _, [[first, second]] = converse("translation", {**request, "formality": "formal"}, shout)
    for prompt in (first, second):
        assert "from English to Brazilian Portuguese" in prompt.messages[1].content
        assert "formal" in prompt.messages[1].content
    assert '"Parcel" as "pacote"' in first.messages[1].content
    assert "pacote" not in second.messages[1].content
    assert first.messages[0] == second.messages[0]
    _, [[plain]] = converse("translation", {**EN_DE, "text": "A lamp."}, shout)
    assert "formal" not in plain.messages[1].content


@pytest.mark.parametrize(
    ("source", "answer", "target"),
    [
        pytest.param("Good night.", " Gute Nacht. \n", "Gute Nacht.", id="space around it"),
        pytest.param("Good night.", '"Gute Nacht."', "Gute Nacht.", id="quoted"),
        pytest.param("Good night.", "Translation: Gute Nacht.", "Gute Nacht.", id="labelled"),
        pytest.param("Good night.", "Here it is:\n\nGute Nacht.", "Gute Nacht.", id="announced"),
        pytest.param("Good night.", "```\nGute Nacht.\n```", "Gute Nacht.", id="fenced"),
        pytest.param("Good night. Bye.", "Gute Nacht.\nAdieu.", "Gute Nacht. Adieu.", id="a line stays a line"),
        pytest.param("Hi. Bye.", "Hallo. Adieu.\n\nThis is German.", "Hallo. Adieu.", id="a remark"),
        pytest.param("Hi. Bye.", "Hallo.\n\nAdieu.", "Hallo. Adieu.", id="no remark: it is needed"),
        pytest.param("Opening hours", "## Zeiten", "Zeiten", id="an added mark"),
        pytest.param("October 3 is free.", "3. Oktober ist frei.", "3. Oktober ist frei.", id="a number is no mark"),
        pytest.param('"Go."', '"Geh."', '"Geh."', id="quoted as its source"),
        pytest.param("Title: Tea", "Titel: Tee", "Titel: Tee", id="labelled as its source"),
        pytest.param("# Tea", "# Tee", "# Tee", id="marked as its source"),
    ],
)
def test_text_that_a_model_puts_around_a_segment_is_taken_off(source: str, answer: str, target: str) -> None:
    output, _ = converse("translation", {**EN_DE, "text": source}, lambda _: answer)
    assert (output.text, output.segments[0].target) == (target, target)


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("Titel: Der Herbst", "Title: The Autumn"),
        ("Abschnitt 3: Haftung", "Section 3: Liability"),
        ("§ 3 Haftung", "Section 3: Liability"),
        ("Titel – Der Herbst", "Title: The Autumn"),
        ('Hier ist unser Motto: "Mehr Licht"', 'Here is our motto: "More light"'),
        ("Hier ist unser Motto „Mehr Licht“", 'Here is our motto: "More light"'),
        ("Der Herbst", '"Der Herbst" translates to "The Autumn"'),
        ("Übersetzung: Anna Meier", "Translation: Anna Meier"),
        ("Übersetzung Anna Meier", "Translation: Anna Meier"),
        ("翻訳：アンナ", "Translation: Anna"),
        ("Klar! Wir kommen.", "Sure! We're coming."),
        ("Klar! Wir kommen.", "Sure!\nWe're coming."),
        ("Sicher: wir kommen", "Sure:\nwe're coming"),
        ('"Mehr Licht"', '"More light"'),
        ("„Mehr Licht“", "“More light”"),
        ("«Mehr Licht»", '"More light"'),
        ("「もっと光を」", '"More light"'),
        ("»Mehr Licht«", '"More light"'),
        ("Er sagte „Mehr Licht“", '"He said more light"'),
        ('"Geh" und "komm"', '"Go" and "come"'),
        ("– Tee", "- Tea"),
        ("Minus 5 Grad", "- 5 degrees"),
        ("**Tee**", "**Tea**"),
        ("Der Laden schließt. Hinweis: keine Haftung", "The shop closes.\n\nNote: no liability"),
        ("Geh nach Hause, schlaf gut. Hinweis: Tür zu", "Go home, sleep well.\n\nNote: door shut"),
        ("Heute nur bis 17 Uhr. Hinweis: keine Haftung.", "Only until 5 p.m. today.\n\nNote: no liability."),
        ("Öffnungszeiten Montag", "Opening hours\n\nMonday"),
        ("Hier ist die Übersetzung: Der Herbst", "Here is the translation: The Autumn"),
        ("Hier ist die Übersetzung", "Here is the translation"),
        ("```python", "```python"),
        ("# Der Herbst", "# The Autumn"),
        ("# Der Herbst", "# Title: The Autumn"),
        ("1. Der Herbst", "1. The Autumn"),
        ("Hier ist unser Plan:", "Here is our plan:"),
        ("Antwort: ja", "Answer: yes"),
        ("Beitrag: ja", "Post: yes"),
        ("Englisch fließend", "English: fluent"),
        ("Die Übersetzungsbranche: eine Geschichte", "The translation industry: a history"),
        ("Natürlich kommen wir gern.", "Of course!\n\nWe love to come."),
        ("Tee Anmerkung veraltet", "Tea\n\nNote: outdated"),
        ("Hinweis: Tee", "Note: Tea"),
        ("Hinweis: Tee", "Note: Tea\n\nNote: this is a translation"),
        ("Gern!", "Sure!"),
        ("Notiz: Bitte Übersetzung prüfen", "Note: Please check the translation"),
        ("Sicher, hier ist der Plan: los", "Sure, here's the plan: go"),
        ("Sicher, hier ist der Text", "Sure, here's the text"),
        ("Natürlich", "Of course"),
        ("Hier ist die deutsche Version unseres Katalogs", "Here is the German version of our catalogue: volume 2"),
        ("Betreff: Ihre Bestellung", "Subject: Your order"),
        ("Name: Meier", "Name: Meier"),
        ("„Geh!“, rief er.", "“Go!” he cried."),
        ("„Geh!“ „Nein!“", "“Go!” “No!”"),
        ("'Geh' rief er 'jetzt'", "'Go' he cried 'now'"),
        ("_Tee_", "_Tea_"),
        ("*Tee*", "*Tea*"),
        ("(Anmerkung: veraltet)", "(Note: outdated)"),
        ("Tee. (Anmerkung: veraltet.)", "Tea.\n\n(Note: outdated.)"),
        ("Wir haben 3 Sorten!", "We have tea!\n\nThere are 3 kinds!"),
        ("Frage: Wie geht es? Antwort: Gut.", "Question: How are you?\n\nAnswer: Good."),
        ("见下文：翻译", "See below: translation"),
        ("以下是翻译：秋天", "Here is the translation: autumn"),
        ("標題：秋", "Title: Autumn"),
        ("【お知らせ】秋", "Notice: Autumn"),
        ("訳「秋」", 'Translation: "Autumn"'),
        ("Traduction de l'annexe", "Translation: annex"),
        ("Schritt 1: Wasser kochen", "Step 1: Boil water"),
        ("- Titel: Der Herbst", "Title: The Autumn"),
        ("Hier sind unsere Kurse in Englisch", "Here are our courses in English:\n\nA1"),
        ("– Guten Tag, sagte er.", "– Good day, he said."),
        ("— Guten Tag", "- Good day"),
        ("Preis: 3 €", "Price: €3"),
        ("»Titel: Der Herbst«", "“Title: The Autumn”"),
        ("Section 2: Scope", "Abschnitt 2: Geltungsbereich"),
        ("Voici notre devise : « Plus de lumière »", 'Here is our motto: "More light"'),
        ("Aquí está nuestro lema: «Más luz»", 'Here is our motto: "More light"'),
        ("これが私たちのモットーです：「もっと光を」", 'Here is our motto: "More light"'),
        ("これが私たちのモットーです「もっと光を」", 'Here is our motto: "More light"'),
        ("题目：秋天", "Title: Autumn"),
        ("第3条　責任", "Article 3: Liability"),
        ("« Plus de lumière »", '"More light"'),
        ("‚Mehr Licht‘", "'More light'"),
        ("Rock 'n' Roll", "'Rock and Roll'"),
        ("Anmerkung der Redaktion: veraltet", "Editor's note: outdated"),
        ("Tee ist gut. Anm.: veraltet", "Tea is good.\n\nNote: outdated"),
        ("Danke für Ihre Übersetzung!", "Thank you for your translation!"),
        ("Bitte übersetzen: Haus", "Please translate: house"),
        ("Sure!", "Klar!"),
        ("Ja: gern", "Yes: gladly"),
        ("Ja, gern", "Yes, gladly"),
        ("Beispiel: „Titel: X“", "Example: “Title: X”"),
        ("* Titel: Der Herbst", "* Title: The Autumn"),
        ("Die Version 2: neu", "Version 2: new"),
        ("Text: Übersetzung: Wort", "Text: Translation: Word"),
        ("```", "```"),
        ("1) Titel", "1) Title"),
        ("Traduko: Anna Meier", "Translation: Anna Meier"),
        ("Natürlich kommen wir", "Sure:\nwe're coming"),
        ("Der Herbst.", "I see. Here it comes:\n\nThe Autumn."),
        ("Der Herbst kommt bald wieder.", "Let me translate this for you.\n\nAutumn"),
    ],
)
def test_words_that_the_source_explains_stay(source: str, answer: str) -> None:
    """A label, an announcement, quotes, a mark or a note of the source is part of the translation."""
    output, _ = converse("translation", {**EN_DE, "text": source}, lambda _: answer)
    assert output.text == " ".join(answer.split())
    assert output.removed == {}


@pytest.mark.parametrize(
    ("source", "answer", "target"),
    [
        ("Der Herbst", "Here is the translation:\n\nThe Autumn", "The Autumn"),
        ("Der Herbst", "Translation: The Autumn", "The Autumn"),
        ("Der Herbst", "**Translation:** The Autumn", "The Autumn"),
        ("Der Herbst", 'Sure! Here\'s the translation: "The Autumn"', "The Autumn"),
        ("Der Herbst", "English translation: The Autumn", "The Autumn"),
        ("Der Herbst", "Translation (English): The Autumn", "The Autumn"),
        ("Der Herbst", "Translation into English: The Autumn", "The Autumn"),
        ("Der Herbst", "Translation\n\nThe Autumn", "The Autumn"),
        ("Der Herbst", "Sure:\nThe Autumn", "The Autumn"),
        ("Der Herbst", "The translation is: The Autumn", "The Autumn"),
        ("Der Herbst", 'The translation of "Der Herbst" is: "The Autumn"', "The Autumn"),
        ("Übersetzung: Anna Meier", "Translation: Translation: Anna Meier", "Translation: Anna Meier"),
        ("Titel: Der Herbst", "Translation: Title: The Autumn", "Title: The Autumn"),
        ("Achtung: Er fährt um 10:30.", "Translation: Note: It leaves at 10:30.", "Note: It leaves at 10:30."),
        (
            "Der Zug fährt um 10:30.",
            "Translation: The train leaves at half past ten.",
            "The train leaves at half past ten.",
        ),
        ("Mehr Licht", '"More light"', "More light"),
        ("Mehr Licht", "«More light»", "More light"),
        ("Mehr Licht", "「More light」", "More light"),
        ("Mehr Licht", "„More light“", "More light"),
        ("Wie geht's", "'How are you'", "How are you"),
        ("Tee", "- Tea", "Tea"),
        ("Tee", "**Tea**", "Tea"),
        ("Hallo Welt.", "Hello world.\n\nNote: This is a literal translation.", "Hello world."),
        ("Der Herbst", "Translate from German to English.\n\nThe Autumn", "The Autumn"),
        ("Tee", "Voici la traduction :\n\nThé", "Thé"),
        ("Tee", "Hier ist die Übersetzung ins Deutsche: Thé", "Thé"),
        ("Tee", "Aquí tienes la traducción:\n\nTé", "Té"),
        ("Tee", "翻訳：お茶", "お茶"),
        ("Tee", "以下は翻訳です。\n\nお茶", "お茶"),
        ("Tee", "Traduction : Thé", "Thé"),
        ("Der Herbst.", "I'd be happy to translate this text.\n\nThe Autumn.", "The Autumn."),
        ("Der Herbst.", "Sure!\n\nThe Autumn.", "The Autumn."),
        ("Wir übersetzen gern.", "We like to translate.\n\nNote: literal.", "We like to translate."),
        ("Der Herbst", "Translation:The Autumn", "The Autumn"),
        ("Der Herbst", "TRANSLATION: The Autumn", "The Autumn"),
        ("Der Herbst", "Translated text: The Autumn", "The Autumn"),
        ("Der Herbst", "Certainly! Here is the translated text:\n\nThe Autumn", "The Autumn"),
        ("Der Herbst", "**The Autumn**\n\nNote: This title ...", "The Autumn"),
        ("Guten Tag!", "```\nGood day!\n```", "Good day!"),
        ("Guten Tag!", "```english\nGood day!\n```", "Good day!"),
        ("Titel: Der Herbst\nUntertitel: Blätter", "Title: X", "Title: X\nTitle: X"),
        ("Der Herbst", "Here's how you would say it in English:\n\nThe Autumn", "The Autumn"),
        ("Der Herbst", "German: Der Herbst\nTranslation: The Autumn", "The Autumn"),
        ("Der Herbst", "Der Herbst\nEnglish translation: The Autumn", "The Autumn"),
        ("Plus de lumière", "« More light »", "More light"),
        ("Mehr Licht", "‘More light’", "More light"),
        ("Mehr Licht", "'More light'", "More light"),
        ("Ja.\n\nNein.", "Yes.", "Yes.\n\nYes."),
    ],
)
def test_words_that_the_source_does_not_explain_are_taken_off(source: str, answer: str, target: str) -> None:
    output, _ = converse("translation", {**EN_DE, "text": source}, lambda _: answer)
    assert output.text == target


@pytest.mark.parametrize(
    ("line", "answer", "target"),
    [
        ("1. Eins", "1. One", "1. One"),
        ("1. Eins", "1) One", "1. One"),
        ("1) Eins", "(1) One", "1) One"),
        ("12. Zwölf", "12. Twelve", "12. Twelve"),
        ("01. Eins", "1. One", "01. One"),
        ("1. Eins", "1\\. One", "1. One"),
        ("1. Eins", "**1. One**", "1. One"),
        ("1. Eins", 'Translation: 1. "One"', "1. One"),
        ("1. Eins", "- One", "1. One"),
        ("1. Eins", "1、一", "1. 一"),
        ("  3. Drei", "3. Three", "  3. Three"),
        ("> 1. Eins", "> 1. One", "> 1. One"),
        ("> Zitat", ">Quote", "> Quote"),
        ("## Titel", "## Title", "## Title"),
        ("## Titel", "# Title", "## Title"),
        ("- 5 Grad", "- 5 degrees", "- 5 degrees"),
        ("- **Fett** und mager", "- **Bold** and plain", "- **Bold** and plain"),
        ('* "Zitat"', '* "Quote"', '* "Quote"'),
        ("- [ ] Aufgabe", "- [ ] Task", "- [ ] Task"),
        ("- [x] Aufgabe", "[x] Task", "- [x] Task"),
        # Numbers that belong to the words stay.
        ("1. 1,5 Liter Tee", "1.5 litres of tea", "1. 1.5 litres of tea"),
        ("1. 1,5 Liter Tee", "1. 1.5 litres of tea", "1. 1.5 litres of tea"),
        ("1. Zweiter Weltkrieg", "2. světová válka", "1. 2. světová válka"),
        ("2026. Ein Jahr", "2026: A Year", "2026. A Year"),
        ("- minus eins", "-1", "- -1"),
        ("1. Eins", "1.", "1. 1."),
        ("# C# lernen", "#C learning", "# C learning"),
    ],
)
def test_a_mark_that_the_line_has_already_is_not_repeated(line: str, answer: str, target: str) -> None:
    """The model sees only the words after the mark of a list item, and may write the mark again."""
    output, _ = converse("translation", {**EN_DE, "text": line, "format": "markdown"}, lambda _: answer)
    assert output.text == target


@pytest.mark.parametrize(
    ("source", "answer", "target"),
    [
        ("Tee", '{"translation": "Tea"}', "Tea"),
        ("Tee", '```json\n{"translation": "Tea"}\n```', "Tea"),
        ("Tee", '{"source": "Tee", "translation": "Tea"}', "Tea"),
        ("Tee", '{"German": "Tee", "text": "Tea"}', "Tea"),
        ("Tee", '{"en": "Tea \\"hot\\""}', 'Tea "hot"'),
        ("Tee", '["Tea"]', "Tea"),
        ('{"a": "Tee"}', '{"a": "Tea"}', '{"a": "Tea"}'),
        ("Nimm {name}", '{"a": "Take XQA"}', "Take {name}"),
        ("[Tee]", '["Tea"]', '["Tea"]'),
    ],
)
def test_json_around_a_translation_is_taken_off(source: str, answer: str, target: str) -> None:
    output, _ = converse("translation", {**EN_DE, "text": source}, lambda _: answer)
    assert output.text == target


def test_the_output_holds_what_was_taken_off_by_prompt() -> None:
    answers = {
        "segment 1": "Here is the translation:\n\nThe Autumn",
        "segment 3": '"Leaves fall." And fall.\n\nNote: literal.',
    }
    output, _ = converse(
        "translation",
        {**EN_DE, "text": "Der Herbst\nTitel: Laub\nBlätter fallen. Und fallen."},
        lambda prompt: answers.get(prompt.label, "Title: Foliage"),
    )
    assert output.text == 'The Autumn\nTitle: Foliage\n"Leaves fall." And fall.'
    assert output.removed == {"segment 1": ("Here is the translation:",), "segment 3": ("Note: literal.",)}
    assert "removed" not in output.model_dump()


def test_what_a_cut_takes_off_is_in_the_receipt() -> None:
    output, _ = converse(
        "translation", {**EN_DE, "text": "Hi. Bye."}, lambda _: ("Hallo. Adieu. Guten Morgen. Und", "length")
    )
    assert output.removed == {"segment 1": ("Guten Morgen. Und",)}


@pytest.mark.parametrize(
    ("source", "answer", "target"),
    [
        pytest.param(
            "Good night.", "Gute Nacht. Gute Nacht. Gute", "Gute Nacht.", id="as many sentences as its source"
        ),
        pytest.param("No mark", "Kein Zeichen. Kein", "Kein Zeichen.", id="at least one"),
        pytest.param("Hi. Bye.", "Hallo. Adieu. Und", "Hallo. Adieu.", id="two"),
    ],
)
def test_a_model_that_runs_on_is_cut_where_the_source_ends(source: str, answer: str, target: str) -> None:
    output, _ = converse("translation", {**EN_DE, "text": source}, lambda _: (answer, "length"))
    assert output.text == target


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param("", "empty_output", id="empty"),
        pytest.param('""', "empty_output", id="nothing in quotes"),
        pytest.param(("Eins. Zwei, drei und", "length"), "output_incomplete", id="cut before its second sentence"),
    ],
)
def test_a_missing_segment_fails_the_row(answer: str | tuple[str, str], code: str) -> None:
    error = failed(
        "translation",
        {**EN_DE, "text": "One. Two.\nThree. Four."},
        lambda prompt: answer if prompt.label == "segment 2" else "Eins. Zwei.",
    )
    assert (error.code, error.field) == (code, "text")
    assert "segment 2" in error.message


def test_fewer_answers_than_segments_fail_the_row() -> None:
    conversation = KIND.compose(TranslationRequest.model_validate({**EN_DE, "text": "one\ntwo"}))
    next(conversation)
    with pytest.raises(CheckFailed) as raised:
        conversation.send([Completion("0", "eins", "stop")])
    assert raised.value.code == "segment_mismatch"


def test_a_segment_may_take_a_token_for_each_letter_and_four_for_each_ideograph() -> None:
    def room(text: str) -> int:
        [prompt] = next(KIND.compose(TranslationRequest.model_validate({**EN_DE, "text": text})))
        return prompt.params.max_tokens

    assert room("a" * 400) == 432
    assert room("茶" * 100) == 432


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"text": " \n"}, "text", id="blank text"),
        pytest.param({"text": "a" * 200_001}, "text", id="too long"),
        pytest.param({"target_language": "klingon"}, "target_language", id="language"),
        pytest.param({"format": "html"}, "format", id="format"),
        pytest.param({"formality": "rude"}, "formality", id="formality"),
        pytest.param({"glossary": {"a": " "}}, "glossary", id="blank term"),
    ],
)
def test_invalid_requests_are_refused(changed: Mapping[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TranslationRequest.model_validate({**EN_DE, "text": "a", **changed})
    assert [error["loc"][0] for error in raised.value.errors()] == [field]


LINES = st.lists(st.sampled_from(["", "# ", "- ", "1. ", "> ", "```", "~~~", "word", " ", "a b", "**", "\t", "7"]))
TEXTS = st.one_of(st.text(), st.lists(LINES.map("".join)).map("\n".join))


WORDED = TEXTS.filter(lambda text: re.search(r"\S", text))
FORMS = st.sampled_from(["plain", "markdown", "segment"])


@given(WORDED, FORMS)
def test_segments_put_together_are_the_text(text: str, form: str) -> None:
    units = segmented(text, form)
    assert "".join(unit.before + unit.words + unit.after for unit in units) == text
    for unit in units:
        assert unit.words == unit.words.strip()
        assert not unit.words or any(map(str.isalpha, unit.words))
        assert form == "segment" or len((mask(unit.words, unit.marks).text + ".").splitlines()) == 1
        assert all(unit.words[mark.start : mark.end] == mark.text for mark in unit.marks)


@given(WORDED, FORMS)
def test_a_translation_has_the_structure_of_its_source(text: str, form: str) -> None:
    """Everything between the words is as it was, and each mark stands among the words of its unit."""

    def answer(prompt: Prompt) -> str:
        assert prompt.translatable is not None
        return " ".join(["Wort", *re.findall(r"(?:XQ|QX|ZQ)[A-Z]+", prompt.translatable.text)])

    output, _ = converse("translation", {**EN_DE, "text": text, "format": form}, answer)
    position = 0
    for unit in segmented(text, form):
        for fixed in (unit.before, unit.after):
            position = output.text.index(fixed, position) + len(fixed)
    assert [segment.source for segment in output.segments] == [one.words for one in segmented(text, form) if one.words]
    for segment, unit in zip(output.segments, (one for one in segmented(text, form) if one.words), strict=True):
        check_kept(segment.target, unit.marks)


@pytest.mark.parametrize("text", [" " * 190_000 + "a", "a" + " " * 190_000 + "b", "- " * 90_000 + "a", ">" * 190_000])
def test_no_line_takes_long_to_segment(text: str) -> None:
    began = time.process_time()
    segmented(text, "markdown")
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("source", "target", "is_same"),
    [
        pytest.param("en", "en", True, id="one tag twice"),
        pytest.param("en", "en-US", True, id="with a region"),
        pytest.param("en-GB", "en-US", True, id="two regions"),
        pytest.param("English", "en", True, id="its name"),
        pytest.param("EN", "American English", True, id="a name with a region"),
        pytest.param("eng", "en_gb", True, id="three letters"),
        pytest.param("ger", "Deutsch", True, id="its name in itself"),
        pytest.param("deu", "ger", True, id="both codes of three letters"),
        pytest.param("iw", "he", True, id="a former code"),
        pytest.param("no", "nb", True, id="Norwegian"),
        pytest.param("zh", "zh-TW", True, id="a script and none"),
        pytest.param("zh-CN", "zh-Hans", True, id="one script"),
        pytest.param("zh-CN", "zh-TW", False, id="two scripts by region"),
        pytest.param("Simplified Chinese", "zh-Hant", False, id="two scripts"),
        pytest.param("sr-Cyrl", "sr-Latn", False, id="two scripts of Serbian"),
        pytest.param("nb", "nn", False, id="two written languages"),
        pytest.param("en", "de", False, id="two languages"),
        pytest.param("pt", "es", False, id="two languages of one region"),
    ],
)
def test_a_translation_into_its_own_language_is_remarked_on(source: str, target: str, is_same: bool) -> None:
    values = {"text": "Tea.", "source_language": source, "target_language": target}
    remark = TranslationRequest.model_validate(values).remark
    assert (remark is not None) is is_same
    assert remark is None or remark.endswith("are the same language")
