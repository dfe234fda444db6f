"""Loads the network of a causal model, and refuses files that are not wholly its own.

transformers fills weights that the files lack with random numbers, and passes over weights that it does not use. Such a model
writes nonsense without a word: the decoder of an encoder-decoder alone, a classifier, a base model without its head.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from jobs.errors import ModelUnavailable

NAMED: Final = 3
"""The most weights that a message names."""

_CLASSIFIER: Final = re.compile(r"For\w*(Classification|QuestionAnswering|MultipleChoice|SentencePrediction)$|Reward")
_GAP_FILLER: Final = re.compile(r"For(MaskedLM|PreTraining)$")
_CLASSIFIER_HEAD: Final = re.compile(r"(^|\.)(score|classifier|classification_head|qa_outputs)\.")
_MASKS: Final = re.compile(r"\.(attn|attention|self_attn|crossattention)\.(masked_)?bias$|inv_freq$|position_ids$")
"""Constants that older files hold beside the weights."""

_LAYER: Final = re.compile(r"^(?P<layers>.*?)\.(?P<n>\d+)\.(?P<weight>.+\.(weight|bias))$")


def load_network(folder: Path, *, trust_remote_code: bool = False, **options: Any) -> Any:
    """Load a network from local files, with further options of `from_pretrained`.

    Raises:
        ModelUnavailable: The files lack weights of the network, or hold others than its own.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    gguf = {"gguf_file": options["gguf_file"]} if "gguf_file" in options else {}
    config = AutoConfig.from_pretrained(folder, **local, **gguf)
    try:
        # with other shapes transformers raises an error that does not name them
        network, info = AutoModelForCausalLM.from_pretrained(
            folder, output_loading_info=True, ignore_mismatched_sizes=True, **local, **options
        )
    except ValueError as error:
        if "nrecognized configuration class" in str(error):
            reason = f"transformers has no text generation for {type(config).__name__}"
            raise ModelUnavailable(f"{reason}{_sort(config, ())}") from error
        raise
    faults = _faults(network, info)
    sort = _sort(config, info["unexpected_keys"])
    if faults or sort:
        raise ModelUnavailable(f"{', and '.join(faults) or 'it would write nonsense'}{sort or _REMEDY}")
    return network


_REMEDY: Final = ": fetch the files again, or choose a model that was saved whole, with its head for text generation"


def _faults(network: Any, info: Mapping[str, Any]) -> list[str]:
    """Say which weights are missing, of another shape, or of another network."""
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
    """Return the weights that make the files those of another network: heads of classifiers, and weights in layers.

    A layer after the last may serve to predict several tokens at once, and is not foreign if the config says so.
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
    """Say what the model is if it is not made to write text, with the remedy; else nothing."""
    names = list(config.architectures or ())
    name = f" ({names[0]})" if names else ""
    if config.is_encoder_decoder:
        return f"; it is an encoder-decoder{name}: choose a decoder-only model"
    if any(map(_CLASSIFIER.search, names)) or any(map(_CLASSIFIER_HEAD.search, unexpected)):
        return f"; it is a classifier{name}: choose the model for text generation that it was made from"
    if any(map(_GAP_FILLER.search, names)):
        return f"; it is an encoder that fills gaps{name}: choose a decoder-only model"
    return ""


def _first(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
