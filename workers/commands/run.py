"""`nightpress run`: one batch, from its acceptance to its published files, with all that it needs on this machine.

It is made for a laptop or a nightly script. It starts an embedded Redis server and a local Ray unless others are configured,
shows how far the batch is, and drains when it is interrupted. The output folder is the run key of the batch, so the same command
resumes the same batch.
"""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from jobs.batches.batch import Batch, Done
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import read_round, require_batch
from jobs.errors import BatchPaused, UnavailableError
from jobs.kinds.registry import load_kinds
from jobs.logs import logger
from jobs.publishing.auditing import Auditor
from jobs.publishing.remembering import Rememberer
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.store import Store
from workers.commands.work import known
from workers.fleet.cluster import connect
from workers.fleet.desk.seat import Wish
from workers.fleet.fleet import Fleet
from workers.fleet.supervisor import Supervisor

SWEEP_S: Final = 0.2
"""Seconds between two sweeps of the batch."""


STARTING: Final = "starting workers"
"""The phase of a run whose workers have no room yet, or are slow to start."""
GENERATING: Final = "generating"


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: its phase in words, what storage holds of the batch, and the seconds since the start.

    `index` is None if storage was not read.
    """

    phase: str
    index: OutcomeIndex | None = None
    elapsed_s: float = 0.0


@dataclass
class Run:
    """Works on one batch until it is published. A Run is the Goal of its supervisor.

    `show` is called several times a second. `report` is called, with a log event and a line, when something is away, back or
    damaged.
    """

    store: Store
    batch: Batch
    settings: Settings
    show: Callable[[RunProgress], None] = lambda _: None
    report: Callable[[str, str], None] = lambda *_: None
    workers: int | None = None
    supervisor: Supervisor = field(init=False)
    _done: Done | None = None
    _phase: str = STARTING
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        address = self.settings.ray_address
        self.supervisor = Supervisor(
            self.settings,
            self.store,
            partial(connect, address, local=address is None, grows_to=self.settings.grows_to),
            self.report,
            only=frozenset([self.batch.batch_id]),
            wish=Wish(workers=self.workers),
            sweep_s=SWEEP_S,
        )

    def interrupt(self) -> None:
        """Drain and end. A second call ends the workers at once. Safe in a signal handler."""
        self.supervisor.interrupt()

    def until_published(self) -> Done | None:
        """Work until the batch is published, and return its `done` marker; None if the run was interrupted before that.

        Raises:
            UnavailableError: Something is not there at the start, or Ray is lost.
            RequestError: The catalog lacks a model of the batch.
            BatchPaused: The batch is paused.
            NoBatch: The batch was deleted meanwhile.
        """
        done = read_round(self.store, self.batch).published
        if done is not None:
            return done
        for lane in self.batch.lanes.values():
            known(lane.model, self.settings)
        kinds = load_kinds(self.settings.templates_dir)
        auditor = Auditor.from_settings(self.store, kinds, self.settings)
        self.supervisor.run(self, with_workers=bool(self.batch.lanes))  # without lanes there is nothing to generate
        if self._done is not None:
            logger().info("run.timed", **self.supervisor.timings)
            with contextlib.suppress(UnavailableError):  # the notes stay, and a fleet takes the round up
                Rememberer(self.store, kinds, self.settings).remember_batch(self.batch.batch_id, self._done.round)
                auditor.audit_batch(self.batch.batch_id, self._done.round)
        return self._done

    # -- what the supervisor asks -----------------------------------------------------------------------------------

    def models(self, sweeper: Sweeper) -> Iterable[str]:
        del sweeper
        return {lane.model for lane in self.batch.lanes.values()}

    def look(self, sweeper: Sweeper) -> None:
        index = sweeper.batches.get(self.batch.batch_id)
        if index is None:
            require_batch(self.store, self.batch.batch_id)  # raises NoBatch if the batch was deleted
        elif index.done is None:
            index.refresh()

    def is_reached(self, sweeper: Sweeper, still_open: int | None) -> bool:
        del still_open
        index = sweeper.batches.get(self.batch.batch_id)
        if index is not None and index.done is None and index.current.paused is not None:
            batch_id = self.batch.batch_id
            raise BatchPaused(
                f"{batch_id} is paused: {index.current.paused.reason}. "
                f"Mend the cause, then nightpress resume {batch_id}, and the same command again"
            )
        timings = self.supervisor.timings
        if index is not None and sum(index.counts.values()) > self.batch.refused:
            timings.setdefault("first_row_s", round(time.monotonic() - self._began, 2))
        self.show(RunProgress(self._phase, index, time.monotonic() - self._began))
        self._done = sweeper.published.get(self.batch.batch_id)
        return self._done is not None

    def tick(self, sweeper: Sweeper, fleet: Fleet) -> None:
        """Note whether the models are loaded. Once the first row has an outcome, note how long the model took to load."""
        del sweeper
        self._phase = phase_of(fleet)
        timings = self.supervisor.timings
        if "first_row_s" in timings and "load_s" not in timings:
            loads = [status["load_s"] for status in fleet.statuses() if "load_s" in status]
            timings["load_s"] = round(max(loads, default=0.0), 2)

    def show_phase(self, phase: str) -> None:
        self.show(RunProgress(phase, None, time.monotonic() - self._began))


def phase_of(fleet: Fleet) -> str:
    """Return the phase of a fleet in words. While the first worker of a model loads it, name the model and the time so far."""
    if not any(replica.placed for replica in fleet.replicas):
        return STARTING
    loading = ", ".join(f"{alias} for {seconds:.0f} s" for alias, seconds in sorted(fleet.loading().items()))
    if not loading:
        return GENERATING
    return (
        f"{GENERATING}, loading {loading}"
        if any(replica.loaded for replica in fleet.replicas)
        else f"loading {loading}"
    )
