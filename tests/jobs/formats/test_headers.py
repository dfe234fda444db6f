"""Shows jobs/formats/headers.py: the header is found or given. If it is missing, the message names a remedy."""

import codecs
from collections.abc import Callable
from typing import Any

import pytest

from jobs.errors import RequestError
from jobs.intake.column_options import columns_of

Take = Callable[..., Any]
BOM = codecs.BOM_UTF8.decode()


@pytest.mark.parametrize(
    ("text", "choice", "requests"),
    [
        pytest.param(
            "Export of May\n\nBy: Ana\ntopic;keywords\na;x|y\n",
            {},
            [{"topic": "a", "keywords": ["x", "y"]}],
            id="titles",
        ),
        pytest.param(
            "Keywords\ntopic,keywords\na,x\n", {}, [{"topic": "a", "keywords": ["x"]}], id="a title like a field"
        ),
        pytest.param("# made by x\ntopic,tone\na,dry\n", {}, [{"topic": "a", "tone": "dry"}], id="a comment above"),
        pytest.param(
            "topic,tone\nlanguage,audience\n", {}, [{"topic": "language", "tone": "audience"}], id="cells like fields"
        ),
        pytest.param("TOPIC , Target-Words\na,300\n", {}, [{"topic": "a", "target_words": 300}], id="another spelling"),
        pytest.param("\u200btopic\na\n", {}, [{"topic": "a"}], id="an invisible sign"),
        pytest.param("topic|tone\na|dry\n", {}, [{"topic": "a", "tone": "dry"}], id="bars"),
        pytest.param("topic,tone,,\na,dry,,\n,,,\n", {}, [{"topic": "a", "tone": "dry"}], id="empty columns and rows"),
        pytest.param(
            "topic\nTea, black\nMilk; cold\n", {}, [{"topic": "Tea, black"}, {"topic": "Milk; cold"}], id="one column"
        ),
        pytest.param(
            "Tea\nMilk, cold\n", {"header": "topic"}, [{"topic": "Tea"}, {"topic": "Milk, cold"}], id="a list"
        ),
        pytest.param(
            "a;x\nb, c;y\n",
            {"header": "topic,tone"},
            [{"topic": "a", "tone": "x"}, {"topic": "b, c", "tone": "y"}],
            id="a list of two",
        ),
        pytest.param(
            "Name\ta\nTea\tx\n",
            {"header": "topic,tone", "header_row": 1},
            [{"topic": "Tea", "tone": "x"}],
            id="other names",
        ),
        pytest.param(
            "topic,tone\nMy Title,Who\na,dry\n",
            {"mapped": ["topic=My Title", "tone=who"]},
            [{"topic": "a", "tone": "dry"}],
            id="the named columns",
        ),
        pytest.param(
            "Name,Tone\nName,Tone\na,dry\n",
            {"mapped": ["topic=Name"], "header_row": 2},
            [{"topic": "a", "tone": "dry"}],
            id="by its line",
        ),
        pytest.param(
            "topic,topic\na,b\n",
            {"mapped": ["topic=topic.1"], "extra": "none"},
            [{"topic": "b"}],
            id="the second of a name",
        ),
        pytest.param(",topic\n0,a\n", {"extra": "none"}, [{"topic": "a"}], id="an index is left out"),
        pytest.param(
            "kind,topic\narticle,a\nkind,topic\narticle,b\n",
            {},
            [{"topic": "a"}, {"topic": "b"}],
            id="files put together",
        ),
        pytest.param(
            f"tone,topic\ndry,a{BOM}tone,topic\nwet,b\n",
            {},
            [{"tone": "dry", "topic": "a"}, {"tone": "wet", "topic": "b"}],
            id="without a line end",
        ),
        pytest.param("topic\ntopic\n", {}, [{"topic": "topic"}], id="one cell is no header again"),
        pytest.param(f"topic\na{BOM}b\n", {}, [{"topic": f"a{BOM}b"}], id="a mark within a text stays"),
        pytest.param('topic\n"a\n\n\nb"\n', {}, [{"topic": "a\n\n\nb"}], id="empty lines within quotes"),
    ],
)
def test_a_header_is_found(take: Take, text: str, choice: dict[str, Any], requests: list[dict[str, Any]]) -> None:
    taken = take(text.encode(), columns=columns_of(**choice), kind="article")
    assert (taken.faults, taken.requests) == ([], requests)


@pytest.mark.parametrize(
    ("text", "choice", "message"),
    [
        pytest.param("Tea\nMilk\n", {}, "'Tea', has no name of a field .* --header topic", id="a list"),
        pytest.param(
            "Keyword Stats\nMay 1, 2025 - May 30, 2026\nKeyword\tVolume\tBid\ntea\t5\t1\nmug\t6\t2\n",
            {},
            r"Its columns are Keyword, Volume, Bid\.",
            id="a title line with commas",
        ),
        pytest.param(
            "Top queries\ntea\nmug\n",
            {},
            "'Top queries', has no name .* is the header, say which field it is, such as --map 'topic=Top queries'$",
            id="one column",
        ),
        pytest.param(
            "Name,Colour\na,b\n", {}, "Its columns are Name, Colour. The fields of article are topic", id="others"
        ),
        pytest.param("Name,Colour\na,b\n", {}, "such as --map topic=Name; --extra metadata", id="with a remedy"),
        pytest.param("topic,Topic\na,b\n", {}, "'topic' twice: .* --map topic=Topic.1|'topic' twice", id="twice"),
        pytest.param("topic\na\n", {"header_row": 7}, "--header-row 7: the file has fewer lines", id="too few lines"),
        pytest.param("'topic','tone'\n'a','b'\n", {}, "quoted with apostrophes", id="other quotes"),
    ],
)
def test_a_header_that_is_not_found_is_an_error_with_its_remedy(
    take: Take, text: str, choice: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        take(text.encode(), columns=columns_of(**choice), kind="article")


def test_columns_without_a_name_and_of_the_same_name_are_told_apart(take: Take) -> None:
    taken = take(b"topic,Notes,,Notes\na,b,c,d\n", columns=columns_of(extra="metadata"), kind="article")
    assert taken.rows[0].metadata == {"Notes": "b", "Unnamed: 2": "c", "Notes.1": "d"}


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_the_index_of_a_data_frame_is_named(take: Take, name: str) -> None:
    taken = take(f"{name},topic\n0,a\n1,b\n".encode(), kind="article")
    assert taken.faults == [(2, "unknown_field", "Unnamed: 0"), (3, "unknown_field", "Unnamed: 0")]
    assert (
        "it looks like the index of a data frame: write the file without it (index=False)"
        in taken.accepted.faults[0].message
    )
