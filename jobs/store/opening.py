"""Opens a store by its URL: the one place that knows which class serves which URL."""

from collections.abc import Mapping

from jobs.store.local import LocalStore
from jobs.store.store import Store


def open_store(url: str, options: Mapping[str, str] | None = None) -> Store:
    """The store at a local path or an fsspec URL. `options` are those of the fsspec file system.

    It connects to nothing yet. Raises StoreUnavailable for a URL that no installed file system serves.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme in {"file", "local"}:
        return LocalStore(rest if separator else url)
    from jobs.store.objects import ObjectStore  # fsspec takes long to import, and a local store needs none of it

    return ObjectStore(url, options or {})
