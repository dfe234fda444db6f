"""Shows jobs/documents/pages/markdown.py: only words are segments, and a translation changes nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents.document import Segment
from jobs.documents.pages.markdown import MarkdownFormat
from jobs.errors import DocumentError
from jobs.marks.masking import mask
from tests.support.documents.reading import read, texts, translated

FORM = MarkdownFormat()
PAGE = """---
title: "Grow: tomatoes"
date: 2026-05-01
draft: true
description: >
  A guide
  for balconies.
tags: [garden, home]
---
# Tomatoes {#top}

Water them **early**. See
[the guide](https://example.org/a_b "Guide") and `water()` &copy; 2026.

> A quote
> over two lines[^1].

- [ ] one task
  goes on
- ![A tomato](t.png)

| Name | Use |
|------|:---:|
| a \\| b | `code` |

```python
print("Water")
```

<div class="note">Mind the <b>sun</b>. <img alt="A sun" src="s.png"></div>

{{< figure src="a.png" >}}

[the guide]: https://example.org
[^1]: A note.
"""


def test_the_segments_of_a_page() -> None:
    assert [(one.kind, one.text) for one in read(FORM, PAGE)] == [
        ("field title", "Grow: tomatoes"),
        ("field description", "A guide for balconies.\n"),
        ("heading", "Tomatoes"),
        ("paragraph", 'Water them **early**. See [the guide](https://example.org/a_b "Guide") and `water()` © 2026.'),
        ("paragraph", "A quote over two lines[^1]."),
        ("item", "one task goes on"),
        ("item", "![A tomato](t.png)"),
        ("cell", "Name"),
        ("cell", "Use"),
        ("cell", "a \\| b"),
        ("text", 'Mind the <b>sun</b>. <img alt="A sun" src="s.png">'),
        ("attribute alt", "A sun"),
        ("footnote", "A note."),
    ]


def test_only_translated_spans_change() -> None:
    made = translated(
        FORM,
        PAGE,
        {
            "Grow: tomatoes": "Tomaten: so geht's",
            "A guide for balconies.\n": "Ein Leitfaden.\n",
            "Tomatoes": "Tomaten",
            "A quote over two lines[^1].": "Ein Zitat[^1].",
            "Name": "Name|n",
            "A sun": 'Eine "Sonne"',
        },
    ).decode()
    expected = (
        PAGE.replace('"Grow: tomatoes"', '"Tomaten: so geht\'s"')
        .replace("  A guide\n  for balconies.", "  Ein Leitfaden.")
        .replace("# Tomatoes", "# Tomaten")
        .replace("A quote\n> over two lines[^1].", "Ein Zitat[^1].")
        .replace("| Name |", "| Name\\|n |")
        .replace('alt="A sun"', 'alt="Eine &quot;Sonne&quot;"')
    )
    assert made == expected


@pytest.mark.parametrize(
    ("source", "text", "made"),
    [
        pytest.param("A word", "1. Wort", "1\\. Wort", id="a number of a list"),
        pytest.param("A word", "- Wort", "\\- Wort", id="a list"),
        pytest.param("A word", "# Wort", "\\# Wort", id="a heading"),
        pytest.param("A word", "ein * Wort und *noch* eins", "ein \\* Wort und \\*noch\\* eins", id="emphasis"),
        pytest.param("A word", "<b>Wort", "\\<b\\>Wort", id="a tag"),
        pytest.param("A word", "zwei\nZeilen", "zwei Zeilen", id="lines"),
        pytest.param("# A word", "# Wort #", "# \\# Wort \\#", id="a sign of headings in a heading"),
        pytest.param(
            "See [here] now\n\n[here]: x", "Siehe [hier][here] nun", "Siehe [hier][here] nun\n\n[here]: x", id="a label"
        ),
        pytest.param(
            "See [here][] now\n\n[here]: x",
            "Siehe [hier][here] nun",
            "Siehe [hier][here] nun\n\n[here]: x",
            id="no label",
        ),
        pytest.param("日本\n語 text", "deutsch", "deutsch", id="no space between ideographs"),
    ],
)
def test_a_translation_reads_as_the_same_block(source: str, text: str, made: str) -> None:
    assert translated(FORM, source, {"1": text}).decode() == made
    assert len(read(FORM, made)) == 1


@pytest.mark.parametrize(
    ("source", "text", "message"),
    [
        pytest.param("See [here](x)", "Siehe hier", r"file, line 1: segment 1: the translation lost '\['", id="a link"),
        pytest.param("A\n\nB `code`", "B", "line 3: segment 2: the translation lost '`code`'", id="code"),
        pytest.param("**a** b", "b **", "lost '\\*\\*'", id="emphasis"),
        pytest.param("a **b** c", "a** b** c", "would not read as one block", id="emphasis at the wrong place"),
        pytest.param("Word", "  ", "is empty", id="empty"),
    ],
)
def test_a_damaged_translation_is_refused(source: str, text: str, message: str) -> None:
    found = read(FORM, source)[-1].id
    with pytest.raises(DocumentError, match=message):
        translated(FORM, source, {found: text})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("+++\ntitle = \"Hi\\u00e9\"\ndraft = true\nweight = 'x'\n+++\nText", ["Hié", "Text"], id="TOML"),
        pytest.param("---\ntitle: [unclosed\n---\nText", ["Text"], id="front matter that is not YAML"),
        pytest.param("---\ntitle: true\ndescription: 12\n---\n", [], id="values that are no text"),
        pytest.param("---\nseo:\n  title: Deep\n---\n", ["Deep"], id="within a map"),
        pytest.param("import X from './x'\n\n<X />\n\nText", ["Text"], id="MDX"),
        pytest.param(":::note\n\nText\n\n:::", ["Text"], id="containers"),
        pytest.param("```\ncode\n", [], id="a fence that is not closed"),
        pytest.param("", [], id="nothing"),
        pytest.param("\ufeff# Mark", ["Mark"], id="a byte order mark"),
        pytest.param("# A\r\n\r\nb\r\nc\r\n", ["A", "b c"], id="line ends of Windows"),
        pytest.param(">" * 1000 + " deep", ["deep"], id="1,000 quotes deep"),
        pytest.param("[" * 5000 + "a", ["[" * 5000 + "a"], id="5,000 open brackets"),
        pytest.param("\\*not emphasis\\* here", ["\\*not emphasis\\* here"], id="escapes"),
    ],
)
def test_what_is_read(text: str, wanted: list[str]) -> None:
    assert texts(FORM, text) == wanted


def test_utf_16_is_kept() -> None:
    data = "\ufeff# Word\n".encode("utf-16-le")
    assert translated(FORM, data, {"Word": "Wört"}) == "\ufeff# Wört\n".encode("utf-16-le")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            b"# a\n\n\xff\xfea", "file, line 3: it is not valid utf-8: save it as UTF-8", id="another encoding"
        ),
        pytest.param(b"# a\n\0\0\0", "it holds binary data", id="binary"),
    ],
)
def test_what_cannot_be_read(data: bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read(FORM, data)


SNIPPETS = st.sampled_from(
    ["word", "**bold**", "*it", "`c`", "[l](u)", "[r]", "![i](u)", "<b>", "</b>", "# ", "- ", "1. ", "> ", "\n", "\n\n", "  \n",
     "|", "\n|-|\n", "    ", "```", "&amp;", "\\*", "~~", "---\n", "$x$",
     "{{x}}", "<div>", "</div>", "\r\n", "日本", "\t", "[r]: u\n"]
)  # fmt: skip


@given(st.lists(SNIPPETS, max_size=25).map("".join))
def test_any_page_comes_back(page: str) -> None:
    found = read(FORM, page)
    assert translated(FORM, page, {one.id: one.text for one in found}) == page.encode()


@given(st.lists(SNIPPETS, max_size=12).map("".join), st.text("aé*_`[]<>&|#-1. \n", max_size=12))
def test_a_translation_is_written_so_that_it_reads_the_same_or_is_refused(page: str, words: str) -> None:
    found = [one for one in read(FORM, page) if not one.marks and one.kind in ("paragraph", "item", "heading")]
    if found:
        try:
            made = translated(FORM, page, {found[0].id: words})
        except DocumentError:
            return
        again = [one for one in read(FORM, made) if one.id == found[0].id]
        if again:  # a translation without letters is no segment
            bare = "".join(again[0].text.replace("\\", "").split())
            assert bare == "".join(words.split()) or not any(map(str.isalpha, words))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param(
            '!!! note "One"\n    Two\n    three\n', '!!! note "ONE"\n    TWO THREE\n', id="admonition of MkDocs"
        ),
        pytest.param("??? question\n    Two\n", "??? question\n    TWO\n", id="admonition without a title"),
        pytest.param('=== "One"\n    Two\n', '=== "ONE"\n    TWO\n', id="tab"),
        pytest.param("> [!NOTE]\n> Two\n> three\n", "> [!NOTE]\n> TWO THREE\n", id="alert"),
        pytest.param(":::tip Title\nTwo\nthree\n:::\n", ":::tip Title\nTWO THREE\n:::\n", id="container"),
        pytest.param("One\n: Two\n  three\n: Four\n", "ONE\n: TWO THREE\n: FOUR\n", id="definitions"),
        pytest.param(
            "One\n{% if x %}\nTwo\n{% endif %}\n", "ONE\n{% if x %}\nTWO\n{% endif %}\n", id="tags of a template"
        ),
        pytest.param(
            "{{% note %}}\nTwo *three\nfour*\n{{% /note %}}\n",
            "{{% note %}}\nTWO *THREE FOUR*\n{{% /note %}}\n",
            id="shortcode",
        ),
        pytest.param("One\n\\: two\n", "ONE \\: TWO\n", id="no definition"),
        pytest.param("One !!! note\ntwo\n", "ONE !!! NOTE TWO\n", id="no admonition"),
        pytest.param("\\!!! note\n    two\n", "\\!!! NOTE TWO\n", id="an escaped admonition"),
        pytest.param("{/* one */}\n\nTwo {/* three */}\n", "{/* one */}\n\nTWO {/* three */}\n", id="comments of MDX"),
        pytest.param(
            "One \\(x\\) two \\[a = b\\] \\[c d\\]\n", "ONE \\(x\\) TWO \\[a = b\\] \\[C D\\]\n", id="formulas"
        ),
        pytest.param("# One\r\rTwo\r", "# ONE\r\rTWO\r", id="carriage returns"),
    ],
)
def test_lines_that_mean_something_by_standing_alone(text: str, wanted: str) -> None:
    def upper(segment: Segment) -> str:
        masked = mask(segment.text, segment.marks, "private")
        return masked.restore(masked.text.upper())

    assert translated(MarkdownFormat(), text, upper).decode() == wanted
