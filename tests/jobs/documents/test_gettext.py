"""Shows jobs/documents/catalogues/gettext_po.py: only strings of msgstr change, and msgfmt takes what is written."""

import shutil
import subprocess
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents.catalogues.gettext_po import GettextFormat
from jobs.documents.document import State
from jobs.documents.source import Options
from jobs.errors import DocumentError
from scripts.checks.documents.real_files import accented
from tests.support.documents.reading import read, translated

FORM = GettextFormat()
POT = r"""# A title
#, fuzzy
msgid ""
msgstr ""
"Project-Id-Version: x\n"
"Language: \n"
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;\n"

#. For buttons
#: a.py:1
msgctxt "button"
msgid "Open %(name)s"
msgstr ""

#, fuzzy, python-format
#| msgid "%d file"
msgid "%d fine file\n"
msgid_plural "%d fine files\n"
msgstr[0] ""
msgstr[1] ""

msgid "Done"
msgstr "Ready"
#~ msgid "old"
#~ msgstr "alt"

msgid ""
"A long text that goes over "
"two lines with a \"quote\" and a tab\t"
msgstr ""
"""


def test_the_segments_of_a_template() -> None:
    found = read(FORM, POT, Options(target_language="pl"))
    assert [(one.id, one.text, one.kind, one.state) for one in found] == [
        ("1", "Open %(name)s", "message", State.NEW),
        ("2[0]", "%d fine file\n", "plural one", State.NEW),
        ("2[1]", "%d fine files\n", "plural few", State.NEW),
        ("2[2]", "%d fine files\n", "plural many", State.NEW),
        ("3", "Done", "message", State.DONE),
        ("4", 'A long text that goes over two lines with a "quote" and a tab\t', "message", State.NEW),
    ]
    assert found[0].context == "button; For buttons"
    assert found[2].context == "for the numbers 2, 3, 4, 22"


def test_only_strings_of_msgstr_change() -> None:
    made = translated(
        FORM,
        POT,
        {
            "1": "Otwórz %(name)s",
            "2[0]": "%d plik",
            "2[1]": "%d pliki",
            "2[2]": "%d plików\n",
            "4": 'Tekst "x"\nzwei' + " w" * 50,
        },
        Options(target_language="pl"),
    ).decode()
    assert 'msgstr "Otwórz %(name)s"\n' in made
    assert 'msgstr[0] "%d plik\\n"\nmsgstr[1] "%d pliki\\n"\nmsgstr[2] "%d plików\\n"\n\n' in made
    assert '"Language: pl\\n"' in made
    assert "nplurals=3" in made
    assert 'msgstr ""\n"Tekst \\"x\\"\\n"\n"zwei w w' in made
    kept = [line for line in POT.splitlines() if not line.startswith(("msgstr", '"Language', '"Plural'))]
    assert [line for line in made.splitlines() if line in kept] == kept


def test_a_catalogue_of_another_language_is_translated_anew() -> None:
    catalogue = POT.replace("Language: ", "Language: fr").replace("INTEGER; plural=EXPRESSION", "2; plural=(n > 1)")
    assert [one.state for one in read(FORM, catalogue, Options(target_language="fr"))][3] is State.DONE
    assert all(one.state is State.NEW for one in read(FORM, catalogue, Options(target_language="ja")))
    made = translated(FORM, catalogue, {"2[0]": "%d 個\n"}, Options(target_language="ja")).decode()
    assert 'msgstr[0] "%d 個\\n"\n\nmsgid "Done"' in made


def test_a_fuzzy_translation_is_kept_as_a_hint() -> None:
    text = '#, fuzzy\nmsgid "a word"\nmsgstr "ein Wort"\n'
    (found,) = read(FORM, text, with_done=False)
    assert (found.state, found.target) == (State.FUZZY, "ein Wort")
    assert translated(FORM, text, {"1": "das Wort"}).decode() == text.replace("ein", "das")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('msgid "a"\nmsgstr "b', "line 2: a string is not closed by a quote: close it", id="cut off"),
        pytest.param('msgid "a"\n', "line 1: the last message has no msgstr", id="without msgstr"),
        pytest.param(
            'msgid "a"\n\nmsgid "b"\nmsgstr ""', "line 2: a message has no msgstr", id="without msgstr, before others"
        ),
        pytest.param('msgstr "a"\n', "line 1: msgstr stands before msgid", id="without msgid"),
        pytest.param('\n"a"\n', "line 2: a string stands without a keyword", id="without a keyword"),
        pytest.param("<html>\n", "line 1: '<html>' is neither a comment", id="another format"),
        pytest.param('msgid "a"\nmsgid_plural "b"\nmsgstr ""\n', "line 3: a plural message has msgstr", id="no number"),
        pytest.param(b'msgid "\xff"\nmsgstr ""\n', "line 1: it is not valid utf-8: save it as UTF-8", id="wrong bytes"),
        pytest.param('msgid "a"\nmsgid "b"\nmsgstr ""\n', "line 2: msgid stands twice", id="twice"),
    ],
)
def test_what_cannot_be_read(text: str | bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read(FORM, text)


@pytest.mark.parametrize(
    ("message", "answer", "fault"),
    [("Hi %s", "Hallo", "lost '%s'"), ("Hi", " ", "empty"), ("%s %d", "%d %s", "order")],
)
def test_a_damaged_translation_is_refused(message: str, answer: str, fault: str) -> None:
    with pytest.raises(DocumentError, match=f"file, line 1: segment 1: .*{fault}"):
        translated(FORM, f'msgid "{message}"\nmsgstr ""\n', {"1": answer})


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8-sig"])
def test_byte_order_marks_are_kept(encoding: str) -> None:
    mark = "" if encoding == "utf-8-sig" else "\ufeff"
    text = 'msgid "a"\r\nmsgstr ""\r\n'
    made = translated(FORM, f"{mark}{text}".encode(encoding), {"1": "ä"})
    assert made == f"{mark}{text}".replace('msgstr ""', 'msgstr "ä"').encode(encoding)


def test_the_encoding_of_the_header_is_kept() -> None:
    text = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=ISO-8859-2\\n"\n\nmsgid "a"\nmsgstr "ł"\n'
    data = text.encode("iso-8859-2")
    assert read(FORM, data)[0].target == "ł"
    with pytest.raises(
        DocumentError, match="line 5: iso8859-2 has no '日', which a translation holds: save it as UTF-8"
    ):
        translated(FORM, data, {"1": "日"})


STRINGS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]) | st.sampled_from('\n\t"\\'), min_size=1
)


