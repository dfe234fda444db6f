"""Shows workers/work.py, as far as it needs no Ray."""

from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from jobs.errors import RequestError
from jobs.intake import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.settings import Settings
from jobs.status import StatusReader
from jobs.storage import Store
from workers.work import known, log_progress


def test_the_log_says_how_far_a_batch_is_and_nothing_of_its_content(tmp_path: Path) -> None:
    settings = Settings(store_url=str(tmp_path), model="stub")
    store = Store.open(settings.store_url)
    lines = [orjson.dumps({"kind": "chat", "prompt": "a secret"}), b"{"]
    made = accept(store, lines, IntakeOptions(), kinds=load_kinds(), settings=settings, run_key="k")
    with capture_logs() as logs:
        log_progress(StatusReader(store), [made.batch.batch_id])
    assert logs == [
        {
            "event": "batch.progress",
            "log_level": "info",
            "batch": made.batch.batch_id,
            "state": "open",
            "rows": 2,
            "completed": 0,
            "failed": 1,
            "rows_per_s": 0.0,
            "tokens_per_s": 0.0,
            "expected_end": None,
        }
    ]


def test_a_model_that_the_catalog_lacks_is_named_with_those_that_it_has() -> None:
    with pytest.raises(RequestError, match=r"unknown model 'gone': the known ones are .*stub"):
        known("gone", Settings())


def test_a_batch_that_was_deleted_since_the_last_sweep_ends_no_fleet(tmp_path: Path) -> None:
    with capture_logs() as logs:
        log_progress(StatusReader(Store.open(str(tmp_path))), ["gone-1"])
    assert logs == []
