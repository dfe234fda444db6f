"""How much memory the KV cache of an engine may take, if its card does not say."""

import os

import torch


def cache_bytes_available(device: torch.device, threads: int, share: int | None = None) -> int:
    """Return the memory that the KV cache may take, in bytes.

    On a GPU this is 85 % of its free memory, or of what this process has left of its `share`, if that is less. On a CPU this is
    half the free memory, divided by the number of workers (one for every `threads` cores), but at least 64 MiB.
    """
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        left = free if share is None else max(1, min(free, share - torch.cuda.memory_reserved(device)))
        return int(left * 0.85)
    workers = max(1, (os.cpu_count() or 1) // threads)
    return max(1 << 26, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") // 2 // workers)
