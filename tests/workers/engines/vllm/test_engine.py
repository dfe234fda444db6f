"""Shows workers/engines/vllm/engine.py: what the contract of engines leaves open, on a small random model.

These tests run in vLLM's own environment (`make test-vllm`).
"""

from dataclasses import replace

import pytest

from jobs.generation import Completion, GenerationRequest, Prompt, SamplingParams
from workers.engines.protocol import Engine

PARAMS = SamplingParams(max_tokens=12, temperature=1.0, seed=7)
LONG = " ".join(["ba be bi da de di do du ka ke ki la"] * 6)
"""A prompt of 72 tokens, of a context of 96."""


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

    def refuse(name: str, prompt: object, params: object) -> str:
        if len(prompt["prompt_token_ids"]) == 2:  # type: ignore[index]
            raise ValueError("not like this\nand more")
        return str(add(name, prompt, params))

    monkeypatch.setattr(llm, "add_request", refuse)
    done = run(vllm_engine, asked("bad", "ba be"), asked("good"))
    assert done["bad"].fault is not None
    assert done["bad"].fault.message == "vLLM refuses the request: not like this"
    assert done["good"].fault is None
