"""Shows jobs/documents/pages/html.py: words and seen attributes are segments, and all else stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents.pages.html import HtmlFormat
from jobs.documents.source import Options
from jobs.errors import DocumentError
from tests.support.documents.reading import read, texts, translated

FORM = HtmlFormat()
PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Our tomatoes</title>
<meta name="description" content="All of them"><meta name="viewport" content="width=device-width">
<script>var text = "<p>Hello</p>";</script><style>p { color: red }</style></head>
<body class="page">
<!-- <p>A comment</p> -->
<h1>Tom&eacute; &amp; Co&nbsp;Ltd</h1>
<p>
  Water them <b>early</b>,
  <a href="/x?a=1&amp;b=2" title="More of it">read more</a>.
</p>
<input type="text" placeholder="Your name"><input type="submit" value="Send">
<pre>code  here</pre><p translate="no">Brand</p>
<p><code>run()</code> it<br/>now</p>
</body></html>
"""


def test_the_segments_of_a_page() -> None:
    assert [(one.kind, one.text) for one in read(FORM, PAGE)] == [
        ("text", "Our tomatoes"),
        ("attribute content", "All of them"),
        ("text", "Tomé &amp; Co&nbsp;Ltd"),
        ("text", 'Water them <b>early</b>, <a href="/x?a=1&amp;b=2" title="More of it">read more</a>.'),
        ("attribute title", "More of it"),
        ("attribute placeholder", "Your name"),
        ("attribute value", "Send"),
        ("text", "<code>run()</code> it<br/>now"),
    ]


def test_only_translated_spans_change() -> None:
    link = '<a href="/x?a=1&amp;b=2" title="More of it">'
    made = translated(
        FORM,
        PAGE,
        {
            "Our tomatoes": "Tomaten < Äpfel & mehr",
            "More of it": 'Mehr "davon"',
            f"Water them <b>early</b>, {link}read more</a>.": f"{link}Mehr</a>: <b>früh</b> gießen.",
            "Send": "Senden",
        },
    ).decode()
    assert made == PAGE.replace("Our tomatoes", "Tomaten &lt; Äpfel &amp; mehr").replace('"Send"', '"Senden"').replace(
        'Water them <b>early</b>,\n  <a href="/x?a=1&amp;b=2" title="More of it">read more</a>.',
        '<a href="/x?a=1&amp;b=2" title="Mehr &quot;davon&quot;">Mehr</a>: <b>früh</b> gießen.',
    )


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        pytest.param("<p>a<p>b", ["a", "b"], id="elements that are not closed"),
        pytest.param("<P>A <B>b</P>", ["A <B>b"], id="capitals, and a tag without its partner"),
        pytest.param("a < b, AT&T & c", ["a < b, AT&T & c"], id="signs that are no markup"),
        pytest.param("<p>word", ["word"], id="the end is missing"),
        pytest.param("<p>word <b", ["word <b"], id="cut off in a tag"),
        pytest.param("word <!-- x", ["word <!-- x"], id="cut off in a comment"),
        pytest.param("<script>if (a<b) x", [], id="a script that does not end"),
        pytest.param("{% if a %}<p>{{ b }} word</p>{% endif %}", ["{{ b }} word"], id="a template"),
        pytest.param("<p class='notranslate'>x</p><p>y</p>", ["y"], id="a class"),
        pytest.param("<img alt=Logo><img alt=''>", ["Logo"], id="a value without quotes"),
        pytest.param("<div>" * 1000 + "x", ["x"], id="1,000 deep"),
        pytest.param("<option label='A'>B</option>", ["A", "B"], id="labels"),
        pytest.param("12 &mdash; 13", [], id="no words"),
    ],
)
def test_what_is_read(page: str, wanted: list[str]) -> None:
    assert texts(FORM, page) == wanted


@pytest.mark.parametrize(
    ("head", "encoding"),
    [('<meta charset="iso-8859-1">', "cp1252"), ("<meta charset=shift_jis>", "shift_jis"), ("\ufeff", "utf-16-le")],
)
def test_the_encoding_is_kept_and_lacks_no_character(head: str, encoding: str) -> None:
    data = f"{head}<p>word</p>".encode(encoding)
    made = translated(FORM, data, {"word": "Łódź"}).decode(encoding)
    assert made == f"{head}<p>Łódź</p>" if encoding.startswith("utf") else "&#" in made
    assert texts(FORM, made.encode(encoding)) == ["Łódź"]


@pytest.mark.parametrize(
    ("page", "text", "message"),
    [
        pytest.param("<p>a <b>b</b></p>", "a b", "lost '<b>'", id="a tag"),
        pytest.param("<p>\n\n<p>a&nbsp;b", "a b", "line 3: segment 1: the translation lost '&nbsp;'", id="a reference"),
        pytest.param("<p>a", " ", "is empty", id="empty"),
    ],
)
def test_a_damaged_translation_is_refused(page: str, text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        translated(FORM, page, {"1": text})


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(DocumentError, match="the encoding 'klingon' is not known: save it as UTF-8"):
        read(FORM, "<meta charset=klingon>x")


SNIPPETS = st.sampled_from(
    ["word", " ", "<b>", "</b>", "<p>", "</p>", "<br>", "<br/>", "<!--", "-->", "&amp;", "&", "<", ">", "<script>", "</script>",
     "<img alt='x y'>", '<a title="t" href=u>', "</a>", "<![CDATA[", "]]>", "<?php", "?>", "&#x41;", "&eacute;", "\n", "<code>",
     "</code>", "<title>", "</title>", "<textarea>", "'", '"', "=", "{{ x }}"]
)  # fmt: skip


@given(st.lists(SNIPPETS, max_size=25).map("".join))
def test_any_page_comes_back(page: str) -> None:
    found = read(FORM, page)
    assert translated(FORM, page, {one.id: one.text for one in found}) == page.encode()


@given(st.lists(SNIPPETS, max_size=8).map("".join), st.text("aé<>&\"'; \n", min_size=1, max_size=12))
def test_words_are_escaped(page: str, words: str) -> None:
    page = f"<div><i title='old'>x</i></div>{page}"
    made = translated(FORM, page, {"2": words, "1": f"<i title='old'>{words}y</i>"})
    again = read(FORM, made)
    from html import unescape

    assert "".join(unescape(again[0].text).replace("<i title='old'>", "").split()).endswith(
        "".join((words + "y</i>").split())
    )


def test_languages_of_a_page_and_of_its_elements() -> None:
    page = (
        '<html dir=ltr lang="en" xml:lang=\'en\'><body lang="en"><p lang="en-GB">One</p>'
        '<p>Two <i lang="la">sic</i></p><p lang=de>Drei</p>'
    )
    options = Options(source_language="en", target_language="fr-CA")
    assert texts(HtmlFormat(), page, options) == ["One", 'Two <i lang="la">sic</i>']
    assert [mark.text for mark in read(HtmlFormat(), page, options)[1].marks] == ['<i lang="la">sic</i>']
    made = translated(HtmlFormat(), page, {"One": "Un"}, options).decode()
    assert made == page.replace(
        "<html dir=ltr lang=\"en\" xml:lang='en'", "<html dir=ltr lang=\"fr-CA\" xml:lang='fr-CA'"
    ).replace("One", "Un")
    assert translated(HtmlFormat(), page, {}).decode() == page
    german = page.replace('ltr lang="en"', 'ltr lang="de"')
    assert translated(HtmlFormat(), german, {}, options).decode() == german
