"""Finds the files of a model's adapters: in a local folder, or in a repository of the Hugging Face hub.

Importing this module loads neither torch nor transformers.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jobs.catalog import AdapterCard, ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.hub import HUB_ID, fetched
from workers.engines.weights import require

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
FILES: Final = (CONFIG, WEIGHTS)
"""The files of an adapter that are fetched and read."""

EDGE_BYTES: Final = 1 << 20
"""The revision of an adapter follows from its config, the size of its weights, and this many bytes from both of their ends."""


def find_all(alias: str, card: ModelCard, cache_dir: Path) -> Mapping[str, Path | str]:
    """Return the folder of each adapter of a model, or a clause that says why there is none.

    An adapter that is not on this machine is fetched. A missing one is no error, since only its own rows need it.
    """
    found: dict[str, Path | str] = {}
    for name in sorted(card.adapters):
        try:
            found[name] = fetch(alias, name, card.adapters[name], cache_dir)
        except ModelUnavailable as error:
            found[name] = str(error)
    return found


def fetch(alias: str, name: str, adapter: AdapterCard, cache_dir: Path) -> Path:
    """Return the folder of an adapter. Its files are fetched first if needed, by one process of the machine at a time.

    Raises HubUnavailable if another try may succeed, else ModelUnavailable.
    """
    if (folder := _here(adapter)) is not None:
        return folder
    if not HUB_ID.fullmatch(adapter.source):
        raise ModelUnavailable(f"there is no folder {adapter.source}")
    try:
        found = fetched(
            f"{alias}+{name}", adapter.source, adapter.revision, cache_dir, lambda get: _snapshot(adapter, download=get)
        )
    except ModelUnavailable as error:
        raise type(error)(f"{adapter.source} cannot be fetched: {error}") from error
    if found is None:
        raise ModelUnavailable(f"{adapter.source} holds no {' and '.join(FILES)}")
    return found


def locate(name: str, adapter: AdapterCard) -> Path:
    """Return the folder of an adapter on this machine. Raises ModelUnavailable, as "fault: remedy", if it is not here."""
    if (folder := _here(adapter)) is None:
        raise ModelUnavailable(
            f"no files of adapter {name} on this machine ({adapter.source}): mend its source, or fetch it with models pull"
        )
    if missing := next((one for one in FILES if not (folder / one).is_file()), None):
        raise ModelUnavailable(f"{folder} holds no {missing}: mend the source of adapter {name}")
    return folder


def revisions(card: ModelCard) -> Mapping[str, str]:
    """Return what receipts say about the adapters of a model, by name: which files they are, or their names at the server."""
    if card.engine == "remote":
        return {name: adapter.source for name, adapter in card.adapters.items()}
    folders = {name: _here(adapter) for name, adapter in card.adapters.items()}
    return {name: revision_of(folder) for name, folder in folders.items() if folder is not None}


def revision_of(folder: Path) -> str:
    """Return a name that changes when the adapter in a folder changes (`EDGE_BYTES`); `missing` if it has no files."""
    digest = hashlib.sha256()
    try:
        digest.update((folder / CONFIG).read_bytes())
        with (folder / WEIGHTS).open("rb") as file:
            digest.update(file.read(EDGE_BYTES))
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - EDGE_BYTES))
            digest.update(file.read(EDGE_BYTES) + str(size).encode())
    except OSError:
        return "missing"
    return digest.hexdigest()[:16]


def _here(adapter: AdapterCard) -> Path | None:
    """Return the folder of an adapter if it is on this machine, else None."""
    try:
        folder = Path(adapter.source).expanduser()
        if folder.is_dir():
            return folder
    except (OSError, RuntimeError):  # a name that no folder can have, or the home of a user who does not exist
        return None
    return _snapshot(adapter) if HUB_ID.fullmatch(adapter.source) else None


def _snapshot(adapter: AdapterCard, *, download: bool = False) -> Path | None:
    """Return a repository's folder on this machine if it has the files. With `download`, they are fetched first."""
    require("huggingface_hub")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    wanted: dict[str, Any] = {"revision": adapter.revision, "allow_patterns": list(FILES)}
    try:
        folder = Path(snapshot_download(adapter.source, local_files_only=not download, **wanted))
    except (LocalEntryNotFoundError, HFValidationError):
        if download:
            raise
        return None
    return folder if all((folder / name).is_file() for name in FILES) else None
