"""Shows jobs/documents/exchange/subtitles.py: the words of cues are segments, and all else stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents.exchange.subtitles import SubtitleFormat
from jobs.errors import DocumentError
from tests.support.documents.reading import read, texts, translated

SRT, VTT = SubtitleFormat("srt"), SubtitleFormat("vtt")
FILM = """1
00:00:01,000 --> 00:00:02,500
<i>Hello</i> there,
my friend.

2
00:00:03,000 --> 00:00:04,000
- 1984

3
00:00:05,000 --> 00:00:06,000
- Good bye
"""
WEB = """WEBVTT - A title

NOTE a comment
over lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start
<v Anna>Hello <b>you</b>

00:03.000 --> 00:04.000
"""


def test_the_cues() -> None:
    assert [(one.id, one.text, one.context) for one in read(SRT, FILM)] == [
        ("1", "<i>Hello</i> there, my friend.", ""),
        ("3", "- Good bye", "- 1984"),
    ]
    assert texts(VTT, WEB) == ["<v Anna>Hello <b>you</b>"]


def test_only_words_change_and_long_lines_are_broken() -> None:
    made = translated(
        SRT, FILM.replace("\n", "\r\n"), {"1": "<i>Guten Tag</i>, mein lieber guter alter Freund."}
    ).decode()
    assert made == FILM.replace(
        "<i>Hello</i> there,\nmy friend.", "<i>Guten Tag</i>, mein\nlieber guter alter Freund."
    ).replace("\n", "\r\n")
    assert translated(VTT, WEB, {"1": "<v Anna><b>Du</b> -->"}).decode() == WEB.replace(
        "Hello <b>you</b>", "<b>Du</b> →"
    )


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        (SRT, "Just text\n", "it has no cue: give a file of subtitles"),
        (SRT, "1\n00:00 --> later\nx\n", "line 2: '00:00 --> later' is no pair of times: write it as"),
        (VTT, "1\n", "line 1: the first line is not WEBVTT: add it"),
    ],
)
def test_what_cannot_be_read(form: SubtitleFormat, text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read(form, text)


@given(
    st.lists(st.text(st.sampled_from("ab <>i/{}\\n-♪é"), min_size=1, max_size=30), min_size=1, max_size=5),
    st.text("ab é", max_size=60),
)
def test_any_cues_come_back(cues: list[str], new: str) -> None:
    text = "".join(f"{n}\n00:00:01,000 --> 00:00:02,000\n{one}\n\n" for n, one in enumerate(cues, 1))
    found = [one for one in read(SRT, text) if not one.marks]
    if found and new.strip():
        again = {one.id: one.text for one in read(SRT, translated(SRT, text, {found[0].id: f"a{new}"}))}
        assert again[found[0].id] == " ".join(f"a{new}".split())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_speaker_keeps_a_line(end: str) -> None:
    data = "1\n00:00:01,000 --> 00:00:02,000\nOne,\nand\n- Two\n2\n00:00:02,000 --> 00:00:03,000\n<b>A</b>\n".replace(
        "\n", end
    )
    (first, second) = read(SRT, data)
    assert (first.text, second.text) == ("One, and\n- Two", "<b>A</b>")
    assert [one.text for one in first.marks] == ["\n- "]
    made = translated(SRT, data, {"1": "Un, et\n- Deux", "2": "<b>B</b>"}).decode()
    assert made == data.replace(f"One,{end}and{end}- Two", f"Un, et{end}- Deux").replace("<b>A", "<b>B")
    with pytest.raises(DocumentError, match=r"lost '\\n- '"):
        translated(SRT, data, {"1": "Un, et Deux"})


def test_voices_keep_their_lines() -> None:
    data = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Bob>One</v>\n<v Ann>Two\n"
    assert texts(VTT, data) == ["<v Bob>One</v>\n<v Ann>Two"]
