"""Glossary files: both forms of a table, TBX, encodings, and refusals that name the file, the line, the column and the remedy."""

import io
from itertools import islice
from pathlib import Path

import pytest

from jobs.errors import DocumentError, RequestError
from jobs.exchange.tbx import Term, TermEntry, TermStatus, write_tbx
from jobs.terms import files
from jobs.terms.concept import Concept, ConceptTerm, Status
from jobs.terms.files import parse_glossary, read_glossary
from jobs.terms.tables import Languages

EN_DE = Languages("en", "de")
P, A, F, K = Status.PREFERRED, Status.ADMITTED, Status.FORBIDDEN, Status.KEPT


def concepts(text: str | bytes, languages: Languages = EN_DE) -> list[Concept]:
    return list(parse_glossary(text.encode() if isinstance(text, str) else text, "x.csv", languages).concepts)


def pairs(text: str | bytes, languages: Languages = EN_DE) -> list[list[str]]:
    return [[term.text for term in one.terms] for one in concepts(text, languages)]


def test_a_table_of_sources_and_targets() -> None:
    table = (
        "source,target,status,case sensitive,note\n"
        "invoice,Rechnung|Faktura,,,\n"
        "US,USA,approved,yes,the country\n"
        "mobile phone,Handy,forbidden,,\n"
        ",Kunde,forbidden,,\n"
        "Nightpress,,do not translate,,\n"
        "later,,,,not yet\n"
    )
    glossary = parse_glossary(table.encode(), "x.csv", EN_DE)
    assert glossary.untranslated == 1
    assert list(glossary.concepts) == [
        Concept(
            2,
            (ConceptTerm("en", "invoice", P), ConceptTerm("de", "Rechnung", P), ConceptTerm("de", "Faktura", A)),
            "en",
        ),
        Concept(3, (ConceptTerm("en", "US", P, True), ConceptTerm("de", "USA", P, True)), "en"),
        Concept(4, (ConceptTerm("en", "mobile phone", F), ConceptTerm("de", "Handy", F)), "en"),
        Concept(5, (ConceptTerm("de", "Kunde", F),), None),
        Concept(6, (ConceptTerm("en", "Nightpress", K, True),), "en"),
    ]


def test_a_table_with_a_column_a_language() -> None:
    table = "English,pt_BR,zh-Hant,Status,Comment\ninvoice,fatura,發票,,\nbill,,,,\nword,,單詞,deprecated,\n"
    assert concepts(table) == [
        Concept(2, (ConceptTerm("en", "invoice"), ConceptTerm("pt-BR", "fatura"), ConceptTerm("zh-Hant", "發票"))),
        Concept(4, (ConceptTerm("en", "word", F), ConceptTerm("zh-Hant", "單詞", F)), "en"),
    ]


def test_languages_may_stand_in_columns() -> None:
    table = "source,target,source_language,target_language\ninvoice,Rechnung,en,de\ninvoice,facture,en-GB,fr_CA\n"
    assert [[term.language for term in one.terms] for one in concepts(table, Languages())] == [
        ["en", "de"],
        ["en-GB", "fr-CA"],
    ]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("source;target\ninvoice;Rechnung\n", id="semicolons"),
        pytest.param("source\ttarget\ninvoice\tRechnung\n", id="tabs"),
        pytest.param("source|target\ninvoice|Rechnung\n", id="bars"),
        pytest.param("sep=;\nsource;target\ninvoice;Rechnung\n", id="the first line of Excel"),
        pytest.param("\n\n,\nsource,target\ninvoice,Rechnung\n\n , \n", id="blank lines"),
        pytest.param('"source","target"\r\n"invoice","Rechnung"\r\n', id="quotes and line ends of Windows"),
        pytest.param("source,target\ninvoice,Rechnung", id="no last line end"),
        pytest.param("Source Term,Translation\n  invoice ,\u00a0Rechnung \n", id="spaces around cells"),
        pytest.param("\ufeffsource,target\ninvoice,Rechnung\n", id="byte order mark"),
        pytest.param("source,target\n\u200finvoice\u200e,\u2067Rechnung\u2069\n", id="marks of direction"),
        pytest.param("source,target\ninvoice,Rechnung|Rechnung\n", id="a translation twice"),
        *[
            pytest.param("\ufeffsource,target\ninvoice,Rechnung\n".encode(encoding), id=encoding)
            for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
        ],
    ],
)
def test_tables_as_programs_write_them(data: str | bytes) -> None:
    assert pairs(data) == [["invoice", "Rechnung"]]


