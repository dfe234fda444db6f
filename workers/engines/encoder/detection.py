"""Finds what an encoder can do by the files of its folder. Nothing is loaded, and neither torch nor transformers is needed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

Task = Literal["classes", "fills", "vectors"]
"""What a model was made for: to classify texts, to fill gaps (which also embeds), or to embed."""

_HEADS: Final[Mapping[str, Task]] = {
    "ForSequenceClassification": "classes",
    "ForMaskedLM": "fills",
    "ForPreTraining": "fills",
}
"""The end of the name of an architecture -> the task."""

_BODIES: Final = frozenset(
    {
        *("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "ernie", "esm", "eurobert"),
        *("flaubert", "ibert", "longformer", "luke", "mpnet", "modernbert", "nomic_bert", "roberta", "roformer"),
        *("xlm-roberta", "xlm-roberta-xl", "xmod"),
    }
)
"""The `model_type` of networks that embed if they were saved without a head. A decoder without a head is none of them."""


def task_of(folder: Path) -> Task | None:
    """Return the task of the model in a folder; None if it is no encoder."""
    found = _task_and_reason(folder)
    return None if found is None else found[0]


def why_encoder(folder: Path) -> str | None:
    """Return a clause that says why the model in a folder runs on the engine `encoder`; None if it does not."""
    found = _task_and_reason(folder)
    return None if found is None else found[1]


def _task_and_reason(folder: Path) -> tuple[Task, str] | None:
    if (folder / "modules.json").is_file():
        return "vectors", "it is a folder of sentence-transformers, which embeds texts"
    config = _config_of(folder)
    names = [str(name) for name in config.get("architectures") or ()]
    for name in names:
        for end, task in _HEADS.items():
            if name.endswith(end) and not (config.get("is_encoder_decoder") and task != "classes"):
                return task, f"{name} {'classifies texts' if task == 'classes' else 'fills gaps and embeds texts'}"
    if config.get("model_type") in _BODIES and all(name.endswith("Model") for name in names):
        return "vectors", f"{names[0] if names else config['model_type']} has no head, and embeds texts"
    return None


def _config_of(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text(errors="replace"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
