"""Shows jobs/exchange/tbx.py: terms are read in each form of TBX, and what is written reads back."""

import io
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import DocumentError
from jobs.exchange.tbx import Style, Term, TermEntry, TermStatus, read_tbx, write_tbx

MARTIF = """<?xml version='1.0'?>
<!DOCTYPE martif SYSTEM "TBXcoreStructV02.dtd">
<martif type="TBX" xml:lang="en"><martifHeader><fileDesc><sourceDesc><p>x</p></sourceDesc></fileDesc></martifHeader><text><body>
<termEntry id="c1"><descripGrp><descrip type="definition">What  a
 user reads.</descrip><transacGrp><date>2020-01-01</date></transacGrp></descripGrp>
 <langSet xml:lang="en"><ntig><termGrp><term id="t1">front matter</term><termNote type="partOfSpeech">noun</termNote></termGrp>
   <admin type="source">us</admin></ntig></langSet>
 <langSet xml:lang="de"><tig><term>Titelei</term><termNote type="administrativeStatus">preferredTerm-admn-sts</termNote>
   <termNote type="grammaticalGender">feminine</termNote></tig>
  <tig><term>Vorspann</term><termNote type="administrativeStatus">deprecatedTerm-admn-sts</termNote><note>of films</note></tig>
  <tig><term> </term></tig></langSet></termEntry></body></text></martif>
"""
DCA = """<tbx type="TBX-Core" style="dca" xml:lang="en" xmlns="urn:iso:std:iso:30042:ed-2"><tbxHeader/><text><body>
<conceptEntry id="c1"><descrip type="subjectField">books</descrip><note>all</note>
 <langSec xml:lang="en-US"><descrip type="definition">A def.</descrip><termSec><term>page</term>
  <termNote type="normativeAuthorization">admittedTerm</termNote>
  <descripGrp><descrip type="context">Turn the page.</descrip><admin type="source">x</admin></descripGrp></termSec></langSec>
</conceptEntry></body></text></tbx>
"""
DCT = """<tbx type="TBX-Basic" style="dct" xml:lang="en" xmlns="urn:iso:std:iso:30042:ed-2"
 xmlns:min="http://www.tbxinfo.net/ns/min" xmlns:basic="http://www.tbxinfo.net/ns/basic"><tbxHeader/><text><body>
<conceptEntry id="c1"><min:subjectField>books</min:subjectField><langSec xml:lang="fr"><termSec><term>page</term>
 <min:partOfSpeech>noun</min:partOfSpeech><min:administrativeStatus>supersededTerm-admn-sts</min:administrativeStatus>
 <basic:grammaticalGender>feminine</basic:grammaticalGender><basic:context>La page.</basic:context>
</termSec></langSec></conceptEntry></body></text></tbx>
"""


def read(data: str | bytes) -> list[TermEntry]:
    """The entries of a file."""
    return list(read_tbx(io.BytesIO(data.encode() if isinstance(data, str) else data), "t.tbx"))


def test_martif() -> None:
    (entry,) = read(MARTIF)
    assert (entry.id, entry.definition, entry.line) == ("c1", "What a user reads.", 4)
    assert entry.terms == (
        Term("en", "front matter", part_of_speech="noun"),
        Term("de", "Titelei", TermStatus.PREFERRED, gender="feminine"),
        Term("de", "Vorspann", TermStatus.DEPRECATED, note="of films"),
    )
    assert [one.status.is_forbidden for one in entry.terms] == [False, False, True]


def test_the_style_of_attributes() -> None:
    (entry,) = read(DCA)
    assert (entry.subject, entry.definition, entry.note) == ("books", "A def.", "all")
    assert entry.terms == (Term("en-US", "page", TermStatus.ADMITTED, context="Turn the page."),)


def test_the_style_of_elements() -> None:
    (entry,) = read(DCT)
    assert entry.subject == "books"
    assert entry.terms == (Term("fr", "page", TermStatus.SUPERSEDED, "noun", "feminine", context="La page."),)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("Forbidden", TermStatus.DEPRECATED),
        ("not recommended", TermStatus.DEPRECATED),
        ("do not use", TermStatus.DEPRECATED),
        ("obsolete", TermStatus.SUPERSEDED),
        ("deprecatedTerm", TermStatus.DEPRECATED),
        ("Preferred", TermStatus.PREFERRED),
        ("whatever", TermStatus.UNSTATED),
    ],
)
def test_the_words_of_a_status(value: str, wanted: TermStatus) -> None:
    (entry,) = read(DCA.replace("admittedTerm", value))
    assert entry.terms[0].status is wanted


STYLES: list[Style] = ["dca", "dct", "martif"]


@pytest.mark.parametrize("style", STYLES)
@given(
    text=st.text(st.sampled_from("ab &<>\"'é😀]"), min_size=1).map(lambda one: " ".join(one.split())).filter(bool),
    status=st.sampled_from(TermStatus),
)
def test_what_is_written_reads_back(style: Style, text: str, status: TermStatus) -> None:
    terms = (Term("en", text, status, "noun", "neuter", text, text), Term("pt-BR", "x"), Term("pt-BR", text))
    entries = [TermEntry(terms, 'a"<', "field", text, "note"), TermEntry((Term("en", "b"),))]
    out = io.BytesIO()
    assert write_tbx(out, entries, style=style) == 2
    ET.fromstring(out.getvalue())
    first, second = read(out.getvalue())
    assert first.terms == terms
    assert (first.id, first.subject, first.definition, first.note) == ('a"<', "field", text, "note")
    assert (second.id, second.terms) == ("c2", entries[1].terms)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param("<tmx/>", "its first element is 'tmx', not martif or tbx", id="another format"),
        pytest.param(
            "<martif>\n<termEntry><langSet><tig/></langSet></termEntry></martif>",
            'line 2: a <langSet> names no language: add xml:lang="…" to it',
            id="no language",
        ),
        pytest.param('<!DOCTYPE a [<!ENTITY b "c">]><tbx>&b;</tbx>', "it declares entities", id="entity"),
        pytest.param("<tbx><conceptEntry>" + "<a>" * 200, "nested more than 100 deep", id="deep"),
    ],
)
def test_bad_files_are_refused_with_a_sentence(data: str, said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read(data)
    assert said in str(refused.value)
