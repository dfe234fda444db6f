"""Decode attention on a GPU: each sequence has one query, which attends to the filled part of its own slot of the KV cache.

Matrix products over all slots compute every sequence up to the length of the longest one. The loops of this kernel end at each
sequence's own length. The kernel reads this length on the device, so a recorded step (CUDA graph) serves sequences of any length
up to the step's maximum. A variant of the kernel (number format, head sizes, softcap, window) is used only if its results in a
trial on this device agree with `reference_attention`. If the variant does not compile or does not agree, this is logged once, and
matrix products are used instead.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import torch

from jobs.logs import logger

TOLERANCES: Final = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
"""For each number format that the cache may have: the largest error with which a trial succeeds, in standard deviations of the
exact results."""

MAX_SPLITS: Final = 32
"""The tokens of one sequence are split into at most this many parts, which are computed in parallel."""

MAX_HEAD_SIZE: Final = 256
"""The kernel takes heads of at most this size, and at most this many queries for each KV head. More do not fit into the shared
memory of a multiprocessor."""

TRIAL_LENGTHS: Final = (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 511, 512, 513, 600)
"""The lengths, in tokens, of the sequences of a trial. Most are at, or next to, the end of a block or a part, where errors are
likely."""


def is_supported(
    keys: torch.Tensor, values: torch.Tensor, queries: int, *, softcap: float | None, window: int | None
) -> bool:
    """Whether the kernel can compute this variant of attention on the cache's device, and did so accurately in a trial."""
    sizes = keys.shape[3], values.shape[3]
    if keys.device.type != "cuda" or keys.dtype not in TOLERANCES or max(*sizes, queries) > MAX_HEAD_SIZE:
        return False
    return _is_accurate(keys.device, keys.dtype, queries, *sizes, softcap is not None, window is not None)


def decode_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    slots: torch.Tensor,
    lengths: torch.Tensor,
    *,
    scale: float,
    max_length: int,
    softcap: float | None,
    window: int | None,
    splits: int | None = None,
) -> torch.Tensor:
    """Compute the attention of one query for each sequence.

    The function never waits for the device, so a CUDA graph can record it.

    Args:
        query: The queries [sequences, KV heads, queries a KV head, size].
        keys: The keys of the cache [slots, KV heads, length, size].
        values: The values of the cache [slots, KV heads, length, value size].
        slots: The slot of each sequence [sequences].
        lengths: How many tokens each query attends to, its own included [sequences]; at least 1.
        scale: The factor of the scores.
        max_length: An upper limit of the lengths. Only the speed depends on it.
        softcap: The scores are squashed into (-softcap, softcap) by tanh. None: the scores stay as they are.
        window: A query attends to at most this many of the last tokens, its own included. None: to all tokens.
        splits: The number of parts in which a sequence's tokens are computed in parallel, a power of two. None: as many as keep
            the device busy.

    Returns:
        The outputs [sequences, KV heads, queries a KV head, value size], in the format of the values.
    """
    from workers.engines.causal.kernels.gpu.triton_kernels import attend_part, join_parts

    sequences, kv_heads, queries, size = query.shape
    value_size = values.shape[3]
    # shared memory is small, so larger keys or values get smaller blocks
    block = 64 if max(size, value_size) * keys.element_size() <= 256 else 32
    if splits is None:
        splits = _splits(sequences * kv_heads, min(max_length, window or max_length), block, query.device)
    out = values.new_empty(sequences, kv_heads, queries, value_size)
    parts = (
        out if splits == 1 else query.new_empty(sequences, kv_heads, splits, queries, value_size, dtype=torch.float32)
    )
    sums = parts if splits == 1 else query.new_empty(sequences, kv_heads, splits, queries, dtype=torch.float32)
    attend_part[(sequences, kv_heads, splits)](
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
        padded_queries=_padded(queries),
        padded_size=_padded(size),
        padded_value_size=_padded(value_size),
        block=block,
        splits=splits,
        num_warps=4,
    )
    if splits > 1:
        join_parts[(sequences * kv_heads, queries)](
            parts,
            sums,
            out,
            value_size=value_size,
            queries=queries,
            padded_value_size=_padded(value_size),
            splits=splits,
        )
    return out


def reference_attention(
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
    """Compute the same as `decode_attention`, in float64 and one sequence after the other."""
    outputs = []
    for query_rows, slot, length in zip(query.double(), slots.tolist(), lengths.tolist(), strict=True):
        first = max(0, length - window) if window else 0
        scores = query_rows @ keys[slot, :, first:length].double().transpose(1, 2) * scale
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        outputs.append(scores.softmax(-1) @ values[slot, :, first:length].double())
    return torch.stack(outputs)


def max_error(
    dtype: torch.dtype,
    device: torch.device,
    *,
    queries: int,
    size: int,
    value_size: int,
    softcap: float | None,
    window: int | None,
) -> float:
    """Return the largest error of `decode_attention` on random numbers, in standard deviations of the exact results.

    The sequences have the lengths `TRIAL_LENGTHS`. All are computed three times, in different numbers of parts.
    """
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    keys, values = (
        random(len(TRIAL_LENGTHS) + 1, 2, max(TRIAL_LENGTHS) + 7, size),
        random(len(TRIAL_LENGTHS) + 1, 2, max(TRIAL_LENGTHS) + 7, value_size),
    )
    slots = torch.randperm(len(TRIAL_LENGTHS) + 1, generator=generator)[1:].to(device)
    lengths = torch.tensor(TRIAL_LENGTHS, device=device)
    for slot, length in zip(slots.tolist(), TRIAL_LENGTHS, strict=True):
        for block in (keys, values):
            # fill the cache after the sequence's end with huge values: the trial fails if the kernel reads them
            block[slot, :, length:] = 1e4
    query = random(len(TRIAL_LENGTHS), 2, queries, size)
    options: dict[str, Any] = {"scale": size**-0.5, "softcap": softcap, "window": window}
    expected = reference_attention(query, keys, values, slots, lengths, **options)
    outputs = [
        decode_attention(query, keys, values, slots, lengths, max_length=max(TRIAL_LENGTHS), splits=splits, **options)
        for splits in (1, 8, None)
    ]
    return max(float((one.double() - expected).abs().max() / expected.std()) for one in outputs)


@cache
def _is_accurate(
    device: torch.device, dtype: torch.dtype, queries: int, size: int, value_size: int, capped: bool, windowed: bool
) -> bool:
    if find_spec("triton") is None:
        return False
    try:
        error_size = max_error(
            dtype,
            device,
            queries=queries,
            size=size,
            value_size=value_size,
            softcap=5.0 if capped else None,
            window=50 if windowed else None,
        )
    except Exception as error:  # noqa: BLE001 - compilers fail in many ways, and matrix products always work
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
    else:
        if error_size <= TOLERANCES[dtype]:
            return True
        reason = f"its results are off by {error_size:.2g} of their standard deviation"
    logger().warning("attention.refused", reason=reason)
    return False


def _splits(pairs: int, max_length: int, block: int, device: torch.device) -> int:
    """Return the number of parts to split each sequence into.

    Each multiprocessor should get a few parts, and each part a few blocks of tokens.
    """
    splits = 1
    while splits < MAX_SPLITS and pairs * splits < 4 * _processors(device) and 4 * splits * block <= max_length:
        splits *= 2
    return splits


@cache
def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 8


def _padded(size: int) -> int:
    return max(16, 1 << (size - 1).bit_length())
