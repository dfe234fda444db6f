"""One step of a model over the slots: tokens in, the next token of each text out. The only part that runs the network.

All tokens of a step, of whatever texts, go through the network as one row, so its products are as large as they can be,
and only the places where a token is to be chosen reach the vocabulary.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from workers.engines.causal.runtime.attention import LAYOUT, Chunk, Layout
from workers.engines.causal.runtime.cuda_graphs import RecordedSteps, Recorder
from workers.engines.causal.runtime.kv_cache import SlotCache
from workers.engines.causal.runtime.logit_distance import TOLERANCE
from workers.engines.causal.sampler import Drawing, choose
from workers.engines.causal.sequences import Piece


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time of a step went, in nanoseconds: attention, which grows with what is read, all layers, and choosing."""

    attention_ns: int
    layers_ns: int
    choosing_ns: int


class Runtime:
    """A network with a cache of slots.

    Args:
        network: A model of transformers whose attention is `attention.NAME`.
        device: Where it is.
        layers: How many layers keep keys and values.
        eos: The tokens that end a text.
        recorder: How steps of single tokens are recorded, to be replayed; None: they are not.
    """

    def __init__(
        self,
        network: Any,
        device: torch.device,
        *,
        layers: int,
        slots: int,
        length: int,
        eos: Sequence[int],
        recorder: Recorder | None = None,
    ) -> None:
        self._network = network
        self._device = device
        self._eos = eos
        self._weight_bytes = sum(one.numel() * one.element_size() for one in network.parameters())
        self.cache = SlotCache(layers, slots, length)
        self._recorded: RecordedSteps | None = None
        if recorder is not None:
            tolerance = TOLERANCE.get(network.dtype, TOLERANCE[torch.bfloat16])  # narrower formats compute in it
            self._recorded = RecordedSteps(
                self._forward, self.cache, recorder, device, slots=slots, tolerance=tolerance
            )

    @torch.inference_mode()
    def run(self, pieces: Sequence[Piece], drawings: Sequence[Drawing]) -> tuple[list[int], Spent]:
        """Compute the pieces. Returns the next token for each place that one is chosen after, in order, and the times.

        `pieces` are single tokens by slot, then chunks; `drawings` belong to those places.

        Raises:
            CacheLost: The step is to be made again, after all that the cache holds.
        """
        began_ns = time.perf_counter_ns()
        logits, attention_ns = self._computed(pieces)
        ran_ns = time.perf_counter_ns()
        chosen = self._chosen(pieces, choose(logits, drawings, self._eos)) if drawings else []
        now_ns = time.perf_counter_ns()
        if self._device.type != "cpu":
            return chosen, self._estimated(pieces, now_ns - began_ns)
        return chosen, Spent(attention_ns, ran_ns - began_ns - attention_ns, now_ns - ran_ns)

    @torch.inference_mode()
    def logits(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """The logits [last pieces, vocabulary] alone."""
        return self._logits(pieces, *self._layout(pieces))

    @torch.inference_mode()
    def copy(self, source: int, target: int, tokens: int) -> None:
        """Let slot `target` begin with the first tokens of slot `source`."""
        self.cache.copy(source, target, tokens)

    def close(self) -> None:
        """Give memory back. What is recorded refers to the runtime in a circle, which would keep the network."""
        self.cache.clear(0, 0)
        self.cache.before_moving = lambda: None
        self._recorded = None

    def _computed(self, pieces: Sequence[Piece]) -> tuple[torch.Tensor, int]:
        """The logits of a step, as far as it was begun those, and the time that its attention took, where that is known."""
        begun = self._recorded.begun(pieces) if self._recorded is not None else None
        if begun is None:
            return self._computed_now(pieces)
        if len(begun) == len(pieces):
            return begun, 0
        begun = begun.clone()  # a replay of the rest writes where it stands
        logits, attention_ns = self._computed_now(pieces[len(begun) :])
        return torch.cat([begun, logits]), attention_ns

    def _computed_now(self, pieces: Sequence[Piece]) -> tuple[torch.Tensor, int]:
        """The same of what was not begun, replayed where it can be."""
        if self._recorded is not None and all(piece.size == 1 and piece.last for piece in pieces):
            return self._recorded.logits(pieces, lambda: self._logits(pieces, *self._layout(pieces))), 0
        layout, last = self._layout(pieces)
        return self._logits(pieces, layout, last), layout.attention_ns

    def _chosen(self, pieces: Sequence[Piece], chosen: torch.Tensor) -> list[int]:
        """The tokens as numbers. Where steps are replayed the next one is begun before they are waited for."""
        if self._recorded is None:
            return chosen.tolist()
        host = torch.empty_like(chosen, device="cpu", pin_memory=chosen.is_cuda).copy_(chosen, non_blocking=True)
        here = torch.cuda.current_stream(chosen.device).record_event() if chosen.is_cuda else None
        self._recorded.begin(_following(pieces), chosen)
        if here is not None:
            here.synchronize()
        return host.tolist()

    def _estimated(self, pieces: Sequence[Piece], spent_ns: int) -> Spent:
        """The same of a device that goes on while Python does, so that nothing within a step is timed: by bytes read."""
        read = sum(piece.start + piece.size for piece in pieces) * self.cache.token_bytes
        attention_ns = spent_ns * read // (read + self._weight_bytes)
        return Spent(attention_ns, spent_ns - attention_ns, 0)

    def _logits(self, pieces: Sequence[Piece], layout: Layout, last: Sequence[int]) -> torch.Tensor:
        ids = [token for piece in pieces for token in piece.text.tokens(piece.start, piece.start + piece.size)]
        places = [place for piece in pieces for place in range(piece.start, piece.start + piece.size)]
        keep = torch.tensor(last or [0], device=self._device)
        return self._forward(self._row(ids), self._row(places), layout, keep)[: len(last)]

    def _forward(
        self, ids: torch.Tensor, places: torch.Tensor, layout: Layout, keep: torch.Tensor | int = 0
    ) -> torch.Tensor:
        """The logits [kept, vocabulary]; 0 keeps all."""
        token = LAYOUT.set(layout)
        try:
            out = self._network(
                input_ids=ids, position_ids=places, past_key_values=self.cache, use_cache=True, logits_to_keep=keep
            )
        finally:
            LAYOUT.reset(token)
        logits: torch.Tensor = out.logits[0]
        return logits

    def _layout(self, pieces: Sequence[Piece]) -> tuple[Layout, list[int]]:
        """Where the pieces stand in the row, and the places after which a token is chosen."""
        singles = _singles(pieces)
        last = [n for n, piece in enumerate(singles) if piece.last]
        chunks, place = [], len(singles)
        for piece in pieces[len(singles) :]:
            chunks.append(Chunk(piece.text.slot, place, piece.start, piece.size))
            place += piece.size
            last += range(place - piece.last, place)
        slots = [piece.text.slot for piece in singles]
        positions = [piece.start for piece in singles]
        layout = Layout(
            torch.tensor(slots, dtype=torch.long, device=self._device),
            torch.tensor(positions, dtype=torch.long, device=self._device),
            tuple(chunks),
            rows=max(slots, default=-1) + 1,
            reach=max(positions, default=-1) + 1,
        )
        return layout, last

    def _row(self, values: Sequence[int]) -> torch.Tensor:
        return torch.tensor([values], dtype=torch.long, device=self._device)


def _following(pieces: Sequence[Piece]) -> list[tuple[int, Piece]]:
    """The next step as far as it is known before the tokens are: of texts that may go on, by the row of the token.

    None while a prompt is being read, beside which single tokens cost little.
    """
    if not all(piece.last for piece in pieces):
        return []
    found, row = [], 0
    for piece in pieces:
        text = piece.text
        if not text.given and len(text.written) + 1 < text.request.prompt.params.max_tokens:
            found.append((row, Piece(text, piece.start + piece.size, 1, last=1)))
        row += piece.last
    return sorted(found, key=lambda one: one[1].text.slot)


def _singles(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """The single tokens that the pieces begin with, by slot; a chunk may be a single token too, and stands where it stands."""
    n = 0
    while n < len(pieces) and pieces[n].size == 1 and (n == 0 or pieces[n - 1].text.slot < pieces[n].text.slot):
        n += 1
    return pieces[:n]
