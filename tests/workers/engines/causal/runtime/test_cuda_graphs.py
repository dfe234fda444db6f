"""Shows workers/engines/causal/graphs.py: replayed steps write the texts of plain ones, and a wrong recording is found out.

What CUDA graphs do is done here by a recorder that runs the step again on the same buffers; on a GPU, by themselves.
"""

import gc
import itertools
import random
import weakref
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch
from structlog.testing import capture_logs

from jobs.generation import Completion, GenerationRequest, Prompt, SamplingParams
from tests.workers.engines.architectures import VOCABULARY, Numbers, make
from workers.engines.causal.loading import CausalOptions, build_engine, wrap_model
from workers.engines.causal.model import CausalModel
from workers.engines.causal.runtime.attention import LAYOUT
from workers.engines.causal.runtime.cuda_graphs import MIN_USES, CudaGraphs, RecordedSteps, Recorder, Step, padded_rows
from workers.engines.causal.sequences import Span
from workers.engines.causal.slot_engine import SlotEngine
from workers.engines.causal.time_shares import time_weights
from workers.engines.device.placement import Placement

CPU = Placement(torch.device("cpu"), torch.float32, "cpu")


@pytest.fixture(autouse=True)
def short_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engines.causal.runtime.cuda_graphs.MIN_LENGTH", 16)


class Rerun:
    """Runs recorded steps again, over the blocks of the cache that were there when they were recorded. Counts both."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0
        self.running = False

    def __call__(self, step: Step) -> Step:
        self.recorded += 1
        layers = _steps_of(step)._cache._slot_layers
        taken = [copy(layer.blocks) for layer in layers]

        def replay() -> None:
            self.replayed += 1
            now = [layer.blocks for layer in layers]
            for layer, blocks in zip(layers, taken, strict=True):
                layer.blocks = blocks
            self.running = True
            step()
            self.running = False
            for layer, there in zip(layers, now, strict=True):
                layer.blocks = there

        return replay


def _steps_of(step: Step) -> RecordedSteps:
    (found,) = (c.cell_contents for c in step.__closure__ or () if isinstance(c.cell_contents, RecordedSteps))
    return found


def model(name: str = "llama", dtype: torch.dtype = torch.float32, device: str = "cpu") -> CausalModel:
    return wrap_model(make(name).to(device, dtype), Numbers(), Placement(torch.device(device), dtype, device))


def slots_of(fit: CausalModel, recorder: Recorder | None, slots: int = 4, **options: object) -> SlotEngine:
    given = CausalOptions(**{"cache_bytes": 1 << 22, "graphs": False, **options})
    engine = build_engine("tiny", fit, given, slots=slots, recorder=recorder)
    assert isinstance(engine, SlotEngine)
    return engine


def requests(n: int, seed: int, *, most: int = 40) -> list[GenerationRequest]:
    some = random.Random(seed)
    start = [some.randrange(3, VOCABULARY) for _ in range(12)]
    found = []
    for number in range(n):
        own = [some.randrange(3, VOCABULARY) for _ in range(some.randrange(1, 25))]
        text = " ".join(map(str, [*(start if some.random() < 0.5 else []), *own]))
        params = SamplingParams(
            max_tokens=some.randrange(1, most),
            min_tokens=some.choice([0, 1]),
            temperature=some.choice([0.0, 0.0, 0.9]),
            frequency_penalty=some.choice([0.0, 0.3]),
            logprobs=some.choice([None, None, 2]),
            seed=number,
        )
        found.append(GenerationRequest(f"r{number}", Prompt(text=text, params=params)))
    return found


def answers(
    engine: SlotEngine, some: Sequence[GenerationRequest], late: Sequence[GenerationRequest] = ()
) -> dict[str, tuple[str, str, int]]:
    """What became of all; those that are late come after 40 steps."""
    for request in some:
        engine.submit(request)
    done: list[Completion] = []
    for step in itertools.count():
        if step == 40:
            for request in late:
                engine.submit(request)
        done += engine.step()
        if len(done) == len(some) + len(late):
            break
    return {one.request_id: (one.text, one.finish_reason, one.completion_tokens) for one in done}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2", "gemma3", "gpt2", "gpt_neox"])
def test_replayed_steps_write_the_texts_of_plain_ones(name: str, dtype: torch.dtype) -> None:
    """In fp32 by the kernel that reads each text's own length, in fp64 by products over all slots up to the reach."""
    fit, some = model(name, dtype), requests(14, seed=2)
    expected = answers(slots_of(fit, None, 5), some)
    rerun = Rerun()
    assert answers(slots_of(fit, rerun, 5, step_tokens=30), some) == expected
    assert rerun.replayed > 2 * rerun.recorded > 0


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 9, 17])
def test_rows_that_are_left_over_change_nothing(slots: int) -> None:
    """Whatever the number of texts, and while it falls to one at the end; slots in the middle stand empty then."""
    fit, some = model(dtype=torch.float64), requests(30, seed=slots, most=60)
    rerun = Rerun()
    assert answers(slots_of(fit, rerun, slots), some) == answers(slots_of(fit, None, slots), some)
    assert rerun.replayed > rerun.recorded > 0


