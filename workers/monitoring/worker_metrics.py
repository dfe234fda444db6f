"""The metrics of one worker. The worker counts in its own process, and tells its counts in its status.

`workers/monitoring/fleet_metrics.py` adds up the counts of all workers and serves them. The table of metrics says what a label
may hold.
"""

import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from jobs.batches.segments.line import Outcome
from jobs.errors import CODES
from jobs.prices import BILLION, NS_PER_HOUR, Prices
from jobs.usage import Remembered, Usage
from workers.engines.protocol import EngineStats
from workers.monitoring.counts import Counts, Key, WorkerSamples

OTHER: Final = "_OTHER"
"""The label `error_type` of every error code that `CODES` lacks, such as a code of a kind's own."""

NS: Final = 1e9
"""The nanoseconds in a second."""

STATM: Final = Path("/proc/self/statm")
"""Where Linux says how much memory a process has, in pages. The second number is what is not swapped out."""


class WorkerMetrics:
    """Counts the attempts, tokens, durations and money of one worker. Thread-safe. Device time is priced by `prices`.

    `spent` is what the attempts that are durable took, waste included.
    """

    def __init__(self, prices: Prices | None = None) -> None:
        self._prices = prices or Prices()
        self._counts = Counts()
        self.spent = Usage()
        self._life, self._born = secrets.token_hex(8), time.time()

    def written(self, outcomes: Sequence[Outcome]) -> None:
        """Count these outcomes, which are durable now."""
        for one in outcomes:
            self._count(one)

    def _count(self, one: Outcome) -> None:
        count, spent = self._counts.add, one.usage + one.wasted
        self.spent += spent
        retried = one.status == "failed" and not one.final
        count("nightpress_rows_total", "retried" if retried else one.status)
        if one.verdict:
            count("nightpress_verdicts_total", one.verdict)
        for found in one.findings or ():
            code = found["code"] if found["code"] in CODES else OTHER
            count("nightpress_findings_total", code, found["severity"])
        if one.status == "completed":
            if "memory" in one.receipt:
                self._count_remembered(Remembered.from_dict(one.receipt["memory"]))
            currency = str(one.receipt.get("currency", self._prices.currency))
            count("nightpress_charge_total", currency, amount=one.usage.charge / BILLION)
        wasted = one.wasted if one.status == "completed" else spent
        count("nightpress_wasted_device_seconds_total", amount=wasted.device_ns / NS)
        for kind, tokens in (
            ("input", spent.prompt_tokens),
            ("cached", spent.cached_prompt_tokens),
            ("output", spent.completion_tokens),
        ):
            self._counts.observe("gen_ai_client_token_usage", tokens, kind)
        if (took_s := _took_s(one)) is not None:
            self._counts.observe("nightpress_attempt_duration_seconds", took_s, _error_type(one))

    def _count_remembered(self, answered: Remembered) -> None:
        for answer, segments in (("known", answered.known), ("asked", answered.segments - answered.known)):
            self._counts.add("nightpress_memory_segments_total", answer, amount=segments)
        for kind, tokens in (("input", answered.prompt_tokens), ("output", answered.completion_tokens)):
            self._counts.add("nightpress_memory_saved_tokens_total", kind, amount=tokens)

    def flushed(self, seconds: float) -> None:
        """Count a try to make a segment durable, and the seconds that it took."""
        self._counts.observe("nightpress_flush_duration_seconds", seconds)

    def samples(self, stats: EngineStats | None, lease_losses: int) -> WorkerSamples:
        """Return all counts and gauges, with those of the engine if `stats` is given."""
        counts, gauges = self._counts.samples(), {}
        if (memory := _resident_bytes()) is not None:
            gauges["nightpress_worker_resident_memory_bytes"] = memory
        if stats is not None:
            counts |= self._of_engine(stats, lease_losses)
            gauges |= {
                "nightpress_engine_slots": float(stats.slots),
                "nightpress_engine_slots_in_use": float(stats.running),
            }
        return WorkerSamples(self._life, self._born, counts, gauges)

    def _of_engine(self, stats: EngineStats, lease_losses: int) -> dict[Key, tuple[float, ...]]:
        found: dict[Key, tuple[float, ...]] = {
            ("nightpress_engine_steps_total", ()): (float(stats.steps),),
            ("nightpress_lease_losses_total", ()): (float(lease_losses),),
        }
        hour = self._prices.of_device(stats.device)
        for account, spent_ns in (("busy", stats.busy_ns), ("idle", stats.idle_ns), ("load", stats.load_ns)):
            spent = max(spent_ns, 0)
            found["nightpress_device_seconds_total", (account,)] = (spent / NS,)
            cost = spent * hour / NS_PER_HOUR / BILLION
            found["nightpress_device_cost_total", (account, self._prices.currency)] = (cost,)
        return found


def _took_s(outcome: Outcome) -> float | None:
    """Return the seconds from the start of the attempt to its end; None if the receipt lacks one of these two times."""
    began, ended = outcome.receipt.get("started_at"), outcome.receipt.get("finished_at")
    if began is None or ended is None:
        return None
    return max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())


def _error_type(outcome: Outcome) -> str:
    """Return the code of the outcome's error; empty if it has no error.

    A code that `CODES` lacks becomes `_OTHER`, so that the label has few values.
    """
    code = (outcome.error or {}).get("code", "")
    return code if code in CODES or not code else OTHER


def _resident_bytes() -> float | None:
    """Return the memory of this process that is not swapped out; None where the system does not say."""
    with suppress(OSError, ValueError, IndexError):
        return float(int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    return None
