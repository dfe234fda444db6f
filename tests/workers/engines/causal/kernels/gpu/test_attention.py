"""Shows workers/engines/causal/kernels/gpu/attention.py: the kernel agrees with the reference, and a wrong kernel is not used.

Without CUDA, the kernel runs in Triton's interpreter, if Triton is installed. This needs a separate process, because Triton
chooses its interpreter when it is imported.
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
VARIANTS: dict[str, tuple[str, int, int, int, float | None, int | None]] = {
    "plain": ("float32", 1, 16, 16, None, None),
    "grouped, as SmolLM2": ("float32", 3, 64, 64, None, None),
    "narrow, other values, window": ("float32", 2, 8, 24, None, 12),
    "no power of two, capped": ("float32", 4, 80, 80, 5.0, None),
    "capped, window": ("float32", 2, 32, 32, 5.0, 50),
    "as Llama 3": ("float16", 4, 128, 128, None, None),
    "wide, window": ("float16", 4, 256, 256, None, 64),
}
"""Name -> number format, queries a KV head, size, size of values, softcap and window."""

PROGRAM = """
import json, sys, torch
from workers.engines.causal.kernels.gpu import attention as gpu_attention
from workers.engines.causal.kernels.gpu.attention import max_error
if sys.argv[2] == "cpu":  # the interpreter is slow
    gpu_attention.TRIAL_LENGTHS = (1, 16, 31, 33, 64, 65, 513)
names = ("queries", "size", "value_size", "softcap", "window")
for variant, (dtype, *sizes) in json.loads(sys.argv[1]).items():
    error = max_error(getattr(torch, dtype), torch.device(sys.argv[2]), **dict(zip(names, sizes)))
    print(json.dumps([variant, error]), flush=True)
"""


@pytest.fixture(scope="module")
def errors() -> dict[str, float]:
    if find_spec("triton") is None:
        pytest.skip("Triton comes with torch's builds for CUDA")
    command = [sys.executable, "-c", PROGRAM, json.dumps(VARIANTS), DEVICE.type]
    env = {**os.environ, **({"TRITON_INTERPRET": "1"} if DEVICE.type == "cpu" else {})}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_the_kernel_agrees_with_the_reference(variant: str, errors: dict[str, float]) -> None:
    assert errors[variant] <= TOLERANCES[getattr(torch, VARIANTS[variant][0])]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        pytest.param(lambda *args, **given: _by_reference(*args, **given) * 1.01, "its results are off", id="wrong"),
        pytest.param(lambda *args, **given: 1 / 0, "division by zero", id="raises"),
        pytest.param(lambda *args, **given: _by_reference(*args, **given) * torch.nan, "off by nan", id="no number"),
    ],
)
def test_a_wrong_kernel_is_not_used(wrong: Any, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is logged once, and the kernel is not tried again."""
    variant = (torch.device("cpu"), torch.float32, 2, 16, 16, True, True)
    monkeypatch.setattr(gpu_attention, "find_spec", lambda _name: "found")
    monkeypatch.setattr(gpu_attention, "decode_attention", _by_reference)
    gpu_attention._is_accurate.cache_clear()
    assert gpu_attention._is_accurate(*variant)
    gpu_attention._is_accurate.cache_clear()
    monkeypatch.setattr(gpu_attention, "decode_attention", wrong)
    with capture_logs() as logs:
        assert not gpu_attention._is_accurate(*variant)
        assert not gpu_attention._is_accurate(*variant)
    gpu_attention._is_accurate.cache_clear()
    (line,) = logs
    assert line["event"] == "attention.refused"
    assert reason in line["reason"]


def _by_reference(*args: Any, splits: object, max_length: object, **given: Any) -> torch.Tensor:
    return reference_attention(*args, **given)


def test_other_formats_devices_and_sizes_are_refused() -> None:
    for block in (torch.zeros(2, 2, 16, 16, dtype=torch.float64, device=DEVICE), torch.zeros(2, 2, 16, 16)):
        assert not is_supported(block, block, 2, softcap=None, window=None)
    large = torch.zeros(2, 2, 16, 512, device=DEVICE)
    assert not is_supported(large, large, 2, softcap=None, window=None)
