"""Enqueue the rows of your own pipeline: copy this file, and replace `rows`.

    python scripts/enqueue.py products.csv > batch-id

The script needs only the bare package (no Ray, no torch), and the NIGHTPRESS_STORE_URL of your workers. A second call on the
same day is safe: the same rows with the same run key are the same batch, and the run key holds the date.
"""

import argparse
import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path


def rows(path: Path) -> Iterator[dict[str, object]]:
    """Yield the rows of your batch. In this example, each line of a CSV becomes a row that asks for an article."""
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            yield {"custom_id": line["sku"], "kind": "article", "topic": line["name"], "target_words": 120}


def main() -> None:
    """Make the batch, and print its id."""
    parser = argparse.ArgumentParser(description="Make a batch of a CSV of products, and print its id.")
    parser.add_argument("file", type=Path, help="a CSV with the columns sku and name")
    products = rows(parser.parse_args().file)
    try:
        from jobs import Client
        from jobs.errors import NightpressError
    except ModuleNotFoundError as error:
        parser.exit(3, f"enqueue: {error}: in the folder of Nightpress, pip install .\n")
    try:
        with Client() as client:
            print(client.enqueue(products, name="products", run_key=f"products:{datetime.now(UTC).date()}").id)
    except NightpressError as error:
        parser.exit(error.exit_status, f"enqueue: {error}\n")


if __name__ == "__main__":
    main()
