"""The scheduler decides which sequence runs in which slot, and which tokens a step computes. It knows no tensors.

Waiting sequences are admitted in order of arrival. A slot keeps its tokens after its sequence has ended, until another sequence
needs the slot. The slot that has been free for longest is used first.

Prefix sharing: if a new sequence begins with the same tokens as a slot, the keys and values of these tokens are taken from the
slot instead of being computed. If the sequence begins like a prompt that is still in its prefill, the sequence waits for that
prompt. If a model's keys differ between long and short texts (`LengthSwitch`), a long text shares no prefix with a short one.

Adapters: sequences whose adapter is in memory may overtake those whose adapter is not (`adapters/residency`), since an adapter
that is loaded for many sequences costs less. Sequences with different adapters share no prefix.

Chunked prefill: a step computes one token of every decoding sequence, and as many tokens of prompts as its budget of tokens
(`step_tokens`) has room for.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from workers.engines.causal.adapters.residency import Residency
from workers.engines.causal.sequences import LengthSwitch, Span, TokenSequence

MAX_FORCED_SAMPLES: Final = 256
"""A step scores at most this many tokens of continuations, since each needs the logits of the whole vocabulary."""

MAX_GATHER_STEPS: Final = 32
"""Free slots stay empty for at most this many steps while the scheduler waits for more free slots, to admit several sequences
together (`admit_together`)."""

MIN_SHARED_PREFIX: Final = 8
"""A sequence waits for a prompt that is still in its prefill only if waiting saves computing at least this many tokens."""


@dataclass(frozen=True, slots=True)
class PrefixCopy:
    """An order to copy the keys and values of the first `tokens` tokens of slot `source` to slot `target`."""

    source: int
    target: int
    tokens: int


@dataclass(slots=True)
class _Slot:
    """A slot of the KV cache: the tokens that it holds, how they were computed, and the sequence that runs in it."""

    tokens: list[int] = field(default_factory=list)
    adapter: str | None = None
    is_long: bool = False
    sequence: TokenSequence | None = None


class Scheduler:
    """Holds the waiting sequences and the slots, and plans each step.

    Args:
        slots: The largest number of sequences that run at once.
        step_tokens: The largest number of tokens that a step computes. Decoding sequences come first, with one token each.
        prefix_sharing: Whether common prefixes are copied from other slots.
        admit_together: Sequences wait until this many slots are free, and are then admitted together. This is for engines whose
            prefill steps cost much more than their decode steps.
        length_switch: How the model's rotary positions change with the length of a text; None if they do not.
        residency: Which adapters are in memory; None if the model has none. A sequence whose adapter has no place there waits,
            and others are admitted before it.
    """

    def __init__(
        self,
        slots: int,
        step_tokens: int,
        *,
        prefix_sharing: bool = True,
        admit_together: int = 1,
        length_switch: LengthSwitch | None = None,
        residency: Residency | None = None,
    ) -> None:
        self._residency = residency
        self._step_tokens = step_tokens
        self._length_switch = length_switch
        self._admit_together = admit_together
        self._gather_steps = 0
        self._prefix_sharing = prefix_sharing
        self.waiting: deque[TokenSequence] = deque()
        self._slots = [_Slot() for _ in range(slots)]
        self._free: deque[int] = deque(range(slots))

    @property
    def running(self) -> list[TokenSequence]:
        """The running sequences, by slot."""
        return [slot.sequence for slot in self._slots if slot.sequence is not None]

    @property
    def slots(self) -> int:
        """How many sequences can run at once."""
        return len(self._slots)

    def resize(self, slots: int, length: int) -> list[TokenSequence]:
        """Change the number of slots and their length in tokens. The cache must be resized in the same way.

        Returns the running sequences whose slots are gone.
        """
        preempted = [slot.sequence for slot in self._slots[slots:] if slot.sequence is not None]
        for slot in self._slots:
            del slot.tokens[length:]
        self._slots = self._slots[:slots] + [_Slot() for _ in range(slots - len(self._slots))]
        free = [number for number in self._free if number < slots]
        self._free = deque(
            free + [number for number in range(slots) if number not in free and self._slots[number].sequence is None]
        )
        return preempted

    def clear(self) -> list[TokenSequence]:
        """Empty all slots, because the cache has been cleared. Returns the sequences that were running."""
        preempted = self.running
        self._slots = [_Slot() for _ in self._slots]
        self._free = deque(range(len(self._slots)))
        return preempted

    def preempt(self, sequences: Iterable[TokenSequence]) -> None:
        """Let sequences that lost their slots wait, before all others. They keep their output, but are computed anew."""
        for sequence in reversed(list(sequences)):
            sequence.slot, sequence.computed = -1, 0
            self.waiting.appendleft(sequence)

    def admit(self, length: int) -> list[PrefixCopy]:
        """Give free slots to waiting sequences, in order, and stop at the first that needs more than `length` tokens.

        Sequences whose adapters have no place in memory are passed over (`Residency`).

        Returns the copies of prefixes that must be made before the next step.
        """
        copies: list[PrefixCopy] = []
        later: list[TokenSequence] = []
        if self._is_gathering():
            return copies
        while self.waiting and self._free and self.waiting[0].needed_length <= length:
            sequence = self.waiting.popleft()
            if not self._has_adapter(sequence):
                later.append(sequence)
                continue
            sequence.is_long = self._is_long(sequence)
            source, shared, upcoming = self._best_prefix(sequence)
            if upcoming >= shared + MIN_SHARED_PREFIX:
                later.append(sequence)
                continue
            copies += self._assign_slot(sequence, source, shared)
            if self._residency is not None:
                self._residency.note_admitted(self._adapters_at_work(), overtook=any(map(self._lacks_place, later)))
        self.waiting.extendleft(reversed(later))
        return copies

    def schedule(self) -> list[Span]:
        """Return the spans of the next step: one token of each decoding sequence, ordered by slot, then chunks of prefills.

        The chunks fit into the step's budget of tokens. Short chunks come before long ones, because `Layout` needs that order.
        """
        decodes: list[TokenSequence] = []
        prefills: list[TokenSequence] = []
        for sequence in self.running:
            self._restart_if_long(sequence)
            (decodes if sequence.known - sequence.computed == 1 else prefills).append(sequence)
        decode_spans = [Span(sequence, sequence.computed, 1, samples=1) for sequence in decodes]
        budget, samples = max(self._step_tokens - len(decode_spans), 1), MAX_FORCED_SAMPLES
        chunks: list[Span] = []
        for sequence in prefills:
            size = min(
                sequence.known - sequence.computed,
                budget,
                max(sequence.sampling_position - sequence.computed, 0) + samples,
            )
            if size > 0:
                chunks.append(Span.of(sequence, size))
                budget -= size
                samples -= chunks[-1].samples if sequence.forced else 0
        return decode_spans + sorted(chunks, key=attrgetter("size"))

    def mark_computed(self, spans: Iterable[Span]) -> None:
        """Note that a step is done: the keys and values of these spans are in the cache."""
        for span in spans:
            sequence, end = span.sequence, span.start + span.size
            self._slots[sequence.slot].tokens += sequence.tokens(span.start, end)
            sequence.computed = end

    def finish(self, sequence: TokenSequence) -> None:
        """Free the slot of a sequence that has ended. The slot keeps its tokens until another sequence needs the slot."""
        self._slots[sequence.slot].sequence = None
        self._free.append(sequence.slot)
        sequence.slot = -1

    def fail(self, sequence: TokenSequence) -> None:
        """Free the slot of a sequence that has failed, and forget the slot's tokens: their keys and values may be wrong."""
        self._slots[sequence.slot].tokens = []
        self.finish(sequence)

    def _has_adapter(self, sequence: TokenSequence) -> bool:
        """Whether the adapter of a sequence has a place in memory, or gets one now."""
        if self._residency is None or sequence.adapter is None:
            return True
        return self._residency.admit(sequence.adapter, self._adapters_at_work(), (one.adapter for one in self.waiting))

    def _lacks_place(self, sequence: TokenSequence) -> bool:
        return self._residency is not None and not self._residency.has(sequence.adapter)

    def _adapters_at_work(self) -> set[str]:
        """The adapters of the running sequences."""
        return {sequence.adapter for sequence in self.running if sequence.adapter is not None}

    def _is_gathering(self) -> bool:
        """Whether free slots stay empty in this step, so that more sequences are admitted together later.

        Sequences are admitted now in any of five cases: enough slots are free; there is a free slot for every waiting sequence;
        no sequence is running; a running sequence is in its prefill; free slots stayed empty for `MAX_GATHER_STEPS` steps.
        """
        free = len(self._free)
        reads = any(sequence.known - sequence.computed > 1 for sequence in self.running)
        enough = min(self._admit_together, len(self.waiting), len(self._slots))
        if not free or free >= enough or reads or free == len(self._slots) or self._gather_steps >= MAX_GATHER_STEPS:
            self._gather_steps = 0
            return False
        self._gather_steps += 1
        return True

    def _is_long(self, sequence: TokenSequence) -> bool:
        """Whether all tokens of a sequence take the rotary positions of long texts. False if the model has no `LengthSwitch`."""
        switch = self._length_switch
        if switch is None:
            return False
        whole = switch.restarts or sequence.forced
        return (sequence.known if whole else len(sequence.prompt)) > switch.boundary

    def _restart_if_long(self, sequence: TokenSequence) -> None:
        """Let a sequence's tokens be computed again if the sequence has become long and `generate` would compute them again."""
        if not sequence.is_long and self._is_long(sequence):
            slot = self._slots[sequence.slot]
            slot.tokens, slot.is_long = [], True
            sequence.computed, sequence.is_long = 0, True

    def _best_prefix(self, sequence: TokenSequence) -> tuple[int, int, int]:
        """Find the slot that shares the longest prefix with a sequence.

        Returns three values: the slot (-1: none); the length of the shared prefix; and the length of the longest prefix that
        the sequence has in common with a prompt that is still in its prefill (0: none).
        """
        if not self._prefix_sharing:
            return -1, 0, 0
        # tokens from the sampling position on are computed in any case, because the logits after them are needed
        reusable = sequence.tokens(0, sequence.sampling_position)
        source, shared, upcoming = -1, 0, 0
        for number, slot in enumerate(self._slots):
            if (slot.adapter, slot.is_long) != (sequence.adapter, sequence.is_long):
                continue
            if (common := _common_prefix(reusable, slot.tokens)) > shared:
                source, shared = number, common
            reader = slot.sequence
            if reader is not None and reader.computed < len(reader.prompt) and len(slot.tokens) == common:
                upcoming = max(upcoming, _common_prefix(reusable, list(reader.prompt)))
        return source, shared, upcoming

    def _assign_slot(self, sequence: TokenSequence, source: int, shared: int) -> list[PrefixCopy]:
        in_place = source >= 0 and self._slots[source].sequence is None
        target = source if in_place else self._free[0]
        self._free.remove(target)
        copied = [] if in_place or not shared else [PrefixCopy(source, target, shared)]
        self._slots[target] = _Slot(sequence.tokens(0, shared), sequence.adapter, sequence.is_long, sequence)
        sequence.slot, sequence.computed = target, shared
        sequence.shared_prefix = max(sequence.shared_prefix, min(shared, len(sequence.prompt)))
        return copied


def _common_prefix(one: list[int], other: list[int]) -> int:
    """Return the length of the common prefix. The search is by halves, because it is done for each waiting sequence and slot."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:  # the first `low` tokens of both are equal, the first `high` are not
        middle = (low + high) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle)
    return low
