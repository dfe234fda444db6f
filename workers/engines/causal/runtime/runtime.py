"""The runtime computes one step of a network over the slots: tokens go in, the next token of each sequence comes out.

Nothing else in the slot engine runs the network. All tokens that a step computes go through the network as one sequence of
tokens, so that the matrix products are as large as possible. Logits are computed only for the tokens after which a next token is
sampled.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from workers.engines.causal.adapters.bank import AdapterBank
from workers.engines.causal.runtime.attention import LAYOUT, Chunk, Layout
from workers.engines.causal.runtime.cuda_graphs import RecordedSteps, Recorder
from workers.engines.causal.runtime.kv_cache import SlotCache
from workers.engines.causal.runtime.logit_distance import TOLERANCE
from workers.engines.causal.runtime.rotary import IN_LONG_TEXT
from workers.engines.causal.sampler import SamplingState, sample
from workers.engines.causal.sequences import Span


@dataclass(frozen=True, slots=True)
class StepTime:
    """The time of a step, in nanoseconds: attention, the rest of the network, and sampling."""

    attention_ns: int
    layers_ns: int
    sampling_ns: int


class Runtime:
    """A network with a KV cache of slots.

    Args:
        network: A model of transformers whose attention is `attention.ATTENTION_NAME`.
        device: The device of the network.
        layers: The number of layers that keep keys and values.
        slots: The number of slots.
        length: The length of a slot, in tokens.
        eos: The tokens that end a sequence.
        recorder: Records decode steps, so that they can be replayed. If None, every step is computed anew.
        adapters: The adapters of the network; None if it has none.
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
        adapters: AdapterBank | None = None,
    ) -> None:
        self._adapters = adapters
        self._network = network
        self._device = device
        self._eos = eos
        self._weight_bytes = sum(one.numel() * one.element_size() for one in network.parameters())
        self.cache = SlotCache(layers, slots, length)
        self._recorded_steps: RecordedSteps | None = None
        if recorder is not None:
            # formats that TOLERANCE lacks are narrower, and compute in bfloat16
            tolerance = TOLERANCE.get(network.dtype, TOLERANCE[torch.bfloat16])
            self._recorded_steps = RecordedSteps(
                self._forward, self.cache, recorder, device, slots=slots, tolerance=tolerance
            )

    @torch.inference_mode()
    def run(self, spans: Sequence[Span], sampling_states: Sequence[SamplingState]) -> tuple[list[int], StepTime]:
        """Compute a step. Returns a sampled token for each of the `sampling_states`, in order, and the step's time.

        Args:
            spans: Decode tokens by slot, then chunks of prefills.
            sampling_states: One for each token that is sampled, in the order of the spans.

        Raises:
            CacheLost: The cache may hold wrong values: clear it, and compute everything in it again before this step.
        """
        began_ns = time.perf_counter_ns()
        logits, attention_ns = self._step_logits(spans)
        ran_ns = time.perf_counter_ns()
        sampled = self._to_host(spans, sample(logits, sampling_states, self._eos)) if sampling_states else []
        now_ns = time.perf_counter_ns()
        if self._device.type != "cpu":
            return sampled, self._estimated_time(spans, now_ns - began_ns)
        return sampled, StepTime(attention_ns, ran_ns - began_ns - attention_ns, now_ns - ran_ns)

    @torch.inference_mode()
    def logits(self, spans: Sequence[Span]) -> torch.Tensor:
        """Compute a step's logits [samples, vocabulary] without sampling."""
        return self._logits_of(spans, *self._layout(spans))

    @torch.inference_mode()
    def copy_prefix(self, source: int, target: int, tokens: int) -> None:
        """Copy the keys and values of the first tokens of slot `source` to slot `target`."""
        self.cache.copy(source, target, tokens)

    def close(self) -> None:
        """Free the memory at once.

        Otherwise the network would stay alive for a while, because the runtime and its recorded steps refer to each other.
        """
        self.cache.clear(0, 0)
        self.cache.before_reallocation = lambda: None
        self._recorded_steps = None

    def _step_logits(self, spans: Sequence[Span]) -> tuple[torch.Tensor, int]:
        """Return two values: the step's logits, and the nanoseconds spent in attention (0 if unknown).

        The logits of spans that were launched ahead are collected. Those of all other spans are computed now.
        """
        collected = self._recorded_steps.collect(spans) if self._recorded_steps is not None else None
        if collected is None:
            return self._fresh_logits(spans)
        if len(collected) == len(spans):
            return collected, 0
        collected = collected.clone()  # a replay of the other spans writes to the same memory
        logits, attention_ns = self._fresh_logits(spans[len(collected) :])
        return torch.cat([collected, logits]), attention_ns

    def _fresh_logits(self, spans: Sequence[Span]) -> tuple[torch.Tensor, int]:
        """Return the values of `_step_logits` for spans that were not launched ahead. Replays a recorded step if there is one."""
        if self._recorded_steps is not None and all(map(_is_recordable, spans)):
            return self._recorded_steps.logits(spans, lambda: self._logits_of(spans, *self._layout(spans))), 0
        layout, logit_rows = self._layout(spans)
        return self._logits_of(spans, layout, logit_rows), layout.attention_ns

    def _to_host(self, spans: Sequence[Span], sampled: torch.Tensor) -> list[int]:
        """Return the sampled tokens as numbers. If steps are recorded, launches the next step before waiting for the numbers."""
        if self._recorded_steps is None:
            return sampled.tolist()
        host = torch.empty_like(sampled, device="cpu", pin_memory=sampled.is_cuda).copy_(sampled, non_blocking=True)
        copied = torch.cuda.current_stream(sampled.device).record_event() if sampled.is_cuda else None
        self._recorded_steps.launch(_next_decodes(spans), sampled)
        if copied is not None:
            copied.synchronize()
        return host.tolist()

    def _estimated_time(self, spans: Sequence[Span], spent_ns: int) -> StepTime:
        """Split a step's time by the bytes that its parts read. Python cannot time the parts, since a GPU runs them later."""
        read = sum(span.start + span.size for span in spans) * self.cache.token_bytes
        attention_ns = spent_ns * read // (read + self._weight_bytes)
        return StepTime(attention_ns, spent_ns - attention_ns, 0)

    def _logits_of(self, spans: Sequence[Span], layout: Layout, logit_rows: Sequence[int]) -> torch.Tensor:
        ids = [token for span in spans for token in span.sequence.tokens(span.start, span.start + span.size)]
        positions = [position for span in spans for position in range(span.start, span.start + span.size)]
        keep = torch.tensor(logit_rows or [0], device=self._device)
        with self._applied(spans):
            return self._forward(self._row(ids), self._row(positions), layout, keep)[: len(logit_rows)]

    def _applied(self, spans: Sequence[Span]) -> AbstractContextManager[None]:
        """Return a context in which the network applies the adapters of these spans to their tokens."""
        if self._adapters is None:
            return nullcontext()
        return self._adapters.applied([span.sequence.adapter for span in spans for _ in range(span.size)])

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, layout: Layout, keep: torch.Tensor | int = 0
    ) -> torch.Tensor:
        """Return the logits [kept, vocabulary] of the tokens whose indices `keep` holds; 0 keeps all."""
        token, in_long_text = LAYOUT.set(layout), IN_LONG_TEXT.set(layout.in_long_text)
        try:
            out = self._network(
                input_ids=ids, position_ids=positions, past_key_values=self.cache, use_cache=True, logits_to_keep=keep
            )
        finally:
            LAYOUT.reset(token)
            IN_LONG_TEXT.reset(in_long_text)
        logits: torch.Tensor = out.logits[0]
        return logits

    def _layout(self, spans: Sequence[Span]) -> tuple[Layout, list[int]]:
        """Return the layout of the step's tokens, and the indices of the tokens after which a next token is sampled."""
        decodes = _leading_decodes(spans)
        logit_rows = [n for n, span in enumerate(decodes) if span.samples]
        chunks, row_start = [], len(decodes)
        for span in spans[len(decodes) :]:
            chunks.append(Chunk(span.sequence.slot, row_start, span.start, span.size))
            row_start += span.size
            logit_rows += range(row_start - span.samples, row_start)
        slots = [span.sequence.slot for span in decodes]
        positions = [span.start for span in decodes]
        layout = Layout(
            torch.tensor(slots, dtype=torch.long, device=self._device),
            torch.tensor(positions, dtype=torch.long, device=self._device),
            tuple(chunks),
            covered_slots=max(slots, default=-1) + 1,
            max_length=max(positions, default=-1) + 1,
            in_long_text=self._in_long_text(spans),
        )
        return layout, logit_rows

    def _in_long_text(self, spans: Sequence[Span]) -> torch.Tensor | bool:
        """Return a mask [1, tokens] of the step's tokens that belong to a long text; False if no token does."""
        if not any(span.sequence.is_long for span in spans):
            return False
        tokens = [span.sequence.is_long for span in spans for _ in range(span.size)]
        return torch.tensor([tokens], dtype=torch.bool, device=self._device)

    def _row(self, values: Sequence[int]) -> torch.Tensor:
        return torch.tensor([values], dtype=torch.long, device=self._device)


