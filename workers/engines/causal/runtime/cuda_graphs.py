"""Steps of single tokens as they are replayed on a GPU: recorded once for each size, without Python between the kernels.

A recording reads its tokens, places and slots from buffers that stay where they are. It is made for a number of texts and a
reach, and serves every step that fits: the rows left over repeat one of the step's own texts, which writes the same numbers
once more to the same place. A recording is made of other tokens, places and slots than it is for, and believed only after it
gave the logits of plain steps twice, with nothing of them in the cache beforehand; one that cannot be made, or differs, ends
all recording, and steps go on as they were.

A step can be begun before anyone has read the tokens that it continues: they go from the device to the device, and what Python
does with them takes place meanwhile. A text that turns out to have ended with its token has a row too many then, which wrote
behind all that its slot is known to hold.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from jobs.logs import logger
from workers.engines.causal.runtime.attention import Layout
from workers.engines.causal.runtime.kv_cache import SlotCache
from workers.engines.causal.runtime.logit_distance import difference
from workers.engines.causal.sequences import Piece, Text

TRIALS: Final = 2
"""Steps that a recording must get right before it is believed."""

PATIENCE: Final = 4
"""A size that is asked for less often than this is not worth a recording."""

SHORTEST: Final = 256
SAME: Final = 0.02
"""How far a replay may be from the very step that was recorded, in parts of the spread: its products are of the same sizes."""

Step = Callable[[], None]
Recorder = Callable[[Step], Step]
"""Takes a step that reads and writes buffers only, and returns what repeats it. It may run the step, but need not."""

Forward = Callable[[torch.Tensor, torch.Tensor, Layout], torch.Tensor]
"""From tokens [1, n], places [1, n] and a layout to the logits [n, vocabulary]."""


class CacheLost(Exception):
    """A replay was wrong, so nothing that the cache holds can be trusted."""


class CudaGraphs:
    """Records with CUDA graphs, which all share one pool of memory, since only one of them runs at a time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, step: Step) -> Step:
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            step()  # what is set up at a first run must not be recorded
        current.wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                step()
        except Exception:
            torch.cuda.set_stream(current)  # which leaving a failed capture may not do
            raise
        return graph.replay


@dataclass
class _Recording:
    replay: Step
    trials: int = TRIALS


