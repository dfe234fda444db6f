"""Keeping: whether a translation has the marks of its source, as often, in their order, and apart from the words around."""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Collection, Sequence
from typing import Final

import regex

from jobs.marks.damage import Damaged, Flaw
from jobs.marks.grammar import find_marks
from jobs.marks.mark import Mark, Role

_WORD: Final = regex.compile(r"[A-Za-z0-9_]")


def split_at_marks(text: str, marks: Sequence[Mark]) -> list[str | Mark]:
    """Return a translation cut into literal text and the marks of its source, by the texts of the marks.

    Where several marks fit, the one is taken that comes next in the source, else the longest. A mark is found at most as often
    as it stands in the source, and what is found beyond that is literal text.
    """
    if not marks:
        return [text]
    left: dict[str, deque[int]] = {}
    for n, mark in enumerate(marks):
        left.setdefault(mark.text, deque()).append(n)
    lengths = sorted({len(one) for one in left}, reverse=True)
    first = regex.compile(f"[{''.join(sorted({regex.escape(one[0]) for one in left}))}]")
    parts: list[str | Mark] = []
    taken, upcoming, position, search = set[int](), 0, 0, 0
    while (match := first.search(text, search)) is not None:
        at = match.start()
        fitting = [one for length in lengths if left.get(one := text[at : at + length])]
        if not fitting:
            search = at + 1
            continue
        while upcoming in taken:
            upcoming += 1
        following = next((one for one in fitting if left[one][0] == upcoming), fitting[0])
        n = left[following].popleft()
        taken.add(n)
        parts += [text[position:at], marks[n]]
        position = search = at + len(following)
    return [*parts, text[position:]]


def check_kept(text: str, marks: Sequence[Mark]) -> list[str | Mark]:
    """Return a translation cut at its marks, as `split_at_marks` does.

    Raises:
        Damaged: A mark is missing, or the order of the marks is wrong.
    """
    parts = split_at_marks(text, marks)
    found = [part for part in parts if isinstance(part, Mark)]
    if len(found) < len(marks):
        there = Counter(found)
        raise Damaged(*(Flaw("the translation lost {}", (one,)) for one in marks if not there[one]))
    check_order(marks, found)
    return parts


def check_whole(text: str, marks: Sequence[Mark], sure: Collection[Mark], language: str | None) -> None:
    """Check a translation further: no mark runs into the words beside it, as in `$names` for `$name`, or stands there once more.

    Args:
        text: The translation.
        marks: The marks of its source.
        sure: Those that the grammar finds in the source too (`sure_marks`). The others are known to a parser alone.
        language: The language of the translation.

    Raises:
        Damaged: As `check_kept`, and for such marks.
    """
    parts = check_kept(text, marks)
    if not sure:
        return
    found = find_marks(text, language=language)
    exact = {(one.start, one.end) for one in found}
    starts = [one.start for one in found]
    kept, position = set[int](), 0
    for part in parts:
        if isinstance(part, str):
            position += len(part)
            continue
        start, end = position, position + len(part.text)
        position = end
        kept.add(start)
        if part not in sure or (start, end) in exact:
            continue
        around = found[bisect_right(starts, start) - 1] if starts and starts[0] <= start else None
        runs_on = around is not None and around.start <= start and end <= around.end
        if runs_on or _touches(text, start, end):
            raise Damaged(Flaw("{} runs into the word beside it", (part,)))
    texts = {one.text: one for one in sure}
    for one in found:
        if one.text in texts and one.start not in kept and not _is_within(one, parts):
            raise Damaged(Flaw("{} stands more than once", (texts[one.text],)))


def sure_marks(text: str, marks: Sequence[Mark], language: str | None) -> frozenset[Mark]:
    """Return those of the marks of a source that the grammar finds in it too."""
    if not marks:
        return frozenset()
    places = {(one.start, one.end) for one in find_marks(text, language=language)}
    return frozenset(one for one in marks if (one.start, one.end) in places)


def _is_within(mark: Mark, parts: Sequence[str | Mark]) -> bool:
    """Whether a mark that was found overlaps one that was kept."""
    position = 0
    for part in parts:
        size = len(part) if isinstance(part, str) else len(part.text)
        if isinstance(part, Mark) and position < mark.end and mark.start < position + size:
            return True
        position += size
    return False


def _touches(text: str, start: int, end: int) -> bool:
    """Whether an ASCII letter or digit stands beside a place of which the end on that side is one too."""
    before = start > 0 and _WORD.match(text[start - 1]) and _WORD.match(text[start])
    after = end < len(text) and _WORD.match(text[end]) and (_WORD.match(text[end - 1]) or text[start] == "%")
    return bool(before or after)


def check_order(wanted: Sequence[Mark], found: Sequence[Mark]) -> None:
    """Check the order of the marks of a translation.

    Raises:
        Damaged: A mark closes what was not opened, or a mark without a number stands in another place.
    """
    before, after = ([mark for mark in side if mark.role is Role.ORDERED] for side in (wanted, found))
    for one, other in zip(before, after, strict=True):
        if one.text != other.text:
            raise Damaged(
                Flaw(
                    f"{{}} stands where the source has {one.text!r}: marks without a number keep their order", (other,)
                ),
            )
    if _pairs(found) != _pairs(wanted):
        closing = next((mark for mark in found if mark.role is Role.CLOSES), None)
        raise Damaged(
            Flaw(
                "the tags around {} are not in order: each closes what the last open one began",
                (closing,) if closing else (),
            )
        )


def _pairs(marks: Sequence[Mark]) -> Counter[tuple[str, str]] | None:
    """Return how often each mark that opens has each mark that closes; None if they do not nest."""
    opened: list[str] = []
    pairs: Counter[tuple[str, str]] = Counter()
    for mark in marks:
        if mark.role is Role.OPENS:
            opened.append(mark.text)
        elif mark.role is Role.CLOSES:
            if not opened:
                return None
            pairs[opened.pop(), mark.text] += 1
    return None if opened else pairs
