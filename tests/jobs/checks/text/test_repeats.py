"""Repetition: runs of words that stood before, and sentences that stand twice."""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from tests.support.checking import findings_with, places_of


@pytest.mark.parametrize(("repeated", "found"), [(0, False), (14, False), (15, False), (16, True), (40, True)])
def test_at_most_fifteen_percent_of_the_runs_stood_before(repeated: int, found: bool) -> None:
    words = [f"word{n}" for n in range(103 - repeated - 3)]
    text = " ".join([*words, *words[: repeated + 3]]) if repeated else " ".join(f"word{n}" for n in range(103))
    findings = findings_with("repetition", "chat", {"prompt": "Write."}, text)
    assert [one.measured for one in findings] == ([float(repeated)] if found else [])
    assert not findings_with("repetition", "chat", {"prompt": "Write."}, text, percent=repeated)


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("Water the tomatoes daily. Mulch. Water the tomatoes daily.", "Water the tomatoes daily."),
        ("Water the tomatoes daily. Mulch. WATER the  tomatoes daily!", "WATER the  tomatoes daily!"),
        ("Gießen Sie die Tomaten. Mulch hilft. Gießen Sie die Tomaten.", "Gießen Sie die Tomaten."),
        ("Поливайте помидоры каждое утро. Да. Поливайте помидоры каждое утро.", "Поливайте помидоры каждое утро."),
        ("Ποτίστε τις ντομάτες κάθε πρωί. Ναι. Ποτίστε τις ντομάτες κάθε πρωί.", "Ποτίστε τις ντομάτες κάθε πρωί."),
        ("トマトに毎朝水をやります。土が乾きます。トマトに毎朝水をやります。", "トマトに毎朝水をやります。"),
        ("اسق الطماطم كل صباح باكر. نعم. اسق الطماطم كل صباح باكر.", "اسق الطماطم كل صباح باكر."),
        ("टमाटर को रोज पानी दें। हाँ। टमाटर को रोज पानी दें।", "टमाटर को रोज पानी दें।"),
        ("No. No. No.", "No."),
        ("1. Water them.\n2. Water them.\n3. Water them.", "Water them."),
        (
            "- Water the tomatoes every day in the morning.\n- Mulch.\n- Water the tomatoes every day in the morning.",
            "- Water the tomatoes every day in the morning.",
        ),
    ],
)
def test_a_sentence_that_stands_twice_is_found(text: str, again: str) -> None:
    assert again in places_of("repetition", text)


SONG = """The rain comes down upon the town,
it fills the streets with silver,
the children run, the day is done,
and all the lamps are burning.

Oh sing with me the song of rain,
oh sing until the morning.

The river grows and overflows,
it carries leaves and feathers,
the boats come in, the nights begin,
and all the bells are calling.

Oh sing with me the song of rain,
oh sing until the morning."""


@pytest.mark.parametrize(
    "text",
    [
        "It depends. Mulch helps. It depends.",
        "Yes, it is. Is it hot? Yes, it is.",
        "No. No.",
        SONG,
        "1. Knead the dough.\n2. Let it rest for an hour.\n3. Fold it.\n4. Let it rest for an hour.",
        "| Day | What to do in the garden |\n|---|---|\n| 1 | Water all of it |\n| 2 | Water all of it |",
        "## What is to do today\n\nOne.\n\n## What is to do today\n\nTwo.",
        "```\nprint the same line again\nprint the same line again\nprint the same line again\n```",
        '[{"name of the thing": "a"}, {"name of the thing": "b"}, {"name of the thing": "c"}]',
        "人工智能很有用。人工智能可以写文章。很多人喜欢人工智能。人工智能也会出错。",
        "",
        "...",
    ],
)
def test_what_may_stand_again_passes(text: str) -> None:
    assert places_of("repetition", text) == []


def test_a_song_may_not_be_one_line() -> None:
    assert places_of("repetition", "I love you.\n" * 8)


def test_a_translation_may_repeat_what_its_source_repeats() -> None:
    row = {
        "source_language": "en",
        "target_language": "de",
        "text": "Enter a valid address. Or go. Enter a valid address.",
    }
    twice = "Geben Sie eine Adresse ein. Oder gehen Sie. Geben Sie eine Adresse ein."
    assert not findings_with("repetition", "translation", row, twice)
    assert findings_with("repetition", "translation", row | {"text": "Enter a valid address. Or go."}, twice)


@pytest.mark.parametrize("sign", ["a", "a ", "字", "\n", ". ", "- a\n", "|\n", "a.\n"])
def test_a_text_of_one_sign_takes_little_time(sign: str) -> None:
    places_of("repetition", (sign * 100_000)[:100_000])
