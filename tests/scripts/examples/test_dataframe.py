"""Shows that `scripts/examples/dataframe.py` writes an article, or an error, beside each product of a table."""

from pathlib import Path
from typing import Any

import pyarrow
import pytest

from jobs import Client
from jobs.batches.batch import BatchPaths
from jobs.batches.segments.segment import write
from jobs.settings import Settings
from scripts.examples.dataframe import articles
from tests.support.outcomes import completed, failed

PRODUCTS = {"sku": ["a-1", "a-2", "a-3"], "name": ["Lamp", "Chair", None]}


def client_of(store: Path) -> Client:
    """A client that does the work of a fleet while it waits: row 1 completes, row 0 fails, and row 2 was refused."""

    def work(_: float) -> None:
        (batch_id,) = client.batches()
        lines = [failed(0, custom_id="a-1"), completed(1, custom_id="a-2", output={"title": "A chair", "body": "Sit."})]
        write(client.store, BatchPaths(batch_id), lines, "w", "1", 1)

    client = Client(Settings(store_url=str(store), model="stub"), sleep=work)
    return client


def check(rows: list[dict[str, Any]]) -> None:
    assert [row["sku"] for row in rows] == PRODUCTS["sku"]
    assert [row["title"] for row in rows] == [None, "A chair", None]
    assert [bool(row["error"]) for row in rows] == [True, False, True]
    assert rows[1]["charge"] == completed(1).usage.charge


def test_each_product_has_its_article_or_its_error(tmp_path: Path) -> None:
    made = articles(client_of(tmp_path), pyarrow.table(PRODUCTS))
    check(made.to_pylist())


def test_the_same_with_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    made = articles(client_of(tmp_path), pyarrow.Table.from_pandas(pandas.DataFrame(PRODUCTS))).to_pandas()
    check(made.astype(object).where(made.notna(), None).to_dict("records"))
