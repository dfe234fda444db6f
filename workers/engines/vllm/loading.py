"""Loads a model into vLLM, and returns its engine. vLLM is imported only here and in `scheduler` and `sampling`, in functions.

vLLM reads some of its settings from environment variables when it is imported, so they are set before.
"""

import contextlib
import importlib.util
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import torch
from transformers import AutoConfig, AutoTokenizer, GenerationConfig
from transformers.utils.logging import disable_progress_bar

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from jobs.generation import MAX_LOGPROBS
from workers.engines.device.cache_memory import cache_bytes_available
from workers.engines.device.pinning import Core
from workers.engines.device.placement import Placement, keep_to_share, place
from workers.engines.options import parse_options
from workers.engines.text.encoding import Encoder
from workers.engines.vllm.adapters import VllmAdapters, arguments_for
from workers.engines.vllm.engine import VllmEngine, VllmModel
from workers.engines.vllm.environment import REMEDY, found
from workers.engines.vllm.options import VllmOptions
from workers.engines.vllm.version import installed, why_unfit

DEFAULT_SLOTS: Final = 64
"""The number of slots of an engine if its model card gives none."""

CPU_CACHE: Final = 4 << 30
"""On a CPU the KV cache takes at most this many bytes, if the card does not say: vLLM takes all of it at once."""

CPU_STEP: Final = 2_048
"""On a CPU a step computes at most this many tokens, or a whole context if that is more."""

CPU_BLOCK: Final = 32
"""Tokens in a block of the KV cache on a CPU, whose kernels want a multiple of 32. vLLM's own 128 shares fewer prefixes."""

GPU_MEMORY: Final = 0.9
"""vLLM takes this part of a GPU's memory, or of the worker's share of it, for weights and cache together."""

_VARIABLES: Final[Mapping[str, str]] = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine is stepped in this process
    "VLLM_CONFIGURE_LOGGING": "0",  # its records become events of ours
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the option `cores` pins
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}

_LOAD_ERRORS: Final = (
    ValueError,
    RuntimeError,
    OSError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
)
"""What vLLM raises for files that it cannot load: its errors have no common class."""


def load_engine(
    alias: str,
    card: ModelCard,
    resolve: Callable[[], Path],
    *,
    slots: int,
    cache_dir: Path,
    adapters: Mapping[str, Path | str] = MappingProxyType({}),
) -> VllmEngine:
    """Load the model in the folder that `resolve` returns, and return its engine. `cache_dir` may hold vLLM's environment.

    `adapters` has the folder of each of its adapters by name, or a clause that says why there is none.

    Raises:
        ModelUnavailable: vLLM is not here or does not fit, it cannot load the files, the device is missing, or an option is
        wrong.
    """
    began_ns = time.monotonic_ns()
    options = parse_options("vllm", VllmOptions, card.options)
    _check_vllm(alias, cache_dir)
    placement = place(card)
    if placement.device.type == "cpu":
        torch.set_num_threads(options.threads)
    share = keep_to_share(card, placement.device)
    folder = resolve()
    try:
        arguments = engine_args(card, folder, options, placement, share, slots) | arguments_for(adapters)
        llm, encoder, eos = _load(card, folder, options, arguments)
    except _LOAD_ERRORS as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelUnavailable(f"model {alias} cannot be loaded by vLLM from {folder}: {reason}") from error
    core = Core(options.cores) if options.cores and placement.device.type == "cpu" else None
    held = VllmAdapters(llm, adapters, keeps_apart=placement.device.type == "cpu")
    model = VllmModel(llm, encoder, eos, placement.device_name, held)
    return VllmEngine(model, slots=slots, core=core, began_ns=began_ns)


def _check_vllm(alias: str, cache_dir: Path) -> None:
    """Raise ModelUnavailable if this process has no vLLM, or another version, and say where one is that fits."""
    if importlib.util.find_spec("vllm") is not None:
        if reason := why_unfit(installed()):
            raise ModelUnavailable(f"model {alias}: {reason}: {REMEDY}")
        return
    environment = found(cache_dir)
    if environment is None:
        raise ModelUnavailable(
            f"model {alias}: the engine vllm runs in an environment of its own, and there is none: {REMEDY}"
        )
    if reason := environment.why_unfit():
        raise ModelUnavailable(f"model {alias}: the environment of the engine vllm does not fit: {reason}: {REMEDY}")
    here = environment.folder / "bin" / "nightpress"
    raise ModelUnavailable(
        f"model {alias}: the engine vllm runs in an environment of its own: call {here} in place of this one"
    )


