"""Shows how `scripts/bench/end_to_end.py` counts the rate of a run."""

from scripts.bench.end_to_end import rate


def test_the_rate_counts_from_the_first_row_that_began_to_the_last_that_ended() -> None:
    rows = [
        {"started_at": f"2026-01-01T00:00:{start:02}Z", "finished_at": f"2026-01-01T00:00:{end:02}Z",
         "usage": {"completion_tokens": tokens}}
        for start, end, tokens in ((10, 12, 40), (5, 25, 100), (11, 15, 60))
    ]  # fmt: skip
    assert rate(rows) == 10.0
