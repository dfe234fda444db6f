"""Shows jobs/exchange/tmx.py: memories are read unit by unit, and what is written reads back."""

import io
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import DocumentError
from jobs.exchange.tmx import TmxUnit, TmxVariant, read_tmx, write_tmx
from jobs.marks.grammar import find_marks
from jobs.marks.mark import Mark, Role

MEMORY = """<?xml version="1.0"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header creationtool="x" creationtoolversion="1" segtype="sentence" o-tmf="x" adminlang="en"
 srclang="en-GB" datatype="html"><prop type="p">of the header</prop></header><body>
<tu tuid="7" changedate="20260102T030405Z" creationid="ann"><note> A note </note><prop type="x-context">Menu</prop>
 <tuv xml:lang="en-GB">
  <seg>Say <bpt i="1" type="bold">&lt;b&gt;</bpt>hello<ept i="1">&lt;/b&gt;</ept> &amp; go<ph x="2"/></seg></tuv>
 <tuv xml:lang="fr" changedate="20270102T030405Z" changeid="bob"><prop type="q">r</prop>
  <seg><hi type="term">Salut</hi> <it pos="begin">{i}<sub>x</sub></it></seg></tuv></tu>
<tu srclang="*all*"><tuv lang="EN"><seg/></tuv></tu>
</body></tmx>
"""


def read(data: str | bytes) -> list[TmxUnit]:
    """The units of a memory."""
    return list(read_tmx(io.BytesIO(data.encode() if isinstance(data, str) else data), "m.tmx"))


def written(units: list[TmxUnit], source_language: str = "*all*") -> bytes:
    """A memory of these units."""
    out = io.BytesIO()
    assert write_tmx(out, units, source_language=source_language) == len(units)
    return out.getvalue()


def test_units_of_a_memory() -> None:
    first, second = read(MEMORY)
    assert (first.id, first.source_language, first.notes, first.properties) == (
        "7",
        "en-GB",
        ("A note",),
        {"x-context": "Menu"},
    )
    english, french = first.variants
    assert english.text == 'Say <b>hello</b> & go<ph x="2"/>'
    assert [(one.text, one.role) for one in english.marks] == [
        ("<b>", Role.OPENS),
        ("</b>", Role.CLOSES),
        ('<ph x="2"/>', Role.ALONE),
    ]
    assert all(english.text[one.start : one.end] == one.text for one in english.marks)
    assert (english.changed, english.author) == ("20260102T030405Z", "ann")
    assert french.text == '<hi type="term">Salut</hi> {i}x'
    assert [one.role for one in french.marks] == [Role.OPENS, Role.CLOSES, Role.ALONE]
    assert (french.changed, french.author, french.properties) == ("20270102T030405Z", "bob", {"q": "r"})
    assert (second.source_language, second.variants) == ("*all*", (TmxVariant("EN", ""),))


def test_what_is_written_reads_back() -> None:
    units = read(MEMORY)
    data = written(units, "en-GB")
    again = read(data)
    assert [one.variants for one in again] == [one.variants for one in units]
    assert [(one.id, one.notes, one.properties, one.source_language) for one in again] == [
        (one.id, one.notes, one.properties, one.source_language) for one in units
    ]
    assert b'<hi type="term">Salut</hi>' in data
    assert b'<ph x="2"/>' in data
    assert b'<bpt i="3">&lt;b&gt;</bpt>hello<ept i="3">' in data


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "iso-8859-1", "cp1252"])
def test_encodings(encoding: str) -> None:
    declared = encoding.replace("-sig", "").replace("-be", "").replace("cp", "windows-")
    data = MEMORY.replace('<?xml version="1.0"?>', f'<?xml version="1.0" encoding="{declared}"?>')
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    assert [one.id for one in read((mark + data.replace("Salut", "Été")).encode(encoding))] == ["7", ""]
    assert (
        read((mark + data.replace("Salut", "Été")).encode(encoding))[0]
        .variants[1]
        .text.startswith('<hi type="term">Été')
    )


def test_marks_that_are_not_nested_stand_alone() -> None:
    early = '<ept i="1">a</ept><bpt i="1">b</bpt>'
    (unit,) = read(f'<tmx><body><tu><tuv xml:lang="en"><seg>{early}</seg></tuv></tu></body></tmx>')
    assert {one.role for one in unit.variants[0].marks} == {Role.ALONE}
    assert read(written([unit]))[0].variants == unit.variants
    crossed = 'a<bpt i="1">{b</bpt>c<ept i="2">}</ept>d<ept i="1">]</ept>'
    (unit,) = read(f'<tmx><body><tu><tuv xml:lang="en"><seg>{crossed}</seg></tuv></tu></body></tmx>')
    assert {one.role for one in unit.variants[0].marks} == {Role.ALONE}
    assert read(written([unit]))[0].variants == unit.variants


