"""Small random models of the families made for translation, with tokenizers that SentencePiece trains here.

The networks have random weights, so their texts mean nothing. Their tokenizers are those of the real models, made smaller: they
have the same classes, special tokens, tokens for languages and rules.
"""

import functools
import json
import random
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

_SENTENCES: Final = """water the tomatoes early in morning press save to keep your changes file was not found open settings and
choose a language please enter valid address new password must be different from old one last night rain fell over quiet garden"""
WORDS: Final = tuple(_SENTENCES.split())

PAIR: Final = ("en", "fr")
"""The languages of a test that needs only one pair; every small model knows them."""

CONTEXT: Final = 128
"""The most tokens that a small model reads or writes."""

_SIZES: Final = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": CONTEXT,
    "init_std": 0.5,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
_T5_SIZES: Final = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.0}


def text_of(count: int, seed: int) -> str:
    """Return a text of `count` words, chosen by `seed`."""
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def make(name: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a small random model, one of `MODELS`, `words` or `stopping`, with its tokenizer to `folder`. Returns the folder."""
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    maker = _words if name in ("words", "stopping") else MODELS[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
        network, tokenizer = maker(folder)
    _liven(network, scale=0.3 if maker is _words else 1.0)
    if name == "stopping":
        network.final_logits_bias[0, network.config.eos_token_id] += 7.0
    network.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _liven(network: Any, *, scale: float) -> None:
    """Make the texts of a random network differ: larger weights, and norms that do not keep the last token likely.

    With a smaller `scale`, no token is much likelier than the others.
    """
    import torch

    with torch.no_grad():
        for name, weights in network.named_parameters():
            if weights.dim() > 1:
                is_embedding = "shared" in name or "embed" in name
                weights.normal_(0.0, scale if is_embedding else 2.0 / weights.shape[1] ** 0.5)
            elif "norm" in name and name.endswith("weight"):
                weights.normal_(0.0, 1.0)
        end = network.config.eos_token_id
        network.get_input_embeddings().weight[end] *= 1.6


def _words(folder: Path) -> tuple[Any, Any]:
    """Return a Marian whose tokens are the words of `tests.workers.conftest`, and its tokenizer."""
    from tests.workers.conftest import WORDS as ONLY_WORDS

    network, tokenizer = _marian(folder, model=_trained_words(tuple(ONLY_WORDS)))
    network.generation_config.update(bad_words_ids=[[tokenizer.pad_token_id], [tokenizer.unk_token_id]])
    return network, tokenizer


@functools.cache
def _trained_words(words: tuple[str, ...]) -> bytes:
    """Return a model of SentencePiece whose pieces are whole words."""
    import sentencepiece

    with tempfile.TemporaryDirectory() as scratch:
        prefix = str(Path(scratch, "words"))
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([" ".join(words)] * 3),
            model_prefix=prefix,
            vocab_size=len(words) + 3,
            model_type="word",
            character_coverage=1.0,
            minloglevel=2,
        )
        return Path(f"{prefix}.model").read_bytes()


@functools.cache
def _trained(kind: str, t5: bool = False) -> bytes:
    """Return a model of SentencePiece, trained on the words. With `t5`, its control tokens have the places of T5's."""
    import sentencepiece

    chance = random.Random(1)
    lines = [" ".join(chance.choices(WORDS, k=12)) for _ in range(400)]
    lines += [
        " ".join(chr(n) for n in range(33, 127)),
        "é ü ñ ç 中 文 \u3042 \u0416 \u0431",
        "{0} %s </s> <b> 12,5 __en__",
    ] * 3
    ids: Any = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1} if t5 else {}
    with tempfile.TemporaryDirectory() as scratch:
        prefix = str(Path(scratch, kind))
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_prefix=prefix,
            vocab_size=300,
            model_type=kind,
            character_coverage=1.0,
            minloglevel=2,
            hard_vocab_limit=False,
            **ids,
        )
        return Path(f"{prefix}.model").read_bytes()


def _pieces(model: bytes) -> list[str]:
    import sentencepiece

    loaded = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [loaded.id_to_piece(n) for n in range(loaded.get_piece_size())][3:]


