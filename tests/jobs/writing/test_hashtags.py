"""Shows jobs/writing/hashtags.py: hashtags that a model wrote."""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from jobs.writing.hashtags import without_hashtags


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        pytest.param("Fresh #bread today #food #tacos", "Fresh bread today", id="at the end and within"),
        pytest.param("One.\n\n#a #b\n\nTwo. #c.", "One.\n\n\nTwo.", id="lines"),
        pytest.param("Come to our #bakery.", "Come to our bakery.", id="a word of a sentence"),
        pytest.param("With salt, #pepper", "With salt, pepper", id="a word after a comma"),
        pytest.param("パンです。#パン #新作", "パンです。", id="directly behind a sentence"),
        pytest.param("#a #b .", "", id="nothing else"),
        pytest.param("We are #1 in C# and a&#39;b", "We are #1 in C# and a&#39;b", id="no hashtags"),
        pytest.param("See a/#b c#d ##e", "See a/#b c#d ##e", id="within other things"),
        pytest.param("Fresh bread today #bread", "Fresh bread today", id="said before"),
        pytest.param("Fresh rolls today #bread", "Fresh rolls today", id="alone at the end of a line"),
        pytest.param("I love #Berlin.", "I love Berlin.", id="the end mark is behind it"),
        pytest.param("Join our #BreadClub today", "Join our today", id="CamelCase is no word"),
        pytest.param(
            "Join #bread2026 now, #our_bread too.", "Join now, too.", id="digits and underscores are no words"
        ),
        pytest.param("Das #Brot schmeckt. #SonntagsBrot", "Das Brot schmeckt.", id="German"),
        pytest.param("Приходите за #хлебом к нам #хлебДня #хлеб", "Приходите за хлебом к нам", id="Cyrillic"),
        pytest.param("आज ताज़ी #रोटी खाइए। #रोटी #बेकरी", "आज ताज़ी रोटी खाइए।", id="Devanagari with its vowel signs"),
        pytest.param("خبز #طازج كل يوم. #خبز_اليوم", "خبز طازج كل يوم.", id="Arabic"),
        pytest.param("焼きたて。＃パン＃新作", "焼きたて。", id="wide signs"),
        pytest.param("今日の #パン が焼けました。 #パン屋", "今日の パン が焼けました。", id="Japanese"),
        pytest.param("오늘의 #빵 입니다. #빵집 #서울", "오늘의 빵 입니다.", id="Korean"),
        pytest.param("今天的 #面包 很香。 #面包店", "今天的 面包 很香。", id="Chinese"),
        pytest.param("My #パンlife here", "My here", id="two scripts are no word"),
        pytest.param("Try #bread #rolls now", "Try now", id="a list within the line"),
        pytest.param("We have #bread, #rolls and #cakes.", "We have bread, rolls and cakes.", id="words with commas"),
        pytest.param("Fresh today #bread, #rolls", "Fresh today", id="a list with commas at the end"),
        pytest.param("Come in #bread #sun!", "Come in!", id="the end mark stays"),
        pytest.param("Fresh (#BreadLife) now", "Fresh now", id="in brackets"),
        pytest.param("Fresh (#bread) now", "Fresh (bread) now", id="a word in brackets"),
        pytest.param("Bread.\nHashtags: #bread #rolls", "Bread.", id="with their label"),
        pytest.param("Try #gluten-free rolls", "Try gluten-free rolls", id="before a hyphen"),
        pytest.param("Brot #Bäckerei #パン #1a", "Brot", id="letters of any script"),
    ],
)
def test_hashtags_are_taken_out_or_become_words(text: str, plain: str) -> None:
    assert without_hashtags(text) == plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Join today! #MittwochMagie #wow", "Join today! #MittwochMagie"),
        ("Join #MittwochMagie today", "Join #MittwochMagie today"),
        ("Join #MITTWOCHMAGIE, #wow", "Join #MITTWOCHMAGIE"),
        ("#wow #MittwochMagie #yum", "#MittwochMagie"),
    ],
)
def test_hashtags_of_the_request_stay(text: str, plain: str) -> None:
    assert without_hashtags(text, {"mittwochmagie"}) == plain


def test_what_is_taken_out_is_noted() -> None:
    noted: list[str] = []
    without_hashtags("Come to our #bakery today #yum #sun\nTags: #a_b", note=noted.append)
    assert noted == ["#yum #sun", "#a_b", "Tags:"]


def test_a_hostile_line_takes_little_time() -> None:
    for sign in ("#", "#a", "#a ", "#a,", "(#aB)", "# ", "＃あ", "#a\n"):
        without_hashtags(sign * 5_000)
