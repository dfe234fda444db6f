"""Compares our engine with its alternatives in output tokens a second. They run in turn, each pinned to one core.

    python scripts/bench/engines.py --turns 3
    python scripts/bench/engines.py --shape social --requests 512 --with vllm,openvino
    python scripts/bench/engines.py --requests 256 --with nightpress-vllm,vllm --only nightpress-vllm,vllm

The workload is made from a seed: prompts with a common beginning of about 60 tokens, and answers of fixed lengths. A contender
takes the requests in the order of the workload. Only `padded, sorted` sorts them by the true lengths of the answers, which in
real use nobody knows beforehand. `nightpress-vllm` is a whole lane of Nightpress on vLLM: queue, worker and storage. Each
contender runs in its own process. The peers that `--with` names, except transformers, run in environments of their own, which
the script makes in the cache folder with packages from PyPI. The machine's limit is measured first. On a CPU, the limit is the
speed of the linear layers alone in torch, with one input for each slot. On a GPU, the limit is the speed if only memory took
time: each step reads the weights once, and each token reads the keys and values of its text once. The benchmark fails if a
contender makes a different number of tokens than the workload asks for.

    --model smollm2      the small model of `make run`, of 0.1 billion parameters
    --model billion      random weights in the shape of a model of a billion parameters (needs 5 GB of memory)
    --model 8-billion    the same with 8 billion parameters (needs 35 GB, and a GPU)
    --device cuda        on a GPU, without pinning to a core and without openvino; `auto` uses a GPU if there is one
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from scripts.bench.engine_peers.limits import memory_limit
from scripts.bench.engine_peers.shapes import SHAPES as MODELS
from scripts.bench.engine_peers.shapes import random_model
from scripts.bench.engine_peers.workload import SHAPES, Workload, requests_of

ROOT: Final = Path(__file__).parents[2]
PEERS: Final[dict[str, list[str]]] = {
    "openvino": ["openvino==2026.4.0", "openvino-genai==2026.4.0.0", "openvino-tokenizers==2026.4.0.0"],
}
IN_OUR_ENVIRONMENT: Final = {"vllm": "vllm_peer", "nightpress-vllm": "nightpress_lane"}
"""Contenders in the environment that `nightpress models env vllm` makes, and their programs. Both have the same vLLM."""

EXPORTER: Final = ["optimum-intel[openvino]", "torch==2.13.0"]
UNWANTED: Final = ["torchvision", "torchaudio", "torchcodec"]
"""Packages that pip installs with the peers, and that are removed afterwards. With them, vLLM's build for CPUs and OpenVINO's
exporter would fail to import.
"""


@dataclass
class Contender:
    """One engine: its name, the command that starts it, and the report of each of its runs (`Clock` writes a report)."""

    name: str
    command: list[str]
    reports: list[dict[str, Any]] = field(default_factory=list)

    def run(self, work: Path, core: int | None, new_tokens: int) -> None:
        """Let the contender answer the workload once, on one core, or on all cores if `core` is None. Keeps its report.

        Ends the benchmark if the contender fails, or if it does not make `new_tokens` tokens.
        """
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            command = [*self.command[:3], str(work), report.name, *self.command[3:]]
            env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
            env |= {"OMP_NUM_THREADS": "1"} if core is not None else {}
            done = subprocess.run(pinned(core, command), cwd=ROOT, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{self.name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
            self.reports.append(json.loads(Path(report.name).read_text()))
        if (made := self.reports[-1]["tokens"]) != new_tokens:
            sys.exit(f"{self.name} made {made:,} tokens instead of {new_tokens:,}")

    def median(self, name: str) -> float:
        """Return the median of the figure `name` of the reports, over the turns."""
        return float(statistics.median(report[name] for report in self.reports))

    @property
    def tokens_per_s(self) -> float:
        """The median of the tokens a second over the turns."""
        return float(statistics.median(report["tokens"] / report["seconds"] for report in self.reports))


def contenders_of(names: list[str], folder: Path, dtype: str, cache: Path, device: str) -> list[Contender]:
    """Return the contenders: our engine, padded batches in file order and sorted, and the peers that `names` holds.

    A peer's environment is made, and the model is exported for OpenVINO, if this was not done before.
    """

    def module(name: str, python: str = sys.executable, *more: str) -> list[str]:
        return [python, "-m", f"scripts.bench.engine_peers.{name}", *more]

    found = [
        Contender("ours", module("ours")),
        Contender("padded, file order", module("padded", sys.executable, "file")),
        Contender("padded, sorted", module("padded", sys.executable, "sorted")),
    ]
    if "transformers" in names:
        found.append(Contender("transformers' own", module("batching")))
    for name in (name for name in names if name in IN_OUR_ENVIRONMENT):
        more = [str(end_token(folder))] if name == "nightpress-vllm" else []
        found.append(Contender(name, module(IN_OUR_ENVIRONMENT[name], vllm_python(cache, device), *more)))
    for name in (name for name in names if name in PEERS and device != "cuda"):
        python = environment(cache / name, PEERS[name])
        found.append(Contender(name, module(f"{name}_peer", python, str(exported(folder, dtype, cache)))))
    return found


def vllm_python(cache: Path, device: str) -> str:
    """Return the Python of vLLM's environment in the cache. The first call makes the environment."""
    from workers.commands.environments import make_vllm

    print(f"making the environment of vLLM in {cache}, unless it is there", file=sys.stderr)
    made, _ = make_vllm(cache, "cuda" if device == "cuda" else "cpu", [])
    return str(made.executable)


