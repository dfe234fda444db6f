"""Shows workers/monitoring/trace_ids.py: all processes give a row the same trace, and agree on whether it is traced."""

import pytest

from workers.monitoring.trace_ids import is_traced, root_span_id, trace_id


def test_the_id_of_a_trace_follows_from_batch_row_and_round() -> None:
    """The value is written down here, since processes of two releases may work on one row."""
    assert f"{trace_id('night-0123', 7, 1):032x}" == "d3c0dc09ebc6046a5c0d2d3aacdd9815"
    assert f"{root_span_id(trace_id('night-0123', 7, 1)):016x}" == "8d58676a63c18016"


def test_rows_rounds_and_batches_have_traces_of_their_own() -> None:
    found = {trace_id(batch, row, round_) for batch in ("a-1", "a-11") for row in range(200) for round_ in (1, 2)}
    assert len(found) == 800
    assert len({root_span_id(one) for one in found}) == 800


def test_a_share_of_the_rows_is_traced_and_a_larger_share_holds_a_smaller_one() -> None:
    traces = [trace_id("a-1", row, 1) for row in range(20_000)]
    chosen = {share: {one for one in traces if is_traced(one, share)} for share in (0.0, 0.001, 0.1, 0.5, 1.0)}
    assert len(chosen[0.0]) == 0
    assert len(chosen[1.0]) == 20_000
    assert 1_800 < len(chosen[0.1]) < 2_200
    assert chosen[0.001] <= chosen[0.1] <= chosen[0.5]
    assert chosen[0.001]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.999, 1.0])
def test_it_is_the_choice_of_opentelemetry_itself(share: float) -> None:
    sampling = pytest.importorskip("opentelemetry.sdk.trace.sampling", reason="the extra `traces` is not installed")
    sampler = sampling.TraceIdRatioBased(share)
    for row in range(2_000):
        trace = trace_id("a-1", row, 1)
        theirs = sampler.should_sample(None, trace, "row").decision is sampling.Decision.RECORD_AND_SAMPLE
        assert is_traced(trace, share) == theirs
