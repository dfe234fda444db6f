"""Shows workers/engines/translate/compute_types.py: the compute type of a card, and the bits that are safe on a processor."""

from pathlib import Path

import pytest

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.device.placement import place
from workers.engines.translate import compute_types
from workers.engines.translate.compute_types import bits_of_weights, compute_type_of, device_of

ctranslate2 = pytest.importorskip("ctranslate2", reason="the extra `translate` is not installed")

CPU = {"float32", "int8", "int8_float32"}


@pytest.mark.parametrize(
    ("dtype", "device", "model_type", "offered", "wanted"),
    [
        pytest.param("auto", "cpu", "marian", {*CPU, "bfloat16"}, "float32", id="auto on a CPU"),
        pytest.param("auto", "cuda", "marian", {*CPU, "bfloat16", "float16"}, "bfloat16", id="auto on a new GPU"),
        pytest.param("auto", "cuda", "marian", {*CPU, "float16"}, "float16", id="auto on an older GPU"),
        pytest.param("auto", "cuda", "t5", {*CPU, "float16"}, "float32", id="auto for a T5 on an older GPU"),
        pytest.param("auto", "cuda", "marian", CPU, "float32", id="auto on an old GPU"),
        pytest.param("int8", "cpu", "marian", CPU, "int8", id="int8 if it is named"),
        pytest.param("float32", "cuda", "t5", {*CPU, "float16"}, "float32", id="named"),
    ],
)
def test_the_compute_type_of_a_card(
    dtype: str, device: str, model_type: str, offered: set[str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda _: offered)
    card = ModelCard.model_validate({"source": "x", "dtype": dtype})
    assert compute_type_of(card, device, model_type) == wanted


@pytest.mark.parametrize(
    ("dtype", "model_type", "message"),
    [
        pytest.param(
            "bfloat16", "marian", "set dtype to one of float16, float32, int8, int8_float32", id="not offered"
        ),
        pytest.param("float16", "t5", "a T5 writes nonsense in float16", id="too small for a T5"),
    ],
)
def test_a_compute_type_that_cannot_be_is_refused(
    dtype: str, model_type: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda _: {*CPU, "float16"})
    card = ModelCard.model_validate({"source": "x", "dtype": dtype})
    with pytest.raises(ModelUnavailable, match=message):
        compute_type_of(card, "cuda", model_type)


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="this machine has a CUDA device")
def test_a_card_that_asks_for_cuda_needs_one() -> None:
    with pytest.raises(ModelUnavailable, match=r"ctranslate2 .* sees no CUDA device here"):
        device_of(ModelCard(source="x", device="cuda"))
    assert device_of(ModelCard(source="x")) == device_of(ModelCard(source="x", device="cpu")) == "cpu"


@pytest.mark.parametrize(
    ("flags", "machine", "compute_type", "device", "bits"),
    [
        pytest.param("sse2 avx2 fma", "x86_64", "int8", "cpu", 7, id="AVX2"),
        pytest.param("avx2 avx512f avx512bw", "x86_64", "int8_float32", "cpu", 7, id="AVX512 without VNNI"),
        pytest.param("avx2 avx512f avx512_vnni", "x86_64", "int8", "cpu", 8, id="VNNI"),
        pytest.param("avx2 avx_vnni", "x86_64", "int8", "cpu", 8, id="VNNI of AVX2"),
        pytest.param("asimd", "aarch64", "int8", "cpu", 8, id="ARM"),
        pytest.param("avx2", "x86_64", "float32", "cpu", 8, id="float32"),
        pytest.param("avx2", "x86_64", "int8", "cuda", 8, id="GPU"),
    ],
)
def test_weights_have_bits_that_are_safe(
    flags: str, machine: str, compute_type: str, device: str, bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(compute_types, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert bits_of_weights(compute_type, device) == bits


def test_a_processor_that_cannot_be_known_gets_safe_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute_types, "CPUINFO", tmp_path / "nothing")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert bits_of_weights("int8", "cpu") == 7


@pytest.mark.parametrize("dtype", ["int8", "int8_float32"])
def test_other_engines_refuse_8_bits(dtype: str) -> None:
    pytest.importorskip("torch", reason="the extra `workers` is not installed")
    with pytest.raises(ModelUnavailable, match="only the engine translate computes in int8"):
        place(ModelCard.model_validate({"source": "x", "dtype": dtype, "device": "cpu"}))
