"""Shows workers/engines/causal/kernels/gpu/attention.py: each text's attention over its own tokens, as it is written out.

On a machine without CUDA the kernels run in Triton's interpreter, where Triton is installed: in a process of its own, since
Triton is then another one from its import on.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")

import torch
from structlog.testing import capture_logs

from workers.engines.causal.kernels.gpu import attention as gpu_attention
from workers.engines.causal.kernels.gpu.attention import TOLERANCES, is_supported, reference_attention

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FORMS: dict[str, tuple[str, int, int, int, float | None, int | None]] = {
    "plain": ("float32", 1, 16, 16, None, None),
    "grouped, as SmolLM2": ("float32", 3, 64, 64, None, None),
    "narrow, other values, window": ("float32", 2, 8, 24, None, 12),
    "no power of two, capped": ("float32", 4, 80, 80, 5.0, None),
    "capped, window": ("float32", 2, 32, 32, 5.0, 50),
    "as Llama 3": ("float16", 4, 128, 128, None, None),
    "wide, window": ("float16", 4, 256, 256, None, 64),
}
"""By name: number format, queries a key head, size, size of values, cap and window."""

PROGRAM = """
import json, sys, torch
from workers.engines.causal.kernels.gpu import attention as gpu_attention
from workers.engines.causal.kernels.gpu.attention import max_error
if sys.argv[2] == "cpu":  # the interpreter is slow
    gpu_attention.TRIAL_LENGTHS = (1, 16, 31, 33, 64, 65, 513)
names = ("queries", "size", "value_size", "softcap", "window")
for form, (dtype, *sizes) in json.loads(sys.argv[1]).items():
    apart = max_error(getattr(torch, dtype), torch.device(sys.argv[2]), **dict(zip(names, sizes)))
    print(json.dumps([form, apart]), flush=True)
"""


@pytest.fixture(scope="module")
def distances() -> dict[str, float]:
    if find_spec("triton") is None:
        pytest.skip("Triton comes with torch's builds for CUDA")
    command = [sys.executable, "-c", PROGRAM, json.dumps(FORMS), DEVICE.type]
    env = {**os.environ, **({"TRITON_INTERPRET": "1"} if DEVICE.type == "cpu" else {})}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("form", list(FORMS))
def test_it_agrees_with_what_is_written_out(form: str, distances: dict[str, float]) -> None:
    assert distances[form] <= TOLERANCES[getattr(torch, FORMS[form][0])]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        pytest.param(lambda *args, **given: _right(*args, **given) * 1.01, "its results are off", id="wrong"),
        pytest.param(lambda *args, **given: 1 / 0, "division by zero", id="raises"),
        pytest.param(lambda *args, **given: _right(*args, **given) * torch.nan, "off by nan", id="no number"),
    ],
)
def test_a_kernel_that_is_wrong_is_not_used(wrong: Any, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says so, and it is not tried again."""
    form = (torch.device("cpu"), torch.float32, 2, 16, 16, True, True)
    monkeypatch.setattr(gpu_attention, "find_spec", lambda _name: "found")
    monkeypatch.setattr(gpu_attention, "decode_attention", _right)
    gpu_attention._is_accurate.cache_clear()
    assert gpu_attention._is_accurate(*form)
    gpu_attention._is_accurate.cache_clear()
    monkeypatch.setattr(gpu_attention, "decode_attention", wrong)
    with capture_logs() as logs:
        assert not gpu_attention._is_accurate(*form)
        assert not gpu_attention._is_accurate(*form)
    gpu_attention._is_accurate.cache_clear()
    (line,) = logs
    assert line["event"] == "attention.refused"
    assert reason in line["reason"]


def _right(*args: Any, splits: object, max_length: object, **given: Any) -> torch.Tensor:
    return reference_attention(*args, **given)


def test_what_it_cannot_compute_is_left_to_others() -> None:
    for block in (torch.zeros(2, 2, 16, 16, dtype=torch.float64, device=DEVICE), torch.zeros(2, 2, 16, 16)):
        assert not is_supported(block, block, 2, softcap=None, window=None)
    wide = torch.zeros(2, 2, 16, 512, device=DEVICE)
    assert not is_supported(wide, wide, 2, softcap=None, window=None)
