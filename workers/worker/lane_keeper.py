"""The part of a worker that keeps its lane: it looks for open batches, and feeds the lane (rule 47 of jobs/PROTOCOL.md).

One worker of a lane does this for all. So the folder of open batches is listed, and the heads of segments are read, as often
with a thousand workers as with one. The queue says with each claim whether this worker keeps the lane. It goes on as long as it
claims, and any other worker takes over once it has not claimed for `KEEP_MS`. Nothing depends on there being one keeper only: two
that feed at once do no harm (rule 6).
"""

from collections.abc import Callable
from typing import Final

from jobs.errors import StoreDamaged, StoreUnavailable
from jobs.lanes.protocol import ClaimReply
from workers.worker.context import WorkerContext

KEEP_MS: Final = 3_000
"""A worker keeps its lane for this many milliseconds after each of its claims."""

LOOK_S: Final = 0.5
"""A keeper without room for jobs claims none of them this often, so that it still keeps the lane, and feeds it."""

STAND_BACK_S: Final = 2.0
"""Seconds for which a worker that could not read or write storage leaves the lane to another worker."""


class LaneKeeper:
    """Feeds the lane of one worker while this worker keeps it. Only the claimer's thread may use it.

    `claim_none` makes a claim for no job, which renews the worker's hold of the lane.
    """

    def __init__(self, context: WorkerContext, claim_none: Callable[[], object]) -> None:
        self._context = context
        self._claim_none = claim_none
        self._news = ""
        self._claimed_at = float("-inf")
        self._stands_back_until = float("-inf")
        self._made_id = False
        self.keeps = False

    @property
    def keep_ms(self) -> int:
        """For how long the next claim is to keep the lane, in milliseconds."""
        return KEEP_MS if self._context.monotonic() >= self._stands_back_until else 0

    @property
    def is_due(self) -> bool:
        """Whether this worker keeps the lane, and must claim soon to go on with it."""
        return self.keeps and self._context.monotonic() - self._claimed_at >= LOOK_S

    def note(self, reply: ClaimReply) -> None:
        """Note whether this worker keeps the lane. A worker that has lost it forgets all outcomes that it knew of."""
        self._claimed_at = self._context.monotonic()
        if self.keeps and not reply.keeps:
            self._context.batches.forget_all()
            self._made_id = False
        self.keeps = reply.keeps

    def feed(self, reply: ClaimReply, *, hungry: bool) -> int:
        """Look for open batches and feed the lane, if this worker keeps it. Returns how many rows were added.

        `hungry` is True if the claim got too few jobs, or the last of a batch. `batches` and `feeder` themselves limit how often
        they read the storage. Raises UnavailableError. If the storage is away, another worker may keep the lane from now on.
        """
        if not self.keeps or reply.paused:
            return 0
        try:
            self._look(reply)
            return self._context.feeder.top_up(self._context.lane, reply.ready, hungry=hungry, at_each=self._renew)
        except StoreDamaged:
            raise
        except StoreUnavailable:
            self._stands_back_until = self._context.monotonic() + STAND_BACK_S
            raise

    def _look(self, reply: ClaimReply) -> None:
        """Look for open batches: at once if one was announced since the last look."""
        context, is_new = self._context, reply.news != self._news
        if not self._made_id:
            context.schedule.make_id()
            self._made_id = True
        context.batches.scan(now=is_new)
        if is_new:
            context.feeder.look_again(context.lane, reply.news.partition("|")[2])
            self._news = reply.news

    def _renew(self) -> None:
        if self.is_due:
            self._claim_none()
