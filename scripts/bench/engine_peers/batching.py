"""Answers the workload with the continuous batching of transformers."""

import sys

from scripts.bench.engine_peers.clock import Clock
from scripts.bench.engine_peers.workload import Workload

clock = Clock()

import torch  # noqa: E402 - the clock begins before heavy imports
from transformers import AutoModelForCausalLM, AutoTokenizer, ContinuousBatchingConfig, GenerationConfig  # noqa: E402


def main() -> None:
    """Answer the workload in the file argv[1], and write the report to argv[2]."""
    work = Workload.read(sys.argv[1])
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(work.folder)
    model = AutoModelForCausalLM.from_pretrained(work.folder, dtype=getattr(torch, work.dtype))
    model = model.to(work.device).eval()
    model.set_attn_implementation("sdpa")
    clock.loaded()
    options = GenerationConfig(
        do_sample=False, eos_token_id=-1, max_new_tokens=max(r.new_tokens for r in work.requests)
    )
    tokens = 0
    with model.continuous_batching_context_manager(
        generation_config=options,
        continuous_batching_config=ContinuousBatchingConfig(use_cuda_graph=work.device == "cuda"),
    ) as manager:
        for n, request in enumerate(work.requests):
            manager.add_request(
                tokenizer(request.prompt)["input_ids"], request_id=str(n), max_new_tokens=request.new_tokens
            )
        for _ in work.requests:
            result = manager.get_result(timeout=600)
            if result is None or result.error:
                sys.exit(f"no result: {result and result.error}")
            tokens += len(result.generated_tokens)
    clock.done(tokens)


main()
