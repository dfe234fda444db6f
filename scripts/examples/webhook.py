"""Wait for a batch, and post its counts to a URL as JSON.

    python scripts/examples/webhook.py "$(nightpress enqueue night.jsonl)" https://example.org/hooks/nightpress

If the batch is not published in time, or paused itself, the event `unfinished` is posted. Exit status: 0 if the event was posted;
1 if the URL did not accept the event; 2 if no batch has this id; 3 if the storage does not answer.
"""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs import Client


def event(client: Client, batch_id: str, timeout_s: float) -> dict[str, Any]:
    """Wait until the batch is published, for at most `timeout_s` seconds. Returns the object to post.

    If the batch is published, the object holds the numbers of all, of completed and of failed rows. If the batch is not published
    in time, or paused itself, the object holds the reason.
    """
    from jobs.errors import BatchPaused, BatchUnfinished

    try:
        one = client.wait(batch_id, timeout_s, interval_s=5.0)
    except (BatchPaused, BatchUnfinished) as error:
        return {"batch": batch_id, "event": "unfinished", "message": str(error)}
    return {"batch": batch_id, "event": "published", "rows": one.rows, "completed": one.completed, "failed": one.failed}


def main() -> None:
    """Wait for the batch, and post its event."""
    parser = argparse.ArgumentParser(description="Wait for a batch, and post its counts to a URL.")
    parser.add_argument("batch", help="the batch's id")
    parser.add_argument("url", help="where to post")
    parser.add_argument("--timeout", type=float, default=12 * 3600.0, help="the longest that it waits, in seconds")
    args = parser.parse_args()
    try:
        from jobs import Client
        from jobs.errors import NightpressError
    except ModuleNotFoundError as error:
        parser.exit(3, f"webhook: {error}: in the folder of Nightpress, pip install .\n")
    try:
        with Client() as nightpress:
            body = json.dumps(event(nightpress, args.batch, args.timeout)).encode()
        request = urllib.request.Request(args.url, body, {"Content-Type": "application/json"})  # noqa: S310 - yours
        with urllib.request.urlopen(request, timeout=15):  # noqa: S310
            pass
    except NightpressError as error:
        parser.exit(error.exit_status, f"webhook: {error}\n")
    except urllib.error.URLError as error:
        parser.exit(1, f"webhook: {args.url} did not accept it: {error}\n")


if __name__ == "__main__":
    main()
