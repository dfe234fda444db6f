"""Shows workers/engines/causal/runtime/cuda_graphs.py: replayed steps give the same texts as plain steps, and wrong recordings
are detected.

Recorders of `recorders` take the place of CUDA graphs. Tests marked `gpu` record real CUDA graphs.
"""

import gc
import weakref
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch
from structlog.testing import capture_logs

from jobs.generation import GenerationRequest, Prompt, SamplingParams
from tests.workers.engines.causal.runtime.recorders import (
    RerunRecorder,
    counted,
    frozen,
    raising,
    raising_at_replay,
    random_requests,
    results,
    running_once,
    writing_elsewhere,
    writing_nothing,
)
from tests.workers.engines.causal.small_engines import random_model, slot_engine
from workers.engines.causal.runtime.attention import LAYOUT
from workers.engines.causal.runtime.cuda_graphs import MIN_USES, CudaGraphs, Recorder, padded_rows
from workers.engines.causal.time_shares import time_weights


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2", "gemma3", "gpt2", "gpt_neox"])
def test_replayed_steps_give_the_texts_of_plain_ones(name: str, dtype: torch.dtype) -> None:
    """In float32, attention is computed by the kernel that reads each sequence's own length; in float64, by products up to the
    maximum length.
    """
    model, some = random_model(name, dtype), random_requests(14, seed=2)
    expected = results(slot_engine(model, 5), some)
    rerun = RerunRecorder()
    assert results(slot_engine(model, 5, step_tokens=30, recorder=rerun), some) == expected
    assert rerun.replayed > 2 * rerun.recorded > 0


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 9, 17])
def test_padding_rows_change_nothing(slots: int) -> None:
    """The texts are right for any number of sequences, and also at the end, when one sequence is left and slots between the
    sequences are empty.
    """
    model, some = random_model(dtype=torch.float64), random_requests(30, seed=slots, most=60)
    rerun = RerunRecorder()
    assert results(slot_engine(model, slots, recorder=rerun), some) == results(slot_engine(model, slots), some)
    assert rerun.replayed > rerun.recorded > 0


def test_steps_are_recorded_anew_after_the_cache_is_reallocated() -> None:
    """Two sequences run when a long one makes the cache grow. A recording of the old blocks would read old values."""
    model, token_bytes = random_model(), 2 * 2 * 2 * 8 * 4

    def greedy(name: str, size: int) -> GenerationRequest:
        params = SamplingParams(max_tokens=size, min_tokens=size, temperature=0.0, seed=1)
        return GenerationRequest(name, Prompt(text="5 6 7", params=params))

    some = [greedy("a", 50), greedy("b", 58), greedy("long", 120)]
    expected = results(slot_engine(model, 3, cache_bytes=400 * token_bytes), some)
    rerun = RerunRecorder()
    engine = slot_engine(model, 3, cache_bytes=400 * token_bytes, recorder=rerun)
    cache, moved = engine._runtime.cache, []
    resize = cache.resize

    def resized(slots: int, length: int) -> None:
        moved.append(rerun.recorded)
        resize(slots, length)

    cache.resize = resized  # type: ignore[method-assign]
    assert results(engine, some[:2], some[2:]) == expected
    assert rerun.recorded > moved[0] > 0, "there are recordings from before and after"


def test_a_recorder_that_runs_the_step_leaves_the_cache_as_it_was() -> None:
    """The recorder runs the step with made-up tokens, in a slot that another sequence may use."""
    model, some = random_model(), random_requests(20, seed=8)
    with capture_logs() as logs:
        assert results(slot_engine(model, 5, recorder=running_once), some) == results(slot_engine(model, 5), some)
    assert not logs


def test_a_rare_size_is_not_recorded() -> None:
    rerun = RerunRecorder()
    (one,) = random_requests(1, seed=1)
    params = SamplingParams(max_tokens=MIN_USES, min_tokens=MIN_USES, temperature=0.0, seed=1)
    results(slot_engine(random_model(), recorder=rerun), [replace(one, prompt=replace(one.prompt, params=params))])
    assert rerun.recorded == 0, "the first token is sampled after the prefill"


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [
        pytest.param(frozen(0), "differ", id="frozen tokens"),
        pytest.param(frozen(1), "differ", id="frozen positions"),
        pytest.param(frozen(2), "differ", id="frozen slots"),
        pytest.param(raising, "operation not permitted when stream is capturing", id="cannot be recorded"),
        pytest.param(writing_nothing, "differ", id="writes nothing"),
        pytest.param(writing_elsewhere, "differ", id="writes writing_elsewhere"),
        pytest.param(raising_at_replay, "cannot be replayed", id="cannot be replayed"),
    ],
)
def test_a_wrong_recording_is_detected_and_changes_no_text(recorder: Recorder, reason: str) -> None:
    """The reason is logged once. From then on all steps are computed plainly, and everything that the cache held is computed
    again.
    """
    model, some = random_model(), random_requests(14, seed=3)
    expected = results(slot_engine(model, 5), some)
    with capture_logs() as logs:
        assert results(slot_engine(model, 5, recorder=recorder), some) == expected
    (line,) = [line for line in logs if line["event"] == "engine.graphs_stopped"]
    assert reason in line["reason"]


