"""Counts the tokens of prompts for the preview, with a model's tokenizer. The model itself is not loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.catalog import ModelCard
from jobs.errors import GenerationFailed, ModelUnavailable
from jobs.generation import Completion, Fault, GenerationRequest, Prompt
from jobs.operations.preview import Counter
from jobs.settings import Settings
from workers.engines.choice import choose
from workers.engines.weights import load_tokenizer, locate

if TYPE_CHECKING:
    from workers.engines.encoder.reader import EncoderInput
    from workers.engines.families.family import TranslationInput
    from workers.engines.text.encoding import Encoded

    Read = Callable[[GenerationRequest], Encoded | TranslationInput | EncoderInput | Completion | Fault]


def counter(settings: Settings, model: str) -> Counter | None:
    """Return a counter of prompt tokens for a model; None if its files are missing, broken, or not converted yet.

    For a prompt that the model cannot take, the counter raises GenerationFailed with the code of the fault.
    """
    card = settings.catalog[model]
    if card.engine == "stub":
        return _words
    if not card.has_files:  # the tokens of a remote model are known to its server only
        return None
    try:
        folder = Path(locate(model, card, settings.cache_dir))
        if not folder.is_dir():
            return None
        read = _reader(model, card, folder)
    except ModelUnavailable:
        return None

    def count(prompt: Prompt) -> int:
        found = read(GenerationRequest("preview", prompt))
        if isinstance(found, Fault):
            raise GenerationFailed(found.code, found.message)
        return 0 if isinstance(found, Completion) else len(found.tokens)

    return count


def _reader(model: str, card: ModelCard, folder: Path) -> Read:
    """Return what turns requests into the tokens of a model. Raises ModelUnavailable if its files are damaged."""
    engine = choose(card, folder).engine
    if engine in ("causal", "vllm"):
        from workers.engines.text.encoding import Encoder

        return Encoder(load_tokenizer(model, card, folder), vocabulary=sys.maxsize, context=None, card=card).encode
    if engine == "encoder":
        from workers.engines.encoder.loading import reader_of

        return reader_of(card, folder).read
    from workers.engines.families.loading import load_codec

    return load_codec(
        folder,
        family=card.family,
        languages=card.options.get("languages"),
        prefix=card.options.get("prefix"),
        trust_remote_code=card.trust_remote_code,
    ).encode


def _words(prompt: Prompt) -> int:
    """Count words, as the stub engine does. Raises GenerationFailed for a prompt without any."""
    words = sum(len(text.split()) for text in (prompt.text, *(message.content for message in prompt.messages)))
    if not words:
        raise GenerationFailed("empty_prompt", "The prompt has no tokens.")
    return words
