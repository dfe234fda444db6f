"""Shows that `scripts/checks/mutate.py` can remove each guard from the code as it is, and reports which test noticed."""

import ast
from pathlib import Path

import pytest

from scripts.checks import mutate
from scripts.checks.mutate import GUARDS, ROOT, Guard, guards, tried


@pytest.mark.parametrize("guard", guards(), ids=lambda guard: guard.name)
def test_each_guard_fits_the_code(guard: Guard) -> None:
    assert guard.places(ROOT) == 1, f"correct {guard.name!r} in {GUARDS.name}"
    assert guard.new != guard.old
    if guard.file.endswith(".py"):  # code that cannot be imported shows nothing
        ast.parse((ROOT / guard.file).read_text().replace(guard.old, guard.new))
    assert guard.tests
    for test in guard.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text(), f"{test} of {guard.name!r} is not there"


def test_there_are_at_least_20_guards_and_each_name_is_unique() -> None:
    names = [guard.name for guard in guards()]
    assert len(names) == len(set(names)) >= 20


MOMENTS = ["tests/jobs/test_typed_times.py"]


@pytest.mark.parametrize(
    ("old", "new", "tests", "noticed", "message"),
    [
        pytest.param(
            "int(clock[1])",
            "int(clock[2])",
            MOMENTS,
            True,
            "noticed by tests/jobs/test_typed_times.py::",
            id="broken",
        ),
        pytest.param("Every result", "Each result", MOMENTS, False, "NO TEST NOTICED", id="a comment"),
        pytest.param("int(clock[1])", "int(clock[1]", MOMENTS, False, "with status 2", id="a syntax error"),
        pytest.param("int(clock[0])", "int(clock[1])", MOMENTS, False, "DOES NOT FIT", id="a missing text"),
    ],
)
def test_only_a_failing_test_counts_as_noticing(
    old: str, new: str, tests: list[str], noticed: bool, message: str
) -> None:
    found = tried(Guard("moments", "none", "jobs/typed_times.py", old, new, tests))
    assert (found.noticed, message in found.message) == (noticed, True), found


@pytest.mark.parametrize(
    ("body", "longest_s", "message"),
    [
        pytest.param("assert False", 300, "fail in unchanged code, too: ", id="it fails"),
        pytest.param(
            "while True: pass", 1, "fail in unchanged code, too: the tests do not end in 1 s", id="it never ends"
        ),
    ],
)
def test_a_test_that_fails_in_unchanged_code_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, longest_s: int, message: str
) -> None:
    monkeypatch.setattr(mutate, "LONGEST_S", longest_s)
    test = tmp_path / "test_always.py"
    test.write_text(f"def test_it():\n    {body}\n")
    found = tried(Guard("moments", "none", "jobs/typed_times.py", "int(clock[1])", "int(clock[2])", [str(test)]))
    assert (found.noticed, message in found.message) == (False, True), found


def test_guards_are_sorted_by_rule() -> None:
    rules = [guard.rule for guard in guards()]
    numbers = [int(rule) for rule in rules if rule.isdigit()]
    assert numbers == sorted(numbers)
    assert rules[len(numbers) :] == sorted(rule for rule in rules if not rule.isdigit())
