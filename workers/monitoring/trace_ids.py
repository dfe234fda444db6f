"""The ids of traces of rows, and which rows are traced.

Both follow from the batch, the row and the round alone. So every process that works on a row, on whichever node, adds its spans
to the same trace, and all of them agree on whether the row is traced, without a word to each other.
"""

import hashlib
from typing import Final

BOUND: Final = 1 << 64
"""The lower 64 bits of a trace's id are below this. A row is traced if they are below its share of it, as OpenTelemetry's sampler
`TraceIdRatioBased` decides, so that collectors that sample by ratio agree too.
"""


def trace_id(batch_id: str, row: int, round_: int) -> int:
    """Return the id of the trace of one row in one round: 128 bits, not 0."""
    digest = hashlib.blake2b(f"{batch_id}/{row}/{round_}".encode(), digest_size=16).digest()
    return int.from_bytes(digest, "big") or 1


def root_span_id(trace: int) -> int:
    """Return the id of the span of the row itself, under which all others stand: 64 bits, not 0."""
    return int.from_bytes(hashlib.blake2b(trace.to_bytes(16, "big"), digest_size=8).digest(), "big") or 1


def is_traced(trace: int, share: float) -> bool:
    """Whether a trace with this id is among this share of all rows, from 0 to 1."""
    return trace & (BOUND - 1) < round(share * BOUND)
