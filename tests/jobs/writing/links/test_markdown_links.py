"""Shows jobs/writing/links/markdown_links.py: links in Markdown as plain text."""

import pytest

from jobs.writing.links.markdown_links import without_markdown_links


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        pytest.param("Read [all of it](https://a.example/b).", "Read all of it.", id="a link"),
        pytest.param("![A loaf](loaf.png) [b](c) [d](e)", "A loaf b d", id="an image and links"),
        pytest.param("[a](https://a.example/b_(c)) d", "a d", id="parentheses in the link"),
        pytest.param('[a](https://a.example "A title") b', "a b", id="a title"),
        pytest.param("[a] (b) [c[d](e)", "[a] (b) [cd", id="brackets that make no link"),
        pytest.param("[a](b c)", "[a](b c)", id="words in parentheses"),
    ],
)
def test_the_text_of_a_link_takes_its_place(text: str, plain: str) -> None:
    assert without_markdown_links(text) == plain
