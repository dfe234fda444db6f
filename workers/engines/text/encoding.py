"""Encoding turns prompts into a model's tokens, and tokens into text. It also finds requests that the model cannot take."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.catalog import ModelCard
from jobs.generation import Fault, GenerationRequest, Prompt, SamplingParams, TokenLogprob
from workers.engines.text.chat_template import ChatTemplate, Refused, RenderedPrompt
from workers.engines.text.continuations import Joined, JoinedPrompts, joined
from workers.engines.text.control import ControlTexts, Forged
from workers.engines.text.mixed_stops import MixedStop, mixed_stop
from workers.engines.text.reasoning_forms import Marks, form_of
from workers.engines.text.thinking import Thinking


@dataclass(frozen=True, slots=True)
class SampledLogprob:
    """A sampled token, its log probability, and the most likely tokens at its position with their log probabilities."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request and the tokens of its prompt.

    `forced` holds the tokens of the request's continuation. The engine takes these tokens and samples no other. `prompt_sha256`
    is the hash of the rendered prompt. `thinking` says how the completion may begin with thoughts; None if it cannot.
    `mixed_stops` are the request's stop texts that have special tokens.
    """

    request: GenerationRequest
    tokens: list[int]
    forced: Sequence[int] = ()
    prompt_sha256: str | None = None
    thinking: Thinking | None = None
    mixed_stops: tuple[MixedStop, ...] = ()


@dataclass(frozen=True, slots=True)
class Encoder:
    """A tokenizer and the limits of its model.

    Args:
        tokenizer: A tokenizer of transformers.
        vocabulary: The number of tokens that the model has.
        context: The largest number of tokens that a prompt and its completion may have in sum; None if the model names no limit.
        card: The model's card. It says how the model marks its thoughts, and which arguments its chat template gets.
    """

    tokenizer: Any
    vocabulary: int
    context: int | None
    card: ModelCard = field(default_factory=ModelCard)
    template: ChatTemplate | None = field(init=False, repr=False, compare=False)
    controls: ControlTexts = field(init=False, repr=False, compare=False)
    marks: Marks | None = field(init=False, repr=False, compare=False)
    _joined_prompts: JoinedPrompts = field(init=False, repr=False, compare=False, default_factory=JoinedPrompts)

    def __post_init__(self) -> None:
        template = ChatTemplate(self.tokenizer) if self.tokenizer.chat_template else None
        controls = template.controls if template else ControlTexts(self.tokenizer, "", ())
        form = form_of(self.card.reasoning, self.tokenizer, template.source) if template else None
        marks = Marks(form, self.tokenizer, template.source, self.decode) if template and form else None
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "controls", controls)
        object.__setattr__(self, "marks", marks)

    def encode(self, request: GenerationRequest) -> Encoded | Fault:
        """Return a request with its tokens, or a Fault that says why the request cannot run.

        Messages are rendered by the model's chat template; a raw text is not. A special token or turn marker (see `control`) in
        a message, a text or a continuation is encoded as ordinary characters.
        """
        try:
            return self._encoded(request)
        except Exception as error:  # noqa: BLE001 - a prompt that breaks the tokenizer must fail alone
            return Fault("generation_failed", f"The prompt cannot be turned into tokens: {error!r}")

    def decode(self, tokens: list[int]) -> str:
        """Return the text of tokens, without special tokens."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def logprobs(self, sampled: Iterable[SampledLogprob]) -> tuple[TokenLogprob, ...]:
        """Return the log probabilities with the text of each token. Special tokens are shown too."""
        return tuple(
            TokenLogprob(
                one.token,
                self._token_text(one.token),
                one.logprob,
                tuple(TokenLogprob(token, self._token_text(token), logprob) for token, logprob in one.top),
            )
            for one in sampled
        )

    def _encoded(self, request: GenerationRequest) -> Encoded | Fault:
        if fault := self._unsupported(request.prompt):
            return fault
        try:
            scored = self._joined(request) if request.prompt.continuations else None
            prompt = self._rendered(request) if scored is None else scored.prompt
            sha256 = hashlib.sha256(prompt.text.encode(errors="surrogatepass")).hexdigest()
            encoded_prompt = Encoded(
                self._with_stop_tokens(request),
                prompt.tokens,
                prompt_sha256=sha256,
                mixed_stops=self._mixed_stops(request),
            )
            if scored is not None:
                encoded = self._force_continuation(encoded_prompt, scored)
            else:
                encoded = self._with_thinking(encoded_prompt, prompt.tail)
        except Refused as refused:
            return Fault("unsupported_parameter", str(refused))
        except Forged as forged:
            return Fault("forged_turn", str(forged))
        if isinstance(encoded, Fault):
            return encoded
        return self._fault(encoded.tokens, encoded.request.prompt.params.max_tokens) or self._with_room(encoded)

    def _unsupported(self, prompt: Prompt) -> Fault | None:
        """Return a Fault if the prompt asks for something that this engine or model cannot do; else None."""
        if prompt.adapter is not None and prompt.adapter not in self.card.adapters:
            return Fault("unknown_adapter", f"The model has no adapter {prompt.adapter}.")
        if prompt.is_only_for_encoders:
            message = "The model writes texts, and encodes none: take a model that classifies, embeds or fills gaps."
            return Fault("unsupported_kind", message)
        if unknown := [token for token in prompt.params.logit_bias if token >= self.vocabulary]:
            return Fault("token_out_of_range", f"logit_bias names token {unknown[0]}; the model has {self.vocabulary}.")
        if unknown := [token for token in prompt.params.stop_token_ids if token >= self.vocabulary]:
            message = f"stop_token_ids names token {unknown[0]}; the model has {self.vocabulary}."
            return Fault("token_out_of_range", message)
        if prompt.messages and self.template is None:
            return Fault("unsupported_parameter", "The model has no chat template, so it takes text only.")
        return None

    def _with_stop_tokens(self, request: GenerationRequest) -> GenerationRequest:
        """Return the request with a stop token added for each stop text that is a special token.

        Such a stop text is never found in the text of a completion, because that text leaves out special tokens.
        """
        params = request.prompt.params
        found = [token for text in params.stop if (token := self.controls.token_of(text)) is not None]
        known = tuple(token for token in found if token < self.vocabulary)
        if not known:
            return request
        params = replace(params, stop_token_ids=(*params.stop_token_ids, *known))
        return replace(request, prompt=replace(request.prompt, params=params))

    def _mixed_stops(self, request: GenerationRequest) -> tuple[MixedStop, ...]:
        found = (mixed_stop(text, self.controls, self.vocabulary) for text in request.prompt.params.stop)
        return tuple(one for one in found if one is not None)

    def _with_thinking(self, encoded: Encoded, tail: str) -> Encoded:
        """Return the prompt with `thinking` set. A raw text has none: thoughts in its completion are not kept apart from the
        answer.
        """
        request = encoded.request
        if self.marks is None or not request.prompt.messages:
            return encoded
        contents = [message.content for message in request.prompt.messages]
        limit = None if request.thoughts_count else request.prompt.params.max_tokens
        return replace(encoded, thinking=Thinking.of(self.marks, tail, contents, limit))

    def _with_room(self, encoded: Encoded) -> Encoded:
        """Return the prompt. If `max_tokens` limits the answer alone and thoughts may come first, add their limit to
        `max_tokens`.
        """
        thinking, prompt = encoded.thinking, encoded.request.prompt
        if thinking is None or thinking.answer_tokens is None or thinking.inside is False:
            return encoded
        most = prompt.params.max_tokens + self.card.reasoning_max_tokens
        if self.context is not None:
            most = min(most, self.context - len(encoded.tokens))
        params = replace(prompt.params, max_tokens=max(most, prompt.params.max_tokens))
        return replace(encoded, request=replace(encoded.request, prompt=replace(prompt, params=params)))

    def _joined(self, request: GenerationRequest) -> Joined:
        """Return the request's prompt with all its continuations, as tokens. The prompt has no tokens if it has no text."""
        prompt = request.prompt
        found = self._joined_prompts.find(prompt, request.created_at)
        if found is None:
            rendered = self._rendered(request)
            if rendered.tokens:
                found = joined(rendered, prompt.continuations, self.controls, raw=not prompt.messages)
            else:
                found = Joined([], (), rendered)
            self._joined_prompts.keep(prompt, request.created_at, found)
        return found

    def _force_continuation(self, encoded_prompt: Encoded, scored: Joined) -> Encoded | Fault:
        """Return the prompt, encoded so that one of its continuations is scored. The engine takes the tokens of the continuation,
        and samples none.

        Returns a Fault if the continuation has no tokens, or has a token outside the model's vocabulary.
        """
        request = encoded_prompt.request
        if not scored.prefix:
            return replace(encoded_prompt, tokens=[])
        forced = scored.scored[request.continuation]
        if not forced:
            return Fault("empty_prompt", "A continuation has no tokens.")
        if (largest := max(forced)) >= self.vocabulary:
            message = f"A continuation holds token {largest}; the model has {self.vocabulary}."
            return Fault("token_out_of_range", message)
        size = len(forced)
        params = SamplingParams(max_tokens=size, min_tokens=size, temperature=0.0, logprobs=1)
        given = replace(request, prompt=replace(request.prompt, params=params))
        return replace(encoded_prompt, request=given, tokens=scored.prefix, forced=forced)

    def _token_text(self, token: int) -> str:
        return str(self.tokenizer.decode([token], skip_special_tokens=False))

    def _rendered(self, request: GenerationRequest) -> RenderedPrompt:
        """Return a request's prompt as the model gets it."""
        prompt = request.prompt
        if self.template is not None and prompt.messages:
            turns = [(message.role, message.content) for message in prompt.messages]
            kwargs = {**self.card.chat_template_kwargs, **prompt.chat_template_kwargs}
            return self.template.encode(turns, request.created_at, kwargs)
        return RenderedPrompt(self.controls.prompt(prompt.text) if prompt.text.strip() else [], prompt.text)

    def _fault(self, tokens: list[int], max_tokens: int) -> Fault | None:
        if not tokens:
            return Fault("empty_prompt", "The prompt has no tokens.")
        if self.context is not None and len(tokens) + max_tokens > self.context:
            sizes = f"{len(tokens)} tokens and max_tokens {max_tokens}"
            return Fault("prompt_too_long", f"A prompt of {sizes} does not fit into a context of {self.context}.")
        if (largest := max(tokens)) >= self.vocabulary:
            return Fault("token_out_of_range", f"The prompt holds token {largest}; the model has {self.vocabulary}.")
        return None