def test_a_replay_that_writes_nothing_to_the_cache_is_detected_at_once() -> None:
    """The logits of the replay itself are right. Those of the next step would be wrong."""
    replays: list[int] = []
    results(slot_engine(random_model(), recorder=counted(writing_elsewhere, replays)), random_requests(1, seed=12))
    assert len(replays) == 1


def test_recordings_have_padded_numbers_of_rows() -> None:
    rows = (1, 2, 3, 4, 5, 8, 9, 16, 17, 63, 64, 65)
    assert [padded_rows(n) for n in rows] == [1, 2, 4, 4, 8, 8, 16, 16, 24, 64, 64, 72]


def test_the_parts_of_a_gpu_step_are_estimated_from_the_bytes_that_it_reads() -> None:
    """A step reads the weights once, and the keys and values of all tokens of each sequence. So a step with longer sequences
    takes more time.
    """
    engine = slot_engine(random_model())
    long, short = (
        GenerationRequest(name, Prompt(text=" ".join(["5"] * size), params=SamplingParams(max_tokens=9, seed=1)))
        for name, size in (("long", 60), ("short", 4))
    )
    for request in (long, short):
        engine.submit(request)
    engine.step()
    spans, runtime = engine._scheduler.schedule(), engine._runtime
    assert [span.start + 1 for span in spans] == [61, 5]
    step_time = runtime._estimated_time(spans, 10**6)
    weights = sum(one.numel() * 4 for one in engine._model.network.parameters())
    read = 66 * 2 * 2 * 2 * 8 * 4
    assert step_time.attention_ns == 10**6 * read // (read + weights)
    assert step_time.layers_ns + step_time.attention_ns == 10**6
    of_long, of_short = time_weights(spans, step_time)
    assert of_long - of_short == pytest.approx(step_time.attention_ns * 56 / 66, abs=2)


def test_close_frees_the_network_at_once() -> None:
    """A worker may load another model next, and a GPU has no room for both."""
    model, rerun = random_model(), RerunRecorder()
    engine = slot_engine(model, recorder=rerun)
    results(engine, random_requests(6, seed=7))
    assert rerun.replayed
    network = weakref.ref(model.network)
    gc.collect()
    gc.disable()
    try:
        engine.close()
        del model
        assert network() is None
    finally:
        gc.enable()


def test_the_layout_of_a_replay_depends_on_its_buffers_alone() -> None:
    """Nothing that was derived from the positions of one step is used in the next."""
    model, seen = random_model(), []
    rerun = RerunRecorder()

    def look(_module: object, _args: object) -> None:
        if rerun.running:
            layout = LAYOUT.get()
            seen.append((layout.slots.data_ptr(), layout.positions.data_ptr(), layout.covered_slots, layout.max_length))

    hook = model.network.get_input_embeddings().register_forward_pre_hook(look)
    params = SamplingParams(max_tokens=30, min_tokens=30, temperature=0.0, seed=1)
    some = [GenerationRequest(f"r{n}", Prompt(text="5 6 7 8", params=params)) for n in range(3)]
    results(slot_engine(model, recorder=rerun), some)
    hook.remove()
    assert len({one[:3] for one in seen}) == 1
    assert {one[3] for one in seen} == {16, 32}
    assert len(seen) > 10


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2", "gpt_neox", "phi"])
def test_cuda_graphs_give_the_texts_of_plain_steps(name: str, dtype: torch.dtype) -> None:
    model, some = random_model(name, dtype, "cuda"), random_requests(14, seed=2)
    plain = results(slot_engine(model, 5), some)
    replays: list[int] = []
    with capture_logs() as logs:
        replayed = results(slot_engine(model, 5, recorder=counted(CudaGraphs(), replays)), some)
    assert not [line for line in logs if line["event"] == "engine.graphs_stopped"]
    assert len(replays) > 10
    if dtype != torch.bfloat16:  # in bfloat16, products of other sizes give other logits, so other tokens may be chosen
        assert replayed == plain
