"""Shows workers/engines/device/placement.py: the device and the number format that suit a machine."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")

import torch

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.device import placement


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        pytest.param("flags : avx2 avx512f", "float32", id="none"),
        pytest.param("flags : avx512_bf16", "bfloat16", id="avx512"),
        pytest.param("flags : amx_bf16 amx_tile", "bfloat16", id="amx"),
    ],
)
def test_bfloat16_only_where_the_cpu_computes_in_it(
    flags: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(placement, "CPUINFO", tmp_path / "cpuinfo")
    assert placement.place(ModelCard(device="cpu")).dtype_name == dtype
    assert placement.place(ModelCard(device="cpu", dtype="float32")).dtype_name == "float32"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_missing_device_is_named() -> None:
    with pytest.raises(ModelUnavailable, match="asks for cuda"):
        placement.place(ModelCard(device="cuda"))