def test_cells_may_hold_delimiters_quotes_and_letters_of_any_script() -> None:
    table = 'source,target\n"a, b","c ""d"" e"\n"فاتورة","חשבונית"\n'
    assert pairs(table) == [["a, b", 'c "d" e'], ["فاتورة", "חשבונית"]]


LONG = "x" * 201


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param("", "x.csv: it is empty: give it a header such as source,target", id="empty"),
        pytest.param("\n\n", "it is empty", id="blank"),
        pytest.param("invoice,Rechnung\n", "line 1: the column 'invoice' is not known: name it source", id="no header"),
        pytest.param("source,targt\n", "the column 'targt' is not known: did you mean target?: name it", id="misspelt"),
        pytest.param("source,key\na,b\n", "the column 'key' is not known", id="a word of three letters is no language"),
        pytest.param("no header\n", "the column 'no header' is not known", id="words are no language"),
        pytest.param("en,de note\na,b\n", "the column 'de note' is not known", id="a note is no script"),
        pytest.param("en,id\na,b\n", "line 1: the column 'id' may be a number or Indonesian: name it id-ID", id="id"),
        pytest.param("source,Source\n", "the header has the column 'Source' twice: remove", id="column twice"),
        pytest.param("en,english\n", "has the column 'english' twice", id="language twice"),
        pytest.param("source,target,de\n", "has the language 'de' beside source or target: give", id="both forms"),
        pytest.param("target,note\n", "has no column source, and none of a language", id="no source"),
        pytest.param(
            "source,target\n\na,b,c\n", "line 3: it has 3 cells, and the header 2: put a cell", id="too many cells"
        ),
        pytest.param("source,target\na,b\n,c\n", "line 3: the source is empty: give the term", id="empty source"),
        pytest.param(f"source,target\n{LONG},b\n", "line 2: the column 'source': ", id="too long"),
        pytest.param(
            'source,target\n"a\nb",c\n',
            "line 2: the column 'source': 'a\\nb' has a line break: remove it",
            id="line break",
        ),
        pytest.param("source,target\na\x07,b\n", "'a\\x07' has a control character: remove", id="control character"),
        pytest.param("source,target\na\ue000,b\n", "has a control character", id="private use"),
        pytest.param(
            "source,target\n--,b\n", "'--' has no letter or digit, so it cannot be found: remove", id="no letter"
        ),
        pytest.param(
            "source,target,status\na,b,nice\n",
            "the status 'nice' is not known: give one of preferred, admitted",
            id="status",
        ),
        pytest.param(
            "source,target,status\na,,forbidden\n", "a forbidden line has no target", id="forbidden without target"
        ),
        pytest.param(
            "source,target,status\na,b,dnt\n",
            "'a' is not to be translated, and has the target 'b'",
            id="name with target",
        ),
        pytest.param(
            "source,target,case_sensitive\na,b,maybe\n", "case_sensitive is 'maybe': give true or false", id="case"
        ),
        pytest.param(
            "source,target,target_language\na,b,klingon\n", "has 'klingon', which is not a language tag", id="language"
        ),
        pytest.param(
            'source,target\na,"b\nc,d\n', "line 2: a quote is opened and never closed: close it", id="open quote"
        ),
        pytest.param('source,target\na,"b"c\n', "line 2: it is not a row of a CSV", id="text after a quote"),
        pytest.param(
            'source,target\na,"' + "b\n" * 70_000, "line 2: a quote is opened and never closed", id="long open quote"
        ),
        pytest.param(
            "source,target\na,é\n".encode("cp1252"), "line 2: it is not valid UTF-8: save it as UTF-8", id="windows"
        ),
        pytest.param(
            "source,target\na,b\n".encode("utf-16-le"),
            "as UTF-16 without a mark does: save it as UTF-8",
            id="utf-16 without mark",
        ),
        pytest.param("source,target\na\0,b\n", "line 2: it holds a byte that is zero", id="zero byte"),
        pytest.param(b"\xff\xfes\0o\0\0\xd8\n\0", "it is not valid UTF-16-LE", id="broken utf-16"),
        pytest.param(b"PK\x03\x04...", "it is a spreadsheet or an archive: save it as CSV in UTF-8", id="xlsx"),
        pytest.param(
            "source,target\na," + "|".join(f"b{n}" for n in range(21)) + "\n",
            "has 21 translations: give at most 20",
            id="too many translations",
        ),
        pytest.param("<html></html>", "its first element is 'html', not martif or tbx", id="html"),
        pytest.param("<martif><termEntry></martif>", "it is not valid XML", id="broken xml"),
    ],
)
def test_a_file_that_is_not_valid_is_refused(data: str | bytes, message: str) -> None:
    with pytest.raises(DocumentError) as raised:
        concepts(data)
    assert str(raised.value).startswith("x.csv")
    assert message in str(raised.value)


