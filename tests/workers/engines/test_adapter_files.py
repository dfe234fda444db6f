"""Shows workers/engines/adapter_files.py: where the files of adapters come from, and what receipts say about them."""

from pathlib import Path

import pytest

from jobs.catalog import AdapterCard, ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.adapter_files import fetch, find_all, locate, revisions


def write(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def card(**sources: str | Path) -> ModelCard:
    return ModelCard(adapters={name: AdapterCard(source=str(source)) for name, source in sources.items()})


def test_a_missing_adapter_does_not_keep_the_others_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    here = write(tmp_path / "here")
    found = find_all("m", card(here=here, gone=tmp_path / "gone", hub="nobody/nothing"), tmp_path)
    assert found == {
        "here": here,
        "gone": f"there is no folder {tmp_path / 'gone'}",
        "hub": "nobody/nothing cannot be fetched: HF_HUB_OFFLINE is set",
    }


def test_a_pull_of_a_missing_adapter_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="there is no folder"):
        fetch("m", "a", AdapterCard(source=str(tmp_path / "gone")), tmp_path)


def test_doctor_says_which_file_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = write(tmp_path / "a")
    assert locate("a", AdapterCard(source=str(folder))) == folder
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"holds no adapter_model\.safetensors: mend the source of adapter a"):
        locate("a", AdapterCard(source=str(folder)))
    with pytest.raises(
        ModelUnavailable, match=r"no files of adapter b on this machine .nobody/nothing.: mend its source"
    ):
        locate("b", AdapterCard(source="nobody/nothing"))


def test_the_revision_of_an_adapter_changes_with_its_weights(tmp_path: Path) -> None:
    one, same = write(tmp_path / "one"), write(tmp_path / "same")
    other = write(tmp_path / "other", b"others")
    found = revisions(card(one=one, same=same, other=other, gone=tmp_path / "gone"))
    assert found["one"] == found["same"] != found["other"]
    assert "gone" not in found


def test_an_adapter_of_a_server_is_known_by_its_name_there() -> None:
    remote = ModelCard(engine="remote", source="https://host/v1", adapters={"brand": AdapterCard(source="brand-7")})
    assert revisions(remote) == {"brand": "brand-7"}
