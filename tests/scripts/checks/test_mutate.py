"""`scripts/checks/mutate.py`: each guard can be taken away from the code as it stands, and what that breaks is told."""

from pathlib import Path

import pytest

from scripts.checks import mutate
from scripts.checks.mutate import GUARDS, ROOT, Guard, guards, tried


@pytest.mark.parametrize("guard", guards(), ids=lambda guard: guard.name)
def test_each_guard_fits_the_code(guard: Guard) -> None:
    assert guard.places(ROOT) == 1, f"mend {guard.name!r} in {GUARDS.name}"
    assert guard.new != guard.old
    assert guard.tests
    for test in guard.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text(), f"{test} of {guard.name!r} is not there"


def test_there_are_many_and_each_has_its_name() -> None:
    names = [guard.name for guard in guards()]
    assert len(names) == len(set(names)) >= 20


MOMENTS = ["tests/jobs/test_typed_times.py"]


@pytest.mark.parametrize(
    ("old", "new", "tests", "noticed", "said"),
    [
        pytest.param(
            "int(clock[1])",
            "int(clock[2])",
            MOMENTS,
            True,
            "noticed by tests/jobs/test_typed_times.py::",
            id="broken",
        ),
        pytest.param("Every result", "Each result", MOMENTS, False, "NOBODY NOTICED", id="a comment"),
        pytest.param("int(clock[1])", "int(clock[1]", MOMENTS, False, "with status 2", id="code that is none"),
        pytest.param("int(clock[0])", "int(clock[1])", MOMENTS, False, "DOES NOT FIT", id="text that is not there"),
    ],
)
def test_only_a_test_that_fails_notices(old: str, new: str, tests: list[str], noticed: bool, said: str) -> None:
    found = tried(Guard("moments", "none", "jobs/typed_times.py", old, new, tests))
    assert (found.noticed, said in found.said) == (noticed, True), found


@pytest.mark.parametrize(
    ("body", "longest_s", "said"),
    [
        pytest.param("assert False", 300, "fail without it, too: ", id="it fails"),
        pytest.param("while True: pass", 1, "fail without it, too: a test does not end in 1 s", id="it never ends"),
    ],
)
def test_a_test_that_fails_anyway_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, longest_s: int, said: str
) -> None:
    monkeypatch.setattr(mutate, "LONGEST_S", longest_s)
    test = tmp_path / "test_always.py"
    test.write_text(f"def test_it():\n    {body}\n")
    found = tried(Guard("moments", "none", "jobs/typed_times.py", "int(clock[1])", "int(clock[2])", [str(test)]))
    assert (found.noticed, said in found.said) == (False, True), found


def test_they_come_by_rule() -> None:
    rules = [guard.rule for guard in guards()]
    numbers = [int(rule) for rule in rules if rule.isdigit()]
    assert numbers == sorted(numbers)
    assert rules[len(numbers) :] == sorted(rule for rule in rules if not rule.isdigit())
