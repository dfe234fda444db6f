"""Shows the history of a row to a person, in plain lines that are no wider than the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from jobs.batches.segments.line import EVERY_ROUND
from jobs.commands.views.fitting import fitted
from jobs.operations.row_history import RowHistory
from jobs.prices import formatted
from jobs.printable import one_line

Values = Mapping[str, Any]

_CHECKED = {"fit": "checks passed", "review": "checks passed, but a person should look at it"}
"""The words for the verdict on a completed attempt."""


def lines(row: RowHistory, currency: str, width: int = 80) -> Iterator[str]:
    """Yield the request, its prompts, each attempt, the outcome and the usage.

    Amounts of a usage that names no currency are shown in `currency`.
    """
    request, outcome = row.request, row.outcome
    known = (values.get("custom_id") for values in (request or {}, *row.attempts, outcome or {}))
    custom_id = next((name for name in known if name is not None), None)  # that of a refused row stands in its outcome
    named = f" ({one_line(str(custom_id))})" if custom_id is not None else ""
    about = f": {request['kind']} by {request['model']}, line {request['line']} of the input" if request else ""
    yield from fitted(f"{row.batch_id} row {row.row}{named}{about}", width, "")
    yield from _request(row, width)
    for prompt in row.prompts:
        yield from _prompt(prompt, width)
    for attempt in row.attempts:
        if attempt["round"] != EVERY_ROUND:  # the outcome of a row that intake refused was tried by nobody
            yield from _attempt(attempt, width)
            if outcome is None:
                yield from _judged(attempt, width)
    if outcome is not None:
        verdict = f", verdict: {outcome['verdict']}" if outcome.get("verdict") else ""
        yield f"outcome: {outcome['status']}{verdict}"
        for name, value in (outcome.get("output") or outcome["error"]).items():
            yield from _pair(name, value, width)
        yield from _judged(outcome, width)
    if outcome is not None and outcome.get("usage"):
        yield from fitted(_usage(outcome, currency), width, "")


def _request(row: RowHistory, width: int) -> Iterator[str]:
    request = row.request
    if request is None:
        yield "  refused at intake: no attempt was made"
        return
    yield "request"
    own = {name: request[name] for name in ("seed", "max_tokens", "temperature", "top_p", "checks") if name in request}
    for name, value in {**request["request"], **own}.items():
        yield from _pair(name, value, width)
    if (held := row.reserved) is not None:
        yield f"reserved of the budget: at most {formatted(held['amount'], held['currency'])} are charged"


def _usage(outcome: Values, currency: str) -> str:
    usage = outcome["usage"]
    cost, charge = (formatted(usage[name], usage.get("currency", currency)) for name in ("device_cost", "charge"))
    return (
        f"usage: {usage['prompt_tokens']:,} prompt tokens ({usage['cached_prompt_tokens']:,} cached), "
        f"{usage['completion_tokens']:,} completion tokens, {usage['device_ns'] / 1e9:,.3f} s of devices, "
        f"{cost} of devices, {f'{charge} charged' if outcome['status'] == 'completed' else 'nothing charged'}"
    )


def _prompt(prompt: Values, width: int) -> Iterator[str]:
    changed = ", with a template that has changed since" if prompt["template_changed"] else ""
    yield f"prompt {prompt['label']}{changed}"
    for turn in prompt["messages"] or [{"role": "text", "content": prompt["text"]}]:
        yield f"  {turn['role']}:"
        for line in turn["content"].splitlines():
            yield from fitted(line, width, "    ")


def _attempt(attempt: Values, width: int) -> Iterator[str]:
    receipt = attempt["receipt"]
    began, ended = receipt.get("started_at"), receipt.get("finished_at")
    when = f", {began} to {ended}" if began else f", {ended}" if ended else ""
    by = f" by {receipt['worker']}" if receipt.get("worker") else ""
    ends = "" if attempt["final"] else ", to be tried again"
    yield from fitted(
        f"attempt {attempt['attempt']}, round {attempt['round']}{by}{when}: {attempt['status']}{ends}", width, ""
    )
    error = attempt.get("error")
    if error:
        yield from fitted(f"check failed: {error['code']}: {error['message']}", width, "  ")
    elif attempt["status"] == "completed":
        yield f"  {_CHECKED.get(str(attempt.get('verdict')), 'not checked')}"
    if attempt["wasted"]["completion_tokens"]:
        yield f"  {attempt['wasted']['completion_tokens']:,} tokens were written again, and are not charged"


def _judged(outcome: Values, width: int) -> Iterator[str]:
    """Yield what the checks found, the worst first, and the output that they refused."""
    for found in outcome.get("findings") or ():
        where = f" ({found['where']['field']})" if found.get("where") else ""
        yield from fitted(f"{found['severity']} {found['code']}{where}: {found['message']}", width, "  ")
    if outcome.get("rejected"):
        yield "refused output:"
        for name, value in outcome["rejected"].items():
            yield from _pair(name, value, width)


def _pair(name: str, value: Any, width: int) -> Iterator[str]:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    first, *rest = text.splitlines() or [""]
    yield from fitted(f"{name}: {first}", width, "  ")
    for line in rest:
        yield from fitted(line, width, "    ")
