"""Shows workers/engines/causal/slot_engine.py: a request's text is that of `generate`, whatever other requests run."""

import itertools
import threading
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.generation import Completion, SamplingParams
from tests.workers.engines.architectures import ARCHITECTURES, PADDED, make
from tests.workers.engines.causal.small_engines import (
    GREEDY,
    SAMPLED,
    before_each_step,
    completions,
    generate_alone,
    prompts,
    random_model,
    request_of,
    slot_engine,
)
from workers.engines.causal.loading import CausalOptions, build_engine
from workers.engines.causal.model import CausalModel
from workers.engines.causal.padded_engine import PaddedEngine
from workers.engines.causal.slot_engine import SlotEngine


@pytest.mark.parametrize("name", [*ARCHITECTURES, *PADDED])
def test_the_texts_are_those_of_generate(name: str) -> None:
    """The texts are greedy, in float32, with different slots, chunks and prefix sharing. Models that cannot run in slots run
    padded.
    """
    model, network = random_model(name), make(name)
    requests = [
        request_of(f"r{n}", tokens, replace(GREEDY, max_tokens=1 + 7 * n % 36)) for n, tokens in enumerate(prompts(10))
    ]
    expected = {one.request_id: generate_alone(network, one) for one in requests}
    for slots, options in ((5, {"step_tokens": 9}), (3, {"prefix_sharing": False}), (10, {})):
        engine = build_engine(name, model, CausalOptions(cache_bytes=1 << 22, **options), slots=slots)
        assert isinstance(engine, PaddedEngine if name in PADDED else SlotEngine)
        done = completions(engine, *requests)
        assert {key: one.text for key, one in done.items()} == expected
        shared = sum(one.cached_prompt_tokens for one in done.values())
        assert (shared > 0) == (name in ARCHITECTURES and "prefix_sharing" not in options)


@pytest.mark.parametrize(("dtype", "temperatures"), [(torch.float32, [0.0]), (torch.float64, [0.0, 0.9])], ids=str)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_mix_gives_the_texts_of_each_alone(
    dtype: torch.dtype, temperatures: list[float], data: st.DataObject
) -> None:
    """With any number of slots and any chunks, in any order, a request's text is the same in a mix as alone.

    In float32 this is tested for greedy texts only: a draw may fall so close to the edge between two tokens that rounding
    decides.
    """
    model = random_model(dtype=dtype)
    some = data.draw(st.lists(st.sampled_from(prompts(12, seed=3)), min_size=1, max_size=9), label="prompts")
    params = st.builds(
        SamplingParams,
        max_tokens=st.integers(1, 30),
        temperature=st.sampled_from(temperatures),
        top_p=st.sampled_from([1.0, 0.8]),
        frequency_penalty=st.sampled_from([0.0, 0.5]),
        seed=st.integers(0, 5),
    )
    requests = [request_of(f"r{n}", tokens, data.draw(params)) for n, tokens in enumerate(some)]
    slots, step_tokens = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 60))
    together = completions(slot_engine(model, slots, step_tokens=step_tokens), *requests)
    for request in requests:
        (alone,) = completions(slot_engine(model, 1, prefix_sharing=False), request).values()
        ours = together[request.request_id]
        assert (ours.text, ours.finish_reason) == (alone.text, alone.finish_reason)


def test_a_chunk_of_one_token_is_not_taken_for_a_decode(llama: CausalModel) -> None:
    """Beside a decode, a step has room for a whole prompt of seven tokens, and for one token of the next prompt."""
    sizes = {"decoding": range(5, 7), "seven": range(7, 14), "next": range(14, 19)}
    some = [request_of(name, tokens) for name, tokens in sizes.items()]
    alone = {one.request_id: next(iter(completions(slot_engine(llama, 1), one).values())).text for one in some}
    for order in itertools.permutations(some[1:]):
        engine, calls = slot_engine(llama, 4, step_tokens=9, prefix_sharing=False), list[torch.Tensor]()
        with before_each_step(llama, calls.append):
            engine.submit(some[0])
            done = list(engine.step())
            for request in order:
                engine.submit(request)
            while len(done) < len(some):
                done += engine.step()
        assert {one.request_id: one.text for one in done} == alone
        assert engine.stats().steps == len(calls), "no step was repeated"


