"""Masking: hides the marks of a text behind short signs for a model, and puts the marks back into its answer.

A model keeps a word that it does not know better than `{{user.first_name}}`, which it translates. Marks side by side, such as
`</b></a>`, share one sign. The signs are made of letters (`XQA`, `XQB`, …) for models that know only words, or are characters of
the private use area (U+E000 and on) for models that keep any character. No sign stands in the text that is masked.

A sign of letters is set apart from the words beside it by a space, since a model would not know `XQASaveXQB` as `Save`. The space
goes when the mark comes back: beside a tag always, and beside another mark if the same word stands there.

An answer is taken only if it holds each sign once and no other sign, if what opens comes before what closes it, and if the
placeholders without a number keep their order. All other answers are damaged, and say what is wrong.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import regex

from jobs.marks.damage import Damaged, Flaw
from jobs.marks.keeping import check_order
from jobs.marks.mark import Mark, Role

Style = Literal["letters", "private"]

_FIRST_PRIVATE: Final = 0xE000
_LAST_PRIVATE: Final = 0xF8FF
MOST_PRIVATE: Final = _LAST_PRIVATE - _FIRST_PRIVATE + 1
_PREFIXES: Final = ("XQ", "QX", "ZQ", "QZ", "XZQ", "QXZ", "ZXQ", "QZX", "XQZX", "QXZQ")
_LETTERS: Final = "ABCDEFGHJLMNOPRTUVWY"
"""The letters that tell signs apart: none of a prefix, and none that becomes another letter with its case, as I in Turkish."""

_BETWEEN: Final = r"[\W_]{0,2}"
"""What a model may put between the letters of a sign."""

_MOST_MENDED: Final = 50
"""At most this many missing signs are looked for with something between their letters."""

_UNSPACED: Final = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_LONGEST_WORD: Final = 40


@dataclass(frozen=True, slots=True)
class _Joint:
    """How a sign was set apart from the word on one side of it. `always` says that no space may stay there; otherwise the space
    goes if `word` stands there again. Both are empty if the sign was not set apart.
    """

    word: str = ""
    always: bool = False


@dataclass(frozen=True, slots=True)
class Masked:
    """A text with signs in place of its marks. `signs` are the signs in their order, `marks` the marks behind each."""

    text: str
    signs: tuple[str, ...]
    marks: tuple[tuple[Mark, ...], ...]
    style: Style = "letters"
    joints: tuple[tuple[_Joint, _Joint], ...] = ()

    def sign_of(self, mark: Mark) -> str:
        """Return the sign that hides a mark; the mark's own text if it is in sight."""
        for sign, group in zip(self.signs, self.marks, strict=True):
            if mark in group:
                return sign
        return mark.text

    def restore(self, answer: str) -> str:
        """Return an answer with the marks in place of the signs. Letters of a sign may have changed their case.

        Raises:
            Damaged: A sign is missing or stands twice, a sign was made up, or the order of the marks is wrong.
        """
        if not self.signs:
            return answer
        found = self._found(answer)
        order = [n for _, _, n in found]
        counts = Counter(order)
        wrong = [
            Flaw("the translation lost {}" if not counts[n] else "{} stands more than once", group)
            for n, group in enumerate(self.marks)
            if counts[n] != 1
        ]
        if wrong:
            raise Damaged(*wrong)
        check_order([mark for group in self.marks for mark in group], [mark for n in order for mark in self.marks[n]])
        ends = [0, *(end for _, end, _ in found)]
        starts = [*(start for start, _, _ in found), len(answer)]
        literals = [answer[end:start] for end, start in zip(ends, starts, strict=True)]
        self._refuse_signs(literals)
        return self._joined(literals, order)

    def _found(self, answer: str) -> list[tuple[int, int, int]]:
        """Return start, end and number of each sign in an answer. A sign of letters that is missing may have signs or spaces
        between its letters.
        """
        numbers = {sign.casefold(): n for n, sign in enumerate(self.signs)}
        if self.style == "private":
            pattern = re.compile(f"[{''.join(self.signs)}]")
        else:
            length = len(self.signs[0]) - len(self._prefix)
            pattern = re.compile(f"{self._prefix}[{_LETTERS}]{{{length}}}", re.IGNORECASE)
        matches = [(*one.span(), numbers.get(one[0].casefold())) for one in pattern.finditer(answer)]
        found = [(start, end, n) for start, end, n in matches if n is not None]
        if self.style == "letters":
            missing = sorted({*range(len(self.signs))} - {n for _, _, n in found})
            for n in missing[:_MOST_MENDED]:
                spelled = re.compile(rf"(?<![^\W_]){_BETWEEN.join(self.signs[n])}(?![^\W_])", re.IGNORECASE)
                found += [(*one.span(), n) for one in spelled.finditer(answer)]
        return sorted(found)

    @property
    def _prefix(self) -> str:
        return self.signs[0].rstrip(_LETTERS)

    def _refuse_signs(self, literals: Sequence[str]) -> None:
        """Raise Damaged if something like a sign stands between the signs."""
        if self.style == "private":
            pattern = re.compile(f"[{chr(_FIRST_PRIVATE)}-{chr(_LAST_PRIVATE)}]")
        else:
            spelled = _BETWEEN.join(self._prefix)
            pattern = re.compile(rf"(?i:{self._prefix})\w*|(?<![^\W_]){spelled}{_BETWEEN}[A-Z](?![^\W_])")
        for literal in literals:
            for found in pattern.finditer(literal):
                whole = self.style == "letters" and self._prefix.casefold() in found[0].casefold()
                if whole or found[0] not in self.text:
                    raise Damaged(Flaw(f"{found[0]!r} stands for nothing", ()))

    def _joined(self, literals: Sequence[str], order: Sequence[int]) -> str:
        pieces = list(literals)
        for place, n in enumerate(order):
            before, after = self.joints[n] if self.joints else (_Joint(), _Joint())
            pieces[place] = _without_end(pieces[place], before)
            pieces[place + 1] = _without_start(pieces[place + 1], after)
        parts = [pieces[0]]
        for n, piece in zip(order, pieces[1:], strict=True):
            parts += ["".join(mark.text for mark in self.marks[n]), piece]
        return "".join(parts)


