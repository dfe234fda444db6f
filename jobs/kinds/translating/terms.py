"""The terms of a row for the prompt of one part: those of its glossary that the part has."""

from collections.abc import Mapping
from typing import Any

from jobs.kinds.translating.request import TranslationRequest


def terms_of(request: TranslationRequest, source: str) -> Mapping[str, Any]:
    """Return the values of the template that hold terms, for a part of the source as it stands there."""
    return {
        "glossary": {term: target for term, target in request.glossary.items() if term.lower() in source.lower()},
    }
