"""Titles and descriptions are brought to their range at the ends of words and sentences, with keywords, in five scripts."""

# ruff: noqa: RUF001 - words of other scripts

import pytest

from jobs.writing.fitting import fitted_description, fitted_title
from jobs.writing.words.widths import pixels, shown_length


@pytest.mark.parametrize(
    ("title", "language", "fitted"),
    [
        ("t" * 50, "en", "t" * 50),
        ("t" * 60, "en", "t" * 60),
        (
            "  How to grow tomatoes   on a balcony\nin the middle of a city ",
            "en",
            "How to grow tomatoes on a balcony in the middle of a city",
        ),
        (
            "How to Grow Tomatoes at Home on a Balcony in the Middle of a Cold and Rainy City",
            "en",
            "How to Grow Tomatoes at Home on a Balcony in the Middle",
        ),
        (
            "Growing Your Own Tomatoes on a Small Balcony: What You Need to Know Before You Begin",
            "en",
            "Growing Your Own Tomatoes on a Small Balcony: What You Need",
        ),
        (
            "Growing Tomatoes and Peppers on a Small City Balcony, a Guide for All of Those Who Begin",
            "en",
            "Growing Tomatoes and Peppers on a Small City Balcony",  # a clause ends here
        ),
        (
            "Tomaten auf dem Balkon ziehen: So gelingt die Ernte auch in kalten und nassen Sommern",
            "de",
            "Tomaten auf dem Balkon ziehen: So gelingt die Ernte auch",
        ),
        (
            "Как вырастить помидоры на балконе в городе и получить большой урожай даже в холодное лето",
            "ru",
            "Как вырастить помидоры на балконе в городе и получить",
        ),
        (
            "Πώς να καλλιεργήσετε ντομάτες στο μπαλκόνι σας για το καλοκαίρι και για τον χειμώνα",
            "el",
            "Πώς να καλλιεργήσετε ντομάτες στο μπαλκόνι σας",
        ),
        (
            "كيف تزرع الطماطم على شرفة منزلك في المدينة وتحصل على محصول كبير حتى في الصيف البارد",
            "ar",
            "كيف تزرع الطماطم على شرفة منزلك في المدينة وتحصل على محصول",
        ),
        (
            "ベランダでトマトを育てる方法：初心者のための土と水と光の選び方と毎日の世話についての完全ガイド",
            "ja",
            "ベランダでトマトを育てる方法：初心者のための土と水と光の選び",
        ),
        (
            "Tomatoes on a small balcony in the city: what they need…",
            "en",
            "Tomatoes on a small balcony in the city: what they need",
        ),
        (
            "Everything you need to grow your tomatoes on a balcony (soil and water and sun)",
            "en",
            "Everything you need to grow your tomatoes on a balcony",
        ),
        (
            "Everything that you need to grow your own tomatoes (with a calendar of the year)",
            "en",
            "Everything that you need to grow your own tomatoes",
        ),
        (
            "How to grow tomatoes on a balcony in a cold, wet city,",
            "en",
            "How to grow tomatoes on a balcony in a cold, wet city",
        ),
        ("Tomatoes", "en", None),
        ("t" * 49, "en", None),
        ("t" * 61, "en", None),  # here no word ends
        ("", "en", None),
        ("在阳台上种番茄的完整指南土壤阳光浇水和施肥的所有秘诀都在这里等你来学习和掌握", "zh", None),  # words unknown
        (", - " * 50, "en", None),
    ],
)
def test_a_title_is_fitted(title: str, language: str, fitted: str | None) -> None:
    least = 45 if language == "el" else 50
    assert fitted_title(title, least=least, language=language) == fitted


def test_a_cut_keeps_the_keywords() -> None:
    title = "Plants for small balconies, terraces and roofs in town: tomatoes"
    assert fitted_title(title) == "Plants for small balconies, terraces and roofs in town"
    title = "Plants for balconies, terraces, yards and roofs in a town or big city of tomatoes"
    assert fitted_title(title, least=20, most=80, keywords=["tomatoes"], language="en") is not None
    clause = fitted_title(title, least=20, most=60, language="en")
    kept = fitted_title(title, least=20, most=60, keywords=["roof"], language="en")
    assert clause == "Plants for balconies, terraces"
    assert kept == "Plants for balconies, terraces, yards and roofs in a town"


def test_a_short_title_is_continued() -> None:
    more = ["Tomatoes", "Soil, sun and water for each balcony in town, and for the garden"]
    fitted = "Tomatoes: Soil, sun and water for each balcony in town"
    assert fitted_title("Tomatoes", more=more, language="en") == fitted
    assert fitted_title("Tomatoes?", more=more, language="en") == fitted.replace(":", "?")
    assert fitted_title("Tomatoes", more=["Tomatoes", "", "Soil"], language="en") is None


def test_a_title_that_cannot_be_cut_in_the_range_is_cut_before_it_and_continued() -> None:
    title = "Why your dog will not stop to bark at night - and what you can do about it"
    assert fitted_title(title, language="en") is None
    fitted = fitted_title(title, language="en", more=["Nap", "Food and sleep"])
    assert fitted == "Why your dog will not stop to bark at night: Food and sleep"


