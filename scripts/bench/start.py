"""Compares `nightpress run` with a bare script: the time from the start of the process until the first row is on disk.

    python scripts/bench/start.py --turns 3

The bare script and the run answer the same prompt in turn, each in a new process, with the same model and precision, greedy
tokens and one thread. The first turn may be slower, because files have to be read from disk. With --cold, an additional run
before the first turn has to convert the weights. The script also prints how long the parts of each run took, as the run itself
measured them.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROW = {
    "kind": "chat",
    "prompt": "Name three herbs that grow in the shade.",
    "max_tokens": 32,
    "temperature": 0,
    "seed": 1,
}

BARE = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.set_num_threads(1)
row, folder, out = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=getattr(torch, sys.argv[4])).eval()
turns = [{"role": "user", "content": row["prompt"]}]
prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
with torch.inference_mode():
    tokens = model.generate(**prompt, max_new_tokens=row["max_tokens"], do_sample=False)
text = tokenizer.decode(tokens[0, prompt["input_ids"].shape[1]:], skip_special_tokens=True)
with open(out, "w") as file:
    file.write(json.dumps({"text": text}) + "\\n")
"""


def until(condition: Callable[[], bool], process: subprocess.Popen[Any], began: float) -> float:
    """Wait until the condition holds. Returns the seconds since `began`. Ends the benchmark if the process fails before."""
    while not condition():
        if process.poll() not in (None, 0):
            sys.exit(f"{process.args!r} ended with {process.returncode}")
        time.sleep(0.01)
    return time.monotonic() - began


def run_once(folder: Path, env: dict[str, str]) -> tuple[float, dict[str, float]]:
    """Run `nightpress run` once. Returns two values: the seconds until its row is on disk, and the seconds of each part that the
    run itself timed, by name.
    """
    store = folder / "store"
    command = [str(Path(sys.executable).with_name("nightpress")), "run", "row.jsonl", "--out", "out", "--again"]
    env = {**env, "NIGHTPRESS_STORE_URL": str(store), "NIGHTPRESS_FLUSH_S": "0.05", "NIGHTPRESS_LOG_FORMAT": "json"}
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        took = until(lambda: any(store.glob("batches/*/segments/*.jsonl")), process, began)
        _, log = process.communicate()
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    timed = next(event for event in events if event["event"] == "run.timed")
    shutil.rmtree(store)
    return took, {name: value for name, value in timed.items() if name.endswith("_s")}


def bare_once(folder: Path, weights: Path, dtype: str, env: dict[str, str]) -> float:
    """Run the bare script once. Returns the seconds until its row is on disk."""
    out = folder / "bare.jsonl"
    out.unlink(missing_ok=True)
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", BARE, json.dumps(ROW), str(weights), str(out), dtype], env=env
    ) as process:
        return until(lambda: out.exists() and out.stat().st_size > 0, process, began)


def main() -> None:
    """Run the bare script and `nightpress run` in turn. Print a line for each turn, and the median overhead."""
    from jobs.settings import load
    from workers.engines.registry import identity
    from workers.engines.weights import resolve

    parser = argparse.ArgumentParser(description="Time to the first row, beside a bare script.")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--cold", action="store_true", help="begin with a run that has to convert the weights")
    args = parser.parse_args()
    settings = load()
    card = settings.catalog[args.model]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "NIGHTPRESS_MODEL": args.model}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "row.jsonl").write_text(json.dumps(ROW) + "\n")
        if args.cold:
            took, parts = run_once(folder, {**env, "NIGHTPRESS_CACHE_DIR": str(folder / "cache")})
            print(f"cold cache  run {took:6.2f} s  {parts}")
        weights = resolve(args.model, card, settings.cache_dir)
        dtype = identity(args.model, card).get("dtype", "float32")
        overheads = []
        for turn in range(args.turns):
            bare = bare_once(folder, weights, dtype, env)
            took, parts = run_once(folder, env)
            overheads.append(took - bare)
            print(
                f"turn {turn + 1}  bare {bare:6.2f} s  run {took:6.2f} s  overhead {took - bare:5.2f} s  {parts}",
                flush=True,
            )
    print(f"median overhead {statistics.median(overheads):.2f} s")


if __name__ == "__main__":
    main()
