"""Intake asks the translation memory: what is known of a row's segments travels with the row.

The id of a batch follows from the rows as they were given (rule 4 of jobs/PROTOCOL.md), so what the memory adds comes after the
hash. If the memory cannot be asked, rows go without it, and nothing is lost but tokens.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from jobs.batches.request_row import RowRequest
from jobs.catalog import ModelCard
from jobs.errors import StoreUnavailable
from jobs.kinds.kind import Kind, memory_query
from jobs.logs import logger
from jobs.memory.entry import Query
from jobs.memory.index import MemoryIndex
from jobs.memory.opening import model_family, open_index
from jobs.memory.row_memory import as_hint, as_known
from jobs.settings import Settings
from jobs.store.store import Store

WITHOUT_HINTS: Final = frozenset({"seq2seq", "translate"})
"""Engines that read the text alone, so a similar translation is no help to them."""


class RowLookup:
    """Looks up the rows of one input in the memories of their tenants.

    `remark` is a sentence that says why `rows_without` rows go without the memory; None while it can be asked.
    """

    def __init__(self, store: Store, kinds: Mapping[str, Kind], settings: Settings) -> None:
        self.remark: str | None = None
        self.rows_without = 0
        self._store = store
        self._settings = settings
        self._kinds = {name: kind for name, kind in kinds.items() if hasattr(kind, "memory_query")}
        self._catalog: Mapping[str, ModelCard] = settings.catalog
        self._indexes: dict[str, MemoryIndex | None] = {}

    def close(self) -> None:
        """Close the indexes."""
        for index in self._indexes.values():
            if index is not None:
                index.close()
        self._indexes.clear()

    def with_memory(self, row: RowRequest) -> RowRequest:
        """Return the row with what the memory knows of its segments; the row itself if the memory is not asked."""
        kind = self._kinds.get(row.kind)
        if kind is None or not self._settings.memory.enabled:
            return row
        if self.remark is None:
            try:
                index = self._index_of(row.tenant)
                query = None if index is None else _query_of(kind, row)
                return row if index is None or query is None else self._looked_up(index, query, row)
            except StoreUnavailable as error:
                self.remark = f"the translation memory could not be asked, so these rows go without it: {error}"
                logger().warning("memory.unavailable", error=str(error))
        self.rows_without += 1
        return row

    def has_memory(self, kind: str) -> bool:
        """Whether rows of this kind may have something from the memory, so that each intake may write them otherwise."""
        return kind in self._kinds

    def _looked_up(self, index: MemoryIndex, query: Query, row: RowRequest) -> RowRequest:
        card = self._catalog[row.model]
        query = replace(query, model=model_family(row.model, card, row.adapter))
        found = {one: index.known(query, one) for one in dict.fromkeys(query.segments)}
        known = {one: as_known(entry) for one, entry in found.items() if entry is not None}
        hints = {}
        if self._settings.memory.hints and card.engine not in WITHOUT_HINTS:
            for one in found.keys() - known.keys():
                if (similar := index.similar(query, one, self._settings.memory.threshold)) is not None:
                    hints[one] = as_hint(*similar)
        # nothing is asked for a row whose segments are all known, so nothing is reserved for it
        most = (0, 0) if row.most is not None and known.keys() == found.keys() else row.most
        return row._replace(known=known, hints=hints or None, cost=_left(row.cost, query, known), most=most)

    def _index_of(self, tenant: str) -> MemoryIndex | None:
        """Return the index of a tenant's memory, as it is now; None if the memory is empty."""
        if tenant not in self._indexes:
            index = self._indexes[tenant] = open_index(self._store, tenant, self._settings.cache_dir)
            if index is not None and index.is_empty:
                index.close()
                self._indexes[tenant] = None
        return self._indexes[tenant]


def _query_of(kind: Kind, row: RowRequest) -> Query | None:
    try:
        return memory_query(kind, kind.request_type.model_validate(dict(row.request)))
    except Exception:  # noqa: BLE001 - an error of a kind costs its row the memory, and nothing else
        return None


def _left(cost: int, query: Query, known: Mapping[str, object]) -> int:
    """Return the expected work of a row whose known segments are not asked for: by the letters of the others, and at least 1."""
    letters = sum(map(len, query.segments))
    asked = sum(len(one) for one in query.segments if one not in known)
    return max(1, cost * asked // letters) if letters else cost
