"""Conversion: the network that transformers loaded is written in the form of CTranslate2, and compared with what it was made
from.

CTranslate2 comes with a converter for each architecture. It takes the layers of the network, and the words of the tokenizer
as the vocabulary. Here the vocabulary is the numbers of the tokens instead ("0", "1", …). So tokens go in and come out as
the numbers that transformers uses, whatever holes or doubles a tokenizer has, and a conversion needs no tokenizer. The model
has no start token of its own: each translation begins with the start token of its request, which in mBART is the language.

Three things are set right for transformers 5. The converter of Marian drops the last row of the embeddings, since that is
the padding of most models; here all rows stay, and the padding is suppressed like other tokens that must not be written. The
converter of mBART reads settings that only old configs have. The converter of T5 takes from `tie_word_embeddings` whether
the output is scaled, which transformers 5 always sets.

Without special instructions for products of 8 bits (VNNI), x86 processors add two such products in 16 bits, where the sum
may not fit: texts of small models became others. There the weights get 7 bits, with which every sum fits
(`compute_types.bits_of_weights`).

A conversion is tried before it is trusted: the log probabilities of some tokens must be those of the network.
"""

import importlib.util
import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jobs.errors import ModelUnavailable

MODEL_TYPES: Final = frozenset({"marian", "m2m_100", "mbart", "t5", "mt5", "umt5"})
"""The architectures that can be converted, as `model_type` in config.json names them. NLLB's dense models are `m2m_100`."""

WEIGHT_BYTES: Final = {"float32": 4, "int8": 1, "int8_float32": 1, "bfloat16": 2, "float16": 2}
"""Compute type -> bytes of a weight in a converted model. The compute types are names of CTranslate2."""

FURTHEST: Final = {"float32": 0.02, "bfloat16": 0.2, "float16": 0.1, "int8": 0.4, "int8_float32": 0.4}
"""Compute type -> the largest distance of a sound conversion. Sound conversions of small random models have 0.000002 in
float32, up to 0.04 in bfloat16, 0.18 in int8, and 0.3 in int8 with 7 bits. A wrong layer or scale gives about 1 and more."""

NOTES: Final = "nightpress.json"
"""The file beside the model that holds what the engine must know of it: `suppressed`, the tokens that are never written."""


class Unconvertible(ModelUnavailable):
    """CTranslate2 cannot run the model. The message says why."""


def why_not(config: Mapping[str, Any]) -> str | None:
    """Return why a model with this config.json cannot be converted; None if it can. Loads neither torch nor transformers."""
    model_type = str(config.get("model_type", ""))
    if importlib.util.find_spec("ctranslate2") is None:
        return "ctranslate2 is not installed: pip install 'nightpress[translate]'"
    if model_type not in MODEL_TYPES:
        return f"CTranslate2 has no conversion for {model_type or 'a model without model_type'}"
    if config.get("quantization_config"):
        return "CTranslate2 converts no weights that are quantised already"
    if model_type == "marian" and config.get("static_position_embeddings") is False:
        return "CTranslate2 has no conversion for Marian models with learnt positions"
    return None


def convert(network: Any, folder: Path, compute_type: str, weight_bits: int = 8) -> None:
    """Write a network of transformers, in float32 on the CPU, to an empty folder as a model of CTranslate2.

    Integers of 8 bits get `weight_bits` of them (`compute_types.bits_of_weights`).

    Raises:
        Unconvertible: CTranslate2 has no conversion for the network, or the converted model computes something else.
        OSError: The folder cannot be written.
    """
    import ctranslate2
    import torch

    with torch.inference_mode():
        wanted = _answers(network)  # before the weights are quantised, which changes those of the network itself
        spec = _spec(network)
        try:
            spec.validate()
            spec.optimize(quantization=compute_type)
            if compute_type in {"int8", "int8_float32"} and weight_bits < 8:
                _narrow(spec, weight_bits)
        except Exception as error:  # the converter raises errors that have no common class
            raise Unconvertible(f"CTranslate2 cannot convert it: {_reason(error)}") from error
        spec.save(os.fspath(folder))
        (folder / NOTES).write_text(json.dumps({"suppressed": _suppressed(network)}))
        translator = ctranslate2.Translator(os.fspath(folder), compute_type=_on_cpu(compute_type), intra_threads=1)
        found = wanted.distance(translator)
    if not found <= FURTHEST[compute_type]:  # so that not-a-number is refused too
        raise Unconvertible(f"the model that CTranslate2 made computes something else (distance {found:.3g})")


