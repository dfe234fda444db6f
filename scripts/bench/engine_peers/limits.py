"""Measures, in a separate process, how fast the machine can run a model at best.

    python -m scripts.bench.engine_peers.limits FOLDER DTYPE ROWS DEVICE

The program prints four figures as JSON:

- `products_s` is the number of seconds that the linear layers take for ROWS inputs.
- `weight_bytes` is the number of bytes of weights that each step reads.
- `token_bytes` is the number of bytes that each token of a text takes in the cache.
- `bytes_per_s` is the rate at which the device reads a large block of memory.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


def memory_limit(
    texts: Sequence[tuple[int, int]], slots: int, *, weight_bytes: int, token_bytes: int, bytes_per_s: float
) -> float:
    """Return how many tokens a second the device could make if only reading memory took time.

    All slots are taken to be full. Each step reads the weights once, and each new token reads the keys and values of its text
    once. `texts` holds for each text the number of prompt tokens and of new tokens. The time to compute prompts is not counted.
    """
    made = sum(new for _, new in texts)
    read = sum(new * prompt + new * (new + 1) // 2 for prompt, new in texts)
    return made * bytes_per_s / (made / slots * weight_bytes + read * token_bytes)


def main() -> None:
    """Measure, and print the figures as JSON."""
    import torch
    from transformers import AutoModelForCausalLM

    folder, dtype, rows, device = sys.argv[1], getattr(torch, sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    inputs = {m.in_features: torch.randn(rows, m.in_features, device=device).to(dtype) for m in layers}

    def products() -> None:
        for layer in layers:
            layer(inputs[layer.in_features])

    config = model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    with torch.inference_mode():
        products_s = fastest(products, torch, device)
        block = torch.ones((1 << 32) if device == "cuda" else 1 << 28, dtype=torch.uint8, device=device).view(
            torch.int64
        )
        read_s = fastest(block.max, torch, device)
    found = {
        "products_s": products_s,
        "weight_bytes": sum(one.weight.numel() * one.weight.element_size() for one in layers),
        "token_bytes": 2 * config.num_hidden_layers * heads * size * dtype.itemsize,
        "bytes_per_s": block.numel() * block.element_size() / read_s,
    }
    print(json.dumps(found))


def fastest(work: Callable[[], Any], torch: Any, device: str) -> float:
    """Call `work` four times. Returns the seconds of the fastest call. A call's time ends when the device has finished."""
    spent = []
    for _ in range(4):
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        spent.append(time.perf_counter() - began)
    return min(spent)


if __name__ == "__main__":
    main()
