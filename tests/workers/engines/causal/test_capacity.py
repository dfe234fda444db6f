"""Shows workers/engines/causal/capacity.py: slots grow to fit the waiting sequences, if memory allows."""

from jobs.generation import GenerationRequest, Prompt, SamplingParams
from workers.engines.causal.capacity import Capacity
from workers.engines.causal.runtime.kv_cache import SlotCache
from workers.engines.causal.scheduler import Scheduler
from workers.engines.causal.sequences import TokenSequence


def sequence(tokens: int) -> TokenSequence:
    params = SamplingParams(max_tokens=tokens, seed=1)
    return TokenSequence(GenerationRequest(str(tokens), Prompt(text="x", params=params)), [1])


def fitted(tokens: int, *waiting: int) -> tuple[int, int]:
    """Return the number and the length of the slots for these waiting sequences. Memory holds `tokens` tokens, and there are at
    most 4 slots.
    """
    cache, scheduler = SlotCache(1, 4, 0), Scheduler(4, 64)
    scheduler.waiting.extend(sequence(needed) for needed in waiting)
    capacity = Capacity(cache, scheduler, slots=4, cache_bytes=tokens, token_bytes=1, context=None)
    capacity.fit()
    return scheduler.slots, cache.length


def test_slots_grow_at_once_for_the_longest_waiting_sequence() -> None:
    assert fitted(100_000, 10, 900, 30) == (4, 1024)


def test_slots_grow_for_a_long_sequence_only_at_its_turn_if_that_costs_slots() -> None:
    assert fitted(2_000, 10, 900, 30) == (4, 256)
    assert fitted(2_000, 900, 10, 30) == (2, 960)
