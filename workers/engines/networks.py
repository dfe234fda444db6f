"""This module loads the network of a model. It refuses files that lack weights or hold those of another network.

transformers fills missing weights with random numbers and ignores weights that it does not use. The resulting network writes
nonsense, and no error is raised. This happens, for example, to the decoder of an encoder-decoder, to a classifier, and to
a base model without its head for text generation.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from jobs.errors import ModelUnavailable

NAMED: Final = 3
"""A message names at most this many weights, and counts the rest."""

_CLASSIFIER: Final = re.compile(r"For\w*(Classification|QuestionAnswering|MultipleChoice|SentencePrediction)$|Reward")
_GAP_FILLER: Final = re.compile(r"For(MaskedLM|PreTraining)$")
_CLASSIFIER_HEAD: Final = re.compile(r"(^|\.)(score|classifier|classification_head|qa_outputs)\.")
_MASKS: Final = re.compile(r"\.(attn|attention|self_attn|crossattention)\.(masked_)?bias$|inv_freq$|position_ids$")
"""Matches constants, such as attention masks, that older files hold beside the weights. Such a constant is no sign of another
network."""

_LAYER: Final = re.compile(r"^(?P<layers>.*?)\.(?P<n>\d+)\.(?P<weight>.+\.(weight|bias))$")


def load_network(folder: Path, *, trust_remote_code: bool = False, **options: Any) -> Any:
    """Load a network from local files. `options` are passed on to `from_pretrained`.

    Raises:
        ModelUnavailable: The files lack weights, hold weights of another shape or network, or are of a model that cannot write
            text.
    """
    from transformers import AutoModelForCausalLM

    return _loaded(AutoModelForCausalLM, folder, trust_remote_code, options)


def load_translator(folder: Path, *, trust_remote_code: bool = False, **options: Any) -> Any:
    """Load the network of an encoder-decoder model from local files. `options` are passed on to `from_pretrained`.

    Raises:
        ModelUnavailable: The files lack weights, or hold weights of another shape or network.
    """
    from transformers import AutoModelForSeq2SeqLM

    return _loaded(AutoModelForSeq2SeqLM, folder, trust_remote_code, options)


def load_classifier(folder: Path, *, trust_remote_code: bool = False, **options: Any) -> Any:
    """Load the network of a classifier from local files. `options` are passed on to `from_pretrained`.

    Raises:
        ModelUnavailable: The files lack weights, or hold weights of another shape or network.
    """
    from transformers import AutoModelForSequenceClassification

    return _loaded(AutoModelForSequenceClassification, folder, trust_remote_code, options)


def load_gap_filler(folder: Path, *, trust_remote_code: bool = False, **options: Any) -> Any:
    """Load the network of a model that fills gaps from local files. `options` are passed on to `from_pretrained`.

    Raises:
        ModelUnavailable: The files lack weights, or hold weights of another shape or network.
    """
    from transformers import AutoModelForMaskedLM

    return _loaded(AutoModelForMaskedLM, folder, trust_remote_code, options)


def load_body(folder: Path, *, trust_remote_code: bool = False, **options: Any) -> Any:
    """Load a network without any head from local files. `options` are passed on to `from_pretrained`.

    The pooler of a BERT may be missing: it is a head too, and nothing here uses it.

    Raises:
        ModelUnavailable: The files lack weights, or hold weights of another shape or network.
    """
    from transformers import AutoModel

    return _loaded(AutoModel, folder, trust_remote_code, options)


def _loaded(auto: Any, folder: Path, trust_remote_code: bool, options: Mapping[str, Any]) -> Any:
    from transformers import AutoConfig

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    gguf = {"gguf_file": options["gguf_file"]} if "gguf_file" in options else {}
    config = AutoConfig.from_pretrained(folder, **local, **gguf)
    writes = auto.__name__ == "AutoModelForCausalLM"
    try:
        # without ignore_mismatched_sizes, transformers raises an error that does not name the mismatched weights
        network, info = auto.from_pretrained(
            folder, output_loading_info=True, ignore_mismatched_sizes=True, **local, **options
        )
    except ValueError as error:
        if "nrecognized configuration class" in str(error):
            what, sort = ("text generation", _sort(config, ())) if writes else (auto.__name__, "")
            raise ModelUnavailable(f"transformers has no {what} for {type(config).__name__}{sort}") from error
        raise
    if auto.__name__ == "AutoModel":
        info["missing_keys"] = {name for name in info["missing_keys"] if not _POOLER.search(name)}
    faults = _faults(network, info)
    sort = _sort(config, info["unexpected_keys"]) if writes else ""
    if faults or sort:
        remedy = sort or (_REMEDY if auto.__name__ in _WRITERS else _ENCODER_REMEDY)
        raise ModelUnavailable(f"{', and '.join(faults) or 'it would write nonsense'}{remedy}")
    return network


_WRITERS: Final = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM")
_REMEDY: Final = ": fetch the files again, or choose a model that was saved whole, with its head for text generation"
_ENCODER_REMEDY: Final = (
    ": fetch the files again, or choose a model that was saved whole, with the head that is asked for"
)
_POOLER: Final = re.compile(r"(^|\.)pooler\.")


def _faults(network: Any, info: Mapping[str, Any]) -> list[str]:
    """Return a message for each fault of the loaded files: weights are missing, have another shape, or are of another network."""
    mismatched = [
        f"{name} {list(found)} instead of {list(wanted)}" for name, found, wanted in sorted(info["mismatched_keys"])
    ]
    faults = {
        "its files lack weights, which would be random": sorted(info["missing_keys"]),
        "its files hold weights of another shape": mismatched,
        "its files hold weights of another network": _foreign(network, info["unexpected_keys"]),
    }
    return [f"{fault} ({_first(names)})" for fault, names in faults.items() if names]


def _foreign(network: Any, unexpected: Iterable[str]) -> list[str]:
    """Return the names of unexpected weights that only another network has: heads of classifiers, and weights inside layers.

    Some models have extra layers after the last one, to predict several tokens at once. Weights in such layers are not foreign if
    the config counts the layers.
    """
    config = network.config.get_text_config()
    extra = int(getattr(config, "num_nextn_predict_layers", None) or 0)
    found = (_LAYER.match(name) for name, _ in network.named_parameters())
    layers = {match["layers"] for match in found if match}
    last = int(getattr(config, "num_hidden_layers", 0)) + extra
    foreign = []
    for name in sorted(unexpected):
        match = _LAYER.match(name)
        is_in_layer = match is not None and match["layers"] in layers and not _MASKS.search(name)
        is_extra = match is not None and last - extra <= int(match["n"]) < last
        if _CLASSIFIER_HEAD.search(name) or (is_in_layer and not is_extra):
            foreign.append(name)
    return foreign


def _sort(config: Any, unexpected: Iterable[str]) -> str:
    """Return a text that says what the model is and what to do, if the model is not made to write text; else an empty string."""
    names = list(config.architectures or ())
    name = f" ({names[0]})" if names else ""
    if config.is_encoder_decoder:
        return f"; it is an encoder-decoder{name}: choose a decoder-only model, or set the model's engine to auto"
    if any(map(_CLASSIFIER.search, names)) or any(map(_CLASSIFIER_HEAD.search, unexpected)):
        return f"; it is a classifier{name}: choose the model for text generation that it was made from"
    if any(map(_GAP_FILLER.search, names)):
        return f"; it is an encoder that fills gaps{name}: choose a decoder-only model"
    return ""


def _first(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
