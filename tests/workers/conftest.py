"""Fixtures for tests of engines and their weights: tiny random models on disk, and a model hub with two repositories."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WORDS = [f"{first}{second}" for first in "bdklmnprst" for second in ("a", "e", "i", "o", "u")]
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ raise_exception('no answers here') }}{% endif %}"
    "<s> {{ message['content'] }} {% endfor %}{% if add_generation_prompt %}<s>{% endif %}"
)
CONTEXT = 96


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama of 2 layers. Its tokenizer has a token, `beyond`, that the network does not have."""
    return _tiny_llama(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_model_of_vllm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with another such model, whose heads are as wide as vLLM's kernels for CPUs need them."""
    return _tiny_llama(tmp_path_factory.mktemp("tiny-vllm"), head_dim=32)


def _tiny_llama(folder: Path, **config: int) -> Path:
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
    network = LlamaForCausalLM(
        LlamaConfig(
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
            **config,
        )
    )
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Marian of 2 layers that translates from English into French. Its tokens are the words of `WORDS`."""
    pytest.importorskip("torch", reason="the extra `workers` is not installed")
    from tests.support.models import small_translators

    return small_translators.make("words", tmp_path_factory.mktemp("translator"))


@pytest.fixture
def tiny_gguf(tmp_path: Path) -> Path:
    """A GGUF file with a random Llama of one layer, and a tokenizer of letters and one merge."""
    pytest.importorskip("transformers", reason="the extra `workers` is not installed")
    gguf, numpy = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    path = tmp_path / "gguf" / "tiny.gguf"
    path.parent.mkdir()
    letters = ["<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz", "ba"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(letters))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(letters)
    writer.add_token_types([3, 3] + [1] * (len(letters) - 2))
    writer.add_token_merges(["b a"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    sizes = {
        "token_embd": (len(letters), 32),
        "output_norm": (32,),
        **{f"blk.0.{name}": (32,) for name in ("attn_norm", "ffn_norm")},
        **{f"blk.0.attn_{name}": (32, 32) for name in ("q", "k", "v", "output")},
        **{f"blk.0.{name}": (64, 32) for name in ("ffn_gate", "ffn_up")},
        "blk.0.ffn_down": (32, 64),
    }
    chance = numpy.random.default_rng(0)
    for name, size in sizes.items():
        writer.add_tensor(f"{name}.weight", chance.standard_normal(size, dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


COMMIT = "c" * 40
REPOSITORIES = {
    "someone/small": {"config.json": b"{}", "model.safetensors": b"weights", "training.bin": b"not wanted"},
    "someone/old": {
        "config.json": b"{}",
        "pytorch_model.bin": b"weights",
        "source.spm": b"pieces",
        "vocab.json": b"{}",
        "rust_model.ot": b"not wanted",
    },
}


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as a hub with the repositories of `REPOSITORIES`."""

    def do_GET(self) -> None:
        path, name = self.path.partition("?")[0], self.path.rpartition("/")[2]
        repository = next((one for one in REPOSITORIES if f"/{one}/" in path), "")
        held = REPOSITORIES.get(repository, {})
        if path == f"/api/models/{repository}/revision/main":
            files = [{"rfilename": one} for one in held]
            self.answer(json.dumps({"id": repository, "sha": COMMIT, "siblings": files}).encode())
        elif path == f"/api/models/{repository}/tree/{COMMIT}":
            tree = [{"type": "file", "path": one, "size": len(body), "oid": one} for one, body in held.items()]
            self.answer(json.dumps(tree).encode())
        elif path.startswith(f"/{repository}/resolve/{COMMIT}/") and name in held:
            headers: dict[str, Any] = {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT}
            self.answer(held[name], **headers)
        else:
            self.answer(b"", status=404)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No hub can be reached, and the cache of earlier downloads is empty."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def hub() -> Iterator[str]:
    """The URL of a hub with the repositories of `REPOSITORIES`, on a port of its own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
