"""Shows jobs/writing/links/x_links.py: the links that it finds are those that twitter-text finds."""

import unicodedata

from jobs.writing.links.x_links import x_links
from tests.jobs.writing.fixtures.post_lengths import CASES


def test_the_links_are_those_of_twitter_text() -> None:
    texts = [unicodedata.normalize("NFC", case["text"]) for case in CASES]
    found = [[[link.start, link.text] for link in x_links(text)] for text in texts]
    assert dict(zip(texts, found, strict=True)) == {
        text: case["x"]["links"] for text, case in zip(texts, CASES, strict=True)
    }
