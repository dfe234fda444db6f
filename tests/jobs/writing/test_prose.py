"""Shows jobs/writing/prose.py: texts of small models are read leniently."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.writing.prose import (
    clipped,
    sentences,
    slug_of,
    whole_sentences,
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("One. Two is cut", "One.", id="cut"),
        pytest.param("Why? Because!", "Why? Because!", id="whole"),
        pytest.param("No end", "", id="no sentence"),
        pytest.param("It takes 3.5 litres", "", id="a decimal is no end"),
        pytest.param('He said "Go." Then', 'He said "Go."', id="a quote closes"),
        pytest.param("- one\n- two\n- thr", "- one\n- two", id="list items"),
        pytest.param("Steps.\n1. Boil\n2. ", "Steps.\n1. Boil", id="the number of an item is no end"),
        pytest.param("  1. ", "", id="nor is an indented one"),
        pytest.param("茶を飲む。そして", "茶を飲む。", id="Japanese"),
        pytest.param("चाय पियो। और", "चाय पियो।", id="Hindi"),
        pytest.param("هل هذا شاي؟ نعم", "هل هذا شاي؟", id="Arabic"),
        pytest.param("Wait… what", "Wait…", id="ellipsis"),
    ],
)
def test_whole_sentences(text: str, kept: str) -> None:
    assert whole_sentences(text) == kept


def test_sentences() -> None:
    assert sentences("One. Two? 3.5 is cut") == ["One.", "Two?"]
    assert sentences("一。二！三") == ["一。", "二！"]  # noqa: RUF001
    assert sentences("none") == []


@given(st.text(st.sampled_from("ab .!?\n-1。"), max_size=40))
def test_whole_sentences_are_a_beginning_of_the_text(text: str) -> None:
    kept = whole_sentences(text)
    assert text.strip().startswith(kept)
    assert whole_sentences(kept + "\n") == kept
    assert whole_sentences(kept + "\nand more") == kept


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        pytest.param("a  b\nc", 10, "a b c", id="it fits"),
        pytest.param("One two. Three four.", 12, "One two.", id="sentences that fit"),
        pytest.param("One. Two three four", 16, "One. Two three…", id="a short sentence is too little"),
        pytest.param("one two, three", 10, "one two…", id="words"),
        pytest.param("a" * 20, 10, "a" * 9 + "…", id="one long word"),
    ],
)
def test_clipped(text: str, limit: int, cut: str) -> None:
    assert clipped(text, limit) == cut


@given(st.text(), st.integers(2, 200))
def test_clipped_text_is_within_its_limit_and_on_one_line(text: str, limit: int) -> None:
    cut = clipped(text, limit)
    assert len(cut) <= limit
    assert cut == " ".join(cut.split())
    assert bool(cut) == bool(text.split())


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        pytest.param("Über Tea & Co.", "uber-tea-co", id="accents"),
        pytest.param("Don’t panic", "dont-panic", id="apostrophe"),  # noqa: RUF001
        pytest.param("Straße, Łódź, Ærø", "strasse-lodz-aero", id="letters without a decomposition"),
        pytest.param("ﬁne ①", "fine-1", id="compatible forms"),
        pytest.param("茶", "article", id="nothing left"),
        pytest.param("a" * 79 + " b", "a" * 79, id="no hyphen at the cut"),
    ],
)
def test_slug(title: str, slug: str) -> None:
    assert slug_of(title) == slug


@given(st.text())
def test_a_slug_is_for_urls_and_its_own_slug(title: str) -> None:
    slug = slug_of(title)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert len(slug) <= 80
    assert slug_of(slug) == slug


@pytest.mark.parametrize("text", ["." * 100_000 + "x", " " * 100_000, "*" * 100_000, "- " * 50_000, '"' * 100_000])
def test_no_text_takes_long_to_read(text: str) -> None:
    began = time.process_time()
    for read in (whole_sentences, sentences, slug_of):
        read(text)
    clipped(text, 160)
    assert time.process_time() - began < 2
