"""A tiny random model with a tokenizer of words, on disk as transformers saves them."""

import os
import tempfile
from pathlib import Path

import pytest

WORDS = [f"{first}{second}" for first in "bdklmnprst" for second in ("a", "e", "i", "o", "u")]
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ raise_exception('no answers here') }}{% endif %}"
    "<s> {{ message['content'] }} {% endfor %}{% if add_generation_prompt %}<s>{% endif %}"
)
CONTEXT = 96


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of 2 layers. Its tokenizer knows `beyond`, a token that the network does not have."""
    torch = pytest.importorskip("torch", reason="the extra `workers` is not installed")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    vocabulary = {word: place for place, word in enumerate(["<pad>", "<s>", "</s>", *WORDS, "beyond"])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>", chat_template=TEMPLATE
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary) - 1,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        initializer_range=0.4,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    folder = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def real_cache() -> Path:
    """Where the converted weights of the real small model are kept from one test run to the next."""
    return Path(tempfile.gettempdir()) / f"nightpress-tests-{os.getuid()}"
