"""Shows workers/engines/vllm/engine.py: what the contract of engines leaves open, on a small random model.

These tests run in vLLM's own environment (`make test-vllm`).
"""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from jobs.catalog import ModelCard
from jobs.generation import Completion, GenerationRequest, Message, Prompt, SamplingParams
from tests.workers.engines.vllm_environment import needs_vllm
from workers.engines.protocol import Engine
from workers.engines.registry import make_engine

PARAMS = SamplingParams(max_tokens=12, temperature=1.0, seed=7)
LONG = " ".join(["ba be bi da de di do du ka ke ki la"] * 6)
"""A prompt of 72 tokens, of a context of 96."""
THINKS = (
    "{% for m in messages %}<|turn|>{{ m['role'] }}\n{{ m['content'] }}\n{% endfor %}<|turn|>assistant\n"
    "{% if off %}<think>\n\n</think>\n\n{% elif not vary %}<think>\n{% endif %}"
)


def run(engine: Engine, *requests: GenerationRequest) -> dict[str, Completion]:
    for request in requests:
        engine.submit(request)
    done: list[Completion] = []
    for _ in range(500):
        done += engine.step()
        if len(done) == len(requests):
            break
    assert sorted(one.request_id for one in done) == sorted(one.request_id for one in requests)
    return {one.request_id: one for one in done}


def asked(name: str, text: str = "ba be bi", params: SamplingParams = PARAMS, **prompt: object) -> GenerationRequest:
    return GenerationRequest(name, Prompt(text=text, params=params, **prompt))  # type: ignore[arg-type]


def test_seeds_hold_while_prompts_wait_for_room_in_a_step(vllm_engine: Engine) -> None:
    """Four prompts do not fit into one step. vLLM would read the second in parts, and die of that on a CPU."""
    requests = [
        asked(str(n), f"{LONG} {word}", replace(PARAMS, seed=n)) for n, word in enumerate(("ra", "re", "ri", "ro"))
    ]
    together = run(vllm_engine, *requests)
    assert {one.fault for one in together.values()} == {None}
    for one in requests:
        assert run(vllm_engine, one)[one.request_id].text == together[one.request_id].text


def test_a_common_beginning_is_computed_once(vllm_engine: Engine) -> None:
    """vLLM keeps blocks of 32 tokens. Texts with and without a kept beginning are the same."""
    text = " ".join(["so su ta te ti to tu na ne ni no nu"] * 6)
    first, again = (run(vllm_engine, asked(name, text))[name] for name in ("first", "again"))
    assert (first.prompt_tokens, first.cached_prompt_tokens) == (72, 0)
    assert (again.prompt_tokens, again.cached_prompt_tokens) == (72, 64)
    assert first.text == again.text


def test_a_prompt_and_its_limit_must_fit_into_the_context(vllm_engine: Engine) -> None:
    """vLLM itself would shorten the answer, and say nothing."""
    done = run(
        vllm_engine,
        asked("fits", LONG, replace(PARAMS, max_tokens=24)),
        asked("long", LONG, replace(PARAMS, max_tokens=25)),
    )
    assert done["fits"].fault is None
    assert done["long"].fault is not None
    assert done["long"].fault.code == "prompt_too_long"


def test_an_unknown_adapter_and_an_unknown_token_fail_alone(vllm_engine: Engine) -> None:
    done = run(
        vllm_engine,
        asked("adapter", adapter="brand"),
        asked("bias", params=replace(PARAMS, logit_bias={53: 1.0})),
        asked("stop", params=replace(PARAMS, stop_token_ids=(10_000,))),
        asked("beyond", "ba beyond"),
        asked("good"),
    )
    codes = {name: None if one.fault is None else one.fault.code for name, one in done.items()}
    unknown = "token_out_of_range"
    assert codes == {"adapter": "unknown_adapter", "bias": unknown, "stop": unknown, "beyond": unknown, "good": None}


