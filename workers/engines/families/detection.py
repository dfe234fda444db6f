"""Finds the family of a model by the files of its folder. Nothing is loaded."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jobs.catalog import Family

MODEL_TYPES: Final[Mapping[str, Family]] = {
    "marian": "marian",
    "m2m_100": "m2m100",
    "nllb-moe": "nllb",
    "mbart": "mbart",
    "t5": "t5",
    "mt5": "t5",
    "umt5": "t5",
}
"""`model_type` in config.json -> the family, unless the tokenizer is that of another family with the same architecture."""

_SIGNS: Final[Mapping[Family, tuple[tuple[str, Family], ...]]] = {
    "m2m100": (("NllbTokenizer", "nllb"), ("eng_Latn", "nllb")),
    "mbart": (("MBart50Tokenizer", "mbart50"), ("pt_XX", "mbart50")),
}
"""A family -> texts in the files of a tokenizer that only another family with the same architecture has, and that family."""

_TOKENIZER_FILES: Final = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
)
"""The files in which the signs may stand; small ones first."""


def is_encoder_decoder(folder: Path) -> bool:
    """Whether the model in a folder has an encoder and a decoder."""
    return bool(_json_of(folder / "config.json").get("is_encoder_decoder"))


def model_type_of(folder: Path) -> str:
    """Return the `model_type` of the model in a folder; empty if config.json names none."""
    return str(_json_of(folder / "config.json").get("model_type") or "")


def family_of(folder: Path) -> Family | None:
    """Return the family of the model in a folder; None if it is of none that is made for translation here."""
    family = MODEL_TYPES.get(model_type_of(folder))
    signs = () if family is None else _SIGNS.get(family, ())
    for name in _TOKENIZER_FILES if signs else ():
        text = _text_of(folder / name)
        if other := next((other for sign, other in signs if sign in text), None):
            return other
    return family


def _json_of(path: Path) -> dict[str, Any]:
    """Return the object in a file; an empty one if there is none."""
    try:
        found = json.loads(_text_of(path))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
