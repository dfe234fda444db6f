"""Checks that the Translate Toolkit reads the same units in a translated file as in its source.

    python scripts/checks/documents/toolkit.py --toolkit PYTHON FOLDER... [--suffix .xlf] [--limit N]

Each file that the toolkit reads is translated anew: each text gets an accent on each vowel. The check asks whether the toolkit
then reads units with the same names, whose texts without accents are those of the source, and whether as many have changed as
were translated. The toolkit runs in a process of its own, by the Python of an environment that has it, since its licence is the
GPL.

Prints a line for each fault, and the sums; exits with status 1 if there was any.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.documents.rebuilding import rebuild, segments
from jobs.documents.registry import FORMATS
from jobs.documents.source import Options
from jobs.errors import DocumentError
from scripts.checks.documents.real_files import accented

ASKS: Final = """
import json, sys
from translate.storage import aresource, csvl10n, jsonl10n, properties, pypo, tbx, tmx, xliff, xliff2, yaml
path, form = sys.argv[1:]
data = open(path, "rb").read()
if form == "xliff":
    made = (xliff2.Xliff2File if b":2." in data[:600] else xliff.xlifffile).parsestring(data)
elif form == "csv":
    made = csvl10n.csvfile(fieldnames=["location", "source", "target"]); made.parse(data)
elif form == "strings":
    made = properties.stringsfile(encoding="utf-16" if data[:2] in (b"\\xff\\xfe", b"\\xfe\\xff") else "utf-8"); made.parse(data)
elif form == "properties":
    made = properties.javautf8file(); made.parse(data)
else:
    made = {"po": pypo.pofile, "android": aresource.AndroidResourceFile, "json": jsonl10n.JsonNestedFile, "yaml": yaml.YAMLFile,
        "tmx": tmx.tmxfile, "tbx": tbx.tbxfile}[form].parsestring(data)
def strings(text):
    return [str(one or "") for one in getattr(text, "strings", [text])]
print(json.dumps([[u.getid() or "", strings(u.source), strings(u.target)] for u in made.units
    if not (u.isheader() or u.isobsolete() or u.isblank())]))
"""
"""What the toolkit is asked: for each unit of a file its name, its sources and its targets."""

FORMS: Final = ("po", "xliff", "android", "strings", "properties", "json", "yaml", "csv")
"""Formats of documents that the toolkit reads."""

PLAIN: Final = str.maketrans("áéíóúÁÉÍÓÚ", "aeiouAEIOU")

Unit = tuple[str, list[str], list[str]]


def units(python: str, path: Path, form: str) -> list[Unit]:
    """Return the units that the toolkit reads. Raises ValueError, with its last words, if it does not read the file."""
    done = subprocess.run([python, "-c", ASKS, path, form], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.strip().splitlines()[-1])
    return [(name, sources, targets) for name, sources, targets in json.loads(done.stdout)]


def texts(unit: Unit, *, with_sources: bool) -> set[str]:
    """Return the texts of a unit without accents and blanks: its targets; its sources if it has none, or if asked for."""
    chosen = [*unit[2], *unit[1]] if with_sources else unit[2] if any(unit[2]) else unit[1]
    return {"".join(one.translate(PLAIN).split()) for one in chosen}


def faults(python: str, path: Path, form: str, counts: Counter[str], options: Options) -> Iterator[str]:
    """Yield what is wrong with a file after its translation."""
    data, made = path.read_bytes(), FORMATS[form]
    try:
        found = list(segments(made, io.BytesIO(data), path.name, options, with_done=True))
        before = units(python, path, form)
    except DocumentError:
        counts["files that are refused"] += 1
        return
    except ValueError:
        counts["files that the toolkit does not read"] += 1
        return
    out, new = io.BytesIO(), {one.key: accented(one) for one in found}
    rebuild(made, io.BytesIO(data), lambda one: new[one.key], out, path.name, options)
    with tempfile.NamedTemporaryFile(suffix=path.suffix) as file:
        file.write(out.getvalue())
        file.flush()
        after = units(python, Path(file.name), form)
    counts["files"] += 1
    counts["segments"] += len(found)
    counts["units"] += len(after)
    if [one[0] for one in before] != [one[0] for one in after]:
        yield "the toolkit reads units with other names"
        return
    for one, two in zip(before, after, strict=True):
        if not texts(two, with_sources=False) <= texts(one, with_sources=True):
            yield f"the toolkit reads {two} where the source has {one}"
            return
    changed = sum(one != two for one, two in zip(before, after, strict=True))
    wanted = len({one.id.split("[")[0] for one in found if new[one.key] not in (one.text, one.target)})
    if changed < wanted:
        yield f"the toolkit sees {changed} changed units, and {wanted} segments were changed"


def main() -> int:
    """Check the files, and print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--toolkit", required=True, help="a Python that has the Translate Toolkit")
    parser.add_argument("--suffix", action="append", help="only files with these ends")
    parser.add_argument("--limit", type=int, default=200, help="at most so many files of a format")
    chosen = parser.parse_args()
    by_suffix = {suffix: name for name in FORMS for suffix in FORMATS[name].suffixes}
    counts, of_form, wrong = Counter[str](), Counter[str](), 0
    for folder in chosen.folders:
        for path in sorted(folder.rglob("*")):
            form = by_suffix.get(path.suffix.lower())
            if form is None or (chosen.suffix and path.suffix not in chosen.suffix) or of_form[form] >= chosen.limit:
                continue
            if not path.is_file() or path.stat().st_size > 300_000:
                continue
            of_form[form] += 1
            for fault in faults(chosen.toolkit, path, form, counts, Options(target_languages=("fr",))):
                wrong += 1
                print(f"{path}: {fault}")
    counts["faults"] = wrong
    print(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
    print(", ".join(f"{count:,} of {name}" for name, count in sorted(of_form.items())))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