class RecordedSteps:
    """The recordings of a network over a cache.

    Args:
        forward: Computes single tokens. It must follow from its arguments and the cache alone.
        cache: Recordings are dropped when its blocks move.
        recorder: How a step is recorded.
        device: Where the network is.
        slots: The most texts of a step.
        tolerance: How far logits may differ from those of the plain step, in parts of their spread.
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
        self._inputs = torch.zeros(3, texts_for(slots), dtype=torch.long, device=device)
        self._logits: torch.Tensor | None = None
        self._begun: dict[tuple[Text, int], int] = {}
        self._asked: Counter[tuple[int, int]] = Counter()
        self._recordings: dict[tuple[int, int], _Recording] = {}
        cache.before_moving = self.forget

    def forget(self) -> None:
        """Drop all recordings, since what they read is about to move, and what was begun with them."""
        self._recordings.clear()
        self._begun = {}

    def begin(self, rows: Sequence[tuple[int, Piece]], tokens: torch.Tensor) -> None:
        """Begin a step of single tokens, if it can be replayed. Each is given by its row in `tokens`, which nobody has read yet.

        Raises:
            CacheLost: As `logits`.
        """
        if not rows:
            return
        size = self._size([piece for _, piece in rows])
        recording = self._recordings.get(size)
        if recording is None or recording.trials:
            return
        self._fill(rows, size[0], tokens)
        self._replay(recording)
        self._begun = {(piece.text, piece.start): row for row, (_, piece) in enumerate(rows)}

    def begun(self, pieces: Sequence[Piece]) -> torch.Tensor | None:
        """The logits [texts, vocabulary] of the first pieces, if they were begun, and no others were; asked for once."""
        begun, self._begun = self._begun, {}
        rows = [begun.get((piece.text, piece.start)) for piece in pieces]
        known = [row for row in rows if row is not None]
        if not known or rows[: len(known)] != known:
            return None
        if known == list(range(len(known))):
            return self._out(len(known))
        return self._out(max(known) + 1)[torch.tensor(known, device=self._inputs.device)]

    def logits(self, pieces: Sequence[Piece], plain: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The logits [texts, vocabulary] after single tokens, each the last of its text; `plain` computes the same.

        Raises:
            CacheLost: A replay differed from `plain`. All that is in the cache must be computed anew.
        """
        size = self._size(pieces)
        recording = self._recordings.get(size)
        if recording is not None and not recording.trials:
            self._fill(list(enumerate(pieces)), size[0])
            self._replay(recording)
            return self._out(len(pieces))
        expected = plain()
        self._asked[size] += 1
        if self._recorder is not None and self._asked[size] >= PATIENCE:
            self._try(self._recorder, size, pieces, expected)
        return expected

    def _try(self, recorder: Recorder, size: tuple[int, int], pieces: Sequence[Piece], expected: torch.Tensor) -> None:
        """Record a step of this size, if that was not done before, and see whether it gives the logits of the plain one."""
        try:
            if self._logits is None:
                self._logits = expected.new_empty(self._inputs.shape[1], expected.shape[1])
            if size not in self._recordings:
                self._recordings[size] = self._record(recorder, size, pieces[0].text.slot)
            self._fill(list(enumerate(pieces)), size[0])
            self._step(*size)
            own = self._out(len(expected)).clone()
        except Exception as error:  # noqa: BLE001 - a model's own code may raise anything when it is recorded
            self._give_up(_reason(error))
            return
        _, places, slots = self._inputs[:, : size[0]]
        self._cache.spoil(slots, places)
        got = self._out(len(expected)).fill_(torch.nan)
        recording = self._recordings[size]
        self._replay(recording)
        recording.trials -= 1
        same, alike = (difference(list(one.float()), list(got.float())) for one in (own, expected))
        right = same <= min(SAME, self._tolerance) and alike <= self._tolerance  # either may be no number
        if not right or self._cache.is_spoilt(slots, places):
            self._give_up(f"a replay's logits differ from the step's own by {max(same, alike):.2g} of their spread")
            raise CacheLost

    def _record(self, recorder: Recorder, size: tuple[int, int], real: int) -> _Recording:
        """Record with one token again and again, at the first place of a slot that is not the real one, if there is another."""
        slot = (real + 1) % self._cache.slots
        self._inputs.zero_()
        self._inputs[2].fill_(slot)
        with self._cache.lent(slot):
            return _Recording(recorder(lambda: self._step(*size)))

    def _replay(self, recording: _Recording) -> None:
        try:
            recording.replay()
        except torch.AcceleratorError:
            raise  # the device itself is gone
        except Exception as error:
            self._give_up(_reason(error))
            raise CacheLost from error

    def _give_up(self, reason: str) -> None:
        self._recorder = None
        self.forget()
        logger().warning("engine.unrecorded", reason=reason)

    def _fill(self, rows: Sequence[tuple[int, Piece]], texts: int, tokens: torch.Tensor | None = None) -> None:
        """Put tokens, places and slots where recordings read them: tokens as they are known, or rows of those on the device."""
        first = min(rows, key=lambda row: row[1].start)
        filled = [*rows, *[first] * (texts - len(rows))]
        known = [
            row if tokens is not None else piece.text.tokens(piece.start, piece.start + 1)[0] for row, piece in filled
        ]
        # memory of its own each time, which is not used again before it was read
        host = torch.zeros(self._inputs.shape, dtype=torch.long, pin_memory=self._inputs.is_cuda)
        host[:, :texts] = torch.tensor([known, *zip(*((p.start, p.text.slot) for _, p in filled), strict=True)])
        self._inputs.copy_(host, non_blocking=True)
        if tokens is not None:
            self._inputs[0, :texts] = tokens[self._inputs[0, :texts]]

    def _step(self, texts: int, reach: int) -> None:
        tokens, places, slots = self._inputs[:, :texts]
        layout = Layout(slots, places, (), rows=self._cache.slots, reach=reach, repeats=True)
        self._out(texts).copy_(self._forward(tokens[None], places[None], layout))

    def _out(self, texts: int) -> torch.Tensor:
        if self._logits is None:
            raise RuntimeError("no step was recorded")
        return self._logits[:texts]

    def _size(self, pieces: Sequence[Piece]) -> tuple[int, int]:
        """Texts and reach of the recording that serves a step."""
        return texts_for(len(pieces)), self._reach_for(max(piece.start for piece in pieces) + 1)

    def _reach_for(self, reach: int) -> int:
        wanted = SHORTEST
        while wanted < reach:
            wanted *= 2
        return min(wanted, self._cache.length)


def texts_for(texts: int) -> int:
    """How many rows a recording for so many texts has."""
    return 1 << (texts - 1).bit_length() if texts <= 8 else -(-texts // 8) * 8


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
