"""Shows the figures of scripts/bench/labels.py."""

import pytest

from scripts.bench.labels import Prediction, accuracy, ece, macro_f1

PAIRS = [
    (Prediction("a", 0.95), "a"),
    (Prediction("a", 0.91), "b"),
    (Prediction("b", 0.65), "b"),
    (Prediction("", 0.6), "c"),
]


def test_accuracy_and_macro_f1() -> None:
    """A label that nobody predicts has an F1 of 0, and an answer without a label is wrong."""
    assert accuracy(PAIRS) == 0.5
    assert macro_f1(PAIRS, ["a", "b", "c"]) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_ece_is_the_mean_distance_of_probability_and_accuracy() -> None:
    """Two bins: 0.93 on average with one of two right, and 0.625 with one of two right."""
    assert ece(PAIRS) == pytest.approx((0.43 * 2 + 0.125 * 2) / 4)
    assert ece([(Prediction("a", 1.0), "a")]) == 0.0
