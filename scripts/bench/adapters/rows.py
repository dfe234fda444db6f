"""Measures adapters by row on the small model: what they cost in a full step, and a night of many adapters with little room.

    OMP_NUM_THREADS=1 python scripts/bench/adapters/rows.py overhead --adapters 8 --rank 16 --turns 5
    OMP_NUM_THREADS=1 python scripts/bench/adapters/rows.py night --adapters 100 --room 8 --rows 800

`overhead` runs the same texts with and without adapters in turn, each of exactly `--tokens` tokens, and prints tokens per second
of the CPU time of the thread that steps the engine, which other programs on the machine disturb less than the clock. `night`
gives an engine rows of many adapters in random order, never more in hand than twice its slots, as a worker does; it prints how
often an adapter was loaded, for how long, and how full the slots were. The adapters are random, of all linear layers.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.catalog import SHIPPED, AdapterCard
from jobs.generation import GenerationRequest, Prompt, SamplingParams
from workers.engines.causal.adapters.bank import AdapterBank
from workers.engines.causal.adapters.targets import Targets
from workers.engines.causal.loading import CausalOptions, build_engine, load_model, with_adapters
from workers.engines.causal.model import CausalModel
from workers.engines.causal.slot_engine import SlotEngine
from workers.engines.device.placement import place
from workers.engines.weights import resolve

CACHE: Final = Path(tempfile.gettempdir()) / "nightpress-bench"
MODEL: Final = "smollm2-135m"
WORDS: Final = ("night", "train", "coast", "leaves", "nine", "old", "harbour", "town", "wakes", "late")


@contextmanager
def adapted_model(adapters: int, rank: int, options: Mapping[str, Any], slots: int) -> Iterator[CausalModel]:
    """Yield the small model with this many random adapters, `a0` and so on, whose files are deleted at the end."""
    card = SHIPPED[MODEL]
    with tempfile.TemporaryDirectory() as folder:
        model = load_model(resolve(MODEL, card, CACHE), place(card), card)
        paths = Targets(model.network).by_path
        folders: dict[str, Path | str] = {}
        for n in range(adapters):
            own = folders[f"a{n}"] = Path(folder, f"a{n}")
            own.mkdir()
            torch.manual_seed(n)
            tensors = {}
            for path, target in paths.items():
                tensors[f"base_model.model.{path}.lora_A.weight"] = 0.02 * torch.randn(rank, target.inputs).bfloat16()
                tensors[f"base_model.model.{path}.lora_B.weight"] = 0.02 * torch.randn(target.outputs, rank).bfloat16()
            save_file(tensors, own / "adapter_model.safetensors")
            (own / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": rank}))
        listed = card.model_copy(
            update={"adapters": {name: AdapterCard(source=str(own)) for name, own in folders.items()}}
        )
        model = replace(model, encoder=replace(model.encoder, card=listed))
        yield with_adapters(MODEL, model, folders, CausalOptions(**options), slots=slots)


def request_of(number: int, adapter: str | None, tokens: int) -> GenerationRequest:
    """Return a request for exactly this many tokens. Requests have beginnings of their own."""
    params = SamplingParams(max_tokens=tokens, min_tokens=tokens, temperature=1.0, seed=number)
    text = f"Note {number}: {' '.join(random.Random(number).choices(WORDS, k=12))}"
    return GenerationRequest(f"{number}", Prompt(text=text, params=params, adapter=adapter))


def cpu_seconds(engine: SlotEngine, adapters: list[str | None], tokens: int) -> float:
    """Return the CPU time of this thread for one text for each of the adapters, without the steps that read prompts."""
    for number, adapter in enumerate(adapters):
        engine.submit(request_of(number, adapter, tokens))
    for _ in range(4):
        engine.step()
    began, left = time.thread_time(), len(adapters)
    while left:
        left -= len(engine.step())
    return time.thread_time() - began


def overhead(adapters: int, rank: int, slots: int, tokens: int, turns: int) -> None:
    """Print what adapters cost in full steps: bare rows, rows of all adapters, rows of one, and half of each."""
    with adapted_model(adapters, rank, {}, slots) as model:
        engine = build_engine(MODEL, model, CausalOptions(prefix_sharing=False), slots=slots)
        if not isinstance(engine, SlotEngine):
            raise SystemExit("the model does not run in slots")
        mixes: dict[str, list[str | None]] = {
            "bare": [None] * slots,
            "all adapters": [f"a{n % adapters}" for n in range(slots)],
            "one adapter": ["a0"] * slots,
            "half bare": [None if n % 2 else f"a{n // 2 % adapters}" for n in range(slots)],
        }
        for mix in mixes.values():
            cpu_seconds(engine, mix, 8)
        spent: dict[str, list[float]] = {name: [] for name in mixes}
        for _ in range(turns):
            for name, mix in mixes.items():
                spent[name].append(cpu_seconds(engine, mix, tokens))
        bare = statistics.median(spent["bare"])
        for name, seconds in spent.items():
            middle, least = statistics.median(seconds), min(seconds)
            more = (
                f"{100 * (middle / bare - 1):+.1f} %, by the best turns {100 * (least / min(spent['bare']) - 1):+.1f} %"
            )
            print(f"{name:14} {slots * (tokens - 4) / middle:8.0f} tokens/s of CPU time  {more}")


def night(adapters: int, room: int, rank: int, rows: int, slots: int, tokens: int, *, is_sorted: bool) -> None:
    """Print how an engine does with rows of many adapters, of which few have room."""
    with adapted_model(1, rank, {}, slots) as whole:
        place_bytes = _bank(whole).place_bytes
    with adapted_model(adapters, rank, {"adapter_bytes": room * place_bytes}, slots) as model:
        bank = _bank(model)
        chance, residency = random.Random(0), bank.residency
        given = [f"a{chance.randrange(adapters)}" for _ in range(rows)]
        given = sorted(given) if is_sorted else given
        engine = build_engine(MODEL, model, CausalOptions(), slots=slots)
        load_new, loading = bank.load_new, [0.0]

        def timed() -> list[str]:
            began = time.thread_time()
            broken = load_new()
            loading[0] += time.thread_time() - began
            return broken

        bank.load_new = timed  # type: ignore[method-assign]
        fed = done = 0
        waits: Counter[str] = Counter()
        since: dict[str, int] = {}
        filled: list[int] = []
        began = time.thread_time()
        while done < rows:
            while fed < rows and fed - done < 2 * slots:
                engine.submit(request_of(fed, given[fed], tokens - chance.randrange(tokens // 2)))
                since[f"{fed}"] = len(filled)
                fed += 1
            for one in engine.step():
                if one.fault is not None:
                    raise SystemExit(one.fault.message)
                waits[one.request_id] = len(filled) - since[one.request_id]
                done += 1
            filled.append(engine.stats().running)
        spent = time.thread_time() - began
        steps, loads = sorted(waits.values()), residency.loaded
        print(f"{rows} rows of {adapters} adapters, room for {residency.places}, {slots} slots")
        print(f"{rows / spent:.1f} rows/s of CPU time; slots in use: {statistics.mean(filled):.1f} on average")
        print(f"loads: {loads} ({rows / loads:.1f} rows each), {100 * loading[0] / spent:.1f} % of the time")
        print(f"a row took {steps[len(steps) // 2]} steps, at most {steps[-1]}")


def _bank(model: CausalModel) -> AdapterBank:
    if model.adapters is None:
        raise SystemExit("the model has no adapters")
    return model.adapters


def main() -> None:
    """Run the measurement that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("overhead", "night"))
    parser.add_argument("--adapters", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--room", type=int, default=8)
    parser.add_argument("--rows", type=int, default=800)
    parser.add_argument("--sorted", action="store_true", help="Give the rows of an adapter one after the other.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "overhead":
        overhead(given.adapters, given.rank, given.slots, given.tokens, given.turns)
    else:
        night(given.adapters, given.room, given.rank, given.rows, given.slots, given.tokens, is_sorted=given.sorted)


if __name__ == "__main__":
    main()
