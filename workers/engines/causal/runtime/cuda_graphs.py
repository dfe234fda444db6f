"""CUDA graphs: each size of decode step is recorded once. A GPU then replays the recorded kernels without Python between them.

A recording reads tokens, positions and slots from buffers that never move. A size is a number of rows (decode tokens, one for
each sequence) and a maximum length of sequences. A step with fewer rows repeats one of its sequences in the rows that are left
over. Those rows write the same values to the same memory once more.

A recording may be wrong, for instance if it has frozen an input. So it is made with dummy inputs, and used only after `TRIALS`
trials. In a trial, the recording's logits must equal those of the plain step (computed without a recording). Before each trial
the step's keys and values are removed from the cache. If a recording fails or gives other logits, recording stops, and all steps
are computed plainly from then on.

A step can be launched before Python has read the step's input tokens, because these stay on the device. Python then handles the
tokens while the GPU computes. If a sequence ends with its input token, the step computes that token for nothing. The token's keys
and values lie after the end of the tokens that the slot is known to hold, so nothing reads them.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from jobs.logs import logger
from workers.engines.causal.runtime.attention import Layout
from workers.engines.causal.runtime.kv_cache import SlotCache
from workers.engines.causal.runtime.logit_distance import logit_distance
from workers.engines.causal.sequences import Span, TokenSequence

TRIALS: Final = 2
"""A recording must give the right logits in this many steps before it is used."""

MIN_USES: Final = 4
"""A size of step is recorded when this many steps have had that size. A rarer size is not worth a recording."""

MIN_LENGTH: Final = 256
"""The maximum length of a recording is this number of tokens, or this number doubled once or more. It is never above the length
of the slots.
"""

REPLAY_TOLERANCE: Final = 0.02
"""A replay's logits may differ by at most this much (`logit_distance`) from those of the same recorded step run without a
graph. Both use matrix products of the same sizes. The plain step has only the rows that it needs, so its products have other
sizes. So this limit is stricter than `tolerance`, which bounds the distance from the plain step.
"""

Step = Callable[[], None]
Recorder = Callable[[Step], Step]
"""Takes a step that reads and writes buffers only, and returns a function that replays the step. A recorder may run the step."""

Forward = Callable[[torch.Tensor, torch.Tensor, Layout], torch.Tensor]
"""Takes tokens [1, n], positions [1, n] and a layout, and returns the logits [n, vocabulary]."""


class CacheLost(Exception):
    """A replay failed or gave wrong logits, so the KV cache may hold wrong values."""


class CudaGraphs:
    """A recorder that captures CUDA graphs. The graphs use one memory pool, since only one of them runs at a time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, step: Step) -> Step:
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            step()  # the first run also makes preparations, which must not be recorded
        current.wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                step()
        except Exception:
            torch.cuda.set_stream(current)  # torch may not have done this if the capture failed
            raise
        return graph.replay


@dataclass
class _Recording:
    replay: Step
    trials_left: int = TRIALS


