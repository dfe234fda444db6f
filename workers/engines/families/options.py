"""The options that every engine of models made for translation has: `options` in `[models.<alias>]`."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class TranslationOptions(BaseModel):
    """The options. An engine may add its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(default=1, ge=1, description="Threads on a CPU. To use more cores, rather start more workers.")
    cores: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="CPU cores, one for each worker: its engine's thread is pinned to it."
    )
    beams: int = Field(
        default=1, ge=1, le=32, description="Beams of the search; 1 takes the likeliest token each time."
    )
    length_penalty: float = Field(
        default=1.0,
        ge=-10.0,
        le=10.0,
        description="With beams: above 1 favours longer translations, below 1 shorter ones.",
    )
    batch_tokens: int | None = Field(
        default=None,
        ge=1,
        description="The most tokens of a batch: its texts, each as long as the longest, times the beams. None: what suits the "
        "device and the size of the model.",
    )
    languages: Mapping[str, str] = Field(
        default={}, description="BCP 47 tag -> the model's own code, for languages that are not found by their tags."
    )
    prefix: str | None = Field(
        default=None, max_length=1_000, description="Text before every text, for T5; may hold {source} and {target}."
    )
