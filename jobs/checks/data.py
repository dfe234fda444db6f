"""Tells data from prose: a text that is JSON is data, so the checks of prose pass over it."""

import json
from functools import lru_cache


@lru_cache(maxsize=64)
def is_data(text: str) -> bool:
    """Whether a text is a JSON object or list, also in a code fence."""
    text = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    if not text.startswith(("{", "[")) or not text.endswith(("}", "]")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