def test_a_cache_that_moves_is_recorded_anew() -> None:
    """A recording that read the old blocks would go on with what they held. Two texts run while a long one makes it grow."""
    fit, token_bytes = model(), 2 * 2 * 2 * 8 * 4

    def asked(name: str, size: int) -> GenerationRequest:
        params = SamplingParams(max_tokens=size, min_tokens=size, temperature=0.0, seed=1)
        return GenerationRequest(name, Prompt(text="5 6 7", params=params))

    some = [asked("a", 50), asked("b", 58), asked("long", 120)]
    expected = answers(slots_of(fit, None, 3, cache_bytes=400 * token_bytes), some)
    rerun = Rerun()
    engine = slots_of(fit, rerun, 3, cache_bytes=400 * token_bytes)
    cache, moved = engine._runtime.cache, []
    resize = cache.resize

    def resized(slots: int, length: int) -> None:
        moved.append(rerun.recorded)
        resize(slots, length)

    cache.resize = resized  # type: ignore[method-assign]
    assert answers(engine, some[:2], some[2:]) == expected
    assert rerun.recorded > moved[0] > 0, "there were recordings before and after"


def test_a_recorder_that_runs_the_step_leaves_the_cache_as_it_was() -> None:
    """It runs with made-up tokens, in a slot that may be another text's."""
    fit, some = model(), requests(20, seed=8)
    with capture_logs() as logs:
        assert answers(slots_of(fit, warming_up, 5), some) == answers(slots_of(fit, None, 5), some)
    assert not logs


def written(name: str, size: int, *, seed: int = 1, stop: tuple[str, ...] = ()) -> GenerationRequest:
    """A text of so many tokens, after a prompt that is always the same."""
    params = SamplingParams(max_tokens=size, temperature=1.0, seed=seed, stop=stop, logit_bias={2: -100.0})
    return GenerationRequest(name, Prompt(text="5 6 7 8 9 10 11 12 13 14", params=params))


FEW = SamplingParams(max_tokens=25, temperature=1.0, seed=7)


def test_the_next_step_is_begun_before_anyone_knows_the_tokens_that_it_continues() -> None:
    """And none is made twice for it: as many replays as steps, but for the last, after which no text can go on."""
    rerun = Rerun()
    at_tokens: list[int] = []
    after: list[int] = []
    engine = slots_of(model(), rerun)
    advance = engine._append_tokens

    def advanced(spans: Sequence[Span], tokens: Sequence[int]) -> Any:
        at_tokens.append(rerun.replayed)
        return advance(spans, tokens)

    engine._append_tokens = advanced  # type: ignore[method-assign]
    for n in range(3):  # the first one begins a step before the others, which take its prompt over
        engine.submit(written(f"r{n}", 110 + (n == 0), seed=n))
    while len(after) < 2 or engine.stats().running:
        engine.step()
        after.append(rerun.replayed)
    assert at_tokens == after, "what a step replays, it replays before its tokens are known"
    replays = [now - before for before, now in itertools.pairwise(after)][-20:]
    assert replays == [1] * 19 + [0], "the last step was begun by the one before"


