"""Structured logs: one call to configure structlog, and the table of every event.

An event is a stable dotted past tense, its values are flat keys. Prompts, outputs and secrets are never logged. Ray's own
JSON logs use `job_id`, `task_id`, `worker_id`, `actor_id` and `node_id`, so ours are `job`, `worker`, `node`.

A program that uses these packages as a library need not configure anything. As long as structlog is not configured, events go
to the standard library's logger `nightpress`, which shows nothing unless that program asks for it.
"""

import logging
import sys
from typing import Any, Final

EVENTS: Final[dict[str, str]] = {
    "batch.accepted": "A batch was made: batch, rows, refused.",
    "batch.hint_failed": "A batch stands, and the hint that it is open could not be written: fleets find it later: batch, error.",
    "batch.fed": "Rows were put on the queue: batch, lane, rows.",
    "batch.reset": "The queue had lost rows of a batch, which are fed again: batch, lane.",
    "batch.damaged": "Requests of a batch cannot be read back from storage, and their rows fail: batch, rows.",
    "batch.closed": "A batch was cancelled, has expired, or is published at its soft deadline: batch, reason.",
    "batch.published": "The outcomes of a round are fixed: batch, round, completed, failed, cancelled, expired.",
    "batch.progress": "How far a batch is, once a minute: batch, state, rows, completed, failed, rows_per_s, "
    "tokens_per_s, expected_end.",
    "batch.delivered": "The outputs of a round are at the batch's output URL: batch, round, url.",
    "batch.undelivered": "They could not be taken there, which is tried again: batch, round, error.",
    "after_publishing.failed": "A delivery or the accounts need what is away, and are tried again: error.",
    "batch.paused": "The first rows of a batch all failed, and no further one is started: batch, reason.",
    "batch.deleted": "A published batch left the store; its usage stays: batch.",
    "job.rescued": "A lease ran out and its job was claimed again: job, attempt, crashes.",
    "job.buried": "Workers died of a job, or no attempt was left; it has failed: job, attempt.",
    "job.retried": "An attempt failed and may succeed later: job, attempt, code, delay_s.",
    "job.failed": "A job failed for good: job, attempt, code.",
    "kind.close_failed": "A kind raised an error as it was ended, which changes no outcome: job, kind, error.",
    "lane.paused": "Workers died again and again, and the lane paused itself: lane, reason.",
    "lease.lost": "A lease was gone before its job was reported: job.",
    "lease.given_up": "A row or its engine hangs, and its lease is renewed no more: job, phase.",
    "segments.compacted": "Small segments were put together in fewer files: batch, segments.",
    "leftovers.deleted": "What killed processes left in the store is gone: count.",
    "segment.written": "Outcomes are durable: segment, batch, rows, bytes.",
    "spool.refused": "The local disk does not take finished rows; they wait in memory: error.",
    "spool.lost": "The local disk does not give finished rows back; they are done again: rows, error.",
    "queue.unavailable": "Redis does not answer; the worker waits: error.",
    "queue.back": "Redis answers again: message.",
    "store.unavailable": "The storage does not answer; outcomes wait: error.",
    "store.back": "The storage answers again: message.",
    "store.damaged": "A file of a batch is damaged, and the batch waits for its backup; all others go on: error or message.",
    "store.delete_failed": "Files may not be deleted, and stay; all goes on: error.",
    "metrics.served": "The fleet answers Prometheus: host, port.",
    "engine.loaded": "A model is ready: model, device, load_s.",
    "engine.padded": "A model cannot run in slots, and runs in padded batches: model, reason.",
    "engine.shrunk": "Memory ran out, and the engine goes on with fewer slots: slots, reason.",
    "attention.refused": "A GPU's own attention kernel does not work here, and products are taken instead: reason.",
    "engine.graphs_stopped": "Decode steps are no longer recorded as CUDA graphs, and are computed plainly: reason.",
    "worker.started": "A worker began: worker, lane.",
    "worker.draining": "A worker takes no more jobs: worker.",
    "worker.stopped": "A worker ended: worker, released.",
    "worker.hung": "The engine makes no step and cannot be stopped; the process ends: hung_s.",
    "worker.failed": "The engine failed; its rows go to other workers and the process ends: error.",
    "worker.died": "A worker is gone and will be replaced: worker, error, backoff_s.",
    "model.waiting": "A model has rows and no worker, since there is no room for one: model, lacks, needs, total, held_by.",
    "model.unknown": "An open batch needs a model that the catalog lacks: model, known.",
    "fleet.started": "The workers are up: workers, lanes, address or timings.",
    "fleet.stopped": "No worker is left.",
    "run.timed": "How long the parts of a run took: server_s, ray_s, load_s, first_row_s.",
}
"""Every event that Nightpress logs, with its keys."""


LIBRARY: Final = "nightpress"
"""The name of the standard library's logger that takes the events of a process without a configured structlog."""


def configure(level: str = "info", form: str = "auto") -> None:
    """Send structured logs to standard error: for a person on a terminal, else one JSON object a line."""
    import structlog

    json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(pad_event_to=20)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever it is when an event is logged
        cache_logger_on_first_use=False,
    )


def warn(form: str = "auto") -> None:
    """Send warnings to standard error, unless the process has configured its logs.

    structlog is imported only when there is one: its import takes a fifth of the time of a short command.
    """
    _unconfigured.form_of_warnings = form


def logger() -> Any:
    """The process's logger, which has the methods debug, info, warning and error."""
    structlog = sys.modules.get("structlog")
    if structlog is not None and structlog.is_configured():
        return structlog.get_logger()
    return _unconfigured


class _Unconfigured:
    """The logger of a process that has not called `configure`. After `warn`, its first warning calls it."""

    def __init__(self) -> None:
        self.form_of_warnings: str | None = None
        self._library = logging.getLogger(LIBRARY)
        self._library.addHandler(logging.NullHandler())

    def debug(self, event: str, **keys: object) -> None:
        self._log(logging.DEBUG, event, keys)

    def info(self, event: str, **keys: object) -> None:
        self._log(logging.INFO, event, keys)

    def warning(self, event: str, **keys: object) -> None:
        self._report("warning", event, keys)

    def error(self, event: str, **keys: object) -> None:
        self._report("error", event, keys)

    def _report(self, level: str, event: str, keys: dict[str, object]) -> None:
        if self.form_of_warnings is None:
            self._log(logging.getLevelNamesMapping()[level.upper()], event, keys)
        else:
            configure("warning", self.form_of_warnings)
            getattr(logger(), level)(event, **keys)

    def _log(self, level: int, event: str, keys: dict[str, object]) -> None:
        self._library.log(level, "%s%s", event, "".join(f" {key}={value!r}" for key, value in keys.items()))


_unconfigured: Final = _Unconfigured()
