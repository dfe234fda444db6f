"""A local store whose process dies while intake writes, for tests of what a killed intake leaves behind."""

from typing import Any

from jobs.errors import StoreUnavailable
from jobs.store.local import LocalStore


class Dying(LocalStore):
    """A store whose process dies at the n-th write."""

    def __init__(self, folder: str, writes: int) -> None:
        super().__init__(folder)
        self.left = writes

    def _write(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreUnavailable("killed")

    def create(self, path: str, data: bytes) -> bool:
        self._write()
        return super().create(path, data)

    def writer(self, path: str) -> Any:
        self._write()
        return super().writer(path)
