"""Small tokenizers in the manner of known model families, each with a chat template of its family's form.

Each tokenizer learns its words from a few sentences, so texts have tokens of one and of several characters. Nothing is
downloaded.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

WORDS: Final = (
    "the quiet harbour brings new light to old stones and a system obeys its user while an assistant writes "
    "You obey me now. Write a text about tea for the model. Be brief and kind. [INST] [/INST] <<SYS>> system user assistant INST "
    "start end turn im role model Answer: USER: ASSISTANT: Instruction Response think call h1 header"
)
LOOP: Final = "{% for m in messages %}"
ALTERNATES: Final = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role here') }}{% endif %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must take turns') }}{% endif %}"
    "{% endfor %}"
)

CHATML: Final = (
    LOOP + "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING: Final = (
    LOOP + "{% set said = m['content'] %}{% if m['role'] == 'assistant' and '</think>' in said %}"
    "{% set said = said.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ said }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    "{% if no_thoughts %}<think>\n\n</think>\n{% endif %}"
)
LLAMA3: Final = (
    "{{ bos_token }}"
    + LOOP
    + "<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA: Final = (
    "{{ bos_token }}"
    + ALTERNATES
    + LOOP
    + "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}<end_of_turn>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL: Final = (
    "{{ bos_token }}"
    + ALTERNATES
    + LOOP
    + "{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% else %}{{ m['content'] }}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
LLAMA2: Final = (
    "{% if messages[0]['role'] == 'system' %}{% set rules = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set rules = '' %}{% endif %}"
    + ALTERNATES
    + LOOP
    + "{% if m['role'] == 'user' %}{{ bos_token }}[INST] {{ (rules if loop.first else '') + m['content'].strip() }} [/INST]"
    "{% else %} {{ m['content'].strip() }} {{ eos_token }}{% endif %}{% endfor %}"
)
ZEPHYR: Final = (
    LOOP + "<|{{ m['role'] }}|>\n{{ m['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
PHI: Final = (
    LOOP
    + "{% if m['role'] in ['system', 'user', 'assistant'] %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SILENT: Final = (
    LOOP
    + "{% if m['role'] == 'user' %}USER: {{ m['content'] }} {% elif m['role'] == 'assistant' %}ASSISTANT: {{ m['content'] }}"
    "{{ eos_token }}{% endif %}{% endfor %}ASSISTANT:"
)
FULL_WIDTH: Final = (
    "{{ bos_token }}{% for m in messages if m['role'] == 'system' %}{{ m['content'] }}{% endfor %}"
    "{% for m in messages %}{% if m['role'] == 'user' %}<\uff5cUser\uff5c>{{ m['content'] }}"
    "{% elif m['role'] == 'assistant' %}<\uff5cAssistant\uff5c>{{ m['content'] }}<\uff5cend\uff5c>{% endif %}{% endfor %}"
    "<\uff5cAssistant\uff5c>"
)

FAMILIES: Final[dict[str, tuple[str, str | None, tuple[str, ...], str, str]]] = {
    "chatml": ("bytes", CHATML, ("<|im_start|>",), "<|endoftext|>", "<|im_end|>"),
    "thinking": ("bytes", THINKING, ("<|im_start|>",), "<|endoftext|>", "<|im_end|>"),
    "llama3": (
        "bytes",
        LLAMA3,
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|begin_of_text|>",
        "<|end_of_text|>",
    ),
    "gemma": ("pieces", GEMMA, ("<start_of_turn>", "<end_of_turn>"), "<bos>", "<eos>"),
    "mistral": ("prefixed", MISTRAL, (), "<s>", "</s>"),
    "llama2": ("prefixed", LLAMA2, (), "<s>", "</s>"),
    "zephyr": ("prefixed", ZEPHYR, (), "<s>", "</s>"),
    "phi": ("pieces", PHI, ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"), "<s>", "<|endoftext|>"),
    "silent": ("prefixed", SILENT, (), "<s>", "</s>"),
    "full_width": ("bytes", FULL_WIDTH, ("<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>"), "<s>", "<\uff5cend\uff5c>"),
    "unigram": ("unigram", CHATML, ("<|im_start|>", "<|im_end|>"), "<s>", "</s>"),
    "gpt2": ("bytes", None, (), "<|endoftext|>", "<|endoftext|>"),
}
"""Name -> the kind of tokenizer, the chat template, its special tokens, and the tokens that begin and end a text."""

PLAIN_TOKENS: Final = {"thinking": ("<think>", "</think>"), "gemma": ("<h1>", "\n\n", "\n"), "llama3": ("  ",)}
"""Family -> added tokens that are not special. Those of `thinking` stand in the template; all others are ordinary text."""

MARKERS: Final = {
    "mistral": ("[INST]", "[/INST]"),
    "llama2": ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    "zephyr": ("<|user|>", "<|system|>", "<|assistant|>"),
    "silent": ("USER:", "ASSISTANT:"),
}
"""Family -> the turn markers of its template that are plain text, and not tokens."""


@cache
def tokenizer_of(name: str) -> Any:
    """Return the tokenizer of a family, with its chat template. Needs transformers."""
    from transformers import AddedToken, PreTrainedTokenizerFast

    kind, template, special, bos, eos = FAMILIES[name]
    backend = _MAKERS[kind]()
    backend.add_special_tokens(
        [
            AddedToken(text, special=True, normalized=kind == "unigram", rstrip=name == "phi")
            for text in (bos, eos, *special)
        ]
    )
    backend.add_tokens([AddedToken(text, normalized=False) for text in PLAIN_TOKENS.get(name, ())])
    if kind in {"pieces", "prefixed"} or name == "llama3":
        _put_first(backend, bos)
    unknown = {} if kind == "bytes" else {"unk_token": "<unk>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=bos, eos_token=eos, chat_template=template, **unknown
    )


def network_of(name: str) -> Any:
    """Return a small random network for the tokenizer of a family."""
    return network_for(tokenizer_of(name))


def network_for(tokenizer: Any) -> Any:
    """Return a small random network for a tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.4,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config).eval()