@given(
    text=st.lists(
        st.sampled_from(
            [
                "<b>",
                "</b>",
                "%s",
                "{x}",
                "&amp;",
                " a ",
                "<hi>",
                "</hi>",
                '<ph x="1"/>',
                '<bpt i="1"/>',
                "é\r\n",
                "😀",
                "]]>",
            ]
        )
    ).map("".join)
)
def test_texts_with_marks_survive(text: str) -> None:
    variant = TmxVariant("en", text, find_marks(text))
    data = written([TmxUnit((variant,))])
    ET.fromstring(data)
    (again,) = read(data)
    assert again.variants[0].text == text
    assert [one.text for one in again.variants[0].marks] == [one.text for one in variant.marks]


def test_what_xml_cannot_hold_is_left_out() -> None:
    data = written([TmxUnit((TmxVariant('e"n\n', "a\x00b\ud800c\ufffe", (Mark(0, 1, "a\x01"),)),), id='"<&')])
    (unit,) = read(data)
    assert unit.variants[0].text == "abc"
    assert unit.id == '"<&'


def test_a_large_memory_streams() -> None:
    class Endless(io.RawIOBase):
        """A memory that is made as it is read."""

        made = 0

        def read(self, size: int = -1) -> bytes:
            self.made += 1
            if self.made == 1:
                return b"<tmx><body>"
            unit = f'<tu><tuv xml:lang="en"><seg>{self.made} {"word " * 2000}</seg></tuv></tu>'
            return (unit * 6).encode() if self.made < 400 else b"</body></tmx>" if self.made == 400 else b""

    endless, first = Endless(), None
    for unit in read_tmx(endless):  # type: ignore[arg-type]
        first = first or (endless.made, unit)
        last = unit
    assert last.variants[0].text.startswith("399 ")
    assert first is not None
    assert first[0] < 4, "the first unit comes before the file is read"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param("", "no element found", id="empty"),
        pytest.param("{}", "line 1: it is not valid XML", id="not XML"),
        pytest.param("<tmx><body><tu>", "no element found", id="cut"),
        pytest.param("<xliff/>", "line 1: its first element is 'xliff', not tmx", id="another format"),
        pytest.param("<tmx>\n<tu><tuv><seg/></tuv></tu></tmx>", "line 2: a <tuv> names no language", id="no language"),
        pytest.param('<tmx><tu><tuv xml:lang="en"/></tu></tmx>', "a <tuv> has no <seg>", id="no segment"),
        pytest.param('<!DOCTYPE a [<!ENTITY b "c">]><tmx>&b;</tmx>', "it declares entities", id="entity"),
        pytest.param('<!DOCTYPE a [<!ENTITY % b SYSTEM "c">%b;]><tmx/>', "it declares entities", id="parameter entity"),
        pytest.param('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><tmx/>', "entities", id="outer entity"),
        pytest.param(
            '<!DOCTYPE tmx SYSTEM "x.dtd"><tmx><tu>&b;</tu></tmx>', "the entity &b; is not", id="unknown entity"
        ),
        pytest.param("<tmx>" + "<a>" * 101, "nested more than 100 deep", id="deep"),
        pytest.param("<tmx><tu>" + "<a/>" * 50_000, "holds more than 4 million characters", id="many elements"),
        pytest.param("<tmx><tu><a>" + "x " * 3_000_000, "holds more than 4 million characters", id="long text"),
        pytest.param('<tmx a="' + "x" * 3_000_000, "a tag or comment has more than 1 MiB", id="huge attribute"),
        pytest.param("<tmx><!-- " + "x" * 3_000_000, "a tag or comment has more than 1 MiB", id="huge comment"),
        pytest.param('<?xml version="1.0" encoding="klingon"?><tmx/>', "encoding", id="unknown encoding"),
        pytest.param('<?xml version="1.0" encoding="utf-7"?><tmx/>', "encoding", id="refused encoding"),
    ],
)
def test_bad_files_are_refused_with_a_sentence(data: str, said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read(data)
    assert said in str(refused.value)
    assert str(refused.value).startswith("m.tmx, line ")
