"""Shows jobs/writing/scores/calibration.py: content-free preference, the slope that examples show, rounding."""

import math
import random

import pytest

from jobs.writing.scores.calibration import SLOPES, fit, preference, rounded, softmax

Example = tuple[tuple[float, ...], int]


def drawn(count: int, slope: float, labels: int = 3, seed: int = 1) -> tuple[Example, ...]:
    """Return examples whose labels are drawn from a known slope."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        scores = tuple(chance.gauss(0, 1) for _ in range(labels))
        found.append((scores, chance.choices(range(labels), softmax(scores, slope))[0]))
    return tuple(found)


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param([0.0, 0.0], id="equal"),
        pytest.param([-1e5, -1.0], id="hopeless"),
        pytest.param([-9999.0] * 50, id="fifty"),
        pytest.param([700.0, -700.0, 3.5], id="large"),
    ],
)
def test_probabilities_add_up_to_one(scores: list[float]) -> None:
    for slope in (1.0, *SLOPES):
        found = softmax(scores, slope)
        assert math.fsum(found) == pytest.approx(1, abs=1e-12)
        assert found.index(max(found)) == scores.index(max(scores))


def test_a_preference_is_the_mean_of_probabilities() -> None:
    """A text without content may have any likelihood: only the labels' shares of it count."""
    low, high = [-50.0, -50.0 + math.log(3)], [0.0, 0.0]
    assert preference([low, high]) == pytest.approx([math.log(0.375), math.log(0.625)])
    assert all(math.isfinite(one) for one in preference([[0.0, -9999.0]]))


def test_without_examples_nothing_changes() -> None:
    assert fit(()) == 1.0


@pytest.mark.parametrize("slope", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("labels", [2, 5])
def test_many_examples_show_the_slope(slope: float, labels: int) -> None:
    """The scores of a model that is too sure get a slope below 1."""
    assert fit(drawn(2_000, slope, labels)) == pytest.approx(slope, rel=0.15)


@pytest.mark.parametrize("chance_of_wrong", [0.0, 0.2, 0.4])
def test_labels_are_as_probable_as_they_are_right(chance_of_wrong: float) -> None:
    """So it is also if a model is sometimes wrong by chance, however sure it is."""
    chance = random.Random(3)
    right = drawn(400, 3.0, 2)
    examples = tuple((scores, 1 - label if chance.random() < chance_of_wrong else label) for scores, label in right)
    slope = fit(examples)
    mean = math.fsum(max(softmax(scores, slope)) for scores, _ in examples) / len(examples)
    accuracy = sum(scores.index(max(scores)) == label for scores, label in examples) / len(examples)
    assert mean == pytest.approx(accuracy, abs=0.03)


@pytest.mark.parametrize(
    ("examples", "least", "most"),
    [
        pytest.param((((1.0, -1.0), 0),), 1.0, 1.2, id="one"),
        pytest.param((((1.0, -1.0), 1),), 0.7, 1.0, id="one that is wrong"),
        pytest.param((((0.2, 0.0), 0), ((0.1, 0.0), 0), ((0.3, 0.0), 0)), 1.0, 1.4, id="of one label"),
        pytest.param((((9.0, -9.0), 1), ((-9.0, 9.0), 0)), 0.5, 0.7, id="all wrong, and sure"),
        pytest.param((((1e4, -1e4), 1), ((-9999.0, 0.0), 0)) * 3, 0.2, 0.3, id="huge"),
        pytest.param((((1e4, -1e4), 0), ((-9999.0, 0.0), 1)) * 3, 0.9999, 1.0001, id="huge and right"),
        pytest.param((((0.0, 0.0), 0), ((0.0, 0.0), 1)) * 2, 0.9999, 1.0001, id="that say nothing"),
    ],
)
def test_a_few_examples_break_nothing(examples: tuple[Example, ...], least: float, most: float) -> None:
    """The most probable label stays the same, and stays the most probable, whatever the examples are."""
    slope = fit(examples)
    assert least <= slope <= most
    likely, unlikely = softmax([4.0, -4.0], slope)
    assert likely > 0.55 > unlikely


@pytest.mark.parametrize("count", [2, 3, 7, 50])
def test_rounded_probabilities_add_up_to_one(count: int) -> None:
    chance = random.Random(count)
    for _ in range(50):
        exact = softmax([chance.gauss(0, 4) for _ in range(count)])
        found = rounded(exact)
        assert math.fsum(found) == pytest.approx(1, abs=1e-12)
        assert all(abs(one - other) <= 1.000001e-6 for one, other in zip(found, exact, strict=True))
        assert all(len(f"{one:.12f}".rstrip("0")) <= 8 for one in found)
    assert rounded([1 / count] * count)[0] == pytest.approx(1 / count, abs=1e-6)
