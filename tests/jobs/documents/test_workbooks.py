"""Shows string tables in workbooks: translations go into their cells, and all else in the file keeps its bytes."""

import io
import zipfile

import pytest

from jobs.documents.document import State
from jobs.documents.source import Columns, Options, Source
from jobs.documents.tables.workbook import XlsxFormat
from jobs.errors import DocumentError
from tests.support.documents.reading import read, translated
from tests.support.documents.workbooks import MAIN, SHEET, members, workbook

XLSX = XlsxFormat()
FRENCH = Options(source_language="en", target_languages=("fr",))


def test_the_cells_of_a_workbook() -> None:
    data = workbook()
    found = read(XLSX, data, FRENCH)
    assert [(one.id, one.language, one.text, one.context, one.state) for one in found] == [
        ("Texts!hello", "fr", "Hello %s", "12", State.NEW),
        ("Texts!4", "fr", "More", "", State.NEW),
    ]
    made = translated(XLSX, data, {"Texts!hello": "=<Salut> _x0041_ %s\r\n", "Texts!4": "Plus"}, FRENCH)
    before, after = members(data), members(made)
    assert [one for one in before if before[one] != after[one]] == ["xl/worksheets/sheet1.xml"]
    cell = '<c r="C2" s="7" t="inlineStr"><is><t xml:space="preserve">=&lt;Salut&gt; _x005F_x0041_ %s_x000D_\n</t></is></c>'
    plus = '<c r="C5" t="inlineStr"><is><t xml:space="preserve">Plus</t></is></c>'
    assert after["xl/worksheets/sheet1.xml"].decode() == SHEET.replace('<c r="C2" s="7"/>', cell).replace(
        "<v>6</v></c></row>", f"<v>6</v></c>{plus}</row>"
    )
    assert [(one.id, one.target) for one in read(XLSX, made, FRENCH)] == [
        ("Texts!hello", "=<Salut> _x0041_ %s\r\n"),
        ("Texts!4", "Plus"),
    ]
    assert not read(XLSX, made, FRENCH, with_done=False)


def test_a_text_of_a_cell_is_without_its_reading_aid() -> None:
    sheet = SHEET.replace("<f>A1&amp;B1</f><v>x</v>", "")
    found = {one.id: one.text for one in read(XLSX, workbook(sheet), FRENCH)}
    assert found["Texts!bye"] == "Bye\r"


def test_the_other_members_keep_their_bytes() -> None:
    data = workbook()
    assert translated(XLSX, data, {}, FRENCH) == data
    made = translated(XLSX, data, {"Texts!4": "Plus"}, FRENCH)
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(io.BytesIO(made)) as after:
        assert before.comment == after.comment == b"a comment"
        assert [one.date_time for one in before.infolist()] == [one.date_time for one in after.infolist()]
        for one, two in zip(before.infolist(), after.infolist(), strict=True):
            if one.filename != "xl/worksheets/sheet1.xml":
                first, second = (
                    raw[place.header_offset : place.header_offset + 30 + len(place.filename) + place.compress_size]
                    for raw, place in ((data, one), (made, two))
                )
                assert first == second, one.filename


def test_a_language_without_a_column_gets_one_if_asked() -> None:
    options = Options(target_languages=("fr", "de"), columns=Columns(source="en", appends=True))
    made = translated(XLSX, workbook(), {("Texts!hello", "de"): "Hallo %s"}, options)
    sheet = members(made)["xl/worksheets/sheet1.xml"].decode()
    assert '<dimension ref="A1:E5"/>' in sheet
    assert '<t>Note</t></is></c><c r="E1" t="inlineStr"><is><t xml:space="preserve">de</t></is></c></row>' in sheet
    assert '<row r="2" spans="1:5" ht="30">' in sheet
    assert '<v>12</v></c><c r="E2" t="inlineStr"><is><t xml:space="preserve">Hallo %s</t></is></c></row>' in sheet


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "it is not a workbook, or has a password", id="password"
        ),
        pytest.param(b"key,en,fr\n", "it is not a workbook, or has a password: save it as .xlsx without", id="CSV"),
        pytest.param(workbook()[:-30], "it is not a valid ZIP archive", id="cut"),
        pytest.param(workbook(f'<worksheet xmlns="{MAIN}"><row>'), "a part of it is not valid XML", id="not XML"),
        pytest.param(
            workbook('<!DOCTYPE a [<!ENTITY b "c">]><worksheet/>'), "a part of it declares entities", id="entity"
        ),
        pytest.param(workbook("<worksheet/>"), "no column is the source; the columns are 'hello'", id="no table"),
        pytest.param(
            workbook(SHEET.replace("<v>4</v>", "<v>99</v>")), "the shared text '99', which is missing", id="no text"
        ),
        pytest.param(
            workbook(SHEET.replace('t="s"><v>2</v>', "><v>2</v>")),
            "sheet 'Texts': no column is for 'fr'",
            id="no language",
        ),
    ],
)
def test_bad_workbooks_are_refused_with_a_sentence(data: bytes, said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        list(XLSX.pieces(Source(io.BytesIO(data), "a.xlsx", FRENCH)))
    assert said in str(refused.value)


def test_a_damaged_translation_names_its_cell() -> None:
    with pytest.raises(DocumentError, match="segment Texts!hello: cell C2 of 'Texts': the translation lost '%s'"):
        translated(XLSX, workbook(), {"Texts!hello": "Salut"}, FRENCH)
    with pytest.raises(DocumentError, match="it has more than 32,767 characters"):
        translated(XLSX, workbook(), {"Texts!4": "x" * 40_000}, FRENCH)


def test_another_program_reads_what_was_written() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["id", "source", "French", "Max length", "German", "sum"])
    for n in range(2, 40):
        sheet.append([f"k{n}", f"Text {n} of\nmany", "déjà" if n % 5 == 0 else None, n, None, f"=D{n}*2"])
    sheet["C3"].font = openpyxl.styles.Font(bold=True)
    sheet.column_dimensions["B"].width = 33
    book.create_sheet("Other")["B2"] = "stays"
    out = io.BytesIO()
    book.save(out)
    options = Options(target_languages=("fr", "de"))
    found = read(XLSX, out.getvalue(), options, with_done=False)
    assert len(found) == 38 * 2 - 7
    assert {one.most for one in found} == set(range(2, 40))
    made = translated(XLSX, out.getvalue(), {one.key: f"{one.language}:\n{one.text} &" for one in found}, options)
    after = openpyxl.load_workbook(io.BytesIO(made))
    sheet = after.worksheets[0]
    for n in range(2, 40):
        source = f"Text {n} of\nmany"
        wanted = "déjà" if n % 5 == 0 else f"fr:\n{source} &"
        assert [sheet.cell(n, one).value for one in range(1, 7)] == [
            f"k{n}",
            source,
            wanted,
            n,
            f"de:\n{source} &",
            f"=D{n}*2",
        ]
    assert sheet["C3"].font.b
    assert sheet.column_dimensions["B"].width == 33
    assert after["Other"]["B2"].value == "stays"
