"""The processes of the protocol's model: the real intake, feeder, sweeper, publisher and queue, and a model of a worker.

The world holds everything that outlives a process: a store in a folder, a Redis, and a clock that only the test moves. A
process holds the memory that dies with it. The worker follows `claimer.py` and `flusher.py` of `workers/worker/` step by step,
without their threads and without an engine; the test chooses the outcomes of its attempts.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import pytest

from jobs.batches.batch import BatchPaths, QuoteTerms
from jobs.batches.budgets.reservation import capped, reservation
from jobs.batches.budgets.tenant_accounts import TenantAccounts
from jobs.batches.known_batches import KnownBatches
from jobs.batches.open_batches import OpenBatches
from jobs.batches.request_row import RowRequest
from jobs.batches.segments import segment
from jobs.batches.segments.line import Outcome
from jobs.errors import UnavailableError
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.feed import Feeder
from jobs.lanes.job import ClaimId, Job, JobKey, Lease
from jobs.lanes.protocol import ClaimReply, Settlement, WorkerRecord
from jobs.lanes.requests import load_request
from jobs.prices import Money, Prices
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.local import LocalStore
from jobs.tenants import TenantSettings
from jobs.usage import Usage
from tests.faults.model.order_checks import ClaimCheck, leased, ready
from tests.faults.model.stepping import Fate, Gate, Packet, SteppedQueue, SteppedStore
from workers.worker.lane_keeper import KEEP_MS
from workers.worker.outcome import OutcomeBuilder
from workers.worker.retry import RetryPolicy

LANE: Final = "stub"
LEASE_MS: Final = 60_000
MAX_ATTEMPTS: Final = 3
EVENING: Final = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
PRICES: Final = Prices()
SHARED: Final = "others"
"""A tenant whose batches share the budget of a day. No day ends in the model."""
SETTINGS: Final = Settings(
    window_rows=3,
    inline_bytes=120,
    max_attempts=MAX_ATTEMPTS,
    batch_scan_s=5.0,
    tenants={SHARED: TenantSettings(budget_a_day=Money(amount=700_000, currency=PRICES.currency))},
)
FIRST_DRAW: Final = 2
"""The rows of each stratum in the first draw of a quoted batch. The model sets this number, since its batches are small."""
PACKETS: Final = 40
"""The number of latest packets that the network may deliver a second time."""

Ending = Literal["completed", "failed", "retried"]


class Server(Protocol):
    """A Redis whose time the test moves."""

    client: Any

    @property
    def now_ms(self) -> Callable[[], int] | None:
        """Gives the time that is passed to the scripts; None if the server itself has a clock that can be moved."""

    def pass_ms(self, ms: int) -> None: ...

    def save(self) -> object: ...

    def roll_back(self, saved: Any) -> None: ...


@dataclass
class World:
    """Everything that outlives a process, and the history that the checks need.

    `odd` means that Redis lost a key and no claim has run since. `disturbances` counts the events by which Redis may have
    forgotten something, or a process has died. After such an event, the checks that count attempts and leftovers start again.
    """

    folder: str
    server: Server
    ms: int = 0
    odd: bool = False
    bytes_lost: bool = False
    disturbances: int = 0
    packets: list[Packet] = field(default_factory=list)
    listings: dict[str, list[str]] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    segments: dict[str, bytes] = field(default_factory=dict)
    inside: dict[str, list[str]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    claims: Counter[tuple[JobKey, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.store = LocalStore(self.folder)
        self.queue = self.queue_behind(Gate())

    def now(self) -> datetime:
        return EVENING + timedelta(milliseconds=self.ms)

    def monotonic(self) -> float:
        return self.ms / 1000

    def pass_ms(self, ms: int) -> None:
        self.ms += ms
        self.server.pass_ms(ms)

    def let_leases_run_out(self) -> None:
        """Let all leases run out. Another worker still beats, so this does not look like an outage."""
        self.pass_ms(LEASE_MS - 1)
        self.queue.beat(LANE, [], LEASE_MS, WorkerRecord("another", 1, "n", LANE, 0))
        self.pass_ms(2)

    def may_run(self, batch_id: str, row: int) -> bool:
        """Check rule 49 from the files alone: until somebody agrees to a quote, only drawn rows run in the first round."""
        folder = Path(self.folder) / "batches" / batch_id
        terms = json.loads((folder / "batch.json").read_bytes())["quote"]
        is_quoted = (folder / "quoted-1.json").exists()
        if terms is None or (folder / "agreed-1.json").exists() or (is_quoted and terms["goes_on"]):
            return True
        draws = sorted(folder.glob("drawn-*.json"))
        strata = json.loads((folder / "sample.json").read_bytes())["strata"]
        first = [min(FIRST_DRAW, one["rows"]) for one in strata]
        counts = json.loads(draws[-1].read_bytes())["rows"] if draws else first
        self.seen |= {"a sample is drawn"} | ({"further rows are drawn"} if draws else set())
        return any(
            row in [drawn[0] for drawn in one["drawn"][:count]] for one, count in zip(strata, counts, strict=True)
        )

    def disturb(self) -> None:
        self.disturbances += 1
        self.claims.clear()

    def store_behind(self, gate: Gate) -> SteppedStore:
        alone: list[str] = []

        def listed(folder: str, names: list[str]) -> None:
            """Remember each list of segment names that was read, by its digest. A publisher puts this digest into `done`."""
            if folder.endswith("/segments"):
                alone[:] = names
            elif folder.endswith("/compacted"):
                inside = [name for file in names for name in self.inside[f"{folder}/{file}"]]
                known = sorted({*alone, *inside}, key=str.encode)
                self.listings[hashlib.sha256("\n".join(known).encode()).hexdigest()] = known

        return SteppedStore(self.folder, gate, listed, self._made)

    def queue_behind(self, gate: Gate, fed: Callable[[Packet], None] = lambda _: None) -> SteppedQueue:
        def sent(packet: Packet) -> None:
            self._sent(packet)
            fed(packet)

        return SteppedQueue(self.server.client, MAX_ATTEMPTS, gate, sent, self.server.now_ms, self._claimed)

    def _claimed(self, n: int, reply: Sequence[Any]) -> None:
        """Check the rows that a claim took and left, unless there are suspects or the lane had lost a key."""
        jobs, _, _, _, paused, apart, *_ = reply
        client = self.server.client
        taken = leased(client, LANE, jobs[::3])
        if paused or apart or self.odd or client.zcard(f"np:2:{{-/{LANE}}}:suspects") or any(one for _, one in taken):
            return
        check = ClaimCheck(n, [one for one, _ in taken], ready(client, LANE))
        assert not (faults := list(check.faults())), faults
        self.seen |= {"rows of two priorities wait"} if len({one.level for one in check.left}) > 1 else set()

    def _made(self, path: str, data: bytes) -> None:
        self.made.setdefault(path, len(self.made))
        if "/segments/" in path:
            self.segments[path] = data
        elif "/compacted/" in path:
            self.inside[path] = [part["name"] for part in json.loads(data.partition(b"\n")[0])["segments"]]
            self.seen.add("segments compacted")

    def _sent(self, packet: Packet) -> None:
        if packet[0] == "claim":
            self.odd = False
        self.packets = [*self.packets, packet][-PACKETS:]


class Process:
    """A process: its gate, its connections, and its one action under way."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.restart()

    def restart(self) -> None:
        """Die, and start again with nothing in memory."""
        self.gate = Gate()
        self.store = self.world.store_behind(self.gate)
        self.queue = self.world.queue_behind(self.gate)
        self.faulted = False
        self.refusals: tuple[type[Exception], ...] = ()

    @property
    def busy(self) -> bool:
        return self.gate.action is not None

    @property
    def at(self) -> str | None:
        return self.gate.action.at if self.gate.action else None

    def start(self, act: Callable[[], object], refusals: tuple[type[Exception], ...] = ()) -> None:
        """Begin an action. `refusals` are the errors with which it may end although no fault was injected."""
        self.faulted, self.refusals = False, refusals
        self.gate.start(act)
        self._look()

    def go(self, steps: int | None = None) -> None:
        """Make `steps` I/O calls, or all that are left."""
        while self.gate.action is not None and steps != 0:
            self.suffer("made")
            steps = None if steps is None else steps - 1

    def suffer(self, fate: Fate) -> None:
        """Give the next I/O call this fate."""
        assert self.gate.action is not None
        self.faulted |= fate in ("fails", "fails after")
        self.gate.action.step(fate)
        self._look()

    def die(self) -> None:
        if self.gate.action is not None:
            # when a process is killed, the calls in its `finally` blocks are not made either
            while not self.gate.action.over:
                self.gate.action.step("dies")
        self.restart()

    def _look(self) -> None:
        """When the action is over, raise its error. An error that a fault or a refusal explains is not raised."""
        action = self.gate.action
        if action is None or not action.over:
            return
        self.gate.action = None
        error = action.error
        if error is None or (self.faulted and isinstance(error, UnavailableError)) or isinstance(error, self.refusals):
            return
        raise error


