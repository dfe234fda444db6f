"""Answers the workload with `generate` of transformers, in padded batches of 32, as a simple script would.

argv[3] is the order of the requests: `file` (that of the workload), or `sorted` by the true lengths of the answers. A batch ends
with its longest answer. Tokens that a shorter answer got after its own end are not counted.
"""

import sys

from scripts.bench.engine_peers.clock import Clock
from scripts.bench.engine_peers.workload import Workload

clock = Clock()

import torch  # noqa: E402 - the clock begins before heavy imports
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

ROWS = 32


def main() -> None:
    """Answer the workload in the file argv[1], and write the report to argv[2]."""
    work = Workload.read(sys.argv[1])
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(work.folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(work.folder, dtype=getattr(torch, work.dtype))
    model = model.to(work.device).eval()
    clock.loaded()
    requests = sorted(work.requests, key=lambda one: one.new_tokens) if sys.argv[3] == "sorted" else work.requests
    tokens = 0
    for first in range(0, len(requests), ROWS):
        batch = requests[first : first + ROWS]
        longest = max(request.new_tokens for request in batch)
        ids = tokenizer([request.prompt for request in batch], return_tensors="pt", padding=True).to(work.device)
        with torch.inference_mode():
            out = model.generate(**ids, do_sample=False, min_new_tokens=longest, max_new_tokens=longest)
        if out.shape[1] - ids["input_ids"].shape[1] != longest:
            sys.exit("a batch ended early")
        tokens += sum(request.new_tokens for request in batch)
    clock.done(tokens)


main()
