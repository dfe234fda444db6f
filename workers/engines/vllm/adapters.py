"""The adapters (LoRA) of a model inside vLLM.

An adapter is loaded before the first request that names it: vLLM would look for a missing one in each step, and each step would
raise. One that vLLM cannot load, such as DoRA or whole layers saved beside it, fails its own requests only.

On a CPU, vLLM writes rows without an adapter as if they had one if both share a step. So they never do there: the engine lets
those of one sort end before it starts those of the other (`keeps_apart`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jobs.generation import Fault
from jobs.logs import logger

AT_ONCE: Final = 8
"""A step has requests of at most this many adapters. Each more takes memory of the device at load."""

RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
"""The largest ranks that vLLM can be made for."""

KEPT: Final = 128
"""At most this many adapters stay in the machine's memory. The ones that were used least recently are read again."""

_BROKEN: Final = (ValueError, RuntimeError, OSError, LookupError, TypeError, AssertionError)
"""What vLLM raises for an adapter that it cannot load."""


def arguments_for(folders: Mapping[str, Path | str]) -> dict[str, Any]:
    """Return the arguments of vLLM's engine for these adapters, by name; none if there are none.

    `folders` has the folder of each adapter by name, or a clause that says why there is none.
    """
    found = (_rank_of(folder) for folder in folders.values() if isinstance(folder, Path))
    ranks = [rank for rank in found if rank is not None]
    if not ranks:
        return {}
    largest = next((rank for rank in RANKS if rank >= max(ranks)), RANKS[-1])
    at_once = min(AT_ONCE, len(ranks))
    kept = max(at_once, min(KEPT, len(ranks)))
    return {"enable_lora": True, "max_loras": at_once, "max_cpu_loras": kept, "max_lora_rank": largest}


class VllmAdapters:
    """The adapters of a loaded model.

    Args:
        llm: vLLM's engine.
        folders: The folder of each adapter by name, or a clause that says why there is none.
        keeps_apart: Whether requests with and without an adapter must not share a step.
    """

    def __init__(self, llm: Any, folders: Mapping[str, Path | str], *, keeps_apart: bool) -> None:
        self._llm = llm
        self._folders = folders
        self._requests: dict[str, Any] = {}
        self._broken: dict[str, Fault] = {}
        self.keeps_apart = keeps_apart and bool(folders)

    def request_of(self, name: str) -> Any:
        """Return vLLM's request for an adapter, which is loaded first; or a Fault that says why it cannot be used."""
        if (found := self._requests.get(name) or self._broken.get(name)) is not None:
            return found
        folder = self._folders.get(name)
        if folder is None:
            return Fault("unknown_adapter", f"The model has no adapter {name}.")
        try:
            if not isinstance(folder, Path):
                raise ValueError(folder)
            return self._loaded(name, folder)
        except _BROKEN as error:
            reason = str(error).strip().partition("\n")[0]
            logger().warning("adapter.unusable", adapter=name, reason=reason)
            self._broken[name] = Fault("broken_adapter", f"The adapter {name} cannot be loaded: {reason}")
            return self._broken[name]

    def _loaded(self, name: str, folder: Path) -> Any:
        from vllm.lora.request import LoRARequest

        number = 1 + sorted(self._folders).index(name)
        request = LoRARequest(lora_name=name, lora_int_id=number, lora_path=str(folder))
        if not self._llm.add_lora(request):
            raise ValueError("vLLM does not take it")
        self._requests[name] = request
        return request


def _rank_of(folder: Path) -> int | None:
    """Return the rank of an adapter; None if its config says that vLLM cannot load it."""
    try:
        config = json.loads((folder / "adapter_config.json").read_text())
        return None if config.get("use_dora") or config.get("modules_to_save") else int(config["r"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
