"""Checks documents over real files: nothing is lost, and nothing that must stay reaches a model.

    python scripts/checks/documents/real_files.py FOLDER... [--suffix .md] [--limit N]

For each file under the folders (the same bytes count once) whose name has a suffix of a format, the check

1. joins its pieces, and rebuilds it with each segment as its own translation (in a format that holds source and target, with the
   target that it has): both must be the file, byte for byte;
2. masks each segment, and looks in what a model would see for addresses, code, tags and references;
3. rebuilds it with a translation that has an accent on each vowel, and reads that file again: it must have the same segments
   with the same marks, and the words must be those that were written;
4. gives each segment to the kind `translation`, as a row of a batch has it, with a model that returns what it is shown: the
   translation must be the segment, and no prompt may show addresses, code, tags or references.

Prints a line for each fault, and the sums; exits with status 1 if there was any.
"""

import argparse
import hashlib
import io
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from jobs.documents.document import DocumentFormat, Segment, Slot, State
from jobs.documents.rebuilding import rebuild, segments
from jobs.documents.registry import FORMATS
from jobs.documents.source import Options, Source
from jobs.errors import CheckFailed, DocumentError
from jobs.generation import Completion, Prompt
from jobs.kinds.registry import load_kinds
from jobs.marks.keeping import split_at_marks
from jobs.marks.mark import Mark
from jobs.marks.masking import mask

UNMASKED: Final = re.compile(
    r"https?://|www\.\w|[\w.]+@[\w-]+\.\w{2,}|</?[a-zA-Z][^<>]*>|&(?:#\d+|[a-zA-Z]\w+);|\{\{.*\}\}|\{%.*%\}"
)
REFERENCES: Final = re.compile(r"\]\(|\]\[|\[\^|`[^`\n]{1,500}`")
"""What Markdown alone has: in HTML a backtick is a quote of old texts."""
BILINGUAL: Final = frozenset(("po", "xliff", "csv", "xlsx", "xcstrings"))
"""Formats whose files hold the source beside its translation."""

KIND: Final = load_kinds()["translation"]
OPTIONS: Final = Options(target_languages=("fr",))
ACCENTS: Final = str.maketrans("aeiouAEIOU", "áéíóúÁÉÍÓÚ")


def accented(segment: Segment) -> str:
    """Return a translation of a segment that has an accent on each vowel outside the marks."""
    masked = mask(segment.text, segment.marks, "private")
    return masked.restore(masked.text.translate(ACCENTS))


def plain(text: str) -> str:
    """Return a text without blanks and backslashes, by which two readings of a file are compared."""
    return re.sub(r"[\s\\]+", "", text)


def unmasked(form: DocumentFormat, segment: Segment, seen: str) -> re.Match[str] | None:
    """Return what a model would see of a segment and must not; None if there is nothing of the sort."""
    is_markdown = form.name == "markdown" and segment.kind != "text" and not segment.kind.startswith("attribute")
    return UNMASKED.search(seen) or (REFERENCES.search(seen) if is_markdown else None)


def words_of(text: str, marks: Sequence[Mark]) -> str:
    """Return what a translation has outside its marks, of which a tag may hold a translated attribute."""
    return "".join(part for part in split_at_marks(text, marks) if isinstance(part, str))


def faults(form: DocumentFormat, path: Path, counts: Counter[str], *, shows: bool = False) -> Iterator[str]:
    """Yield what is wrong with a file."""
    data = path.read_bytes()
    try:
        pieces = list(form.pieces(source := Source(io.BytesIO(data), path.name, OPTIONS)))
    except DocumentError as error:
        counts["refused"] += 1
        counts[f"refused: {str(error).split(': ', 1)[1]}"] += 1
        return
    counts["files"] += 1
    counts["bytes"] += len(data)
    joined = source.mark + "".join(one if isinstance(one, str) else one.raw for one in pieces)
    if joined.encode(source.encoding) != data:
        yield "the pieces are not the file"
    found = [segment for one in pieces if isinstance(one, Slot) for segment in one.segments]
    counts["segments"] += len(found)
    if len({one.key for one in found}) != len(found):
        yield "two segments have one id"
    out, is_bilingual = io.BytesIO(), form.name in BILINGUAL
    own = {
        one.key: one.target if is_bilingual else one.text
        for one in found
        if not is_bilingual or (one.target and one.state is not State.NEW)
    }
    rebuild(form, io.BytesIO(data), own, out, options=OPTIONS)
    if out.getvalue() != data:
        yield "the file with its own texts is another file"
    for one in found:
        seen = mask(one.text, one.marks, "private").text
        if match := unmasked(form, one, seen):
            counts["unmasked"] += 1
            yield f"segment {one.id} shows {match[0]!r}: {seen[:120]!r}"
    yield from through_the_kind(form, found, counts)
    yield from after_translation(form, path, data, found, counts, shows=shows)