def test_a_running_request_that_is_cancelled_gives_its_text_so_far(vllm_engine: Engine) -> None:
    params = replace(PARAMS, max_tokens=20, min_tokens=20)
    whole = run(vllm_engine, asked("whole", params=params))["whole"]
    vllm_engine.submit(asked("r", params=params))
    for _ in range(5):
        assert vllm_engine.step() == []
    vllm_engine.cancel("r")
    (done,) = vllm_engine.step()
    assert (done.finish_reason, done.completion_tokens, done.prompt_tokens) == ("cancelled", 5, 3)
    assert done.text == " ".join(whole.text.split()[:5])
    assert done.device_ns > 0
    assert (vllm_engine.step(), vllm_engine.stats().running, vllm_engine.stats().waiting) == ([], 0, 0)


def test_requests_begin_in_the_order_in_which_they_came(vllm_engine: Engine) -> None:
    done = run(vllm_engine, *(asked(str(n), "ba be", replace(PARAMS, max_tokens=2 + n % 3)) for n in range(12)))
    begun = [done[str(n)].begun_ns for n in range(12)]
    assert begun == sorted(begun)
    assert len(set(begun)) > 1


def test_a_token_that_a_request_bans_or_wants_is_banned_or_wanted(vllm_engine: Engine) -> None:
    greedy = replace(PARAMS, temperature=0.0, min_tokens=12)
    plain = run(vllm_engine, asked("r", params=greedy))["r"].text.split()
    token = 3 + [f"{first}{second}" for first in "bdklmnprst" for second in "aeiou"].index(plain[0])
    banned = run(vllm_engine, asked("r", params=replace(greedy, logit_bias={token: -100.0})))["r"].text
    wanted = run(vllm_engine, asked("r", params=replace(greedy, logit_bias={token: 100.0})))["r"].text
    assert plain[0] not in banned.split()
    assert wanted.split() == [plain[0]] * 12
    once = run(vllm_engine, asked("r", params=replace(greedy, logit_bias={token: 8.0}, frequency_penalty=2.0)))[
        "r"
    ].text
    assert 0 < once.split().count(plain[0]) < 12


def test_a_stop_token_ends_a_text_and_stays_in_it(vllm_engine: Engine) -> None:
    params = replace(PARAMS, temperature=0.0, min_tokens=6, max_tokens=6)
    text = run(vllm_engine, asked("r", params=params))["r"].text.split()
    token = 3 + [f"{first}{second}" for first in "bdklmnprst" for second in "aeiou"].index(text[3])
    found = run(vllm_engine, asked("r", params=replace(params, min_tokens=0, stop_token_ids=(token,))))["r"]
    assert (found.finish_reason, found.text.split()) == ("stop", text[: text.index(text[3]) + 1])


def test_scores_are_those_of_writing_the_same_tokens(vllm_engine: Engine) -> None:
    """The log probability of a continuation's tokens is that with which the model writes them."""
    params = replace(PARAMS, temperature=0.0, min_tokens=3, max_tokens=3, logprobs=1)
    written = run(vllm_engine, asked("w", LONG, params))["w"]
    scored = run(vllm_engine, asked("s", LONG, params, continuations=(f" {written.text}", " ba be")))["s"]
    assert scored.scores[0].greedy
    assert not scored.scores[1].greedy
    found = [one.logprob for one in scored.scores[0].tokens]
    assert found == pytest.approx([one.logprob for one in written.logprobs], abs=1e-4)


