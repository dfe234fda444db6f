"""`scripts/mutate.py`: each guard can be taken away from the code as it stands, and what that breaks is told."""

from pathlib import Path

import pytest

from scripts.mutate import GUARDS, ROOT, Guard, guards, noticed


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


def test_what_a_guard_held_up_is_noticed(tmp_path: Path) -> None:
    guard = Guard("moments", "jobs/moments.py", "int(clock[1])", "int(clock[2])", ["tests/jobs/test_moments.py"])
    found = noticed(guard)
    assert found is not None
    assert found.startswith("tests/jobs/test_moments.py::")
    harmless = Guard("a comment", "jobs/moments.py", "Always aware", "Ever aware", ["tests/jobs/test_moments.py"])
    assert noticed(harmless) is None
