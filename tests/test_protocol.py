"""Tests the rules of jobs/PROTOCOL.md: each has a number and a guard that keeps it, and each cited rule exists.

A citation is "rule 10", "rules 8, 18 and 25" or "rules 16 to 21". A guard of `scripts/checks/guards.toml` names the number of its
rule, or a word that the last section of the page explains.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from scripts.checks.mutate import guards

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = "jobs/PROTOCOL.md"
SEARCHED: Final = ("jobs", "workers", "scripts", "tests", "docs", ".github")
SUFFIXES: Final = {".py", ".lua", ".md", ".toml"}

NUMBERS: Final = r"\d+(?:(?:,|\s+and|\s+to)\s+\d+)*"
CITATION: Final = re.compile(rf"\brules?\s+({NUMBERS})", re.IGNORECASE)
OTHER_FORM: Final = re.compile(r"\b(?:rules?\s*(?:no\.?|number|#)|protocol(?:\.md)?,?)\s*\d", re.IGNORECASE)
HEADING: Final = re.compile(r"^### Rule (\d+)(?: ★)?: (.+)$", re.MULTILINE)
WORD: Final = re.compile(r"^- `([a-z]+)`: ", re.MULTILINE)
UNGUARDED: Final = re.compile(r"^\*No guard\*: .{20,}", re.MULTILINE)
"""The beginning of the paragraph in which a rule without a guard says why it has none."""


def sections() -> dict[int, str]:
    """The text of each rule, by its number."""
    text = (ROOT / PAGE).read_text()
    starts = [*HEADING.finditer(text)]
    ends = [match.start() for match in starts[1:]] + [len(text)]
    return {int(match[1]): text[match.end() : end] for match, end in zip(starts, ends, strict=True)}


def words() -> set[str]:
    """The words that a guard may name if it keeps no rule."""
    return set(WORD.findall((ROOT / PAGE).read_text().partition("## Guards that keep no rule")[2]))


def named(text: str) -> Iterator[int]:
    """The rules that a text cites."""
    for citation in CITATION.finditer(text):
        numbers = [int(number) for number in re.findall(r"\d+", citation[1])]
        yield from range(numbers[0], numbers[-1] + 1) if " to " in " ".join(citation[1].split()) else numbers


def files() -> Iterator[Path]:
    """Every file in which a rule may be cited, except this one."""
    for folder in SEARCHED:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and path != Path(__file__):
                yield path


def test_rules_are_numbered_without_a_gap() -> None:
    text = (ROOT / PAGE).read_text()
    assert [int(match[1]) for match in HEADING.finditer(text)] == list(range(1, len(sections()) + 1))


def test_each_rule_that_is_cited_is_in_the_page() -> None:
    known = sections().keys()
    missing = [
        f"{path.relative_to(ROOT)}: rule {number}"
        for path in files()
        for number in named(path.read_text())
        if number not in known
    ]
    assert missing == []


def test_rules_are_cited_in_one_form() -> None:
    assert [str(path) for path in files() if OTHER_FORM.search(path.read_text())] == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        pytest.param("rule 10", [10], id="one"),
        pytest.param("Rule 18.", [18], id="at the beginning of a sentence"),
        pytest.param("rules 8, 18 and 25", [8, 18, 25], id="several"),
        pytest.param("by rules\n16 to 18 of", [16, 17, 18], id="a span, over two lines"),
        pytest.param("no rules 'til @rule(2)", [], id="none"),
    ],
)
def test_citations_are_found_in_a_text(text: str, numbers: list[int]) -> None:
    assert list(named(text)) == numbers


def test_each_guard_keeps_a_rule_of_the_page_or_a_word_that_it_explains() -> None:
    known = {*map(str, sections()), *words()}
    assert [f"{guard.rule}: {guard.name}" for guard in guards() if guard.rule not in known] == []


def test_each_word_is_that_of_some_guard() -> None:
    assert words() - {guard.rule for guard in guards()} == set()


def test_each_rule_has_a_guard_or_says_why_it_needs_none() -> None:
    guarded = {guard.rule for guard in guards()}
    for number, text in sections().items():
        says_none = UNGUARDED.search(text) is not None
        assert (str(number) in guarded) is not says_none, f"rule {number}: give it a guard, or say why it needs none"


def test_each_rule_names_the_files_that_keep_it() -> None:
    assert [number for number, text in sections().items() if "\n*Kept in* `" not in text] == []


def test_a_guard_stands_in_a_file_that_keeps_its_rule() -> None:
    """A reader of the page must find every file that keeps the rule."""
    texts = sections()
    assert [
        f"rule {guard.rule}: {guard.file}"
        for guard in guards()
        if guard.rule.isdigit() and f"`{guard.file}`" not in texts[int(guard.rule)]
    ] == []
