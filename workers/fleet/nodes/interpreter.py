"""Which Python a worker's process runs: that of its command, or that of an environment which its model's engine needs."""

from collections.abc import Mapping
from pathlib import Path

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.families.detection import is_encoder_decoder
from workers.engines.vllm.environment import Environment, found, why_not
from workers.engines.weights import folder_of


def python_for(alias: str, card: ModelCard, cache_dir: Path, needed: Mapping[str, float]) -> Path | None:
    """Return the Python that a worker of a model runs; None for that of this process.

    A model whose card names vLLM gets vLLM's environment if it is there and fits; else its worker says what is wrong when it
    loads the model. A model whose card leaves the engine open gets it on GPUs only, and if nothing here speaks against it: that
    environment has our other engines too, so the worker still decides by the files which one runs.

    `needed` is what the worker needs of its node, by Ray's names.
    """
    environment = found(cache_dir) if card.engine in ("auto", "vllm") else None
    if environment is None or environment.why_unfit() is not None:
        return None
    if card.engine == "vllm" or (needed.get("GPU") and _may_run(alias, card, environment)):
        return environment.executable
    return None


def _may_run(alias: str, card: ModelCard, environment: Environment) -> bool:
    if card.family is not None or card.gguf_file is not None:
        return False
    try:
        folder = folder_of(alias, card)
    except ModelUnavailable:  # it is not fetched yet, or only its node has it
        return not card.options
    return folder is not None and not is_encoder_decoder(folder) and why_not(card, folder, environment) is None
