"""Opens a store by its URL. Only this module knows which class serves which URL."""

from collections.abc import Mapping

from jobs.store.local import PRIVATE, LocalStore
from jobs.store.store import Store


def open_store(url: str, options: Mapping[str, str] | None = None, file_mode: int | None = PRIVATE) -> Store:
    """Return the store at a local path or an fsspec URL. `options` are the options of the fsspec file system.

    `file_mode` is the mode of new files in a local folder, as in `LocalStore`. No connection is made yet.
    Raises StoreUnavailable for a URL that no installed file system serves.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme in {"file", "local"}:
        return LocalStore(rest if separator else url, file_mode)
    from jobs.store.objects import ObjectStore  # fsspec takes long to import, and a local store needs none of it

    return ObjectStore(url, options or {})
