"""A request row is one accepted row: a line of `input/<lane>.jsonl` with a checksum."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from jobs.findings import CheckSetting, CheckSettings
from jobs.store.checksum import with_checksum, without_checksum


class RowRequest(NamedTuple):
    """One accepted row.

    `row` is the row's number in the batch, from 0. `line` is its line number in the user's file, from 1. `request` holds the
    validated fields of the kind. `max_tokens`, `temperature`, `top_p` and `seed` replace those of the kind, unless they are None.
    `checks` holds what the row changes of checks of content. `cost` is the expected work in tokens, estimated by the kind.
    `known` and `hints` are what the translation memory has for the row's segments (jobs/memory/row_memory.py); `known` is None if
    the memory was not asked. They are no part of the request, so they do not change the batch's id.
    `most` is how many tokens the prompts and the completions that the kind keeps have at most; it is no part of the request
    either.
    `avoid` has the beginnings of texts that a renewed row must not repeat; it comes from the marker of the round, and is never in
    the input.
    """

    row: int
    line: int
    kind: str
    model: str
    request: Mapping[str, Any]
    custom_id: str | None = None
    adapter: str | None = None
    seed: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    priority: int = 4
    tenant: str = "default"
    metadata: Mapping[str, Any] | None = None
    chat_template_kwargs: Mapping[str, Any] | None = None
    checks: Mapping[str, Any] | None = None
    cost: int = 0
    avoid: Sequence[str] | None = None
    known: Mapping[str, Mapping[str, Any]] | None = None
    hints: Mapping[str, Mapping[str, Any]] | None = None
    most: Sequence[int] | None = None

    def to_bytes(self) -> bytes:
        """Return the row as JSON. Fields that are None are left out."""
        return orjson.dumps({n: v for n, v in zip(self._fields, self, strict=True) if v is not None})

    def to_line(self) -> bytes:
        """Return the line that is stored: the JSON with its checksum and a newline."""
        return with_checksum(self.to_bytes()) + b"\n"

    @classmethod
    def from_bytes(cls, line: bytes) -> "RowRequest":
        """Read a line that `to_line` made. Raises ValueError or TypeError for any other line."""
        values = orjson.loads(without_checksum(line))
        if not isinstance(values, dict):
            raise ValueError("not an object")
        return cls(**values)

    @property
    def check_settings(self) -> CheckSettings:
        """What the row changes of checks of content."""
        return {code: CheckSetting.model_validate(changed) for code, changed in (self.checks or {}).items()}

    @property
    def overrides(self) -> Mapping[str, Any]:
        """The sampling parameters that the row sets, by name. A parameter that the kind decides is None."""
        return {"max_tokens": self.max_tokens, "temperature": self.temperature, "top_p": self.top_p}