def without_signs(prompt: Prompt, text: str) -> str:
    """Return what a model is shown with a blank for each sign, since `<XQA>` is an address in brackets and no tag."""
    for sign in prompt.translatable.signs if prompt.translatable else ():
        text = text.replace(sign, " ")
    return text


def through_the_kind(form: DocumentFormat, found: Sequence[Segment], counts: Counter[str]) -> Iterator[str]:
    """Yield the segments that the kind changes although its model returns each text as it was shown."""
    for one in found:
        row = {
            "text": one.text,
            "source_language": "en",
            "target_language": "fr",
            "format": "segment",
            "context": one.context[:2_000],
            "marks": [{"start": mark.start, "end": mark.end, "role": mark.role} for mark in one.marks],
        }
        conversation, answers = KIND.compose(KIND.request_type.model_validate(row)), None
        try:
            while True:
                prompts = next(conversation) if answers is None else conversation.send(answers)
                counts["prompts"] += len(prompts)
                shown = [asked.translatable.text if asked.translatable else "" for asked in prompts]
                for prompt, text in zip(prompts, shown, strict=True):
                    if match := unmasked(form, one, without_signs(prompt, text)):
                        counts["unmasked"] += 1
                        yield f"segment {one.id} shows the model {match[0]!r}: {text[:120]!r}"
                answers = [Completion(str(n), text, "stop") for n, text in enumerate(shown)]
        except StopIteration as end:
            if end.value.text != one.text:
                yield f"segment {one.id} came back as {end.value.text[:150]!r}, and was {one.text[:150]!r}"
        except CheckFailed as error:
            yield f"segment {one.id} failed: {error.code}: {error.message}: {one.text[:150]!r}"


def after_translation(
    form: DocumentFormat, path: Path, data: bytes, found: Sequence[Segment], counts: Counter[str], *, shows: bool
) -> Iterator[str]:
    """Yield what is wrong with a file after its translation. A translation that the format refuses is left out, and counted."""
    left = {one.key: accented(one) for one in found}
    while True:
        try:
            out = io.BytesIO()
            rebuild(form, io.BytesIO(data), left, out, options=OPTIONS)
            break
        except DocumentError as error:
            match = re.search(r"segment (\S+?)[,:]", str(error))
            counts["refused translations"] += 1
            if shows:
                print(f"{path}: refused: {error}")
            ids = [key for key in left if match and match[1] in (key, key[0])]
            if not ids or left.pop(ids[0], None) is None:
                yield str(error)
                return
    again = list(segments(form, io.BytesIO(out.getvalue()), options=OPTIONS, with_done=True))
    if [one.id for one in again] != [one.id for one in found]:
        yield f"the accented file has {len(again)} segments, not {len(found)}"
        return
    for before, after in zip(found, again, strict=True):
        wanted, read = left.get(before.key, before.text), after.text
        if form.name in BILINGUAL:
            read = after.target if before.key in left and before.kind != "form" else wanted
        if plain(read) == plain(wanted):
            continue
        if plain(words_of(read, after.marks)) != plain(words_of(wanted, before.marks)):
            yield f"segment {before.id} reads {read[:150]!r} and was written as {wanted[:150]!r}"
            return


def main() -> int:
    """Check the files, and print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--suffix", action="append", help="only files with these ends")
    parser.add_argument("--limit", type=int, default=1_000_000, help="at most so many files")
    parser.add_argument("--refused", action="store_true", help="show the translations that a format refused")
    chosen = parser.parse_args()
    by_suffix = {suffix: form for form in FORMATS.values() for suffix in form.suffixes}
    wanted = set(chosen.suffix or by_suffix)
    seen, counts, wrong = set[bytes](), Counter[str](), 0
    began = time.perf_counter()
    for folder in chosen.folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in wanted or not path.is_file() or path.stat().st_size > 3_000_000:
                continue
            key = hashlib.sha256(path.read_bytes()).digest()
            if key in seen or len(seen) >= chosen.limit:
                continue
            seen.add(key)
            for fault in faults(by_suffix[path.suffix.lower()], path, counts, shows=chosen.refused):
                wrong += 1
                print(f"{path}: {fault}")
    counts["faults"] = wrong
    print(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
    print(f"{time.perf_counter() - began:.1f} s")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