def test_a_text_that_ends_meanwhile_is_no_matter_for_those_that_go_on_or_come_after_it() -> None:
    """Nobody knew that these would end: their rows were begun, and who is seated next in their slots reads none of them."""
    fit = model()
    long = written("long", 90)
    plain = answers(slots_of(fit, None, 4), [long])["long"][0].split()
    cut = [written(f"cut{n}", 90, stop=(" ".join(plain[at : at + 2]),)) for n, at in enumerate((20, 30, 41))]
    late = [written(f"late{n}", 40 + n, seed=n) for n in range(4)]
    expected = answers(slots_of(fit, None, 4), [long, *cut], late)
    assert [expected[one.request_id][1:] for one in cut] == [("stop", 22), ("stop", 32), ("stop", 43)]
    rerun = Rerun()
    assert answers(slots_of(fit, rerun, 4), [long, *cut], late) == expected
    assert rerun.replayed > 50


def test_one_that_comes_with_a_single_token_runs_beside_those_whose_step_was_begun() -> None:
    """All of its prompt but the last token is taken over, so that its first step could be replayed as well."""
    fit = model()
    some, late = [written("a", 90)], [written("b", 30, seed=2)]
    rerun = Rerun()
    assert answers(slots_of(fit, rerun, 3), some, late) == answers(slots_of(fit, None, 3), some, late)
    assert rerun.replayed > 50


def test_a_prompt_that_takes_several_steps_is_read_beside_those_whose_step_was_begun() -> None:
    """None of these but the last has a token to choose."""
    fit, greedy = model(), SamplingParams(max_tokens=90, min_tokens=90, temperature=0.0)
    some = [GenerationRequest("a", Prompt(text="5 6 7", params=greedy))]
    late = [GenerationRequest("b", Prompt(text=" ".join(map(str, range(20, 50))), params=FEW))]
    rerun = Rerun()
    expected = answers(slots_of(fit, None, 3), some, late)
    assert answers(slots_of(fit, rerun, 3, step_tokens=7), some, late) == expected
    assert rerun.replayed > 50


def test_a_step_is_begun_after_one_that_scored_a_text_of_several_tokens() -> None:
    """Each of those has a row among the tokens that were chosen, before that of the prompt which ends in the same step."""
    fit = model()
    some = [written("a", 100), written("b", 100, seed=2), written("c", 30, seed=3)]
    late = [
        GenerationRequest("scored", Prompt(text="20 21 22", continuations=("30 31 32",))),
        GenerationRequest("d", Prompt(text="40 41 42 43 44 45 46 47 48", params=FEW)),
    ]
    rerun = Rerun()
    assert answers(slots_of(fit, rerun, 5), some, late) == answers(slots_of(fit, None, 5), some, late)
    assert rerun.replayed > 50


@pytest.mark.parametrize(("one", "other", "tokens"), [("a", "b", 30), ("b", "a", 29)])
def test_one_that_is_cancelled_meanwhile_has_what_it_had(one: str, other: str, tokens: int) -> None:
    """Whichever row of the step it had; `b` begins a step later, with the prompt of `a`."""
    fit, rerun = model(), Rerun()
    expected = answers(slots_of(fit, None, 3), [written("a", 60), written("b", 60, seed=3)])
    engine = slots_of(fit, rerun, 3)
    for request in (written("a", 60), written("b", 60, seed=3)):
        engine.submit(request)
    for _ in range(30):
        assert not engine.step()
    assert rerun.replayed
    engine.cancel(one)
    (done,) = engine.step()
    assert done.finish_reason == "cancelled"
    assert done.text.split() == expected[one][0].split()[:tokens]
    while not (ended := engine.step()):
        pass
    assert ended[0].text == expected[other][0]


