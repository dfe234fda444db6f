"""The Triton kernels of decode attention. Triton comes with torch's builds for CUDA. This module is imported only if Triton is
installed.

The tokens of a sequence are split into parts as in Flash-Decoding (Dao et al. 2023), so that even few sequences keep a GPU busy.
Sums are in float32.
"""
# Triton evaluates annotations, so this module uses only Triton's own annotations.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl


@triton.jit
def attend_part(
    query,
    keys,
    values,
    slots,
    lengths,
    out,
    sums,
    scale,
    softcap,
    window,
    key_slot,
    key_head,
    key_token,
    value_slot,
    value_head,
    value_token,
    capped: tl.constexpr,
    windowed: tl.constexpr,
    queries: tl.constexpr,
    size: tl.constexpr,
    value_size: tl.constexpr,
    padded_queries: tl.constexpr,
    padded_size: tl.constexpr,
    padded_value_size: tl.constexpr,
    block: tl.constexpr,
    splits: tl.constexpr,
):
    """Compute the attention of one KV head's queries to one part of one sequence's tokens.

    The grid is [sequences, KV heads, splits]. Padded sizes are powers of two, at least 16. `out` is [sequences, KV heads, splits,
    queries, value size]. `sums` holds the logarithms of the sums of exponentials, [sequences, KV heads, splits, queries].
    """
    sequence, head, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    slot = tl.load(slots + sequence)
    length = tl.load(lengths + sequence).to(tl.int32)
    rows, columns = tl.arange(0, padded_queries), tl.arange(0, padded_size)
    value_columns, step = tl.arange(0, padded_value_size), tl.arange(0, block)
    row_start = (sequence * tl.num_programs(1) + head) * queries
    query_block = tl.load(
        query + (row_start + rows[:, None]) * size + columns[None, :],
        mask=(rows[:, None] < queries) & (columns[None, :] < size),
        other=0.0,
    )
    first = tl.maximum(length - window, 0) if windowed else 0
    blocks = tl.cdiv(length, block) - first // block
    part_blocks = tl.cdiv(blocks, splits)
    start = (first // block + part * part_blocks) * block
    end = tl.minimum(start + part_blocks * block, length)
    highest = tl.full([padded_queries], float("-inf"), tl.float32)
    total = tl.zeros([padded_queries], tl.float32)
    output = tl.zeros([padded_queries, padded_value_size], tl.float32)
    key_base = keys + slot * key_slot + head * key_head
    value_base = values + slot * value_slot + head * value_head
    for block_start in range(start, end, block):
        positions = block_start + step
        visible = (positions < end) & (positions >= first)
        key = tl.load(
            key_base + positions[:, None] * key_token + columns[None, :],
            mask=(positions[:, None] < end) & (columns[None, :] < size),
            other=0.0,
        )
        scores = tl.dot(query_block, tl.trans(key), input_precision="ieee") * scale
        if capped:
            scores = softcap * (1 - 2 / (tl.exp(2 * scores / softcap) + 1))
        scores = tl.where(visible[None, :], scores, float("-inf"))
        new_highest = tl.maximum(highest, tl.max(scores, 1))
        weights = tl.exp(scores - new_highest[:, None])
        decay = tl.exp(highest - new_highest)
        value = tl.load(
            value_base + positions[:, None] * value_token + value_columns[None, :],
            mask=(positions[:, None] < end) & (value_columns[None, :] < value_size),
            other=0.0,
        )
        output = output * decay[:, None] + tl.dot(weights.to(value.dtype), value, input_precision="ieee")
        total = total * decay + tl.sum(weights, 1)
        highest = new_highest
    any_seen = total > 0
    output = output / tl.where(any_seen, total, 1.0)[:, None]
    row_start = ((sequence * tl.num_programs(1) + head) * splits + part) * queries
    tl.store(
        out + (row_start + rows[:, None]) * value_size + value_columns[None, :],
        output.to(out.dtype.element_ty),
        mask=(rows[:, None] < queries) & (value_columns[None, :] < value_size),
    )
    if splits > 1:
        logs = tl.where(any_seen, highest + tl.log(tl.where(any_seen, total, 1.0)), float("-inf"))
        tl.store(sums + row_start + rows, logs, mask=rows < queries)


@triton.jit
def join_parts(
    parts,
    sums,
    out,
    value_size: tl.constexpr,
    queries: tl.constexpr,
    padded_value_size: tl.constexpr,
    splits: tl.constexpr,
):
    """Combine the parts of one query. The grid is [sequences * KV heads, queries]. `splits` is a power of two."""
    pair, row = tl.program_id(0), tl.program_id(1)
    columns, part = tl.arange(0, padded_value_size), tl.arange(0, splits)
    row_start = (pair * splits + part) * queries + row
    logs = tl.load(sums + row_start)
    weights = tl.exp(logs - tl.max(logs, 0))
    output = tl.load(
        parts + row_start[:, None] * value_size + columns[None, :], mask=columns[None, :] < value_size, other=0.0
    )
    joined = tl.sum(output * weights[:, None], 0) / tl.sum(weights, 0)
    tl.store(
        out + (pair * queries + row) * value_size + columns,
        joined.to(out.dtype.element_ty),
        mask=columns < value_size,
    )
