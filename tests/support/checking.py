"""Runs checks over a row and an output, for tests of checks."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.checks.contract import Contract
from jobs.checks.judge import judge
from jobs.checks.registry import load_checks
from jobs.findings import CheckSetting, Finding
from jobs.kinds.registry import load_kinds


def findings_of(
    code: str, kind: str, request: Mapping[str, Any], output: Mapping[str, Any] | str, **limits: Any
) -> list[Finding]:
    """Return the findings of one check in an output of a kind. `limits` are set for the check, and may include `severity`."""
    contract: Contract = load_kinds()[kind].contract  # type: ignore[attr-defined]  # the shipped kinds have one
    subject = contract.subject(kind, request, output)
    return judge(subject, [load_checks()[code]], [contract.settings, {code: CheckSetting(**limits)}])


def quoted(finding: Finding, output: Mapping[str, Any] | str) -> str:
    """Return the part of the output that a finding points at."""
    if finding.where is None:
        return ""
    text = output if isinstance(output, str) else output[finding.where.field]
    return str(text)[finding.where.start : finding.where.end]


def findings_with(
    code: str,
    kind: str,
    request: Mapping[str, Any],
    output: Mapping[str, Any] | str,
    *,
    prompts: Sequence[str] = (),
    cut_off: bool = False,
    **limits: Any,
) -> list[Finding]:
    """Return the findings of one check in an output. `limits` are set for the check."""
    contract: Contract = load_kinds()[kind].contract  # type: ignore[attr-defined]  # the shipped kinds have one
    subject = contract.subject(kind, request, output, prompts=prompts, cut_off=cut_off)
    return judge(subject, [load_checks()[code]], [contract.settings, {code: CheckSetting(**limits)}])


def places_of(
    code: str, text: str, kind: str = "chat", request: Mapping[str, Any] | None = None, **more: Any
) -> list[str]:
    """Return the parts of a text that one check points at."""
    contract: Contract = load_kinds()[kind].contract  # type: ignore[attr-defined]  # the shipped kinds have one
    output = {next(iter(contract.texts)): text}
    row = {"prompt": "Write."} if request is None else request
    return [quoted(finding, output) for finding in findings_with(code, kind, row, output, **more)]


def translated(
    code: str, source: str, target: str, languages: str = "en de", limits: dict[str, Any] | None = None, **request: Any
) -> list[Finding]:
    """Return the findings of a check in a translation. `languages` are those of source and target, as in `en pt-BR`."""
    source_language, target_language = languages.split()
    row = {"text": source, "source_language": source_language, "target_language": target_language, **request}
    return findings_of(code, "translation", row, {"text": target}, **(limits or {}))


def pointed_at(findings: list[Finding], target: str) -> list[str]:
    """Return the parts of the translation that findings point at; an empty text for a finding without a place."""
    return [quoted(finding, target) for finding in findings]
