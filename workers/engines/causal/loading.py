"""Loads a model and builds its engine: the slot engine if the model can run in slots, else the padded engine."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

import torch
from pydantic import BaseModel, ConfigDict, Field
from transformers import AutoTokenizer, GenerationConfig
from transformers.utils.logging import disable_progress_bar

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from jobs.logs import logger
from workers.engines.causal.adapters.bank import AdapterBank, NoRoom
from workers.engines.causal.kernels.cpu.fused import fuse
from workers.engines.causal.kernels.cpu.packed import pack
from workers.engines.causal.model import CausalModel
from workers.engines.causal.padded_engine import PaddedEngine
from workers.engines.causal.probe import Unfit, prepare_for_slots, why_alone
from workers.engines.causal.runtime.cuda_graphs import CudaGraphs, Recorder
from workers.engines.causal.slot_engine import SlotEngine
from workers.engines.device.cache_memory import cache_bytes_available
from workers.engines.device.pinning import Core
from workers.engines.device.placement import Placement, keep_to_share, place
from workers.engines.networks import load_network
from workers.engines.options import parse_options
from workers.engines.protocol import Engine
from workers.engines.text.encoding import Encoder

DEFAULT_SLOTS: Final = 64
"""The number of slots of an engine if its model card gives none."""

PADDED_SLOTS: Final = 8
"""The padded engine has at most this many slots. The texts of a batch wait for its longest text, so a larger batch wastes more
time."""

STEP_TOKENS: Final = {"cpu": 512, "cuda": 4096}
"""A step computes at most this many tokens, by type of device, if the option `step_tokens` is not set. More tokens would not make
the step's matrix products more efficient, and all sequences would wait longer for the step."""

OVERTAKING: Final = 2
"""A row whose adapter is not in memory may be overtaken by this many times as many rows as there are slots."""

_PLAIN: Final = ModelCard()


