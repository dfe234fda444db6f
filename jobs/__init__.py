"""The jobs of Nightpress: requests, kinds of content, the queue, storage, usage and the command line.

Programs begin with `from jobs import Client`. The package imports no torch, no transformers and no Ray, so a machine that only
submits batches needs none of them. The parts of the package are imported when they are first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """Import the client when it is first asked for."""
    if name == "Client":
        from jobs.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
