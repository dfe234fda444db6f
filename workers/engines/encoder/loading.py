"""Loads an encoder, and makes its engine."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from transformers.utils.logging import disable_progress_bar

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.device.pinning import Core
from workers.engines.device.placement import Placement, keep_to_share, place
from workers.engines.encoder.detection import Task, task_of
from workers.engines.encoder.engine import EncoderEngine, EncoderModel
from workers.engines.encoder.heads import Heads
from workers.engines.encoder.options import EncoderOptions
from workers.engines.encoder.reader import Reader, longest_of
from workers.engines.encoder.sentence_files import SentenceFiles, sentence_files
from workers.engines.networks import load_body, load_classifier, load_gap_filler
from workers.engines.options import parse_options

DEFAULT_SLOTS: Final = 128
"""The number of slots of an engine if its model card gives none. Of more waiting texts, more are of about the same length."""

CPU_BATCH_TOKENS: Final = 4_096
GPU_BATCH_TOKENS: Final = 65_536
"""The most tokens of a batch, each text as long as the longest."""

_LOADERS: Final[Mapping[Task, Callable[..., Any]]] = {
    "classes": load_classifier,
    "fills": load_gap_filler,
    "vectors": load_body,
}


def load_engine(
    alias: str, card: ModelCard, resolve: Callable[[], Path], *, slots: int = DEFAULT_SLOTS
) -> EncoderEngine:
    """Load the model in the folder that `resolve` returns, and return its engine.

    Raises:
        ModelUnavailable: The files are not those of an encoder, the device is missing, or an option is wrong.
    """
    began_ns = time.monotonic_ns()
    options = parse_options("encoder", EncoderOptions, card.options)
    folder, placement = resolve(), place(card)
    if placement.device.type == "cpu":
        torch.set_num_threads(options.threads)
    keep_to_share(card, placement.device)
    try:
        model = _load(folder, card, options, placement)
    except Exception as error:  # broken files raise errors that have no common class
        reason = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(f"model {alias} cannot be loaded from {folder}: {reason}") from error
    is_cpu = placement.device.type == "cpu"
    return EncoderEngine(
        model,
        slots=slots,
        batch_tokens=options.batch_tokens or (CPU_BATCH_TOKENS if is_cpu else GPU_BATCH_TOKENS),
        core=Core(options.cores) if options.cores and is_cpu else None,
        began_ns=began_ns,
    )


def described(card: ModelCard, folder: Path) -> dict[str, str]:
    """Return what a receipt says about the model in a folder: its task, its number format, and how it makes vectors.

    Raises:
        ModelUnavailable: The device is missing, an option is wrong, or the files are not those of an encoder.
    """
    options = parse_options("encoder", EncoderOptions, card.options)
    task, files = _task(folder, options), _files(folder, options)
    vectors = {} if task == "classes" else {"pooling": files.pooling, "normalize": str(files.normalize).lower()}
    return {"task": task, "dtype": place(card).dtype_name, **vectors}


def reader_of(card: ModelCard, folder: Path) -> Reader:
    """Return the reader of the model in a folder, without its network.

    Raises:
        ModelUnavailable: The files are damaged, or an option is wrong.
    """
    from transformers import AutoConfig, AutoTokenizer

    options = parse_options("encoder", EncoderOptions, card.options)
    task, files = _task(folder, options), _files(folder, options)
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": card.trust_remote_code}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tokenizers of old folders recommend what they do not need
            config = AutoConfig.from_pretrained(files.network, **local)
            tokenizer = AutoTokenizer.from_pretrained(files.network, **local)
    except Exception as error:  # tokenizers' errors for broken files have no common class
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelUnavailable(f"the tokenizer in {files.network} cannot be loaded: {reason}") from error
    if task == "fills" and tokenizer.mask_token_id is None:
        raise ModelUnavailable("its tokenizer has no mask token, so it fills no gaps: set the option task to vectors")
    return Reader(
        tokenizer,
        task,
        files,
        vocabulary=int(config.vocab_size),
        size=int(config.hidden_size),
        longest=longest_of(tokenizer, config, files),
        classes=_classes(config) if task == "classes" else (),
    )


def _task(folder: Path, options: EncoderOptions) -> Task:
    task = options.task or task_of(folder)
    if task is None:
        raise ModelUnavailable(
            f"the model in {folder} is no encoder: set its engine to auto, or name the option task if it is one"
        )
    return task


def _files(folder: Path, options: EncoderOptions) -> SentenceFiles:
    files = sentence_files(folder)
    normalize = files.normalize if options.normalize is None else options.normalize
    return replace(files, pooling=options.pooling or files.pooling, normalize=normalize)


def _classes(config: Any) -> tuple[str, ...]:
    """Return the names of the classes. Raises ModelUnavailable if there is only one, as in a model that gives a number."""
    names = tuple(str(config.id2label[n]) for n in sorted(config.id2label))
    if len(names) < 2 or config.problem_type == "regression":
        raise ModelUnavailable("the model gives a number and no classes: choose a classifier")
    return names


def _load(folder: Path, card: ModelCard, options: EncoderOptions, placement: Placement) -> EncoderModel:
    disable_progress_bar()
    reader = reader_of(card, folder)
    network = _LOADERS[reader.task](
        reader.files.network, trust_remote_code=card.trust_remote_code, dtype=placement.dtype
    )
    if reader.task != "classes" and network.config.is_encoder_decoder:
        raise ModelUnavailable("an encoder-decoder model embeds no texts here: choose an encoder")
    if network.config.pad_token_id is None:
        network.config.pad_token_id = reader.pad
    network = network.to(placement.device).eval()
    return EncoderModel(Heads(network, reader.mask_token if reader.task == "fills" else None), reader, placement)
