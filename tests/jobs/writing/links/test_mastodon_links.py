"""Shows jobs/writing/links/mastodon_links.py: the links that it finds are those that Mastodon's own server finds."""

import pytest

from jobs.writing.links.mastodon_links import mastodon_links, shortened_for_count
from tests.jobs.writing.fixtures.post_lengths import CASES


def test_the_links_are_those_of_the_server() -> None:
    found = {case["text"]: [[link.start, link.text] for link in mastodon_links(case["text"])] for case in CASES}
    assert found == {case["text"]: case["mastodon"]["links"] for case in CASES}


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        pytest.param("a https://b.example.com/c d", "a xxxxx d", id="a link"),
        pytest.param("https://b.example/c", "https://b.example/c", id="no known top-level domain"),
        pytest.param("@ann@social.example: hi", "@ann: hi", id="a mention"),
        pytest.param("https://b.example.com/@ann@c.example", "xxxxx", id="a mention within a link"),
        pytest.param(
            "https://\U0001fae0.ws a", "https://\U0001fae0.ws a", id="a host that has no form for name servers"
        ),
    ],
)
def test_what_is_counted(text: str, counted: str) -> None:
    assert shortened_for_count(text, 5) == counted
