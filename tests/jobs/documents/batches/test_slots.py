"""Shows jobs/documents/batches/slots.py: a text that cannot stand in its slot stays out, and all others are written."""

import io
from collections.abc import Mapping, Sequence

import pytest

from jobs.documents.batches.slots import DAMAGED, UNENCODABLE, write_slots
from jobs.documents.document import Segment
from jobs.documents.registry import FORMATS
from jobs.documents.source import Options, Source

FR = Options("en", "fr")


def written(
    form: str, data: bytes, translations: Mapping[str, str], options: Options = FR
) -> tuple[bytes, int, list[tuple[str, str]]]:
    """The document with translations by text, how many were written, and the id and code of each that stayed out."""
    faults: list[tuple[str, str]] = []
    out = io.BytesIO()

    def texts(segments: Sequence[Segment], line: int) -> Sequence[str | None]:
        del line
        return [translations.get(one.id, translations.get(one.text)) for one in segments]

    def fault(segment: Segment, line: int, code: str, message: str) -> None:
        assert line
        assert message
        faults.append((segment.id, code))

    count = write_slots(FORMATS[form], Source(io.BytesIO(data), "file", options), texts, fault, out)
    return out.getvalue(), count, faults


def test_one_damaged_text_costs_no_other_and_no_file() -> None:
    data = b'msgid "%d apples"\nmsgstr ""\n\nmsgid "Close"\nmsgstr ""\n\nmsgid "Open"\nmsgstr ""\n'
    made, count, faults = written("po", data, {"%d apples": "pommes", "Close": "Fermer", "Open": " "})
    assert faults == [("1", DAMAGED), ("3", DAMAGED)]
    assert count == 1
    assert made == data.replace(b'"Close"\nmsgstr ""', b'"Close"\nmsgstr "Fermer"')


def test_a_character_that_the_encoding_lacks_costs_its_segment_alone() -> None:
    data = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=ISO-8859-1\\n"\n"Language: pl\\n"\n'
    data += '"Plural-Forms: nplurals=1; plural=0;\\n"\n'
    data += '\nmsgid "Close"\nmsgstr ""\n\nmsgid "Caf\u00e9"\nmsgstr ""\n'
    raw = data.encode("iso-8859-1")
    made, count, faults = written("po", raw, {"Close": "Zamk\u0142o", "Caf\u00e9": "Kawa"}, Options("en", "pl"))
    assert (count, faults) == (1, [("1", UNENCODABLE)])
    assert made == raw.replace(
        '"Caf\u00e9"\nmsgstr ""'.encode("iso-8859-1"), '"Caf\u00e9"\nmsgstr "Kawa"'.encode("iso-8859-1")
    )


def test_of_a_paragraph_with_attributes_the_sound_texts_are_written() -> None:
    data = b'<p>Look at <img alt="a plant" title="the title"> <b>now</b>.</p>\n'
    segments = {
        one.text: one
        for piece in FORMATS["html"].pieces(Source(io.BytesIO(data), "f", FR))
        if not isinstance(piece, str)
        for one in piece.segments
    }
    assert len(segments) > 1
    paragraph, *attributes = segments
    made, count, faults = written("html", data, {paragraph: "Regardez.", **{one: one.upper() for one in attributes}})
    assert [code for _, code in faults] == [DAMAGED]
    assert count == len(attributes)
    assert all(one.upper().encode() in made for one in attributes)
    assert b"Look at" in made


def test_the_forms_of_a_message_are_written_together_or_not_at_all() -> None:
    data = b'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""\n'
    made, count, faults = written("po", data, {"1[0]": "%d fichier", "1[1]": "fichiers"})
    assert (made, count) == (data, 0)
    assert {code for _, code in faults} == {DAMAGED}


@pytest.mark.parametrize("form", ["po", "json", "markdown", "html", "properties", "yaml"])
def test_without_texts_the_document_is_the_same(form: str) -> None:
    data = {
        "po": b'msgid "a b"\nmsgstr ""\n',
        "json": b'\xef\xbb\xbf{"a": "Open file"}\r\n',
        "markdown": b"# Soil\r\n\r\nUse `it`.",
        "html": b"<p title='A b'>Hello <b>you</b>",
        "properties": b"a = Open \\\n  file\n",
        "yaml": b"en:\n  a: Open file # x\n",
    }[form]
    assert written(form, data, {}, Options("en"))[0] == data
