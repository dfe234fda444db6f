"""Shows workers/engines/translate/engine.py and searches.py: batches, sampling, limits, faults, cancelling and accounting."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.catalog import ModelCard
from jobs.errors import CODES, ModelUnavailable
from jobs.generation import Message, Prompt
from tests.workers.engines.translate.small_engines import completions, engine_of, mixed_requests, read, request_of
from workers.engines.device.pinning import Core
from workers.engines.translate import engine as engine_module
from workers.engines.translate.conversion import Unconvertible
from workers.engines.translate.engine import TranslateEngine
from workers.engines.translate.loading import described, load_engine

torch = pytest.importorskip("torch", reason="the extra `workers` is not installed")
ctranslate2 = pytest.importorskip("ctranslate2", reason="the extra `translate` is not installed")


@pytest.fixture(scope="module")
def engine(folder_of: Callable[[str], Path], cache_dir: Path) -> Iterator[TranslateEngine]:
    """An engine of an NLLB. It is shared, since no test leaves anything in it."""
    made = engine_of(folder_of("nllb"), cache_dir)
    yield made
    made.close()


@pytest.fixture(scope="module")
def searching(folder_of: Callable[[str], Path], cache_dir: Path) -> Iterator[TranslateEngine]:
    """The same engine with 3 beams."""
    made = engine_of(folder_of("nllb"), cache_dir, beams=3)
    yield made
    made.close()


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({}, id="greedy"),
        pytest.param({"temperature": 1.0}, id="sampled"),
        pytest.param({"temperature": 0.8, "top_p": 0.8, "top_k": 9, "min_p": 0.01}, id="filtered"),
        pytest.param({"repetition_penalty": 1.3, "frequency_penalty": 0.4}, id="penalties"),
        pytest.param({"temperature": 1.2, "logit_bias": {40: 3.0, 41: -100.0}}, id="bias"),
    ],
)
def test_a_text_does_not_depend_on_its_batch(params: dict[str, Any], engine: TranslateEngine) -> None:
    requests = mixed_requests(20, **params)
    together = completions(engine, requests)
    alone = {one.request_id: completions(engine, [one])[one.request_id] for one in requests}
    assert {name: one.text for name, one in together.items()} == {name: one.text for name, one in alone.items()}


def test_a_sampled_text_is_that_of_steps_of_one_token(engine: TranslateEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With drafts of one token, each token is chosen from logits that were computed for it alone."""
    from workers.engines.translate import searches

    requests = mixed_requests(8, temperature=0.7, logprobs=2)
    drafted = completions(engine, requests)
    monkeypatch.setattr(searches, "DRAFT_TOKENS", 1)
    for name, one in completions(engine, requests).items():
        assert one.text == drafted[name].text
        assert [token.logprob for token in one.logprobs] == pytest.approx(
            [token.logprob for token in drafted[name].logprobs], abs=1e-3
        )


def test_log_probabilities_are_those_of_the_network(engine: TranslateEngine, folder_of: Callable[[str], Path]) -> None:
    from workers.engines.translate.loading import load_exact

    network = load_exact("small", folder_of("nllb"), ModelCard())
    request = request_of("r", max_tokens=9, logprobs=3, temperature=0.9)
    found = completions(engine, [request])["r"]
    source = read(engine, request)
    tokens = [one.token_id for one in found.logprobs]
    given = torch.tensor([[source.start, *source.forced, *tokens]])
    logits = network(input_ids=torch.tensor([source.tokens]), decoder_input_ids=given).logits[
        0, len(source.forced) : -1
    ]
    wanted = logits.detach().log_softmax(-1)
    assert [one.logprob for one in found.logprobs] == pytest.approx(
        [float(row[token]) for row, token in zip(wanted, tokens, strict=True)], abs=1e-3
    )
    for one, row in zip(found.logprobs, wanted, strict=True):
        assert [top.token_id for top in one.top] == row.topk(3).indices.tolist()


def test_another_seed_gives_another_text(engine: TranslateEngine) -> None:
    done = completions(engine, [request_of(f"r{seed}", temperature=1.0, seed=seed) for seed in range(6)])
    assert len({one.text for one in done.values()}) == 6


