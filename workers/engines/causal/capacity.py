"""Sets the number and the length of the KV cache's slots, by what sequences need and what memory allows.

All slots have the same length. They grow to fit the first waiting sequence. If memory has room for fewer slots of that length,
the sequence waits until no more slots than those are in use. Slots shrink again once short sequences need only half their length.
"""

from typing import Final

from jobs.generation import Fault
from workers.engines.causal.runtime.kv_cache import SlotCache
from workers.engines.causal.scheduler import Scheduler
from workers.engines.causal.sequences import TokenSequence

MIN_LENGTH: Final = 256
"""The shortest length of a slot, in tokens. Longer slots double it, once or more, if all slots then fit into memory."""

LENGTH_STEP: Final = 64
"""If doubled slots do not all fit into memory, slots are as long as needed, rounded up to a multiple of this many tokens."""


class Capacity:
    """Sets the number and the length of the slots of a cache and of its scheduler.

    Args:
        cache: The cache, whose slots and length are set here.
        scheduler: The scheduler, whose slots are set here too.
        slots: The largest number of slots.
        cache_bytes: The memory that the cache may take, in bytes.
        token_bytes: The memory that one token of one slot takes, in bytes.
        context: The largest number of tokens of a sequence; None if the model names no limit.
    """

    def __init__(
        self,
        cache: SlotCache,
        scheduler: Scheduler,
        *,
        slots: int,
        cache_bytes: int,
        token_bytes: int,
        context: int | None,
    ) -> None:
        self._cache = cache
        self._scheduler = scheduler
        self._max_slots = slots
        self._max_tokens = max(cache_bytes // token_bytes, 1)
        self._context = context

    def fit(self) -> list[tuple[TokenSequence, Fault]]:
        """Resize the cache for the first waiting sequence. Removes those that never fit, and returns them with their faults."""
        waiting = self._scheduler.waiting
        faults = []
        for sequence in [sequence for sequence in waiting if sequence.needed_length > self._max_tokens]:
            waiting.remove(sequence)
            sizes = f"needs {sequence.needed_length} tokens of cache, and there is memory for {self._max_tokens}"
            faults.append((sequence, Fault("out_of_memory", f"The request {sizes}: lower max_tokens.")))
        if waiting:
            self._fit(waiting[0])
        return faults

    def shrink(self, slots: int) -> None:
        """Clear the cache because memory ran out, and allow no more than this many slots from now on."""
        self._max_slots = slots
        self._cache.clear(slots, 0)

    def _fit(self, first: TokenSequence) -> None:
        running = self._scheduler.running
        needed = max([first.needed_length, *(sequence.needed_length for sequence in running)])
        length = self._cache.length
        if needed > length or (self._scheduler.slots < self._max_slots and self._length_for(needed) <= length // 2):
            new = self._length_for(needed)
        else:
            return
        longest = self._length_for(max(sequence.needed_length for sequence in self._scheduler.waiting))
        if longest * self._max_slots <= self._max_tokens:
            new = max(new, longest)  # growing twice would copy the whole cache twice
        slots = min(self._max_slots, self._max_tokens // new)
        if len(running) > slots:
            return
        self._scheduler.preempt(self._scheduler.resize(slots, new))
        if running:
            self._cache.resize(slots, new)
        else:
            self._scheduler.clear()
            self._cache.clear(slots, new)

    def _length_for(self, tokens: int) -> int:
        """Return a slot length for this many tokens: with room to grow if all slots can have it, else just rounded up."""
        length = MIN_LENGTH
        while length < tokens:
            length *= 2
        length = min(length, max(self._context or length, tokens))
        if length * self._max_slots <= self._max_tokens:
            return length
        return min(-(-tokens // LENGTH_STEP) * LENGTH_STEP, self._max_tokens)
