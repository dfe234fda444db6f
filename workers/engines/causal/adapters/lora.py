"""Reads an adapter from the files that peft writes, and refuses an adapter that would not be applied exactly.

An adapter adds `scale * B(A x)` to the output of a linear layer for the input x. It has a pair of weights A [rank, inputs] and
B [outputs, rank] for each of its layers. Only the shapes are read when a model is loaded; the weights are read when a row needs
them.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open

from workers.engines.adapter_files import CONFIG, WEIGHTS

_NAME: Final = re.compile(r"(?:base_model\.model\.)?(?P<path>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")

_REFUSED: Final[Mapping[str, str]] = {
    "use_dora": "it is a DoRA, which also changes the length of weights",
    "modules_to_save": "it replaces whole layers (modules_to_save)",
    "lora_bias": "it has biases (lora_bias)",
    "use_qalora": "it is for quantised weights (use_qalora)",
    "alora_invocation_tokens": "it begins in the middle of a text (alora_invocation_tokens)",
    "trainable_token_indices": "it changes the vectors of tokens (trainable_token_indices)",
    "target_parameters": "it changes parameters that are no linear layers (target_parameters)",
    "layer_replication": "it repeats layers (layer_replication)",
    "megatron_config": "it is for layers of Megatron (megatron_config)",
    "arrow_config": "it chooses among adapters by token (arrow_config)",
}
"""Settings of peft that change what an adapter computes, each with what a message says of it."""

_CHANGED_AT_FIRST: Final = ("pissa", "olora", "corda")
"""Ways to begin a training (init_lora_weights) that also change the model's own weights."""


class AdapterUnusable(Exception):
    """An adapter cannot be used. The message says why, as a clause."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The weights of an adapter for one layer: their names in the file, their rank, and the scale of their product."""

    a: str
    b: str
    rank: int
    scale: float


@dataclass(frozen=True, slots=True)
class Lora:
    """An adapter on disk: its file of weights, and a pair for each layer that it changes, by the layer's path."""

    weights: Path
    pairs: Mapping[str, Pair]

    def read(self) -> Mapping[str, tuple[torch.Tensor, torch.Tensor, float]]:
        """Return A, B and the scale for each layer, by its path. Raises AdapterUnusable if the file has changed or is gone."""
        try:
            with safe_open(self.weights, "pt") as file:
                return {
                    path: (file.get_tensor(pair.a), file.get_tensor(pair.b), pair.scale)
                    for path, pair in self.pairs.items()
                }
        except (OSError, SafetensorError) as error:
            raise AdapterUnusable(f"{self.weights} cannot be read: {error}") from error


def open_lora(folder: Path, fits: Callable[[str], tuple[int, int] | str]) -> Lora:
    """Read the config and the shapes of the adapter in a folder.

    Args:
        folder: The folder, with `CONFIG` and `WEIGHTS`.
        fits: Returns the inputs and outputs of the layer at a path, or a clause that says why no adapter may change it.

    Raises:
        AdapterUnusable: A file is missing or broken, or the adapter could not be applied exactly to this model.
    """
    config = _config(folder)
    path = folder / WEIGHTS
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise AdapterUnusable(f"{path} {reason}") from error
    return Lora(path, _pairs(shapes, config, fits))


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError:
        raise AdapterUnusable(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise AdapterUnusable(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise AdapterUnusable(f"{path} is not a JSON object")
    if config.get("peft_type") != "LORA":
        raise AdapterUnusable(f"it is no LoRA, but of the type {config.get('peft_type')!r}")
    if reason := next((reason for name, reason in _REFUSED.items() if config.get(name)), None):
        raise AdapterUnusable(reason)
    if config.get("bias", "none") != "none":
        raise AdapterUnusable("it trained biases of the model (bias)")
    if str(begin := config.get("init_lora_weights")).startswith(_CHANGED_AT_FIRST):
        raise AdapterUnusable(
            f"it also changed the model's own weights (init_lora_weights {begin!r}): save it converted"
        )
    return config


def _pairs(
    shapes: Mapping[str, tuple[int, ...]],
    config: Mapping[str, Any],
    fits: Callable[[str], tuple[int, int] | str],
) -> Mapping[str, Pair]:
    """Return a pair for each layer of the adapter. Raises AdapterUnusable if one does not fit its layer."""
    sides: dict[str, dict[str, str]] = {}
    for name in shapes:
        match = _NAME.fullmatch(name)
        if match is None:
            raise AdapterUnusable(f"its weights {name} are no pair of a linear layer, such as those of embeddings")
        sides.setdefault(match["path"], {})[match["side"]] = name
    if not sides:
        raise AdapterUnusable("its file holds no weights")
    pairs = {}
    for path, names in sides.items():
        if len(names) != 2:
            raise AdapterUnusable(f"{path} has weights A or B alone")
        rank = _rank(path, shapes[names["A"]], shapes[names["B"]], fits(path))
        pairs[path] = Pair(names["A"], names["B"], rank, _scale(path, rank, config))
    return pairs


def _rank(path: str, a: tuple[int, ...], b: tuple[int, ...], layer: tuple[int, int] | str) -> int:
    if isinstance(layer, str):
        raise AdapterUnusable(layer)
    inputs, outputs = layer
    if len(a) != 2 or len(b) != 2 or a[0] != b[1] or not a[0]:
        raise AdapterUnusable(f"the weights of {path} have the shapes {list(a)} and {list(b)}, which are no pair")
    if (a[1], b[0]) != layer:
        made_for = f"it is for another model: {path} has {inputs} inputs and {outputs} outputs here"
        raise AdapterUnusable(f"{made_for}, and {a[1]} and {b[0]} in the adapter")
    return a[0]


def _scale(path: str, rank: int, config: Mapping[str, Any]) -> float:
    """Return the scale of a layer, as peft computes it. `alpha_pattern` and `rank_pattern` name the ends of paths."""
    alpha = _of_pattern(config.get("alpha_pattern"), path, config.get("lora_alpha", 8))
    named = _of_pattern(config.get("rank_pattern"), path, config.get("r", rank))
    if named != rank:
        raise AdapterUnusable(f"{path} has rank {rank}, and its config says {named!r}")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise AdapterUnusable(f"its lora_alpha {alpha!r} is no number")
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank


def _of_pattern(patterns: Any, path: str, default: Any) -> Any:
    """Return the value of the first pattern that matches the end of a path, as peft matches them; else the default."""
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        try:
            if re.match(rf"(.*\.)?({pattern})$", path):
                return value
        except re.error:
            raise AdapterUnusable(f"its config has the pattern {pattern!r}, which cannot be read") from None
    return default
