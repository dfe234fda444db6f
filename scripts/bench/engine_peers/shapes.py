"""Makes models with random weights in the shapes of known models and with the small model's tokenizer. Keeps them on disk."""

from pathlib import Path
from typing import Any, Final

SHAPES: Final[dict[str, dict[str, Any]]] = {
    "billion": {
        "vocab_size": 49152,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": True,
    },
    "8-billion": {
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
    },
}
"""The name of each model, and its Llama config.

The models have 1.1 and 8.0 billion parameters, and take 2.1 GB and 16 GB on disk in bfloat16.
"""


def random_model(name: str, small: Path, cache: Path, device: str) -> Path:
    """Return the folder of the model `name` of SHAPES, with random weights. The first call makes the model on `device`.

    The tokenizer is copied from `small`, the folder of the small model.
    """
    folder = cache / name
    if not (folder / ".ready").exists():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

        tokenizer = AutoTokenizer.from_pretrained(small)
        ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
        torch.manual_seed(0)
        with torch.device(device):
            network = AutoModelForCausalLM.from_config(LlamaConfig(**SHAPES[name], **ends), dtype=torch.bfloat16)
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / ".ready").touch()
    return folder
