"""Turns log records of other libraries, warnings, and a crash of this process into events, in a process that logs JSON."""

import logging
import os
import sys
import traceback
import warnings
from types import TracebackType
from typing import Final

from jobs.logs import logger

QUIET: Final = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "NO_COLOR": "1",
    "RAY_COLOR_PREFIX": "0",
}
"""Environment variables that switch off progress bars and colours. Libraries read them when they are imported."""


class _AsEvents(logging.Handler):
    """Logs each record of the standard library as an event of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                message += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        except Exception as error:  # noqa: BLE001 - a library's wrong format string harms nobody else
            message = f"{record.msg} ({type(error).__name__}: {error})"
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        log = getattr(logger(), level if level in ("debug", "info", "warning") else "error")
        log("library.logged", logger=record.name, message=message)


def become_events() -> None:
    """Turn the log records of all libraries, warnings, and an exception that ends this process into events."""
    os.environ.update(QUIET)
    root = logging.getLogger()
    root.handlers = [_AsEvents()]
    root.setLevel(min(root.level, logging.WARNING))
    warnings.showwarning = _show_warning  # type: ignore[assignment]  # it takes what warnings pass
    sys.excepthook = _crashed


def give_up_handlers(name: str) -> None:
    """Remove a library's own handlers from its logger, so that its records reach the root logger and become events."""
    log = logging.getLogger(name)
    log.handlers, log.propagate = [], True


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    logger().warning("library.logged", logger=category.__name__, message=f"{filename}:{lineno}: {message}")


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    text = "".join(traceback.format_exception(kind, error, trace))
    logger().error("command.crashed", error=f"{kind.__name__}: {error}", traceback=text)
