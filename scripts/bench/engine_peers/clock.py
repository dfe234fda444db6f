"""Times a contender and writes its report: seconds to load, seconds to answer, tokens, and peak memory.

If the contender used a GPU, the memory is the GPU's; otherwise it is the process's.
"""

import json
import resource
import sys
import time
from pathlib import Path


class Clock:
    """Starts before the heavy imports of the process. Call `loaded` once, then `done` once."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._loaded = 0.0

    def loaded(self) -> None:
        """Note that the model is ready and the first request comes next."""
        self._loaded = time.perf_counter()

    def done(self, tokens: int) -> None:
        """Note that all requests are answered with `tokens` new tokens, and write the report to the path in argv[2]."""
        now = time.perf_counter()
        torch = sys.modules.get("torch")
        on_gpu = torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
        report = {
            "load_s": self._loaded - self._began,
            "seconds": now - self._loaded,
            "tokens": tokens,
            "peak_bytes": torch.cuda.max_memory_reserved()
            if torch is not None and on_gpu
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        Path(sys.argv[2]).write_text(json.dumps(report))
