"""Counts the tokens of prompts for the preview, by a model's tokenizer. The model itself is not loaded."""

import sys
from pathlib import Path

from jobs.errors import ModelUnavailable
from jobs.generation import GenerationRequest, Prompt
from jobs.operations.preview import Counter
from jobs.settings import Settings
from workers.engines.weights import load_tokenizer, locate


def counter(settings: Settings, model: str) -> Counter | None:
    """Make a counter of prompt tokens for a model; None if its files are missing, broken, or not converted yet.

    A prompt that the model cannot take counts as 0 tokens.
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
    from workers.engines.text.encoding import Encoded, Encoder

    encoder = Encoder(tokenizer, vocabulary=sys.maxsize, context=None)

    def count(prompt: Prompt) -> int:
        encoded = encoder.encode(GenerationRequest("preview", prompt))
        return len(encoded.tokens) if isinstance(encoded, Encoded) else 0

    return count


def _words(prompt: Prompt) -> int:
    """Count words, as the stub does."""
    return sum(len(text.split()) for text in (prompt.text, *(message.content for message in prompt.messages)))
