"""Answers the workload with OpenVINO GenAI's continuous batching. The model is exported; the number format is the workload's."""

import sys

from scripts.bench.engine_peers.clock import Clock
from scripts.bench.engine_peers.workload import Workload

clock = Clock()


def main() -> None:
    """Answer the workload in the file argv[1], and write the report to argv[2]. argv[3] is the folder of the exported model."""
    from openvino_genai import ContinuousBatchingPipeline, GenerationConfig, SchedulerConfig

    work = Workload.read(sys.argv[1])
    scheduler = SchedulerConfig()
    scheduler.max_num_seqs = work.slots
    scheduler.cache_size = 4
    scheduler.enable_prefix_caching = True
    precision = {"float32": "f32", "bfloat16": "bf16"}[work.dtype]
    properties = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision, "KV_CACHE_PRECISION": precision}
    pipe = ContinuousBatchingPipeline(sys.argv[3], scheduler, "CPU", properties)
    clock.loaded()
    configs = []
    for request in work.requests:
        config = GenerationConfig()
        config.max_new_tokens = request.new_tokens
        config.ignore_eos = True
        config.do_sample = False
        config.apply_chat_template = False
        configs.append(config)
    done = pipe.generate([request.prompt for request in work.requests], configs)
    clock.done(
        done[0].perf_metrics.get_num_generated_tokens()
    )  # the metrics in each result are those of the whole call


main()
