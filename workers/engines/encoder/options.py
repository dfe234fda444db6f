"""The options of the engine `encoder`: `options` in `[models.<alias>]`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from jobs.generation import Pooling
from workers.engines.encoder.detection import Task


class EncoderOptions(BaseModel):
    """The options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(default=1, ge=1, description="Threads on a CPU. To use more cores, rather start more workers.")
    cores: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="CPU cores, one for each worker: its engine's thread is pinned to it."
    )
    batch_tokens: int | None = Field(
        default=None,
        ge=1,
        description="The most tokens of a batch, each text as long as the longest. None: what suits the device.",
    )
    task: Task | None = Field(
        default=None, description="What the model is loaded for: classes, fills or vectors. None: as its files say."
    )
    pooling: Pooling | None = Field(
        default=None, description="How the vectors of tokens become one. None: as the files say, else the mean."
    )
    normalize: bool | None = Field(
        default=None, description="Whether vectors get the length 1. None: as the files say, else no."
    )