def _is_recordable(span: Span) -> bool:
    """Whether a recorded step (CUDA graph) can compute this span: one token, after which a next token is sampled.

    A recording cannot compute a scored continuation (`forced`) of a long text. All tokens of such a text take the rotary
    positions of long texts, even tokens before the boundary (`LengthSwitch`). But a recording sees only a token's position, so
    it would take the tokens before the boundary as tokens of a short text. Nor can a recording apply an adapter: which rows have
    which adapter changes from step to step.
    """
    if span.sequence.adapter is not None:
        return False
    return span.size == 1 and span.samples > 0 and not (span.sequence.forced and span.sequence.is_long)


def _next_decodes(spans: Sequence[Span]) -> list[tuple[int, Span]]:
    """Return the next step's decodes: pairs of the index of a sampled token, and the span that will compute that token.

    There is one pair for each sequence that may continue. The list is empty while a prompt is in its prefill: the next step
    continues the prefill, and computing the decodes together with the prefill costs little.
    """
    if not all(span.samples and span.sequence.adapter is None for span in spans):
        return []
    found, row = [], 0
    for span in spans:
        sequence = span.sequence
        if not sequence.forced and len(sequence.output) + 1 < sequence.request.prompt.params.max_tokens:
            found.append((row, Span(sequence, span.start + span.size, 1, samples=1)))
        row += span.samples
    return sorted(found, key=lambda one: one[1].sequence.slot)


def _leading_decodes(spans: Sequence[Span]) -> Sequence[Span]:
    """Return the decodes, which stand before the chunks in `spans`.

    The first chunk is the first span that has several tokens, or whose slot is not higher than the slot of the span before.
    """
    n = 0
    while n < len(spans) and spans[n].size == 1 and (n == 0 or spans[n - 1].sequence.slot < spans[n].sequence.slot):
        n += 1
    return spans[:n]
