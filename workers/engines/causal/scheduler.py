"""Who runs in which slot, and which of their tokens a step computes. Knows tokens and slots, and nothing of tensors.

Texts are taken in the order in which they came. A text that begins like what a slot holds, of a text that runs or has
ended, takes those tokens over from there, so a common prefix is computed once for as long as any slot remembers it; the
slot that was free for longest is used first. One that begins like a prompt that is just being read waits for it.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from workers.engines.causal.sequences import Piece, Text

MOST_CHOICES: Final = 256
"""After so many tokens of given texts a step chooses: each takes the logits of a whole vocabulary."""

LONGEST_GATHERED: Final = 32
"""For so many steps a free slot waits for others at most."""

SHORTEST_SHARED: Final = 8
"""It is not worth waiting a step for fewer common tokens."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Slot `target` begins with the first `tokens` of slot `source`."""

    source: int
    target: int
    tokens: int


@dataclass(slots=True)
class _Slot:
    """What a slot of the cache holds, and who runs in it."""

    tokens: list[int] = field(default_factory=list)
    adapter: str | None = None
    text: Text | None = None


class Scheduler:
    """The line and the slots.

    Args:
        slots: How many texts run at once.
        step_tokens: How many tokens a step computes at most; texts that are being written come first, a token each.
        sharing: Whether common prefixes are taken over.
        together: For so many free slots texts wait to be seated together, where steps that read prompts cost more than others.
    """

    def __init__(self, slots: int, step_tokens: int, *, sharing: bool = True, together: int = 1) -> None:
        self._step_tokens = step_tokens
        self._together = together
        self._gathered = 0
        self._sharing = sharing
        self.waiting: deque[Text] = deque()
        self._slots = [_Slot() for _ in range(slots)]
        self._free: deque[int] = deque(range(slots))

    @property
    def running(self) -> list[Text]:
        """By slot."""
        return [slot.text for slot in self._slots if slot.text is not None]

    @property
    def slots(self) -> int:
        """How many texts can run at once."""
        return len(self._slots)

    def resize(self, slots: int, length: int) -> list[Text]:
        """Another number of slots, of so many tokens. Returns the texts that lose theirs; the cache must be resized alike."""
        homeless = [slot.text for slot in self._slots[slots:] if slot.text is not None]
        for slot in self._slots:
            del slot.tokens[length:]
        self._slots = self._slots[:slots] + [_Slot() for _ in range(slots - len(self._slots))]
        known = [place for place in self._free if place < slots]
        self._free = deque(known + [p for p in range(slots) if p not in known and self._slots[p].text is None])
        return homeless

    def forget(self) -> list[Text]:
        """Empty all slots, since the cache was lost. Returns who ran."""
        homeless = self.running
        self._slots = [_Slot() for _ in self._slots]
        self._free = deque(range(len(self._slots)))
        return homeless

    def put_back(self, texts: Iterable[Text]) -> None:
        """Put texts that lost their slots at the head of the line; what they have written stays."""
        for text in reversed(list(texts)):
            text.slot, text.held = -1, 0
            self.waiting.appendleft(text)

    def admit(self, length: int) -> list[Copy]:
        """Give free slots to those who wait and need at most `length` tokens. Returns what is to be copied before the step."""
        copies: list[Copy] = []
        later: list[Text] = []
        if self._gathers():
            return copies
        while self.waiting and self._free and self.waiting[0].needs <= length:
            text = self.waiting.popleft()
            source, shared, soon = self._best(text)
            if soon >= shared + SHORTEST_SHARED:
                later.append(text)
                continue
            copies += self._seat(text, source, shared)
        self.waiting.extendleft(reversed(later))
        return copies

    def pieces(self) -> list[Piece]:
        """What the next step computes: a token of each text that is being written, by slot, then of prompts what fits.

        Short pieces of prompts come first, since they may be computed token by token.
        """
        singles: list[Text] = []
        rest: list[Text] = []
        for text in self.running:
            (singles if text.size - text.held == 1 else rest).append(text)
        chosen = [Piece(text, text.held, 1, last=1) for text in singles]
        room, choices = max(self._step_tokens - len(chosen), 1), MOST_CHOICES
        chunks: list[Piece] = []
        for text in rest:
            size = min(text.size - text.held, room, max(text.tip - text.held, 0) + choices)
            if size > 0:
                chunks.append(Piece.of(text, size))
                room -= size
                choices -= chunks[-1].last if text.given else 0
        return chosen + sorted(chunks, key=attrgetter("size"))

    def computed(self, pieces: Iterable[Piece]) -> None:
        """The step is done: its tokens are in the cache."""
        for piece in pieces:
            text, end = piece.text, piece.start + piece.size
            self._slots[text.slot].tokens += text.tokens(piece.start, end)
            text.held = end

    def leave(self, text: Text) -> None:
        """A text has ended. Its slot remembers its tokens until another needs it."""
        self._slots[text.slot].text = None
        self._free.append(text.slot)
        text.slot = -1

    def drop(self, text: Text) -> None:
        """A text has failed: nothing that its slot holds is trusted."""
        self._slots[text.slot].tokens = []
        self.leave(text)

    def _gathers(self) -> bool:
        """Whether free slots stay so for now. Not if all who wait have one, nobody runs or reads, or they waited for long."""
        free = len(self._free)
        reads = any(text.size - text.held > 1 for text in self.running)
        enough = min(self._together, len(self.waiting), len(self._slots))
        if not free or free >= enough or reads or free == len(self._slots) or self._gathered >= LONGEST_GATHERED:
            self._gathered = 0
            return False
        self._gathered += 1
        return True

    def _best(self, text: Text) -> tuple[int, int, int]:
        """The slot that holds most of its beginning, how much, and how much will be held of it once prompts are read."""
        if not self._sharing:
            return -1, 0, 0
        mine = text.tokens(0, text.tip)  # from the tip on all are computed, for what follows them
        source, shared, soon = -1, 0, 0
        for place, slot in enumerate(self._slots):
            if slot.adapter != text.adapter:
                continue
            if (common := _common(mine, slot.tokens)) > shared:
                source, shared = place, common
            reader = slot.text
            if reader is not None and reader.held < len(reader.prompt) and len(slot.tokens) == common:
                soon = max(soon, _common(mine, list(reader.prompt)))
        return source, shared, soon

    def _seat(self, text: Text, source: int, shared: int) -> list[Copy]:
        in_place = source >= 0 and self._slots[source].text is None
        target = source if in_place else self._free[0]
        self._free.remove(target)
        copied = [] if in_place or not shared else [Copy(source, target, shared)]
        self._slots[target] = _Slot(text.tokens(0, shared), text.adapter, text)
        text.slot, text.held = target, shared
        text.shared = max(text.shared, min(shared, len(text.prompt)))
        return copied


def _common(one: list[int], other: list[int]) -> int:
    """How many tokens both begin with. Halves are compared as a whole, since a line of texts asks this of every slot."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:  # the first `low` are equal, the first `high` are not
        middle = (low + high) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle)
    return low
