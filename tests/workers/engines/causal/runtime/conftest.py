"""Makes recordings for short lengths in these tests, so that sequences soon become longer than a recording."""

import pytest


@pytest.fixture(autouse=True)
def short_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engines.causal.runtime.cuda_graphs.MIN_LENGTH", 16)
