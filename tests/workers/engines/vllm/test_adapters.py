"""Shows workers/engines/vllm/adapters.py: adapters in vLLM by row, and that a broken one fails its own rows only."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.catalog import ModelCard
from jobs.generation import Completion, GenerationRequest, Prompt, SamplingParams
from tests.workers.engines.vllm_environment import needs_vllm
from workers.engines.protocol import Engine
from workers.engines.vllm.adapters import arguments_for

PARAMS = SamplingParams(max_tokens=10, min_tokens=10, temperature=0.0, seed=1)
CONFIG = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "r": 4,
    "lora_alpha": 64,
    "target_modules": ["q_proj", "v_proj"],
}


def adapter(folder: Path, seed: int, **config: object) -> Path:
    """Make an adapter of the tiny model with random weights."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    some = torch.Generator().manual_seed(seed)
    sizes = {"q_proj": 128, "v_proj": 64}
    weights = {}
    for layer in range(2):
        for name, size in sizes.items():
            path = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{path}.lora_A.weight"] = torch.randn(4, 32, generator=some)
            weights[f"{path}.lora_B.weight"] = torch.randn(size, 4, generator=some)
    save_file(weights, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **config}))
    return folder


@pytest.fixture(scope="module")
def adapted(tiny_model_of_vllm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    needs_vllm()
    from workers.engines.vllm.loading import load_engine

    folder = tmp_path_factory.mktemp("adapters")
    adapters: dict[str, Path | str] = {
        "calm": adapter(folder / "calm", 1),
        "loud": adapter(folder / "loud", 2),
        "dora": adapter(folder / "dora", 3, use_dora=True),
        "gone": "there is no folder gone",
    }
    card = ModelCard(
        engine="vllm", dtype="float32", device="cpu", source=str(tiny_model_of_vllm), options={"cache_bytes": 1 << 24}
    )
    engine = load_engine("tiny", card, lambda: tiny_model_of_vllm, slots=4, cache_dir=folder, adapters=adapters)
    yield engine
    engine.close()


def asked(name: str, text: str = "ba be bi", which: str | None = None) -> GenerationRequest:
    return GenerationRequest(name, Prompt(text=text, params=PARAMS, adapter=which))


def run(engine: Engine, *requests: GenerationRequest) -> dict[str, Completion]:
    for request in requests:
        engine.submit(request)
    done: list[Completion] = []
    for _ in range(500):
        done += engine.step()
        if len(done) == len(requests):
            break
    return {one.request_id: one for one in done}


def test_rows_with_and_without_adapters_have_their_own_texts(adapted: Engine) -> None:
    """Mixed as they come, each row has the text that it has alone. Rows with and without one never share a step on a CPU.

    There vLLM gives bare rows the last of its places for adapters, which both are needed to fill.
    """
    texts = ("ba be bi", "da de di do", "la", "ra re ri")
    requests = [
        asked(f"{n}", texts[n % 4], which)
        for n, which in enumerate([None, "calm", "loud", None, "calm", None, "loud", "calm"])
    ]
    together = run(adapted, *requests)
    alone = {one.request_id: run(adapted, one)[one.request_id] for one in requests}
    assert {name: one.text for name, one in together.items()} == {name: one.text for name, one in alone.items()}
    same = [run(adapted, asked("r", which=which))["r"].text for which in (None, "calm", "loud")]
    assert len(set(same)) == 3
    stats = adapted.stats()
    assert (stats.waiting, stats.running) == (0, 0)


def test_an_adapter_that_cannot_be_loaded_fails_its_rows_only(adapted: Engine) -> None:
    done = run(
        adapted, asked("dora", which="dora"), asked("gone", which="gone"), asked("nobody", which="no"), asked("good")
    )
    for name, code in (("dora", "broken_adapter"), ("gone", "broken_adapter"), ("nobody", "unknown_adapter")):
        fault = done[name].fault
        assert fault is not None
        assert (fault.code, fault.retryable) == (code, False)
    assert "there is no folder gone" in done["gone"].fault.message  # type: ignore[union-attr]
    assert done["good"].fault is None


def test_a_row_that_waits_for_those_of_the_other_sort_can_be_cancelled(adapted: Engine) -> None:
    adapted.submit(asked("first"))
    adapted.submit(asked("held", which="calm"))
    assert adapted.step() == []
    assert (adapted.stats().running, adapted.stats().waiting) == (1, 1)
    adapted.cancel("held")
    assert [(one.request_id, one.finish_reason) for one in adapted.step()] == [("held", "cancelled")]
    done = [one for _ in range(20) for one in adapted.step()]
    assert [one.request_id for one in done] == ["first"]


def test_the_largest_rank_decides_what_vllm_is_made_for(tmp_path: Path) -> None:
    folders: dict[str, Path | str] = {"gone": "there is none"}
    assert arguments_for(folders) == {}
    for rank in (4, 24):
        folders[str(rank)] = folder = tmp_path / str(rank)
        folder.mkdir()
        (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    wanted = {"enable_lora": True, "max_loras": 2, "max_cpu_loras": 2, "max_lora_rank": 32}
    assert arguments_for(folders) == wanted
    assert arguments_for({"a": tmp_path / "nowhere"}) == {}
