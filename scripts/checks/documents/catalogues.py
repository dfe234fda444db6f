"""Checks catalogues of gettext over real files, with other programs as judges.

    python scripts/checks/documents/catalogues.py FOLDER... [--language fr --language pl] [--toolkit PYTHON]

Each `.po` file under the folders, in a folder named after one of the languages, is translated anew: each message gets its source
with an accent on each vowel. The check then asks

1. whether only lines of `msgstr` differ;
2. whether `msgfmt -c` takes the file;
3. whether the Translate Toolkit reads the same units with the new strings. It is asked in a process of its own, by the Python of
   an environment that has it, since its licence is the GPL.

Prints a line for each fault, and the sums; exits with status 1 if there was any.
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.documents.catalogues.gettext_po import GettextFormat
from jobs.documents.document import Segment
from jobs.documents.rebuilding import rebuild, segments
from jobs.documents.source import Options
from scripts.checks.documents.real_files import accented

ASKS_THE_TOOLKIT: Final = """
import json, sys
from translate.storage.pypo import pofile
with open(sys.argv[1], "rb") as file:
    units = pofile(file).units
print(json.dumps([[u.getcontext(), u.source.strings if hasattr(u.source, "strings") else [u.source],
    u.target.strings if hasattr(u.target, "strings") else [u.target]] for u in units if not (u.isheader() or u.isobsolete())]))
"""


def unit_texts(python: str, path: Path) -> list[list[object]]:
    """Return the units that the toolkit reads: context, sources and targets of each."""
    done = subprocess.run([python, "-c", ASKS_THE_TOOLKIT, path], capture_output=True, text=True, check=True)
    found: list[list[object]] = json.loads(done.stdout)
    return found


def passes(msgfmt: str, path: Path) -> str:
    """Return what `msgfmt -c` says against a file; an empty text if it takes it."""
    done = subprocess.run([msgfmt, "-c", "-o", "/dev/null", path], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def without_strings(data: bytes) -> list[bytes]:
    """Return the lines of a catalogue without those of `msgstr`."""
    kept, inside = [], False
    for line in data.splitlines():
        inside = line.startswith(b"msgstr") or (inside and line.lstrip().startswith(b'"'))
        if not inside:
            kept.append(line)
    return kept


def faults(path: Path, language: str, msgfmt: str | None, python: str | None, counts: Counter[str]) -> Iterator[str]:
    """Yield what is wrong with a catalogue after its translation."""
    form, data, options = GettextFormat(), path.read_bytes(), Options(target_language=language)
    found: list[Segment] = list(segments(form, io.BytesIO(data), path.name, options, with_done=True))
    new, out = {one.id: accented(one) for one in found}, io.BytesIO()
    counts["catalogues"] += 1
    counts["segments"] += rebuild(form, io.BytesIO(data), new, out, path.name, options)
    same = io.BytesIO()
    rebuild(form, io.BytesIO(data), {one.id: one.target for one in found if one.target}, same, path.name)
    if same.getvalue() != data:
        yield "the catalogue with its own translations is another file"
    if without_strings(out.getvalue()) != without_strings(data):
        yield "more than lines of msgstr differ"
    with tempfile.NamedTemporaryFile(suffix=".po") as file:
        file.write(out.getvalue())
        file.flush()
        if msgfmt:
            counts["sources that msgfmt takes"] += not passes(msgfmt, path)
            if fault := passes(msgfmt, Path(file.name)):
                yield fault
            else:
                counts["translations that msgfmt takes"] += 1
        if python:
            before, after = unit_texts(python, path), unit_texts(python, Path(file.name))
            counts["units of the toolkit"] += len(after)
            if [one[:2] for one in before] != [one[:2] for one in after]:
                yield "the toolkit reads other units"
            read = [text for one in after for text in one[2]]  # type: ignore[attr-defined]
            if sorted(read) != sorted(new.values()):
                yield "the toolkit reads other strings than were written"


def main() -> int:
    """Check the catalogues, and print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--language", action="append", help="fr and pl unless it is given")
    parser.add_argument("--toolkit", help="a Python that has the Translate Toolkit")
    chosen = parser.parse_args()
    msgfmt, counts, wrong = shutil.which("msgfmt"), Counter[str](), 0
    if msgfmt is None:
        print("msgfmt is not installed, so it is not asked")
    for language in chosen.language or ["fr", "pl"]:
        for folder in chosen.folders:
            for path in sorted(one for one in folder.rglob("*.po") if language in one.parts):
                for fault in faults(path, language, msgfmt, chosen.toolkit, counts):
                    wrong += 1
                    print(f"{path}: {fault}")
    counts["faults"] = wrong
    print(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
