"""Shows jobs/writing/links/web_links.py: links with a scheme, in any script and on any platform."""

import unicodedata

import pytest

from jobs.writing.links.web_links import LINK
from tests.jobs.writing.fixtures.post_lengths import CASES


@pytest.mark.parametrize(
    ("text", "links"),
    [
        pytest.param("see https://a.example/b?c=d#e.", ["https://a.example/b?c=d#e"], id="a full stop"),
        pytest.param(
            '"http://a.example", (http://b.example)', ["http://a.example", "http://b.example"], id="around it"
        ),
        pytest.param("**https://a.example/**", ["https://a.example/"], id="emphasis"),
        pytest.param("ftp://a.example http:// https", [], id="none"),
        pytest.param("詳しくはhttps://a.example/bをご覧ください。次の文。", ["https://a.example/b"], id="Japanese"),
        pytest.param("请看https://a.example/b、谢谢。", ["https://a.example/b"], id="Chinese"),
        pytest.param("https://a.example에서 만나요", ["https://a.example"], id="Korean"),
        pytest.param("ดูที่https://a.example/bนะครับ", ["https://a.example/b"], id="Thai"),
        pytest.param("https://a.example/bｶﾀｶﾅ\uff21\uff22", ["https://a.example/b"], id="half and full width"),
        pytest.param("https://a.exampleです。次の文.txt", ["https://a.example"], id="behind a host"),
        pytest.param(
            "https://例え.jp/a。https://例え.みんなです",
            ["https://例え.jp/a", "https://例え.みんな"],
            id="a host in Japanese",
        ),
        pytest.param("https://です。次の文", [], id="a scheme alone"),
        pytest.param("https://пример.рф/путь, и", ["https://пример.рф/путь"], id="Russian"),
        pytest.param("https://ar.example/عربي؟ نعم", ["https://ar.example/عربي"], id="Arabic"),
        pytest.param("https://hi.example/हिन्दी। और", ["https://hi.example/हिन्दी"], id="Hindi"),
        pytest.param(
            "https://intranet/wiki. http://localhost:80です",
            ["https://intranet/wiki", "http://localhost:80"],
            id="no domain",
        ),
        pytest.param(
            "http://[::1]:80/a, http://me:pw@a.example/", ["http://[::1]:80/a", "http://me:pw@a.example/"], id="hosts"
        ),
        pytest.param("(https://a.example/b_(c))", ["https://a.example/b_(c)"], id="parentheses in pairs"),
        pytest.param(
            "https://a.example/b)c [https://a.example/d]", ["https://a.example/b", "https://a.example/d"], id="no pairs"
        ),
        pytest.param("https://a.example/b?c[]=1&d=2]", ["https://a.example/b?c[]=1&d=2"], id="brackets"),
        pytest.param("https://a.example/b…\u201d\u00bb\u3000c", ["https://a.example/b"], id="marks of other scripts"),
        pytest.param(
            "https://a.example/b\U0001f600c \u200bhttps://a.example/\u200bd",
            ["https://a.example/b", "https://a.example/"],
            id="emoji and no width",
        ),
        pytest.param(
            "HTTPS://A.EXAMPLE/B http://http://a.example",
            ["HTTPS://A.EXAMPLE/B", "http://http://a.example"],
            id="schemes",
        ),
    ],
)
def test_links(text: str, links: list[str]) -> None:
    assert LINK.findall(text) == links


@pytest.mark.parametrize("platform", ["x", "bluesky", "mastodon"])
def test_every_link_with_a_scheme_that_a_platform_finds_is_found(platform: str) -> None:
    missed = []
    for case in CASES:
        text = unicodedata.normalize("NFC", case["text"]) if platform == "x" else case["text"]
        spans = [link.span() for link in LINK.finditer(text)]
        for start, *_, link in case[platform]["links"]:
            position = len(text.encode()[:start].decode()) if platform == "bluesky" else start
            has_scheme = text[position:].lower().startswith(("http://", "https://"))
            if has_scheme and not any(first <= position < last for first, last in spans):
                missed.append(link)
    assert missed == []
