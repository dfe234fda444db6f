"""Shows workers/engines/encoder/: in float32 it finds what transformers find by hand, for each text alone, in any batch."""

import functools
import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")

import torch
import transformers

from jobs.catalog import ModelCard
from jobs.errors import CODES, ModelUnavailable
from jobs.generation import Completion, Encodable, GenerationRequest, Message, Prompt
from tests.support.models import small_encoders
from tests.support.models.small_encoders import CLASSES, LONGEST
from workers.engines.protocol import Engine
from workers.engines.registry import identity, load

Make = Callable[..., Path]

TEXTS = small_encoders.texts(23)
CLOSE = 1e-5


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes a model once: `made(family, head, **config)`."""
    folders: dict[str, Path] = {}

    def make(family: str, head: str, **config: Any) -> Path:
        key = f"{family}{head}{config}"
        if key not in folders:
            folders[key] = small_encoders.make(family, head, tmp_path_factory.mktemp("encoder"), **config)
        return folders[key]

    return make


def engine_of(folder: Path, cache: Path, **card: Any) -> Engine:
    loaded = load("tiny", ModelCard(source=str(folder), dtype="float32", device="cpu", **card), cache)
    assert loaded.name == "encoder"
    return loaded.engine


def asked(engine: Engine, requests: Sequence[Encodable | Prompt]) -> list[Completion]:
    """Return the completions of requests that are submitted together, in their order."""
    for n, one in enumerate(requests):
        prompt = one if isinstance(one, Prompt) else Prompt(text=one.text, encodable=one)
        engine.submit(GenerationRequest(str(n), prompt))
    done: dict[str, Completion] = {}
    while len(done) < len(requests):
        done.update({one.request_id: one for one in engine.step()})
    return [done[str(n)] for n in range(len(requests))]


def numbers(completion: Completion) -> list[float]:
    assert completion.fault is None
    assert completion.encoding is not None
    return [number for (number,) in struct.iter_unpack("<f", completion.encoding.vector)]


@functools.cache
def network_of(folder: Path, auto: str) -> tuple[Any, Any]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return getattr(transformers, auto).from_pretrained(folder, dtype=torch.float32).eval(), tokenizer


def by_hand(folder: Path, auto: str, text: str) -> Any:
    """Return what a network of transformers gives for one text alone."""
    network, tokenizer = network_of(folder, auto)
    with torch.inference_mode():
        return network(**tokenizer(text, return_tensors="pt"))


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_classes_are_those_of_transformers(family: str, made: Make, tmp_path: Path) -> None:
    folder = made(family, "ForSequenceClassification")
    done = asked(engine_of(folder, tmp_path), [Encodable(text, "classes") for text in TEXTS])
    for text, one in zip(TEXTS, done, strict=True):
        wanted = by_hand(folder, "AutoModelForSequenceClassification", text).logits[0].log_softmax(-1).tolist()
        assert one.encoding is not None
        assert [name for name, _ in one.encoding.classes] == list(CLASSES)
        assert [logprob for _, logprob in one.encoding.classes] == pytest.approx(wanted, rel=CLOSE, abs=CLOSE)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "last"])
def test_vectors_are_those_of_transformers(family: str, pooling: Any, made: Make, tmp_path: Path) -> None:
    """So are those of a model with a head that fills gaps, whose vectors are those before the head."""
    for head in ("Model", "ForMaskedLM"):
        folder = made(family, head)
        done = asked(engine_of(folder, tmp_path), [Encodable(text, "vector", pooling=pooling) for text in TEXTS])
        for text, one in zip(TEXTS, done, strict=True):
            hidden = by_hand(folder, "AutoModel", text).last_hidden_state[0]
            wanted = {"mean": hidden.mean(0), "cls": hidden[0], "max": hidden.amax(0), "last": hidden[-1]}[pooling]
            assert numbers(one) == pytest.approx(wanted.tolist(), abs=CLOSE)


@pytest.mark.parametrize(("family", "mask"), [("bert", "[MASK]"), ("roberta", "<mask>"), ("distilbert", "[MASK]")])
def test_fills_are_those_of_transformers(family: str, mask: str, made: Make, tmp_path: Path) -> None:
    """A gap has the same mark for any model, and may have another. A text may have several."""
    folder = made(family, "ForMaskedLM")
    words = [text.split() for text in TEXTS]
    gapped = [
        " ".join([*one[: len(one) // 2], "[MASK]", *one[len(one) // 2 :], *["[MASK]"] * (n % 3)])
        for n, one in enumerate(words)
    ]
    requests = [Encodable(text, "fills", mark="[MASK]", top=1 + n % 4) for n, text in enumerate(gapped)]
    requests.append(Encodable(gapped[0].replace("[MASK]", "___"), "fills", mark="___", top=1))
    done = asked(engine_of(folder, tmp_path), requests)
    network, tokenizer = network_of(folder, "AutoModelForMaskedLM")
    for request, text, one in zip(requests, [*gapped, gapped[0]], done, strict=True):
        read = tokenizer(text.replace("[MASK]", mask), return_tensors="pt")
        with torch.inference_mode():
            scores = network(**read).logits[0][read.input_ids[0] == tokenizer.mask_token_id].log_softmax(-1)
        assert one.encoding is not None
        assert len(one.encoding.fills) == text.count("[MASK]")
        for gap, row in zip(one.encoding.fills, scores, strict=True):
            best = row.topk(request.top)
            assert [fill.token_id for fill in gap] == best.indices.tolist()
            assert [fill.logprob for fill in gap] == pytest.approx(best.values.tolist(), rel=1e-4, abs=1e-4)
            assert [fill.token for fill in gap] == [tokenizer.decode([token]).strip() for token in best.indices]


@pytest.mark.parametrize("batch_tokens", [1, 70, 10_000])
def test_a_text_does_not_depend_on_its_company(batch_tokens: int, made: Make, tmp_path: Path) -> None:
    folder = made("roberta", "ForMaskedLM")
    requests = [Encodable(text, "vector") for text in TEXTS]
    together = asked(engine_of(folder, tmp_path, slots=9, options={"batch_tokens": batch_tokens}), requests)
    for request, one in zip(requests, together, strict=True):
        (alone,) = asked(engine_of(folder, tmp_path), [request])
        assert numbers(one) == pytest.approx(numbers(alone), abs=CLOSE)


def test_requests_of_all_sorts_share_an_engine_and_its_time(made: Make, tmp_path: Path) -> None:
    """Prompt tokens are those that the model read, nothing is written, and the time shares add up to the last nanosecond."""
    folder = made("bert", "ForMaskedLM")
    engine = engine_of(folder, tmp_path)
    requests = [
        Encodable(f"{text} [MASK]", "fills", mark="[MASK]", top=2) if n % 2 else Encodable(text, "vector")
        for n, text in enumerate(TEXTS)
    ]
    done = asked(engine, [*requests, Encodable("", "nothing")])
    stats, (_, tokenizer) = engine.stats(), network_of(folder, "AutoModel")
    assert sum(one.device_ns for one in done) == stats.busy_ns > 0
    assert [one.prompt_tokens for one in done] == [*(len(tokenizer(one.text).input_ids) for one in requests), 0]
    assert stats.prompt_tokens == sum(one.prompt_tokens for one in done)
    assert stats.completion_tokens == 0
    assert {(one.text, one.completion_tokens, one.finish_reason) for one in done} == {("", 0, "stop")}
    assert all((one.prompt_sha256 or "") > "" for one in done[:-1])
    assert done[-1].device_ns == 0


def test_dimensions_cut_a_vector_and_make_its_length_one(made: Make, tmp_path: Path) -> None:
    engine = engine_of(made("bert", "Model"), tmp_path)
    text = TEXTS[3]
    whole, cut, long, bare, beyond = asked(
        engine,
        [
            Encodable(text, "vector"),
            Encodable(text, "vector", dimensions=8),
            Encodable(text, "vector", normalize=True),
            Encodable(text, "vector", dimensions=8, normalize=False),
            Encodable(text, "vector", dimensions=33),
        ],
    )
    raw = numbers(whole)
    assert numbers(bare) == raw[:8]
    assert numbers(cut) == pytest.approx([one / math.hypot(*raw[:8]) for one in raw[:8]], abs=1e-6)
    assert math.hypot(*numbers(long)) == pytest.approx(1.0, abs=1e-6)
    assert beyond.fault is not None
    assert (beyond.fault.code, "32" in beyond.fault.message) == ("out_of_range", True)


@pytest.mark.parametrize(
    ("pooling", "normalize", "prefix"),
    [("mean_tokens", True, ""), ("cls_token", False, "query: "), ("max_tokens", True, "query: ")],
)
def test_the_files_of_sentence_transformers_count(pooling: str, normalize: bool, prefix: str, tmp_path: Path) -> None:
    """Pooling, length, prompt and longest text are those of the files, unless the card or the row says otherwise."""
    prompts = {"prompts": {"query": prefix}, "default_prompt_name": "query"} if prefix else {}
    folder = small_encoders.make_sentence_folder(
        tmp_path / "model",
        pooling=pooling,
        normalize=normalize,
        config_sentence_transformers=prompts,
        sentence_bert_config={"max_seq_length": 40, "do_lower_case": False},
    )
    engine = engine_of(folder, tmp_path)
    text = TEXTS[2]
    found, own, long = asked(
        engine,
        [
            Encodable(text, "vector"),
            Encodable(text, "vector", prefix="so ", normalize=False),
            Encodable("the " * 39, "vector"),
        ],
    )
    assert long.fault is not None
    assert (long.fault.code, "the 40 that" in long.fault.message) == ("prompt_too_long", True)
    for one, said, length in ((found, prefix + text, normalize), (own, "so " + text, False)):
        hidden = by_hand(folder, "AutoModel", said).last_hidden_state[0]
        wanted = {"mean_tokens": hidden.mean(0), "cls_token": hidden[0], "max_tokens": hidden.amax(0)}[pooling]
        wanted = wanted / wanted.norm() if length else wanted
        assert numbers(one) == pytest.approx(wanted.tolist(), abs=CLOSE)
    card = ModelCard(source=str(folder), dtype="float32", device="cpu", options={"pooling": "last", "normalize": False})
    assert identity("m", card) | {"model_revision": ""} == {
        "model_revision": "",
        "dtype": "float32",
        "task": "vectors",
        "pooling": "last",
        "normalize": "false",
    }


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_long_text_fails_alone_or_is_cut(family: str, made: Make, tmp_path: Path) -> None:
    engine = engine_of(made(family, "Model"), tmp_path)
    long = "water " * (LONGEST + 9)
    failed, cut, just = asked(
        engine,
        [Encodable(long, "vector"), Encodable(long, "vector", truncate=True), Encodable("water " * 20, "vector")],
    )
    assert failed.fault is not None
    assert (failed.fault.code, failed.fault.retryable) == ("prompt_too_long", False)
    assert (cut.fault, cut.prompt_tokens, just.fault) == (None, LONGEST, None)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_special_tokens_in_a_text_are_characters(family: str, made: Make, tmp_path: Path) -> None:
    engine = engine_of(made(family, "ForMaskedLM"), tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(made(family, "ForMaskedLM"))
    for special in (tokenizer.sep_token, tokenizer.mask_token, tokenizer.cls_token):
        plain, holding, gapped = asked(
            engine,
            [
                Encodable("so good", "vector"),
                Encodable(f"so {special} good", "vector"),
                Encodable(f"so {special} ___", "fills", mark="___", top=1),
            ],
        )
        assert holding.fault is None
        assert holding.prompt_tokens > plain.prompt_tokens + 2
        assert gapped.fault is not None
        assert gapped.fault.code == "forged_turn"


@pytest.mark.parametrize(
    ("head", "prompt", "code"),
    [
        pytest.param("ForMaskedLM", Prompt(text="Hi"), "unsupported_kind", id="a text to write"),
        pytest.param("ForMaskedLM", Prompt(messages=(Message("user", "Hi"),)), "unsupported_kind", id="a chat"),
        pytest.param("ForMaskedLM", Encodable("good", "classes"), "unsupported_kind", id="no classifier"),
        pytest.param("Model", Encodable("so [MASK]", "fills", mark="[MASK]", top=1), "unsupported_kind", id="no head"),
        pytest.param("ForSequenceClassification", Encodable("good", "vector"), "unsupported_kind", id="a classifier"),
        pytest.param(
            "ForSequenceClassification",
            Encodable("a", "classes", classes=("sad", "neutral")),
            "out_of_range",
            id="class",
        ),
        pytest.param("Model", Encodable(" \n", "vector"), "empty_prompt", id="blank"),
        pytest.param(
            "Model", Prompt(text="a", encodable=Encodable("a", "vector"), adapter="x"), "unknown_adapter", id="adapter"
        ),
    ],
)
def test_what_a_model_cannot_do_fails_alone(head: str, prompt: Any, code: str, made: Make, tmp_path: Path) -> None:
    engine = engine_of(made("bert", head), tmp_path)
    fine = Encodable("so good", "classes" if head == "ForSequenceClassification" else "vector")
    before, bad, after = asked(engine, [fine, prompt, fine])
    assert (before.fault, after.fault) == (None, None)
    assert bad.fault is not None
    assert (bad.fault.code, bad.fault.retryable, code in CODES) == (code, False, True)
    if code == "out_of_range":
        assert "no class 'sad': take labels of its own (NEGATIVE, neutral, POSITIVE)" in bad.fault.message


def test_classes_are_named_in_any_case_and_order(made: Make, tmp_path: Path) -> None:
    engine = engine_of(made("bert", "ForSequenceClassification"), tmp_path)
    all_of_it, some = asked(
        engine, [Encodable("so good", "classes"), Encodable("so good", "classes", classes=("positive", "Negative"))]
    )
    assert all_of_it.encoding is not None
    assert some.encoding is not None
    whole = dict(all_of_it.encoding.classes)
    assert [name for name, _ in some.encoding.classes] == ["POSITIVE", "NEGATIVE"]
    assert dict(some.encoding.classes) == pytest.approx({one: whole[one] for one in ("POSITIVE", "NEGATIVE")})


def test_a_classifier_of_several_labels_at_once(made: Make, tmp_path: Path) -> None:
    folder = made("bert", "ForSequenceClassification", problem_type="multi_label_classification")
    (done,) = asked(engine_of(folder, tmp_path), [Encodable("so good", "classes")])
    wanted = by_hand(folder, "AutoModelForSequenceClassification", "so good").logits[0].sigmoid().log().tolist()
    assert done.encoding is not None
    assert [logprob for _, logprob in done.encoding.classes] == pytest.approx(wanted, rel=CLOSE, abs=CLOSE)


def test_models_that_are_refused(made: Make, tmp_path: Path) -> None:
    """A number is no class, weights must not be missing, and a module that is not known would make other vectors."""
    number = made("bert", "ForSequenceClassification", id2label={0: "score"}, label2id={"score": 0})
    dense = small_encoders.make_sentence_folder(tmp_path / "dense")
    modules = (dense / "modules.json").read_text()
    (dense / "modules.json").write_text(modules.replace("models.Normalize", "models.Dense"))
    other = small_encoders.make_sentence_folder(tmp_path / "other", pooling="weightedmean_tokens")
    for folder, options, reason in (
        (number, {}, "a number and no classes"),
        (dense, {}, "the module Dense of sentence-transformers is not known here"),
        (other, {}, "the pooling pooling_mode_weightedmean_tokens is not known here"),
        (made("bert", "Model"), {"task": "classes"}, "classifier.bias"),
        (made("bert", "Model"), {"threds": 1}, "does not know the option threds"),
    ):
        with pytest.raises(ModelUnavailable, match=reason):
            engine_of(folder, tmp_path, options=options)