def test_a_step_that_could_not_be_begun_costs_no_token() -> None:
    """The tokens that it would have continued are chosen once more."""
    fit, some = model(), requests(9, seed=5)

    def failing(step: Step) -> Step:
        times = itertools.count()

        def replay() -> None:
            if next(times) == 9:
                raise RuntimeError("no replay any more")
            step()

        return replay

    with capture_logs() as logs:
        assert answers(slots_of(fit, failing, 5), some) == answers(slots_of(fit, None, 5), some)
    assert [line["event"] for line in logs] == ["engine.graphs_stopped"]


def test_a_size_that_is_hardly_asked_for_is_not_recorded() -> None:
    rerun = Rerun()
    (one,) = requests(1, seed=1)
    params = SamplingParams(max_tokens=MIN_USES, min_tokens=MIN_USES, temperature=0.0, seed=1)
    answers(slots_of(model(), rerun), [replace(one, prompt=replace(one.prompt, params=params))])
    assert rerun.recorded == 0, "the first token comes with the prompt"


def frozen(which: int) -> Recorder:
    """What a graph would be that took one of its inputs' values, and not their place, from the step that it was made for."""

    def record(step: Step) -> Step:
        buffer = _steps_of(step)._inputs
        taken = buffer[which].clone()

        def replay() -> None:
            kept = buffer[which].clone()
            buffer[which] = taken
            step()
            buffer[which] = kept

        return replay

    return record


def raising(_step: Step) -> Step:
    raise RuntimeError("operation not permitted when stream is capturing\nand more")


def writing_nothing(step: Step) -> Step:
    return lambda: None


def late(_step: Step) -> Step:
    """Raises when it is replayed."""

    def replay() -> None:
        raise RuntimeError("cannot be replayed")

    return replay


def elsewhere(step: Step) -> Step:
    """Reads and writes a copy of the last layer's keys, as if they had been there when it was made."""

    def replay() -> None:
        blocks = _steps_of(step)._cache._slot_layers[-1].blocks
        assert blocks is not None
        there = blocks.keys
        blocks.keys = there.clone()
        step()
        blocks.keys = there

    return replay


def warming_up(step: Step) -> Step:
    """Runs the step first, as one must before a capture."""
    step()
    return step


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [
        pytest.param(frozen(0), "differ", id="frozen tokens"),
        pytest.param(frozen(1), "differ", id="frozen places"),
        pytest.param(frozen(2), "differ", id="frozen slots"),
        pytest.param(raising, "operation not permitted when stream is capturing", id="cannot be recorded"),
        pytest.param(writing_nothing, "differ", id="writes nothing"),
        pytest.param(elsewhere, "differ", id="writes elsewhere"),
        pytest.param(late, "cannot be replayed", id="cannot be replayed"),
    ],
)
def test_a_wrong_recording_is_found_out_and_costs_no_text(recorder: Recorder, reason: str) -> None:
    """One line says so, and all is computed plainly from there on, what the cache held included."""
    fit, some = model(), requests(14, seed=3)
    expected = answers(slots_of(fit, None, 5), some)
    with capture_logs() as logs:
        assert answers(slots_of(fit, recorder, 5), some) == expected
    (line,) = [line for line in logs if line["event"] == "engine.graphs_stopped"]
    assert reason in line["reason"]


def counting(recorder: Recorder, replays: list[int]) -> Recorder:
    """The same; `replays` becomes longer with each."""

    def record(step: Step) -> Step:
        replay = recorder(step)

        def counted() -> None:
            replays.append(1)
            replay()

        return counted

    return record


