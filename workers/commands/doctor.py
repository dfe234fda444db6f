"""The doctor's checks of what workers need: the packages, Ray, a GPU, and the weights of each model.

The checks import torch, which takes seconds, since only torch can say whether it sees a GPU. They join the Ray cluster that
`work` would join, if there is one, and start none. They load no weights.
"""

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable, UnavailableError
from jobs.operations.doctor import Check
from jobs.settings import Settings
from workers.commands.packages import INSTALL, missing_packages
from workers.engines.adapter_files import locate as locate_adapter
from workers.engines.choice import choose
from workers.engines.registry import identity
from workers.engines.remote.loading import model_of
from workers.engines.vllm.environment import found
from workers.engines.weights import folder_of, locate
from workers.fleet.cluster import chosen_address, connect, leave, nodes_of
from workers.fleet.handles import Capacity
from workers.fleet.nodes.shortage import places, shortage


def checks(settings: Settings) -> Iterator[Check]:
    """Yield the checks of the things that workers need on this machine.

    If one of their packages is not installed, yield one check only, which notes that this machine can only submit.
    """
    if missing := missing_packages():
        yield Check(
            "workers", False, f"{', '.join(missing)} not installed: this machine submits only", INSTALL, needed=False
        )
        return
    yield from _ray(settings)
    yield _device()
    for name in ("cache_dir", "spool_dir"):
        yield from _folder(name, getattr(settings, name))
    for alias, card in sorted(settings.catalog.items()):
        yield _model(alias, card, settings.cache_dir, needed=alias == settings.model)
        yield from _adapters(alias, card)


def _ray(settings: Settings) -> Iterator[Check]:
    """Yield a check of the Ray that `work` would join, and if that is a cluster, one of each model's places there."""
    try:
        installed = version("ray")
    except PackageNotFoundError:
        yield Check("ray", False, "its package is damaged", INSTALL)
        return
    try:
        address = chosen_address(settings.ray_address)
        if address is None:
            yield Check("ray", True, f"{installed}; `work` starts a local one, which asks for a token")
            return
        joined = connect(address)
        capacity, draining = joined.capacity(), len(joined.draining())
        joined.close()
        leave()
    except UnavailableError as error:
        fault, _, remedy = str(error).partition(". ")
        yield Check("ray", False, f"{installed}: {fault}", remedy)
        return
    sizes = ", ".join(f"{capacity.total(kind):g} {kind}" for kind in ("CPU", "GPU"))
    drains = f", and {draining} that drain" if draining else ""
    yield Check("ray", True, f"{installed}, joined {address}: {len(capacity.nodes)} nodes, {sizes}{drains}")
    yield from places_of_models(settings, capacity)


def places_of_models(settings: Settings, capacity: Capacity) -> Iterator[Check]:
    """Yield for each model where its workers may run on a cluster, or what the cluster lacks for them.

    A lack is only a note where the cluster may grow: the nodes that are wanted may not have been added yet.
    """
    nodes, may_grow = nodes_of(capacity), capacity.grown.get("GPU", 0.0) > 0
    for alias, card in sorted(settings.catalog.items()):
        if found := places(card, nodes, may_grow=may_grow):
            yield Check(f"places of {alias}", True, found)
        else:
            fault, remedy = shortage(card, nodes, may_grow=may_grow)
            needed = alias == settings.model and not capacity.grown
            yield Check(f"places of {alias}", False, fault, remedy, needed=needed)


def _folder(name: str, folder: Path) -> Iterator[Check]:
    """Yield a check only if a folder of the settings cannot be made or written."""
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        fault = (
            "" if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else f"{there} is no folder that we may write"
        )
    except OSError as error:
        fault = f"{folder}: {error.strerror}"
    if fault:
        yield Check(name, False, fault, f"set {name} to a folder that can be written")


def _device() -> Check:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Check("gpu", True, f"{names}, torch {torch.__version__}")
    remedy = "with an NVIDIA GPU, install its driver and a CUDA build of torch; without one, models run on the CPU"
    return Check("gpu", False, f"torch {torch.__version__} sees none", remedy, needed=False)


def _adapters(alias: str, card: ModelCard) -> Iterator[Check]:
    """Yield a check of the files of a model's adapters, if it has any. Only rows that name an adapter need it."""
    if not card.adapters or not card.has_files:
        return
    faults = []
    for name, adapter in sorted(card.adapters.items()):
        try:
            locate_adapter(name, adapter)
        except ModelUnavailable as error:
            faults.append(str(error))
    if faults:
        fault, _, remedy = faults[0].partition(": ")
        more = f" ({len(faults)} of {len(card.adapters)} adapters)" if len(faults) > 1 else ""
        yield Check(f"adapters of {alias}", False, f"{fault}{more}", remedy, needed=False)
    else:
        yield Check(f"adapters of {alias}", True, f"found: {len(card.adapters)}")


def _model(alias: str, card: ModelCard, cache_dir: Path, *, needed: bool) -> Check:
    name = f"model {alias}"
    if not card.has_files:
        try:
            where = f"at {model_of(alias, card).url}; engine remote" if card.engine == "remote" else "needs no files"
        except ModelUnavailable as error:
            fault, _, remedy = str(error).partition(": ")
            return Check(name, False, fault, remedy, needed=needed)
        return Check(name, True, where)
    try:
        where = locate(alias, card, cache_dir)
    except ModelUnavailable as error:
        fault, _, remedy = str(error).partition(": ")
        return Check(name, False, fault, remedy, needed=needed)
    try:
        choice = choose(card, folder_of(alias, card), found(cache_dir))
        identity(alias, card, choice.engine)  # raises if the device or the number format is missing
    except ModelUnavailable as error:  # another node of the cluster may have the device
        fault, _, remedy = str(error).partition(": ")
        return Check(name, False, fault, remedy, needed=False)
    why = f"; engine {choice.engine}: {choice.reason}" if card.engine == "auto" else f"; engine {choice.engine}"
    return Check(name, True, f"found: {where}{why}")
