"""The options of a model on the engine `vllm`: `options` in `[models.<alias>]`."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

OURS: Final = frozenset(
    {
        "async_scheduling",
        "distributed_executor_backend",
        "dtype",
        "generation_config",
        "logprobs_mode",
        "max_num_seqs",
        "model",
        "scheduler_cls",
        "scheduling_policy",
        "structured_outputs_config",
        "tensor_parallel_size",
        "tokenizer",
        "trust_remote_code",
    }
)
"""Arguments of vLLM that follow from the card, or that our promises rest on: `engine_args` may not set them."""


class VllmOptions(BaseModel):
    """The options of a model on vLLM."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(
        default=1, ge=1, description="Threads of torch on a CPU. To use more cores, rather start more workers."
    )
    cores: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="CPU cores, one for each worker: its engine's thread is pinned to it."
    )
    step_tokens: int | None = Field(
        default=None,
        ge=1,
        description="The most tokens that a step computes. None: vLLM decides; on a CPU at least a whole context.",
    )
    cache_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Memory for the KV cache, in bytes. None: what a GPU has left; on a CPU half the free memory, at most 4 GiB.",
    )
    context: int | None = Field(
        default=None,
        ge=1,
        description="The most tokens of a prompt and its completion. None: the model's own, or as many as the cache holds.",
    )
    block_size: int | None = Field(
        default=None, ge=1, description="Tokens in a block of the KV cache. CPUs: 32 or a multiple."
    )
    prefix_sharing: bool = Field(default=True, description="Whether a common prefix of prompts is computed once.")
    graphs: bool | None = Field(
        default=None, description="Whether the model is compiled and recorded. None: on GPUs, where it pays at once."
    )
    quantization: str | None = Field(
        default=None, description="How vLLM quantises the weights at load, such as fp8. None: as the files say."
    )
    kv_cache_dtype: str | None = Field(
        default=None, description="The type of the KV cache, such as fp8. None: the model's."
    )
    eos: tuple[Annotated[int, Field(ge=0)] | str, ...] = Field(
        default=(), description="Further tokens that end a completion, by id or text, such as `<|im_end|>`."
    )
    pipeline_parallel: int = Field(default=1, description="Only 1: a model is never spread over nodes.")
    engine_args: Mapping[str, Any] = Field(
        default={}, description="Further arguments of vLLM's engine by name, such as max_num_batched_tokens."
    )

    @field_validator("pipeline_parallel")
    @classmethod
    def _one_node(cls, stages: int) -> int:
        if stages != 1:
            raise ValueError(
                "a model is not spread over several nodes: give it more GPUs of one node by num_gpus, or a smaller number format"
            )
        return stages

    @field_validator("engine_args")
    @classmethod
    def _not_ours(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        if wrong := sorted(OURS & given.keys()):
            raise ValueError(f"{', '.join(wrong)} cannot be set here: the card or the engine sets it")
        return given
