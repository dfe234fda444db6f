"""The values that every family of models made for translation shares: the frame of a text, and what the model reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from jobs.generation import GenerationRequest


@dataclass(frozen=True, slots=True)
class Frame:
    """What a model reads around every text of one pair of languages.

    Args:
        start: The token that the decoder reads before it writes anything.
        before: Tokens before the text.
        after: Tokens after the text.
        forced: The tokens with which every translation begins. The model does not choose them, and they are no part of the text.
        prefix: A text that is read before the text, as one text with it, such as `translate English to German: `.
    """

    start: int
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    forced: tuple[int, ...] = ()
    prefix: str = ""


class Framing(Protocol):
    """How a family tells its model which languages to translate between."""

    @property
    def language_tokens(self) -> Mapping[str, int]:
        """The model's code of each language -> its token; empty if the model has no tokens for languages."""
        ...

    def frame(self, source_language: str, target_language: str) -> Frame:
        """Return the frame of texts in `source_language` that are translated into `target_language`. Both are BCP 47 tags.

        Raises:
            LanguageUnsupported: The model cannot translate between the two.
        """
        ...


@dataclass(frozen=True, slots=True)
class TranslationInput:
    """A request and the tokens that its model reads for it.

    Args:
        request: The request. Its `max_tokens` is at most what the model can write.
        tokens: The tokens that the encoder reads.
        start: The token that the decoder reads first.
        forced: The tokens with which the translation begins. They count neither as completion tokens nor for `max_tokens`.
        prompt_sha256: The hash of the tokens, start and forced ones included; receipts keep it.
    """

    request: GenerationRequest
    tokens: list[int]
    start: int
    forced: tuple[int, ...]
    prompt_sha256: str
