"""`workers/engines/causal/capacity.py`: the cache becomes as long as the line needs it, once, where memory allows."""

from jobs.generation import GenerationRequest, Prompt, SamplingParams
from workers.engines.causal.capacity import Capacity
from workers.engines.causal.runtime.kv_cache import SlotCache
from workers.engines.causal.scheduler import Scheduler
from workers.engines.causal.sequences import TokenSequence


def sequence(tokens: int) -> TokenSequence:
    params = SamplingParams(max_tokens=tokens, seed=1)
    return TokenSequence(GenerationRequest(str(tokens), Prompt(text="x", params=params)), [1])


def fitted(tokens: int, *line: int) -> tuple[int, int]:
    """Slots and length after the first look at a line of texts, with memory for so many tokens and at most 4 slots."""
    cache, scheduler = SlotCache(1, 4, 0), Scheduler(4, 64)
    scheduler.waiting.extend(sequence(needs) for needs in line)
    capacity = Capacity(cache, scheduler, slots=4, cache_bytes=tokens, token_bytes=1, context=None)
    capacity.fit()
    return scheduler.slots, cache.length


def test_the_longest_of_the_line_is_thought_of_at_once() -> None:
    assert fitted(100_000, 10, 900, 30) == (4, 1024)


def test_a_long_one_that_would_cost_slots_waits_for_its_turn() -> None:
    assert fitted(2_000, 10, 900, 30) == (4, 256)
    assert fitted(2_000, 900, 10, 30) == (2, 960)
