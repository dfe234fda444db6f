"""Small random models of many architectures: they differ in positions, KV heads, norms, windows and softcaps."""

from collections.abc import Callable
from typing import Any, Final

VOCABULARY: Final = 60
CONTEXT: Final = 160
GROUPED: Final = {"num_attention_heads": 4, "num_key_value_heads": 2}
PLAIN: Final = {"num_attention_heads": 4}
SIZES: Final = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.4,
}
GEMMA: Final = {**SIZES, **GROUPED, "head_dim": 8, "initializer_range": 0.2, "query_pre_attn_scalar": 8}

ARCHITECTURES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "llama": ("Llama", {**SIZES, **GROUPED}),
    "mistral": ("Mistral", {**SIZES, **GROUPED, "sliding_window": 12}),
    "qwen2": ("Qwen2", {**SIZES, **GROUPED}),
    "qwen3": ("Qwen3", {**SIZES, **GROUPED, "head_dim": 8}),
    "gemma2": ("Gemma2", {**GEMMA, "sliding_window": 12, "attn_logit_softcapping": 5.0}),
    "gemma3": ("Gemma3", {**GEMMA, "sliding_window": 12, "layer_types": ["sliding_attention", "full_attention"]}),
    "phi": ("Phi", {**SIZES, **PLAIN}),
    "phi3": ("Phi3", {**SIZES, **GROUPED}),
    "gpt2": ("GPT2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT, "initializer_range": 0.4}),
    "gpt_neox": ("GPTNeoX", {**SIZES, **PLAIN}),
    "opt": (
        "OPT",
        {
            "hidden_size": 32,
            "word_embed_proj_dim": 32,
            "ffn_dim": 48,
            "num_hidden_layers": 2,
            "max_position_embeddings": CONTEXT,
            "init_std": 0.4,
            **PLAIN,
        },
    ),
    "stablelm": ("StableLm", {**SIZES, **GROUPED}),
    "olmo2": ("Olmo2", {**SIZES, **GROUPED}),
    "cohere": ("Cohere", {**SIZES, **GROUPED, "logit_scale": 1.0}),
    "granite": ("Granite", {**SIZES, **GROUPED}),
    "starcoder2": ("Starcoder2", {**SIZES, **GROUPED}),
}
"""Name -> the prefix of the class in transformers, and the config. All these models can run in slots."""

PADDED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "falcon": ("Falcon", {"hidden_size": 32, "num_hidden_layers": 2, "initializer_range": 0.4, "alibi": True, **PLAIN}),
    "bloom": ("Bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.4}),
    "mamba": ("Mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
    "rwkv": ("Rwkv", {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32, "intermediate_size": 48}),
    "gpt_oss": (
        "GptOss",
        {**SIZES, **GROUPED, "head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 12},
    ),
}
"""Name -> the prefix of the class, and the config. These models cannot run in slots: their positions or their cache are of
another kind.
"""


def make(name: str, seed: int = 0) -> Any:
    """Return a float32 network with random weights that follow from the seed. Needs torch and transformers."""
    import torch
    import transformers

    prefix, sizes = {**ARCHITECTURES, **PADDED}[name]
    config_class: Callable[..., Any] = getattr(transformers, f"{prefix}{'Text' if name == 'gemma3' else ''}Config")
    config = config_class(vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=2, pad_token_id=0, **sizes)
    torch.manual_seed(seed)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


class Numbers:
    """A tokenizer that writes each token as its number."""

    chat_template = None
    eos_token_id = 2
    pad_token_id = 0

    def __call__(self, text: str, **_options: object) -> dict[str, list[int]]:
        """Return the tokens of a text."""
        return {"input_ids": [int(token) for token in text.split()]}

    def decode(self, tokens: list[int], **_options: object) -> str:
        """Return the text of tokens."""
        return " ".join(map(str, tokens))