@given(
    st.lists(st.tuples(STRINGS, STRINGS), max_size=6, unique_by=lambda pair: pair[0]), st.sampled_from(["\n", "\r\n"])
)
def test_babel_reads_what_was_written(messages: list[tuple[str, str]], end: str) -> None:
    from jobs.documents.catalogues.gettext_strings import quoted_lines

    text = end.join(quoted_lines(one, "msgid", end) + f'msgstr ""{end}' for one, _ in messages)
    found = read(FORM, text)
    assert [one.text for one in found] == [one for one, _ in messages]
    words = {
        one.id: f"{''.join(mark.text for mark in one.marks)}x{new}"
        for one, (_, new) in zip(found, messages, strict=True)
    }
    made = translated(FORM, text, words)
    again = read(FORM, made)
    assert [one.target.strip("\n") for one in again] == [words[one.id].strip("\n") for one in again]
    if end == "\n":
        catalogue = read_po(made.decode().splitlines(keepends=True))
        assert {one.id: one.string for one in catalogue if one.id} == {one.text: one.target for one in again}


def test_msgfmt_takes_what_is_written(tmp_path: Path) -> None:
    if (msgfmt := shutil.which("msgfmt")) is None:
        pytest.skip("msgfmt of Debian's gettext is not installed")
    for language in ("pl", "ja", "ar", "fr"):
        options = Options(target_language=language)
        words = {one.id: accented(one) for one in read(FORM, POT, options)}
        path = tmp_path / f"{language}.po"
        path.write_bytes(translated(FORM, POT.replace("#, fuzzy\n", "", 1), words, options))
        done = subprocess.run([msgfmt, "-c", "-o", "/dev/null", path], capture_output=True, text=True, check=False)
        faults = [line for line in done.stderr.splitlines() if "missing in header" not in line]
        assert (done.returncode, faults) == (0, [])


HEAD = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'


@pytest.mark.parametrize(
    ("data", "text", "wanted"),
    [
        pytest.param(HEAD + 'msgid "a"\nmsgstr ""\n', "a", HEAD + 'msgid "a"\nmsgstr "x"\n', id="usual"),
        pytest.param(
            (HEAD + 'msgid "a"\nmsgstr ""\n').replace("\n", "\r"),
            "a",
            (HEAD + 'msgid "a"\nmsgstr "x"\n').replace("\n", "\r"),
            id="carriage returns",
        ),
        pytest.param('msgid "a" "b"\nmsgstr "" ""\n', "ab", 'msgid "a" "b"\nmsgstr "x"\n', id="two strings in a line"),
        pytest.param(
            'msgid "caf\\303\\251\\x41"\nmsgstr ""\n', "caféA", 'msgid "caf\\303\\251\\x41"\nmsgstr "x"\n', id="bytes"
        ),
        pytest.param(
            '#= fuzzy\nmsgid "a"\nmsgstr "y"\n', "a", '#= fuzzy\nmsgid "a"\nmsgstr "x"\n', id="flags that stay"
        ),
    ],
)
def test_lines_as_other_programs_write_them(data: str, text: str, wanted: str) -> None:
    (found,) = read(GettextFormat(), data)
    assert (found.text, found.state is State.DONE) == (text, False)
    assert translated(GettextFormat(), data, {text: "x"}).decode() == wanted


def test_a_message_without_a_text_stays() -> None:
    data = HEAD + 'msgctxt "menu"\nmsgid ""\nmsgstr ""\n\n#~ msgid "old"\n#~ msgstr ""\n'
    assert not read(GettextFormat(), data)
    assert translated(GettextFormat(), data, {}).decode() == data


def test_the_encoding_in_a_header_of_one_line() -> None:
    data = (
        'msgid ""\nmsgstr "Language: fr\\nContent-Type: text/plain; charset=ISO-8859-1\\n"\n\nmsgid "a"\nmsgstr "é"\n'
    )
    assert [one.target for one in read(GettextFormat(), data.encode("latin-1"))] == ["é"]
