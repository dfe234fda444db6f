"""The codec of a model made for translation: requests become the tokens that the model reads, and its tokens become text.

It imports neither torch nor a network, so every engine that runs such a model uses it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from jobs.catalog import Family
from jobs.errors import LanguageUnsupported
from jobs.generation import Fault, GenerationRequest, Prompt, TokenLogprob, Translatable
from workers.engines.families.content import Content
from workers.engines.families.family import Frame, Framing, TranslationInput
from workers.engines.families.framings import framing_of
from workers.engines.text.control import Forged
from workers.engines.text.encoding import SampledLogprob

_NO_LIMIT: Final = 1_000_000
"""A tokenizer whose longest input is at least this long names no limit at all."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a model, in tokens. None: the model names none.

    Args:
        vocabulary: The number of tokens that the model has.
        longest_input: The most tokens that the encoder may read, those around the text included.
        longest_output: The most tokens that the decoder may write, forced ones and the end token included.
    """

    vocabulary: int
    longest_input: int | None
    longest_output: int | None

    @classmethod
    def of(cls, tokenizer: Any, config: Any) -> "Limits":
        """Return the limits that a model's config and tokenizer name."""
        positions = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
        known = [int(one) for one in (*positions, tokenizer.model_max_length) if one and one < _NO_LIMIT]
        absolute = getattr(config, "max_position_embeddings", None)
        # the decoder reads its start token before the first token that it writes, and never the last one
        return cls(int(config.vocab_size), min(known, default=None), int(absolute) if absolute else None)


@dataclass(frozen=True, slots=True)
class Codec:
    """The codec of one model.

    Args:
        family: The model's family.
        tokenizer: Its tokenizer, of transformers.
        framing: How the model is told the languages.
        limits: What the model can read and write.
    """

    family: Family
    tokenizer: Any
    framing: Framing
    limits: Limits
    content: Content = field(init=False, repr=False, compare=False)
    _frames: dict[tuple[str, str], Frame | LanguageUnsupported] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", Content(self.tokenizer, self.framing.language_tokens.values()))

    @classmethod
    def of(
        cls,
        family: Family,
        tokenizer: Any,
        config: Any,
        *,
        languages: Mapping[str, str] | None = None,
        prefix: str | None = None,
    ) -> "Codec":
        """Return the codec of a model. `framing_of` describes the arguments."""
        framing = framing_of(family, tokenizer, config, languages=languages or {}, prefix=prefix)
        return cls(family, tokenizer, framing, Limits.of(tokenizer, config))

    @property
    def eos(self) -> int:
        """The token that ends a translation."""
        return int(self.tokenizer.eos_token_id)

    @property
    def pad(self) -> int:
        """The token that fills up the shorter texts of a batch."""
        found = self.tokenizer.pad_token_id
        return self.eos if found is None else int(found)

    def encode(self, request: GenerationRequest) -> TranslationInput | Fault:
        """Return what the model reads for a request, or a Fault that says why the request cannot run."""
        try:
            return self._unsupported(request.prompt) or self._encoded(request, request.prompt.translatable)
        except LanguageUnsupported as error:
            return Fault("unsupported_language", f"{str(error)[:1].upper()}{str(error)[1:]}.")
        except Forged as forged:
            return Fault("forged_turn", str(forged))
        except Exception as error:  # noqa: BLE001 - a text that breaks the tokenizer must fail alone
            return Fault("generation_failed", f"The text cannot be turned into tokens: {error!r}")

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens that the model wrote. Control tokens, such as forced ones and the end token, have no text."""
        return self.content.decode(tokens)

    def logprobs(self, sampled: Iterable[SampledLogprob]) -> tuple[TokenLogprob, ...]:
        """Return log probabilities with the text of each token. Control tokens are shown too."""
        return tuple(
            TokenLogprob(
                one.token,
                self.content.shown(one.token),
                one.logprob,
                tuple(TokenLogprob(token, self.content.shown(token), logprob) for token, logprob in one.top),
            )
            for one in sampled
        )

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Return the name that each token has in the vocabulary."""
        return [str(one) for one in self.tokenizer.convert_ids_to_tokens(list(tokens))]

    def _encoded(self, request: GenerationRequest, asked: Translatable | None) -> TranslationInput | Fault:
        if asked is None:
            message = (
                "The model only translates, and the prompt asks for something else: take a model that writes texts."
            )
            return Fault("unsupported_kind", message)
        if not asked.text.strip():
            return Fault("empty_prompt", "The text to translate has no words.")
        frame = self._frame(asked.source_language, asked.target_language)
        tokens = [*frame.before, *self.content.encode(frame.prefix + asked.text), *frame.after]
        if len(tokens) == len(frame.before) + len(frame.after):
            return Fault("empty_prompt", "The text to translate has no tokens.")
        return self._fault(tokens) or self._with_limit(request, tokens, frame)

    def _frame(self, source_language: str, target_language: str) -> Frame:
        pair = (source_language, target_language)
        if pair not in self._frames:
            try:
                self._frames[pair] = self.framing.frame(*pair)
            except LanguageUnsupported as error:
                self._frames[pair] = error
        found = self._frames[pair]
        if isinstance(found, LanguageUnsupported):
            raise found
        return found

    def _unsupported(self, prompt: Prompt) -> Fault | None:
        """Return a Fault if the prompt asks for something that no model made for translation can do; else None."""
        params, size = prompt.params, self.limits.vocabulary
        if prompt.adapter is not None:
            return Fault("unknown_adapter", f"The model has no adapter {prompt.adapter}.")
        if prompt.continuations:
            return Fault(
                "unsupported_kind", "The model only translates, and scores no texts: take a model that writes texts."
            )
        for name, tokens in (("logit_bias", params.logit_bias), ("stop_token_ids", params.stop_token_ids)):
            if unknown := [token for token in tokens if token >= size]:
                return Fault("token_out_of_range", f"{name} names token {unknown[0]}; the model has {size}.")
        return None

    def _fault(self, tokens: list[int]) -> Fault | None:
        longest = self.limits.longest_input
        if longest is not None and len(tokens) > longest:
            message = (
                f"A text of {len(tokens)} tokens is longer than the {longest} that the model reads: cut it into parts."
            )
            return Fault("prompt_too_long", message)
        if (largest := max(tokens)) >= self.limits.vocabulary:
            message = f"The text holds token {largest}; the model has {self.limits.vocabulary}."
            return Fault("token_out_of_range", message)
        return None

    def _with_limit(self, request: GenerationRequest, tokens: list[int], frame: Frame) -> TranslationInput:
        """Return what the model reads. `max_tokens` becomes what the model can write if it is more than that."""
        params, longest = request.prompt.params, self.limits.longest_output
        if longest is not None and params.max_tokens > (most := max(1, longest - len(frame.forced))):
            params = replace(params, max_tokens=most, min_tokens=min(params.min_tokens, most))
            request = replace(request, prompt=replace(request.prompt, params=params))
        digest = hashlib.sha256(repr((tokens, frame.start, frame.forced)).encode()).hexdigest()
        return TranslationInput(request, tokens, frame.start, frame.forced, digest)