class CausalOptions(BaseModel):
    """The options of a causal model: `options` in `[models.<alias>]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(
        default=1, ge=1, description="Threads of torch on a CPU. To use more cores, rather start more workers."
    )
    cores: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="CPU cores, one for each worker: its engine's thread is pinned to it."
    )
    step_tokens: int | None = Field(default=None, ge=1, description="The most tokens that a step computes.")
    cache_bytes: int | None = Field(default=None, ge=1, description="The most memory for the KV cache, in bytes.")
    prefix_sharing: bool = Field(default=True, description="Whether a common prefix of prompts is computed once.")
    graphs: bool = Field(
        default=True, description="Whether a GPU's decode steps are recorded as CUDA graphs and replayed."
    )
    eos: tuple[Annotated[int, Field(ge=0)] | str, ...] = Field(
        default=(), description="Further tokens that end a completion, by id or text, such as `<|im_end|>`."
    )
    adapter_bytes: int = Field(
        default=512 << 20,
        ge=1,
        description="The most memory for the weights of adapters, in bytes. The ones that were used least recently make room.",
    )
    padded: bool = Field(
        default=False, description="Whether to use the padded engine even for a model that can run in slots."
    )


def load_engine(
    alias: str,
    card: ModelCard,
    resolve: Callable[[], Path],
    *,
    slots: int,
    adapters: Mapping[str, Path | str] = MappingProxyType({}),
) -> Engine:
    """Load the model in the folder that `resolve` returns, and return its engine.

    `adapters` has the folder of each of its adapters by name, or a clause that says why there is none.

    Raises:
        ModelUnavailable: The files are not those of a causal model, the device is missing, or an option is wrong.
    """
    began_ns = time.monotonic_ns()
    options = parse_options("causal", CausalOptions, card.options)
    placement = place(card)
    if placement.device.type == "cpu":
        torch.set_num_threads(options.threads)
    share = keep_to_share(card, placement.device)
    folder = resolve()
    try:
        model = load_model(folder, placement, card)
    except Exception as error:  # broken files raise errors that have no common class
        reason = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(f"model {alias} cannot be loaded from {folder}: {reason}") from error
    model = with_adapters(alias, model, adapters, options, slots=slots)
    return build_engine(alias, model, options, slots=slots, began_ns=began_ns, share=share)


def build_engine(
    alias: str,
    model: CausalModel,
    options: CausalOptions,
    *,
    slots: int,
    began_ns: int | None = None,
    recorder: Recorder | None = None,
    share: int | None = None,
) -> Engine:
    """Return the engine of a loaded model. `share` is the memory of its GPU that it may take, in bytes; None: all.

    `recorder` records the decode steps of a slot engine. If it is None, `CudaGraphs` records them if the device is a GPU and the
    option `graphs` is on; otherwise no steps are recorded.
    """
    model = replace(model, eos=tuple(sorted({*model.eos, *(_end_token(alias, model, one) for one in options.eos)})))
    if not options.padded:
        try:
            token_bytes = prepare_for_slots(model)
        except Unfit as unfit:
            logger().warning("engine.padded", model=alias, reason=str(unfit))
        else:
            return SlotEngine(
                model,
                slots=slots,
                step_tokens=options.step_tokens or STEP_TOKENS.get(model.placement.device.type, 512),
                cache_bytes=options.cache_bytes
                or cache_bytes_available(model.placement.device, options.threads, share),
                token_bytes=token_bytes,
                prefix_sharing=options.prefix_sharing,
                recorder=recorder
                or (CudaGraphs() if options.graphs and model.placement.device.type == "cuda" else None),
                core=Core(options.cores) if options.cores and model.placement.device.type == "cpu" else None,
                began_ns=began_ns,
            )
    if reason := why_alone(model):
        logger().warning("engine.alone", model=alias, reason=reason)
        slots = 1
    return PaddedEngine(model, slots=min(slots, PADDED_SLOTS), began_ns=began_ns)


def with_adapters(
    alias: str, model: CausalModel, adapters: Mapping[str, Path | str], options: CausalOptions, *, slots: int
) -> CausalModel:
    """Return a model with these adapters, whose layers then apply them.

    Raises ModelUnavailable if the option `adapter_bytes` has no room for one.
    """
    if not adapters:
        return model
    try:
        bank = AdapterBank(model.network, adapters, room=options.adapter_bytes, patience=OVERTAKING * slots)
    except NoRoom as error:
        raise ModelUnavailable(f"model {alias}: {error}: raise the option adapter_bytes") from error
    return replace(model, adapters=bank)


def load_model(folder: Path, placement: Placement, card: ModelCard = _PLAIN) -> CausalModel:
    """Load a model and its tokenizer from a folder of safetensors. Nothing is downloaded.

    Raises:
        ModelUnavailable: Weights are missing, or the folder holds weights of another kind of model.
    """
    disable_progress_bar()
    local_only: dict[str, Any] = {"local_files_only": True, "trust_remote_code": card.trust_remote_code}
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", **local_only)
    network = load_network(folder, trust_remote_code=card.trust_remote_code, dtype=placement.dtype)
    network = network.to(placement.device).eval()
    fuse(network, placement.device)
    pack(network, placement.device)
    return wrap_model(network, tokenizer, placement, card)


def wrap_model(network: Any, tokenizer: Any, placement: Placement, card: ModelCard = _PLAIN) -> CausalModel:
    """Return a network and its tokenizer as the `CausalModel` that engines take."""
    eos_ids = network.generation_config.eos_token_id
    eos = {*(eos_ids if isinstance(eos_ids, list) else [eos_ids]), tokenizer.eos_token_id} - {None}
    network.generation_config = GenerationConfig()  # the weights' defaults are dropped: requests decide
    context = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    encoder = Encoder(tokenizer, network.get_input_embeddings().num_embeddings, context, card)
    return CausalModel(network, encoder, placement, tuple(sorted(eos)))


def _end_token(alias: str, model: CausalModel, named: int | str) -> int:
    """Return the token that the option `eos` names by its id or its text.

    Raises:
        ModelUnavailable: The id or the text is not exactly one token of the model.
    """
    tokens = (
        [named] if isinstance(named, int) else model.encoder.tokenizer(named, add_special_tokens=False)["input_ids"]
    )
    if len(tokens) != 1 or tokens[0] >= model.encoder.vocabulary:
        raise ModelUnavailable(f"the option eos of model {alias} names {named!r}, which is not a token of the model")
    return int(tokens[0])
