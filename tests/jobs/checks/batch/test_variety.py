"""The figures of variety, against values that were worked out by hand."""

import math

import pytest

from jobs.checks.batch.variety import Sample, compression, distinct, self_bleu


def split(*texts: str) -> list[list[str]]:
    return [text.split() for text in texts]


@pytest.mark.parametrize(
    ("texts", "length", "share"),
    [
        (split("a b c", "a b d"), 1, 4 / 6),
        (split("a b c", "a b d"), 2, 3 / 4),
        (split("a a a a"), 1, 1 / 4),
        (split("a"), 2, 1.0),
        ([], 1, 1.0),
    ],
)
def test_distinct(texts: list[list[str]], length: int, share: float) -> None:
    assert distinct(texts, length) == share


def test_self_bleu_of_the_same_and_of_different_texts() -> None:
    assert self_bleu(split("a b c d e", "a b c d e")) == pytest.approx(1.0)
    assert self_bleu(split("a b c d e", "f g h i j")) < 0.05
    assert self_bleu(split("a b c d e")) == self_bleu([]) == self_bleu(split("", "")) == 0.0


def test_self_bleu_by_hand() -> None:
    # `a b c d`: 3 of 4 words, 2 of 3 pairs, 1 of 2 runs of three and none of the runs of four are in `a b c e`, and the reverse.
    expected = math.exp((math.log(3 / 4) + math.log(2 / 3) + math.log(1 / 2) + math.log(0.1)) / 4)
    assert self_bleu(split("a b c d", "a b c e")) == pytest.approx(expected)


def test_a_word_counts_as_often_as_another_text_has_it() -> None:
    # Of `a a`, one `a` is in `a b`; of `a b`, one of two. No pair is shared.
    expected = math.exp((math.log(1 / 2) + math.log(0.1)) / 2)
    assert self_bleu(split("a a", "a b")) == pytest.approx(expected)


def test_a_shorter_text_is_held_against_the_nearest_length() -> None:
    both = self_bleu(split("a b", "a b c d"))
    long = math.exp((math.log(2 / 4) + math.log(1 / 3) + math.log(0.1 / 2) + math.log(0.1)) / 4)
    assert both == pytest.approx((math.exp(1 - 4 / 2) + long) / 2)


def test_compression() -> None:
    assert compression([]) == 1.0
    assert compression(["the same text again and again"] * 100) > 20


def test_each_text_has_the_same_chance_to_be_in_a_sample() -> None:
    counts = [0] * 10
    for seed in range(400):
        sample = Sample(3, 10, str(seed))
        for n in range(10):
            sample.add(str(n))
        assert len(set(sample.texts)) == 3
        for text in sample.texts:
            counts[int(text)] += 1
    assert min(counts) > 80
    assert max(counts) < 160


def test_a_sample_keeps_beginnings() -> None:
    sample = Sample(2, 3, "")
    sample.add("abcdef")
    assert sample.texts == ["abc"]
