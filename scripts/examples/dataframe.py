"""Turns a table of products into a table of articles: from Parquet to Parquet, through the queue.

    python scripts/examples/dataframe.py products.parquet articles.parquet

The script needs the extra `parquet`, and a fleet (`nightpress work`) on the same NIGHTPRESS_STORE_URL. With pandas,
`pyarrow.Table.from_pandas(frame)` makes a table from a DataFrame, and `.to_pandas()` makes a DataFrame from the result; polars
has `to_arrow` and `from_arrow`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs import Client


def articles(client: Client, products: Any, timeout_s: float | None = None) -> Any:
    """Return a table with one line for each product, in the order of `products`: the article, or the message of the error.

    A product whose row failed has the message in the column `error`, and no article. Raises BatchUnfinished if the batch is not
    published after `timeout_s` seconds (None: wait for ever).
    """
    import pyarrow

    rows = (
        {"kind": "article", "custom_id": product["sku"], "topic": product["name"], "target_words": 120}
        for product in products.to_pylist()
    )
    batch = client.enqueue(rows, name="products")
    client.wait(batch, timeout_s)
    made: dict[int, dict[str, Any]] = {}
    for row in client.results(batch):
        made[row["row"]] = {"sku": row["custom_id"], **row["output"], "charge": row["usage"]["charge"]}
    for row in client.results(batch, errors=True):
        made[row["row"]] = {"sku": row["custom_id"], "error": row["error"]["message"]}
    columns = dict.fromkeys(name for row in made.values() for name in row)
    return pyarrow.Table.from_pylist([{name: made[n].get(name) for name in columns} for n in sorted(made)])


def main() -> None:
    """Write the table of articles."""
    parser = argparse.ArgumentParser(description="Write an article for each product of a Parquet file.")
    parser.add_argument("products", help="a Parquet file with the columns sku and name")
    parser.add_argument("articles", help="the Parquet file to write")
    args = parser.parse_args()
    try:
        from pyarrow import parquet

        from jobs import Client
    except ModuleNotFoundError as error:
        parser.exit(3, f"dataframe: {error}: in the folder of Nightpress, pip install '.[parquet]'\n")
    with Client() as nightpress:
        parquet.write_table(articles(nightpress, parquet.read_table(args.products)), args.articles)


if __name__ == "__main__":
    main()
