"""Sets the number and the length of the KV cache's slots, by the length that sequences need and the memory that is free.

All slots have the same length. They become longer if the first waiting sequence needs that. If memory has room for fewer slots
of the new length than there are running sequences, the waiting sequence waits until enough of them have ended. If half the
length of the slots is enough for all running sequences and the first waiting one, slots become shorter, so that there can be
more slots.
"""

from typing import Final

from jobs.generation import Fault
from workers.engines.causal.runtime.kv_cache import SlotCache
from workers.engines.causal.scheduler import Scheduler
from workers.engines.causal.sequences import TokenSequence

MIN_LENGTH: Final = 256
"""The shortest length of a slot, in tokens. It is doubled until the first waiting sequence fits, but does not grow beyond the
model's context. If memory has no room for all slots of that length, the length follows from `LENGTH_STEP`.
"""

LENGTH_STEP: Final = 64
"""A number of tokens. If memory has no room for all slots at the length that `MIN_LENGTH` gives, slots are only as long as the
sequence needs, rounded up to a multiple of LENGTH_STEP.
"""


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
        """Resize the cache if the first waiting sequence needs that.

        Waiting sequences that need more tokens than all the memory holds are removed. They are returned with their faults.
        """
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
        """Clear the cache because memory ran out. From now on there are at most `slots` slots."""
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
            # The longest waiting sequence counts too, so that the cache is not copied a second time for it.
            new = max(new, longest)
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
        """Return the length of slots that have room for this many tokens each (`MIN_LENGTH`, `LENGTH_STEP`)."""
        length = MIN_LENGTH
        while length < tokens:
            length *= 2
        length = min(length, max(self._context or length, tokens))
        if length * self._max_slots <= self._max_tokens:
            return length
        return min(-(-tokens // LENGTH_STEP) * LENGTH_STEP, self._max_tokens)
