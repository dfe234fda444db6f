"""Shows workers/engines/families/codec.py: what each family reads for a text and two languages, and what its tokens become."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.generation import Fault, GenerationRequest, Prompt, SamplingParams, Translatable
from tests.support.models import small_translators
from workers.engines.families.codec import Codec
from workers.engines.families.family import TranslationInput
from workers.engines.families.loading import load_codec

pytest.importorskip("torch", reason="the extra `workers` is not installed")

CONTROL_TEXTS = [
    *("</s>", "<s>", "<pad>", "<unk>", "<mask>", "<extra_id_0>", "fr_XX", "fra_Latn", "__fr__", ">>fra<<", "<2fr>"),
    *("de_DE", "deu_Latn", "__de__", ">>deu<<", "<2de>", ">>never<<", "</s></s>"),
]


@pytest.fixture(scope="module")
def codecs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Codec]:
    """Name of a small model -> its codec."""
    return {
        name: load_codec(small_translators.make(name, tmp_path_factory.mktemp(name)))
        for name in small_translators.MODELS
    }


def request_of(text: str, source: str = "en", target: str = "fr", **prompt: Any) -> GenerationRequest:
    return GenerationRequest("r", Prompt(text="x", translatable=Translatable(text, source, target), **prompt))


def read(codec: Codec, text: str, **asked: Any) -> TranslationInput:
    found = codec.encode(request_of(text, **asked))
    assert isinstance(found, TranslationInput), found
    return found


@pytest.mark.parametrize("name", small_translators.MODELS)
def test_a_model_reads_what_transformers_gives_it(name: str, codecs: dict[str, Codec]) -> None:
    """Tokens, start and forced token are those with which transformers translates."""
    codec, text = codecs[name], small_translators.text_of(9, seed=3)
    tokenizer = codec.tokenizer
    forced: tuple[int, ...]
    if name == "marian_many":
        wanted, start, forced = tokenizer(f">>fra<< {text}")["input_ids"], tokenizer.pad_token_id, ()
    elif name in ("madlad", "umt5"):
        wanted, start, forced = tokenizer(f"<2fr> {text}")["input_ids"], 0, ()
    elif name in ("t5", "mt5"):
        wanted, start, forced = tokenizer(f"translate English to French: {text}")["input_ids"], 0, ()
    elif name == "marian":
        wanted, start, forced = tokenizer(text)["input_ids"], tokenizer.pad_token_id, ()
    else:
        codes = {"m2m100": ("en", "fr"), "nllb": ("eng_Latn", "fra_Latn"), "nllb_legacy": ("eng_Latn", "fra_Latn")}
        source, target = codes.get(name, ("en_XX", "fr_XX"))
        tokenizer.src_lang = source
        wanted = tokenizer(text)["input_ids"]
        token = tokenizer.get_lang_id(target) if name == "m2m100" else tokenizer.convert_tokens_to_ids(target)
        start, forced = (token, ()) if name == "mbart" else (tokenizer.eos_token_id, (token,))
    found = read(codec, text)
    assert (found.tokens, found.start, found.forced) == (wanted, start, forced)
    assert codec.pieces(found.forced) == tokenizer.convert_ids_to_tokens(list(forced))


@pytest.mark.parametrize("name", small_translators.MODELS)
@pytest.mark.parametrize("text", CONTROL_TEXTS)
def test_content_holds_no_control_token(name: str, text: str, codecs: dict[str, Codec]) -> None:
    """However a control text stands in a text, the model reads its characters, and no control token but those around the text."""
    codec = codecs[name]
    plain = read(codec, "press save")
    controls = [token for token in plain.tokens if token in codec.content.control]
    for content in (text, f"{text} press", f"press {text}", f"press {text} save", f"a{text}b", f"{text} {text}"):
        found = codec.encode(request_of(content))
        if isinstance(found, Fault):
            assert found.code == "forged_turn"
            continue
        assert [token for token in found.tokens if token in codec.content.control] == controls
        prefix = "translate English to French: " if name in ("t5", "mt5") else ""
        assert codec.decode(found.tokens) == prefix + content


@pytest.mark.parametrize("name", small_translators.MODELS)
@settings(max_examples=60)
@given(
    content=st.text(max_size=40) | st.lists(st.sampled_from([*CONTROL_TEXTS, " ", "a", "\n", "\u00a0"])).map("".join)
)
def test_any_text_is_read_or_refused(name: str, codecs: dict[str, Codec], content: str) -> None:
    codec = codecs[name]
    controls = [token for token in read(codec, "press save").tokens if token in codec.content.control]
    found = codec.encode(request_of(content))
    if isinstance(found, Fault):
        assert found.code in ("empty_prompt", "forged_turn", "prompt_too_long")
    else:
        assert [token for token in found.tokens if token in codec.content.control] == controls


@pytest.mark.parametrize("name", small_translators.MODELS)
def test_what_a_model_writes_becomes_text(name: str, codecs: dict[str, Codec]) -> None:
    """Forced tokens, the end token and language tokens in a translation have no text."""
    codec, text = codecs[name], small_translators.text_of(6, seed=5)
    found = read(codec, text)
    words = codec.content.encode(text)
    assert codec.decode([*found.forced, *words, codec.eos, codec.pad]) == text
    assert codec.decode([*list(codec.framing.language_tokens.values())[:1], *words]) == text
    assert codec.decode([]) == ""


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        pytest.param("marian", "en", "de", id="the other target of a pair"),
        pytest.param("marian", "de", "fr", id="the other source of a pair"),
        pytest.param("marian_many", "en", "pl", id="no such target"),
        pytest.param("m2m100", "en", "tlh", id="m2m100"),
        pytest.param("nllb", "tlh", "fr", id="source"),
        pytest.param("mbart", "en", "pt", id="only in mbart50"),
        pytest.param("madlad", "en", "tlh", id="madlad"),
    ],
)
def test_a_language_that_the_model_lacks_is_named(
    name: str, source: str, target: str, codecs: dict[str, Codec]
) -> None:
    found = codecs[name].encode(request_of("press save", source, target))
    assert isinstance(found, Fault)
    unknown = target if source in ("en", "fr") else source
    assert (found.code, found.retryable, unknown in found.message) == ("unsupported_language", False, True)


def test_regions_and_scripts_have_a_code_too(codecs: dict[str, Codec]) -> None:
    assert codecs["mbart50"].pieces(read(codecs["mbart50"], "press", target="pt-BR").forced) == ["pt_XX"]
    assert codecs["nllb"].pieces(read(codecs["nllb"], "press", source="en-GB").tokens)[0] == "eng_Latn"


def test_a_card_may_name_codes_and_a_prefix(tmp_path: Path) -> None:
    folder = small_translators.make("mbart50", tmp_path / "mbart50")
    codec = load_codec(folder, languages={"tlh": "ja_XX"})
    assert codec.pieces(read(codec, "press", target="tlh").forced) == ["ja_XX"]
    t5 = load_codec(small_translators.make("t5", tmp_path / "t5"), prefix="{target}: ")
    assert t5.decode(read(t5, "press", target="de").tokens) == "German: press"
    plain = load_codec(tmp_path / "t5")
    assert plain.decode(read(plain, "press", target="de").tokens) == "translate English to German: press"


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        pytest.param(Prompt(text="x"), "unsupported_kind", id="nothing to translate"),
        pytest.param(Prompt(text="x", translatable=Translatable(" \n", "en", "fr")), "empty_prompt", id="blank"),
        pytest.param(Prompt(text="x", translatable=Translatable("", "en", "fr")), "empty_prompt", id="empty"),
        pytest.param(
            Prompt(text="x", translatable=Translatable("press", "en", "fr"), adapter="brand"),
            "unknown_adapter",
            id="adapter",
        ),
        pytest.param(
            Prompt(text="x", translatable=Translatable("press", "en", "fr"), continuations=("a",)),
            "unsupported_kind",
            id="scores",
        ),
        pytest.param(
            Prompt(
                text="x",
                translatable=Translatable("press", "en", "fr"),
                params=SamplingParams(stop_token_ids=(99_999,)),
            ),
            "token_out_of_range",
            id="stop token",
        ),
        pytest.param(
            Prompt(text="x", translatable=Translatable("press " * 500, "en", "fr")), "prompt_too_long", id="too long"
        ),
    ],
)
@pytest.mark.parametrize("name", ["marian", "nllb"])
def test_what_cannot_run_is_a_fault(name: str, prompt: Prompt, code: str, codecs: dict[str, Codec]) -> None:
    found = codecs[name].encode(GenerationRequest("r", prompt))
    assert isinstance(found, Fault)
    assert (found.code, found.retryable) == (code, False)


def test_max_tokens_is_at_most_what_the_model_writes(codecs: dict[str, Codec]) -> None:
    asked = SamplingParams(max_tokens=5_000, min_tokens=1_000)
    for name, most in (("marian", small_translators.CONTEXT), ("nllb", small_translators.CONTEXT - 1), ("t5", 5_000)):
        params = read(codecs[name], "press", params=asked).request.prompt.params
        assert params == replace(asked, max_tokens=most, min_tokens=min(1_000, most))


def test_the_hash_tells_what_was_read(codecs: dict[str, Codec]) -> None:
    codec = codecs["nllb"]
    assert read(codec, "press").prompt_sha256 == read(codec, "press").prompt_sha256
    assert len({read(codec, "press", target=tag).prompt_sha256 for tag in ("fr", "de", "pt")}) == 3
