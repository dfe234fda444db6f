"""Shows workers/engines/seq2seq: translations equal those of `generate` for each text alone, and requests keep apart."""

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from jobs.generation import Completion, GenerationRequest, Prompt, SamplingParams, Translatable
from tests.support.models import small_translators

torch = pytest.importorskip("torch", reason="the extra `workers` is not installed")

from workers.engines.families.codec import Codec  # noqa: E402 - torch may be missing
from workers.engines.families.family import TranslationInput  # noqa: E402
from workers.engines.seq2seq import loading  # noqa: E402
from workers.engines.seq2seq.engine import Seq2SeqEngine  # noqa: E402

TARGETS = {
    "marian": ("fr",),
    "stopping": ("fr",),
    "mbart": ("fr", "de", "it"),
    "t5": ("fr", "de", "ro"),
    "mt5": ("fr", "de"),
    "umt5": ("fr", "de"),
}
GREEDY = SamplingParams(max_tokens=20, temperature=0.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name of a small model -> its folder."""
    return {
        name: small_translators.make(name, tmp_path_factory.mktemp(name), seed=n)
        for n, name in enumerate((*small_translators.MODELS, "stopping"))
    }


def engine_of(folder: Path, *, slots: int = 8, dtype: Any = "float32", **options: Any) -> Seq2SeqEngine:
    card = ModelCard(source=str(folder), dtype=dtype, device="cpu", options=options)
    return loading.load_engine("m", card, lambda: folder, slots=slots)


def network_of(engine: Seq2SeqEngine) -> Any:
    return engine._model.network


def codec_of(engine: Seq2SeqEngine) -> Codec:
    return engine._model.codec


def request_of(number: int, text: str, target: str = "fr", params: SamplingParams = GREEDY) -> GenerationRequest:
    asked = Translatable(text, "en", target)
    return GenerationRequest(f"r{number}", Prompt(text="x", params=params, translatable=asked))


def mixed(name: str, count: int, seed: int) -> list[GenerationRequest]:
    """Return requests of random lengths, languages and limits."""
    chance = random.Random(seed)
    targets = TARGETS.get(name, ("fr", "de", "pt"))
    return [
        request_of(
            n,
            small_translators.text_of(chance.randint(1, 20), seed * 100 + n),
            chance.choice(targets),
            SamplingParams(max_tokens=chance.randint(1, 25), temperature=0.0),
        )
        for n in range(count)
    ]


def completions(engine: Seq2SeqEngine, requests: Iterable[GenerationRequest]) -> dict[str, Completion]:
    """Submit a few requests between steps, so that batches mix."""
    waiting, done = list(requests), dict[str, Completion]()
    wanted = len(waiting)
    while len(done) < wanted:
        for one in waiting[:5]:
            engine.submit(one)
        waiting = waiting[5:]
        done |= {one.request_id: one for one in engine.step()}
    return done


def generated(engine: Seq2SeqEngine, request: GenerationRequest, beams: int, length_penalty: float = 1.0) -> list[int]:
    """Return the tokens that `generate` of transformers writes for one text alone, the forced ones and the start left out."""
    return all_generated(engine, request, beams, length_penalty, each=1)[0]


def all_generated(
    engine: Seq2SeqEngine, request: GenerationRequest, beams: int, length_penalty: float = 1.0, *, each: int
) -> list[list[int]]:
    """Return the same for the best `each` translations, best first."""
    from transformers import GenerationConfig

    codec = codec_of(engine)
    read = codec.encode(request)
    assert isinstance(read, TranslationInput)
    never = engine._model.never
    found = network_of(engine).generate(
        input_ids=torch.tensor([read.tokens]),
        attention_mask=torch.ones(1, len(read.tokens), dtype=torch.long),
        generation_config=GenerationConfig(
            do_sample=False,
            num_beams=beams,
            num_return_sequences=each,
            length_penalty=length_penalty,
            max_length=1 + len(read.forced) + read.request.prompt.params.max_tokens,
            decoder_start_token_id=read.start,
            forced_bos_token_id=read.forced[0] if read.forced else None,
            bad_words_ids=[[token] for token in never] or None,
            eos_token_id=codec.eos,
            pad_token_id=codec.pad,
        ),
    )
    return [[int(token) for token in row[1 + len(read.forced) :]] for row in found]


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("name", small_translators.MODELS)
def test_translations_equal_those_of_generate(name: str, beams: int, folders: dict[str, Path]) -> None:
    engine = engine_of(folders[name], slots=6, beams=beams)
    requests = mixed(name, 24, seed=beams)
    done = completions(engine, requests)
    for request in requests:
        found, tokens = done[request.request_id], generated(engine, request, beams)
        assert (found.fault, found.text) == (None, codec_of(engine).decode(tokens)), request
        assert found.completion_tokens == len(tokens)
        assert found.finish_reason == ("stop" if tokens[-1] == codec_of(engine).eos else "length")
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns
    assert len({one.text for one in done.values()}) > 3


def test_the_length_penalty_is_the_cards(folders: dict[str, Path]) -> None:
    requests = mixed("madlad", 12, seed=7)
    texts = []
    for penalty in (-3.0, 3.0):
        engine = engine_of(folders["madlad"], beams=3, length_penalty=penalty)
        done = completions(engine, requests)
        for request in requests:
            tokens = generated(engine, request, 3, penalty)
            assert done[request.request_id].text == codec_of(engine).decode(tokens)
        texts.append([done[one.request_id].text for one in requests])
    assert texts[0] != texts[1]


@pytest.mark.parametrize("name", ["stopping", "nllb"])
def test_alternatives_are_the_next_best_translations_of_generate(name: str, folders: dict[str, Path]) -> None:
    engine, wanted = engine_of(folders[name], beams=4), (0, 1, 3, 9)
    asked = [with_alternatives(one, wanted[n % 4]) for n, one in enumerate(mixed(name, 16, seed=7))]
    done, codec = completions(engine, asked), codec_of(engine)
    for n, request in enumerate(asked):
        best, *others = all_generated(engine, request, 4, each=4)
        texts = [codec.decode(tokens) for tokens in others if codec.eos in tokens]
        different = [text for text in dict.fromkeys(texts) if text != codec.decode(best)]
        assert done[request.request_id].text == codec.decode(best)
        assert list(done[request.request_id].alternatives) == different[: wanted[n % 4]], request
        counted = best.index(codec.eos) + 1 if codec.eos in best else len(best)
        assert done[request.request_id].completion_tokens == counted, "alternatives are not counted"
    if name == "stopping":  # the other model writes to the limit, so none of its translations is whole
        assert any(one.alternatives for one in done.values())


def test_a_greedy_search_and_one_with_stop_texts_have_no_alternatives(folders: dict[str, Path]) -> None:
    requests = [with_alternatives(one, 3) for one in mixed("stopping", 6, seed=7)]
    greedy = completions(engine_of(folders["stopping"]), requests)
    stopped = [
        replace(one, prompt=replace(one.prompt, params=replace(one.prompt.params, stop=("\u2603",))))
        for one in requests
    ]
    searched = completions(engine_of(folders["stopping"], beams=4), stopped)
    assert not any(one.alternatives for one in (*greedy.values(), *searched.values()))


def with_alternatives(request: GenerationRequest, count: int) -> GenerationRequest:
    asked = request.prompt.translatable
    assert asked is not None
    return replace(request, prompt=replace(request.prompt, translatable=replace(asked, alternatives=count)))


def test_a_request_that_samples_is_not_searched_with_beams(folders: dict[str, Path]) -> None:
    """Beams are for requests without a choice by chance. A seed gives the same text beside any other requests."""
    engine = engine_of(folders["nllb"], beams=4)
    warm = [request_of(n, "press save", params=replace(GREEDY, temperature=1.0, seed=n)) for n in range(4)]
    beams = [request_of(n + 10, "press save") for n in range(2)]
    done = completions(engine, [warm[0], beams[0], *warm[1:], beams[1]])
    assert done["r10"].text == done["r11"].text == codec_of(engine).decode(generated(engine, beams[0], 4))
    assert len({done[f"r{n}"].text for n in range(4)}) == 4
    alone = {one.request_id: completions(engine_of(folders["nllb"]), [one])[one.request_id].text for one in warm}
    assert {name: done[name].text for name in alone} == alone


@pytest.mark.parametrize("beams", [1, 3])
def test_a_request_that_is_cancelled_while_it_runs_ends_and_the_others_go_on(
    beams: int, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(folders["mbart50"], beams=beams)
    network, forward = network_of(engine), network_of(engine).forward
    calls = iter(range(1_000))

    def cancelling(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == 3:
            engine.cancel("r1")
        return forward(*args, **kwargs)

    requests = [request_of(n, small_translators.text_of(6, n), params=replace(GREEDY, min_tokens=15)) for n in range(3)]
    whole = completions(engine_of(folders["mbart50"], beams=beams), requests)
    monkeypatch.setattr(network, "forward", cancelling)
    done = completions(engine, requests)
    assert done["r1"].finish_reason == "cancelled"
    assert 0 < done["r1"].completion_tokens < 15
    assert [done[name].text for name in ("r0", "r2")] == [whole[name].text for name in ("r0", "r2")]
    assert completions(engine, [requests[1]])["r1"].text == whole["r1"].text


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        pytest.param(RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory", False, id="memory"),
        pytest.param(ValueError("broken"), "generation_failed", True, id="any error"),
    ],
)
def test_a_request_that_breaks_a_batch_fails_alone(
    error: Exception, code: str, retryable: bool, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The halves of a batch run again, until the request that causes the failure is alone."""
    engine = engine_of(folders["m2m100"])
    requests = [request_of(n, small_translators.text_of(5 + n, n)) for n in range(5)]
    whole = completions(engine_of(folders["m2m100"]), requests)
    guilty = codec_of(engine).encode(requests[3])
    assert isinstance(guilty, TranslationInput)
    generate = network_of(engine).generate

    def failing(*, input_ids: Any, **kwargs: Any) -> Any:
        size = len(guilty.tokens)
        if input_ids.shape[1] >= size and guilty.tokens in input_ids[:, :size].tolist():
            raise error
        return generate(input_ids=input_ids, **kwargs)

    monkeypatch.setattr(network_of(engine), "generate", failing)
    done = completions(engine, requests)
    assert done["r3"].fault is not None
    assert (done["r3"].fault.code, done["r3"].fault.retryable) == (code, retryable)
    others = [f"r{n}" for n in (0, 1, 2, 4)]
    assert [done[name].text for name in others] == [whole[name].text for name in others]
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


def test_beams_obey_stop_texts_and_min_tokens(folders: dict[str, Path]) -> None:
    engine = engine_of(folders["t5"], beams=3)
    whole = completions(engine, [request_of(0, "press save")])["r0"].text
    stop = whole[len(whole) // 2 :][:2]
    cut = completions(engine, [request_of(1, "press save", params=replace(GREEDY, stop=(stop,)))])["r1"]
    assert (cut.text, cut.finish_reason) == (whole[: whole.index(stop)], "stop")
    done = completions(engine, [request_of(n, "x", params=replace(GREEDY, min_tokens=20, seed=n)) for n in range(3)])
    assert {one.completion_tokens for one in done.values()} == {20}


@pytest.mark.parametrize("name", ["marian", "nllb", "t5"])
def test_a_model_runs_in_16_bits(name: str, folders: dict[str, Path]) -> None:
    done = completions(engine_of(folders[name], dtype="bfloat16", beams=2), mixed(name, 6, seed=3))
    assert {one.fault for one in done.values()} == {None}


def test_float16_is_not_for_t5(folders: dict[str, Path]) -> None:
    with pytest.raises(ModelUnavailable, match="set the model's dtype to auto, bfloat16 or float32"):
        engine_of(folders["t5"], dtype="float16")


def test_what_a_receipt_says(folders: dict[str, Path]) -> None:
    def described(name: str, **options: Any) -> dict[str, str]:
        card = ModelCard(source=str(folders[name]), dtype="float32", device="cpu", options=options)
        return loading.described(card, folders[name])

    assert described("nllb") == {"family": "nllb", "dtype": "float32"}
    assert described("t5", beams=4) == {"family": "t5", "dtype": "float32", "beams": "4", "length_penalty": "1.0"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"beam": 4}, "the seq2seq engine does not know the option beam; it knows threads, cores, beams", id="name"
        ),
        pytest.param({"beams": 0}, "the seq2seq engine's option beams is wrong", id="value"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, int], message: str, folders: dict[str, Path]) -> None:
    with pytest.raises(ModelUnavailable, match=message):
        engine_of(folders["marian"], **options)


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = small_translators.make("marian", tmp_path)
    weights: dict[str, Any] = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "decoder.layers.1" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="its files lack weights, which would be random"):
        engine_of(folder)


def test_a_large_model_on_a_cpu_gets_small_batches(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is one step, which must not take minutes."""
    assert engine_of(folders["marian"])._batch_tokens == loading.CPU_BATCH_TOKENS
    assert engine_of(folders["marian"], batch_tokens=77)._batch_tokens == 77
    monkeypatch.setattr(loading, "SMALL_MODEL", 1)
    assert engine_of(folders["marian"])._batch_tokens == loading.LEAST_BATCH_TOKENS
