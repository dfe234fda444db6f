"""Compute types are the number formats in which CTranslate2 computes, by its names. A card names one as `dtype`."""

import platform
from pathlib import Path
from typing import Final

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable

CPUINFO: Final = Path("/proc/cpuinfo")
_WIDE_SUMS: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
_NAMES: Final = frozenset({"float32", "bfloat16", "float16", "int8", "int8_float32"})
_T5: Final = frozenset({"t5", "mt5", "umt5"})


def device_of(card: ModelCard) -> str:
    """Return `cuda` or `cpu`: what the card says, or CUDA if this machine has it.

    Raises:
        ModelUnavailable: The card asks for CUDA, and CTranslate2 sees none.
    """
    import ctranslate2

    found = ctranslate2.get_cuda_device_count() > 0
    if card.device == "cuda" and not found:
        raise ModelUnavailable(
            f"the model asks for cuda, and ctranslate2 {ctranslate2.__version__} sees no CUDA device here: set its device to auto"
        )
    return "cuda" if found and card.device != "cpu" else "cpu"


def compute_type_of(card: ModelCard, device: str, model_type: str = "") -> str:
    """Return the compute type that a card names. `auto` is float32 on a CPU, and on CUDA the best format of 16 bits.

    8 bits change texts, so they are taken only if the card names them. The numbers inside a T5 are too large for float16.
    `model_type` is that of the model's config.json.

    Raises:
        ModelUnavailable: The device does not offer the compute type, or the model cannot compute in it.
    """
    import ctranslate2

    offered = ctranslate2.get_supported_compute_types(device)
    is_t5 = model_type in _T5
    if card.dtype == "auto":
        best = ["float32"] if device == "cpu" else ["bfloat16", "float16", "float32"]
        return next(one for one in best if one in offered and not (is_t5 and one == "float16"))
    if card.dtype not in offered:
        known = ", ".join(sorted(_NAMES.intersection(offered)))
        raise ModelUnavailable(
            f"ctranslate2 does not compute in {card.dtype} on this {device}: set dtype to one of {known}"
        )
    if is_t5 and card.dtype == "float16":
        raise ModelUnavailable("a T5 writes nonsense in float16: set the model's dtype to auto, bfloat16 or float32")
    return card.dtype


def bits_of_weights(compute_type: str, device: str) -> int:
    """Return how many bits weights of a compute type of 8 bits may have, so that no sum of products overflows.

    This is 7 on x86 processors without VNNI, which add two products in 16 bits, and 8 elsewhere.
    """
    if device != "cpu" or not compute_type.startswith("int8") or platform.machine() not in {"x86_64", "AMD64"}:
        return 8
    try:
        flags = CPUINFO.read_text(errors="replace").split()
    except OSError:
        return 7
    return 8 if _WIDE_SUMS.intersection(flags) else 7
