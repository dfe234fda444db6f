"""What a contender reports: seconds to load, seconds to answer, tokens, and the most memory that it held.

Of a GPU, where it used one.
"""

import json
import resource
import sys
import time
from pathlib import Path


class Clock:
    """Begins with the process' imports; `loaded` and `done` are said once each."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._loaded = 0.0

    def loaded(self) -> None:
        """The model is ready; the requests follow."""
        self._loaded = time.perf_counter()

    def done(self, tokens: int) -> None:
        """All are answered, with so many new tokens. Writes the report where the second argument says."""
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