def _vocabulary(path: Path, pieces: list[str]) -> Path:
    path.write_text(json.dumps({piece: n for n, piece in enumerate(pieces)}))
    return path


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _marian(
    folder: Path, codes: tuple[str, ...] = (), pair: tuple[str, str] = ("en", "fr"), model: bytes | None = None
) -> tuple[Any, Any]:
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    model = model or _trained("unigram")
    vocabulary = ["</s>", "<unk>", *_pieces(model), *(f">>{code}<<" for code in codes), "<pad>"]
    tokenizer = MarianTokenizer(
        source_spm=str(_written(folder / "source.spm", model)),
        target_spm=str(_written(folder / "target.spm", model)),
        vocab=str(_vocabulary(folder / "vocab.json", vocabulary)),
        source_lang=pair[0],
        target_lang=pair[1],
        model_max_length=CONTEXT,
    )
    pad = len(vocabulary) - 1
    config = MarianConfig(
        vocab_size=len(vocabulary),
        decoder_start_token_id=pad,
        pad_token_id=pad,
        eos_token_id=0,
        bos_token_id=0,
        **_SIZES,
    )
    network = MarianMTModel(config)
    network.generation_config.update(bad_words_ids=[[pad]], forced_eos_token_id=0, num_beams=4, max_length=CONTEXT)
    return network, tokenizer


def _m2m100_network(size: int) -> Any:
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    return M2M100ForConditionalGeneration(
        M2M100Config(
            vocab_size=size, decoder_start_token_id=2, bos_token_id=0, pad_token_id=1, eos_token_id=2, **_SIZES
        )
    )


def _m2m100(folder: Path) -> tuple[Any, Any]:
    from transformers import M2M100Tokenizer

    model = _trained("unigram")
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *_pieces(model)]
    tokenizer = M2M100Tokenizer(
        vocab_file=str(_vocabulary(folder / "vocab.json", vocabulary)),
        spm_file=str(_written(folder / "sentencepiece.bpe.model", model)),
    )
    return _m2m100_network(max(tokenizer.lang_token_to_id.values()) + 1), tokenizer


def _nllb(folder: Path, *, legacy: bool = False) -> tuple[Any, Any]:
    from transformers import NllbTokenizer
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "NllbTokenizer",
                "extra_special_tokens": FAIRSEQ_LANGUAGE_CODES,
                "legacy_behaviour": legacy,
                "model_max_length": CONTEXT,
            }
        )
    )
    _written(folder / "sentencepiece.bpe.model", _trained("bpe"))
    tokenizer = NllbTokenizer.from_pretrained(folder)
    return _m2m100_network(len(tokenizer)), tokenizer


def _mbart(folder: Path, name: str = "MBart") -> tuple[Any, Any]:
    import transformers

    _written(folder / "sentencepiece.bpe.model", _trained("unigram"))
    kind: Any = getattr(transformers, f"{name}Tokenizer")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": f"{name}Tokenizer"}))
    tokenizer = kind.from_pretrained(folder)
    start = tokenizer.eos_token_id if name == "MBart50" else tokenizer.convert_tokens_to_ids("fr_XX")
    config = transformers.MBartConfig(
        vocab_size=len(tokenizer),
        decoder_start_token_id=start,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        forced_eos_token_id=2,
        **_SIZES,
    )
    return transformers.MBartForConditionalGeneration(config), tokenizer


def _t5(folder: Path, codes: tuple[str, ...] = (), name: str = "T5") -> tuple[Any, Any]:
    import transformers

    _written(folder / "spiece.model", _trained("unigram", t5=True))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 4}))
    tokenizer = transformers.T5Tokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<2{code}>" for code in codes])
    prefix = "translate English to French: "
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(tokenizer) + 12,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
        initializer_factor=1.0,
        **({} if codes else {"task_specific_params": {"translation_en_to_fr": {"prefix": prefix}}}),
        **_T5_SIZES,
    )
    return getattr(transformers, f"{name}ForConditionalGeneration")(config), tokenizer


MODELS: Final[Mapping[str, Callable[[Path], tuple[Any, Any]]]] = {
    "marian": _marian,
    "marian_many": functools.partial(_marian, codes=("fra", "deu", "por"), pair=("en", "mul")),
    "m2m100": _m2m100,
    "nllb": _nllb,
    "nllb_legacy": functools.partial(_nllb, legacy=True),
    "mbart50": functools.partial(_mbart, name="MBart50"),
    "mbart": _mbart,
    "t5": _t5,
    "madlad": functools.partial(_t5, codes=("fr", "de", "pt")),
    "mt5": functools.partial(_t5, name="MT5"),
    "umt5": functools.partial(_t5, codes=("fr", "de"), name="UMT5"),
}
"""Name -> what writes a model's tokenizer into a folder, and returns network and tokenizer."""

FAMILY_OF: Final[Mapping[str, str]] = {
    **{name: name for name in MODELS},
    "marian_many": "marian",
    "nllb_legacy": "nllb",
    "madlad": "t5",
    "mt5": "t5",
    "umt5": "t5",
}
"""Name -> the family as which the model is recognised."""
