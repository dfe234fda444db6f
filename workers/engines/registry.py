"""The registry makes the engine that a model's card asks for, and returns what a receipt says about the model.

Importing this module loads neither torch nor transformers, because the causal engine is imported only when one is made.
"""

from pathlib import Path
from typing import Final

from jobs.catalog import ModelCard
from workers.engines.options import parse_options
from workers.engines.protocol import Engine
from workers.engines.scoring import ScoringEngine
from workers.engines.stub.engine import StubEngine, StubOptions
from workers.engines.weights import require, resolve, revision_of

STUB_REVISION: Final = "stub-1"
"""The stub's `model_revision`. Change it whenever the stub's texts change."""


def make_engine(alias: str, card: ModelCard, cache_dir: Path, *, max_slots: int | None = None) -> Engine:
    """Load a model and return its engine. The engine has at most `max_slots` slots. None: no limit.

    Raises:
        ModelUnavailable: The weights, the tokenizer, the device or a package is missing, or an option is unknown or wrong.
    """
    if card.engine == "stub":
        options = parse_options("stub", StubOptions, card.options)
        slots = _at_most(card.slots or options.slots, max_slots)
        return ScoringEngine(StubEngine(options.model_copy(update={"slots": slots})))
    require("torch", "transformers")
    from workers.engines.causal.loading import DEFAULT_SLOTS, load_engine

    slots = _at_most(card.slots or DEFAULT_SLOTS, max_slots)
    return ScoringEngine(load_engine(alias, card, lambda: resolve(alias, card, cache_dir), slots=slots))


def identity(alias: str, card: ModelCard) -> dict[str, str]:
    """Return the fields of a receipt that describe the model: `model_revision`, and `dtype` unless it is the stub.

    If the card names how the model marks its thoughts, that name is the field `reasoning_form`.

    Raises:
        ModelUnavailable: There are no weights on this machine.
    """
    if card.engine == "stub":
        return {"model_revision": STUB_REVISION}
    from workers.engines.device.placement import place

    form = {} if card.reasoning == "auto" else {"reasoning_form": card.reasoning}
    return {"model_revision": revision_of(alias, card), "dtype": place(card).dtype_name, **form}


def _at_most(slots: int, limit: int | None) -> int:
    return slots if limit is None else max(1, min(slots, limit))
