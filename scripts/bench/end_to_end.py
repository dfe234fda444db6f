"""Measures the cost of everything around the engine: compares `nightpress run` with the engine alone. The two run in turn.

    python scripts/bench/end_to_end.py --rows 512 --turns 3

In both runs, the engine's thread has one core, `--core`. In the run, the server, Ray, storage and all other threads of the
worker have the core `--other`. Rows have the `mixed` shape of `bench/engines.py` unless `--shape` names another, and may not
end early, so the run makes the same number of tokens as the engine alone. Loading is not counted: the engine alone is timed
from its first request to its last answer, and the run from the start of its first row to the end of its last row.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from scripts.bench.engine_peers.workload import SHAPES, Workload, requests_of
from scripts.bench.engines import ROOT, model_folder, pinned

ALIAS: Final = "bench"


def alone(work: Workload, end: int, core: int, scratch: Path) -> float:
    """Run the engine alone on the core `core`. Returns its new tokens a second. No text may hold the end token, `end`."""
    work.write(scratch / "workload.json")
    report = scratch / "alone.json"
    module = [
        sys.executable,
        "-m",
        "scripts.bench.engine_peers.ours",
        str(scratch / "workload.json"),
        str(report),
        str(end),
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    subprocess.run(pinned(core, module), cwd=ROOT, env=env, check=True)
    found = json.loads(report.read_text())
    return float(found["tokens"] / found["seconds"])


def whole(work: Workload, end: int, core: int, other: int, scratch: Path) -> float:
    """Run `nightpress run`, with the engine on the core `core` and all else on `other`. Returns `rate` of its output rows.

    No text may hold the end token, `end`.
    """
    rows = [
        {
            "kind": "completion",
            "prompt": request.prompt,
            "max_tokens": request.new_tokens,
            "temperature": 0,
            "logit_bias": {str(end): -100},
        }
        for request in work.requests
    ]
    (scratch / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    card = {"source": work.folder, "dtype": work.dtype, "device": "cpu", "slots": work.slots}
    card["options"] = {"cores": [core]}
    env = {
        **os.environ,
        "NIGHTPRESS_MODELS": json.dumps({ALIAS: card}),
        "NIGHTPRESS_STORE_URL": str(scratch / "store"),
        "HF_HUB_OFFLINE": "1",
    }
    command = [str(Path(sys.executable).with_name("nightpress")), "run", str(scratch / "rows.jsonl")]
    command += ["--model", ALIAS, "--out", str(scratch / "out")]
    done = subprocess.run(pinned(other, command), cwd=scratch, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the run ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return rate([json.loads(line) for line in (scratch / "out" / "output.jsonl").read_text().splitlines()])


def rate(rows: list[dict[str, Any]]) -> float:
    """Return the completion tokens a second of these output rows, from the start of the first to the end of the last."""
    began = min(datetime.fromisoformat(row["started_at"]) for row in rows)
    ended = max(datetime.fromisoformat(row["finished_at"]) for row in rows)
    tokens: int = sum(row["usage"]["completion_tokens"] for row in rows)
    return tokens / (ended - began).total_seconds()


def main() -> None:
    """Run the engine alone and `nightpress run` in turn, and print their rates and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--shape", choices=list(SHAPES), default="mixed")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--core", type=int, default=0, help="core of the engine")
    parser.add_argument("--other", type=int, default=1, help="core of everything else")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/nightpress-bench").expanduser())
    args = parser.parse_args()
    from jobs.catalog import ModelCard
    from workers.engines.device.placement import place

    args.cache.mkdir(parents=True, exist_ok=True)
    folder = model_folder("smollm2", args.cache)
    end = json.loads((folder / "config.json").read_text())["eos_token_id"]
    dtype = place(ModelCard(device="cpu")).dtype_name
    work = Workload(str(folder), dtype, args.slots, requests_of(args.shape, args.rows, args.seed))
    engine, run = [], []
    for turn in range(args.turns):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            engine.append(alone(work, end, args.core, Path(scratch)))
            run.append(whole(work, end, args.core, args.other, Path(scratch)))
        print(f"turn {turn + 1}: engine alone {engine[-1]:.1f} tokens/s, run {run[-1]:.1f} tokens/s", flush=True)
    ratio = statistics.median(r / e for r, e in zip(run, engine, strict=True))
    print(f"{args.rows} rows of shape {args.shape}, {dtype}: the run reaches {ratio:.1%} of its engine (median)")


if __name__ == "__main__":
    main()
