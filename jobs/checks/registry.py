"""The registry holds the checks of this folder, and those that other packages name as entry points."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Final

from jobs.checks.article import (
    faq_incomplete,
    heading_repeats_title,
    headings,
    keyword_use,
    sections,
    sections_alike,
    title_and_description,
    words_off_target,
)
from jobs.checks.batch.limits import NAME as AUDIT
from jobs.checks.batch.limits import audit_limits
from jobs.checks.check import Check
from jobs.checks.label import low_confidence, unknown_label
from jobs.checks.limits import limits_of
from jobs.checks.structured import answers
from jobs.checks.terms import glossary_missed, names_changed
from jobs.checks.text import (
    chat_markup,
    cut_offs,
    doubled_words,
    echoes,
    forbidden,
    gaps,
    invented,
    languages,
    readability,
    repeats,
    secrets,
    variants_alike,
)
from jobs.checks.translation import (
    end_punctuation,
    icu_invalid,
    length_ratio,
    markup_changed,
    max_length,
    numbers_changed,
    placeholders_changed,
    untranslated,
    url_or_email_changed,
    whitespace_edges,
    wrapper,
)
from jobs.did_you_mean import did_you_mean
from jobs.errors import RequestError
from jobs.findings import CheckSettings
from jobs.settings import Settings

GROUP: Final = "nightpress.checks"
"""The group of entry points in which other packages name their checks."""

SHIPPED: Final[tuple[Sequence[Check], ...]] = (
    languages.CHECKS,
    forbidden.CHECKS,
    doubled_words.CHECKS,
    repeats.CHECKS,
    echoes.CHECKS,
    chat_markup.CHECKS,
    cut_offs.CHECKS,
    secrets.CHECKS,
    gaps.CHECKS,
    invented.CHECKS,
    readability.CHECKS,
    variants_alike.CHECKS,
    words_off_target.CHECKS,
    title_and_description.CHECKS,
    keyword_use.CHECKS,
    headings.CHECKS,
    heading_repeats_title.CHECKS,
    sections.CHECKS,
    sections_alike.CHECKS,
    faq_incomplete.CHECKS,
    placeholders_changed.CHECKS,
    markup_changed.CHECKS,
    icu_invalid.CHECKS,
    untranslated.CHECKS,
    numbers_changed.CHECKS,
    url_or_email_changed.CHECKS,
    glossary_missed.CHECKS,
    names_changed.CHECKS,
    end_punctuation.CHECKS,
    whitespace_edges.CHECKS,
    max_length.CHECKS,
    length_ratio.CHECKS,
    wrapper.CHECKS,
    answers.CHECKS,
    low_confidence.CHECKS,
    unknown_label.CHECKS,
)
"""The checks of each file of this folder."""


@cache
def load_checks() -> Mapping[str, Check]:
    """Return all checks by code.

    Raises:
        RequestError: A check of another package cannot be loaded, or has the code of another check.
    """
    checks = {check.code: check for checks in SHIPPED for check in checks}
    for point in entry_points(group=GROUP):
        try:
            loaded = point.load()
            found: Iterable[Check] = [loaded] if isinstance(loaded, Check) else list(loaded)
            codes = [check.code for check in found]
        except Exception as error:
            raise RequestError(
                f"the check {point.name} = {point.value} cannot be loaded: {error!r}: correct or uninstall its package"
            ) from error
        if taken := next((code for code in codes if code in checks), None):
            raise RequestError(
                f"the check {point.name} = {point.value} has the code of another check, {taken!r}: rename one of them"
            )
        checks.update({check.code: check for check in found})
    return checks


def checks_of(own: Sequence[str], *, writes: bool = True) -> list[Check]:
    """Return the checks of a kind: the general ones if its model `writes`, and its own by their codes. Raises RequestError for an
    unknown code.
    """
    checks = load_checks()
    _refuse_unknown(own)
    return [check for check in checks.values() if (check.general and writes) or check.code in own]


def refuse_wrong(settings: CheckSettings) -> None:
    """Raise RequestError if settings name an unknown check or limit, or give a limit another type than its default.

    The settings of the audit, which compares the rows of a batch, stand beside those of the checks.
    """
    audit_limits(settings)
    _refuse_unknown(code for code in settings if code != AUDIT)
    for check in load_checks().values():
        limits_of(check, [settings])


def refuse_wrong_settings(settings: Settings) -> None:
    """Raise RequestError if `checks` of the settings, or of a tenant, name an unknown check or limit, or give a limit another
    type than its default. The message names the table.
    """
    changed = {"checks": settings.checks} | {
        f"tenants.{tenant}.checks": one.checks for tenant, one in settings.tenants.items()
    }
    for table, checks in changed.items():
        try:
            if checks:
                refuse_wrong(checks)
        except RequestError as error:
            raise RequestError(f"settings: [{table}]: {error}") from error


def _refuse_unknown(codes: Iterable[str]) -> None:
    checks = load_checks()
    for code in codes:
        if code not in checks:
            raise RequestError(
                f"there is no check {code!r} (`nightpress checks` lists them){did_you_mean(code, checks)}"
            )
