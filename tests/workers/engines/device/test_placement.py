"""Shows workers/engines/device/placement.py: the device and the number format that suit a machine."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")

import torch

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.device import placement
from workers.engines.device.cache_memory import cache_bytes_available


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


GB = 1 << 30


@pytest.mark.parametrize(
    ("card", "share"),
    [
        pytest.param({}, 80 * GB, id="all"),
        pytest.param({"num_gpus": 0.25}, 20 * GB, id="a quarter"),
        pytest.param({"num_gpus": 0}, 80 * GB, id="Ray counts none, and the model takes what it sees"),
        pytest.param({"memory_gb": 30}, 30 * GB, id="so much"),
        pytest.param({"memory_gb": 200}, 80 * GB, id="more than there is"),
    ],
)
def test_a_worker_keeps_to_its_share_of_a_gpu(
    card: dict[str, float], share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers on one GPU: without a limit the first would take the memory of both for its cache."""
    device, fractions, reserved = torch.device("cuda"), list[float](), 0
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (70 * GB, 80 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda *_: reserved)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda part, _: fractions.append(part))
    assert placement.keep_to_share(ModelCard(**card), device) == share
    assert fractions == ([share / (80 * GB)] if share < 80 * GB else [])
    assert cache_bytes_available(device, 1, share) == int(min(70 * GB, share) * 0.85)
    reserved = 16 * GB  # its weights
    assert cache_bytes_available(device, 1, share) == int(min(70 * GB, share - reserved) * 0.85)


def test_on_a_cpu_there_is_no_share() -> None:
    assert placement.keep_to_share(ModelCard(), torch.device("cpu")) is None
