"""Opens the index of a tenant's memory, and names the family of a model."""

from pathlib import Path

from jobs.catalog import ModelCard
from jobs.memory.files import folder_of
from jobs.memory.index import MemoryIndex
from jobs.store.identity import make_id
from jobs.store.store import Store


def model_family(alias: str, card: ModelCard, adapter: str | None = None) -> str:
    """Return the family of a model: its source, or its alias if it has none, with the adapter that a row names."""
    name = card.source or alias
    return name if adapter is None else f"{name}+{adapter}"


def index_path(cache_dir: Path, store_id: str, tenant: str) -> Path:
    """Return the path of the index of a tenant's memory in one store."""
    return cache_dir / "memory" / store_id / f"{tenant}.sqlite"


def open_index(store: Store, tenant: str, cache_dir: Path) -> MemoryIndex | None:
    """Open and refresh the index of a tenant's memory. None if the tenant has no memory.

    Raises StoreUnavailable, also if the cache folder does not take the index.
    """
    if not store.list(folder_of(tenant)):
        return None
    index = MemoryIndex(store, tenant, index_path(cache_dir, make_id(store), tenant))
    try:
        index.refresh()
    except BaseException:
        index.close()
        raise
    return index