@dataclass(frozen=True, slots=True)
class _Answers:
    """The log probabilities that a network gives to the tokens of random translations, but not to the first of each.

    Args:
        sources: The tokens of the texts.
        targets: The tokens of their translations.
        logprobs: The log probabilities, of one translation after the other.
    """

    sources: list[list[int]]
    targets: list[list[int]]
    logprobs: list[float]

    def distance(self, translator: Any) -> float:
        """Return how far the log probabilities of a translator are from these.

        This is the norm of the differences, divided by the norm of these around their mean. Equal ones give 0, and unrelated
        ones about 1.4.
        """
        import torch

        scored = translator.score_batch(_texts(self.sources), _texts(self.targets))
        found = [
            one for scores in scored for one in scores.log_probs[: len(self.targets[0]) - 1]
        ]  # the end is scored too
        ours, theirs = torch.tensor(self.logprobs).double(), torch.tensor(found).double()
        return float((ours - theirs).norm() / (ours - ours.mean()).norm().clamp(min=1e-9))


def _answers(network: Any) -> _Answers:
    import torch

    rng = random.Random(0)
    padding, size = network.config.pad_token_id, network.config.vocab_size
    tokens = [token for token in range(size) if token != padding]  # networks leave padding out of their positions
    sources, targets = ([rng.choices(tokens, k=k) for k in lengths] for lengths in (range(2, 20, 3), [13] * 6))
    logprobs: list[float] = []
    for source, target in zip(sources, targets, strict=True):
        logits = network(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([target[:-1]])).logits
        given = logits[0].float().log_softmax(-1)
        logprobs += given[torch.arange(len(target) - 1), torch.tensor(target[1:])].tolist()
    return _Answers(sources, targets, logprobs)


def _texts(tokens: list[list[int]]) -> list[list[str]]:
    return [[str(token) for token in one] for one in tokens]


def _spec(network: Any) -> Any:
    """Return what CTranslate2 saves: the layers of the network, the vocabularies of numbers, and the special tokens."""
    from ctranslate2.converters import transformers as converters

    config = network.config
    loader = getattr(converters, "_MODEL_LOADERS", {}).get(type(config).__name__)
    if loader is None or config.model_type not in MODEL_TYPES:
        raise Unconvertible(f"CTranslate2 has no conversion for {type(config).__name__}")
    if config.model_type == "marian":
        loader = _whole_marian(converters)
    if config.model_type == "mbart":
        config.normalize_before, config.normalize_embedding = True, True
    if config.model_type in {"t5", "mt5"}:
        config.tie_word_embeddings = bool(getattr(config, "scale_decoder_outputs", False))
    try:
        spec = loader.get_model_spec(network)
    except Exception as error:  # as above
        raise Unconvertible(f"CTranslate2 cannot convert it: {_reason(error)}") from error
    spec.register_source_vocabulary(_numbers(network.get_input_embeddings()))
    spec.register_target_vocabulary(_numbers(network.get_decoder().embed_tokens))
    spec.config.add_source_bos = spec.config.add_source_eos = False
    eos = config.eos_token_id
    spec.config.eos_token = str(eos[0] if isinstance(eos, list) else eos)
    spec.config.bos_token = spec.config.unk_token = spec.config.eos_token  # neither is used: no token is unknown
    spec.config.decoder_start_token = None  # the first token of each target prefix
    return spec


def _narrow(spec: Any, weight_bits: int) -> None:
    """Write the 8 bits of all weights with fewer bits, and change their scales to match."""
    import numpy as np
    from ctranslate2.specs import model_spec

    largest = 2 ** (weight_bits - 1) - 1

    def narrow(layer: Any, name: str, value: Any) -> None:
        key = name.rpartition("/")[2]
        if not isinstance(value, model_spec.Variable) or value.dtype != "int8" or not hasattr(layer, f"{key}_scale"):
            return
        narrowed = np.rint(value.numpy().astype(np.float32) * (largest / 127)).astype(np.int8)
        scale = (getattr(layer, f"{key}_scale").numpy() * np.float32(largest / 127)).astype(np.float32)
        setattr(layer, key, model_spec.NumpyVariable(narrowed))
        setattr(layer, f"{key}_scale", model_spec.NumpyVariable(scale))

    model_spec.visit_spec(spec, narrow)


def _whole_marian(converters: Any) -> Any:
    """Return a converter of Marian that keeps all rows of the embeddings, and begins with the embedding of the start token."""

    class WholeMarian(converters.MarianMTLoader):  # type: ignore[misc]
        def _remove_pad_weights(self, spec: Any) -> None:
            """Keep the rows."""

        def set_decoder(self, spec: Any, decoder: Any) -> None:
            converters.BartLoader.set_decoder(self, spec, decoder)

    return WholeMarian()


def _numbers(embedding: Any) -> list[str]:
    return [str(number) for number in range(embedding.num_embeddings)]


def _suppressed(network: Any) -> list[int]:
    """Return the tokens that `generate` never writes, such as the padding of Marian."""
    settings = network.generation_config
    words = [int(tokens[0]) for tokens in settings.bad_words_ids or () if len(tokens) == 1]
    return sorted({*words, *(settings.suppress_tokens or ())})


def _on_cpu(compute_type: str) -> str:
    """Return the compute type with which a converted model is tried on the CPU, which may lack the halves of float32."""
    return "float32" if compute_type in {"bfloat16", "float16"} else compute_type


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