def mask(text: str, marks: Sequence[Mark], style: Style = "letters", *, beside: str = "", variant: int = 0) -> Masked:
    """Return the text with signs in place of its marks.

    Args:
        text: The text.
        marks: The marks to hide, in their order. They do not overlap.
        style: What the signs are made of. A text with more than 6,400 marks gets letters.
        beside: Another text that the model sees, in which no sign may stand either.
        variant: Texts that are masked again with another variant get other signs of letters.
    """
    groups = [tuple(group) for group in _side_by_side(marks)]
    if style == "private" and len(groups) > MOST_PRIVATE - _count_private(text + beside):
        style = "letters"
    signs = list(_signs(text + beside, len(groups), style, variant))
    parts: list[str] = []
    joints: list[tuple[_Joint, _Joint]] = []
    position = 0
    for sign, group in zip(signs, groups, strict=True):
        before, after = _joints(text, group) if style == "letters" else (_Joint(), _Joint())
        joints.append((before, after))
        parts += [text[position : group[0].start], " " * bool(before.word), sign, " " * bool(after.word)]
        position = group[-1].end
    return Masked("".join([*parts, text[position:]]), tuple(signs), tuple(groups), style, tuple(joints))


def _side_by_side(marks: Sequence[Mark]) -> Iterator[list[Mark]]:
    group: list[Mark] = []
    for mark in marks:
        if group and mark.start != group[-1].end:
            yield group
            group = []
        group.append(mark)
    if group:
        yield group


def _joints(text: str, group: Sequence[Mark]) -> tuple[_Joint, _Joint]:
    """Return how the sign of a group of marks is set apart from the word before it and the word behind it."""
    start, end = group[0].start, group[-1].end
    before, after = _word_before(text, start), _word_after(text, end)
    inside = bool(before and after and not _UNSPACED.search(before[-1] + after[0]))
    joins = inside and all(mark.role is Role.ALONE for mark in group)
    return (
        _Joint(before, joins or group[0].role is Role.CLOSES) if before else _Joint(),
        _Joint(after, joins or group[-1].role is Role.OPENS) if after else _Joint(),
    )


def _word_before(text: str, end: int) -> str:
    start = end
    while start > max(0, end - _LONGEST_WORD) and text[start - 1].isalnum():
        start -= 1
    return text[start:end]


def _word_after(text: str, start: int) -> str:
    end = start
    while end < min(len(text), start + _LONGEST_WORD) and text[end].isalnum():
        end += 1
    return text[start:end]


def _without_end(piece: str, joint: _Joint) -> str:
    if not joint.word or piece[-1:] not in (" ", "\u00a0"):
        return piece
    rest = piece[:-1]
    return rest if rest and (joint.always or rest.casefold().endswith(joint.word.casefold())) else piece


def _without_start(piece: str, joint: _Joint) -> str:
    if not joint.word or piece[:1] not in (" ", "\u00a0"):
        return piece
    rest = piece[1:]
    return rest if rest and (joint.always or rest.casefold().startswith(joint.word.casefold())) else piece


def _count_private(text: str) -> int:
    return 0 if text.isascii() else len({one for one in text if _FIRST_PRIVATE <= ord(one) <= _LAST_PRIVATE})


def _signs(text: str, count: int, style: Style, variant: int) -> Iterator[str]:
    """Yield signs that do not stand in the text, and of which none is the beginning of another."""
    if style == "private":
        taken = set() if text.isascii() else set(text)
        free = (one for one in map(chr, range(_FIRST_PRIVATE, _LAST_PRIVATE + 1)) if one not in taken)
        for _, sign in zip(range(count), free, strict=False):
            yield sign
        return
    prefix = _prefix(text.upper(), variant)
    length = 1
    while len(_LETTERS) ** length < count:
        length += 1
    for n in range(count):
        places = reversed(range(length))
        yield prefix + "".join(_LETTERS[n // len(_LETTERS) ** k % len(_LETTERS)] for k in places)


def _prefix(capitals: str, variant: int) -> str:
    free = [one for one in _PREFIXES if one not in capitals]
    if free:
        return free[variant % len(free)]
    extra, prefix = variant, ""
    while not prefix or prefix in capitals:  # a hostile text holds all prefixes: a longer one is made
        extra += 1
        prefix = "XQ" + "".join("ZX"[int(bit)] for bit in f"{extra:b}")
    return prefix
