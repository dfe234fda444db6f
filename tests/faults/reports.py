"""Helpers for tests that read the reports of a command: rows that take a while, and the command's own messages."""

import json

from tests.faults.premises import Premises

ROWS = 60
SLOW = {"step_s": 0.05, "slots": 4}
START_S = 240
"""Seconds that Ray and a worker may take to start on a busy machine."""


def write_rows(night: Premises) -> None:
    lines = [json.dumps({"kind": "chat", "prompt": f"Say {n}.", "max_tokens": 20}) for n in range(ROWS)]
    (night.folder / "rows.jsonl").write_text("\n".join(lines) + "\n")


def reports_of_command(night: Premises, of: str = "store") -> list[str]:
    """The command's own messages about `store` or `queue`: lines for a person, and events that have a message."""
    lines = night.raw_logs().decode().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{") and f'"{of}.' in line]
    people = [line for line in lines if line.startswith("nightpress: ")]
    return [event["message"] for event in events if "message" in event and "worker" not in event] + people


def some_segments(night: Premises) -> bool:
    return any(len(night.store.list(f"batches/{name}/segments")) >= 2 for name in night.store.list("batches"))
