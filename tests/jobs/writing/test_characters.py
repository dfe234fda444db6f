"""Shows jobs/writing/characters.py: the units of length."""

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from jobs.writing.characters import clusters, graphemes, utf16_units

MARKS = "\U0001f1eb\U0001f1e6\u0301\u200d\u0600\u0903\U0001f468\U0001f3fd\u1100\u1161a \r\n"


@given(st.text(st.sampled_from(MARKS), max_size=20))
def test_clusters_are_those_of_unicode(text: str) -> None:
    assert clusters(text) == regex.findall(r"\X", text)
    assert graphemes(text) == len(clusters(text))


@pytest.mark.parametrize(
    ("text", "units"), [pytest.param("a\u00e9\u65e5", 3, id="one"), pytest.param("\U0001f600a\U00020bb7", 5, id="two")]
)
def test_utf16_units(text: str, units: int) -> None:
    assert utf16_units(text) == units == len(text.encode("utf-16-le")) // 2
