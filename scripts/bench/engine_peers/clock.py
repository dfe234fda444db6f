"""Times a contender and writes its report: seconds to load, seconds to answer, seconds of CPU time for that, tokens, peak memory.

If the contender used a GPU, the memory is that of the GPU; otherwise it is the memory of the process.
"""

import json
import resource
import sys
import time
from pathlib import Path


class Clock:
    """A clock that starts when it is made, which is before the heavy imports. Call `loaded` once, and later `done` once."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._loaded = self._loaded_cpu = 0.0

    def loaded(self) -> None:
        """Note the time at which the model is ready, before the first request."""
        self._loaded, self._loaded_cpu = time.perf_counter(), time.process_time()

    def done(self, tokens: int) -> None:
        """Write the report to the path in argv[2]. All requests have been answered, with `tokens` new tokens in total."""
        now = time.perf_counter()
        torch = sys.modules.get("torch")
        on_gpu = torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
        report = {
            "load_s": self._loaded - self._began,
            "seconds": now - self._loaded,
            "cpu_s": time.process_time() - self._loaded_cpu,
            "tokens": tokens,
            "peak_bytes": torch.cuda.max_memory_reserved()
            if torch is not None and on_gpu
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        Path(sys.argv[2]).write_text(json.dumps(report))
