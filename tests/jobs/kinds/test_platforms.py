"""Shows jobs/kinds/platforms.py: lengths as each platform counts them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.kinds.platforms import LIMITS, Platform, graphemes, weighted, with_short_links

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    ("platform", "text", "length"),
    [
        pytest.param("x", "hello", 5, id="latin weighs one"),
        pytest.param("x", "日本", 4, id="ideographs weigh two"),
        pytest.param("x", FAMILY, 2, id="a joined emoji weighs two"),
        pytest.param("x", "see https://example.com/" + "a" * 90, 4 + 23, id="a link weighs 23"),
        pytest.param("x", "don\u2019t", 5, id="a typographic apostrophe weighs one"),
        pytest.param("bluesky", FAMILY + "e\u0301", 2, id="graphemes"),
        pytest.param("mastodon", "a http://b.example/long/path", 2 + 23, id="a link is 23"),
        pytest.param("threads", "abc", 3, id="characters"),
        pytest.param("linkedin", "abc", 3, id="characters of linkedin"),
        pytest.param("facebook", "abc", 3, id="characters of facebook"),
        pytest.param("instagram", "abc", 3, id="characters of instagram"),
    ],
)
def test_length(platform: Platform, text: str, length: int) -> None:
    assert LIMITS[platform].length(text) == length


@given(st.text(st.characters(codec="ascii", exclude_characters=":\r\n")))
def test_plain_text_is_as_long_everywhere(text: str) -> None:
    assert weighted(text) == with_short_links(text) == graphemes(text) == len(text)