def test_a_free_slot_is_filled_while_others_run(llama: CausalModel) -> None:
    engine = slot_engine(llama, 2)
    lengths = {"long": 20, "a": 3, "b": 3, "c": 3}
    for name, length in lengths.items():
        engine.submit(request_of(name, [5, 6], replace(GREEDY, min_tokens=length, max_tokens=length)))
    done: list[Completion] = []
    while len(done) < 4:
        done += engine.step()
    assert [one.request_id for one in done] == ["a", "b", "c", "long"]
    assert engine.stats().steps <= 23


def test_cancel_ends_a_running_request(llama: CausalModel) -> None:
    """A request that another thread cancels at its fourth token ends there. The other request continues."""
    engine = slot_engine(llama)
    steps: list[int] = []

    def cancel_at_the_fourth(_ids: torch.Tensor) -> None:
        steps.append(1)
        if len(steps) == 4:
            other = threading.Thread(target=engine.cancel, args=("gone",))
            other.start()
            other.join()
            assert engine.stats().running == 2

    long = replace(GREEDY, min_tokens=12)
    with before_each_step(llama, cancel_at_the_fourth):
        done = completions(engine, request_of("gone", [5, 6, 7], long), request_of("stays", [8], long))
    assert (done["gone"].finish_reason, done["gone"].completion_tokens) == ("cancelled", 4)
    assert len(done["gone"].text.split()) == 4
    assert done["stays"].completion_tokens == 12


def test_a_stop_text_across_tokens_is_found_late_in_a_long_text(llama: CausalModel) -> None:
    params = replace(SAMPLED, max_tokens=90, logit_bias={2: -100.0})
    (whole,) = completions(slot_engine(llama), request_of("r", [5], params)).values()
    words = whole.text.split()
    stop = next(
        " ".join(pair) for n, pair in enumerate(itertools.pairwise(words))
        if n > 60 and " ".join(pair) not in " ".join(words[:n + 1])
    )  # fmt: skip
    (done,) = completions(slot_engine(llama), request_of("r", [5], replace(params, stop=(stop,)))).values()
    assert (done.finish_reason, done.text) == ("stop", whole.text[: whole.text.index(stop)])


def test_device_time_follows_the_work_of_each_request(llama: CausalModel) -> None:
    """One of two requests has the longer prompt and the longer text. So it computes and attends to more tokens, and takes more
    steps.
    """
    engine = slot_engine(llama, 2)
    short = request_of("short", [5], replace(GREEDY, min_tokens=10, max_tokens=10))
    long = request_of("long", [5] * 60, replace(GREEDY, min_tokens=60, max_tokens=60))
    done = completions(engine, short, long)
    assert done["long"].device_ns > 3 * done["short"].device_ns
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


def test_several_completions_of_one_prompt_compute_it_once(llama: CausalModel) -> None:
    """Eight completions of a prompt of 60 tokens, as for a row with n=8: seven copy all but its last token."""
    requests = [request_of(f"r{n}", [9, *range(3, 60), 4, 5], replace(SAMPLED, seed=n)) for n in range(8)]
    done = completions(slot_engine(llama, 8), *requests)
    cached = sorted(one.cached_prompt_tokens for one in done.values())
    assert cached == [0, *[59] * 7]
    assert len({one.text for one in done.values()}) > 1


def test_the_prompt_of_several_answers_is_computed_once(llama: CausalModel) -> None:
    tokens = [3 + n % 50 for n in range(60)]
    computed = [0]
    engine = slot_engine(llama, slots=4, step_tokens=32)
    several = [request_of(str(n), tokens, replace(SAMPLED, seed=n)) for n in range(3)]
    with before_each_step(llama, lambda ids: computed.__setitem__(0, computed[0] + ids.numel())):
        done = completions(engine, *several)
    assert sorted(one.cached_prompt_tokens for one in done.values()) == [0, 59, 59]
    written = sum(one.completion_tokens for one in done.values())
    assert computed[0] == 60 + 2 + written - 3, "the last token of each prompt and of no text is computed for each"
