"""Replay: runs a published row again, alone, and compares the result with what was published.

The row runs on a separate engine; nothing is stored or charged. In float32 the same model revision, templates, seed and params
give the same text, whichever rows share a step. In other number formats the order of a sum may change a token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jobs.batches.request_row import RowRequest
from jobs.errors import CheckFailed, RequestError, RowError
from jobs.findings import Verdict
from jobs.kinds.avoiding import avoiding
from jobs.kinds.registry import load_kinds
from jobs.kinds.row_checks import row_checks
from jobs.lanes.job import ClaimId, Job, JobKey, Lease
from jobs.memory.row_memory import as_published
from jobs.settings import Settings
from jobs.writing.templates import Templates
from workers.engines.protocol import Engine
from workers.engines.registry import load
from workers.worker.attempt import Attempt
from workers.worker.outcome import adapter_receipt

COMPARED: Final = ("model_revision", "engine", "device", "dtype", "seed", "adapter")
"""Fields of a receipt that may change the text. The templates, the params and the hash of each prompt are compared too."""

COMPARED_ALWAYS: Final = ("adapter_revision", "reasoning_form", "beams", "length_penalty", "converter", "weight_bits")
"""Fields that a receipt has only for some models and engines, and that may change the text. A missing one differs too."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a replay: its output or its error, its verdict, and its receipt.

    `differs` names the fields of the receipt that differ from the published row, then `verdict` if the verdict differs, then the
    fields of the output that differ. `verdict` is None if the output was not judged.
    """

    output: Mapping[str, Any] | None
    error: str | None
    receipt: Mapping[str, Any]
    differs: Sequence[str]
    verdict: Verdict | None = None

    @property
    def same(self) -> bool:
        """Whether the output is the same, even if the receipt or the verdict is not."""
        return self.error is None and not any(name.startswith("output") for name in self.differs)

    @property
    def unexplained(self) -> bool:
        """Whether the output differs although the receipt is the same. Another text may have another verdict."""
        named = [name for name in self.differs if name != "verdict"]
        return bool(named) and all(name.startswith("output.") for name in named)


def describe_difference(name: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return a line about one name of `Replayed.differs`.

    For a field of the receipt, and for the verdict, the line shows both values; for a field of the output it is only the name.
    """
    top, _, label = name.partition(".")
    if top == "output":
        return name
    before, after = ((values.get(top) or {}).get(label) if label else values.get(top) for values in (was, now))
    return f"{name}: {before} was published, {after} is here"


def replay(
    batch_id: str,
    row: RowRequest,
    published: Mapping[str, Any],
    settings: Settings,
    created_at: datetime | None = None,
) -> Replayed:
    """Run a row again. `created_at` is the time when its batch was accepted.

    Raises RequestError if the row's model or kind is unknown, and ModelUnavailable if the model cannot be loaded.
    """
    if row.model not in settings.catalog:
        raise RequestError(f"the catalog no longer has the model {row.model}: add it to [models] in nightpress.toml")
    kind = load_kinds(settings.templates_dir).get(row.kind)
    if kind is None:
        raise RequestError(f"the kind {row.kind!r} is not installed: install its package")
    card = settings.catalog[row.model]
    if published.get("avoid"):  # a renewed row, which was given a seed of its own
        row = row._replace(avoid=tuple(published["avoid"]), seed=published.get("seed"))
    if row.known is not None:
        row = row._replace(known=as_published(row.known, published.get("output")))
    kind = avoiding(kind, row.avoid, Templates(settings.templates_dir))
    loaded = load(row.model, card, settings.cache_dir)
    engine = loaded.engine
    try:
        job = Job(Lease(JobKey(batch_id, row.row), 0, 0, str(ClaimId("replay", "0", 0))), b"")
        attempt = Attempt(job, row, kind, datetime.now(UTC), created_at, row_checks(settings, row.model))
        error = _converse(attempt, engine)
        receipt = {
            **loaded.identity,
            **adapter_receipt(row.adapter, loaded.adapters),
            **attempt.receipt,
            "engine": loaded.name,
            "device": engine.stats().device,
        }
    finally:
        engine.close()
    output = attempt.output.model_dump(mode="json") if attempt.output is not None else None
    verdict = attempt.verdict if output is not None else None
    return Replayed(output, error, receipt, _differences(published, output, receipt, verdict), verdict)


def _converse(attempt: Attempt, engine: Engine) -> str | None:
    """Run the whole conversation with the kind. Returns the error that ended it; None if it ended with an output."""
    try:
        for request in attempt.start():
            engine.submit(request)
        while attempt.output is None:
            for completion in engine.step():
                for request in attempt.receive(completion):
                    engine.submit(request)
    except RowError as error:
        return f"{error.code}: {error.message}"
    except Exception as error:  # noqa: BLE001 - a bug of a kind is this row's error, as in a worker
        return str(CheckFailed("kind_failed", f"kind {attempt.kind.name}: {error!r}"))
    finally:
        attempt.close()
    return None


def _differences(
    published: Mapping[str, Any],
    output: Mapping[str, Any] | None,
    receipt: Mapping[str, Any],
    verdict: Verdict | None,
) -> Sequence[str]:
    named = [name for name in COMPARED if name in published and published[name] != receipt.get(name)]
    named += [name for name in COMPARED_ALWAYS if published.get(name) != receipt.get(name)]
    for part in ("templates", "params", "prompts"):
        before, now = published.get(part), receipt.get(part) or {}
        if before is not None:  # a receipt of an earlier release may lack this field
            # A different text may need more or fewer prompts: compare those that both receipts have, or all if they share none.
            labels = sorted(before.keys() & now.keys() or {*before, *now})
            named += [f"{part}.{label}" for label in labels if before.get(label) != now.get(label)]
    if published.get("verdict") and output is not None and published["verdict"] != verdict:
        named.append("verdict")
    was = published.get("output") or {}
    fields = sorted({*was, *(output or {})})
    return [*named, *(f"output.{name}" for name in fields if was.get(name) != (output or {}).get(name))]
