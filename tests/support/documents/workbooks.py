"""A small workbook, written part by part, with what a program that writes it anew would lose."""

import io
import zipfile

RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHEET = (
    f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n<worksheet xmlns="{MAIN}"><dimension ref="A1:D5"/>'
    '<cols><col min="1" max="1" width="40" customWidth="1"/></cols><sheetData>'
    '<row r="1" spans="1:4"><c r="A1" t="s"><v>0</v></c><c r="B1" s="2" t="s"><v>1</v></c><c r="C1" t="s"><v>2</v></c>'
    '<c r="D1" t="inlineStr"><is><t>Note</t></is></c></row>'
    '<row r="2" spans="1:4" ht="30"><c r="A2" t="s"><v>3</v></c><c r="B2" s="5" t="s"><v>4</v></c><c r="C2" s="7"/>'
    '<c r="D2"><v>12</v></c></row>'
    '<row r="3"><c r="A3" t="s"><v>5</v></c><c r="B3" t="inlineStr"><is><t>Bye_x000D_</t>'
    '<rPh><t>no</t></rPh></is></c><c r="C3" t="str">'
    "<f>A1&amp;B1</f><v>x</v></c></row>"
    '<row r="4"><c r="B4"><v>42</v></c></row>'
    '<row><c/><c t="s"><v>6</v></c></row>'
    "</sheetData><mergeCells/></worksheet>"
)
STRINGS = (
    f'<sst xmlns="{MAIN}" count="7" uniqueCount="7"><si><t>key</t></si><si><t>en</t></si><si><t>fr</t></si><si><t>hello</t></si>'
    '<si><r><rPr><b/></rPr><t>Hello</t></r><r><t xml:space="preserve"> %s</t></r><rPh><t>no</t></rPh></si>'
    "<si><t>bye</t></si><si><t>More</t></si></sst>"
)


def workbook(sheet: str = SHEET, **others: str) -> bytes:
    """A workbook with a table, a hidden sheet, a sheet without a source, and a drawing that only its program knows."""
    names = {"Texts": "visible", "Hidden": "hidden", "Sums": "visible"}
    sheets = "".join(
        f'<sheet name="{name}" sheetId="{n}" state="{state}" r:id="rId{n}"/>'
        for n, (name, state) in enumerate(names.items(), 1)
    )
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in (1, 2, 3)
    )
    sums = f'<worksheet xmlns="{MAIN}"><sheetData><row r="1"><c r="A1" t="s"><v>3</v></c></row></sheetData></worksheet>'
    parts = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": (
            f'<Relationships><Relationship Id="r" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships>{links}<Relationship Id="rId9" Type="{RELATIONS}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
            "</Relationships>"
        ),
        "xl/worksheets/sheet1.xml": sheet,
        "xl/worksheets/sheet2.xml": sheet,
        "xl/worksheets/sheet3.xml": sums,
        "xl/sharedStrings.xml": STRINGS,
        "xl/drawings/shape1.xml": "<shape>only its program knows it</shape>",
        **others,
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"a comment"
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 2, 2, 2, 2, 2)), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    """The members of an archive, whose sums are checked."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}
