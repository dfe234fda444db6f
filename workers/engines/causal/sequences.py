"""The values that the scheduler hands to the runtime: sequences of tokens, and spans (`Span`).

A span is the tokens of one sequence that one step computes. `LengthSwitch` says how a model changes with the length of a text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs.generation import GenerationRequest
from workers.engines.causal.masks import SchemaMask
from workers.engines.text.mixed_stops import MixedStop
from workers.engines.text.reasoning import Thoughts


@dataclass(frozen=True, slots=True)
class LengthSwitch:
    """Says how a model's rotary positions change with the length of a text.

    Args:
        boundary: Texts of more tokens than this are long.
        restarts: Whether `generate` of this model computes all keys and values again when a text becomes long. If not, the
            keys and values of earlier tokens stay as they are.
        grows: Whether each further token of a long text changes the positions once more (`dynamic`), so that no two long texts
            can share a call of the network.
    """

    boundary: int
    restarts: bool = False
    grows: bool = False


@dataclass(slots=True, eq=False)
class TokenSequence:
    """A request that is waiting or running, as tokens: its prompt and its output so far.

    Args:
        request: The request.
        prompt: The tokens of its prompt.
        output: The tokens of its completion so far.
        slot: Its slot of the KV cache; -1 while it is waiting.
        computed: How many of its tokens have keys and values in the cache.
        shared_prefix: How many tokens of the prompt were not computed, because a slot held them already (prefix sharing).
        device_ns: The device time that it has used so far, in nanoseconds.
        prompt_sha256: The hash of the rendered prompt.
        forced: The tokens that its output must consist of, when a continuation is scored; empty when tokens are sampled.
        is_long: Whether all its tokens have the rotary positions of long texts (`runtime/rotary`).
        thoughts: Follows the thoughts of its output; None if the model does not reason.
        mixed_stops: The request's stop texts that have special tokens.
        mask: The tokens that its JSON schema allows; None if it has no schema.
        begun_ns: When its first step began, and `first_token_ns` when its first token was there; 0 before that.
    """

    request: GenerationRequest
    prompt: Sequence[int]
    output: list[int] = field(default_factory=list)
    slot: int = -1
    computed: int = 0
    shared_prefix: int = 0
    device_ns: int = 0
    forced: Sequence[int] = ()
    is_long: bool = False
    prompt_sha256: str | None = None
    thoughts: Thoughts | None = None
    mixed_stops: Sequence[MixedStop] = ()
    mask: SchemaMask | None = None
    begun_ns: int = 0
    first_token_ns: int = 0

    @property
    def known(self) -> int:
        """How many tokens of the sequence can be computed now. The last forced token is never computed, since no token follows
        it.
        """
        return len(self.prompt) + (len(self.forced) - 1 if self.forced else len(self.output))

    @property
    def sampling_position(self) -> int:
        """The position of the token after which the next token is sampled."""
        return len(self.prompt) + len(self.output) - 1

    @property
    def needed_length(self) -> int:
        """How many tokens the sequence's slot must have room for. The output's last token is never computed and needs no room."""
        return len(self.prompt) + self.request.prompt.params.max_tokens - 1

    @property
    def adapter(self) -> str | None:
        """The adapter that the sequence runs with, if any. Adapters change keys and values, so sequences with different
        adapters share no prefixes.
        """
        return self.request.prompt.adapter

    def tokens(self, first: int, end: int) -> list[int]:
        """Return the sequence's tokens from position `first` up to, not including, position `end`."""
        prompt, rest = len(self.prompt), self.forced or self.output
        return [*self.prompt[first:end], *rest[max(0, first - prompt) : max(0, end - prompt)]]


@dataclass(frozen=True, slots=True)
class Span:
    """The tokens of one sequence that a step computes: `size` of them, from position `start`.

    A token is sampled after each of its last `samples` tokens. `samples` is 0 if more of the prefill follows, 1 at the end of a
    prefill and in decoding, and more if a continuation is scored.
    """

    sequence: TokenSequence
    start: int
    size: int
    samples: int

    @classmethod
    def of(cls, sequence: TokenSequence, size: int) -> "Span":
        """Return the span of the next `size` tokens of a sequence."""
        return cls(
            sequence,
            sequence.computed,
            size,
            max(0, sequence.computed + size - max(sequence.computed, sequence.sampling_position)),
        )