class SweeperProcess(Process):
    """A process with a sweeper, which publishes complete batches, closes overdue ones, and resets batches that Redis forgot."""

    def restart(self) -> None:
        super().restart()
        world = self.world
        self.batches = OpenBatches(self.store, batch_scan_s=SETTINGS.batch_scan_s, monotonic=world.monotonic)
        self.sweeper = Sweeper(
            self.store,
            self.queue,
            self.batches,
            PRICES,
            world.now,
            compact_segments=2,
            compact_every=timedelta(0),
            accounts=TenantAccounts(self.store, SETTINGS, world.now),
        )


@dataclass(frozen=True)
class Segment:
    """The lines of a segment that is not written yet, and the settlements to send after it is written."""

    batch_id: str
    n: int
    outcomes: Sequence[Outcome]
    settlements: Sequence[Settlement]


class Worker(Process):
    """A worker that claims, finishes, flushes and settles jobs. Only its memory holds these jobs."""

    lives = 0

    def restart(self) -> None:
        super().restart()
        world = self.world
        self.lives += 1
        self.queue = world.queue_behind(self.gate, self._sent)
        self.fed: dict[tuple[str, int], int] = {}
        self.batches = OpenBatches(self.store, batch_scan_s=SETTINGS.batch_scan_s, monotonic=world.monotonic)
        self.feeder = Feeder(self.store, self.queue, self.batches, SETTINGS, world.monotonic, world.now)
        self.outcome_builder = OutcomeBuilder(self.name, LANE, "cpu", {}, PRICES, RetryPolicy(MAX_ATTEMPTS))
        self.claims = 0
        self.news = ""
        self.to_be_empty = False
        self.segments = 0
        self.held: dict[Lease, tuple[Job, RowRequest]] = {}
        self.known = KnownBatches(self.store)
        self.prices: dict[Lease, Prices | None] = {}
        self.lost: set[Lease] = set()
        self.finished: list[tuple[str, Outcome, Settlement | None]] = []
        self.unwritten: list[Segment] = []
        self.unsettled: list[Settlement] = []

    def _sent(self, packet: Packet) -> None:
        """Remember how many files existed when a batch was last fed."""
        if packet[0] == "feed":
            batch_id, round_ = packet[2][:2]
            self.fed[batch_id, round_] = len(self.world.made)

    def leftovers(self) -> list[str]:
        """Batches that this worker fed after they had ended or were paused, and did not drop again (rule 10)."""
        schedules = self.queue.snapshot(LANE).batches
        made, left = self.world.made, []
        for (batch_id, round_), fed_at in self.fed.items():
            paths, schedule = BatchPaths(batch_id), schedules.get(batch_id)
            ended = min(made.get(path(round_), fed_at) for path in (paths.closed, paths.done)) < fed_at
            ended |= made.get(paths.paused(round_), fed_at) < fed_at and paths.resumed(round_) not in made
            if ended and paths.reopen(round_ + 1) not in made and schedule and schedule.round == round_:
                left += [batch_id] * schedule.ready
        self.fed = {}
        return left

    @property
    def record(self) -> WorkerRecord:
        return WorkerRecord(self.name, 1, "n", LANE, len(self.leases))

    # -- claim, as the claimer does

    def claim(self, n: int) -> None:
        if self.to_be_empty and self.leases:
            return
        claim_id = str(ClaimId(self.name, str(self.lives), self.claims))
        reply = self.queue.claim(LANE, claim_id, n, LEASE_MS, self.record, keep_ms=KEEP_MS)
        self.claims += 1
        if not reply.keeps:
            self.batches.forget_all()
        self.to_be_empty = reply.apart or any(job.suspect for job in reply.jobs)
        self._take_up(reply.jobs)
        self._feed(reply, hungry=len(reply.jobs) < n and not self.to_be_empty)

    def top_up(self) -> None:
        self.batches.scan()
        self.feeder.top_up(LANE)

    def _feed(self, reply: ClaimReply, *, hungry: bool) -> None:
        if reply.keeps and not reply.paused:
            is_new = reply.news != self.news
            self.batches.scan(now=is_new)
            if is_new:
                self.feeder.look_again(LANE, reply.news.partition("|")[2])
                self.news = reply.news
            self.feeder.top_up(LANE, reply.ready, hungry=hungry)

    def _take_up(self, jobs: Sequence[Job]) -> None:
        for n, job in enumerate(jobs):
            try:
                self._begin(job)
            except UnavailableError:
                self.release([other.lease for other in jobs[n:]])
                raise

    def _begin(self, job: Job) -> None:
        assert job.attempt <= MAX_ATTEMPTS, job
        batch_id, now = job.key.batch_id, self.world.now()
        self.world.seen |= {name for name in ("rescued", "burial", "suspect", "lost_solo") if getattr(job, name)}
        if job.rescued:
            self.world.claims[job.key, job.lease.round] -= len(job.lost)  # a crash costs no attempt
            self.finished += [(batch_id, self.outcome_builder.crashed(job, lease, now), None) for lease in job.lost]
            if self._has_outcome(job):
                self.world.seen.add("an outcome whose report was lost")
                self.queue.settle(LANE, [Settlement(job.lease)])
                return
        row = load_request(self.store, batch_id, LANE, job)
        assert row.request["prompt"].startswith(f"{batch_id.partition('-')[0]} {row.row}"), (job, row)
        if job.burial:
            self.finished.append((batch_id, *self.outcome_builder.buried(job, row, now)))
            return
        assert job.lease.round > 1 or self.world.may_run(batch_id, row.row), f"{job.key} ran before anybody agreed"
        self.world.claims[job.key, job.lease.round] += 1
        most = MAX_ATTEMPTS + job.crashes  # a crash costs no attempt
        assert self.world.claims[job.key, job.lease.round] <= most, f"{job.key} was run too often"
        known = self.known.get(batch_id, job.lease.round)
        self.prices[job.lease] = None if known is None else known.prices
        self.held[job.lease] = (job, row)

    def _has_outcome(self, job: Job) -> bool:
        index = self.batches.get(job.key.batch_id)
        if index is None:
            return False
        index.refresh()
        return index.has_outcome(job.key.row)

    # -- engine

    def finish(self, place: int, ending: Ending, delay_ms: int = 0) -> None:
        """End one held job. A failure of the last attempt is final, as in the retry policy."""
        job, row = self.held.pop(list(self.held)[place % len(self.held)])
        lease = job.lease
        retry = ending == "retried" and job.attempt < MAX_ATTEMPTS
        text = {"text": f"{lease.key} in round {lease.round}, fence {lease.fence}, claim {lease.claim_id}"}
        cost = 1 + lease.key.row + 10 * lease.fence
        prices = self.prices.pop(lease)
        usage = PRICES.price(Usage(cost, 0, 2 * cost, 1000 * cost), model=LANE, device="cpu")
        if prices is not None:  # attempts of a row differ much in what they charge, and some would charge too much
            part = 1 + (lease.key.row + 3 * lease.fence) % 5
            usage = capped(replace(usage, charge=reservation(row, prices) * part // 4), row, prices)
        outcome = Outcome(
            row=lease.key.row,
            round=lease.round,
            fence=lease.fence,
            claim_id=lease.claim_id,
            status="completed" if ending == "completed" else "failed",
            final=not retry,
            kind=row.kind,
            custom_id=row.custom_id,
            tenant=row.tenant,
            attempt=job.attempt,
            output=text if ending == "completed" else None,
            error=None if ending == "completed" else {"code": "empty_output", "message": lease.claim_id},
            usage=usage,
            wasted=PRICES.price(Usage(0, cost, cost, 10 * cost), model=LANE, device="cpu"),
            model=LANE,
            receipt={"worker": self.name},
        )
        settlement = Settlement(lease, "retry", delay_ms) if retry else Settlement(lease)
        self.finished.append((lease.key.batch_id, outcome, settlement))

    # -- flush, settle, as the flusher does

    def flush(self, most: int) -> None:
        """Write the first `most` finished rows, one segment for each batch, then settle."""
        due, self.finished = self.finished[:most], self.finished[most:]
        lines: defaultdict[str, list[tuple[Outcome, Settlement | None]]] = defaultdict(list)
        for batch_id, outcome, settlement in due:
            if settlement is None or settlement.lease not in self.lost:
                lines[batch_id].append((outcome, settlement))
        for batch_id, rows in lines.items():
            self.segments += 1
            reports = [settlement for _, settlement in rows if settlement is not None]
            self.unwritten.append(Segment(batch_id, self.segments, [outcome for outcome, _ in rows], reports))
        while self.unwritten:
            due_next = self.unwritten[0]
            paths = BatchPaths(due_next.batch_id)
            segment.write(self.store, paths, due_next.outcomes, self.name, str(self.lives), due_next.n)
            self.unsettled += self.unwritten.pop(0).settlements
        if self.unsettled:
            self.queue.settle(LANE, self.unsettled)
            self.unsettled = []

    # -- leases

    @property
    def leases(self) -> list[Lease]:
        """All leases that the heartbeat renews."""
        written = [settlement for part in self.unwritten for settlement in part.settlements]
        waiting = [settlement for _, _, settlement in self.finished if settlement is not None]
        return [*self.held, *(settlement.lease for settlement in [*waiting, *written, *self.unsettled])]

    def beat(self) -> None:
        answer = self.queue.beat(LANE, self.leases, LEASE_MS, self.record)
        self.lost |= answer.lost
        for lease in answer.lost & self.held.keys():
            del self.held[lease]
        self.release([lease for lease in answer.cancelled if lease in self.held])

    def release(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            self.held.pop(lease, None)
        if leases:
            gone = self.queue.release(LANE, leases)
            self.world.claims.subtract((lease.key, lease.round) for lease in leases if lease not in gone)


def submit(world: World, rows: int, budget: int | None = None, quote: QuoteTerms | None = None) -> str:
    lines = [b'{"kind":"chat","model":"stub","prompt":"a %d"}\n' % row for row in range(rows)]
    money = None if budget is None else Money(amount=budget, currency=PRICES.currency)
    options = IntakeOptions(name="a", budget=money, quote=quote)
    return accept(world.store, lines, options, kinds=load_kinds(), settings=SETTINGS, run_key="a").batch.batch_id


def draw_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch of a few rows be quoted by `FIRST_DRAW` of them, and by half of them at most."""
    monkeypatch.setattr("jobs.planning.quotes.LEAST_ROWS", FIRST_DRAW)
    monkeypatch.setattr("jobs.planning.quotes.MOST_SHARE", 2)