def end_token(folder: Path) -> int:
    """Return the token that ends a text of a model, by its config."""
    named = json.loads((folder / "config.json").read_text())["eos_token_id"]
    return int(named[0] if isinstance(named, list) else named)


def environment(folder: Path, packages: list[str], unwanted: list[str] = UNWANTED) -> str:
    """Return the path of the Python of an environment with these packages. The first call makes the environment in `folder`."""
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        print(f"installing {', '.join(packages)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *packages], check=True)
        if unwanted:
            subprocess.run([python, "-m", "pip", "uninstall", "-qq", "-y", *unwanted], check=True)
        (folder / ".ready").touch()
    return str(python)


def exported(folder: Path, dtype: str, cache: Path) -> Path:
    """Return the folder of the model in OpenVINO's format. The first call exports the model."""
    target = cache / f"openvino-{folder.name}-{dtype}"
    if not (target / "openvino_model.xml").exists():
        python = environment(cache / "exporter", EXPORTER)
        weights = {"float32": "fp32", "bfloat16": "fp16"}[dtype]  # `openvino_peer` computes in bfloat16 all the same
        command = ["-m", "optimum.commands.optimum_cli", "export", "openvino", "--task", "text-generation-with-past"]
        subprocess.run([python, *command, "--model", folder, "--weight-format", weights, target], check=True)
    return target


def model_folder(name: str, cache: Path, device: str = "cpu") -> Path:
    """Return the folder of a model. If the model does not exist yet, it is downloaded or made."""
    from jobs.catalog import SHIPPED
    from workers.engines.weights import resolve

    small = resolve("smollm2-135m", SHIPPED["smollm2-135m"], cache)
    return small if name == "smollm2" else random_model(name, small, cache, device)


def limit(work: Workload, core: int | None) -> tuple[float, str]:
    """Measure the machine's limit. Returns two values: the limit in tokens a second, and a phrase that names its cause."""
    asked = ["-m", "scripts.bench.engine_peers.limits", work.folder, work.dtype, str(work.slots), work.device]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = pinned(core, [sys.executable, *asked])
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    products_s = found.pop("products_s")
    if work.device == "cpu":
        return work.slots / products_s, "torch's linear layers alone"
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(work.folder)
    texts = [(len(tokenizer(one.prompt)["input_ids"]), one.new_tokens) for one in work.requests]
    most = memory_limit(texts, work.slots, **found)
    return most, f"its memory, of {found['bytes_per_s'] / 1e9:,.0f} GB/s,"


def pinned(core: int | None, command: list[str]) -> list[str]:
    """Return the command pinned to one core, or unchanged if `core` is None."""
    if core is None:
        return command
    taskset = shutil.which("taskset") or sys.exit("this needs taskset, of util-linux")
    return [taskset, "-c", str(core), *command]


def table(contenders: list[Contender], most: float) -> str:
    """Return the table of all contenders, at most 80 characters wide. `most` is the machine's limit in tokens a second."""
    by_name = {one.name: one for one in contenders}
    in_order = by_name["padded, file order"].tokens_per_s
    by_length = by_name["padded, sorted"].tokens_per_s
    lines = [f"{'':20}{'tokens/s':>10}{'x padded':>10}{'x sorted':>10}{'of limit':>10}{'peak MB':>9}{'load s':>8}"]
    for one in sorted(contenders, key=lambda one: -one.tokens_per_s):
        rate = one.tokens_per_s
        ratios = f"{rate / in_order:>10.2f}{rate / by_length:>10.2f}{rate / most:>10.0%}"
        lines.append(
            f"{one.name:20}{rate:>10.1f}{ratios}{one.median('peak_bytes') / 1e6:>9,.0f}{one.median('load_s'):>8.1f}"
        )
    return "\n".join(lines)


def beside_vllm(contenders: list[Contender]) -> str:
    """Return a line that compares a lane of ours on vLLM with vLLM alone; empty if not both ran.

    On a busy machine the CPU time counts: others take turns with both.
    """
    by_name = {one.name: one for one in contenders}
    if not by_name.keys() >= {"vllm", "nightpress-vllm"}:
        return ""
    alone, lane = by_name["vllm"], by_name["nightpress-vllm"]
    rate, cpu = lane.tokens_per_s / alone.tokens_per_s, alone.median("cpu_s") / lane.median("cpu_s")
    return f"a lane on vLLM makes {rate:.3f} times the tokens/s of vLLM alone, {cpu:.3f} times by CPU time"


def main() -> None:
    """Run the contenders in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), default="mixed")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", choices=["smollm2", *MODELS], default="smollm2")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--with", dest="peers", default="", help="peers: transformers, vllm, nightpress-vllm, openvino")
    parser.add_argument(
        "--only", default="", help="run only these peers of the table, comma-separated, beside ours and padded"
    )
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/nightpress-bench").expanduser())
    args = parser.parse_args()
    from jobs.catalog import ModelCard
    from workers.engines.device.placement import place

    placement = place(ModelCard(device=args.device))
    device = placement.device.type
    core = args.core if device == "cpu" else None
    dtype = placement.dtype_name if args.dtype == "auto" else args.dtype
    args.cache.mkdir(parents=True, exist_ok=True)
    folder = model_folder(args.model, args.cache, device)
    contenders = contenders_of([name for name in args.peers.split(",") if name], folder, dtype, args.cache, device)
    if args.only:
        kept = {*args.only.split(","), "ours", "padded, file order", "padded, sorted"}
        contenders = [one for one in contenders if one.name in kept]
    work = Workload(str(folder), dtype, args.slots, requests_of(args.shape, args.requests, args.seed), device)
    most, by = limit(work, core)
    print(
        f"{args.requests} requests of shape {args.shape}, {work.new_tokens:,} new tokens; {args.model} in {dtype}, "
        f"{args.slots} slots, {placement.device_name if core is None else f'core {core}'};\n"
        f"{by} {'allow' if core is not None else 'allows'} {most:,.0f} tokens/s"
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "workload.json"
        work.write(path)
        for turn in range(args.turns):
            for one in contenders:
                one.run(path, core, work.new_tokens)
                last = one.reports[-1]
                rate = last["tokens"] / last["seconds"]
                print(f"{time.strftime('%H:%M:%S')} turn {turn + 1}: {one.name}: {rate:.1f} tokens/s", file=sys.stderr)
    print(table(contenders, most))
    if compared := beside_vllm(contenders):
        print(compared)


if __name__ == "__main__":
    main()
