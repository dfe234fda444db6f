"""Reads what sentence-transformers keeps beside a network: its modules, pooling, prompts and longest text.

The form is that of https://sbert.net: `modules.json` lists the modules in their order, each with the folder of its settings.
Modules that change vectors in ways that are not known here are refused, since the vectors would be wrong.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jobs.errors import ModelUnavailable
from jobs.generation import Pooling

_POOLINGS: Final[Mapping[str, Pooling]] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
_NAMED: Final[Mapping[str, Pooling]] = {"cls": "cls", "mean": "mean", "max": "max", "lasttoken": "last"}


@dataclass(frozen=True, slots=True)
class SentenceFiles:
    """How a model makes the vector of a text. The defaults are those of a model without such files.

    `network` is the folder of the network, `longest` the most tokens of a text if the files name it, and `prefix` the prompt that
    the files put before each text.
    """

    network: Path
    pooling: Pooling = "mean"
    normalize: bool = False
    longest: int | None = None
    prefix: str = ""


def sentence_files(folder: Path) -> SentenceFiles:
    """Read the files of a folder. One without `modules.json` has the defaults.

    Raises:
        ModelUnavailable: A file is damaged, or a module or a pooling is not known here.
    """
    modules = _read(folder / "modules.json")
    if modules is None:
        return SentenceFiles(folder)
    try:
        return _of_modules(folder, modules)
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"{folder / 'modules.json'} is damaged ({error!r}): fetch the files again") from error


def _of_modules(folder: Path, modules: list[Mapping[str, Any]]) -> SentenceFiles:
    network, pooling, normalize = folder, None, False
    for n, module in enumerate(modules):
        name, path = str(module["type"]).rpartition(".")[2], folder / str(module["path"])
        if name == "Transformer" and n == 0:
            network = path
        elif name == "Pooling" and pooling is None:
            pooling = _pooling(_read(path / "config.json") or {})
        elif name == "Normalize":
            normalize = True
        else:
            raise ModelUnavailable(
                f"the module {name} of sentence-transformers is not known here: choose another model"
            )
    sizes = _read(network / "sentence_bert_config.json") or {}
    prompts = _read(folder / "config_sentence_transformers.json") or {}
    named = prompts.get("default_prompt_name")
    longest = sizes.get("max_seq_length")
    return SentenceFiles(
        network,
        pooling or "mean",
        normalize,
        int(longest) if longest else None,
        str((prompts.get("prompts") or {}).get(named) or "") if named else "",
    )


def _pooling(settings: Mapping[str, Any]) -> Pooling:
    """Return the only pooling of a module. Raises ModelUnavailable for several, and for one that is not known here."""
    given = settings.get("pooling_mode")
    named = [given] if isinstance(given, str) else list(given or ())
    modes = [name for name, value in settings.items() if name.startswith("pooling_mode_") and value] + named
    found = {one: _POOLINGS.get(one) or _NAMED.get(one) for one in modes} or {"mean": "mean"}
    if len(found) > 1 or None in found.values():
        raise ModelUnavailable(f"the pooling {' with '.join(map(str, found))} is not known here: choose another model")
    if settings.get("include_prompt") is False:
        raise ModelUnavailable("its pooling leaves out the prompt, which is not known here: choose another model")
    return next(pooling for pooling in found.values() if pooling)


def _read(path: Path) -> Any:
    """Return the value of a JSON file; None if there is none. Raises ModelUnavailable if it is damaged."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{path} cannot be read ({error}): fetch the files again") from error
