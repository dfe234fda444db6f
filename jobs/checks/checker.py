"""A checker judges the outputs of one row. Workers judge with it what a kind returns, and kinds what they may ask for again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.checks.check import Check, Limits
from jobs.checks.contract import Contract
from jobs.checks.judge import judge
from jobs.checks.limits import limits_of
from jobs.findings import CheckSettings, Finding, Severity

MAX_REGENERATIONS: Final = 2
"""A kind asks again for a text that broke its contract at most this many times, unless the settings say another number."""


@dataclass(frozen=True, slots=True)
class Checker:
    """The checks of one row, with their severities and limits. Without `checks`, it finds nothing.

    `request` holds the fields of the row's request, with their defaults. Later `settings` replace earlier ones.
    """

    kind: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    contract: Contract = field(default_factory=Contract)
    checks: Sequence[Check] = ()
    settings: Sequence[CheckSettings] = ()
    max_regenerations: int = MAX_REGENERATIONS

    @classmethod
    def over(
        cls,
        kind: str,
        request: Mapping[str, Any],
        contract: Contract | None,
        settings: Sequence[CheckSettings] = (),
        max_regenerations: int = MAX_REGENERATIONS,
    ) -> "Checker":
        """Make the checker of a row. A kind without a contract has only the general checks.

        Raises RequestError if the contract or the settings name a check or a limit that does not exist.
        """
        from jobs.checks.registry import (
            checks_of,  # it loads all checks, which commands that judge nothing do not wait for
        )

        contract = contract or Contract()
        checks = checks_of(contract.checks, writes=contract.writes)
        return cls(kind, request, contract, checks, (contract.settings, *settings), max_regenerations)

    @property
    def tries(self) -> int:
        """How often a kind asks for one text at most, the first time included."""
        return self.max_regenerations + 1

    def findings(
        self,
        output: Mapping[str, Any] | str,
        *,
        request: Mapping[str, Any] | None = None,
        prompts: Sequence[str] = (),
        cut_off: bool = False,
        tries: int = 1,
    ) -> list[Finding]:
        """Return the findings in an output, the most severe first. `request` replaces fields of the row's request."""
        if not self.checks:
            return []
        asked = {**self.request, **request} if request else self.request
        subject = self.contract.subject(self.kind, asked, output, prompts=prompts, cut_off=cut_off)
        return judge(subject, self.checks, self.settings, tries)

    def faults(self, output: Mapping[str, Any] | str, **given: Any) -> list[Finding]:
        """Return the findings for which a text is asked for again. The arguments are those of `findings`."""
        return [found for found in self.findings(output, **given) if found.severity is Severity.FAIL]

    def limits(self, code: str) -> Limits | None:
        """Return the limits of a check; None if this checker does not run it."""
        for check in self.checks:
            if check.code == code:
                severity, limits = limits_of(check, self.settings)
                off = (severity or check.severity) is Severity.OFF
                return None if off else limits
        return None


UNCHECKED: Final = Checker()
"""The checker of a row whose output is not judged."""
