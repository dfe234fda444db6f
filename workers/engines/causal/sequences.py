"""What the scheduler and the runtime say to each other: the sequences, and the spans of them that a step computes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs.generation import GenerationRequest


@dataclass(slots=True, eq=False)
class Text:
    """A request on its way: the tokens of its prompt and those written so far, which follow from `given` where that is not empty.

    `held` of them are in the cache, the first `shared` of which were taken over. `device_ns` is its share of time so far.
    """

    request: GenerationRequest
    prompt: Sequence[int]
    written: list[int] = field(default_factory=list)
    slot: int = -1
    held: int = 0
    shared: int = 0
    device_ns: int = 0
    given: Sequence[int] = ()

    @property
    def size(self) -> int:
        """How many tokens can be computed: those that it has so far, or all that are given but the last, after which none is."""
        return len(self.prompt) + (len(self.given) - 1 if self.given else len(self.written))

    @property
    def tip(self) -> int:
        """The place after which its next token is chosen."""
        return len(self.prompt) + len(self.written) - 1

    @property
    def needs(self) -> int:
        """How many tokens it may come to have in the cache: the last one written is never read."""
        return len(self.prompt) + self.request.prompt.params.max_tokens - 1

    @property
    def adapter(self) -> str | None:
        """What else the cached values follow from."""
        return self.request.prompt.adapter

    def tokens(self, first: int, end: int) -> list[int]:
        """Some of its tokens, by position."""
        prompt, rest = len(self.prompt), self.given or self.written
        return [*self.prompt[first:end], *rest[max(0, first - prompt) : max(0, end - prompt)]]


@dataclass(frozen=True, slots=True)
class Piece:
    """What a step computes of a text: `size` tokens from position `start`; after each of the `last` of them one is chosen."""

    text: Text
    start: int
    size: int
    last: int

    @classmethod
    def of(cls, text: Text, size: int) -> "Piece":
        """The next tokens of a text."""
        return cls(text, text.held, size, max(0, text.held + size - max(text.held, text.tip)))
