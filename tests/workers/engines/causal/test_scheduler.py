"""Shows workers/engines/causal/scheduler.py: slots, chunks, and prefixes that are read once."""

from collections.abc import Sequence

import pytest

from jobs.generation import GenerationRequest, Prompt, SamplingParams
from workers.engines.causal.scheduler import LONGEST_GATHERED, Copy, Scheduler
from workers.engines.causal.sequences import Text

LENGTH = 100
TEMPLATE = list(range(20))


def text(prompt: Sequence[int], name: str = "t", max_tokens: int = 5, adapter: str | None = None) -> Text:
    params = SamplingParams(max_tokens=max_tokens, seed=1)
    return Text(GenerationRequest(name, Prompt(text="x", params=params, adapter=adapter)), list(prompt))


def line(scheduler: Scheduler, *texts: Text) -> None:
    scheduler.waiting.extend(texts)


def step(scheduler: Scheduler, length: int = LENGTH) -> tuple[list[Copy], list[tuple[int, int, int, int]]]:
    """One step without a model: each text whose turn it is gets token 99. Returns what was copied and computed."""
    copies = scheduler.admit(length)
    pieces = scheduler.pieces()
    scheduler.computed(pieces)
    for piece in pieces:
        if piece.last:
            piece.text.written.append(99)
    return copies, [(piece.text.slot, piece.start, piece.size, piece.last) for piece in pieces]


def test_a_prompt_is_read_and_then_written_on_token_by_token() -> None:
    scheduler = Scheduler(2, 64)
    line(scheduler, text([1, 2, 3]))
    assert step(scheduler) == ([], [(0, 0, 3, True)])
    assert step(scheduler) == ([], [(0, 3, 1, True)])
    assert step(scheduler) == ([], [(0, 4, 1, True)])


def test_texts_that_are_written_come_first_and_prompts_share_what_is_left() -> None:
    scheduler = Scheduler(3, 8)
    line(scheduler, text([1, 2]), text(range(40, 50)), text(range(60, 70)))
    assert step(scheduler)[1] == [(0, 0, 2, True), (1, 0, 6, False)]
    assert step(scheduler)[1] == [(0, 2, 1, True), (2, 0, 3, False), (1, 6, 4, True)]  # short pieces of prompts first
    assert step(scheduler)[1] == [(0, 3, 1, True), (1, 10, 1, True), (2, 3, 6, False)]


def test_prompts_are_gathered_where_a_step_that_reads_them_is_dear() -> None:
    """Until so many slots are free, or as many as wait; for 32 steps at most, and never while nobody runs or one is read."""
    scheduler = Scheduler(6, 64, together=3)
    first = [text([n], max_tokens=80) for n in range(9)]
    line(scheduler, *first)
    step(scheduler)
    assert len(scheduler.running) == 6, "nobody ran"
    scheduler.leave(first[0])
    scheduler.leave(first[1])
    step(scheduler)
    assert len(scheduler.running) == 4
    scheduler.leave(first[2])
    step(scheduler)
    assert len(scheduler.running) == 6
    assert not scheduler.waiting
    scheduler.leave(first[3])
    line(scheduler, text([20]))
    step(scheduler)
    assert len(scheduler.running) == 6, "there was a slot for all who waited"
    line(scheduler, text([21]), text([22]), text([23]))
    scheduler.leave(first[4])
    waited = 0
    while len(scheduler.running) == 5:
        step(scheduler)
        waited += 1
    assert waited == LONGEST_GATHERED + 1
    scheduler = Scheduler(4, 4, together=2)
    line(scheduler, long := text(range(12)), *(text([n]) for n in range(30, 36)))
    step(scheduler)
    scheduler.leave(next(one for one in scheduler.running if one is not long))
    step(scheduler)
    assert len(scheduler.running) == 4, "a prompt was read beside"


def test_a_slot_that_becomes_free_is_used_in_the_next_step() -> None:
    scheduler = Scheduler(1, 64)
    first, second = text([1]), text([2])
    line(scheduler, first, second)
    step(scheduler)
    assert scheduler.running == [first]
    scheduler.leave(first)
    step(scheduler)
    assert scheduler.running == [second]


def test_the_line_keeps_its_order_behind_a_text_that_is_too_long_for_the_cache() -> None:
    scheduler = Scheduler(2, 64)
    line(scheduler, text([1], max_tokens=LENGTH + 1), text([2]))
    assert step(scheduler) == ([], [])


