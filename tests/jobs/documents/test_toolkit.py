"""Shows that another program, the Translate Toolkit, reads each format back with the same units and the new texts.

The toolkit is GPL, so it runs as a process: by the Python that TRANSLATE_TOOLKIT_PYTHON names, or that of the system.
"""

import functools
import io
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from jobs.documents.source import Options
from jobs.exchange.tbx import Term, TermEntry, TermStatus, write_tbx
from jobs.exchange.tmx import TmxUnit, TmxVariant, write_tmx
from jobs.marks.grammar import find_marks
from scripts.checks.documents.toolkit import FORMS, faults, units

SAMPLES = {
    "a.po": """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Language: fr\\n"

#: a.c:1
msgctxt "menu"
msgid "Open \\"file\\" %s"
msgstr ""

msgid "%d file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""

#, fuzzy
#| msgid "Old"
msgid "New text"
msgstr "ancien"

#~ msgid "gone"
#~ msgstr "parti"
""",
    "a.properties": "hello = Hi {0}\\nthere\\u00e9 \n# c\nkey\\ two : Two \\\n   lines\nempty=\n",
    "a.strings": '/* c */\n"a" = "One \\"two\\" %@";\n"b" = "Other\\nline";\n',
    "a.json": '{"a": {"b": "One {{x}}", "c": ["Two", "three"]}, "n": 1, "d": "e\\u00e9 \\ud83d\\ude00"}',
    "a.yml": 'en:\n  a: One\n  b: "Two %{x}"\n  c: |\n    Lines\n    more\n  d: >-\n    Fold\n    ed\n  n: no\n  l: [One, Two]\n',
    "a.csv": 'location,source,target\nk1,"Hello, you",\nk2,"Other\n%s",\n',
    "strings.xml": """<?xml version="1.0" encoding="utf-8"?>
<resources>
    <string name="a">It\\'s <b>%1$s</b> &amp; more</string>
    <string name="b">Other\\ntext</string>
    <plurals name="f"><item quantity="one">%d file</item><item quantity="other">%d files</item></plurals>
</resources>
""",
    "a.xlf": """<?xml version="1.0" encoding="UTF-8"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
<file original="a" source-language="en" target-language="fr" datatype="plaintext"><body>
<trans-unit id="1"><source>Hello <g id="1">big</g> <x id="2"/>world</source></trans-unit>
<trans-unit id="2"><source>Done</source><target>Fini</target></trans-unit></body></file></xliff>
""",
    "b.xlf": """<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="fr">
 <file id="f"><unit id="u"><segment id="s"><source>A <pc id="1">word</pc><ph id="2"/></source></segment></unit></file></xliff>
""",
}


@functools.cache
def toolkit() -> str | None:
    """The Python that has the toolkit, if there is one."""
    for python in (os.environ.get("TRANSLATE_TOOLKIT_PYTHON"), "/usr/bin/python3"):
        if (
            python
            and not subprocess.run(
                [python, "-c", "import translate.storage.pypo"], capture_output=True, check=False
            ).returncode
        ):
            return python
    return None


@pytest.fixture
def python() -> str:
    """The Python that has the toolkit."""
    found = toolkit()
    if found is None:
        pytest.skip("the Translate Toolkit is not installed: name its Python in TRANSLATE_TOOLKIT_PYTHON")
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_the_toolkit_reads_the_same_units(name: str, python: str, tmp_path: Path) -> None:
    path, counts = tmp_path / name, Counter[str]()
    path.write_text(SAMPLES[name], encoding="utf-8")
    form = {".yml": "yaml", ".xml": "android", ".xlf": "xliff"}.get(path.suffix, path.suffix[1:])
    assert form in FORMS
    assert list(faults(python, path, form, counts, Options(target_languages=("fr",)))) == []
    assert counts["files"] == 1
    assert counts["segments"] > 0


def test_the_toolkit_reads_a_memory(python: str, tmp_path: Path) -> None:
    path, source, target = tmp_path / "a.tmx", "Say <b>%s</b> & go", "Dis <b>%s</b> & va"
    variants = (TmxVariant("en", source, find_marks(source)), TmxVariant("fr", target, find_marks(target)))
    out = io.BytesIO()
    write_tmx(
        out, [TmxUnit(variants, "en", "1"), TmxUnit((TmxVariant("en", "One"), TmxVariant("fr", "Un")), "en", "2")]
    )
    path.write_bytes(out.getvalue())
    found = units(python, path, "tmx")
    assert [(one[1], one[2]) for one in found] == [([source], [target]), (["One"], ["Un"])]


def test_the_toolkit_reads_terms(python: str, tmp_path: Path) -> None:
    path, out = tmp_path / "a.tbx", io.BytesIO()
    terms = (Term("en", "front & matter", TermStatus.PREFERRED), Term("fr", "liminaires", part_of_speech="noun"))
    write_tbx(out, [TermEntry(terms, "c1", definition="what comes first")], style="martif")
    path.write_bytes(out.getvalue())
    assert [(one[1], one[2]) for one in units(python, path, "tbx")] == [(["front & matter"], ["liminaires"])]