@pytest.mark.parametrize("which", ["engine", "searching"])
@pytest.mark.parametrize("params", [{}, {"temperature": 1.0}], ids=["search", "sampled"])
def test_limits_are_each_requests_own(which: str, params: dict[str, Any], request: pytest.FixtureRequest) -> None:
    engine = request.getfixturevalue(which)
    limits = {"a": 1, "b": 2, "c": 7, "d": 33, "e": 7}
    requests = [request_of(name, min_tokens=n, max_tokens=n, **params) for name, n in limits.items()]
    done = completions(engine, requests)
    assert {name: one.completion_tokens for name, one in done.items()} == limits
    assert {one.finish_reason for one in done.values()} == {"length"}


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("name", ["mbart", "t5"])
def test_other_limits_in_a_batch_change_nothing(
    name: str, beams: int, folder_of: Callable[[str], Path], cache_dir: Path
) -> None:
    """Rows with several least and most tokens share batches, and each is as if it ran alone."""
    engine = engine_of(folder_of(name), cache_dir, slots=32, beams=beams)
    requests = [
        request_of(f"{least} {most}", text, min_tokens=least, max_tokens=most)
        for text in ("water the tomatoes", "save your changes")
        for least, most in ((0, 5), (4, 12), (0, 40), (9, 23), (20, 40))
    ]
    requests = [replace(one, request_id=f"{n}") for n, one in enumerate(requests)]
    done = completions(engine, requests)
    assert engine.stats().steps == 1
    for one in requests:
        assert done[one.request_id].completion_tokens >= one.prompt.params.min_tokens
        assert completions(engine, [one])[one.request_id].text == done[one.request_id].text
    engine.close()


@pytest.mark.parametrize("which", ["engine", "searching"])
@pytest.mark.parametrize("params", [{}, {"temperature": 1.0}], ids=["search", "sampled"])
def test_a_stop_text_ends_and_is_cut(which: str, params: dict[str, Any], request: pytest.FixtureRequest) -> None:
    engine = request.getfixturevalue(which)
    given = {"min_tokens": 20, "max_tokens": 20, **params}
    whole = completions(engine, [request_of("r", **given)])["r"]
    stop = whole.text[len(whole.text) // 2 :][:3]
    stopped = request_of("s", **{**given, "min_tokens": 0, "stop": ("never there", stop)})
    plain = request_of("p", **{**given, "min_tokens": 0})
    done = completions(engine, [stopped, plain])
    if stop in done["p"].text:
        assert done["s"].finish_reason == "stop"
        assert done["s"].text == done["p"].text[: done["p"].text.index(stop)]
        assert done["s"].completion_tokens <= done["p"].completion_tokens
    else:
        assert done["s"].text == done["p"].text


def test_a_stop_token_ends(engine: TranslateEngine) -> None:
    whole = completions(engine, [request_of("r", logprobs=0, min_tokens=12, max_tokens=12)])["r"]
    stop = whole.logprobs[6].token_id
    first = [one.token_id for one in whole.logprobs].index(stop) + 1
    done = completions(engine, [request_of("s", stop_token_ids=(stop,))])["s"]
    assert (done.finish_reason, done.completion_tokens) == ("stop", first)


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        pytest.param(Prompt(text="Write a text."), "unsupported_kind", id="a text"),
        pytest.param(Prompt(messages=(Message("user", "Hi"),)), "unsupported_kind", id="a chat"),
        pytest.param(request_of("", "  \n").prompt, "empty_prompt", id="blank"),
        pytest.param(request_of("", target="tlh").prompt, "unsupported_language", id="unknown language"),
        pytest.param(request_of("", "press save " * 200).prompt, "prompt_too_long", id="too long"),
        pytest.param(request_of("", logit_bias={10**6: 1.0}).prompt, "token_out_of_range", id="token"),
        pytest.param(replace(request_of("").prompt, adapter="brand"), "unknown_adapter", id="adapter"),
        pytest.param(replace(request_of("").prompt, continuations=(" a",)), "unsupported_kind", id="scores"),
    ],
)
def test_a_request_that_cannot_run_fails_alone(prompt: Prompt, code: str, engine: TranslateEngine) -> None:
    bad = replace(request_of("bad"), prompt=prompt)
    done = completions(engine, [request_of("a"), bad, request_of("b")])
    assert done["bad"].fault is not None
    assert (done["bad"].fault.code, done["bad"].finish_reason, done["bad"].device_ns) == (code, "error", 0)
    assert code in CODES
    assert (done["a"].fault, done["b"].fault) == (None, None)


class Failing:
    """A translator that raises an error for each batch with a certain text."""

    def __init__(self, translator: Any, text: list[str], error: Exception) -> None:
        self._translator, self._text, self._error = translator, text, error

    def translate_batch(self, source: list[list[str]], *args: Any, **options: Any) -> Any:
        if self._text in source:
            raise self._error
        return self._translator.translate_batch(source, *args, **options)


