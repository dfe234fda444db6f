"""Shows jobs/writing/hashtags.py: hashtags that a model wrote."""

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
        pytest.param("Brot #Bäckerei #パン #1a", "Brot", id="letters of any script"),
    ],
)
def test_hashtags_are_taken_out_or_become_words(text: str, plain: str) -> None:
    assert without_hashtags(text) == plain
