"""Chooses the engine of a model whose card leaves it open (`auto`), by the files of the model, and says why.

Decoder-only models run on the engine `vllm` on GPUs, if its environment is there and vLLM knows the model's architecture, else
on `causal`. On a CPU only a card that names it gets `vllm`. Encoder-decoder models run on `translate`, which is faster, if
CTranslate2 is installed and can convert them, else on `seq2seq`. Classifiers, and models that embed texts or fill gaps, run on
`encoder`. Importing this module loads neither torch nor transformers.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from jobs.catalog import EngineName, ModelCard
from workers.engines.encoder.detection import why_encoder
from workers.engines.families.detection import is_encoder_decoder, model_type_of
from workers.engines.vllm.environment import Environment, why_not


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine of a model, and a clause that says why it is this one."""

    engine: EngineName
    reason: str


def choose(card: ModelCard, folder: Path | None, vllm: Environment | None = None) -> Choice:
    """Return the engine of a model. `folder` has its files; None if they are a GGUF file, which holds a decoder-only model.

    `vllm` is the environment of vLLM that a worker of the model would run in; None if there is none.
    """
    if card.engine != "auto":
        return Choice(card.engine, "the model's card names it")
    if folder is None:
        return Choice("causal", "the weights are in a GGUF file")
    if reason := why_encoder(folder):
        return Choice("encoder", reason)
    if not is_encoder_decoder(folder):
        return _of_decoder_only(card, folder, vllm)
    kind = f"{model_type_of(folder)} is an encoder-decoder model"
    if reason := why_not_translate(folder):
        return Choice("seq2seq", f"{kind}, and {reason}")
    return Choice("translate", f"{kind} that CTranslate2 can convert")


def _of_decoder_only(card: ModelCard, folder: Path, vllm: Environment | None) -> Choice:
    kind = f"{model_type_of(folder) or 'the model'} is decoder-only"
    if not _on_gpu(card):
        return Choice("causal", kind)
    if reason := why_not(card, folder, vllm):
        return Choice("causal", f"{kind}, and {reason}")
    return Choice("vllm", f"{kind}, and vLLM knows it")


def _on_gpu(card: ModelCard) -> bool:
    """Whether a model runs on a GPU here."""
    if card.gpus == 0 or importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def why_not_translate(folder: Path) -> str | None:
    """Return why the engine `translate` cannot run the model in a folder; None if it can."""
    if importlib.util.find_spec("ctranslate2") is None:
        return "ctranslate2 is not installed: pip install 'nightpress[translate]'"
    from workers.engines.translate.conversion import why_not

    return why_not(json.loads((folder / "config.json").read_text()))
