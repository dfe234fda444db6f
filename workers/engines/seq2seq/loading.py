"""Loads an encoder-decoder model made for translation, and makes its engine."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from transformers import GenerationConfig
from transformers.utils.logging import disable_progress_bar

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.device.pinning import Core
from workers.engines.device.placement import Placement, keep_to_share, place
from workers.engines.families.codec import Codec
from workers.engines.families.detection import family_of
from workers.engines.families.loading import load_codec
from workers.engines.families.options import TranslationOptions
from workers.engines.networks import load_translator
from workers.engines.options import parse_options
from workers.engines.seq2seq.engine import Search, Seq2SeqEngine, Seq2SeqModel

DEFAULT_SLOTS: Final = 64
"""The number of slots of an engine if its model card gives none."""

CPU_BATCH_TOKENS: Final = 12_000
"""The most tokens of a batch of a small model on a CPU. On one core a Marian took 1.3 times as long with 4,096."""

GPU_BATCH_TOKENS: Final = 32_000
LEAST_BATCH_TOKENS: Final = 1_000

SMALL_MODEL: Final = 100_000_000
"""A model with more weights than this gets smaller batches on a CPU, in proportion."""


def load_engine(
    alias: str, card: ModelCard, resolve: Callable[[], Path], *, slots: int = DEFAULT_SLOTS
) -> Seq2SeqEngine:
    """Load the model in the folder that `resolve` returns, and return its engine.

    Raises:
        ModelUnavailable: The files are not those of a model made for translation, the device is missing, or an option is wrong.
    """
    began_ns = time.monotonic_ns()
    options = parse_options("seq2seq", TranslationOptions, card.options)
    folder = resolve()
    placement = translator_placement(card, folder)
    if placement.device.type == "cpu":
        torch.set_num_threads(options.threads)
    keep_to_share(card, placement.device)
    try:
        codec = load_codec(
            folder,
            family=card.family,
            languages=options.languages,
            prefix=options.prefix,
            trust_remote_code=card.trust_remote_code,
        )
        model = _load(folder, codec, placement, card)
    except Exception as error:  # broken files raise errors that have no common class
        reason = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(f"model {alias} cannot be loaded from {folder}: {reason}") from error
    return Seq2SeqEngine(
        model,
        slots=slots,
        batch_tokens=options.batch_tokens or _batch_tokens(model.network, placement),
        search=Search(options.beams, options.length_penalty),
        core=Core(options.cores) if options.cores and placement.device.type == "cpu" else None,
        began_ns=began_ns,
    )


def described(card: ModelCard, folder: Path) -> dict[str, str]:
    """Return what a receipt says about the model in a folder: its family, its number format, and its search with beams.

    Raises:
        ModelUnavailable: The device is missing, or an option is wrong.
    """
    options = parse_options("seq2seq", TranslationOptions, card.options)
    search = {} if options.beams == 1 else {"beams": str(options.beams), "length_penalty": str(options.length_penalty)}
    family = card.family or family_of(folder)
    return {"family": str(family), "dtype": translator_placement(card, folder).dtype_name, **search}


def translator_placement(card: ModelCard, folder: Path) -> Placement:
    """Return the device and the number format of a translator.

    The numbers inside a T5 are too large for float16, so it gets float32 where another model would get float16.

    Raises:
        ModelUnavailable: The card asks for CUDA, and this machine has no CUDA device, or for T5 in float16.
    """
    placement = place(card)
    if placement.dtype is not torch.float16 or (card.family or family_of(folder)) != "t5":
        return placement
    if card.dtype == "float16":
        raise ModelUnavailable("a T5 writes nonsense in float16: set the model's dtype to auto, bfloat16 or float32")
    return replace(placement, dtype=torch.float32)


def _batch_tokens(network: Any, placement: Placement) -> int:
    """Return the most tokens of a batch. On a CPU a large model gets few, since a step that takes minutes counts as hung."""
    if placement.device.type != "cpu":
        return GPU_BATCH_TOKENS
    size: int = sum(weights.numel() for weights in network.parameters())
    return max(LEAST_BATCH_TOKENS, min(CPU_BATCH_TOKENS, CPU_BATCH_TOKENS * SMALL_MODEL // size))


def _load(folder: Path, codec: Codec, placement: Placement, card: ModelCard) -> Seq2SeqModel:
    disable_progress_bar()
    network = load_translator(folder, trust_remote_code=card.trust_remote_code, dtype=placement.dtype)
    network = network.to(placement.device).eval()
    never = _never(network.generation_config)
    network.generation_config = (
        GenerationConfig()
    )  # the weights' defaults are dropped: the card and the requests decide
    return Seq2SeqModel(network, codec, placement, never)


def _never(config: Any) -> tuple[int, ...]:
    """Return the tokens that the weights' own settings forbid, such as the padding of Marian."""
    words = [word[0] for word in config.bad_words_ids or () if len(word) == 1]
    return tuple(sorted({*words, *(config.suppress_tokens or ())}))
