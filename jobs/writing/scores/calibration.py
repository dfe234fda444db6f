"""Calibration turns the log likelihoods of labels into probabilities that can be believed.

A model prefers some labels whatever the text is, because they are frequent words, or stand last in the prompt. *Contextual
calibration* (Zhao et al. 2021, arXiv 2102.09690) measures this preference with texts that say nothing, such as "N/A", and divides
by it. Over a closed set of labels this has the form of the domain-conditional PMI of Holtzman et al. 2021 (arXiv 2104.08315).

A model may also be too sure, or not sure enough. With labelled examples, `fit` finds a slope for all log likelihoods, which is
one divided by the temperature (temperature scaling: Guo et al. 2017, arXiv 1706.04599). With this slope, the probability of the
most probable label is on average the share of examples that it labels rightly (expectation consistency: Clarté et al. 2023, arXiv
2303.02644). A prior around 1 lets few examples change little, and no slope changes which label is the most probable.

Two other fits were tried with SmolLM2-135M and 4 to 100 examples. The slope of the greatest likelihood made the model too unsure
where it never finds one of the labels. A bias for each label (Platt 1999) followed the chance of which labels the examples had.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

SLOPE_WEIGHT: Final = 4.0
"""How strongly the prior draws the slope to 1. To bring it to 0.37, this many examples must be wrong with a probability of 1."""

SLOPES: Final = (0.05, 20.0)
"""The least and the greatest slope."""

BISECTIONS: Final = 40
"""How often `fit` halves the interval that has the slope."""

DIGITS: Final = 6
"""Probabilities are given with this many decimals."""

Scores = Sequence[float]
"""A score for each label, in nats."""


def softmax(scores: Scores, slope: float = 1.0) -> list[float]:
    """Return a probability for each score times the slope. They add up to 1."""
    most = max(scores)
    weights = [math.exp(slope * (score - most)) for score in scores]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def preference(content_free: Sequence[Scores]) -> list[float]:
    """Return how much a model prefers each label without any content: the logarithm of the label's mean probability, in nats.

    `content_free` holds the log likelihoods of the labels after each text that says nothing.
    """
    probabilities = [softmax(scores) for scores in content_free]
    means = [math.fsum(of_label) / len(probabilities) for of_label in zip(*probabilities, strict=True)]
    return [math.log(max(mean, 1e-300)) for mean in means]


@lru_cache(64)
def fit(examples: tuple[tuple[tuple[float, ...], int], ...]) -> float:
    """Return the slope at which the labels of examples are as probable as they are right, under the prior; 1 without examples.

    The gap between both grows with the slope, so bisection finds the only slope without a gap. The slopes of recent examples are
    kept, since many rows have the same examples.

    Args:
        examples: For each example, the scores of all labels, less the model's preference, and the index of its label.
    """
    low, high = SLOPES
    if not examples:
        return 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _gap(middle, examples) < 0 else (low, middle)
    return (low + high) / 2


def rounded(probabilities: Scores) -> list[float]:
    """Return probabilities with `DIGITS` decimals that add up to 1: those that lose most by rounding down are rounded up."""
    units = 10**DIGITS
    exact = [one * units for one in probabilities]
    whole = [math.floor(one) for one in exact]
    missing = units - sum(whole)
    for place in sorted(range(len(exact)), key=lambda n: whole[n] - exact[n])[:missing]:
        whole[place] += 1
    return [one / units for one in whole]


def _gap(slope: float, examples: Sequence[tuple[Scores, int]]) -> float:
    """Return how far the sum of the highest probabilities exceeds the number of right labels, with the prior's part of it."""
    gaps = (max(softmax(scores, slope)) - (scores.index(max(scores)) == label) for scores, label in examples)
    return SLOPE_WEIGHT * math.log(slope) + math.fsum(gaps)
