"""Shows adapters by row: the texts of a mix are those of models that have each adapter merged into their weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.errors import ModelUnavailable
from jobs.generation import GenerationRequest, SamplingParams
from tests.workers.engines.architectures import PADDED, make
from tests.workers.engines.causal.adapters.lora_files import (
    LLAMA,
    lora_weights,
    merged,
    model_with,
    shuffled,
    write_lora,
)
from tests.workers.engines.causal.small_engines import completions, generate_alone, prompts, request_of
from workers.engines.causal.kernels.cpu.fused import FusedGatedMlp, QkvPart, fuse
from workers.engines.causal.kernels.cpu.packed import computes_in_bf16, pack
from workers.engines.causal.loading import CausalOptions, build_engine
from workers.engines.causal.runtime.logit_distance import logit_distance

NAMES: dict[str, tuple[str, ...]] = {
    "llama": LLAMA,
    "gpt2": ("c_attn", "attn.c_proj", "c_fc"),
    "gpt_neox": ("query_key_value", "dense_h_to_4h"),
    "opt": ("q_proj", "v_proj", "fc1"),
    "phi3": ("qkv_proj", "gate_up_proj"),
    "gemma3": LLAMA,
    "bloom": ("query_key_value", "dense_4h_to_h"),
    "mamba": ("in_proj", "out_proj"),
}
"""The layers that adapters change, by architecture."""


def with_adapter(request: GenerationRequest, adapter: str | None) -> GenerationRequest:
    return replace(request, prompt=replace(request.prompt, adapter=adapter))


def mixed_requests(adapters: list[str | None], params: SamplingParams, n: int) -> list[GenerationRequest]:
    """Prompts with a common beginning, each with one of the adapters, or none, in turn, then shuffled."""
    given = [adapters[i % len(adapters)] for i in range(n)]
    return [
        with_adapter(request_of(f"{i}", [*range(5, 17), *tokens], params), adapter)
        for i, (tokens, adapter) in enumerate(zip(prompts(n, seed=3), shuffled(given), strict=True))
    ]


@pytest.mark.parametrize(("name", "padded"), [*((name, name in PADDED) for name in NAMES), ("llama", True)])
def test_rows_of_many_adapters_share_steps_and_get_the_texts_of_merged_models(
    name: str, padded: bool, tmp_path: Path
) -> None:
    """Eight adapters of several ranks and layers, and rows without one, in one engine with prefix sharing."""
    network = make(name)
    layers = NAMES[name]
    weights: dict[str | None, Any] = {
        f"a{n}": lora_weights(network, layers if n % 2 else layers[:2], 2 + n, seed=n) for n in range(8)
    }
    expected = {adapter: merged(network, one) for adapter, one in weights.items()} | {None: make(name)}
    folders = {str(adapter): write_lora(tmp_path / str(adapter), one) for adapter, one in weights.items()}
    engine = build_engine(
        "tiny", model_with(folders, network, slots=6), CausalOptions(cache_bytes=1 << 22, padded=padded), slots=6
    )
    params = SamplingParams(max_tokens=6, temperature=0.0, seed=1)
    requests = mixed_requests([None, *weights], params, 27)
    done = completions(engine, *requests)
    texts = {one.request_id: done[one.request_id].text for one in requests}
    assert all(one.fault is None for one in done.values()), done
    alone = {one.request_id: generate_alone(expected[one.prompt.adapter], one) for one in requests}
    assert texts == alone
    some = [one for one in requests if one.prompt.adapter is not None][:6]
    assert sum(generate_alone(expected[None], one) != texts[one.request_id] for one in some) > 3, "they change nothing"
    if not padded:
        assert any(one.cached_prompt_tokens for one in done.values()), "no prefix was shared"


@pytest.mark.parametrize("padded", [False, True], ids=["slots", "padded"])
def test_a_broken_adapter_fails_its_own_rows_alone(tmp_path: Path, *, padded: bool) -> None:
    """One has no files, one is of another model, one loses its weights after the model was loaded, one is not known."""
    network = make("llama")
    good = lora_weights(network, LLAMA, 3)
    folders: dict[str, Path | str] = {name: write_lora(tmp_path / name, good) for name in ("good", "lost")}
    folders["foreign"] = write_lora(tmp_path / "foreign", lora_weights(make("gpt2"), ("c_attn",), 3))
    folders["absent"] = "there is no folder ours"
    expected = {"good": merged(network, good), None: make("llama")}
    model = model_with(folders, network, slots=6)
    (tmp_path / "lost" / "adapter_model.safetensors").unlink()
    engine = build_engine("tiny", model, CausalOptions(cache_bytes=1 << 22, padded=padded), slots=6)
    params = SamplingParams(max_tokens=6, temperature=0.0, seed=1)
    requests = mixed_requests([None, *folders, "unknown"], params, 18)
    done = completions(engine, *requests, *[replace(one, request_id=f"again {one.request_id}") for one in requests])
    says = {
        "lost": ("broken_adapter", "cannot be read"),
        "foreign": ("broken_adapter", "for another model: there is no linear layer transformer.h.0.attn.c_attn here"),
        "absent": ("broken_adapter", "there is no folder ours"),
        "unknown": ("unknown_adapter", "no adapter unknown"),
    }
    for one in requests:
        for found in (done[one.request_id], done[f"again {one.request_id}"]):
            if (adapter := one.prompt.adapter) in expected:
                assert found.text == generate_alone(expected[adapter], one)
            else:
                assert found.fault is not None
                assert (found.fault.code, found.fault.retryable) == (says[str(adapter)][0], False)
                assert says[str(adapter)][1] in found.fault.message


@pytest.mark.parametrize("padded", [False, True], ids=["slots", "padded"])
def test_more_adapters_than_room_take_turns(tmp_path: Path, *, padded: bool) -> None:
    """Six adapters share the room of two, and every row gets the text of its own."""
    network = make("llama")
    weights: dict[str | None, Any] = {f"a{n}": lora_weights(network, LLAMA, 2, seed=n) for n in range(6)}
    expected = {adapter: merged(network, one) for adapter, one in weights.items()} | {None: make("llama")}
    folders = {str(adapter): write_lora(tmp_path / str(adapter), one) for adapter, one in weights.items()}
    whole = model_with(folders, make("llama")).adapters
    assert whole is not None
    assert whole.residency.places == 6
    model = model_with(folders, network, slots=5, adapter_bytes=2 * whole.place_bytes + 1)
    assert model.adapters is not None
    assert model.adapters.residency.places == 2
    engine = build_engine("tiny", model, CausalOptions(cache_bytes=1 << 22, padded=padded), slots=5)
    requests = mixed_requests([None, *weights], SamplingParams(max_tokens=6, temperature=0.0, seed=1), 42)
    done = completions(engine, *requests)
    assert {name: one.text for name, one in done.items()} == {
        one.request_id: generate_alone(expected[one.prompt.adapter], one) for one in requests
    }
    assert 6 <= model.adapters.residency.loaded < 36


def test_room_for_less_than_one_adapter_is_refused(tmp_path: Path) -> None:
    folder = write_lora(tmp_path / "a", lora_weights(make("llama"), LLAMA, 2))
    with pytest.raises(
        ModelUnavailable, match=r"takes \d+ bytes, and there is room for 100: raise the option adapter_bytes"
    ):
        model_with({"a": folder}, adapter_bytes=100)


@pytest.mark.skipif(not computes_in_bf16(torch.device("cpu")), reason="this CPU does not compute in bfloat16")
def test_packed_and_fused_layers_apply_adapters_too(tmp_path: Path) -> None:
    """The logits are as near to those of the merged models in float32 as bfloat16 allows, and nearer than without adapters."""
    network = make("llama").bfloat16()
    weights = {name: lora_weights(network, LLAMA, 4, seed=n, size=0.15) for n, name in enumerate("ab")}
    expected = [
        merged(network.float(), weights["a"]),
        merged(network.float(), weights["b"]),
        make("llama").bfloat16().float(),
    ]
    ids = torch.arange(3, 33).reshape(3, 10)
    with torch.inference_mode():
        wanted = torch.stack([one(ids[n : n + 1]).logits[0] for n, one in enumerate(expected)])
    network.bfloat16()
    fuse(network, torch.device("cpu"))
    pack(network, torch.device("cpu"))
    assert any(isinstance(one, FusedGatedMlp) for one in network.modules())
    assert any(isinstance(one, QkvPart) for one in network.modules())
    folders = {name: write_lora(tmp_path / name, one) for name, one in weights.items()}
    bank = model_with(folders, network, dtype=torch.bfloat16).adapters
    assert bank is not None
    bank.use(["a", "b"])
    with torch.inference_mode():
        bare = network(ids).logits.float()
        with bank.applied(["a", "b", None]):
            got = network(ids).logits.float()
    apart = [logit_distance([got[n]], [wanted[n]]) for n in range(3)]
    assert max(apart) < 0.15, apart
    assert torch.equal(got[2], bare[2])
    assert min(logit_distance([bare[n]], [wanted[n]]) for n in range(2)) > 5 * max(apart[:2])
