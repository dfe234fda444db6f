"""Asking again: how a further try for a text that cannot be published differs from the first, in its label and its sampling."""

from dataclasses import replace
from typing import Final

from jobs.generation import SamplingParams


def label_of_try(label: str, number: int) -> str:
    """Return the label of a try's prompt: `post` for try 1, `post, try 2` for try 2."""
    return label if number == 1 else f"{label}, try {number}"


COLDER: Final = 0.2
"""Each further try of a sampled text lowers the temperature by this much: faults are mostly unlikely words."""
COLDEST: Final = 0.3
"""A further try of a sampled text has at least this temperature."""
WARMER: Final = 0.3
"""Each further try of a text at temperature 0 raises the temperature by this much, since the same text would come again."""


def params_of_try(params: SamplingParams, number: int) -> SamplingParams:
    """Return the sampling params of a try. The first has `params`; each further one has another temperature."""
    if number == 1:
        return params
    further = number - 1
    if params.temperature == 0:
        return replace(params, temperature=round(WARMER * further, 3))
    colder = max(min(COLDEST, params.temperature), params.temperature - COLDER * further)
    return replace(params, temperature=round(colder, 3))
