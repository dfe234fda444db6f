"""The options of a remote model: `options` in `[models.<alias>]`."""

import os
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.errors import ModelUnavailable

Dialect = Literal["openai", "vllm"]
"""The parameters that a server takes: those of OpenAI, or also those that vLLM, SGLang and llama.cpp have in addition."""


class RemoteOptions(BaseModel):
    """The options of a remote model. Times are in seconds.

    `model` is the name of the model at the server; empty means the alias. `key_variable` is the environment variable that holds
    the server's key, wherever workers run. A request ends after `request_s`, and is sent again until `patience_s`
    have passed since it was first sent. `requests_per_minute` is the server's limit, if it has one. `seeds` is whether the server
    promises the same text for the same seed; receipts say so. With `thinks`, a model's thoughts get as many tokens as the card's
    `reasoning_max_tokens` says. `limit_name` is the parameter that limits the tokens of an answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = ""
    key_variable: str = Field(default="", pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")
    dialect: Dialect = "openai"
    request_s: float = Field(default=120.0, gt=0.0, le=3_600.0)
    patience_s: float = Field(default=600.0, ge=0.0, le=86_400.0)
    requests_per_minute: float | None = Field(default=None, gt=0.0)
    seeds: bool = False
    thinks: bool = False
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"

    def key(self, alias: str) -> str | None:
        """Return the server's key; None if it needs none. Raises ModelUnavailable if its variable is not set."""
        if not self.key_variable:
            return None
        key = os.environ.get(self.key_variable, "").strip()
        if not key:
            raise ModelUnavailable(
                f"model {alias}: the variable {self.key_variable} is not set on this machine, and the server's key belongs there"
            )
        if not key.isascii() or not key.isprintable():
            raise ModelUnavailable(
                f"model {alias}: the variable {self.key_variable} holds no key: it has signs that no header may have"
            )
        return key
