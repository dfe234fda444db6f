"""Enqueue rows from your own pipeline: copy this file, and replace `rows`.

    python scripts/enqueue.py products.csv > batch-id

Needs the bare package alone (no Ray, no torch), and the same NIGHTPRESS_STORE_URL as your workers. Prints the batch's id. The
run key makes it safe to call twice: the same rows with the same key are the same batch.
"""

import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson

from jobs import logs, settings
from jobs.errors import NightpressError
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.store.opening import open_store


def rows(path: Path) -> Iterator[dict[str, object]]:
    """Your rows, from anywhere: here a product description for each line of a CSV file with `sku` and `name`."""
    with path.open(newline="") as file:
        for line in csv.DictReader(file):
            yield {"custom_id": line["sku"], "kind": "article", "topic": line["name"], "target_words": 120}


def main() -> int:
    """Make the batch. Returns the exit status."""
    chosen = settings.load()
    logs.configure("warning", chosen.log_format)
    store = open_store(chosen.store_url, chosen.store_options)
    lines = (orjson.dumps(row) for row in rows(Path(sys.argv[1])))
    kinds = load_kinds(chosen.templates_dir)
    run_key = f"products:{datetime.now(UTC).date()}"
    accepted = accept(store, lines, IntakeOptions(name="products"), kinds=kinds, settings=chosen, run_key=run_key)
    print(accepted.batch.batch_id)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NightpressError as error:
        print(f"enqueue: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