@pytest.mark.parametrize("least", [50, 40, 30, 20])
def test_a_fitted_title_is_in_its_range_and_ends_in_a_word(least: int) -> None:
    words = [
        "the",
        "tomato,",
        "of",
        "a",
        "(small",
        "garden",
        "and",
        "its",
        "soil:",
        "where",
        "to",
        "put",
        "your",
        "pots",
        "or",
        "-",
        "if",
        "you",
        "must",
        "-",
        "to",
        "move",
        "them)",
        "from",
    ]
    for n in range(len(words)):
        title = " ".join(words[n:] + words[:n])
        if (fitted := fitted_title(title, least=least, most=60, language="en")) is not None:
            assert least <= len(fitted) <= 60
            assert title.startswith(fitted)
            assert title[len(fitted) : len(fitted) + 1] in (" ", ",", ":", ")")
            assert fitted.rsplit(" ", 1)[-1] not in {
                "the",
                "of",
                "a",
                "and",
                "its",
                "to",
                "your",
                "or",
                "if",
                "you",
                "must",
                "from",
                "-",
            } - {"you", "must"}


DESCRIPTION = (
    "Tomatoes grow well on a balcony. They need six hours of sun, a large pot and a lot of water. "
    "This guide shows which sorts are small enough for you. It also has a calendar, and says when to pick."
)


@pytest.mark.parametrize(
    ("text", "fitted"),
    [
        ("d" * 140, "d" * 140),
        ("d" * 160, "d" * 160),
        (DESCRIPTION, DESCRIPTION[: DESCRIPTION.index(" It also")]),
        (
            DESCRIPTION.replace(
                " for you.",
                ", how to feed them, when to pick the fruit, and how to keep the plants through the winter.",
            ),
            DESCRIPTION[: DESCRIPTION.index(" for you")] + ", how to feed them.",
        ),
        ("Short.", None),
        ("d" * 139, None),
        ("d" * 161, None),
        ("", None),
        (
            "トマトはベランダでよく育ちます。日当たりの良い場所と大きな鉢と毎日の水やりが必要です。このガイドでは、小さな品種の選び方と肥料のやり方を説明します。夏の間ずっと収穫できます。",
            "トマトはベランダでよく育ちます。日当たりの良い場所と大きな鉢と毎日の水やりが必要です。このガイドでは、小さな品種の選び方と肥料のやり方を説明します。",
        ),
    ],
)
def test_a_description_is_fitted(text: str, fitted: str | None) -> None:
    result = fitted_description(text, language="en")
    assert result == fitted


def test_a_cut_description_gets_the_full_stop_of_its_script() -> None:
    text = (
        "टमाटर बालकनी में अच्छे उगते हैं, उन्हें छह घंटे की धूप चाहिए, एक बड़ा गमला चाहिए, रोज़ पानी चाहिए, अच्छी मिट्ट"
        "ी चाहिए, समय पर खाद चाहिए, और सर्दी में उन्हें दीवार के पास रखना चाहिए ताकि वे ठंड से बचे रहें और अगले साल फिर बहुत सारे मीठे और लाल फल दें"
    )
    assert shown_length(text) > 160
    fitted = fitted_description(text, language="hi")
    assert fitted is not None
    assert 140 <= shown_length(fitted) <= 160
    assert text.startswith(fitted.removesuffix("।"))
    assert fitted.endswith("।")


def test_a_short_description_is_continued_with_sentences() -> None:
    first, *rest = DESCRIPTION.split(". ")
    fitted = fitted_description(f"{first}.", more=[f"{one}." for one in (first, *rest)], language="en")
    assert fitted == DESCRIPTION[: DESCRIPTION.index(" It also")]
    assert fitted_description("Tomatoes grow", more=["They need sun."], language="en") is None


def test_a_description_ends_in_no_ellipsis() -> None:
    fitted = fitted_description(DESCRIPTION[:158].rstrip(".") + "…", language="en")
    assert fitted is not None
    assert not fitted.endswith("…")


@pytest.mark.parametrize(
    ("text", "length", "width"),
    [
        ("", 0, 0),
        ("abc", 3, 32),
        ("WWW", 3, 57),
        ("iii", 3, 13),
        ("é", 1, 11),
        ("字", 2, 20),
        ("ПОЧ", 3, 33),
        ("हि", 1, 11),
    ],
)
def test_widths(text: str, length: int, width: int) -> None:
    assert (shown_length(text), pixels(text)) == (length, width)


@pytest.mark.parametrize(
    "text", ["a " * 50_000, "(" * 100_000, ", " * 50_000, "字" * 100_000, "the " * 20_000, "。" * 100_000]
)
def test_hostile_texts_are_read(text: str) -> None:
    fitted_title(text, language="en")
    fitted_description(text, language="en", keywords=["a", "字"], more=[text])


def test_a_title_is_not_continued_with_words_that_it_has() -> None:
    title = "Cooking for One: A Guide for the Perfect Meal"
    assert fitted_title(title, language="en", more=["Cooking for one person"]) is None
    fitted = fitted_title(title, language="en", more=["Cooking for one person", "Soups"])
    assert fitted == f"{title}: Soups"


def test_a_sentence_whose_cuts_do_not_fit_is_passed_over() -> None:
    short = "The truth about heat pumps - they're as cool as ever but can do a lot more to keep your home warm!"
    first = (
        "A heat pump is no longer just a device but has revolutionized the way we use energy by removing excess heat."
    )
    second = "The truth behind the incredible heat pump technologies lies in their ability to transform into something."
    assert fitted_description(short, language="en", more=[first]) is None
    fitted = fitted_description(short, language="en", more=[first, second])
    assert fitted is not None
    assert fitted.startswith(f"{short} The truth behind")
    assert 140 <= len(fitted) <= 160
