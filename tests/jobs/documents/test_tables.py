"""Shows string tables in CSV: columns by headers, all languages in one run, and nothing changed but cells of translations."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents.document import State
from jobs.documents.source import Columns, Options
from jobs.documents.tables.columns import NoColumn, layout_of
from jobs.documents.tables.delimited import CsvFormat
from jobs.errors import DocumentError
from tests.support.documents.reading import read, translated

CSV = CsvFormat()
BOTH = Options(target_languages=("fr", "de"))
TABLE = (
    'key;"Source";Max length;fr;Comment;German\r\n'
    'hi;"Hello; you";20;;"on top";"Hallo"\r\n'
    "bye;Good bye;;;;\r\n"
    ";;;;;\r\n"
    "\r\n"
    "n;42;;;;\r\n"
    'two;"Two\r\nlines";;"";;'
)


def test_a_table_with_a_column_a_language() -> None:
    found = read(CSV, TABLE, BOTH)
    assert [(one.id, one.language, one.text, one.context, one.most, one.target, one.state) for one in found] == [
        ("hi", "fr", "Hello; you", "on top", 20, "", State.NEW),
        ("hi", "de", "Hello; you", "on top", 20, "Hallo", State.DONE),
        ("bye", "fr", "Good bye", "", None, "", State.NEW),
        ("bye", "de", "Good bye", "", None, "", State.NEW),
        ("two", "fr", "Two\r\nlines", "", None, "", State.NEW),
        ("two", "de", "Two\r\nlines", "", None, "", State.NEW),
    ]
    new = {
        ("hi", "fr"): "Bonjour",
        ("hi", "de"): "Hallo",
        ("bye", "de"): 'Auf "Wieder";sehen',
        ("two", "fr"): "Deux\nlignes",
    }
    made = translated(CSV, TABLE, new, BOTH).decode()
    assert made == (
        TABLE.replace('20;;"on top"', '20;"Bonjour";"on top"')
        .replace("bye;Good bye;;;;", 'bye;Good bye;;;;"Auf ""Wieder"";sehen"')
        .replace(';;"";;', ';;"Deux\r\nlignes";;')
    )
    assert translated(CSV, TABLE, {}, BOTH).decode() == TABLE


def test_a_text_that_is_its_own_translation_is_written() -> None:
    assert translated(CSV, "en,fr\nOK,\n", {"OK": "OK"}, Options(target_languages=("fr",))) == b"en,fr\nOK,OK\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        pytest.param("\ufeffsource,fr\nOne,\n", "utf-8", id="byte order mark"),
        pytest.param("source\tfr\rOne\t\r", "utf-8", id="tabs and carriage returns"),
        pytest.param("sep=#\nsource#fr\nOne#\n", "utf-8", id="a line that tells the delimiter"),
        pytest.param("\n\nsource|fr\nOne|\nOther|", "utf-8", id="blank lines first"),
        pytest.param("source,fr\nOne\nOther,x\n", "utf-8", id="short row"),
        pytest.param('a,source,b,fr,c\r\nx,One,5" pipe,,\n"y",Other,"1\n2",,\r', "utf-8", id="mixed line ends"),
        pytest.param("\ufeffsource;fr\nOne;\n", "utf-16-le", id="UTF-16"),
        pytest.param("source;fr;\u00e9\nOne;;\u2019\n", "cp1252", id="an older encoding"),
    ],
)
def test_all_else_stays(data: str, encoding: str) -> None:
    options = Options(target_languages=("fr",), encoding=None if data[0] == "\ufeff" else encoding)
    raw = data.encode(encoding)
    assert read(CSV, raw, options, with_done=False)[0].text == "One"
    made = translated(CSV, raw, {"One": "Un"}, options)
    assert len(made) in (len(raw) + len("Un".encode(encoding)), len(raw) + len(",Un"))
    assert (
        made.decode(encoding).replace("Un", "", 1).replace("One,\n", "One\n" if "One\n" in data else "One,\n") == data
    )
    assert read(CSV, made, options)[0].target == "Un"


def test_a_short_row_gets_the_cells_up_to_its_translation() -> None:
    options = Options(target_languages=("fr", "de", "es"))
    data = "source,fr,x,de,es\nOne\nTwo,Deux\n"
    assert translated(CSV, data, {("1", "de"): "Eins"}, options) == b"source,fr,x,de,es\nOne,,,Eins\nTwo,Deux\n"
    assert translated(CSV, data, {("2", "es"): "Dos"}, options) == b"source,fr,x,de,es\nOne\nTwo,Deux,,,Dos\n"


def test_a_language_without_a_column_gets_one_if_asked() -> None:
    data = "key,source\r\na,One\r\nb,\r\n\r\nc\r\n"
    options = Options(target_languages=("fr", "pt-BR"))
    with pytest.raises(DocumentError, match="line 1: no column is for 'fr'; the columns are 'key', 'source': name a"):
        read(CSV, data, options)
    options = Options(target_languages=("fr", "pt-BR"), columns=Columns(appends=True))
    made = translated(CSV, data, {("a", "pt-BR"): "Um, dois"}, options).decode()
    assert made == 'key,source,fr,pt-BR\r\na,One,,"Um, dois"\r\nb,,,\r\n\r\nc,,,\r\n'
    assert translated(CSV, made, {("a", "fr"): "Un"}, options).decode() == made.replace("One,,", "One,Un,")


@pytest.mark.parametrize(
    ("source", "text", "wanted"),
    [
        ("Add", "=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("Minus five", "-5", "'-5"),
        ("- an item", "- eine Sache", "- eine Sache"),
        ("- an item", "=1+1", "'=1+1"),
        ("@handle says", "@handle sagt", "@handle sagt"),
        ("Steps\n- one", "Schritte\n- eins", '"Schritte\n- eins"'),
        ("Steps; one", "Schritte;=eins()", "Schritte;'=eins()"),
        ("It's", "'tis", "'tis"),
    ],
)
def test_no_translation_becomes_a_formula(source: str, text: str, wanted: str) -> None:
    cell = f'"{source}"' if "\n" in source else source
    made = translated(CSV, f"en,fr\n{cell},\n", {"1": text}, Options(target_languages=("fr",))).decode()
    assert made == f"en,fr\n{cell},{wanted}\n"


def test_a_message_of_icu_has_the_forms_of_each_language() -> None:
    data = 'en,pl,ja\n"{n, plural, one {# file} other {# files}}",,\n'
    options = Options(source_language="en", target_languages=("pl", "ja"))
    found = read(CSV, data, options)
    assert [(one.id, one.language) for one in found] == [
        *((f"1[n={form}]", "pl") for form in ("one", "few", "many", "other")),
        ("1[n=other]", "ja"),
    ]
    made = translated(CSV, data, {("1[n=other]", "ja"): "#個"}, options).decode()
    assert made == data.replace(",,\n", ',,"{n, plural, other {#個}}"\n')


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param("", "it has no headers: name the columns in the first line", id="empty"),
        pytest.param(
            "a,b\n1,2\n", "line 1: no column is the source; the columns are 'a', 'b': call it 'source'", id="no source"
        ),
        pytest.param('source,fr\n"One,\n', "line 2: a quote is not closed: close it, or double it", id="open quote"),
        pytest.param("source,fr\nOne\x00,\n", "line 2: it holds binary data", id="binary"),
        pytest.param(b"source,fr\nOn\xe9,\n", "line 2: it is not valid utf-8: save it as UTF-8", id="encoding"),
        pytest.param(
            'source,fr\n"' + "x\n" * 3_000_000, "line 2: a quote is not closed within 4 MiB", id="endless quote"
        ),
    ],
)
def test_bad_tables_are_refused_with_a_sentence(data: str | bytes, said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read(CSV, data, Options(target_languages=("fr",)))
    assert said in str(refused.value)


def test_a_translation_may_not_lose_a_placeholder() -> None:
    with pytest.raises(DocumentError, match="line 2: segment 1: the translation lost '%s'"):
        translated(CSV, "en,fr\nHi %s,\n", {"1": "Salut"}, Options(target_languages=("fr",)))


HEADERS = [
    "Key",
    "English (en)",
    "fr_CA",
    "Deutsch",
    "Portuguese (Brazil)",
    "zh-Hans",
    "Simplified Chinese",
    "pt",
    "Note",
]


@pytest.mark.parametrize(
    ("languages", "wanted"),
    [
        (("fr-CA",), [("fr-CA", 2)]),
        (("de", "de-AT"), None),
        (("de-AT",), [("de-AT", 3)]),
        (("pt-BR", "pt"), [("pt-BR", 4), ("pt", 7)]),
        (("zh-CN",), [("zh-CN", 5)]),
        (("zh-TW",), None),
        (("fr",), None),
    ],
)
def test_headers_name_languages(languages: tuple[str, ...], wanted: list[tuple[str, int]] | None) -> None:
    options = Options(source_language="en", target_languages=languages)
    if wanted is None:
        with pytest.raises(NoColumn, match=f"no column is for '{languages[-1]}'"):
            layout_of(HEADERS, options)
        return
    found = layout_of(HEADERS, options)
    assert (found.source, found.key, found.context, list(found.targets)) == (1, 0, 8, wanted)


def test_a_column_of_another_script_is_none_of_the_language() -> None:
    options = Options(source_language="en", target_languages=("zh-TW",))
    with pytest.raises(NoColumn):
        layout_of(["en", "zh"], options)
    assert layout_of(["en", "zh", "zh-Hant"], options).targets == (("zh-TW", 2),)


def test_columns_are_named() -> None:
    chosen = Columns(source="Text", targets=(("fr", "B"),), key="nr", context="about", most="n")
    headers = ["nr", "text", "B", "about", "n", "fr"]
    found = layout_of(headers, Options(target_languages=("fr",), columns=chosen))
    assert (found.source, found.targets, found.key, found.context, found.most) == (1, (("fr", 2),), 0, 3, 4)
    with pytest.raises(NoColumn, match="no column is called 'txt': did you mean text\\?"):
        layout_of(headers, Options(target_languages=("fr",), columns=Columns(source="txt")))
    assert layout_of(["original", "translation"], Options(target_language="fr")).targets == (("fr", 1),)


CELLS = st.text(st.sampled_from("ab,;\"'\n\r é😀\t="), max_size=6)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    delimiter=st.sampled_from(",;\t"),
    text=CELLS.filter(lambda one: bool(one.strip())),
)
def test_the_standard_library_reads_what_was_written(
    rows: list[tuple[str, str, str]], quoting: int, delimiter: str, text: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\r\n")  # type: ignore[arg-type]
    writer.writerows([("id", "source", "fr"), *rows])
    options = Options(target_languages=("fr",))
    data = out.getvalue()
    found = {one.id: one for one in read(CSV, data, options, with_done=False)}
    made = translated(CSV, data, dict.fromkeys(found, f"x{text}x"), options).decode()
    before, after = (list(csv.reader(io.StringIO(one, newline=""), delimiter=delimiter)) for one in (data, made))
    assert len(before) == len(after)
    changed = [one for one, two in zip(before, after, strict=True) if one != two]
    assert len(changed) == len(found)
    assert all(one[:2] == two[:2] and one[3:] == two[3:] for one, two in zip(before, after, strict=True))
    assert not read(CSV, made, options, with_done=False)
