"""Structured logs: configures structlog, and lists every event that Nightpress logs.

The name of an event is stable: a thing, a dot and what happened to it. Its values are flat keys. Prompts, outputs and
secrets are never logged. Ray's own JSON logs use `job_id`, `task_id`, `worker_id`, `actor_id` and `node_id`, so our keys
are `job`, `worker` and `node`.

As JSON each event is one line and one object. `workers/logs` turns lines that other libraries print on standard error into such
events. `pass_on` writes events that other processes logged.

A program that uses these packages as a library need not configure anything. Until `configure` was called, events go to the
standard library's logger `nightpress`, which shows nothing unless that program asks for it.
"""

import json
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

EVENTS: Final[dict[str, str]] = {
    "batch.accepted": "A batch was accepted: batch, rows, refused.",
    "batch.hint_failed": "A batch was accepted, but not marked as open; fleets find it later: batch, error.",
    "batch.fed": "Rows were put on the queue: batch, lane, rows.",
    "batch.reset": "The queue had lost rows of a batch, which are fed again: batch, lane.",
    "batch.damaged": "Requests of a batch cannot be read from storage, so their rows fail: batch, rows.",
    "batch.drawn": "Further rows of a batch were drawn into the sample that it is quoted by: batch, draw, rows.",
    "batch.quoted": "A batch was quoted from its sample: batch, rows, reached.",
    "batch.closed": "A batch was cancelled, has expired, or is published at its soft deadline: batch, reason.",
    "batch.published": "The outcomes of a round are fixed: batch, round, completed, failed, cancelled, expired.",
    "batch.progress": "How far a batch is, once a minute: batch, state, rows, completed, failed, rows_per_s, "
    "tokens_per_s, expected_end.",
    "batch.delivered": "The outputs of a round were copied to the batch's output URL: batch, round, url.",
    "batch.audited": "The texts of a published round were compared with each other: batch, round, collapse, over.",
    "batch.remembered": "The fit translations of a round were written into the memory: batch, round, entries.",
    "batch.undelivered": "The outputs of a round could not be copied to the output URL yet; a fleet tries again: "
    "batch, round, error.",
    "after_publishing.failed": "A delivery, an audit or the accounts need something that is unavailable, and are tried again: "
    "error.",
    "batch.stopped": "A budget is used up, so a batch is published with what is ready, and waits: batch, reason.",
    "batch.unpriced": "A batch is not fed, since its budget is in another currency than the prices: batch, reason.",
    "batch.paused": "The first rows of a batch all failed, so no more are started: batch, reason.",
    "batch.deleted": "A published batch was deleted from the store; its usage stays in the accounts: batch.",
    "job.rescued": "A lease ran out, and its job was claimed again: job, attempt, crashes.",
    "job.buried": "A job failed because workers died of it, or because it had no attempt left: job, attempt.",
    "job.retried": "An attempt failed, and the job is tried again later: job, attempt, code, delay_s.",
    "job.failed": "A job failed for good: job, attempt, code.",
    "kind.close_failed": "A kind raised an error as its conversation was closed; no outcome changes: job, kind, error.",
    "lane.paused": "Workers died again and again, so the lane paused itself: lane, reason.",
    "lease.lost": "A lease was gone before its job was settled: job.",
    "lease.abandoned": "A row or its engine hangs, so its lease is no longer renewed: job, phase.",
    "memory.file_skipped": "A file of the translation memory is damaged or too new, and is passed over: error.",
    "memory.index_rebuilt": "The local index of a translation memory was damaged, and is made anew: path, error.",
    "memory.unavailable": "Intake cannot ask the translation memory, and goes on without it: error.",
    "segments.compacted": "Small segments were merged into fewer files: batch, segments.",
    "leftovers.deleted": "Files that killed processes had left in the store were deleted: count.",
    "submission.taken_up": "A process reads the file of a batch that was submitted over HTTP: submission, takes.",
    "submission.admission_failed": "That process could not decide what comes of it, and says why: submission, error.",
    "submission.failed": "That process ended without a decision; it is taken up again later: submission, exit_status.",
    "submission.refused": "A submission is refused, since process after process ended on its file: submission, takes.",
    "submission.store_away": "The storage does not answer, so submissions wait: error.",
    "webhook.delivered": "A receiver took an event: webhook, webhook_event, attempt, status, error.",
    "webhook.failed": "A receiver did not take an event; it is tried again by the schedule: webhook, webhook_event, attempt, "
    "status, error.",
    "gateway.unavailable": "A request over HTTP got 503, since the storage or the queue is away: error.",
    "gateway.damaged": "A request over HTTP met a damaged file: error.",
    "gateway.failed": "A request over HTTP met an unexpected error: path, error.",
    "segment.written": "Outcomes are durable: segment, batch, rows, bytes.",
    "spool.refused": "The local disk takes no finished rows, so they wait in memory: error.",
    "spool.lost": "Finished rows cannot be read back from the local disk; they are done again: rows, error.",
    "queue.deaf": "Redis does not let a worker wait to be woken; it looks for rows by itself, at least every 10 s: error.",
    "queue.unavailable": "Redis does not answer; the worker waits: error.",
    "queue.embedded": "A command uses an embedded Redis on its own machine, since none is set: message.",
    "queue.back": "Redis answers again: message.",
    "store.unavailable": "The storage does not answer; outcomes wait: error.",
    "store.back": "The storage answers again: message.",
    "store.damaged": "A file of a batch is damaged; the batch waits for its backup, others go on: error or message.",
    "store.foreign_file": "A file that Nightpress did not write lies among its files, and is passed over: path.",
    "store.delete_failed": "Files could not be deleted and stay; everything else goes on: error.",
    "traces.unavailable": "Rows are done without traces, since OpenTelemetry is not installed on a node: error.",
    "traces.lost": "The receiver of traces takes none, so they are lost; it is said once until some are taken: endpoint.",
    "traces.back": "The receiver takes traces again: endpoint.",
    "metrics.served": "The fleet answers Prometheus: host, port.",
    "engine.chosen": "The engine that fits the files of a model, whose card leaves it open: model, engine, reason.",
    "engine.loaded": "A model is ready: model, engine, device, load_s.",
    "remote.slow": "The server of a remote model refuses, hangs or answers nonsense; requests are sent again: model, error.",
    "remote.back": "The server of a remote model answers again: model.",
    "engine.unconstrained": "A JSON schema does not constrain a text, or not to its end; the answer is only checked: reason.",
    "adapter.unusable": "An adapter of a model cannot be used, so rows that name it fail: adapter, reason.",
    "engine.padded": "A model cannot run in slots, and runs in padded batches: model, reason.",
    "engine.alone": "A model's texts would depend on each other in a padded batch, and run one by one: model, reason.",
    "engine.shrunk": "Memory ran out, and the engine goes on with fewer slots: slots, reason.",
    "attention.refused": "Our attention kernel does not work on this GPU; matrix products replace it: reason.",
    "engine.graphs_stopped": "The engine no longer records CUDA graphs, and computes each step directly: reason.",
    "worker.started": "A worker began: worker, lane.",
    "worker.draining": "A worker takes no more jobs: worker.",
    "worker.leaving": "A worker drains without being told by its fleet: worker, reason.",
    "worker.stopped": "A worker ended; `released` is how many rows it gave back since it was told to stop: worker, released.",
    "worker.hung": "The engine makes no step and cannot be stopped, so the process ends: hung_s.",
    "worker.failed": "The engine failed; its rows go to other workers, and the process ends: error.",
    "worker.died": "A worker is gone and will be replaced: worker, error, backoff_s.",
    "worker.left": "A worker left, since its node drains or its process was told to end, and will be replaced: worker, error, "
    "backoff_s.",
    "node.draining": "A node of the cluster ends soon, so a worker there leaves it within `grace_s`: worker, node, grace_s.",
    "model.fetching": "The weights of a model are downloaded or copied; said every ten seconds: model, source, bytes, seconds.",
    "model.fetched": "The weights of a model are on this node: model, source, bytes, seconds.",
    "model.awaited": "Another worker of the node fetches or converts the model, and this one waits for it: model.",
    "model.not_copied": "Weights are not copied to the local disk, and are read where they are: model, into, error.",
    "model.converting": "A model is converted for CTranslate2, once; later starts use the result: model, compute_type, into.",
    "model.converted": "The conversion of a model is in the cache: model, compute_type, seconds.",
    "model.conversion_awaited": "Another worker converts the model, and this one waits for it: into.",
    "model.unavailable": "A model cannot be loaded; a detached fleet tries it again later: model, error, again_s.",
    "model.waiting": "A model has rows but no worker, since there is no room for one: model, lacks, needs, total, held_by.",
    "model.unknown": "An open batch needs a model that is not in the catalog: model, known.",
    "worker.printed": "A library or a model's code printed a line in a worker: worker, node, stream, text.",
    "worker.log_lost": "The last lines that a worker logged cannot be read, since its node is gone: worker, error.",
    "fleet.adopted": "Workers that an earlier supervisor has left go on under this one: workers.",
    "fleet.joined": "A fleet of this store runs already on this cluster; this command stands by: message, host, pid, since.",
    "fleet.lost": "Another supervisor has taken over, since this one was silent for long: message.",
    "fleet.restarting": "A detached supervisor begins again after a fault: error, again_s.",
    "fleet.started": "The workers are up: workers, lanes, address, ray_s, server_s.",
    "fleet.stopped": "No worker is left.",
    "cluster.joined": "A Ray cluster was joined, or a local one was started: address.",
    "cluster.request_failed": "A cluster that can grow could not be asked for room: error.",
    "ray.printed": "Ray says something about the cluster, such as that a node or a worker died: text.",
    "run.progress": "How far a run is, every ten seconds: phase, done, rows, rate.",
    "run.interrupted": "A run was interrupted; the command goes on with it: done, rows, command.",
    "run.timed": "How long the parts of a run took: server_s, ray_s, load_s, first_row_s.",
    "command.message": "A line for a person: message.",
    "command.failed": "A command ends with an error: error, status.",
    "command.crashed": "A command ends by a fault of its own: error, traceback.",
    "library.logged": "Another library logged or warned: logger, message.",
    "process.printed": "A library printed a line on the command's standard error: text.",
}
"""Every event that Nightpress logs -> what it means and, after the colon, its keys. `a or b`: an event has one of the two."""


