"""Shows what kinds do about an answer that a check refuses: they mend it, or ask again for just what broke."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from jobs.errors import CheckFailed
from jobs.findings import CheckSetting, Severity
from jobs.generation import Prompt
from jobs.kinds.asking import ANSWER_AGAIN, without_apology
from tests.support.conversations import Answer, checker_of, converse

EN_DE = {"source_language": "en", "target_language": "de"}


def labels(turns: list[list[Prompt]]) -> list[list[str]]:
    return [[prompt.label for prompt in turn] for turn in turns]


def by_label(answers: Mapping[str, str], otherwise: str = "") -> Answer:
    return lambda prompt: answers.get(prompt.label, otherwise)


def test_only_the_segment_that_lost_its_placeholder_is_asked_for_again() -> None:
    row = {**EN_DE, "text": "Good morning to you all.\nYou have {count} new letters."}
    told: list[str] = []

    def answer(prompt: Prompt) -> str:
        if prompt.label == "segment 1":
            return "Guten Morgen euch allen."
        told.append(prompt.messages[-1].content)
        return "Sie haben neue Briefe." if len(told) == 1 else "Sie haben QXA neue Briefe."

    output, turns = converse("translation", row, answer, checker_of("translation", row))
    assert output.text == "Guten Morgen euch allen.\nSie haben {count} neue Briefe."
    assert labels(turns) == [["segment 1", "segment 2"], ["segment 2, try 2"]]
    assert turns[1][0].replaces == "segment 2"
    assert "the translation lost 'QXA'" in told[1], "the prompt says what is missing, as the model sees it"
    assert [prompt.params.temperature for turn in turns for prompt in turn] == [0.0, 0.0, 0.3]


@pytest.mark.parametrize(("again", "tries"), [(0, 1), (1, 2), (2, 3), (4, 5)])
def test_a_text_is_asked_for_at_most_so_many_times(again: int, tries: int) -> None:
    row = {**EN_DE, "text": "You have 12 new letters."}
    answer = by_label({}, "Sie haben neue Briefe.")
    output, turns = converse("translation", row, answer, checker_of("translation", row, again=again))
    assert len(turns) == tries
    assert output.text == "Sie haben neue Briefe.", "who judges the whole row decides what becomes of it"


def test_without_checks_nothing_is_asked_for_again() -> None:
    row = {**EN_DE, "text": "You have 12 new letters."}
    _, turns = converse("translation", row, by_label({}, "Sie haben neue Briefe."))
    assert labels(turns) == [["segment 1"]]


def test_a_check_that_a_row_turns_off_asks_for_nothing() -> None:
    row = {**EN_DE, "text": "You have 12 new letters."}
    off = {"numbers_changed": CheckSetting(severity=Severity.OFF)}
    _, turns = converse("translation", row, by_label({}, "Sie haben neue Briefe."), checker_of("translation", row, off))
    assert len(turns) == 1


@pytest.mark.parametrize(
    ("source", "answer", "target"),
    [
        ("Good morning.", "Guten Morgen", "Guten Morgen."),
        ("Good morning", "Guten Morgen.", "Guten Morgen"),
        ("Are you coming?", "Kommst du.", "Kommst du?"),
    ],
)
def test_end_marks_follow_the_source_without_a_further_prompt(source: str, answer: str, target: str) -> None:
    row = {**EN_DE, "text": source}
    output, turns = converse("translation", row, by_label({}, answer), checker_of("translation", row))
    assert (output.text, len(turns)) == (target, 1)


def test_an_empty_segment_is_asked_for_again_and_then_fails() -> None:
    row = {**EN_DE, "text": "One morning.\nTwo evenings."}
    answers = {"segment 1": "Ein Morgen.", "segment 2, try 3": "Zwei Abende."}
    output, turns = converse("translation", row, by_label(answers), checker_of("translation", row))
    assert output.text == "Ein Morgen.\nZwei Abende."
    assert labels(turns) == [["segment 1", "segment 2"], ["segment 2, try 2"], ["segment 2, try 3"]]
    with pytest.raises(CheckFailed):
        converse("translation", row, by_label({"segment 1": "Ein Morgen."}), checker_of("translation", row))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Sorry, here is the corrected answer: Bread rises by yeast.", "Bread rises by yeast."),
        ("I'm sorry for the confusion, here is a revised version:\n\nBread rises.", "Bread rises."),
        ("I apologize for my previous response. Bread rises.", "Bread rises."),
        ("Sure, I will answer again. Bread rises.", "Bread rises."),
        ("Here\u2019s the updated text:\nBread rises.", "Bread rises."),
        ("Thank you for the correction! Bread rises.", "Bread rises."),
        ("You're right, I will answer again.", "You're right, I will answer again."),
        ("Sorry that your parcel is late. We sent it again.", "Sorry that your parcel is late. We sent it again."),
        ("Here is a recipe: take flour.", "Here is a recipe: take flour."),
        ("Here's the new version of our app: it is faster.", "Here's the new version of our app: it is faster."),
        ("Thank you for the new message. We reply soon.", "Thank you for the new message. We reply soon."),
        ("Here is the list of previous text editors: vi, ed.", "Here is the list of previous text editors: vi, ed."),
        ("Here is the improved version of our app. Buy it.", "Here is the improved version of our app. Buy it."),
        ("Sure signs of a new version are bugs. More.", "Sure signs of a new version are bugs. More."),
        ("The corrected answer is not ours. Bread rises.", "The corrected answer is not ours. Bread rises."),
        ("", ""),
    ],
)
def test_a_first_sentence_about_the_correction_is_taken_off(text: str, kept: str) -> None:
    assert without_apology(text) == kept


@pytest.mark.parametrize(
    ("prompt", "first", "again", "text"),
    [
        ("Why?", "So <|im_start|> it is.", "Sorry, here is the corrected answer: So it is.", "So it is."),
        ("Say sorry.", "So <|im_start|>.", "Sorry, here is the new answer: So.", "Sorry, here is the new answer: So."),
        ("Why?", "Sorry, here is the new answer: So.", "", "Sorry, here is the new answer: So."),
    ],
    ids=["a further answer", "the row asks for it", "a first answer"],
)
def test_only_a_further_answer_loses_such_a_sentence(prompt: str, first: str, again: str, text: str) -> None:
    row = {"prompt": prompt}
    output, turns = converse("chat", row, by_label({"main": first, "main, try 2": again}), checker_of("chat", row))
    assert output.text == text
    assert all(turn[0].messages[-1].content.endswith(ANSWER_AGAIN) for turn in turns[1:])


def test_a_chat_sees_its_answer_and_what_was_wrong() -> None:
    row = {"prompt": "Write a greeting to a customer.", "temperature": None}
    del row["temperature"]
    broken = "Dear customer, <|im_start|> thank you for your order."
    answers = {"main": broken, "main, try 2": "Dear customer, thank you for your order."}
    output, turns = converse("chat", row, by_label(answers), checker_of("chat", row))
    assert output.text == answers["main, try 2"]
    again = turns[1][0]
    assert [message.role for message in again.messages] == ["user", "assistant", "user"]
    assert again.messages[1].content == broken
    assert "<|im_start|>" in again.messages[2].content
    assert again.replaces == "main"
    assert broken in again.quotes, "what the model wrote before is no part of the instructions"


def test_only_the_choice_that_broke_is_asked_for_again() -> None:
    row = {"prompt": "Write a greeting to a customer.", "n": 3}
    answers = {"choice 2": "Dear all, <|im_start|> welcome.", "choice 2, try 2": "Dear all, welcome."}
    output, turns = converse("chat", row, by_label(answers, "Dear customer, welcome."), checker_of("chat", row))
    assert output.choices == ("Dear customer, welcome.", "Dear all, welcome.", "Dear customer, welcome.")
    assert labels(turns)[1] == ["choice 2, try 2"]


def test_a_raw_text_is_asked_for_again_as_it_is() -> None:
    row = {"prompt": "Dear customer,"}
    answers = {"main": "welcome, <|im_start|> all.", "main, try 2": "welcome to our shop."}
    output, turns = converse("completion", row, by_label(answers), checker_of("completion", row))
    assert output.text == "welcome to our shop."
    assert turns[1][0].text == "Dear customer,"
    assert turns[1][0].params.temperature < turns[0][0].params.temperature


def test_a_post_is_asked_for_again_with_what_was_wrong() -> None:
    row = {"topic": "Our bakery opens on Sundays", "platform": "x"}
    answers = {"post": "Come to [Insert address] on Sunday!", "post, try 2": "Fresh rolls on Sunday, too!"}
    output, turns = converse("social_post", row, by_label(answers), checker_of("social_post", row))
    assert output.text == "Fresh rolls on Sunday, too!"
    assert "[Insert address]" in turns[1][0].messages[-1].content
    assert "shorter" not in turns[1][0].messages[-1].content, "the post was not too long"


def test_a_post_that_is_too_long_is_still_asked_for_shorter() -> None:
    row = {"topic": "Our bakery opens on Sundays", "platform": "x"}
    answers = {"post": "Rolls and bread. " * 40, "post, try 2": "Fresh rolls on Sunday, too!"}
    _, turns = converse("social_post", row, by_label(answers), checker_of("social_post", row))
    first, second = (turn[0].params.max_tokens for turn in turns)
    assert second < first


# -- articles -------------------------------------------------------------------------------------------------------------

WORDS = ["garden", "water", "morning", "stone", "little", "winter", "basket", "yellow", "letter", "market"]


def prose(count: int, seed: int = 0) -> str:
    """Return `count` English words in sentences of eight, of which no four in a row stand twice."""
    sentences, n = [], seed * 7919
    while count > 0:
        size = min(8, count)
        picked = []
        for _ in range(size):
            n += 1
            picked.append(f"{WORDS[(n * n + n // 10) % 10]}{_letters(n)}")
        sentences.append(" ".join(picked).capitalize() + ".")
        count -= size
    return " ".join(sentences)


def _letters(n: int) -> str:
    digits = ""
    while n:
        n, rest = divmod(n, 20)
        digits += "bcdfghjklmnpqrstvwxz"[rest]
    return digits


ARTICLE = {"topic": "Growing tomatoes on a small balcony", "outline": ["Pots", "Water"], "target_words": 200}
NO_LANGUAGE = {"wrong_language": CheckSetting(severity=Severity.OFF)}
"""The texts of these tests are no language."""


def article(answer: Answer, row: Mapping[str, Any] = ARTICLE) -> tuple[Any, list[list[Prompt]]]:
    return converse("article", row, answer, checker_of("article", row, NO_LANGUAGE))


def sections(*texts: str, **others: str) -> Callable[[Prompt], str]:
    """Return a model that writes these sections, and for other labels the texts of `others` by the first word."""
    known = {f"section {n + 1}": text for n, text in enumerate(texts)}
    return lambda prompt: known.get(
        prompt.label, others.get(prompt.label.split()[0].strip(","), "A line about tomatoes.")
    )


def test_an_article_that_is_too_short_is_continued() -> None:
    first, second, more = prose(60, 1), prose(90, 2), prose(40, 3)
    known = {"section 1": first, "section 2": second, "section 1, more": more}
    output, turns = article(lambda prompt: known.get(prompt.label, "A line about tomatoes."))
    assert labels(turns)[:2] == [["section 1", "section 2"], ["section 1, more"]]
    assert f"{first}\n\n{more}" in output.body_markdown
    asked = turns[1][0]
    assert asked.replaces is None, "both texts are kept, so both are billed"
    assert first in asked.messages[-1].content
    assert first in asked.quotes
    assert 180 <= output.word_count <= 220


def test_an_article_that_is_too_long_loses_last_sentences() -> None:
    first, second = prose(200, 1), prose(96, 2)
    output, turns = article(sections(first, second))
    assert labels(turns)[0] == ["section 1", "section 2"]
    assert len(turns) == 2, "no section is asked for again"
    assert 180 <= output.word_count <= 220
    assert second in output.body_markdown, "the longest section is cut"
    assert output.removed["section 1"]


def test_a_sentence_that_stands_twice_is_cut_and_no_section_is_asked_for_again() -> None:
    first, second = prose(96, 1), prose(96, 2)
    twice = first.split(". ")[0] + "."
    output, turns = article(sections(f"{first}\n\n{twice}", second))
    assert output.body_markdown.count(twice) == 1
    assert labels(turns)[0] == ["section 1", "section 2"]
    assert len(turns) == 2
    assert output.removed["section 1"] == (twice,)


def test_only_the_section_that_broke_is_asked_for_again() -> None:
    good, twin = prose(96, 1), prose(96, 2)
    answers = {"section 1": good, "section 2": good, "section 2, try 2": twin, "section 1, try 2": twin}
    output, turns = article(lambda prompt: answers.get(prompt.label, "A line about tomatoes."))
    again = labels(turns)[1]
    assert len(again) == 1
    assert again[0] in ("section 1, try 2", "section 2, try 2")
    assert good in output.body_markdown
    assert twin in output.body_markdown


def test_a_keyword_that_is_missing_is_asked_for_in_a_passage_of_its_own() -> None:
    row = {**ARTICLE, "keywords": ["harvest", "sunlight"], "target_words": 210}
    known = {
        "section 1": f"The harvest is near. {prose(88, 1)}",
        "section 2": prose(90, 2),
        "section 1, more": f"Give them sunlight. {prose(24, 3)}",
    }
    output, turns = article(lambda prompt: known.get(prompt.label, "A line about tomatoes."), row)
    assert "sunlight" in output.body_markdown
    assert labels(turns)[1] == ["section 1, more"] or labels(turns)[1] == ["section 2, more"]
    assert "Use these words in it: sunlight" in turns[1][0].messages[-1].content


def test_the_first_paragraph_gets_a_passage_with_the_first_keyword() -> None:
    row = {**ARTICLE, "keywords": ["harvest"], "target_words": 220}
    known = {"section 1": prose(90, 1), "section 2": prose(90, 2), "opening": f"The harvest is near. {prose(16, 3)}"}
    output, turns = article(lambda prompt: known.get(prompt.label, "A line about tomatoes."), row)
    assert labels(turns)[1] == ["opening"]
    assert output.body_markdown.startswith("## Pots\n\nThe harvest is near.")
    assert "lead to the section" in turns[1][0].messages[-1].content


@pytest.mark.parametrize(
    ("outline", "first"), [("Cold days\nWarm days", "Harvest: Cold days"), ("Cold days\nThe harvest", "Cold days")]
)
def test_a_heading_of_the_model_gets_the_first_keyword(outline: str, first: str) -> None:
    row = {"topic": "Tomatoes", "target_words": 240, "keywords": ["harvest"]}
    answer = sections(f"The harvest is near. {prose(108, 1)}", prose(112, 2), outline=outline)
    output, _ = converse("article", row, answer, checker_of("article", row, NO_LANGUAGE))
    assert output.body_markdown.startswith(f"## {first}\n")


def test_headings_that_the_model_wrote_are_no_instructions() -> None:
    row = {"topic": "Tomatoes", "target_words": 120}
    heading = "How to grow the best of all tomatoes in pots on a balcony in a city that has little sunlight"
    _, turns = converse(
        "article", row, sections(prose(110, 1), outline=heading), checker_of("article", row, NO_LANGUAGE)
    )
    assert all(heading not in text for text in turns[1][0].instructions)
    given = {**row, "outline": [heading]}
    _, turns = converse("article", given, sections(prose(110, 1)), checker_of("article", given, NO_LANGUAGE))
    assert any(heading in text for text in turns[0][0].instructions)


@pytest.mark.parametrize(
    ("title", "description"),
    [
        ("Tomatoes", "Short."),
        ("", ""),
        (
            "How to grow the very best tomatoes that you have ever eaten on the smallest balcony of the town",
            "Long. " * 60,
        ),
        ("As an AI language model, I cannot write a title", "Here is your meta description for the article:"),
    ],
)
def test_title_and_description_are_brought_to_their_lengths(title: str, description: str) -> None:
    output, _ = article(sections(prose(96, 1), prose(96, 2), title=title, meta=description))
    assert 50 <= len(output.title) <= 60
    assert 140 <= len(output.meta_description) <= 160


def test_the_title_has_the_first_keyword() -> None:
    row = {**ARTICLE, "keywords": ["harvest"]}
    output, _ = article(
        sections(f"The harvest is near. {prose(92, 1)}", prose(96, 2), title="Tomatoes for everybody"), row
    )
    assert "harvest" in output.title.casefold()
    assert 50 <= len(output.title) <= 60


def test_a_heading_that_repeats_the_title_is_left_out() -> None:
    outline = "Growing tomatoes on a small balcony in the city centre\nWater"
    row = {"topic": "Tomatoes", "target_words": 240}
    heading = outline.splitlines()[0]
    output, _ = converse(
        "article",
        row,
        sections(prose(112, 1), prose(112, 2), outline=outline, title=heading),
        checker_of("article", row, NO_LANGUAGE),
    )
    assert output.title == heading
    assert f"## {heading}" not in output.body_markdown


def test_a_title_that_is_refused_is_asked_for_again_and_then_made_from_the_topic() -> None:
    output, turns = article(sections(prose(96, 1), prose(96, 2), title="[Insert title here]"))
    assert labels(turns)[1:] == [["title", "meta description"], ["title, try 2"], ["title, try 3"]]
    assert "[Insert" not in output.title
    assert "tomatoes" in output.title


def test_summary_and_questions_are_written_on_request_and_asked_for_again() -> None:
    row = {**ARTICLE, "summary": True, "faq": 2}
    known = {
        "section 1": prose(96, 1),
        "section 2": prose(96, 2),
        "summary": "Tomatoes grow on [Insert place]. They need water.",
        "summary, try 2": "Tomatoes grow on balconies. They need water.",
        "faq": "Q: Why pots?\nA: They fit.",
        "faq, try 2": "Q: Why pots?\nA: They fit.\nQ: How much water?\nA: A can.\nQ: And?\nA: No more.",
    }
    output, turns = article(lambda prompt: known.get(prompt.label, "A line about tomatoes."), row)
    assert labels(turns)[1:] == [["title", "meta description", "summary", "faq"], ["summary, try 2", "faq, try 2"]]
    assert output.summary == "Tomatoes grow on balconies. They need water."
    assert [(one.question, one.answer) for one in output.faq] == [
        ("Why pots?", "They fit."),
        ("How much water?", "A can."),
    ]
    assert "1 questions" in turns[2][1].messages[-1].content
    found = checker_of("article", row, NO_LANGUAGE).findings({**output.model_dump(), "faq": []})
    assert [one.severity for one in found if one.code == "faq_incomplete"] == [Severity.REVIEW]


def test_good_questions_stay_and_only_others_are_asked_for_again() -> None:
    row = {**ARTICLE, "faq": 3}
    known = {
        "section 1": prose(96, 1),
        "section 2": prose(96, 2),
        "faq": "Q: Why pots?\nA: They fit.\nQ: Where?\nA: On [Insert place].\nQ: Q: When?\nA: In May.",
        "faq, try 2": "Q: WHY POTS?\nA: Again.\nQ: How much water?\nA: A can.",
        "faq, try 3": "Q: How deep?\nA: A hand.",
    }
    output, turns = article(lambda prompt: known.get(prompt.label, "A line about tomatoes."), row)
    assert [(one.question, one.answer) for one in output.faq] == [
        ("Why pots?", "They fit."),
        ("How much water?", "A can."),
        ("How deep?", "A hand."),
    ]
    asked = [prompt.messages[-1].content for turn in turns for prompt in turn if prompt.label.startswith("faq, try")]
    assert "there are 1 questions with answers, and 3 are asked for: write others than Why pots?" in asked[0]
    assert "write others than Why pots?; How much water?" in asked[1]
    assert "Where?" not in asked[1]


def test_without_a_request_there_is_neither_summary_nor_questions() -> None:
    output, _ = article(sections(prose(96, 1), prose(96, 2)))
    assert not {"summary", "faq"} & output.model_dump().keys()


@pytest.mark.parametrize("again", [0, 2])
def test_a_conversation_always_ends(again: int) -> None:
    """Whatever a model writes, it is asked a bounded number of times."""
    row = {**ARTICLE, "keywords": ["sunlight", "pots"]}
    for text in ("", "[Your Name]", "Here is the section:", "Go. " * 200, "ha " * 300, prose(5)):
        turns: list[list[Prompt]] = []
        try:
            _, turns = converse("article", row, by_label({}, text), checker_of("article", row, again=again))
        except CheckFailed:
            continue
        assert sum(map(len, turns)) <= (2 * (1 + again) + 3) * (1 + again)
