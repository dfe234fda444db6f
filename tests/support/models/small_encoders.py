"""Small random encoders, with tokenizers that are trained here: BERT with word pieces, RoBERTa with pairs of bytes, DistilBERT.

The networks have random weights, so what they say means nothing. Their tokenizers have the special tokens and rules of the real
ones.
"""

import json
from pathlib import Path
from typing import Any, Final

from tests.support.models.small_translators import text_of

CLASSES: Final = ("NEGATIVE", "neutral", "POSITIVE")
LONGEST: Final = 64
"""The most tokens that a small model reads."""

_SIZES: Final[dict[str, Any]] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "initializer_range": 0.5,
    "hidden_dropout_prob": 0.0,
}


def make(family: str, head: str, folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """Write a small random model to `folder`, and return the folder.

    `family` is bert, roberta or distilbert; `head` is Model, ForMaskedLM or ForSequenceClassification.
    """
    import torch
    import transformers
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    tokenizer = _bytes() if family == "roberta" else _pieces()
    name = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}[family]
    sizes = dict(_SIZES)
    if family == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "initializer_range": 0.5, "dropout": 0.0}
    if head == "ForSequenceClassification":
        config = {"id2label": dict(enumerate(CLASSES)), "label2id": {one: n for n, one in enumerate(CLASSES)}, **config}
    first = 2 if family == "roberta" else 0  # RoBERTa's positions begin after that of its padding
    made = getattr(transformers, f"{name}Config")(
        vocab_size=len(tokenizer),
        max_position_embeddings=LONGEST + first,
        pad_token_id=tokenizer.pad_token_id,
        **sizes,
        **config,
    )
    network = getattr(transformers, f"{name}{head}")(made).eval()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_sentence_folder(folder: Path, *, pooling: str = "mean_tokens", normalize: bool = True, **files: Any) -> Path:
    """Write a BERT with the files of sentence-transformers to `folder`. `files` holds the name of a further file -> its value."""
    make("bert", "Model", folder)
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")] + ([("Normalize", "2_Normalize")] if normalize else [])
    values = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{name}"}
        for n, (name, path) in enumerate(modules)
    ]
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps(
            {"word_embedding_dimension": 32, f"pooling_mode_{pooling}": True, "pooling_mode_other_tokens": False}
        )
    )
    for name, value in {"modules": values, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def texts(count: int, seed: int = 5) -> list[str]:
    """Return texts of 1 to 40 words."""
    return [text_of(1 + (n * 7) % 40, seed + n) for n in range(count)]


def _lines() -> list[str]:
    return [text_of(12, seed) for seed in range(200)] + ["[ MASK SEP ] < s / > mask", "so good, so bad!"]


def _pieces() -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    words.normalizer = normalizers.BertNormalizer()
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.decoder = decoders.WordPiece()
    words.train_from_iterator(_lines(), trainers.WordPieceTrainer(vocab_size=200, special_tokens=special))
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        model_max_length=LONGEST,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _bytes() -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    pairs.train_from_iterator(
        _lines(), trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=alphabet)
    )
    pairs.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    pairs.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=pairs,
        model_max_length=LONGEST,
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token=AddedToken("<mask>", lstrip=True, special=True),
    )
