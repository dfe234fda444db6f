"""Runs the checks of content over rows that have their outputs beside them, of any origin."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs.checks.check import Check
from jobs.checks.limits import limits_of
from jobs.checks.registry import checks_of, refuse_wrong
from jobs.findings import CheckSettings, Finding, Severity, Verdict, verdict_of
from jobs.formats.record import Record
from jobs.intake.row_faults import RowFault
from jobs.intake.row_reader import RowReader
from jobs.kinds.kind import Kind, contract_of, with_defaults
from jobs.kinds.row_checks import checker_of
from jobs.settings import Settings

OUTPUT: Final = "output"
"""The field of a row that holds its output: the text alone, or the object that the kind returns."""


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row that was checked; or, if `fault` is given, one that cannot be checked."""

    row: int
    custom_id: str | None
    kind: str
    findings: tuple[Finding, ...] = ()
    fault: RowFault | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict on the row; `failed` if it cannot be checked."""
        return "failed" if self.fault else verdict_of(self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `nightpress check --json` prints."""
        found = {"row": self.row, "custom_id": self.custom_id, "kind": self.kind, "verdict": self.verdict}
        if self.fault:
            return {**found, "findings": [], "error": self.fault.error}
        return {**found, "findings": [one.model_dump(mode="json", exclude_none=True) for one in self.findings]}


@dataclass(frozen=True, slots=True)
class CheckOfKind:
    """A check with the severity and limits that settings and some kinds give it."""

    check: Check
    severity: Severity
    limits: Mapping[str, Any]
    kinds: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `nightpress checks --json` prints."""
        return {
            "code": self.check.code,
            "severity": self.severity.value,
            "measures": self.check.measures,
            "limits": dict(self.limits),
            "kinds": list(self.kinds),
        }


def checks_in_use(kinds: Mapping[str, Kind], settings: CheckSettings) -> list[CheckOfKind]:
    """Return the checks of all kinds, each once for each severity and limits that it has. RequestError: wrong settings."""
    refuse_wrong(settings)
    found: dict[tuple[str, Severity, str], tuple[Check, Severity, Mapping[str, Any], list[str]]] = {}
    for name, kind in kinds.items():
        contract = contract_of(kind)
        for check in checks_of(contract.checks, writes=contract.writes):
            severity, limits = limits_of(check, (contract.settings, settings))
            key = (check.code, severity or check.severity, repr(limits))
            found.setdefault(key, (check, severity or check.severity, limits, []))[3].append(name)
    return [CheckOfKind(check, severity, limits, tuple(names)) for check, severity, limits, names in found.values()]


def checked_rows(
    records: Iterable[Record], reader: RowReader, kinds: Mapping[str, Kind], settings: Settings
) -> Iterator[CheckedRow]:
    """Yield each row of a file with the findings of its checks.

    A row that cannot be read, or that has no output, is yielded with its fault, and the other rows are checked all the same.
    Raises RequestError if the settings of checks are wrong.
    """
    refuse_wrong(settings.checks)
    for number, record in enumerate(records):
        if not isinstance(record.values, Mapping):
            fault = reader.read(record, number)
            yield CheckedRow(number, None, "", fault=fault if isinstance(fault, RowFault) else None)
            continue
        output = record.values.get(OUTPUT)
        request = reader.read(
            record._replace(values={name: value for name, value in record.values.items() if name != OUTPUT}), number
        )
        if isinstance(request, RowFault):
            yield CheckedRow(number, request.custom_id, request.kind, fault=request)
            continue
        if not isinstance(output, str | Mapping):
            reason = f"the row has no {OUTPUT}: put the text, or the object that {request.kind} returns, there"
            code = "missing_field" if output is None else "wrong_type"
            fault = RowFault(number, record.line, code, reason, OUTPUT, request.kind, request.custom_id)
            yield CheckedRow(number, request.custom_id, request.kind, fault=fault)
            continue
        kind = kinds[request.kind]
        found = checker_of(settings, request, kind, with_defaults(kind, request.request)).findings(output)
        yield CheckedRow(number, request.custom_id, request.kind, tuple(found))
