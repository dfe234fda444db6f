"""Chooses the engine of a model whose card leaves it open (`auto`), by the files of the model, and says why.

Decoder-only models run on the engine `causal`. Encoder-decoder models run on `translate`, which is faster, if CTranslate2 is
installed and can convert them, else on `seq2seq`. Importing this module loads neither torch nor transformers.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from jobs.catalog import EngineName, ModelCard
from workers.engines.families.detection import is_encoder_decoder, model_type_of


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine of a model, and a clause that says why it is this one."""

    engine: EngineName
    reason: str


def choose(card: ModelCard, folder: Path | None) -> Choice:
    """Return the engine of a model. `folder` has its files; None if they are a GGUF file, which holds a decoder-only model."""
    if card.engine != "auto":
        return Choice(card.engine, "the model's card names it")
    if folder is None:
        return Choice("causal", "the weights are in a GGUF file")
    if not is_encoder_decoder(folder):
        return Choice("causal", f"{model_type_of(folder) or 'the model'} is decoder-only")
    kind = f"{model_type_of(folder)} is an encoder-decoder model"
    if reason := why_not_translate(folder):
        return Choice("seq2seq", f"{kind}, and {reason}")
    return Choice("translate", f"{kind} that CTranslate2 can convert")


def why_not_translate(folder: Path) -> str | None:
    """Return why the engine `translate` cannot run the model in a folder; None if it can."""
    if importlib.util.find_spec("ctranslate2") is None:
        return "ctranslate2 is not installed: pip install 'nightpress[translate]'"
    from workers.engines.translate.conversion import why_not

    return why_not(json.loads((folder / "config.json").read_text()))
