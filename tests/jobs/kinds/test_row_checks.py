"""Shows jobs/kinds/row_checks.py: settings, the tenant and the row itself change the checks of a row, in this order."""

from collections.abc import Mapping
from typing import Any

import pytest

from jobs.batches.request_row import RowRequest
from jobs.catalog import ModelCard
from jobs.checks.checker import UNCHECKED
from jobs.errors import RowError
from jobs.findings import Severity
from jobs.kinds.registry import load_kinds
from jobs.kinds.row_checks import row_checks, unchecked
from jobs.settings import Settings
from jobs.tenants import TenantSettings

CHAT = load_kinds()["chat"]
ARTICLE = load_kinds()["article"]
GAP = {"text": "Dear [Your Name], thank you for your letter."}
CHECKED = {"tiny": ModelCard(engine="stub", checks=True)}


def found_in(output: Mapping[str, Any], row: Mapping[str, Any] | None, **given: Any) -> list[tuple[str, Severity]]:
    """Return code and severity of what is found in the output of a chat. `row` is the row's own `checks`."""
    settings = Settings(models=CHECKED, **given)
    request = RowRequest(0, 1, "chat", "tiny", {"prompt": "Write."}, tenant="press", checks=row)
    checker = row_checks(settings, "tiny")(request, CHAT, CHAT.request_type.model_validate(request.request))
    return [(one.code, one.severity) for one in checker.findings(output)]


@pytest.mark.parametrize(
    ("settings", "tenant", "row", "found"),
    [
        pytest.param({}, {}, None, [("gap", Severity.REVIEW)], id="as the check has it"),
        pytest.param({"gap": "review"}, {}, None, [("gap", Severity.REVIEW)], id="settings"),
        pytest.param({"gap": "review"}, {"gap": "note"}, None, [("gap", Severity.NOTE)], id="the tenant over settings"),
        pytest.param(
            {"gap": "off"}, {"gap": "note"}, {"gap": {"severity": "fail"}}, [("gap", Severity.FAIL)], id="the row"
        ),
        pytest.param({"gap": "note"}, {}, {"gap": {"severity": "off"}}, [], id="the row turns it off"),
        pytest.param({"gap": "off"}, {"echo": "note"}, {"echo": {"severity": "off"}}, [], id="of settings alone"),
        pytest.param({"gap": "note"}, {"gap": "off"}, {"gap": {}}, [], id="a row that changes nothing of it"),
    ],
)
def test_the_row_comes_after_its_tenant_and_the_tenant_after_the_settings(
    settings: dict[str, Any], tenant: dict[str, Any], row: dict[str, Any] | None, found: list[tuple[str, Severity]]
) -> None:
    tenants = {"press": TenantSettings(checks=tenant), "shop": TenantSettings(checks={"gap": "off"})}
    assert found_in(GAP, row, checks=settings, tenants=tenants) == found


def test_limits_are_those_that_came_last() -> None:
    words = {"text": "This is a cheap and free offer for you."}
    assert found_in(words, {"forbidden_term": {"terms": ["cheap"]}}) == [("forbidden_term", Severity.FAIL)]
    changed = {"forbidden_term": {"severity": "note", "terms": ["free"]}}
    assert found_in(words, {"forbidden_term": {"terms": []}}, checks=changed) == []
    assert found_in(words, None, checks=changed) == [("forbidden_term", Severity.NOTE)]


@pytest.mark.parametrize(
    ("card", "is_checked"),
    [
        pytest.param(ModelCard(engine="stub"), False, id="the stub"),
        pytest.param(ModelCard(engine="stub", checks=True), True, id="the stub, if its card says so"),
        pytest.param(ModelCard(engine="stub", checks=False), False, id="the stub, without checks"),
        pytest.param(ModelCard(engine="causal", source="a/b"), True, id="a model"),
        pytest.param(ModelCard(engine="causal", source="a/b", checks=False), False, id="a model without checks"),
    ],
)
def test_outputs_of_the_stub_are_not_checked_unless_its_card_says_so(card: ModelCard, *, is_checked: bool) -> None:
    assert card.is_checked == is_checked
    found = row_checks(Settings(models={"one": card}), "one")
    request = RowRequest(0, 1, "chat", "one", {"prompt": "Hi"})
    checker = found(request, CHAT, CHAT.request_type.model_validate(request.request))
    assert (found is unchecked, checker is UNCHECKED) == (not is_checked, not is_checked)
    assert bool(checker.findings(GAP)) == is_checked


def test_the_checks_of_a_kind_and_the_number_of_tries_are_those_of_row_and_settings() -> None:
    request = RowRequest(0, 1, "article", "tiny", {"topic": "Tea", "target_words": 300})
    settings = Settings(models=CHECKED, max_regenerations=4)
    checker = row_checks(settings, "tiny")(request, ARTICLE, ARTICLE.request_type.model_validate(request.request))
    assert (checker.tries, checker.kind, checker.request["target_words"]) == (5, "article", 300)
    assert checker.limits("words_off_target") is not None
    assert checker.limits("placeholders_changed") is None


def test_a_stored_change_that_cannot_be_read_fails_the_row() -> None:
    """Intake reads each change, so such a row was written by a release with other severities."""
    with pytest.raises(RowError, match="the settings of checks do not fit") as raised:
        found_in(GAP, {"gap": {"severity": "loud"}})
    assert (raised.value.code, raised.value.retryable) == ("bad_record", False)


def test_a_stored_change_of_a_check_that_is_not_installed_here_changes_nothing() -> None:
    assert found_in(GAP, {"check_of_another_package": {"severity": "off"}}) == [("gap", Severity.REVIEW)]
