"""Loads a model for the translate engine: converts it if that was not done before, and builds the engine."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.device.pinning import Core
from workers.engines.families.detection import family_of
from workers.engines.families.loading import load_codec
from workers.engines.families.options import TranslationOptions
from workers.engines.networks import load_translator
from workers.engines.options import parse_options
from workers.engines.translate.cache import Converted, ensure
from workers.engines.translate.compute_types import bits_of_weights, compute_type_of, device_of
from workers.engines.translate.conversion import NOTES, Unconvertible, why_not
from workers.engines.translate.engine import TranslateEngine
from workers.engines.translate.model import TranslateModel

DEFAULT_SLOTS: Final = 64
"""The most rows of a batch if the model's card gives no number of slots. On one core in int8,
batches of 64 wrote 38 % more tokens a second than batches of 16, and 6 % more than batches of 32."""


BATCH_TOKENS: Final = {"cpu": 12_000, "cuda": 32_000}
"""The most tokens of a batch, by device, if the option `batch_tokens` is not set. A step does not wait for the end of a batch, so
a large model needs no smaller ones."""


def load_engine(
    alias: str, card: ModelCard, resolve: Callable[[], Path], revision: str, cache_dir: Path, *, slots: int
) -> TranslateEngine:
    """Load the model in the folder that `resolve` returns, and return its engine. `revision` names its weights.

    Raises:
        Unconvertible: CTranslate2 cannot run the model.
        ModelUnavailable: The files are damaged, the device or the compute type is missing, or an option is wrong.
    """
    began_ns = time.monotonic_ns()
    options = parse_options("translate", TranslationOptions, card.options)
    import ctranslate2

    device = device_of(card)
    folder = resolve()
    config = _config(folder)
    compute_type = compute_type_of(card, device, str(config.get("model_type", "")))
    if reason := why_not(config):
        raise Unconvertible(f"model {alias} cannot run on the translate engine: {reason}")
    bits = bits_of_weights(compute_type, device)
    converted = Converted(alias, revision, str(ctranslate2.__version__), compute_type, bits)
    ready = ensure(converted, cache_dir, lambda: load_exact(alias, folder, card))
    codec = load_codec(
        folder,
        family=card.family,
        languages=options.languages,
        prefix=options.prefix,
        trust_remote_code=card.trust_remote_code,
    )
    core = Core(options.cores) if options.cores and device == "cpu" else None
    try:
        with _pinned(core):
            translator = ctranslate2.Translator(
                os.fspath(ready),
                device=device,
                compute_type=compute_type,
                inter_threads=1,
                intra_threads=options.threads,
            )
    except Exception as error:  # CTranslate2 raises errors that have no common class
        raise ModelUnavailable(f"model {alias} cannot be loaded from {ready}: {_reason(error)}") from error
    notes = json.loads((ready / NOTES).read_text())
    model = TranslateModel(translator, codec, tuple(notes["suppressed"]), _device_name(device))
    return TranslateEngine(
        model,
        slots=slots,
        beams=options.beams,
        length_penalty=options.length_penalty,
        batch_tokens=max(1, (options.batch_tokens or BATCH_TOKENS[device]) // options.beams),
        core=core,
        began_ns=began_ns,
    )


def described(card: ModelCard, folder: Path) -> dict[str, str]:
    """Return the fields of a receipt that describe how a model runs: family, compute type, what converted it, and its search.

    `weight_bits` stands there only if it is not 8, and `beams` and `length_penalty` only if the model is searched with beams.

    Raises:
        ModelUnavailable: The device or the compute type is missing, or an option is wrong.
    """
    import ctranslate2

    options = parse_options("translate", TranslationOptions, card.options)
    device = device_of(card)
    compute_type = compute_type_of(card, device, str(_config(folder).get("model_type", "")))
    bits = bits_of_weights(compute_type, device)
    converter = f"ctranslate2 {ctranslate2.__version__}"
    found = {"family": str(card.family or family_of(folder)), "dtype": compute_type, "converter": converter}
    if bits != 8:
        found["weight_bits"] = str(bits)
    if options.beams > 1:
        found |= {"beams": str(options.beams), "length_penalty": str(options.length_penalty)}
    return found


def load_exact(alias: str, folder: Path, card: ModelCard) -> Any:
    """Load the network of a model in float32 on the CPU, to convert it. Nothing is downloaded.

    Raises ModelUnavailable if the files lack weights or cannot be loaded.
    """
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        network = load_translator(folder, trust_remote_code=card.trust_remote_code, dtype=torch.float32)
    except Exception as error:  # broken files raise errors that have no common class
        raise ModelUnavailable(f"model {alias} cannot be loaded from {folder}: {_reason(error)}") from error
    return network.eval()


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _config(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "config.json").read_text())
    return found if isinstance(found, dict) else {}


def _device_name(device: str) -> str:
    if device == "cpu":
        return "cpu"
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cuda"


@contextmanager
def _pinned(core: Core | None) -> Iterator[None]:
    """Pin the threads that are started meanwhile to a core, and leave this thread where it was."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    core.pin()
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
