"""Compares checks and asking again, off and on: how many rows keep their whole contract, and how many tokens it takes.

    python scripts/bench/contract.py                         # 60 rows of four kinds on the small model of `make run`
    python scripts/bench/contract.py --rows scripts/samples/contract_full.jsonl   # 60 rows that ask for more than their text
    python scripts/bench/contract.py --rows FILE --show 20   # other rows; prints twenty rows that are fit

Both ways run the same rows with the same seeds on one engine, in turn. With checks off, nothing is asked again and nothing
constrains an answer: a row that asks for JSON runs without its schema, whose form its prompt describes. Each first answer is then
judged against the whole row, by the same checks as with checks on. A row is *fit*, *for review* or *failed* (jobs/findings.py); a
row that the kind itself refuses has failed too. The table shows these shares for each group of rows, then the shares of the
articles whose words, title and description are in range. A row's group is its custom_id up to the last hyphen, else its kind.

The rows of contract_full.jsonl are ten each of: articles with keywords, summary and FAQ (`extras`); articles of 80 to 400 words
(`lengths`); posts that may say only what their source says, with hashtags (`facts`); three variants, or a thread (`several`);
translations with placeholders, markup, numbers and terms (`marks`); chats with a JSON schema (`schema`). None was chosen by what
a model made of it. Rows of the kind `label` are left out, since they have no free text that a contract could describe.
"""

import argparse
import json
import sys
import textwrap
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
CONSTRAINTS: Final = ("output_schema", "response_format")
"""Fields of a row that constrain what an engine may write. With checks off, a row runs without them."""
IN_RANGE: Final = ("words_off_target", "seo_title", "meta_description")


@dataclass(frozen=True)
class Judged:
    """A row after its conversation. `tokens` are all completion tokens, those of replaced answers included."""

    name: str
    kind: str
    group: str
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
        free = {} if way == "on" else dict.fromkeys(CONSTRAINTS)
        run = [{name: value for name, value in row.items() if name not in free} for row in rows]
        attempts = [_attempt(n, row, kinds, model, checks) for n, row in enumerate(run)]
        errors = _converse(attempts, engine)
    finally:
        engine.close()
    return [
        _judged(attempt, errors.get(attempt.row.row), settings, request_of(row))
        for attempt, row in zip(attempts, rows, strict=True)
    ]


def request_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a row that its kind reads."""
    return {name: value for name, value in row.items() if name not in ENVELOPE_FIELDS}


def group_of(row: RowRequest) -> str:
    """Return the group that a row is counted in: its custom_id up to the last hyphen, or its kind if it has no hyphen."""
    return str(row.custom_id or "").rpartition("-")[0] or row.kind


def _attempt(n: int, row: Mapping[str, Any], kinds: Mapping[str, Kind], model: str, checks: RowChecks) -> Attempt:
    own = {name: value for name, value in row.items() if name in ENVELOPE_FIELDS and name not in ("kind", "model")}
    asked = RowRequest(n, n + 1, row["kind"], model, request_of(row), **own)
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


def _judged(attempt: Attempt, error: RowError | None, settings: Settings, request: Mapping[str, Any]) -> Judged:
    """Judge a row after its conversation, by its whole request."""
    row, kind = attempt.row, attempt.kind
    output = attempt.output or attempt.rejected
    values = None if output is None else output.model_dump(mode="json")
    findings = attempt.findings
    if values is not None and error is None and attempt.verdict is None:
        findings = checker_of(settings, row, kind, with_defaults(kind, request)).findings(values)
    used = attempt.usage + attempt.wasted
    return Judged(
        str(row.custom_id),
        row.kind,
        group_of(row),
        "failed" if error is not None else verdict_of(findings),
        findings,
        used.completion_tokens,
        used.prompt_tokens,
        values,
        None if error is None else f"{error.code}: {error.message}",
    )


def table(ways: Mapping[str, Sequence[Judged]]) -> None:
    """Print the shares of the verdicts by group, the tokens, and what is in range of the articles, in at most 80 columns."""
    groups = sorted({row.group for row in ways["on"]})
    print(f"{'':12}{'rows':>5}" + "".join(f"{f'{way}: fit':>9}{'review':>7}{'failed':>7}{'tokens':>8}" for way in WAYS))
    for group in [*groups, "all"]:
        line = ""
        for way in WAYS:
            rows = [row for row in ways[way] if group in (row.group, "all")]
            found = Counter(row.verdict for row in rows)
            written = sum(row.tokens for row in rows)
            line += f"{found['fit']:>9}{found['review']:>7}{found['failed']:>7}{written:>8,}"
        print(f"{group:12}{len(rows):>5}{line}")
    tokens = {way: sum(row.tokens for row in ways[way]) for way in WAYS}
    prompts = {way: sum(row.prompt_tokens for row in ways[way]) for way in WAYS}
    print(f"\nwith checks on: {tokens['on'] / tokens['off']:.2f} times the completion tokens, ", end="")
    print(f"{prompts['on'] / prompts['off']:.2f} times the prompt tokens")
    for way in WAYS:
        articles = [row for row in ways[way] if row.kind == "article" and row.output is not None]
        in_range = {code: sum(all(one.code != code for one in row.findings) for row in articles) for code in IN_RANGE}
        codes = Counter(
            code for row in ways[way] for code in {one.code for one in row.findings if one.severity != "note"}
        )
        others = Counter(row.error.partition(":")[0] for row in ways[way] if row.error and not row.findings)
        print(f"checks {way}:")
        _counts(f"{len(articles)} articles, in range", in_range)
        _counts("findings, by rows", dict(codes.most_common()))
        _counts("refused by the kind", others)


def _counts(title: str, counts: Mapping[str, int]) -> None:
    """Print counts by name below a title, in lines of at most 80 columns."""
    listed = ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
    print(textwrap.fill(f"{title}: {listed}", 80, initial_indent="    ", subsequent_indent="        "))


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
