"""Shows workers/engines/vllm/version.py, and what the engine takes from vLLM that is not public.

If a test here fails after MINOR has moved, look at what it names: vLLM has changed what the engine rests on.
"""

import inspect
from pathlib import Path

import pytest

from tests.workers.engines.vllm_environment import needs_vllm
from workers.engines.vllm.version import MINOR, installed, requirement, why_unfit

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(f"{MINOR}.3", None, id="a patch release"),
        pytest.param(f"{MINOR}.0+cpu", None, id="a build of it"),
        pytest.param(None, "vLLM is not installed here", id="none"),
        pytest.param("0.99.0", f"vLLM 0.99.0 is installed, and this release of Nightpress needs {MINOR}", id="another"),
    ],
)
def test_only_the_minor_version_counts(found: str | None, reason: str | None) -> None:
    assert why_unfit(found) == reason


def test_the_version_is_named_in_one_place() -> None:
    """All else asks `version` for it: the environment, the benchmark and the docs."""
    asked = requirement("vllm")
    assert asked == f"vllm>={MINOR},<0.{int(MINOR.split('.')[1]) + 1}"
    named = [
        path for folder in ("jobs", "workers") for path in (ROOT / folder).rglob("*.py") if MINOR in path.read_text()
    ]
    assert named == [ROOT / "workers/engines/vllm/version.py"]


def test_vllm_still_has_what_the_engine_uses() -> None:
    """Each line is one thing to look at: who calls it is named beside it."""
    needs_vllm()
    assert why_unfit(installed()) is None
    from vllm import SamplingParams
    from vllm.engine.arg_utils import EngineArgs
    from vllm.outputs import CompletionOutput, RequestOutput
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
    from vllm.v1.core.sched.output import SchedulerOutput
    from vllm.v1.core.sched.scheduler import Scheduler
    from vllm.v1.engine.core_client import InprocClient
    from vllm.v1.engine.llm_engine import LLMEngine
    from vllm.v1.request import Request

    # engine: adds by our id and gets vLLM's own, steps, aborts by vLLM's own, shuts down
    assert list(inspect.signature(LLMEngine.add_request).parameters)[:4] == ["self", "request_id", "prompt", "params"]
    assert inspect.signature(LLMEngine.add_request).return_annotation is str
    assert "internal" in inspect.signature(LLMEngine.abort_request).parameters
    assert callable(InprocClient.shutdown)
    # scheduler: what a step computes, and what each request has so far
    assert "num_scheduled_tokens" in SchedulerOutput.__dataclass_fields__
    assert {"num_tokens", "output_token_ids"} <= {name for name, _ in inspect.getmembers(Request)} | set(
        inspect.getsource(Request.__init__).replace("self.", " ").split()
    )
    assert "self.requests: dict[str, Request]" in inspect.getsource(Scheduler.__init__)
    # sequences: what a step answers
    assert {"request_id", "outputs", "num_cached_tokens", "finished"} <= set(
        inspect.signature(RequestOutput).parameters
    )
    assert {"token_ids", "logprobs", "finish_reason"} <= set(CompletionOutput.__dataclass_fields__)
    # sampling: each param has the meaning that ours has; a seed makes the numbers of a request its own
    wanted = {"min_tokens", "logit_bias", "allowed_token_ids", "logprobs", "seed", "detokenize", "output_kind"}
    assert wanted <= set(SamplingParams.__struct_fields__)
    assert {kind.name for kind in RequestOutputKind} >= {"DELTA", "FINAL_ONLY"}
    assert "json" in StructuredOutputsParams.__dataclass_fields__
    # loading: the arguments of the engine
    assert {"scheduler_cls", "generation_config", "structured_outputs_config"} <= set(EngineArgs.__dataclass_fields__)
