"""Fetches files from the Hugging Face hub into its cache: once a node, with progress in the log, and never without an end.

Importing this module loads neither torch nor transformers.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from jobs.errors import HubUnavailable, ModelUnavailable
from workers.engines.warm_start import alone, shown, unless_stalled

HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")
"""Matches the name of a repository of the hub."""

T = TypeVar("T")


def fetched(
    alias: str, source: str, revision: str | None, cache_dir: Path, snapshot: Callable[[bool], T | None]
) -> T | None:
    """Return what `snapshot` finds of a repository. It is fetched first if needed, by one process of the machine at a time.

    Args:
        alias: The name for the log.
        source: The repository.
        revision: Its revision; None: the newest.
        cache_dir: The folder for locks.
        snapshot: Returns what is wanted of the hub's cache, or None if it is not there. If its argument is True, it fetches what
            is missing first, and raises the hub's errors.

    Raises HubUnavailable if another try may succeed, else ModelUnavailable; the message is the reason alone.
    """
    from huggingface_hub import constants

    with alone(cache_dir, alias, f"{source}@{revision}"):
        try:
            if (found := snapshot(False)) is not None:
                return found
            if not constants.HF_HUB_OFFLINE:
                folder = _repository(source)
                with shown(alias, source, folder):
                    return unless_stalled(partial(snapshot, True), folder)
        except Exception as error:
            fault = ModelUnavailable if _is_refusal(error) else HubUnavailable
            raise fault(str(error).strip().partition("\n")[0] or type(error).__name__) from error
    raise ModelUnavailable("HF_HUB_OFFLINE is set")


def _repository(source: str) -> Path:
    """Return the folder of a hub repository in the hub's cache, with all its revisions."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{source.replace('/', '--')}"


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the hub has refused a download, so that another try would fail in the same way: its status says so."""
    from huggingface_hub.errors import HFValidationError

    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, HFValidationError) or (
            status is not None and 400 <= status < 500 and status not in (408, 429)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
