"""Attention of one new token for each of many texts, on a GPU: each reads its own slot of the cache, as far as it is filled.

Products over all slots pay for the longest text of the step. Here the loops end at each text's own length, which the kernel
reads on the device: a recorded step serves texts of any length up to its reach, and what is empty costs nothing. A form of the
kernel (number format, sizes of heads, cap, window) is used only after it agreed, on this very device, with the same attention
written out; what does not compile, or does not agree, is said in one line, and the products are taken instead.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import torch

from jobs.logs import logger

FORMATS: Final = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
"""Number formats of the cache, and how far results may be from the exact ones, in parts of their spread."""

MOST_SPLITS: Final = 32
WIDEST: Final = 256
"""Sizes of heads beyond it do not fit into what a multiprocessor has near."""

LENGTHS: Final = (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 511, 512, 513, 600)
"""Of the texts of a trial: about the ends of blocks and parts."""


def is_fit(
    keys: torch.Tensor, values: torch.Tensor, queries: int, *, softcap: float | None, window: int | None
) -> bool:
    """Whether this module computes such attention, right, on the device of the cache."""
    sizes = keys.shape[3], values.shape[3]
    if keys.device.type != "cuda" or keys.dtype not in FORMATS or max(*sizes, queries) > WIDEST:
        return False
    return _agrees(keys.device, keys.dtype, queries, *sizes, softcap is not None, window is not None)


def attend_each(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    slots: torch.Tensor,
    lengths: torch.Tensor,
    *,
    scale: float,
    reach: int,
    softcap: float | None,
    window: int | None,
    splits: int | None = None,
) -> torch.Tensor:
    """Attend with one query a text. Asks nothing of the device, so that it can be recorded.

    Args:
        query: [texts, key heads, queries a key head, size].
        keys: [slots, key heads, length, size]; tokens of a slot stand one after the other.
        values: [slots, key heads, length, value size], likewise.
        slots: Of the texts [texts].
        lengths: How many tokens each slot holds, the new one included [texts]; at least 1.
        scale: Of the scores.
        reach: The greatest length, or more. Only the speed depends on it.
        softcap: The scores are kept within it.
        window: How many tokens back a token sees, itself included.
        splits: In how many parts the tokens of a text are read side by side, a power of two; None: as fills the device.

    Returns:
        [texts, key heads, queries a key head, value size], in the format of the values.
    """
    from workers.engines.causal.kernels.gpu.triton_kernels import attend_part, join_parts

    texts, heads, queries, size = query.shape
    value_size = values.shape[3]
    block = 64 if max(size, value_size) * keys.element_size() <= 256 else 32  # what a multiprocessor has near is little
    if splits is None:
        splits = _splits(texts * heads, min(reach, window or reach), block, query.device)
    out = values.new_empty(texts, heads, queries, value_size)
    parts = out if splits == 1 else query.new_empty(texts, heads, splits, queries, value_size, dtype=torch.float32)
    sums = parts if splits == 1 else query.new_empty(texts, heads, splits, queries, dtype=torch.float32)
    attend_part[(texts, heads, splits)](
        query.to(keys.dtype).contiguous(),
        keys,
        values,
        slots,
        lengths,
        parts,
        sums,
        scale,
        softcap or 0.0,
        window or 0,
        *keys.stride()[:3],
        *values.stride()[:3],
        capped=softcap is not None,
        windowed=window is not None,
        queries=queries,
        size=size,
        value_size=value_size,
        wide_queries=_wide(queries),
        wide_size=_wide(size),
        wide_value_size=_wide(value_size),
        block=block,
        splits=splits,
        num_warps=4,
    )
    if splits > 1:
        join_parts[(texts * heads, queries)](
            parts, sums, out, value_size=value_size, queries=queries, wide_value_size=_wide(value_size), splits=splits
        )
    return out


def written_out(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    slots: torch.Tensor,
    lengths: torch.Tensor,
    *,
    scale: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """What `attend_each` computes, in fp64 and one text after the other."""
    found = []
    for asked, slot, length in zip(query.double(), slots.tolist(), lengths.tolist(), strict=True):
        first = max(0, length - window) if window else 0
        scores = asked @ keys[slot, :, first:length].double().transpose(1, 2) * scale
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        found.append(scores.softmax(-1) @ values[slot, :, first:length].double())
    return torch.stack(found)


def distance(
    dtype: torch.dtype,
    device: torch.device,
    *,
    queries: int,
    size: int,
    value_size: int,
    softcap: float | None,
    window: int | None,
) -> float:
    """The greatest difference of `attend_each` from what it should be, over texts about the ends of blocks, in any parts."""
    chance = torch.Generator().manual_seed(0)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=chance).to(device, dtype)

    keys, values = (
        some(len(LENGTHS) + 1, 2, max(LENGTHS) + 7, size),
        some(len(LENGTHS) + 1, 2, max(LENGTHS) + 7, value_size),
    )
    slots = torch.randperm(len(LENGTHS) + 1, generator=chance)[1:].to(device)
    lengths = torch.tensor(LENGTHS, device=device)
    for slot, length in zip(slots.tolist(), LENGTHS, strict=True):
        for block in (keys, values):
            block[slot, :, length:] = 1e4  # what lies behind a text must not be seen
    query = some(len(LENGTHS), 2, queries, size)
    given: dict[str, Any] = {"scale": size**-0.5, "softcap": softcap, "window": window}
    expected = written_out(query, keys, values, slots, lengths, **given)
    found = [
        attend_each(query, keys, values, slots, lengths, reach=max(LENGTHS), splits=splits, **given)
        for splits in (1, 8, None)
    ]
    return max(float((one.double() - expected).abs().max() / expected.std()) for one in found)


@cache
def _agrees(
    device: torch.device, dtype: torch.dtype, queries: int, size: int, value_size: int, capped: bool, windowed: bool
) -> bool:
    if find_spec("triton") is None:
        return False
    try:
        apart = distance(
            dtype,
            device,
            queries=queries,
            size=size,
            value_size=value_size,
            softcap=5.0 if capped else None,
            window=50 if windowed else None,
        )
    except Exception as error:  # noqa: BLE001 - compilers fail in many ways, and the products are always there
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
    else:
        if apart <= FORMATS[dtype]:
            return True
        reason = f"its results are off by {apart:.2g} of their spread"
    logger().warning("attention.refused", reason=reason)
    return False


def _splits(pairs: int, reach: int, block: int, device: torch.device) -> int:
    """Parts, such that each multiprocessor has a few of them and each part a few blocks."""
    splits = 1
    while splits < MOST_SPLITS and pairs * splits < 4 * _processors(device) and 4 * splits * block <= reach:
        splits *= 2
    return splits


@cache
def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 8


def _wide(size: int) -> int:
    return max(16, 1 << (size - 1).bit_length())
