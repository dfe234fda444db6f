"""How many slots of how many tokens the cache has: as the texts need, and as memory allows.

All slots are equally long. They grow with the longest text; where memory then holds fewer of them, that text waits until so
many run only, and afterwards they become short again.
"""

from typing import Final

from jobs.generation import Fault
from workers.engines.causal.runtime.kv_cache import SlotCache
from workers.engines.causal.scheduler import Scheduler
from workers.engines.causal.sequences import Text

SHORTEST: Final = 256
STEP: Final = 64
"""Lengths are multiples of it."""


class Capacity:
    """The sizes of one cache, and of the scheduler that fills it.

    Args:
        cache: Its slots and length are kept right here.
        scheduler: Its slots, too.
        slots: How many there are at most.
        cache_bytes: How much memory they may take.
        token_bytes: How much a token takes.
        context: How many tokens a text can have; None where nothing says.
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
        self._most_slots = slots
        self._most_tokens = max(cache_bytes // token_bytes, 1)
        self._context = context

    def fit(self) -> list[tuple[Text, Fault]]:
        """Make the cache as the next of the line needs it. Returns those who can never fit, taken out of the line."""
        line = self._scheduler.waiting
        faults = []
        for text in [text for text in line if text.needs > self._most_tokens]:
            line.remove(text)
            sizes = f"needs {text.needs} tokens of cache, and there is memory for {self._most_tokens}"
            faults.append((text, Fault("out_of_memory", f"The request {sizes}: lower max_tokens.")))
        if line:
            self._fit(line[0])
        return faults

    def shrink(self, slots: int) -> None:
        """Memory was short: begin anew with fewer slots, and never have more."""
        self._most_slots = slots
        self._cache.clear(slots, 0)

    def _fit(self, head: Text) -> None:
        running = self._scheduler.running
        needed = max([head.needs, *(text.needs for text in running)])
        length = self._cache.length
        if needed > length or (self._scheduler.slots < self._most_slots and self._length_for(needed) <= length // 2):
            new = self._length_for(needed)
        else:
            return
        longest = self._length_for(max(text.needs for text in self._scheduler.waiting))
        if longest * self._most_slots <= self._most_tokens:
            new = max(new, longest)  # growing twice would move all that is held twice
        slots = min(self._most_slots, self._most_tokens // new)
        if len(running) > slots:
            return
        self._scheduler.put_back(self._scheduler.resize(slots, new))
        if running:
            self._cache.resize(slots, new)
        else:
            self._scheduler.forget()
            self._cache.clear(slots, new)

    def _length_for(self, tokens: int) -> int:
        """A length with some room to grow, if all slots can have it; else what is needed."""
        wanted = SHORTEST
        while wanted < tokens:
            wanted *= 2
        wanted = min(wanted, max(self._context or wanted, tokens))
        if wanted * self._most_slots <= self._most_tokens:
            return wanted
        return min(-(-tokens // STEP) * STEP, self._most_tokens)
