"""Placement chooses the device and the number format of a model: the card's choice, or the best that this machine has."""

from dataclasses import dataclass
from pathlib import Path

import torch

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Placement:
    """A model's device, its number format, and the name under which the device's price is listed."""

    device: torch.device
    dtype: torch.dtype
    device_name: str

    @property
    def dtype_name(self) -> str:
        """The name of the number format: `float32`, `bfloat16` or `float16`."""
        return str(self.dtype).removeprefix("torch.")


def place(card: ModelCard) -> Placement:
    """Return the device and the number format that a model's card names, or the best ones on this machine.

    The best device is CUDA if the machine has it, else the CPU. The best format is bfloat16 if the device computes in it
    natively, else float16 on CUDA and float32 on a CPU.

    Raises:
        ModelUnavailable: The card asks for CUDA, and this machine has no CUDA device; or for weights of 8 bits, which only the
            translate engine has.
    """
    if card.dtype in {"int8", "int8_float32"}:
        raise ModelUnavailable(
            f"only the engine translate computes in {card.dtype}: set dtype to auto, or another engine"
        )
    cuda = torch.cuda.is_available()
    if card.device == "cuda" and not cuda:
        raise ModelUnavailable(
            f"the model asks for cuda, and torch {torch.__version__} sees no CUDA device here: set its device to auto"
        )
    if cuda and card.device != "cpu":
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        return Placement(torch.device("cuda"), _dtype_of(card, dtype), torch.cuda.get_device_name())
    return Placement(torch.device("cpu"), _dtype_of(card, torch.bfloat16 if _cpu_has_bf16() else torch.float32), "cpu")


def memory_share(card: ModelCard, total: int) -> int:
    """Return the bytes of a GPU's memory that a worker of a model may take, of `total` bytes: all, if its card says nothing.

    Otherwise the worker that comes first would leave nothing to another on the same GPU.
    """
    if card.memory_gb is not None:
        return min(total, int(card.memory_gb * (1 << 30)))
    return int(total * min(1.0, card.gpus or 1.0))


def keep_to_share(card: ModelCard, device: torch.device) -> int | None:
    """Let torch take no more of a GPU's memory than the share of a worker. Returns that share in bytes; None on other devices.

    A worker that needs more gets torch's error for a lack of memory, and takes none from its neighbours.
    """
    if device.type != "cuda":
        return None
    total = torch.cuda.mem_get_info(device)[1]
    share = memory_share(card, total)
    if share < total:
        torch.cuda.set_per_process_memory_fraction(share / total, device)
    return share


def _dtype_of(card: ModelCard, best: torch.dtype) -> torch.dtype:
    by_name = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    return by_name.get(card.dtype, best)


def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies in bfloat16; False if `CPUINFO` cannot be read.

    On CPUs that emulate bfloat16, float32 is several times as fast.
    """
    try:
        flags = CPUINFO.read_text(errors="replace").split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
