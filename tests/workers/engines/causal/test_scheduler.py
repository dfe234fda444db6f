"""Shows workers/engines/causal/scheduler.py: which sequences run, what a step computes, and prefix sharing."""

from collections.abc import Sequence

import pytest

from jobs.generation import GenerationRequest, Prompt, SamplingParams
from workers.engines.causal.scheduler import MAX_GATHER_STEPS, PrefixCopy, Scheduler
from workers.engines.causal.sequences import TokenSequence

LENGTH = 100
TEMPLATE = list(range(20))


def sequence(prompt: Sequence[int], name: str = "t", max_tokens: int = 5, adapter: str | None = None) -> TokenSequence:
    params = SamplingParams(max_tokens=max_tokens, seed=1)
    return TokenSequence(GenerationRequest(name, Prompt(text="x", params=params, adapter=adapter)), list(prompt))


def wait(scheduler: Scheduler, *sequences: TokenSequence) -> None:
    scheduler.waiting.extend(sequences)


def step(scheduler: Scheduler, length: int = LENGTH) -> tuple[list[PrefixCopy], list[tuple[int, int, int, int]]]:
    """Make one step without a model: every sampled token is 99. Returns the copies, and slot, start, size and samples of each
    span.
    """
    copies = scheduler.admit(length)
    spans = scheduler.schedule()
    scheduler.mark_computed(spans)
    for span in spans:
        if span.samples:
            span.sequence.output.append(99)
    return copies, [(span.sequence.slot, span.start, span.size, span.samples) for span in spans]


def test_a_prompt_is_prefilled_and_then_decoded_token_by_token() -> None:
    scheduler = Scheduler(2, 64)
    wait(scheduler, sequence([1, 2, 3]))
    assert step(scheduler) == ([], [(0, 0, 3, 1)])
    assert step(scheduler) == ([], [(0, 3, 1, 1)])
    assert step(scheduler) == ([], [(0, 4, 1, 1)])


def test_decodes_come_first_and_prefills_get_the_rest_of_the_budget() -> None:
    scheduler = Scheduler(3, 8)
    wait(scheduler, sequence([1, 2]), sequence(range(40, 50)), sequence(range(60, 70)))
    assert step(scheduler)[1] == [(0, 0, 2, 1), (1, 0, 6, 0)]
    assert step(scheduler)[1] == [(0, 2, 1, 1), (2, 0, 3, 0), (1, 6, 4, 1)]  # short chunks first
    assert step(scheduler)[1] == [(0, 3, 1, 1), (1, 10, 1, 1), (2, 3, 6, 0)]


def test_prompts_are_admitted_together_if_prefill_steps_are_expensive() -> None:
    """Waiting sequences are admitted when enough slots are free, or a slot for each of them. They wait for 32 steps at most.
    They do not wait if no sequence runs, or if a prompt is in its prefill.
    """
    scheduler = Scheduler(6, 64, admit_together=3)
    first = [sequence([n], max_tokens=80) for n in range(9)]
    wait(scheduler, *first)
    step(scheduler)
    assert len(scheduler.running) == 6, "none was running"
    scheduler.finish(first[0])
    scheduler.finish(first[1])
    step(scheduler)
    assert len(scheduler.running) == 4
    scheduler.finish(first[2])
    step(scheduler)
    assert len(scheduler.running) == 6
    assert not scheduler.waiting
    scheduler.finish(first[3])
    wait(scheduler, sequence([20]))
    step(scheduler)
    assert len(scheduler.running) == 6, "there was a slot for every waiting sequence"
    wait(scheduler, sequence([21]), sequence([22]), sequence([23]))
    scheduler.finish(first[4])
    waited = 0
    while len(scheduler.running) == 5:
        step(scheduler)
        waited += 1
    assert waited == MAX_GATHER_STEPS + 1
    scheduler = Scheduler(4, 4, admit_together=2)
    wait(scheduler, long := sequence(range(12)), *(sequence([n]) for n in range(30, 36)))
    step(scheduler)
    scheduler.finish(next(one for one in scheduler.running if one is not long))
    step(scheduler)
    assert len(scheduler.running) == 4, "another prompt was in prefill"


def test_a_slot_that_becomes_free_is_used_in_the_next_step() -> None:
    scheduler = Scheduler(1, 64)
    first, second = sequence([1]), sequence([2])
    wait(scheduler, first, second)
    step(scheduler)
    assert scheduler.running == [first]
    scheduler.finish(first)
    step(scheduler)
    assert scheduler.running == [second]


def test_no_sequence_overtakes_one_that_is_too_long_for_the_cache() -> None:
    scheduler = Scheduler(2, 64)
    wait(scheduler, sequence([1], max_tokens=LENGTH + 1), sequence([2]))
    assert step(scheduler) == ([], [])


