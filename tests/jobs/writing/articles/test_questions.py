"""Shows jobs/writing/articles/questions.py: questions with answers, in the forms in which models write them."""

# ruff: noqa: RUF001 - letters of other scripts

import pytest

from jobs.generation import Completion
from jobs.writing.articles.questions import read_questions
from jobs.writing.evidence import Brief

ONE = ("Why do tomatoes need sun?", "They make sugar with it.")
TWO = ("How much water?", "A can each morning.")


def read(text: str, reason: str = "stop") -> list[tuple[str, str]]:
    return read_questions(Completion("1", text, reason), Brief("Tomatoes"))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "Q: {0}\nA: {1}\nQ: {2}\nA: {3}",
        "Q1: {0}\nA1: {1}\n\nQ2: {2}\nA2: {3}",
        "**Q: {0}**\nA: {1}\n\n**Q: {2}**\nA: {3}",
        "1. {0}\n{1}\n2. {2}\n{3}",
        "### {0}\n\n{1}\n\n### {2}\n\n{3}",
        "{0}\n{1}\n\n{2}\n{3}",
        "Question: {0}\nAnswer: {1}\nQuestion: {2}\nAnswer: {3}",
        "Here are the questions:\n\nQ: {0}\nA: {1}\nQ: {2}\nA: {3}",
        "Q: {0} A: {1}\nQ: {2} A: {3}",
        "- **{0}** \n  {1}\n- **{2}** \n  {3}",
        "```\nQ: {0}\nA: {1}\nQ: {2}\nA: {3}\n```",
    ],
)
def test_the_forms_of_questions(text: str) -> None:
    assert read(text.format(*ONE, *TWO)) == [ONE, TWO]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("F: Warum Sonne?\nA: Für den Zucker.", [("Warum Sonne?", "Für den Zucker.")]),
        ("P: ¿Por qué sol?\nR: Para el azúcar.", [("¿Por qué sol?", "Para el azúcar.")]),
        ("Вопрос: Зачем солнце?\nОтвет: Для сахара.", [("Зачем солнце?", "Для сахара.")]),
        ("問：なぜ太陽？\n答え：糖のため。", [("なぜ太陽？", "糖のため。")]),
        ("لماذا الشمس؟\nمن أجل السكر.", [("لماذا الشمس؟", "من أجل السكر.")]),
    ],
)
def test_questions_of_other_languages(text: str, found: list[tuple[str, str]]) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("No question at all.", []),
        ("Q: Why?", []),
        ("Q: Why?\nQ: How?\nA: So.", [("How?", "So.")]),
        ("Q: Why?\nA: One.\nTwo follows.", [("Why?", "One. Two follows.")]),
        ("Q: Why?\nA: Is it so? It is.", [("Why?", "Is it so? It is.")]),
    ],
)
def test_what_is_no_pair_is_left_out(text: str, found: list[tuple[str, str]]) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "Q: Q: Q: How to fix it?\nA: Rebuild it.",
        "Output: Question: How to fix it?\nA: Rebuild it.",
        "Q: How to fix it?\nA: Rebuild it! Response: I do not think so.",
        "Q: How to fix it?\nA: Rebuild it. A: Patch it.",
        "Q: Here's an example: Q: How to fix it?\nA: Rebuild it.",
        "Q: How to fix it?\nA: A: Rebuild it.",
        "F: Wie flickt man ihn?\nA: Mit Leim. Frage: Und dann?",
        "Вопрос: Как?\nОтвет: Так. Ответ: Иначе.",
        "Q: How to fix it?\nA: Do you know how to apply glue?",
        "Q: How to fix it?\nA: Glue? Or tape?",
        'Q: How to fix it?\nA: Is it "broken?"',
        "لماذا الشمس؟\nهل تعرف؟",
    ],
)
def test_a_pair_with_labels_or_only_questions_is_left_out(text: str) -> None:
    assert read(f"{text}\nQ: {ONE[0]}\nA: {ONE[1]}") == [ONE]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is vitamin A: a fat?", "Vitamin A: it is a fat."),
        ("Is plan A: sow, plan B: plant good?", "Yes. Plan A: sow in May."),
        ("Who asks the question?", "The reader. He wants an answer: when to water."),
        ("Why?", "Why not? It grows."),
    ],
)
def test_words_that_are_no_labels_stay(question: str, answer: str) -> None:
    assert read(f"Q: {question}\nA: {answer}") == [(question, answer)]


def test_answers_with_the_label_in_the_plural() -> None:
    assert read("Q: How much?\nA: Steps are two. Output: 3 litres an hour.") == [
        ("How much?", "Steps are two. Output: 3 litres an hour.")
    ]
    assert read("Question: Why?\nAnswers: So.\nQ: How?\nResponse: Thus.") == [("Why?", "So."), ("How?", "Thus.")]


def test_an_answer_that_was_cut_off_ends_with_its_last_whole_sentence() -> None:
    assert read("Q: Why?\nA: One is whole. Two is", "length") == [("Why?", "One is whole.")]
    assert read("Q: Why?\nA: One is whole.\nQ: How?\nA: Two is", "length") == [("Why?", "One is whole.")]
