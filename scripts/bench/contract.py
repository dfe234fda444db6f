"""Compares checks and asking again, off and on: how many rows keep their whole contract, and how many tokens it takes.

    python scripts/bench/contract.py                         # 60 rows of four kinds on the small model of `make run`
    python scripts/bench/contract.py --rows FILE --show 20   # other rows; prints twenty rows that are fit

Both ways run the same rows with the same seeds on one engine, in turn. With checks off, the outputs are judged afterwards by the
same checks. A row is *fit*, *for review* or *failed* (jobs/findings.py); a row that the kind itself refuses has failed too. The
table shows these shares for each kind, then the shares of the articles whose words, title and description are in range.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs.batches.request_row import RowRequest
from jobs.errors import RowError
from jobs.findings import Finding, Verdict, verdict_of
from jobs.generation import GenerationRequest
from jobs.intake.row_fields import ENVELOPE_FIELDS
from jobs.kinds.kind import Kind, with_defaults
from jobs.kinds.registry import load_kinds
from jobs.kinds.row_checks import RowChecks, checker_of, row_checks, unchecked
from jobs.lanes.job import ClaimId, Job, JobKey, Lease
from jobs.settings import Settings
from workers.engines.protocol import Engine
from workers.engines.registry import make_engine
from workers.worker.attempt import Attempt

ROWS: Final = Path(__file__).parents[1] / "samples" / "contract.jsonl"
WAYS: Final = ("off", "on")
IN_RANGE: Final = ("words_off_target", "seo_title", "meta_description")


@dataclass(frozen=True)
class Judged:
    """A row after its conversation. `tokens` are all completion tokens, those of replaced answers included."""

    name: str
    kind: str
    verdict: Verdict
    findings: Sequence[Finding]
    tokens: int
    prompt_tokens: int
    output: Mapping[str, Any] | None
    error: str | None


def run(rows: Sequence[Mapping[str, Any]], model: str, way: str, settings: Settings) -> list[Judged]:
    """Run all rows on a new engine, and judge them. `way` is `off` or `on`."""
    kinds, card = load_kinds(), settings.catalog[model]
    engine = make_engine(model, card, settings.cache_dir)
    checks = row_checks(settings, model) if way == "on" else unchecked
    try:
        attempts = [_attempt(n, row, kinds, model, checks) for n, row in enumerate(rows)]
        errors = _converse(attempts, engine)
    finally:
        engine.close()
    return [_judged(attempt, errors.get(attempt.row.row), settings) for attempt in attempts]


def _attempt(n: int, row: Mapping[str, Any], kinds: Mapping[str, Kind], model: str, checks: RowChecks) -> Attempt:
    own = {name: value for name, value in row.items() if name in ENVELOPE_FIELDS and name not in ("kind", "model")}
    request = {name: value for name, value in row.items() if name not in ENVELOPE_FIELDS}
    asked = RowRequest(n, n + 1, row["kind"], model, request, **own)
    job = Job(Lease(JobKey("bench", n), 0, 0, str(ClaimId("bench", "0", n))), b"")
    return Attempt(job, asked, kinds[row["kind"]], datetime.now(UTC), None, checks)


def _converse(attempts: Sequence[Attempt], engine: Engine) -> dict[int, RowError]:
    """Hold all conversations at once. Returns the errors of the rows that failed, by the row's number."""
    errors: dict[int, RowError] = {}
    asked: dict[str, Attempt] = {}

    def submit(attempt: Attempt, step: Callable[[], Sequence[GenerationRequest]]) -> None:
        try:
            for request in step():
                asked[request.request_id] = attempt
                engine.submit(request)
        except RowError as error:
            errors[attempt.row.row] = error

    for attempt in attempts:
        submit(attempt, attempt.start)
    while any(attempt.output is None and attempt.row.row not in errors for attempt in attempts):
        for completion in engine.step():
            attempt = asked[completion.request_id]
            if attempt.output is None and attempt.row.row not in errors:
                submit(attempt, lambda attempt=attempt, completion=completion: attempt.receive(completion))  # type: ignore[misc]
    return errors


