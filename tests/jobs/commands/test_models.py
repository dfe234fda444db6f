"""Shows jobs/commands/models.py."""

from collections.abc import Callable

from tests.support.command_line import Ran


def test_models_are_listed(nightpress: Callable[..., Ran]) -> None:
    ran = nightpress("models", "list")
    assert "smollm2-135m  (the default)" in ran.out.splitlines()
    assert {row["model"]: row["lane"] for row in nightpress("models", "list", "--json").rows()}["stub"] == "stub"
