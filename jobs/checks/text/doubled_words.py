"""Finds a word that stands twice in a row, such as `the the`. Weblate, pofilter, Phrase and proselint have this check too."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.data import is_data
from jobs.findings import Severity
from jobs.writing.words.words import primary

_USUAL: Final = (
    "bye so very really no yes ha ho hi blah bla tut knock now there come long many "
    "more much hear hush chop night well far die der das sie ihr sehr nous vous faites muy poco "
    "molto piano poi quasi ora via logo quase já só sim dag dat je u ze we så bardzo очень еле вот "
    "да нет дуже πολύ σιγά λίγο κάθε جدا رويدا שוב לאט foarte velmi nagyon çok "
    "way big please yeah aye yo pom tuk mahi ylang cha tam chow choo dik bora pago walla wagga "
    "très bien oui non trop vraiment beaucoup doucement ganz viel weit lange bald bitte ja nein "
    "mucho muchísimo sí ya casi così tanto tutto bene sì muito bem sim não mais tão heel erg zeer veel nee "
    "mycket väldigt nej meget veldig hyvin todella tak moc давно далеко долго тихо много чуть mult încet"
)
USUAL: Final = frozenset(_USUAL.split())
"""Words of any language that stand twice in correct sentences: `très très`, `nous nous`, `die die`, `ja ja`, `mahi mahi`."""

_OF_LANGUAGE: Final[Mapping[str, frozenset[str]]] = {
    "en": frozenset({"had", "that", "is", "do", "her"}),
    "nl": frozenset({"er", "die", "dat"}),
    "sv": frozenset({"det", "den", "som"}),
    "da": frozenset({"det", "den", "der"}),
    "nb": frozenset({"det", "den"}),
    "no": frozenset({"det", "den"}),
}
"""Words that stand twice in correct sentences of one language alone: `what it is is`, `als er er een is`, `är det det`."""

_REDUPLICATING: Final = (
    "id ms tl fil tpi vi haw sm mi th lo km jv su tr az kk ky uz hi bn mr ne gu pa ta te kn ml ur fa ko ja zh my sw zu"
)
REDUPLICATING: Final = frozenset(_REDUPLICATING.split())
"""Languages whose grammar doubles words, such as for the plural of Indonesian."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    for piece in subject.pieces:
        if primary(piece.language) in REDUPLICATING:
            continue
        usual = USUAL | _OF_LANGUAGE.get(primary(piece.language) or "en", frozenset())
        doubled_keys = {word for word, second in pairwise(piece.keys) if word == second and word not in usual}
        if not doubled_keys or is_data(piece.text):
            continue
        for (word, start, end), (second, again, last) in pairwise(piece.tokens):
            if word != second or word not in doubled_keys or not word[0].isalpha():
                continue
            if not _SPACE.fullmatch(piece.text, end, again):
                continue
            is_name = piece.text[start:end].istitle() and piece.text[again:last].istitle()  # Duran Duran, Baden Baden
            doubled = piece.text[start:last]
            if (
                not is_name
                and doubled.casefold() not in subject.asked.casefold()
                and _stands_alone(piece.text, start, last)
            ):
                yield Broken(f"{doubled!r} stands twice in a row", doubled, None, piece.place(start, last))


_SPACE: Final = re.compile(r"[ \t\u00a0]+")


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no hyphen or mark ties one of the two words to a third, as in `well-known known`, and none to a placeholder."""
    if _PLACEHOLDER.search(text, max(0, start - _LONGEST_NAME), start):
        return False
    return text[start - 1 : start] not in _TIES and text[end : end + 1] not in _TIES


_LONGEST_NAME: Final = 60
_PLACEHOLDER: Final = re.compile(r"%(?:\([^()\s]{1,50}\))?$")
"""Matches the beginning of `%(name)s` or `%s`, whose last letter is no word."""

_TIES: Final = frozenset("-'\u2019_@#/")

CHECKS: Final = (Check("doubled_word", Severity.REVIEW, "A word stands twice in a row.", _find, general=True),)
