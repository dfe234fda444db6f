"""Tests the workload, the table and the contenders of `scripts/bench/engines.py`."""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from scripts.bench import engines
from scripts.bench.engine_peers.limits import memory_limit
from scripts.bench.engine_peers.workload import SHAPES, Workload, requests_of
from scripts.bench.engines import Contender, contenders_of, environment, table
from workers.engines.vllm.environment import Environment, folder_in
from workers.engines.vllm.version import MINOR


@pytest.mark.parametrize("shape", list(SHAPES))
def test_the_workload_follows_from_its_seed(shape: str, tmp_path: Path) -> None:
    requests = requests_of(shape, 40, seed=3)
    assert requests == requests_of(shape, 40, seed=3) != requests_of(shape, 40, seed=4)
    fewest, most = SHAPES[shape]
    assert all(fewest <= request.new_tokens <= most for request in requests)
    assert len({request.prompt[:300] for request in requests}) == 1, "a common beginning"
    assert len({request.prompt for request in requests}) == 40
    work = Workload("model", "float32", 8, requests)
    work.write(tmp_path / "work.json")
    assert Workload.read(str(tmp_path / "work.json")) == work


def test_the_table_is_sorted_by_rate_has_ratios_and_fits_a_terminal() -> None:
    def ran(name: str, *seconds: float) -> Contender:
        reports = [{"tokens": 100, "seconds": one, "load_s": 1.0, "peak_bytes": 2e9} for one in seconds]
        return Contender(name, [], reports)

    lines = table([ran("padded, file order", 4, 4), ran("padded, sorted", 2), ran("ours", 0.5, 9, 1)], 200).split("\n")
    assert [line[:20].strip() for line in lines] == ["", "ours", "padded, sorted", "padded, file order"]
    assert lines[1].split() == ["ours", "100.0", "4.00", "2.00", "50%", "2,000", "1.0"]
    assert all(len(line) <= 80 for line in lines)


def test_a_contender_that_makes_too_few_tokens_or_fails_ends_the_benchmark(tmp_path: Path) -> None:
    short = "import json, sys; json.dump({'tokens': 9, 'seconds': 1}, open(sys.argv[2], 'w'))"
    with pytest.raises(SystemExit, match="cheat made 9 tokens instead of 10"):
        Contender("cheat", [sys.executable, "-c", short]).run(tmp_path, 0, 10)
    with pytest.raises(SystemExit, match=r"broken ended with 1:\n(?s:.*)ZeroDivisionError"):
        Contender("broken", [sys.executable, "-c", "1 / 0"]).run(tmp_path, 0, 10)


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    (tmp_path / ".ready").touch()
    assert environment(tmp_path, ["nothing-of-this-name"]) == str(tmp_path / "bin" / "python")
    assert engines.PEERS.keys() == {"openvino"}


def test_the_memory_limit_counts_weights_once_a_step_and_the_cache_once_a_token() -> None:
    """Two texts of 3 tokens after prompts of 10: two slots read the weights in 3 steps, one slot in 6; both read 72 tokens."""
    sizes: dict[str, Any] = {"weight_bytes": 1000, "token_bytes": 10, "bytes_per_s": 1e6}
    assert memory_limit([(10, 3), (10, 3)], 2, **sizes) == pytest.approx(6 / ((3 * 1000 + 72 * 10) / 1e6))
    assert memory_limit([(10, 3), (10, 3)], 1, **sizes) == pytest.approx(6 / ((6 * 1000 + 72 * 10) / 1e6))


def test_on_a_gpu_only_peers_with_a_gpu_build_run(tmp_path: Path) -> None:
    """openvino has no GPU build and does not run. vLLM alone and a lane of ours on vLLM run in one environment."""
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": [2, 7]}))
    there = Environment(folder_in(tmp_path), platform.python_version(), version("ray"), f"{MINOR}.0", frozenset())
    there.folder.mkdir(parents=True)
    there.write()
    found = contenders_of(["vllm", "nightpress-vllm", "openvino"], tmp_path, "bfloat16", tmp_path, "cuda")
    by_name = {one.name: one.command for one in found}
    assert by_name["vllm"] == [str(there.executable), "-m", "scripts.bench.engine_peers.vllm_peer"]
    assert by_name["nightpress-vllm"] == [
        str(there.executable),
        "-m",
        "scripts.bench.engine_peers.nightpress_lane",
        "2",
    ]
    assert "openvino" not in by_name
