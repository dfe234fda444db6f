"""Shows jobs/gateway/page/reading.py: Markdown of models as HTML in which nothing runs, and findings at their places."""

import re
import time
from html.parser import HTMLParser

import pytest

from jobs.gateway.page.reading import Piece, as_html, kept_of, pieces, short
from tests.support.gateway.showcase import HOSTILE, MARKDOWN

ATTACKS = (
    "<script>pwned()</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=pwned()>",
    "<svg><script>pwned()</script></svg>",
    "<svg/onload=pwned()>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=pwned()&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=pwned()>'>",
    "<a href='javascript:pwned()'>x</a>",
    "<a href='JaVaScRiPt:pwned()'>x</a>",
    "<a href='java\nscript:pwned()'>x</a>",
    "<a href='&#106;avascript:pwned()'>x</a>",
    "<a href='data:text/html,<script>pwned()</script>'>x</a>",
    "<a href='/page/sign-out'>x</a>",
    "<a href='//evil.example'>x</a>",
    "<a href='https://ok.example' target=_blank ping=//evil.example onclick=pwned() id=main class=button>x</a>",
    "[x](javascript:pwned())",
    "[x](<javascript:pwned()>)",
    "[x]: javascript:pwned()\n\n[x]",
    "<javascript:pwned()>",
    "![x](https://evil.example/pixel.png)",
    '![x" onerror="pwned()](x)',
    "<iframe srcdoc='<script>pwned()</script>'></iframe>",
    "<object data=x></object><embed src=x><applet code=x>",
    "<form action=https://evil.example><input name=key><button formaction=javascript:pwned()>x</button></form>",
    "<base href=https://evil.example><meta http-equiv=refresh content=0;url=https://evil.example>",
    "<link rel=stylesheet href=https://evil.example/x.css><style>@import 'https://evil.example'</style>",
    "<div style='background:url(https://evil.example)' hx-get=/page/sign-out data-hx-get=/x hx-on:load=pwned()>x</div>",
    "<details open ontoggle=pwned()>x</details><video src=x onerror=pwned()><audio src=x>",
    "</div></main></body></html><h1>Sign in</h1>",
    "<textarea><img src=x onerror=pwned()></textarea><title><img src=x onerror=pwned()></title>",
    "<template><img src=x onerror=pwned()></template><xmp><img src=x onerror=pwned()></xmp>",
    "<p dir='\"><img src=x onerror=pwned()>'>x",
    '<img alt="&lt;h1 onclick=pwned()&gt;<h1>">',
    HOSTILE,
    MARKDOWN,
)

TAGS = {
    "p",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "blockquote",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "br",
    "hr",
} | {
    "pre",
    "code",
    "em",
    "strong",
    "b",
    "i",
    "del",
    "sub",
    "sup",
    "a",
    "img",
}


class Elements(HTMLParser):
    """Reads the elements of a text, and which are open at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("br", "hr", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_of_a_model_runs_loads_or_ends_an_element_of_the_page(attack: str) -> None:
    for text in (attack, f"words {attack}", f"> {attack}", f"- {attack}\n\n  {attack}", attack * 3):
        read = Elements()
        read.feed(str(as_html(text)))
        read.close()
        assert read.open == []
        for tag, values in read.found:
            assert tag in TAGS, (tag, text)
            assert set(values) <= {"dir", "href", "rel", "alt", "start"}, (tag, values)
            assert tag != "a" or "href" not in values or re.match(r"(https?://|mailto:)", str(values["href"])), values
            assert tag != "a" or values.get("rel") == "noopener noreferrer nofollow"
            assert tag == "a" or "href" not in values
            assert values.get("dir", "auto") == "auto"


def test_an_article_is_shown_as_it_will_be_read() -> None:
    html = as_html(
        "## A heading\n\nSome **bold**, *italic*, ~~old~~ `code` and [a link](https://example.org/?a=1&b=2).\n\n"
        "1. one\n2. two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n![a tomato](x.png)\n"
    )
    for part in (
        '<h4 dir="auto">A heading</h4>',
        "<strong>bold</strong>",
        "<em>italic</em>",
        "<del>old</del>",
        "<code>code</code>",
        '<a href="https://example.org/?a=1&amp;b=2" rel="noopener noreferrer nofollow">a link</a>',
        '<td dir="auto">1</td>',
        '<img alt="a tomato">',
    ):
        assert part in str(html), part


@pytest.mark.parametrize(
    ("written", "levels"),
    [
        ("# a\n\n## b\n\n### c\n\n# d", [4, 5, 6, 4]),
        ("## a\n\n#### b\n\n## c\n\n###### d", [4, 5, 4, 5]),
        ("###### a\n\n# b\n\n## c\n\n### d\n\n#### e\n\n##### f", [4, 4, 5, 6, 6, 6]),
    ],
)
def test_headings_follow_those_of_the_page_and_skip_no_level(written: str, levels: list[int]) -> None:
    assert [int(level) for level in re.findall(r"<h(\d)", str(as_html(written)))] == levels


@pytest.mark.parametrize(
    "text",
    [
        "> " * 20_000 + "x",
        "- " * 20_000 + "x",
        "<div>" * 50_000,
        "<b><i>" * 50_000,
        "<p><b>" * 5_000 + "</p><p>" * 5_000,
        "</b></i>" * 50_000,
        "<a href=x>" * 30_000,
        "<table><td>" * 30_000,
        "[" * 100_000,
        "*_" * 100_000,
        "`" * 100_000,
        "|a" * 50_000 + "\n" + "|-" * 50_000,
        "a\n" * 150_000,
    ],
    ids=lambda text: text[:8].strip(),
)
def test_long_and_deep_texts_take_little_time(text: str) -> None:
    begun = time.process_time()
    as_html(text)
    assert time.process_time() - begun < 3


def test_what_is_too_long_or_too_deep_is_not_rendered() -> None:
    assert as_html("a" * 400_001) is None
    assert as_html("> " * 101 + "x") is None
    assert as_html("> " * 50 + "x") is not None
    assert as_html("![x](y)\n\n---\n\n" * 500) is not None  # these stand beside each other


def test_findings_are_marked_at_their_places() -> None:
    found = pieces("0123456789", [(2, 5, 1), (4, 7, 2), (9, 99, 3), (3, 3, 4), (-1, 2, 5), (20, 30, 6)])
    assert "".join(one.text for one in found) == "0123456789"
    assert [(one.text, one.findings, one.begins) for one in found if one.findings] == [
        ("23", (1,), (1,)),
        ("4", (1, 2), (2,)),
        ("56", (2,), ()),
        ("9", (3,), (3,)),
    ]
    assert pieces("", []) == []
    assert pieces("abc", []) == [Piece("abc")]


def test_placeholders_of_a_translation_are_marked() -> None:
    text = "Hello {name}, %d <b>new</b> 👩‍🚀 {x}"
    marked = [one.text for one in pieces(text, (), kept_of(text, "en")) if one.is_kept]
    assert marked == ["{name}", "%d", "<b>", "</b>", "{x}"]


def test_a_row_in_brief() -> None:
    assert short({"output": {"text": "  one\n two  "}}) == "one two"
    assert short({"output": {"title": "T", "body_markdown": "B"}}) == "T"
    assert short({"output": {"n": 1}}) == '{"n":1}'
    assert short({"error": {"message": "m" * 500}}) == "m" * 159 + "…"
    assert short({}) == ""
