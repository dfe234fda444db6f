"""Batches made by hand, for tests that need only storage, and nights whose time a test moves."""

import hashlib
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from jobs.accounts.archive import FOLDER
from jobs.accounts.summaries import note_round
from jobs.batches.batch import Batch, BatchPaths, Done, InputLayout, LaneInput
from jobs.batches.published import ERRORS, OUTPUT, read_published
from jobs.batches.refused import RefusedRow
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import close, list_batches, to_bytes
from jobs.batches.segments.line import EVERY_ROUND, Outcome
from jobs.batches.segments.segment import write
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.store.opening import open_store
from jobs.store.store import Store
from jobs.usage import Usage
from tests.support.clocks import EVENING
from tests.support.night import LANE, settings_of
from tests.support.timed_night import TimedNight


@dataclass
class Shelf:
    """A store with a clock that the test moves. Its methods put batches and outcomes into the store."""

    store: Store
    now: datetime = EVENING
    _tenants: Sequence[str] = ("default",)
    _segments: itertools.count = field(default_factory=lambda: itertools.count(1))  # type: ignore[type-arg]

    def clock(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def accept(
        self,
        batch_id: str = "night-1",
        rows: int = 4,
        *,
        refused: Sequence[int] = (),
        kinds: Sequence[str] = ("chat",),
        tenants: Sequence[str] = ("default",),
        **fields: Any,
    ) -> Batch:
        """Accept a batch of `rows` rows on the lane `stub`. Kinds and tenants take turns; intake refused the rows `refused`."""
        paths = BatchPaths(batch_id)
        accepted = [row for row in range(rows) if row not in refused]
        lines = b"".join(
            RowRequest(
                row=row,
                line=row + 1,
                kind=kinds[row % len(kinds)],
                model="stub",
                request={"prompt": f"Row {row}"},
                custom_id=f"c{row}",
                tenant=tenants[row % len(tenants)],
            ).to_line()
            for row in accepted
        )
        self.store.create(paths.input(LANE), lines)
        self._tenants = tenants
        if refused:
            self.write(batch_id, [self.refusal(row) for row in refused])
            kept = (RefusedRow(row, row + 1, None, f"line {row + 1}: not_json", "x", None, True) for row in refused)
            self.store.create(paths.refused, b"".join(row.to_line() for row in kept))
        batch = Batch(
            batch_id=batch_id,
            name=batch_id,
            tenant=tenants[0],
            priority=4,
            run_key="key",
            rows=rows,
            refused=len(refused),
            layout=InputLayout(form="jsonl", has_unread=True) if refused else None,
            lanes={
                LANE: LaneInput(
                    model="stub", rows=len(accepted), bytes=len(lines), sha256=hashlib.sha256(lines).hexdigest()
                )
            },
            full_sha256="0" * 64,
            created_at=self.now,
            **fields,
        )
        self.store.create(paths.acceptance, to_bytes(batch))
        return batch

    def refusal(self, row: int) -> Outcome:
        error = {"code": "not_json", "message": "not JSON", "line": row + 1, "field": None}
        return Outcome(row, EVERY_ROUND, 0, "", "failed", True, "", error=error)

    def completed(self, row: int, *, round_: int = 1, kind: str = "chat", **values: Any) -> Outcome:
        """A completed line of the batch that was accepted last. It used 100 + row prompt tokens and 10 completion tokens."""
        usage = Usage(100 + row, 0, 10, 1_000_000_000, 13_889, 1_400_000 + 10_000 * row)
        receipt: Mapping[str, Any] = {
            "engine": "stub",
            "finish_reason": "stop",
            "seed": 7,
            "worker": "w",
            "prices": "example-2026-11",
            "started_at": EVENING.isoformat(),
            "finished_at": self.now.isoformat(),
        }
        tenant = self._tenants[row % len(self._tenants)]
        line = {
            "custom_id": f"c{row}",
            "tenant": tenant,
            "output": {"text": f"Text {row}"},
            "usage": usage,
            "receipt": receipt,
        }
        return Outcome(row, round_, 1, "claim", "completed", True, kind, model="stub", **{**line, **values})

    def priced(self, row: int, currency: str, **values: Any) -> Outcome:
        """A completed line of a worker whose prices are in this currency."""
        made = self.completed(row, **values)
        return replace(made, receipt={**made.receipt, "currency": currency})

    def failed(self, row: int, *, round_: int = 1, final: bool = True) -> Outcome:
        error = {"code": "empty_output", "message": "the model wrote nothing", "line": row + 1}
        return Outcome(row, round_, 1, "claim", "failed", final, "chat", f"c{row}", error=error, model="stub")

    def write(self, batch_id: str, outcomes: Sequence[Outcome], worker: str = "w") -> str:
        """Write one more segment. Returns its name."""
        return write(self.store, BatchPaths(batch_id), outcomes, worker, "1", next(self._segments))

    def publish(self, batch_id: str = "night-1") -> Done:
        """Publish a batch, which must be possible."""
        done = publish(self.store, batch_id, prices=Prices(), clock=self.clock)
        assert isinstance(done, Done), done
        return done

    def rows(self, done: Done, name: str = OUTPUT, batch_id: str = "night-1") -> list[dict[str, Any]]:
        """The rows of a published file."""
        return list(read_published(self.store, done, batch_id, name))

    def statuses(self, done: Done) -> dict[int, str]:
        """The error code of each published row, by the row's number; the status of a row without an error."""
        rows = self.rows(done) + self.rows(done, ERRORS)
        return {row["row"]: row["error"]["code"] if "error" in row else row["status"] for row in rows}

    def forget_summaries(self) -> None:
        """Leave the store as if each publisher had been killed after it decided its round, before it wrote a summary."""
        self.store.delete(FOLDER)
        for batch_id in list_batches(self.store):
            for name in self.store.list(BatchPaths(batch_id).root):
                if name.startswith("done-"):
                    note_round(self.store, batch_id, int(name.removeprefix("done-").removesuffix(".json")))

    def publish_half(self, batch_id: str = "night-1") -> Done:
        """Publish the ready rows at a soft deadline; the publisher dies before it opens the next round."""
        close(self.store, batch_id, "postponed", clock=self.clock)
        done = self.publish(batch_id)
        assert done.counts["expired"]
        self.store.delete(BatchPaths(batch_id).reopen(done.round + 1))
        return done


@pytest.fixture
def make_night(tmp_path: Path, fake_client: redis.Redis) -> Callable[..., TimedNight]:
    """Makes a night with these settings, in which nothing waits for a scan."""

    def make(**settings: Any) -> TimedNight:
        return TimedNight(open_store(str(tmp_path / "store")), fake_client, settings_of(batch_scan_s=1e-9, **settings))

    return make


@pytest.fixture
def night(make_night: Callable[..., TimedNight]) -> TimedNight:
    return make_night()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(open_store(str(tmp_path / "store")))


class Killed(BaseException):
    """Raised at the point where the process would be killed, so no code may catch it."""


class Dying:
    """A store whose process is killed before its n-th creation or deletion."""

    def __init__(self, inner: Store, changes: int) -> None:
        self._inner, self._left = inner, changes

    def __getattr__(self, name: str) -> Any:
        if name in ("create", "delete"):
            if self._left == 0:
                raise Killed
            self._left -= 1
        return getattr(self._inner, name)

    def delete_files(self, paths: Sequence[str]) -> None:
        """Delete the files one after the other. Each deletion is a change."""
        for path in paths:
            self.delete(path)

    def discard(self, *paths: str) -> bool:
        """Delete the files in the given order."""
        self.delete_files(paths)
        return True


@pytest.fixture
def dying() -> Callable[[Store, int], Store]:
    """Makes a store whose process is killed after a number of changes."""
    return lambda inner, changes: cast("Store", Dying(inner, changes))


class Meeting:
    """A store that answers only after it was asked for two batches. A caller that waits for the first answer before it asks
    again gets no answer.
    """

    reads_at_once = 2

    def __init__(self, inner: Store) -> None:
        self._inner, self._both, self._asked, self._lock = inner, threading.Barrier(2), set[str](), threading.Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return partial(self._ask, method) if name in ("list", "read", "exists") else method

    def _ask(self, method: Callable[[str], Any], path: str) -> Any:
        batch_id = path.split("/")[1] if path.startswith("batches/") else ""
        with self._lock:
            waits = bool(batch_id) and batch_id not in self._asked and len(self._asked) < 2
            self._asked |= {batch_id} if waits else set()
        if waits:
            self._both.wait(20)
        return method(path)


@pytest.fixture
def meeting() -> Callable[[Store], Store]:
    """Makes a store that has to be asked for two batches at once."""
    return lambda inner: cast("Store", Meeting(inner))


@pytest.fixture
def killed() -> type[BaseException]:
    """The exception that a dying store raises."""
    return Killed