def test_a_common_prefix_is_read_once() -> None:
    """The others wait for the one that reads it, and take it over in the next step."""
    scheduler = Scheduler(3, 64)
    line(scheduler, text([*TEMPLATE, 50, 51]), text([*TEMPLATE, 60]), text([*TEMPLATE, 50, 70]))
    assert step(scheduler) == ([], [(0, 0, 22, True)])
    copies, pieces = step(scheduler)
    assert copies == [Copy(0, 1, 20), Copy(0, 2, 21)]
    assert pieces == [(0, 22, 1, True), (1, 20, 1, True), (2, 21, 1, True)]
    assert [one.shared for one in scheduler.running] == [0, 20, 21]


def test_a_prefix_is_known_after_its_text_has_ended() -> None:
    scheduler = Scheduler(2, 64)
    first, other = text([*TEMPLATE, 50]), text([7, 7, 7])
    line(scheduler, first, other)
    step(scheduler)
    scheduler.leave(other)
    scheduler.leave(first)
    line(scheduler, text([8, 8]), text([*TEMPLATE, 60]))
    assert step(scheduler) == ([], [(0, 20, 1, True), (1, 0, 2, True)])


def test_a_text_begins_in_the_slot_that_holds_its_beginning() -> None:
    scheduler = Scheduler(2, 64)
    first = text([*TEMPLATE, 50])
    line(scheduler, first)
    step(scheduler)
    scheduler.leave(first)
    line(scheduler, text([*TEMPLATE, 60]))
    assert step(scheduler) == ([], [(0, 20, 1, True)])


def test_the_last_token_of_a_known_prompt_is_computed_for_what_follows_it() -> None:
    scheduler = Scheduler(1, 64)
    first = text(TEMPLATE)
    line(scheduler, first)
    step(scheduler)
    scheduler.leave(first)
    again = text(TEMPLATE)
    line(scheduler, again)
    assert step(scheduler) == ([], [(0, 19, 1, True)])
    assert again.shared == 19


def test_the_slot_that_was_free_for_longest_is_forgotten_first() -> None:
    scheduler = Scheduler(3, 64)
    texts = [text([n] * 9) for n in range(3)]
    line(scheduler, *texts)
    step(scheduler)
    for place in (1, 0, 2):
        scheduler.leave(texts[place])
    line(scheduler, text([77] * 9))
    assert step(scheduler)[1] == [(1, 0, 9, True)]


@pytest.mark.parametrize(
    ("sharing", "adapter"),
    [pytest.param(False, None, id="switched off"), pytest.param(True, "brand", id="of another adapter")],
)
def test_what_is_not_shared(sharing: bool, adapter: str | None) -> None:
    scheduler = Scheduler(2, 64, sharing=sharing)
    line(scheduler, text(TEMPLATE), text(TEMPLATE, adapter=adapter))
    assert step(scheduler) == ([], [(0, 0, 20, True), (1, 0, 20, True)])


def test_what_a_failed_text_left_in_its_slot_is_not_shared() -> None:
    scheduler = Scheduler(1, 64)
    first = text(TEMPLATE)
    line(scheduler, first)
    step(scheduler)
    scheduler.drop(first)
    line(scheduler, text(TEMPLATE))
    assert step(scheduler) == ([], [(0, 0, 20, True)])


def test_texts_that_lost_their_slots_are_next_and_go_on_where_they_were() -> None:
    scheduler = Scheduler(3, 64)
    texts = [text([n, n]) for n in range(3)]
    line(scheduler, *texts, text([9]))
    step(scheduler)
    scheduler.put_back(scheduler.resize(1, LENGTH))
    assert [one.prompt[0] for one in scheduler.waiting] == [1, 2, 9]
    scheduler.leave(texts[0])
    assert step(scheduler)[1] == [(0, 0, 3, True)], "its prompt and the token that it had written"


def test_a_cache_that_becomes_shorter_forgets_what_stood_behind() -> None:
    scheduler = Scheduler(1, 64)
    first = text(TEMPLATE)
    line(scheduler, first)
    step(scheduler)
    scheduler.leave(first)
    scheduler.resize(1, 12)
    line(scheduler, text(TEMPLATE))
    assert step(scheduler) == ([], [(0, 12, 8, True)])


@pytest.mark.parametrize("shared", [0, 1, 7, 8, 9, 19, 20])
def test_as_much_of_a_beginning_is_taken_over_as_is_the_same(shared: int) -> None:
    scheduler = Scheduler(2, 64)
    line(scheduler, text(TEMPLATE))
    step(scheduler)
    line(scheduler, text([*TEMPLATE[:shared], 77, 78, 79]))
    copies, _ = step(scheduler)
    assert copies == ([Copy(0, 1, shared)] if shared else [])
