"""Inspection: tells a person what a file of terms holds, and whether its lines contradict each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.terms.concept import Concept, Glossary, Status
from jobs.terms.language_pair import PairBuilder


@dataclass(frozen=True, slots=True)
class PairCounts:
    """What a file has for a language pair: terms with a translation, and terms with a forbidden one."""

    source_language: str
    target_language: str
    terms: int
    forbidden: int


def pair_counts(glossary: Glossary) -> Sequence[PairCounts]:
    """Return what a file has for each of its language pairs, from the first language of its lines into the others.

    Raises:
        DocumentError: Two lines contradict each other.
    """
    pairs = dict.fromkeys(pair for concept in glossary.concepts for pair in _pairs(concept))
    found = []
    for source, target in pairs:
        builder = PairBuilder(source, target)
        builder.add_layer([glossary], ())
        built = builder.built()
        forbidden = sum(bool(one.forbidden) for one in built.entries) + len(built.forbidden)
        found.append(PairCounts(source, target, sum(bool(one.targets) for one in built.entries), forbidden))
    return found


def names(glossary: Glossary) -> Sequence[str]:
    """Return the names of a file that stay as they are."""
    return [one.text for concept in glossary.concepts for one in concept.terms if one.status is Status.KEPT]


def _pairs(concept: Concept) -> Sequence[tuple[str, str]]:
    languages = list(dict.fromkeys(one.language for one in concept.terms if one.language))
    return [(languages[0], other) for other in languages[1:]]