def engine_args(
    card: ModelCard, folder: Path, options: VllmOptions, placement: Placement, share: int | None, slots: int
) -> dict[str, Any]:
    """Return the arguments of vLLM's engine for a model, by name.

    Our promises rest on some of them. Requests are scheduled in the order in which they come. The files' own defaults of
    sampling are dropped, since requests decide. On a CPU no prompt is read in parts: after a part, vLLM takes back a random
    number, which its generators for CPUs cannot do, and the engine would die of the first request with a seed.
    """
    on_cpu = placement.device.type == "cpu"
    arguments: dict[str, Any] = {
        "model": str(folder),
        "tokenizer": str(folder),
        "trust_remote_code": card.trust_remote_code,
        "dtype": placement.dtype_name,
        "max_num_seqs": slots,
        "max_model_len": options.context or -1,  # as much as the cache holds
        "enforce_eager": not options.graphs if options.graphs is not None else on_cpu,
        "generation_config": "vllm",
        "enable_prefix_caching": options.prefix_sharing,
        "scheduling_policy": "fcfs",
        "async_scheduling": False,  # so that a step's time is that of what it has scheduled
        "max_logprobs": MAX_LOGPROBS,
        "logprobs_mode": "raw_logprobs",
        "structured_outputs_config": {"backend": "guidance"},
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "tensor_parallel_size": max(1, int(card.gpus)),
    }
    if on_cpu:
        context = options.context or _context_of(card, folder)
        arguments |= {
            "block_size": CPU_BLOCK,
            "kv_cache_memory_bytes": min(CPU_CACHE, cache_bytes_available(placement.device, options.threads)),
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(options.step_tokens or CPU_STEP, context, slots),
        }
    else:
        part = 1.0 if share is None else share / torch.cuda.mem_get_info(placement.device)[1]
        arguments |= {"gpu_memory_utilization": GPU_MEMORY * part, "max_num_batched_tokens": options.step_tokens}
    if card.gpus > 1:
        arguments["distributed_executor_backend"] = "mp"
    given = {
        "block_size": options.block_size,
        "kv_cache_memory_bytes": options.cache_bytes,
        "quantization": options.quantization,
        "kv_cache_dtype": options.kv_cache_dtype,
    }
    return {**arguments, **{name: value for name, value in given.items() if value is not None}, **options.engine_args}


def _load(
    card: ModelCard, folder: Path, options: VllmOptions, arguments: Mapping[str, Any]
) -> tuple[Any, Encoder, tuple[int, ...]]:
    """Return vLLM's engine for these arguments, our encoder, and the tokens that end a completion."""
    disable_progress_bar()
    local_only: dict[str, Any] = {"local_files_only": True, "trust_remote_code": card.trust_remote_code}
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", **local_only)
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    with _quiet():
        from vllm.engine.arg_utils import EngineArgs
        from vllm.v1.engine.llm_engine import LLMEngine

        from workers.engines.vllm.scheduler import RecordingScheduler

        config = EngineArgs(scheduler_cls=RecordingScheduler, **arguments).create_engine_config()
        llm = LLMEngine.from_vllm_config(config, disable_log_stats=True)
        _warm_up(llm)
    encoder = Encoder(tokenizer, llm.model_config.get_vocab_size(), llm.model_config.max_model_len, card)
    named = [_end_token(one, encoder) for one in options.eos]
    eos = tuple(sorted({*_end_tokens(folder, tokenizer, llm.model_config.hf_text_config), *named}))
    return llm, encoder, eos


def _warm_up(llm: Any) -> None:
    """Let vLLM write two tokens, since it compiles parts of its sampler for the first text that needs them.

    The first rows would pay for it, seconds each.
    """
    from vllm import SamplingParams

    params = SamplingParams(
        max_tokens=2, temperature=1.0, top_p=0.9, seed=0, logprobs=1, detokenize=False, ignore_eos=True
    )
    llm.add_request("warm-up", {"type": "token", "prompt_token_ids": [0]}, params)
    while llm.has_unfinished_requests():
        llm.step()
    llm.reset_prefix_cache()
    llm.engine_core.engine_core.scheduler.take_recorded()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep vLLM's and its libraries' remarks out of the log: they speak of settings that are ours. Errors stay."""
    logging.getLogger("vllm").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _context_of(card: ModelCard, folder: Path) -> int:
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=card.trust_remote_code)
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or CPU_STEP)


def _end_tokens(folder: Path, tokenizer: Any, config: Any) -> set[int]:
    """Return the tokens that end a completion, by the files of the model."""
    try:
        ids = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
    except OSError:
        ids = None
    ids = ids if ids is not None else getattr(config, "eos_token_id", None)
    return {*(ids if isinstance(ids, list) else [ids]), tokenizer.eos_token_id} - {None}


def _end_token(named: int | str, encoder: Encoder) -> int:
    """Return the token that the option `eos` names by its id or its text. Raises ValueError if it is not exactly one token."""
    tokens = [named] if isinstance(named, int) else encoder.tokenizer(named, add_special_tokens=False)["input_ids"]
    if len(tokens) != 1 or tokens[0] >= encoder.vocabulary:
        raise ValueError(f"the option eos names {named!r}, which is not a token of the model")
    return int(tokens[0])
