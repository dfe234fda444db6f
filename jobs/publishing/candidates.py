"""Candidates are the lines that give their rows an outcome. They are read from all segments and given to `Winners`.

Each file is read once. A segment counts once, even if it is in several files (rule 26 of jobs/PROTOCOL.md). The cost of all lines
goes to the ledger, whether they win or not. Published rows are copied as bytes and never parsed.
"""

from collections.abc import Mapping
from typing import Final

import orjson

from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.segments.files import each_segments
from jobs.batches.segments.head import SOLO
from jobs.batches.segments.line import LINE_END
from jobs.batches.segments.segment import Segment
from jobs.lanes.job import ClaimId
from jobs.publishing.ledger import Ledger
from jobs.publishing.winners import Winners
from jobs.store.store import Store

LOST: Final = frozenset({"x", SOLO})
"""The statuses in a head of attempts that their workers never reported on."""


def add_candidates(store: Store, index: OutcomeIndex, winners: Winners, ledger: Ledger) -> list[str]:
    """Add the candidates of all segments that the index has read. Returns the names of these segments, sorted by bytes.

    Raises Compacted if a file was compacted meanwhile. The caller must refresh the index in that case, and begin again with new
    winners and a new ledger.
    Raises StoreDamaged, StoreUnavailable.
    """
    names = sorted(index.segments, key=str.encode)
    places: Mapping[str, int] = {name: place for place, name in enumerate(names)}
    used = set(index.segments.values())
    files = {path: size for path, size in index.files.items() if path in used}
    for path, segments in each_segments(store, files):
        for segment in segments:
            name = segment.head.name
            if index.segments.get(name) == path:  # otherwise the segment counts from another file
                ledger.spend(segment.head.spent, segment.head.currency)
                _add_segment(segment, places[name], index, winners, ledger)
    return names


def _add_segment(segment: Segment, place: int, index: OutcomeIndex, winners: Winners, ledger: Ledger) -> None:
    head, data, add = segment.head, segment.data, winners.add
    counts, any_completed = index.current.counts, not index.current.sent_back
    accounts = [ledger.account_number(account) for account in head.accounts]
    end = segment.start
    for number, (row, line) in enumerate(zip(head.rows, head.lines, strict=True)):
        end += line[0]
        if row.status in LOST:
            ledger.lose(*_lost_worker(data[end - line[0] : end]))
        if len(line) > 1 and ((any_completed and row.status == "c") or counts(row)):
            stop = end - LINE_END
            add(row, place, number, data[stop - line[1] : stop], (accounts[line[2]], *line[3:]))


def _lost_worker(line: bytes) -> tuple[str, str]:
    """Return the model of a lost attempt, and the life of its worker; the life is empty if the line does not tell it."""
    values = orjson.loads(line)
    model = str(values.get("model") or "")
    try:
        claim = ClaimId.parse(str(values["receipt"]["worker"]))
    except (ValueError, KeyError, TypeError):
        return model, ""
    return model, f"{claim.worker}-{claim.incarnation}"