def test_a_request_that_vllm_refuses_fails_alone(vllm_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM raises for values that it does not take, such as those that a later release forbids."""
    inner = vllm_engine.inner  # type: ignore[attr-defined]
    llm = inner._model.llm
    add = llm.add_request

    def refuse(name: str, prompt: object, params: object, **more: object) -> str:
        if len(prompt["prompt_token_ids"]) == 2:  # type: ignore[index]
            raise ValueError("not like this\nand more")
        return str(add(name, prompt, params, **more))

    monkeypatch.setattr(llm, "add_request", refuse)
    done = run(vllm_engine, asked("bad", "ba be"), asked("good"))
    assert done["bad"].fault is not None
    assert done["bad"].fault.message == "vLLM refuses the request: not like this"
    assert done["good"].fault is None


@pytest.fixture(scope="module")
def thinking_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A random model whose chat template ends within thoughts, unless a row turns them off. `vary` leaves it open."""
    needs_vllm()
    import torch
    from transformers import AddedToken, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from tests.workers.engines.chat_families import _MAKERS

    backend = _MAKERS["bytes"]()
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ("<eos>", "<|turn|>")])
    backend.add_tokens([AddedToken(text, special=False, normalized=False) for text in ("<think>", "</think>")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", chat_template=THINKS)
    folder = tmp_path_factory.mktemp("thinking")
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 32,
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=256,
        num_key_value_heads=1,
        initializer_range=0.4,
        eos_token_id=tokenizer.eos_token_id,
        **sizes,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    card = ModelCard(
        engine="vllm", source=str(folder), dtype="float32", device="cpu", slots=4, options={"cache_bytes": 1 << 24}
    )
    engine = make_engine("thinker", card, tmp_path_factory.mktemp("cache"))
    yield engine
    engine.close()


def test_a_schema_constrains_the_answer_and_not_the_thoughts(thinking_engine: Engine) -> None:
    """The model is led to write `</think>` now and then. After it, it can only write what the schema allows, or think again."""
    end = thinking_engine.inner._model.encoder.tokenizer.convert_tokens_to_ids("</think>")  # type: ignore[attr-defined]
    schema = {
        "type": "object",
        "properties": {"a": {"enum": [1, 22]}},
        "required": ["a"],
        "additionalProperties": False,
    }

    def ask(name: str, bias: float, seed: int = 1, **kwargs: object) -> GenerationRequest:
        params = replace(PARAMS, max_tokens=60, logit_bias={end: bias}, logprobs=0, seed=seed)
        messages = (Message("user", "tea"),)
        prompt = Prompt(messages=messages, params=params, schema=schema, chat_template_kwargs=kwargs)
        return GenerationRequest(name, prompt)

    inside = [ask(f"inside {seed}", 5.0, seed) for seed in range(8)]
    others = [ask("off", 5.0, off=True), ask("open", -100.0, vary=True), ask("endless", -100.0)]
    done = run(thinking_engine, *inside, *others)
    thought = [one for name, one in done.items() if name.startswith("inside") and one.constraint == "full"]
    answered = [one for one in thought if one.finish_reason == "stop"]  # the others had no tokens left for the answer
    assert answered
    for one in (*answered, done["off"], done["open"]):
        assert (one.constraint, one.finish_reason) == ("full", "stop")
        assert json.loads(one.text)["a"] in (1, 22)
        assert len(one.logprobs) == one.completion_tokens
        assert one.cached_prompt_tokens < one.prompt_tokens
    assert all(one.reasoning_tokens > 0 for one in answered)
    assert done["off"].reasoning_tokens == 0
    endless = done["endless"]
    assert (endless.text, endless.finish_reason, endless.reasoning_tokens) == ("", "length", 60)
    for request in inside:
        again = run(thinking_engine, request)[request.request_id]
        assert (again.text, again.reasoning) == (done[request.request_id].text, done[request.request_id].reasoning)
    assert sum(one.device_ns for one in done.values()) > 0
    assert (thinking_engine.stats().running, thinking_engine.stats().waiting) == (0, 0)


def test_a_stop_text_ends_the_answer_and_not_the_thoughts(thinking_engine: Engine) -> None:
    end = thinking_engine.inner._model.encoder.tokenizer.convert_tokens_to_ids("</think>")  # type: ignore[attr-defined]
    params = replace(
        PARAMS, max_tokens=40, min_tokens=40, temperature=0.0, logit_bias={end: 6.0}, repetition_penalty=1.5
    )
    prompt = Prompt(messages=(Message("user", "tea"),), params=params)
    whole = run(thinking_engine, GenerationRequest("r", prompt))["r"]
    assert whole.completion_tokens == 40
    assert 0 < whole.reasoning_tokens < 40
    sign = whole.text[len(whole.text) // 2]
    stopping = replace(prompt, params=replace(params, min_tokens=0, stop=(sign,)))
    done = run(thinking_engine, GenerationRequest("r", stopping))["r"]
    assert (done.finish_reason, done.text) == ("stop", whole.text[: whole.text.index(sign)])
    assert done.reasoning == whole.reasoning