def test_the_languages_must_be_known() -> None:
    with pytest.raises(DocumentError, match="line 2: the languages of the term are not known: add the columns"):
        concepts("source,target\na,b\n", Languages("en", None))


def test_a_file_has_at_most_so_many_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_CONCEPTS", 1_000)
    table = "source,target\n" + "".join(f"term {n},Begriff {n}\n" for n in range(1_000_000))
    with pytest.raises(DocumentError, match=r"line 1002: it has more than 1,000 terms: split it"):
        concepts(table)


@pytest.mark.parametrize("style", ["dca", "dct", "martif"])
def test_tbx(style: str) -> None:
    entries = [
        TermEntry(
            (
                Term("en", "invoice"),
                Term("de", "Faktura", TermStatus.ADMITTED),
                Term("de_DE", "Rechnung", TermStatus.PREFERRED),
                Term("de", "Beleg", TermStatus.DEPRECATED),
            )
        )
    ]
    file = io.BytesIO()
    write_tbx(file, entries, style=style)  # type: ignore[arg-type]
    (one,) = concepts(file.getvalue())
    assert set(one.terms) == {
        ConceptTerm("en", "invoice", P),
        ConceptTerm("de", "Faktura", A),
        ConceptTerm("de-DE", "Rechnung", P),
        ConceptTerm("de", "Beleg", F),
    }


def test_a_language_of_tbx_must_be_one() -> None:
    entry = '<termEntry><langSet xml:lang="xx-yy-zz-1"><tig><term>a</term></tig></langSet></termEntry>'
    data = f"<martif><text><body>{entry}</body></text></martif>"
    with pytest.raises(DocumentError, match="line 1: a section has the language 'xx-yy-zz-1'"):
        concepts(data)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"the glossary .*none\.csv cannot be read: No such file"):
        read_glossary(tmp_path / "none.csv")


def test_a_file_has_a_hash_and_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("source,target\n" + "".join(f"term {n},Begriff {n}\n" for n in range(20_000)))
    glossary = read_glossary(path, EN_DE)
    assert len(glossary.sha256) == 64
    assert [one.line for one in islice(glossary.concepts, 3)] == [2, 3, 4]
    assert len(glossary.concepts) == 20_000