LIBRARY: Final = "nightpress"
"""Events of a process that has not configured structlog go to the standard library's logger of this name."""


def configure(level: str = "info", form: str = "auto", write: Callable[[str], object] | None = None) -> None:
    """Log events of this level or a higher one, on standard error. If `write` is given, it gets each line, without the line
    end.

    `form` is `console` (for a person), `json` (one object a line) or `auto` (console on a terminal, else json).
    """
    import structlog

    _lines.is_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    _lines.write = write
    _lines.render = _as_json if _lines.is_json else structlog.dev.ConsoleRenderer(pad_event_to=20)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _lines.render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_lines,
        cache_logger_on_first_use=False,
    )


def is_json() -> bool:
    """Whether this process logs JSON. If it does, nothing else may be printed on standard error."""
    structlog = sys.modules.get("structlog")
    return structlog is not None and structlog.get_config()["logger_factory"] is _lines and _lines.is_json


def pass_on(event: Mapping[str, Any]) -> None:
    """Write an event that another process logged. The event has its level, time and name from there."""
    if structlog := sys.modules.get("structlog"):
        if structlog.get_config()["logger_factory"] is _lines:
            _lines.msg(_lines.render(None, "", dict(event)))
        else:
            logger().log(logging.getLevelNamesMapping()[str(event["level"]).upper()], **event)


