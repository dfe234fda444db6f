"""Recorders that work without a GPU, right ones and wrong ones, and requests whose steps they record.

A CUDA graph runs the kernels of a step again on the same buffers. Here a recorder runs the step itself again.
"""

import itertools
import random
from collections.abc import Sequence
from copy import copy

from jobs.generation import Completion, GenerationRequest, Prompt, SamplingParams
from tests.workers.engines.architectures import VOCABULARY
from workers.engines.causal.runtime.cuda_graphs import RecordedSteps, Recorder, Step
from workers.engines.causal.slot_engine import SlotEngine


class RerunRecorder:
    """Runs recorded steps again, over the cache blocks that were there when they were recorded. Counts recordings and replays."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0
        self.running = False

    def __call__(self, step: Step) -> Step:
        self.recorded += 1
        layers = recorded_steps(step)._cache._slot_layers
        blocks_then = [copy(layer.blocks) for layer in layers]

        def replay() -> None:
            self.replayed += 1
            blocks_now = [layer.blocks for layer in layers]
            for layer, blocks in zip(layers, blocks_then, strict=True):
                layer.blocks = blocks
            self.running = True
            step()
            self.running = False
            for layer, blocks in zip(layers, blocks_now, strict=True):
                layer.blocks = blocks

        return replay


def recorded_steps(step: Step) -> RecordedSteps:
    """Return the object to which a step belongs."""
    (found,) = (c.cell_contents for c in step.__closure__ or () if isinstance(c.cell_contents, RecordedSteps))
    return found


def counted(recorder: Recorder, replays: list[int]) -> Recorder:
    """The same recorder; each replay makes `replays` longer by one."""

    def record(step: Step) -> Step:
        replay = recorder(step)

        def counted_replay() -> None:
            replays.append(1)
            replay()

        return counted_replay

    return record


def running_once(step: Step) -> Step:
    """Runs the step once before it is recorded, as CUDA does when it captures a graph."""
    step()
    return step


def frozen(which: int) -> Recorder:
    """Make a recorder whose replays use one of the inputs (tokens, positions, slots) as it was when the step was recorded."""

    def record(step: Step) -> Step:
        inputs = recorded_steps(step)._inputs
        kept = inputs[which].clone()

        def replay() -> None:
            now = inputs[which].clone()
            inputs[which] = kept
            step()
            inputs[which] = now

        return replay

    return record


def raising(_step: Step) -> Step:
    """A recorder that fails to record."""
    raise RuntimeError("operation not permitted when stream is capturing\nand more")


def writing_nothing(_step: Step) -> Step:
    """A recorder whose replays do nothing."""
    return lambda: None


def raising_at_replay(_step: Step) -> Step:
    """A recorder whose replays raise an error."""

    def replay() -> None:
        raise RuntimeError("cannot be replayed")

    return replay


def writing_elsewhere(step: Step) -> Step:
    """A recorder whose replays use a copy of the last layer's keys, so they write no keys of this layer to the cache."""

    def replay() -> None:
        blocks = recorded_steps(step)._cache._slot_layers[-1].blocks
        assert blocks is not None
        there = blocks.keys
        blocks.keys = there.clone()
        step()
        blocks.keys = there

    return replay


def random_requests(n: int, seed: int, *, most: int = 40) -> list[GenerationRequest]:
    """Return random requests with various params, each for up to `most` tokens. Half of their prompts have a common prefix."""
    chance = random.Random(seed)
    prefix = [chance.randrange(3, VOCABULARY) for _ in range(12)]
    found = []
    for number in range(n):
        own = [chance.randrange(3, VOCABULARY) for _ in range(chance.randrange(1, 25))]
        text = " ".join(map(str, [*(prefix if chance.random() < 0.5 else []), *own]))
        params = SamplingParams(
            max_tokens=chance.randrange(1, most),
            min_tokens=chance.choice([0, 1]),
            temperature=chance.choice([0.0, 0.0, 0.9]),
            frequency_penalty=chance.choice([0.0, 0.3]),
            logprobs=chance.choice([None, None, 2]),
            seed=number,
        )
        found.append(GenerationRequest(f"r{number}", Prompt(text=text, params=params)))
    return found


def long_request(name: str, size: int, *, seed: int = 1, stop: tuple[str, ...] = ()) -> GenerationRequest:
    """A request for exactly `size` tokens, unless a stop text ends it. Its prompt is always the same."""
    params = SamplingParams(max_tokens=size, temperature=1.0, seed=seed, stop=stop, logit_bias={2: -100.0})
    return GenerationRequest(name, Prompt(text="5 6 7 8 9 10 11 12 13 14", params=params))


def results(
    engine: SlotEngine, requests: Sequence[GenerationRequest], late: Sequence[GenerationRequest] = ()
) -> dict[str, tuple[str, str, int]]:
    """Run all requests and return the text, finish reason and length of each. The late ones are submitted after 40 steps."""
    for request in requests:
        engine.submit(request)
    done: list[Completion] = []
    for step in itertools.count():
        if step == 40:
            for request in late:
                engine.submit(request)
        done += engine.step()
        if len(done) == len(requests) + len(late):
            break
    return {one.request_id: (one.text, one.finish_reason, one.completion_tokens) for one in done}
