"""The kernels of `gpu_attention`, in Triton, which comes with torch's builds for CUDA. Imported only where it is there.

Split over the tokens of a text as in Flash-Decoding (Dao et al. 2023), so that few texts fill a device too; sums are in fp32.
"""
# Triton reads annotations as values of its own, so that there are none but its own.
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
    wide_queries: tl.constexpr,
    wide_size: tl.constexpr,
    wide_value_size: tl.constexpr,
    block: tl.constexpr,
    splits: tl.constexpr,
):
    """Attend with the queries of one key head of one text to one part of its tokens.

    The grid is [texts, key heads, splits]; `wide` sizes are powers of two, of 16 at least. `out` is [texts, key heads, splits,
    queries, value size], and `sums`, the logarithms of the sums of the exponentials, [texts, key heads, splits, queries].
    """
    text, head, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    slot = tl.load(slots + text)
    length = tl.load(lengths + text).to(tl.int32)
    rows, columns = tl.arange(0, wide_queries), tl.arange(0, wide_size)
    value_columns, step = tl.arange(0, wide_value_size), tl.arange(0, block)
    at = (text * tl.num_programs(1) + head) * queries
    asked = tl.load(
        query + (at + rows[:, None]) * size + columns[None, :],
        mask=(rows[:, None] < queries) & (columns[None, :] < size),
        other=0.0,
    )
    first = tl.maximum(length - window, 0) if windowed else 0
    blocks = tl.cdiv(length, block) - first // block
    share = tl.cdiv(blocks, splits)
    begin = (first // block + part * share) * block
    end = tl.minimum(begin + share * block, length)
    most = tl.full([wide_queries], float("-inf"), tl.float32)
    total = tl.zeros([wide_queries], tl.float32)
    found = tl.zeros([wide_queries, wide_value_size], tl.float32)
    key_base = keys + slot * key_slot + head * key_head
    value_base = values + slot * value_slot + head * value_head
    for place in range(begin, end, block):
        places = place + step
        seen = (places < end) & (places >= first)
        key = tl.load(
            key_base + places[:, None] * key_token + columns[None, :],
            mask=(places[:, None] < end) & (columns[None, :] < size),
            other=0.0,
        )
        scores = tl.dot(asked, tl.trans(key), input_precision="ieee") * scale
        if capped:
            scores = softcap * (1 - 2 / (tl.exp(2 * scores / softcap) + 1))
        scores = tl.where(seen[None, :], scores, float("-inf"))
        now = tl.maximum(most, tl.max(scores, 1))
        weights = tl.exp(scores - now[:, None])
        faded = tl.exp(most - now)
        value = tl.load(
            value_base + places[:, None] * value_token + value_columns[None, :],
            mask=(places[:, None] < end) & (value_columns[None, :] < value_size),
            other=0.0,
        )
        found = found * faded[:, None] + tl.dot(weights.to(value.dtype), value, input_precision="ieee")
        total = total * faded + tl.sum(weights, 1)
        most = now
    some = total > 0
    found = found / tl.where(some, total, 1.0)[:, None]
    at = ((text * tl.num_programs(1) + head) * splits + part) * queries
    tl.store(
        out + (at + rows[:, None]) * value_size + value_columns[None, :],
        found.to(out.dtype.element_ty),
        mask=(rows[:, None] < queries) & (value_columns[None, :] < value_size),
    )
    if splits > 1:
        logs = tl.where(some, most + tl.log(tl.where(some, total, 1.0)), float("-inf"))
        tl.store(sums + at + rows, logs, mask=rows < queries)


@triton.jit
def join_parts(
    parts,
    sums,
    out,
    value_size: tl.constexpr,
    queries: tl.constexpr,
    wide_value_size: tl.constexpr,
    splits: tl.constexpr,
):
    """Put the parts of one query together. The grid is [texts * key heads, queries]; `splits` is a power of two."""
    pair, row = tl.program_id(0), tl.program_id(1)
    columns, part = tl.arange(0, wide_value_size), tl.arange(0, splits)
    at = (pair * splits + part) * queries + row
    logs = tl.load(sums + at)
    weights = tl.exp(logs - tl.max(logs, 0))
    found = tl.load(parts + at[:, None] * value_size + columns[None, :], mask=columns[None, :] < value_size, other=0.0)
    joined = tl.sum(found * weights[:, None], 0) / tl.sum(weights, 0)
    tl.store(
        out + (pair * queries + row) * value_size + columns,
        joined.to(out.dtype.element_ty),
        mask=columns < value_size,
    )
