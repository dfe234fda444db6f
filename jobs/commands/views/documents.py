"""Shows what was written of translated documents, and which segments stay as they are in their source."""

from collections.abc import Iterator

from jobs.documents.batches.writing import Report
from jobs.printable import one_line

SHOWN_FILES = 20
"""At most this many files are named."""
SHOWN_SEGMENTS = 20
"""At most this many segments are named."""


def lines(report: Report, place: str, *, is_finished: bool = True) -> Iterator[str]:
    """Yield the lines: the files with their counts, then the segments that stay as they are, each with the reason.

    In a batch that is not finished, a segment without an outcome is not done; in a finished one it was not sent.
    """
    unsent = "not sent" if is_finished else "not done"
    files, left = len(report.files), sum(report.codes.values())
    yield f"{files:,} file{'s' * (files != 1)} in {place}"
    for file in report.files[:SHOWN_FILES]:
        rest = [f"{file.left:,} not translated"] * bool(file.left)
        rest += [f"{file.unsent:,} {unsent}"] * bool(file.unsent)
        yield f"  {one_line(file.name)}: {', '.join([f'{file.translated:,} translated', *rest])}"
    if files > SHOWN_FILES:
        yield f"  and {files - SHOWN_FILES:,} more files"
    for document in report.unread:
        yield f"not read: {one_line(document.fault or document.name)}"
    if left:
        codes = ", ".join(f"{count:,} x {code}" for code, count in report.codes.most_common())
        yield f"{left:,} segment{'s stay' if left != 1 else ' stays'} as in the source: {codes}"
    for one in report.left[:SHOWN_SEGMENTS]:
        yield f"  {one_line(str(one))}"
    if left > SHOWN_SEGMENTS:
        yield f"  and {left - SHOWN_SEGMENTS:,} more"
