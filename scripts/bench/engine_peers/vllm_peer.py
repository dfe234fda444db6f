"""Answers the workload with vLLM, offline. vLLM knows the token limit of each request, and ignores the end token.

So that a lane of ours on vLLM is compared with the same work, vLLM gets what that lane gives it: blocks of 32 tokens on a CPU,
so that as much of the common beginning is shared, and a first text before the time begins, for which vLLM compiles parts of its
sampler.
"""

import os
import sys

from scripts.bench.engine_peers.clock import Clock
from scripts.bench.engine_peers.workload import Workload

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "4")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
clock = Clock()


def main() -> None:
    """Answer the workload in the file argv[1], and write the report to argv[2]."""
    from vllm import LLM, SamplingParams

    work = Workload.read(sys.argv[1])
    eager = work.device == "cpu"  # on a CPU, compiling the model takes a minute and makes vLLM only 10 % faster
    block = 32 if eager else None
    model = LLM(
        work.folder,
        dtype=work.dtype,
        max_num_seqs=work.slots,
        max_model_len=1024,
        enforce_eager=eager,
        block_size=block,
    )
    model.generate(["first"], [SamplingParams(max_tokens=2, top_p=0.9, seed=0, logprobs=1)], use_tqdm=False)
    clock.loaded()
    params = [
        SamplingParams(temperature=0.0, max_tokens=request.new_tokens, ignore_eos=True) for request in work.requests
    ]
    done = model.generate([request.prompt for request in work.requests], params, use_tqdm=False)
    clock.done(sum(len(one.outputs[0].token_ids) for one in done))


if __name__ == "__main__":
    main()
