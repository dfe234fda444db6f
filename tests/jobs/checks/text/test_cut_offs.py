"""Cut-off texts: those that reached the most tokens and end in the middle."""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from tests.support.checking import findings_with, places_of

WHOLE = [
    "Water the tomatoes.",
    "Water the tomatoes!**",
    'She said: "Water them."',
    "(Water them.)",
    "Wasser hilft …",
    "Поливайте помидоры.",
    "トマトに水をやります。",
    "「水をやります。」",
    "ما هو الحل؟",
    "टमाटर को पानी दें।",
    "Ποτίστε τις ντομάτες·\nκαι τα λουλούδια.",
    "Ջրեք լոլիկները։",
    "Water them 🍅",
    "Water them 👍🏽",
    "Run this:\n\n```\nmake\n```",
    '{"text": "Water them"}',
    "It costs 3.50.",
]
CUT = [
    "Water the",
    "Water the tomatoes, ",
    "Water the tomatoes:",
    "Поливайте помидоры и",
    "トマトに水を",
    "ما هو",
    "टमाटर को",
    "First. Second.\n\n3.",
    "Use tools, e.g.",
    "```\nmake",
    "Run this:\n\n```\nmake.",
    '{"text": "Water the',
    "See https://example.com/a",
    "12",
]


@pytest.mark.parametrize("text", WHOLE)
def test_a_text_that_ends_with_a_sentence_is_whole(text: str) -> None:
    assert not places_of("cut_off", text, cut_off=True)


@pytest.mark.parametrize("text", CUT)
def test_a_text_that_ends_in_the_middle_is_found(text: str) -> None:
    (place,) = places_of("cut_off", text, cut_off=True)
    assert text.rstrip().endswith(place)


@pytest.mark.parametrize("text", CUT)
def test_a_text_that_ended_by_itself_is_not_judged(text: str) -> None:
    assert not places_of("cut_off", text, cut_off=False)


@pytest.mark.parametrize(("words", "cut"), [("Water them.", False), ("Water the", True)])
def test_what_a_kind_puts_behind_the_words_ends_no_sentence(words: str, cut: bool) -> None:
    row = {
        "topic": "Tomatoes",
        "platform": "x",
        "call_to_action": "Read more.",
        "link": "https://example.com/a",
        "hashtags": ["garden", "tomato"],
    }
    text = f"{words}\n\nRead more.\n\nhttps://example.com/a\n\n#garden #tomato"
    assert bool(findings_with("cut_off", "social_post", row, {"text": text}, cut_off=True)) is cut


@pytest.mark.parametrize("sign", ["a", "#", "# ", ".", "`", "\n", "#a "])
def test_a_text_of_one_sign_takes_little_time(sign: str) -> None:
    places_of("cut_off", sign * 100_000, cut_off=True)
