"""The registry makes the engine of a model's card, and returns what a receipt says about the model.

Importing this module loads neither torch nor transformers, because an engine is imported only when one is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jobs.catalog import EngineName, ModelCard
from jobs.errors import ModelUnavailable
from jobs.logs import logger
from workers.engines.adapter_files import find_all, revisions
from workers.engines.choice import Choice, choose
from workers.engines.options import parse_options
from workers.engines.protocol import Engine
from workers.engines.scoring import ScoringEngine
from workers.engines.stub.engine import StubEngine, StubOptions
from workers.engines.vllm.environment import of_this_process
from workers.engines.warm_start import copied
from workers.engines.weights import folder_of, require, resolve, revision_of

STUB_REVISION: Final = "stub-1"
"""The stub's `model_revision`. Change it whenever the stub's texts change."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded model: its engine, the engine's name, and what a receipt says about the model (`identity`).

    `adapters` has what a receipt says about each of its adapters, by name.
    """

    engine: Engine
    name: EngineName
    identity: Mapping[str, str]
    adapters: Mapping[str, str] = field(default_factory=dict)


def make_engine(alias: str, card: ModelCard, cache_dir: Path, *, max_slots: int | None = None) -> Engine:
    """Load a model and return its engine, as `load` does."""
    return load(alias, card, cache_dir, max_slots=max_slots).engine


def load(
    alias: str, card: ModelCard, cache_dir: Path, local_dir: Path | None = None, *, max_slots: int | None = None
) -> Loaded:
    """Load a model. Its engine has at most `max_slots` slots. None: no limit. Its weights are first copied into `local_dir`, if
    that is given.

    Raises:
        ModelUnavailable: The weights, the tokenizer, the device or a package is missing, or an option is unknown or wrong.
    """
    if card.engine == "stub":
        options = parse_options("stub", StubOptions, card.options)
        slots = _at_most(card.slots or options.slots, max_slots)
        stub = ScoringEngine(StubEngine(options.model_copy(update={"slots": slots})))
        return Loaded(stub, "stub", identity(alias, card))
    if card.engine == "remote":
        from workers.engines.remote import loading as remote

        slots = _at_most(card.slots or remote.DEFAULT_SLOTS, max_slots)
        return Loaded(remote.load_engine(alias, card, slots=slots), "remote", identity(alias, card), revisions(card))
    require("torch", "transformers")
    folder = None if card.engine != "auto" or card.gguf_file else resolve(alias, card, cache_dir)
    choice = choose(card, folder, of_this_process())
    engine, name = _made(alias, card, (cache_dir, local_dir), choice, max_slots)
    return Loaded(engine, name, identity(alias, card, name), revisions(card))


def identity(alias: str, card: ModelCard, engine: EngineName | None = None) -> dict[str, str]:
    """Return the fields of a receipt that describe the model: `model_revision`, and `dtype` unless it is the stub.

    If the card names how the model marks its thoughts, that name is the field `reasoning_form`. A model made for translation has
    its `family`, and `beams` and `length_penalty` if it is searched with beams. `engine` is the engine that runs the model; None:
    the one that would be chosen.

    Raises:
        ModelUnavailable: There are no weights on this machine.
    """
    if card.engine == "stub":
        return {"model_revision": STUB_REVISION}
    if card.engine == "remote":
        from workers.engines.remote.loading import described as described_remote

        return described_remote(alias, card)
    from workers.engines.device.placement import place

    revision = {"model_revision": revision_of(alias, card)}
    name = engine or choose(card, folder_of(alias, card), of_this_process()).engine
    if name in ("causal", "vllm"):
        form = {} if card.reasoning == "auto" else {"reasoning_form": card.reasoning}
        return {**revision, "dtype": place(card).dtype_name, **form}
    if name == "translate":
        from workers.engines.translate.loading import described
    elif name == "encoder":
        from workers.engines.encoder.loading import described
    else:
        from workers.engines.seq2seq.loading import described
    if (folder := folder_of(alias, card)) is None:
        raise ModelUnavailable(f"model {alias}: the engine {name} reads a folder of weights, and there is none here")
    return {**revision, **described(card, folder)}


def _made(
    alias: str, card: ModelCard, dirs: tuple[Path, Path | None], choice: Choice, max_slots: int | None
) -> tuple[Engine, EngineName]:
    """Return the engine of a model, and its name. If CTranslate2 was chosen and cannot convert the model, that is `seq2seq`."""
    cache_dir, local_dir = dirs
    if card.engine == "auto":
        logger().info("engine.chosen", model=alias, engine=choice.engine, reason=choice.reason)

    def files() -> Path:
        folder = resolve(alias, card, cache_dir)
        return folder if local_dir is None else copied(alias, revision_of(alias, card), folder, local_dir)

    if choice.engine == "causal":
        from workers.engines.causal.loading import DEFAULT_SLOTS, load_engine

        slots = _at_most(card.slots or DEFAULT_SLOTS, max_slots)
        adapters = find_all(alias, card, cache_dir)
        return ScoringEngine(load_engine(alias, card, files, slots=slots, adapters=adapters)), "causal"
    if choice.engine == "vllm":
        from workers.engines.vllm import loading as vllm

        slots = _at_most(card.slots or vllm.DEFAULT_SLOTS, max_slots)
        adapters = find_all(alias, card, cache_dir)
        engine = vllm.load_engine(alias, card, files, slots=slots, cache_dir=cache_dir, adapters=adapters)
        return ScoringEngine(engine), "vllm"
    if choice.engine == "encoder":
        from workers.engines.encoder import loading as encoder

        slots = _at_most(card.slots or encoder.DEFAULT_SLOTS, max_slots)
        return encoder.load_engine(alias, card, files, slots=slots), "encoder"
    if choice.engine == "translate":
        from workers.engines.translate import loading as translate
        from workers.engines.translate.conversion import Unconvertible

        slots = _at_most(card.slots or translate.DEFAULT_SLOTS, max_slots)
        try:
            return translate.load_engine(
                alias, card, files, revision_of(alias, card), cache_dir, slots=slots
            ), "translate"
        except Unconvertible as error:
            if card.engine != "auto":
                raise
            return _made(alias, card, dirs, Choice("seq2seq", str(error)), max_slots)
    from workers.engines.seq2seq.loading import DEFAULT_SLOTS as SEQ2SEQ_SLOTS
    from workers.engines.seq2seq.loading import load_engine as load_seq2seq

    slots = _at_most(card.slots or SEQ2SEQ_SLOTS, max_slots)
    return load_seq2seq(alias, card, files, slots=slots), "seq2seq"


def _at_most(slots: int, limit: int | None) -> int:
    return slots if limit is None else max(1, min(slots, limit))
