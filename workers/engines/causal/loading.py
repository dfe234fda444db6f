"""Loads a model, and chooses the form of its engine: slots where its attention can be that of slots, else padded batches."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import torch
from pydantic import BaseModel, ConfigDict, Field
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils.logging import disable_progress_bar

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from jobs.logs import logger
from workers.engines.causal.kernels.cpu.fused import fuse
from workers.engines.causal.kernels.cpu.packed import pack
from workers.engines.causal.model import CausalModel
from workers.engines.causal.padded_engine import PaddedEngine
from workers.engines.causal.probe import Unfit, fit_for_slots
from workers.engines.causal.runtime.cuda_graphs import CudaGraphs, Recorder
from workers.engines.causal.slot_engine import SlotEngine
from workers.engines.device.pinning import Core
from workers.engines.device.placement import Placement, place
from workers.engines.options import parse_options
from workers.engines.protocol import Engine
from workers.engines.text.encoding import Encoder

DEFAULT_SLOTS: Final = 64
PADDED_SLOTS: Final = 8
"""Of a padded batch, whose rows wait for each other."""

STEP_TOKENS: Final = {"cpu": 512, "cuda": 4096}
"""More tokens a step do not make a product faster, and every text waits for the step."""


class CausalOptions(BaseModel):
    """`[models.<alias>] options` of the causal engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(default=1, ge=1, description="Threads of torch on a CPU; more workers use more cores.")
    cores: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="Cores of a CPU, one for each worker: its engine's thread stays there."
    )
    step_tokens: int | None = Field(default=None, ge=1, description="Tokens that a step computes at most.")
    cache_bytes: int | None = Field(default=None, ge=1, description="Memory for keys and values.")
    prefix_sharing: bool = Field(default=True, description="Whether a common beginning of prompts is computed once.")
    graphs: bool = Field(default=True, description="Whether a GPU's steps are recorded and replayed.")
    padded: bool = Field(default=False, description="Whether to use padded batches even where slots would do.")


def load_engine(alias: str, card: ModelCard, resolve: Callable[[], Path], *, slots: int) -> Engine:
    """Load the weights that `resolve` finds and return their engine.

    Raises:
        ModelUnavailable: The files are not those of a causal model, the device is missing, or an option is wrong.
    """
    began_ns = time.monotonic_ns()
    options = parse_options("causal", CausalOptions, card.options)
    placement = place(card)
    if placement.device.type == "cpu":
        torch.set_num_threads(options.threads)
    folder = resolve()
    try:
        model = load_model(folder, placement, trust_remote_code=card.trust_remote_code)
    except Exception as error:  # broken files raise errors of safetensors and tokenizers, of no common class
        reason = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(f"model {alias} cannot be loaded from {folder}: {reason}") from error
    return engine_of(alias, model, options, slots=slots, began_ns=began_ns)


def engine_of(
    alias: str,
    model: CausalModel,
    options: CausalOptions,
    *,
    slots: int,
    began_ns: int | None = None,
    recorder: Recorder | None = None,
) -> Engine:
    """The engine of a loaded model. `recorder` None: CUDA graphs on a GPU, elsewhere nothing."""
    if not options.padded:
        try:
            token_bytes = fit_for_slots(model)
        except Unfit as unfit:
            logger().warning("engine.padded", model=alias, reason=str(unfit))
        else:
            return SlotEngine(
                model,
                slots=slots,
                step_tokens=options.step_tokens or STEP_TOKENS.get(model.placement.device.type, 512),
                cache_bytes=options.cache_bytes or free_bytes(model.placement.device, options.threads),
                token_bytes=token_bytes,
                sharing=options.prefix_sharing,
                recorder=recorder
                or (CudaGraphs() if options.graphs and model.placement.device.type == "cuda" else None),
                core=Core(options.cores) if options.cores and model.placement.device.type == "cpu" else None,
                began_ns=began_ns,
            )
    return PaddedEngine(model, slots=min(slots, PADDED_SLOTS), began_ns=began_ns)


def load_model(folder: Path, placement: Placement, *, trust_remote_code: bool = False) -> CausalModel:
    """Load a folder of safetensors and its tokenizer. Nothing is fetched."""
    disable_progress_bar()
    from_here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", **from_here)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=placement.dtype, **from_here)
    network = network.to(placement.device).eval()
    fuse(network, placement.device)
    pack(network, placement.device)
    return wrap(network, tokenizer, placement)


def wrap(network: Any, tokenizer: Any, placement: Placement) -> CausalModel:
    """A network and its tokenizer as an engine needs them."""
    ends = network.generation_config.eos_token_id
    eos = {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id} - {None}
    network.generation_config = GenerationConfig()  # the requests decide, not defaults that came with the weights
    context = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    encoder = Encoder(tokenizer, network.get_input_embeddings().num_embeddings, context)
    return CausalModel(network, encoder, placement, tuple(sorted(eos)))


def free_bytes(device: torch.device, threads: int) -> int:
    """What the cache may take: most of what a GPU has left, and of a machine's memory half, shared by a worker a core."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * 0.85)
    workers = max(1, (os.cpu_count() or 1) // threads)
    return max(1 << 26, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") // 2 // workers)