def _judged(attempt: Attempt, error: RowError | None, settings: Settings) -> Judged:
    row, kind = attempt.row, attempt.kind
    output = attempt.output or attempt.rejected
    values = None if output is None else output.model_dump(mode="json")
    findings = attempt.findings
    if values is not None and error is None and attempt.verdict is None:
        findings = checker_of(settings, row, kind, with_defaults(kind, row.request)).findings(values)
    used = attempt.usage + attempt.wasted
    return Judged(
        str(row.custom_id),
        row.kind,
        "failed" if error is not None else verdict_of(findings),
        findings,
        used.completion_tokens,
        used.prompt_tokens,
        values,
        None if error is None else f"{error.code}: {error.message}",
    )


def table(ways: Mapping[str, Sequence[Judged]]) -> None:
    """Print the shares of the verdicts by kind, the tokens, and what is in range of the articles."""
    kinds = sorted({row.kind for row in ways["on"]})
    print(
        f"{'':14}{'rows':>6}" + "".join(f"{f'{way}: fit':>10}{'review':>8}{'failed':>8}{'tokens':>9}" for way in WAYS)
    )
    for kind in [*kinds, "all"]:
        line = ""
        for way in WAYS:
            rows = [row for row in ways[way] if kind in (row.kind, "all")]
            found = Counter(row.verdict for row in rows)
            written = sum(row.tokens for row in rows)
            line += f"{found['fit']:>10}{found['review']:>8}{found['failed']:>8}{written:>9,}"
        print(f"{kind:14}{len(rows):>6}{line}")
    tokens = {way: sum(row.tokens for row in ways[way]) for way in WAYS}
    prompts = {way: sum(row.prompt_tokens for row in ways[way]) for way in WAYS}
    print(f"\nwith checks on: {tokens['on'] / tokens['off']:.2f} times the completion tokens, ", end="")
    print(f"{prompts['on'] / prompts['off']:.2f} times the prompt tokens")
    for way in WAYS:
        articles = [row for row in ways[way] if row.kind == "article" and row.output is not None]
        print(f"{way:3} {len(articles)} articles with a text, in range:", end="")
        for code in IN_RANGE:
            kept = sum(all(one.code != code for one in row.findings) for row in articles)
            print(f"  {code} {kept}", end="")
        print()
        codes = Counter(
            code for row in ways[way] for code in {one.code for one in row.findings if one.severity != "note"}
        )
        print("    findings, by rows:", ", ".join(f"{code} {rows}" for code, rows in codes.most_common()) or "none")
        others = Counter(row.error.partition(":")[0] for row in ways[way] if row.error and not row.findings)
        print("    refused by the kind:", ", ".join(f"{code} {rows}" for code, rows in others.items()) or "none")


def main() -> None:
    """Parse the command line, run both ways, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=ROWS, help="a file of rows in JSON Lines")
    parser.add_argument("--model", default="smollm2-135m", help="the alias of the model")
    parser.add_argument("--show", type=int, default=0, help="print so many rows that are fit, to be read")
    parser.add_argument("--keep", type=Path, help="a file for all judged rows, as JSON Lines")
    args = parser.parse_args()
    rows = [json.loads(line) for line in args.rows.read_text().splitlines()]
    settings = Settings()
    ways = {way: run(rows, args.model, way, settings) for way in WAYS}
    table(ways)
    if args.keep:
        with args.keep.open("w") as file:
            for way in WAYS:
                for row in ways[way]:
                    values = {
                        **vars(row),
                        "way": way,
                        "findings": [one.model_dump(mode="json") for one in row.findings],
                    }
                    file.write(json.dumps(values, ensure_ascii=False) + "\n")
    for row in [row for row in ways["on"] if row.verdict == "fit"][: args.show]:
        print(f"\n--- {row.name} ({row.kind})")
        for name, value in (row.output or {}).items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
