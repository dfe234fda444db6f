"""Counts the tokens of prompts for the preview, with a model's tokenizer. The model itself is not loaded."""

import sys
from pathlib import Path

from jobs.errors import GenerationFailed, ModelUnavailable
from jobs.generation import Fault, GenerationRequest, Prompt
from jobs.operations.preview import Counter
from jobs.settings import Settings
from workers.engines.weights import load_tokenizer, locate


def counter(settings: Settings, model: str) -> Counter | None:
    """Return a counter of prompt tokens for a model; None if its files are missing, broken, or not converted yet.

    For a prompt that the model cannot take, the counter raises GenerationFailed with the code of the fault.
    """
    card = settings.catalog[model]
    if card.engine == "stub":
        return _words
    try:
        folder = Path(locate(model, card, settings.cache_dir))
        if not folder.is_dir():
            return None
        tokenizer = load_tokenizer(model, card, folder)
    except ModelUnavailable:
        return None
    from workers.engines.text.encoding import Encoder

    encoder = Encoder(tokenizer, vocabulary=sys.maxsize, context=None, card=card)

    def count(prompt: Prompt) -> int:
        encoded = encoder.encode(GenerationRequest("preview", prompt))
        if isinstance(encoded, Fault):
            raise GenerationFailed(encoded.code, encoded.message)
        return len(encoded.tokens)

    return count


def _words(prompt: Prompt) -> int:
    """Count words, as the stub engine does. Raises GenerationFailed for a prompt without any."""
    words = sum(len(text.split()) for text in (prompt.text, *(message.content for message in prompt.messages)))
    if not words:
        raise GenerationFailed("empty_prompt", "The prompt has no tokens.")
    return words
