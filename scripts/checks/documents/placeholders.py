"""Checks that placeholders survive a real translator: all messages with placeholders of catalogues, through Apertium.

    apt-get install apertium apertium-eng-spa
    pip download --no-deps --dest wheels django wagtail
    python scripts/checks/documents/placeholders.py wheels/*.whl

Each message of an English catalogue that has a mark is a row of the kind `translation` into Spanish, and each answer comes from
Apertium. The check counts how many rows complete with all marks, in how many tries, and how many messages keep their marks if
Apertium reads them as they are. Exits with status 1 if a row failed, or completed with a damaged mark.
"""

import argparse
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.checks.checker import Checker
from jobs.documents.catalogues.gettext_po import GettextFormat
from jobs.documents.document import Segment
from jobs.documents.rebuilding import segments
from jobs.documents.source import Options
from jobs.errors import CheckFailed
from jobs.generation import Completion
from jobs.kinds.kind import contract_of, with_defaults
from jobs.kinds.registry import load_kinds
from jobs.marks.damage import Damaged
from jobs.marks.keeping import check_kept
from tests.support.translating.apertium import translated

_OPTIONS = Options(source_language="en", target_language="es")


def messages(wheels: Sequence[Path]) -> Iterator[Segment]:
    """Yield each different message with marks of the English catalogues in the wheels."""
    seen: set[str] = set()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                if not name.endswith(".po") or "/locale/en/" not in name:
                    continue
                for one in segments(GettextFormat(), BytesIO(archive.read(name)), name, _OPTIONS, with_done=True):
                    if one.marks and one.text not in seen:
                        seen.add(one.text)
                        yield one


def is_intact(text: str, one: Segment) -> bool:
    """Whether a translation has the marks of its segment."""
    try:
        check_kept(text, one.marks)
    except Damaged:
        return False
    return True


class _Row:
    """A row whose conversation goes on turn by turn, so that all rows share a call of Apertium."""

    def __init__(self, segment: Segment) -> None:
        kind = load_kinds()["translation"]
        marks = [{"start": one.start, "end": one.end, "role": one.role.value} for one in segment.marks]
        values = {
            "text": segment.text,
            "marks": marks,
            "format": "segment",
            "source_language": "en",
            "target_language": "es",
        }
        checker = Checker.over(kind.name, with_defaults(kind, values), contract_of(kind))
        self.segment, self.tries, self.text, self.code = segment, 0, "", ""
        self._conversation = kind.compose(kind.request_type.model_validate(values), checker)  # type: ignore[call-arg]
        self.asked: list[str] = []
        self._advance(None)

    def receive(self, answers: Sequence[str]) -> None:
        """Take the answers to `asked`."""
        self._advance([Completion(str(n), text, "stop") for n, text in enumerate(answers)])

    def _advance(self, completions: Sequence[Completion] | None) -> None:
        self.asked = []
        try:
            prompts = next(self._conversation) if completions is None else self._conversation.send(completions)
            self.asked = [one.translatable.text for one in prompts if one.translatable]
            self.tries += 1
        except StopIteration as stop:
            self.text = stop.value.text
        except CheckFailed as error:
            self.code = error.code


def main() -> int:
    """Run the check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", nargs="+", type=Path)
    found = list(messages(parser.parse_args().wheels))
    unmasked = translated([one.text for one in found])
    whole = sum(is_intact(text, one) for text, one in zip(unmasked, found, strict=True))
    rows = [_Row(one) for one in found]
    while under_way := [row for row in rows if row.asked]:
        answers = iter(translated([text for row in under_way for text in row.asked]))
        for row in under_way:
            row.receive([next(answers) for _ in row.asked])
    completed = [row for row in rows if not row.code]
    damaged = [row for row in completed if not is_intact(row.text, row.segment)]
    tries = Counter(row.tries for row in completed)
    print(f"{len(found):,} messages with marks")
    print(f"unmasked: {whole:,} intact ({whole / len(found):.1%})")
    print(
        f"masked: {len(completed) - len(damaged):,} intact, {len(damaged):,} damaged; tries: {dict(sorted(tries.items()))}"
    )
    for row in rows:
        if row.code:
            print(f"failed by {row.code}: {row.segment.text!r}")
    return 1 if damaged or len(completed) < len(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