def _as_json(_: object, __: str, event: Mapping[str, Any]) -> str:
    try:
        return json.dumps(event, default=repr, allow_nan=False)
    except ValueError:  # NaN or an infinity, which JSON cannot express, or an event that holds itself
        return json.dumps(
            {key: value if isinstance(value, str | int | bool) else repr(value) for key, value in event.items()}
        )


class _Lines:
    """Writes the lines of the logs. It is both the logger that structlog wraps and the factory that returns this logger."""

    is_json = False
    write: Callable[[str], object] | None = None
    render: Callable[..., str] = staticmethod(_as_json)

    def __call__(self, *_: object) -> "_Lines":
        return self

    def msg(self, line: str) -> None:
        if self.write is not None:
            self.write(line)
        else:
            # a log that a full disk does not take is dropped, so that work goes on
            with suppress(OSError):
                print(line, file=sys.stderr, flush=True)  # noqa: T201 - sys.stderr as it is when an event is logged

    debug = info = warning = error = msg


_lines: Final = _Lines()


def show_warnings(form: str = "auto") -> None:
    """Send warnings and errors to standard error, unless `configure` was called before.

    structlog is imported only when the first warning comes, because its import takes a fifth of the time of a short command.
    """
    _unconfigured.form_of_warnings = form


def logger() -> Any:
    """Return the logger of this process. It has the methods debug, info, warning and error."""
    structlog = sys.modules.get("structlog")
    if structlog is not None and structlog.is_configured():
        return structlog.get_logger()
    return _unconfigured


class _Unconfigured:
    """The logger of a process that has not called `configure`. After `show_warnings`, its first warning calls `configure`."""

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
            _lines.is_json = False  # a short command goes on to print its lines beside a warning
            getattr(logger(), level)(event, **keys)

    def _log(self, level: int, event: str, keys: dict[str, object]) -> None:
        self._library.log(level, "%s%s", event, "".join(f" {key}={value!r}" for key, value in keys.items()))


_unconfigured: Final = _Unconfigured()
