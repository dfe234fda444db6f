"""Tests that sketches keep counts exactly, quantiles within the stated error, and add up in any order."""

import math
import random

import orjson
import pytest

from jobs.planning.sketch import RELATIVE_ERROR, Sketch, bucket_of

VALUES = [int(value) for value in map(random.Random(2).lognormvariate, [6.0] * 2000, [1.5] * 2000)]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0])
def test_a_quantile_is_within_the_stated_error(share: float) -> None:
    ordered = sorted(VALUES)
    true = ordered[max(1, math.ceil(share * len(ordered))) - 1]
    assert abs(Sketch.of(VALUES).quantile(share) - true) <= RELATIVE_ERROR * true


def test_count_mean_and_variance_are_exact() -> None:
    sketch = Sketch.of(VALUES)
    mean = sum(VALUES) / len(VALUES)
    assert (sketch.count, sketch.total) == (len(VALUES), sum(VALUES))
    assert abs(sketch.largest - max(VALUES)) <= RELATIVE_ERROR * max(VALUES)
    assert sketch.mean == mean
    assert sketch.variance == pytest.approx(sum((one - mean) ** 2 for one in VALUES) / (len(VALUES) - 1))


def test_sums_do_not_depend_on_the_order_or_the_grouping() -> None:
    a, b, c = (Sketch.of(VALUES[n::3]) for n in range(3))
    assert (a + b) + c == a + (b + c) == c + (b + a) == Sketch.of(VALUES)
    assert Sketch.of(VALUES) + Sketch() == Sketch.of(VALUES)


def test_what_is_subtracted_and_added_again_is_the_same() -> None:
    some, all_ = Sketch.of(VALUES[:700]), Sketch.of(VALUES)
    assert all_ - some == Sketch.of(VALUES[700:])
    assert (some - all_) + all_ == some
    assert all_ - all_ == Sketch()


def test_a_scaled_sketch_is_that_of_scaled_values() -> None:
    scaled, true = Sketch.of(VALUES).scaled(2.5), Sketch.of([round(2.5 * value) for value in VALUES])
    assert scaled.count == true.count
    assert scaled.mean == pytest.approx(true.mean, rel=1e-3)
    assert scaled.variance == pytest.approx(true.variance, rel=1e-2)
    assert scaled.quantile(0.9) == pytest.approx(true.quantile(0.9), rel=3 * RELATIVE_ERROR)


def test_many_values_take_few_buckets() -> None:
    """Values from one to a thousand million million, as nanoseconds of two weeks, have at most 800 buckets."""
    assert len(Sketch.of([int(1.02**n) for n in range(1750)]).buckets) <= 800


@pytest.mark.parametrize("value", [0, 1, 63, 127, 128, 129, 255, 256, 8191, 8192, 10**6, 2**63, 10**30])
def test_a_bucket_holds_what_differs_by_less_than_the_error(value: int) -> None:
    assert bucket_of(value) <= bucket_of(value + 1) <= bucket_of(value) + 1
    # two copies below the largest value, so that the middle of the bucket is read
    assert abs(Sketch.of([value, value, 4 * value + 1]).quantile(0.5) - value) <= RELATIVE_ERROR * value


def test_a_sketch_survives_json() -> None:
    sketch = Sketch.of(VALUES)
    assert Sketch.from_dict(orjson.loads(orjson.dumps(sketch.as_dict()))) == sketch


@pytest.mark.parametrize(
    "buckets",
    [
        pytest.param([1, 0], id="an empty bucket"),
        pytest.param([-1, 1], id="a negative bucket"),
        pytest.param([1, 1, 2], id="a bucket without a count"),
    ],
)
def test_wrong_json_is_refused(buckets: list[int]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Sketch.from_dict({"buckets": buckets, "total": 0, "squares": "0"})


def test_negative_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no negative numbers, and -3 is one"):
        Sketch.of([1, -3])


def test_an_empty_sketch_has_zeros() -> None:
    empty = Sketch()
    assert (empty.count, empty.mean, empty.variance, empty.skewness, empty.quantile(0.5)) == (0, 0, 0, 0, 0)


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="a share is from 0 to 1"):
        Sketch.of([1]).quantile(1.1)
