"""Wait for a batch, and post its counts to a URL as JSON.

    python scripts/examples/webhook.py "$(nightpress enqueue night.jsonl)" https://example.org/hooks/nightpress

A batch that is not published in time, or that paused itself, is posted as `unfinished`. Exit status: 0 if the event was posted; 1
if the URL did not accept it; 2 if there is no such batch; 3 if the storage does not answer.
"""

import argparse
import json
import urllib.error
import urllib.request
from typing import Any

from jobs import Client
from jobs.errors import BatchPaused, BatchUnfinished, NightpressError


def event(client: Client, batch_id: str, timeout_s: float) -> dict[str, Any]:
    """Wait for the batch. Returns the JSON to post: whether the batch is published, and how many rows completed and failed."""
    try:
        one = client.wait(batch_id, timeout_s, interval_s=5.0)
    except (BatchPaused, BatchUnfinished) as error:
        return {"batch": batch_id, "event": "unfinished", "message": str(error)}
    return {"batch": batch_id, "event": "published", "rows": one.rows, "completed": one.completed, "failed": one.failed}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Wait for a batch, and post its counts to a URL.")
    parser.add_argument("batch", help="the batch's id")
    parser.add_argument("url", help="where to post")
    parser.add_argument("--timeout", type=float, default=12 * 3600.0, help="the longest that it waits, in seconds")
    args = parser.parse_args()
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