@pytest.mark.parametrize("params", [{}, {"temperature": 1.0}], ids=["search", "sampled"])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(RuntimeError("No position encodings are defined"), "generation_failed", id="failed"),
        pytest.param(RuntimeError("CUDA failed with error: failed to allocate memory"), "out_of_memory", id="memory"),
    ],
)
def test_a_request_that_breaks_its_batch_fails_alone(
    error: Exception, code: str, params: dict[str, Any], engine: TranslateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = mixed_requests(9, **params)
    wanted = {name: one.text for name, one in completions(engine, requests).items()}
    source = read(engine, requests[4])
    failing = Failing(engine._model.translator, [str(token) for token in source.tokens], error)
    monkeypatch.setattr(engine._searches, "_model", replace(engine._model, translator=failing))
    busy_ns = engine.stats().busy_ns
    done = completions(engine, requests)
    fault = done["r4"].fault
    assert fault is not None
    assert fault.code == code
    assert {name: one.text for name, one in done.items() if name != "r4"} == {
        name: text for name, text in wanted.items() if name != "r4"
    }
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns - busy_ns


@pytest.mark.parametrize("params", [{}, {"temperature": 1.0}], ids=["search", "sampled"])
def test_an_engine_whose_gpu_is_gone_fails_as_a_whole(
    params: dict[str, Any], folder_of: Callable[[str], Path], cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request is charged an attempt, since the error has nothing to do with it."""
    engine = engine_of(folder_of("marian"), cache_dir)
    requests = mixed_requests(4, **params)
    source = read(engine, requests[2])
    error = RuntimeError("CUDA failed with error an illegal memory access was encountered")
    failing = Failing(engine._model.translator, [str(token) for token in source.tokens], error)
    monkeypatch.setattr(engine._searches, "_model", replace(engine._model, translator=failing))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        completions(engine, requests)
    assert engine.stats().idle_ns >= 0
    engine.close()


def test_a_language_of_each_row_in_one_batch(engine: TranslateEngine) -> None:
    targets = ["fr", "de", "pt", "ja", "ar", "sw"]
    done = completions(engine, [request_of(tag, target=tag) for tag in targets])
    assert len({one.text for one in done.values()}) > 1
    for tag in targets:
        assert completions(engine, [request_of(tag, target=tag)])[tag].text == done[tag].text


def test_what_was_spent_adds_up(engine: TranslateEngine) -> None:
    before = engine.stats()
    done = completions(
        engine, [*mixed_requests(10), *mixed_requests(0), request_of("s", temperature=1.0, max_tokens=40)]
    )
    after = engine.stats()
    assert sum(one.device_ns for one in done.values()) == after.busy_ns - before.busy_ns
    assert all(one.device_ns > 0 for one in done.values())
    assert after.prompt_tokens - before.prompt_tokens == sum(one.prompt_tokens for one in done.values())
    assert after.completion_tokens - before.completion_tokens == sum(one.completion_tokens for one in done.values())
    assert (after.waiting, after.running) == (0, 0)
    assert after.idle_ns >= 0


def test_a_request_that_waits_is_cancelled(engine: TranslateEngine) -> None:
    for name in ("a", "b"):
        engine.submit(request_of(name))
    engine.cancel("a")
    engine.cancel("never seen")
    done = {one.request_id: one for _ in range(50) for one in engine.step()}
    assert (done["a"].finish_reason, done["a"].text, done["a"].device_ns) == ("cancelled", "", 0)
    assert done["b"].finish_reason in {"stop", "length"}
    again = completions(engine, [request_of("a")])["a"]
    assert again.finish_reason in {"stop", "length"}


@pytest.mark.parametrize("params", [{}, {"temperature": 1.0}], ids=["greedy", "sampled"])
def test_a_request_that_runs_is_cancelled(
    params: dict[str, Any], engine: TranslateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is cancelled while its batch is on the device. It ends early with its text so far, and no other one does."""
    began, go_on = threading.Event(), threading.Event()
    searches = engine._searches
    run = searches.run

    def run_later(batch: Any) -> None:
        began.set()
        assert go_on.wait(30)
        run(batch)

    requests = [request_of(name, min_tokens=40, max_tokens=40, **params) for name in ("a", "b")]
    done: dict[str, Any] = {}
    with monkeypatch.context() as patched:
        patched.setattr(engine_module, "WAIT_S", 0.0)
        patched.setattr(searches, "run", run_later)
        for one in requests:
            engine.submit(one)
        assert engine.step() == []
        assert began.wait(30)
        assert engine.stats().running == 2
        engine.cancel("a")
        go_on.set()
        while len(done) < 2:
            done |= {one.request_id: one for one in engine.step()}
    assert done["a"].finish_reason == "cancelled"
    assert done["a"].completion_tokens < 40
    assert done["b"].completion_tokens == 40
    assert completions(engine, [requests[0]])["a"].completion_tokens == 40


def test_a_step_does_not_wait_for_a_long_batch(engine: TranslateEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps return while a batch runs. If there is no progress for long, a step waits until the batch has ended."""
    go_on, waits = threading.Event(), []
    run = engine._searches.run

    def run_later(batch: Any) -> None:
        assert go_on.wait(30)
        run(batch)

    def wait(_: Any, timeout: float | None) -> None:
        waits.append(timeout)

    with monkeypatch.context() as patched:
        patched.setattr(engine._searches, "run", run_later)
        patched.setattr(engine_module, "wait", wait)
        engine.submit(request_of("r"))
        assert [engine.step(), engine.step()] == [[], []]
        assert waits == [engine_module.WAIT_S] * 2
        patched.setattr(engine_module, "STALL_NS", 0)
        assert engine.step() == []
        assert waits[-1] is None
    go_on.set()
    done: list[Any] = []
    while not done:
        done += engine.step()
    assert done[0].request_id == "r"


def test_the_next_batch_runs_while_texts_are_checked(folder_of: Callable[[str], Path], cache_dir: Path) -> None:
    """A step that returns completions has begun the next batch."""
    engine = engine_of(folder_of("nllb"), cache_dir, slots=4)
    for one in mixed_requests(8):
        engine.submit(one)
    done: list[Any] = []
    while not done:
        done += engine.step()
    assert len(done) == 4
    assert engine.stats().running == 4
    engine.close()


def test_a_schema_does_not_constrain(engine: TranslateEngine) -> None:
    prompt = replace(request_of("s").prompt, schema={"type": "object"})
    done = completions(engine, [replace(request_of("s"), prompt=prompt), request_of("r")])
    assert (done["s"].text, done["s"].constraint, done["r"].constraint) == (done["r"].text, "none", None)


def tasks() -> set[int]:
    """Return the threads of this process."""
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


def test_the_threads_that_compute_are_pinned(
    folder_of: Callable[[str], Path], cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from workers.engines.translate import loading

    monkeypatch.setattr(loading, "Core", lambda cores: Core(cores, tmp_path))
    cores = sorted(os.sched_getaffinity(0))
    before = tasks()
    engine = engine_of(folder_of("marian"), cache_dir, cores=cores[:1])
    completions(engine, [request_of("r")])
    assert os.sched_getaffinity(0) == set(cores)
    started = tasks() - before
    assert any(os.sched_getaffinity(task) == {cores[0]} for task in started)
    engine.close()
    Core(cores[:1], tmp_path).free()


def test_a_receipt_names_what_may_change_a_text(folder_of: Callable[[str], Path]) -> None:
    folder = folder_of("marian")
    card = ModelCard(source=str(folder), device="cpu", options={"beams": 4})
    version = f"ctranslate2 {ctranslate2.__version__}"
    assert described(card, folder) == {
        "dtype": "float32",
        "converter": version,
        "family": "marian",
        "beams": "4",
        "length_penalty": "1.0",
    }
    found = described(ModelCard(source=str(folder), device="cpu", dtype="int8"), folder)
    assert (found["dtype"], found["converter"], "beams" in found) == ("int8", version, False)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param('{"model_type": "nllb-moe"}', "CTranslate2 has no conversion for nllb-moe", id="architecture"),
        pytest.param("[]", "CTranslate2 has no conversion for a model without model_type", id="not an object"),
    ],
)
def test_a_model_that_cannot_be_converted_is_refused_before_it_is_loaded(
    config: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(Unconvertible, match=f"model m cannot run on the translate engine: {message}"):
        load_engine("m", ModelCard(device="cpu"), lambda: tmp_path, "r", tmp_path, slots=4)


def test_an_unknown_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="the translate engine does not know the option beam; it knows"):
        load_engine("m", ModelCard(options={"beam": 4}), lambda: tmp_path, "r", tmp_path, slots=4)


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() == 0, reason="this machine has no CUDA device")
@pytest.mark.parametrize("dtype", ["float32", "auto", "int8"])
def test_a_gpu_writes_what_the_cpu_does(dtype: str, folder_of: Callable[[str], Path], cache_dir: Path) -> None:
    folder = folder_of("nllb")
    card = ModelCard.model_validate({"source": str(folder), "device": "cuda", "dtype": dtype})
    engine = load_engine("small", card, lambda: folder, "gpu", cache_dir, slots=8)
    requests = [*mixed_requests(8), request_of("s", temperature=1.0, logprobs=2)]
    done = completions(engine, requests)
    assert all(one.fault is None for one in done.values())
    if dtype == "float32":
        cpu = completions(engine_of(folder, cache_dir), requests)
        assert {name: one.text for name, one in done.items()} == {name: one.text for name, one in cpu.items()}
    engine.close()
