"""Replay: a published row once more, alone, with what its receipt says; and what differs, if anything does.

The row's own conversation runs on an engine of its own: nothing is stored or charged. The same model revision, templates,
seed and params give the same text in fp32, whoever shares the step; in other number formats a sum's order may change a token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobs.batches.request_row import RowRequest
from jobs.errors import CheckFailed, RequestError, RowError
from jobs.kinds.registry import load_kinds
from jobs.lanes.job import ClaimId, Job, JobKey, Lease
from jobs.settings import Settings
from workers.engines.protocol import Engine
from workers.engines.registry import identity, make_engine
from workers.worker.attempt import Attempt

COMPARED = ("model_revision", "engine", "device", "dtype", "seed", "adapter")
"""What of a receipt decides the text, beside the templates, the params and the request itself."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came out this time. `differs` names parts of the receipt, then fields of the output; empty: it is the same."""

    output: Mapping[str, Any] | None
    error: str | None
    receipt: Mapping[str, Any]
    differs: Sequence[str]

    @property
    def same(self) -> bool:
        """Whether the output is the same, whatever of the receipt is not."""
        return self.error is None and not any(name.startswith("output") for name in self.differs)

    @property
    def unexplained(self) -> bool:
        """Whether the output is another one although nothing of the receipt is."""
        return bool(self.differs) and all(name.startswith("output.") for name in self.differs)


def told(name: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, in words: both values of a part of the receipt; of the output, which part."""
    top, _, label = name.partition(".")
    if top == "output":
        return name
    before, after = ((values.get(top) or {}).get(label) if label else values.get(top) for values in (was, now))
    return f"{name}: {before} was published, {after} is here"


def replay(batch_id: str, row: RowRequest, published: Mapping[str, Any], settings: Settings) -> Replayed:
    """Run a row again. Raises RequestError when it cannot be, ModelUnavailable when its model is not here."""
    if row.model not in settings.catalog:
        raise RequestError(
            f"the model {row.model} is not in the catalog any more: add it to [models] in nightpress.toml"
        )
    kind = load_kinds(settings.templates_dir).get(row.kind)
    if kind is None:
        raise RequestError(f"no kind has the name {row.kind!r} here: install its package")
    card = settings.catalog[row.model]
    engine = make_engine(row.model, card, settings.cache_dir)
    try:
        job = Job(Lease(JobKey(batch_id, row.row), 0, 0, str(ClaimId("replay", "0", 0))), b"")
        attempt = Attempt(job, row, kind, datetime.now(UTC))
        error = _converse(attempt, engine)
        receipt = {
            **identity(row.model, card, settings.cache_dir),
            **attempt.receipt,
            "engine": card.engine,
            "device": engine.stats().device,
        }
    finally:
        engine.close()
    output = attempt.output.model_dump(mode="json") if attempt.output is not None else None
    return Replayed(output, error, receipt, _differences(published, output, receipt))


def _converse(attempt: Attempt, engine: Engine) -> str | None:
    """The whole conversation. Returns why there is no output, if there is none."""
    try:
        for request in attempt.start():
            engine.submit(request)
        while attempt.output is None:
            for completion in engine.step():
                for request in attempt.receive(completion):
                    engine.submit(request)
    except RowError as error:
        return f"{error.code}: {error.message}"
    except Exception as error:  # noqa: BLE001 - a kind's own fault is the answer, as in the runner
        return str(CheckFailed("kind_failed", f"kind {attempt.kind.name}: {error!r}"))
    finally:
        attempt.close()
    return None


def _differences(
    published: Mapping[str, Any], output: Mapping[str, Any] | None, receipt: Mapping[str, Any]
) -> Sequence[str]:
    named = [name for name in COMPARED if name in published and published[name] != receipt.get(name)]
    for part in ("templates", "params"):
        before, now = published.get(part), receipt.get(part) or {}
        if before is not None:  # an earlier release did not say
            labels = sorted(
                before.keys() & now.keys() or {*before, *now}
            )  # another text may ask for more prompts, or fewer
            named += [f"{part}.{label}" for label in labels if before.get(label) != now.get(label)]
    was = published.get("output") or {}
    fields = sorted({*was, *(output or {})})
    return [*named, *(f"output.{name}" for name in fields if was.get(name) != (output or {}).get(name))]