def test_a_common_prefix_is_computed_once() -> None:
    """The other sequences wait for the sequence that computes the prefix, and copy it in the next step."""
    scheduler = Scheduler(3, 64)
    wait(scheduler, sequence([*TEMPLATE, 50, 51]), sequence([*TEMPLATE, 60]), sequence([*TEMPLATE, 50, 70]))
    assert step(scheduler) == ([], [(0, 0, 22, 1)])
    copies, spans = step(scheduler)
    assert copies == [PrefixCopy(0, 1, 20), PrefixCopy(0, 2, 21)]
    assert spans == [(0, 22, 1, 1), (1, 20, 1, 1), (2, 21, 1, 1)]
    assert [one.shared_prefix for one in scheduler.running] == [0, 20, 21]


def test_a_prefix_is_kept_after_its_sequence_has_ended() -> None:
    scheduler = Scheduler(2, 64)
    first, other = sequence([*TEMPLATE, 50]), sequence([7, 7, 7])
    wait(scheduler, first, other)
    step(scheduler)
    scheduler.finish(other)
    scheduler.finish(first)
    wait(scheduler, sequence([8, 8]), sequence([*TEMPLATE, 60]))
    assert step(scheduler) == ([], [(0, 20, 1, 1), (1, 0, 2, 1)])


def test_a_sequence_gets_the_free_slot_that_holds_its_prefix() -> None:
    scheduler = Scheduler(2, 64)
    first = sequence([*TEMPLATE, 50])
    wait(scheduler, first)
    step(scheduler)
    scheduler.finish(first)
    wait(scheduler, sequence([*TEMPLATE, 60]))
    assert step(scheduler) == ([], [(0, 20, 1, 1)])


def test_the_last_token_of_a_held_prompt_is_computed_for_its_logits() -> None:
    scheduler = Scheduler(1, 64)
    first = sequence(TEMPLATE)
    wait(scheduler, first)
    step(scheduler)
    scheduler.finish(first)
    again = sequence(TEMPLATE)
    wait(scheduler, again)
    assert step(scheduler) == ([], [(0, 19, 1, 1)])
    assert again.shared_prefix == 19


def test_the_slot_that_was_free_for_longest_is_used_first() -> None:
    scheduler = Scheduler(3, 64)
    sequences = [sequence([n] * 9) for n in range(3)]
    wait(scheduler, *sequences)
    step(scheduler)
    for place in (1, 0, 2):
        scheduler.finish(sequences[place])
    wait(scheduler, sequence([77] * 9))
    assert step(scheduler)[1] == [(1, 0, 9, 1)]


@pytest.mark.parametrize(
    ("prefix_sharing", "adapter"),
    [pytest.param(False, None, id="switched off"), pytest.param(True, "brand", id="of another adapter")],
)
def test_no_prefix_is_shared(prefix_sharing: bool, adapter: str | None) -> None:
    scheduler = Scheduler(2, 64, prefix_sharing=prefix_sharing)
    wait(scheduler, sequence(TEMPLATE), sequence(TEMPLATE, adapter=adapter))
    assert step(scheduler) == ([], [(0, 0, 20, 1), (1, 0, 20, 1)])


def test_the_slot_of_a_failed_sequence_shares_nothing() -> None:
    scheduler = Scheduler(1, 64)
    first = sequence(TEMPLATE)
    wait(scheduler, first)
    step(scheduler)
    scheduler.fail(first)
    wait(scheduler, sequence(TEMPLATE))
    assert step(scheduler) == ([], [(0, 0, 20, 1)])


def test_preempted_sequences_come_next_and_go_on_where_they_were() -> None:
    scheduler = Scheduler(3, 64)
    sequences = [sequence([n, n]) for n in range(3)]
    wait(scheduler, *sequences, sequence([9]))
    step(scheduler)
    scheduler.preempt(scheduler.resize(1, LENGTH))
    assert [one.prompt[0] for one in scheduler.waiting] == [1, 2, 9]
    scheduler.finish(sequences[0])
    assert step(scheduler)[1] == [(0, 0, 3, 1)], "its prompt and the token of its output"


def test_a_shorter_cache_forgets_the_tokens_behind_its_end() -> None:
    scheduler = Scheduler(1, 64)
    first = sequence(TEMPLATE)
    wait(scheduler, first)
    step(scheduler)
    scheduler.finish(first)
    scheduler.resize(1, 12)
    wait(scheduler, sequence(TEMPLATE))
    assert step(scheduler) == ([], [(0, 12, 8, 1)])


@pytest.mark.parametrize("shared", [0, 1, 7, 8, 9, 19, 20])
def test_exactly_the_common_prefix_is_copied(shared: int) -> None:
    scheduler = Scheduler(2, 64)
    wait(scheduler, sequence(TEMPLATE))
    step(scheduler)
    wait(scheduler, sequence([*TEMPLATE[:shared], 77, 78, 79]))
    copies, _ = step(scheduler)
    assert copies == ([PrefixCopy(0, 1, shared)] if shared else [])
