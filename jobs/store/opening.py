"""Opening: the one factory of stores, by their URLs."""

from collections.abc import Mapping

from jobs.store.local import LocalStore
from jobs.store.store import Store


def open_store(url: str, options: Mapping[str, str] | None = None) -> Store:
    """The store at a local path or any fsspec URL. `options` go to the fsspec file system. Connects to nothing yet."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme in {"file", "local"}:
        return LocalStore(rest if separator else url)
    from jobs.store.objects import ObjectStore  # fsspec, only where it is used

    return ObjectStore(url, options or {})
