"""The terms of a row in the prompt of one part: the glossary, the names that stay, and what is forbidden.

Names are marks, so a model does not see them, except in ICU messages. A term that an answer lacked is hidden too, in the last
try, behind a sign that becomes its translation. So a model made for translation, which reads no instructions, keeps to the
glossary, though without inflecting the term.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from jobs.kinds.translating.request import TranslationRequest
from jobs.marks.mark import Mark

MOST_FORBIDDEN: Final = 20
"""A prompt names at most this many forbidden terms; the check knows all of them."""


def terms_of(request: TranslationRequest, source: str, masked: str) -> Mapping[str, Any]:
    """Return the values of the template that hold terms.

    Args:
        request: The request.
        source: A part of the source.
        masked: The part as the model sees it, with signs in place of its marks.
    """
    names = [masked[start:end] for start, end in request.terms.name_places(masked)]
    return {
        "glossary": {term: targets[0] for term, targets in request.terms.glossary_in(source).items()},
        "names": list(dict.fromkeys(names)),
        "forbidden": request.forbidden_terms[:MOST_FORBIDDEN],
    }


def targets_as_marks(
    request: TranslationRequest, text: str, marks: Sequence[Mark], missed: Collection[str]
) -> list[Mark]:
    """Return a mark for each term of a part whose best translation is in `missed`. Its text is that translation.

    At the beginning of the part the translation gets the capital of the term. A term that overlaps one of `marks` has none.
    """
    found = []
    for place in request.terms.places(text):
        target = request.terms.targets(place)[0]
        if target in missed and not any(one.start < place.end and place.start < one.end for one in marks):
            if not text[: place.start].strip() and text[place.start].isupper():
                target = target[:1].upper() + target[1:]
            found.append(Mark(place.start, place.end, target))
    return found