def test_a_replay_that_writes_nothing_into_the_cache_is_found_out_at_once() -> None:
    """Its logits were right; those of the next step would not be."""
    replays: list[int] = []
    answers(slots_of(model(), counting(elsewhere, replays)), requests(1, seed=12))
    assert len(replays) == 1


def test_the_rows_of_a_recording() -> None:
    assert [padded_rows(n) for n in (1, 2, 3, 4, 5, 8, 9, 16, 17, 63, 64, 65)] == [
        1,
        2,
        4,
        4,
        8,
        8,
        16,
        16,
        24,
        64,
        64,
        72,
    ]


def test_what_a_step_of_a_gpu_spent_is_told_by_the_bytes_that_it_read() -> None:
    """The weights once, and of each text the keys and values of all its tokens: the longer one takes the greater share."""
    engine = slots_of(model(), None)
    long, short = (
        GenerationRequest(name, Prompt(text=" ".join(["5"] * size), params=SamplingParams(max_tokens=9, seed=1)))
        for name, size in (("long", 60), ("short", 4))
    )
    for request in (long, short):
        engine.submit(request)
    engine.step()
    spans, runtime = engine._scheduler.schedule(), engine._runtime
    assert [span.start + 1 for span in spans] == [61, 5]
    spent = runtime._estimated_time(spans, 10**6)
    weights = sum(one.numel() * 4 for one in engine._model.network.parameters())
    read = 66 * 2 * 2 * 2 * 8 * 4
    assert spent.attention_ns == 10**6 * read // (read + weights)
    assert spent.layers_ns + spent.attention_ns == 10**6
    of_long, of_short = time_weights(spans, spent)
    assert of_long - of_short == pytest.approx(spent.attention_ns * 56 / 66, abs=2)


def test_what_is_closed_gives_the_network_back_at_once() -> None:
    """A worker may load another model then, and a GPU has no room for both."""
    fit, rerun = model(), Rerun()
    engine = slots_of(fit, rerun)
    answers(engine, requests(6, seed=7))
    assert rerun.replayed
    network = weakref.ref(fit.network)
    gc.collect()
    gc.disable()
    try:
        engine.close()
        del fit
        assert network() is None
    finally:
        gc.enable()


def test_the_layout_of_a_replay_is_made_from_its_buffers_alone() -> None:
    """Nothing that is worked out from one step's places is there in the next."""
    fit, seen = model(), []
    rerun = Rerun()

    def look(_module: object, _args: object) -> None:
        if rerun.running:
            layout = LAYOUT.get()
            seen.append((layout.slots.data_ptr(), layout.positions.data_ptr(), layout.covered_slots, layout.max_length))

    hook = fit.network.get_input_embeddings().register_forward_pre_hook(look)
    params = SamplingParams(max_tokens=30, min_tokens=30, temperature=0.0, seed=1)
    some = [GenerationRequest(f"r{n}", Prompt(text="5 6 7 8", params=params)) for n in range(3)]
    answers(slots_of(fit, rerun), some)
    hook.remove()
    assert len({one[:3] for one in seen}) == 1
    assert {one[3] for one in seen} == {16, 32}
    assert len(seen) > 10


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2", "gpt_neox", "phi"])
def test_cuda_graphs_write_the_texts_of_plain_steps(name: str, dtype: torch.dtype) -> None:
    fit, some = model(name, dtype, "cuda"), requests(14, seed=2)
    plain = answers(slots_of(fit, None, 5), some)
    replays: list[int] = []
    with capture_logs() as logs:
        replayed = answers(slots_of(fit, counting(CudaGraphs(), replays), 5), some)
    assert not [line for line in logs if line["event"] == "engine.graphs_stopped"]
    assert len(replays) > 10
    if dtype != torch.bfloat16:  # whose products of other sizes differ, so that other tokens may win
        assert replayed == plain