class RecordedSteps:
    """The recorded decode steps of a network.

    Args:
        forward: Computes decode tokens. Its result must depend on its arguments and the cache alone.
        cache: The KV cache. Recordings are dropped when its memory is allocated anew.
        recorder: Records a step.
        device: The device of the network.
        slots: The largest number of sequences in a step.
        tolerance: The largest distance (`logit_distance`) of a replay's logits from those of the plain step.
    """

    def __init__(
        self,
        forward: Forward,
        cache: SlotCache,
        recorder: Recorder,
        device: torch.device,
        *,
        slots: int,
        tolerance: float,
    ) -> None:
        self._forward = forward
        self._cache = cache
        self._recorder: Recorder | None = recorder
        self._tolerance = tolerance
        self._inputs = torch.zeros(3, padded_rows(slots), dtype=torch.long, device=device)
        self._logits: torch.Tensor | None = None
        self._launched: dict[tuple[TokenSequence, int], int] = {}
        self._uses: Counter[tuple[int, int]] = Counter()
        self._recordings: dict[tuple[int, int], _Recording] = {}
        cache.before_reallocation = self.drop_recordings

    def drop_recordings(self) -> None:
        """Drop all recordings and the launched step, because the memory that they use is about to be freed."""
        self._recordings.clear()
        self._launched = {}

    def launch(self, rows: Sequence[tuple[int, Span]], tokens: torch.Tensor) -> None:
        """Launch a decode step ahead of time if a recording of its size has passed its trials. `collect` returns the logits.

        Args:
            rows: The spans of the step, each with the index of its token in `tokens`.
            tokens: Sampled tokens, still on the device.

        Raises:
            CacheLost: The replay failed.
        """
        if not rows:
            return
        size = self._size([span for _, span in rows])
        recording = self._recordings.get(size)
        if recording is None or recording.trials_left:
            return
        self._write_inputs(rows, size[0], tokens)
        self._replay(recording)
        self._launched = {(span.sequence, span.start): row for row, (_, span) in enumerate(rows)}

    def collect(self, spans: Sequence[Span]) -> torch.Tensor | None:
        """Return the logits [n, vocabulary] of the first n of these spans, which were launched ahead; None if n is 0.

        None is also returned if a launched span stands after one that was not launched. Logits can be collected only once.
        """
        launched, self._launched = self._launched, {}
        rows = [launched.get((span.sequence, span.start)) for span in spans]
        known = [row for row in rows if row is not None]
        if not known or rows[: len(known)] != known:
            return None
        if known == list(range(len(known))):
            return self._output(len(known))
        return self._output(max(known) + 1)[torch.tensor(known, device=self._inputs.device)]

    def logits(self, spans: Sequence[Span], plain: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return the logits [spans, vocabulary] of a decode step, from a replay, or from `plain` if no recording can be used.

        Raises:
            CacheLost: A replay failed or differed from `plain`. Everything in the cache must be computed again.
        """
        size = self._size(spans)
        recording = self._recordings.get(size)
        if recording is not None and not recording.trials_left:
            self._write_inputs(list(enumerate(spans)), size[0])
            self._replay(recording)
            return self._output(len(spans))
        expected = plain()
        self._uses[size] += 1
        if self._recorder is not None and self._uses[size] >= MIN_USES:
            self._try_recording(self._recorder, size, spans, expected)
        return expected

    def _try_recording(
        self, recorder: Recorder, size: tuple[int, int], spans: Sequence[Span], expected: torch.Tensor
    ) -> None:
        """Record a step of this size if none is recorded. Compare its replay with `expected`, the plain step's logits."""
        try:
            if self._logits is None:
                self._logits = expected.new_empty(self._inputs.shape[1], expected.shape[1])
            if size not in self._recordings:
                self._recordings[size] = self._record(recorder, size, spans[0].sequence.slot)
            self._write_inputs(list(enumerate(spans)), size[0])
            self._run_step(*size)
            own = self._output(len(expected)).clone()
        except Exception as error:  # noqa: BLE001 - a model's code may raise anything when it is recorded
            self._stop_recording(_reason(error))
            return
        _, positions, slots = self._inputs[:, : size[0]]
        self._cache.poison(slots, positions)
        got = self._output(len(expected)).fill_(torch.nan)
        recording = self._recordings[size]
        self._replay(recording)
        recording.trials_left -= 1
        from_own, from_plain = (logit_distance(list(one.float()), list(got.float())) for one in (own, expected))
        # if a distance is NaN, this is False
        right = from_own <= min(REPLAY_TOLERANCE, self._tolerance) and from_plain <= self._tolerance
        if not right or self._cache.is_poisoned(slots, positions):
            apart = max(from_own, from_plain)
            self._stop_recording(f"a replay's logits differ by {apart:.2g} of their standard deviation")
            raise CacheLost

    def _record(self, recorder: Recorder, size: tuple[int, int], real: int) -> _Recording:
        """Record a step of dummy inputs: token 0 at position 0 of one slot in all rows.

        `real` is a slot of the step that will be tried. The dummies use another slot, if there is one.
        """
        slot = (real + 1) % self._cache.slots
        self._inputs.zero_()
        self._inputs[2].fill_(slot)
        with self._cache.keeping_first_token(slot):
            return _Recording(recorder(lambda: self._run_step(*size)))

    def _replay(self, recording: _Recording) -> None:
        try:
            recording.replay()
        except torch.AcceleratorError:
            raise  # the device itself is gone
        except Exception as error:
            self._stop_recording(_reason(error))
            raise CacheLost from error

    def _stop_recording(self, reason: str) -> None:
        self._recorder = None
        self.drop_recordings()
        logger().warning("engine.graphs_stopped", reason=reason)

    def _write_inputs(self, rows: Sequence[tuple[int, Span]], padded: int, tokens: torch.Tensor | None = None) -> None:
        """Write tokens, positions and slots to the buffers that recordings read. One span is repeated to fill `padded` rows.

        If `tokens` is given (on the device), each span's token is taken from `tokens`, at the index beside the span in `rows`.
        Otherwise each span's token is taken from the span's sequence.
        """
        first = min(rows, key=lambda row: row[1].start)
        filled = [*rows, *[first] * (padded - len(rows))]
        tokens_or_rows = [
            row if tokens is not None else span.sequence.tokens(span.start, span.start + 1)[0] for row, span in filled
        ]
        # new memory for each step, because the device may copy from it only later
        host = torch.zeros(self._inputs.shape, dtype=torch.long, pin_memory=self._inputs.is_cuda)
        places = zip(*((span.start, span.sequence.slot) for _, span in filled), strict=True)
        host[:, :padded] = torch.tensor([tokens_or_rows, *places])
        self._inputs.copy_(host, non_blocking=True)
        if tokens is not None:
            self._inputs[0, :padded] = tokens[self._inputs[0, :padded]]

    def _run_step(self, rows: int, max_length: int) -> None:
        tokens, positions, slots = self._inputs[:, :rows]
        layout = Layout(slots, positions, (), covered_slots=self._cache.slots, max_length=max_length, repeats=True)
        self._output(rows).copy_(self._forward(tokens[None], positions[None], layout))

    def _output(self, rows: int) -> torch.Tensor:
        if self._logits is None:
            raise RuntimeError("no step was recorded")
        return self._logits[:rows]

    def _size(self, spans: Sequence[Span]) -> tuple[int, int]:
        """Return the size of the recording for a step: its number of rows, and its maximum length."""
        return padded_rows(len(spans)), self._max_length_for(max(span.start for span in spans) + 1)

    def _max_length_for(self, max_length: int) -> int:
        length = MIN_LENGTH
        while length < max_length:
            length *= 2
        return min(length, self._cache.length)


def padded_rows(rows: int) -> int:
    """Return how many rows a recording for this many decode tokens has: a power of two up to 8, then a multiple of 8."""
    return 1 << (rows - 1).bit_length() if rows <= 8 else -(-rows // 8) * 8


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