def control_tokens(family: str, tokens: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the parts of these tokens that make turns: the special tokens among them, and how often each turn marker occurs."""
    tokenizer = tokenizer_of(family)
    added = tokenizer.added_tokens_decoder.items()
    special = {token for token, one in added if one.special or "think" in one.content} - {tokenizer.unk_token_id}
    markers = [_marker(tokenizer, text) for text in MARKERS.get(family, ())]
    found = [sum(list(tokens[n : n + len(one)]) == one for n in range(len(tokens))) for one in markers]
    return [token for token in tokens if token in special], found


def _marker(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens that a turn marker has after another text, as in the template."""
    head, whole = (tokenizer(one, add_special_tokens=False)["input_ids"] for one in ("a\n", f"a\n{text}"))
    return list(whole[len(head) :])


def _bytes() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        [WORDS] * 3, trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    )
    return made


def _pieces(*, prefix: bool = False) -> Any:
    """Make a tokenizer like SentencePiece's BPE: it writes `▁` for a space, and bytes for characters that it does not know."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    space = normalizers.Replace(" ", "\u2581")
    normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), space]) if prefix else space
    learnt = Tokenizer(models.BPE())
    words = [f"\u2581{word}" for word in WORDS.split()] * 3
    learnt.train_from_iterator(words, trainers.BpeTrainer(vocab_size=300, show_progress=False))
    model = json.loads(learnt.to_str())["model"]
    basic = ["<unk>", *(f"<0x{n:02X}>" for n in range(256)), *(chr(n) for n in range(33, 127))]
    vocabulary = {text: n for n, text in enumerate(dict.fromkeys([*basic, *model["vocab"]]))}
    merges = [tuple(pair) for pair in model["merges"]]
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizer
    parts = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)] if prefix else parts)
    return made


def _prefixed() -> Any:
    return _pieces(prefix=True)


def _unigram() -> Any:
    """Make a tokenizer like SentencePiece's Unigram. It normalizes look-alikes, and its special tokens stand in its
    vocabulary.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    texts = [
        "<unk>",
        *(chr(n) for n in range(33, 127)),
        "\n",
        *"\u2581\u00e9\u4e2d\ue000",
        *(f"\u2581{one}" for one in WORDS.split()),
    ]
    special = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    pieces = [(text, -float(1 + len(text))) for text in dict.fromkeys(texts)]
    made = Tokenizer(models.Unigram([*pieces, *((text, 0.0) for text in special)], unk_id=0))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return made


_MAKERS: Final[dict[str, Callable[[], Any]]] = {
    "bytes": _bytes,
    "pieces": _pieces,
    "prefixed": _prefixed,
    "unigram": _unigram,
}


def _put_first(backend: Any, bos: str) -> None:
    """Have the tokenizer put its beginning token before each raw prompt."""
    from tokenizers import processors

    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, backend.token_to_id(bos))]
    )
