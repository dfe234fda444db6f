"""Words for the gaps of a text, by a model that was trained to fill gaps (BERT, RoBERTa and others)."""

import math
from collections.abc import Generator, Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jobs.checks.contract import Contract
from jobs.errors import CheckFailed
from jobs.generation import Completion, Encodable, Prompt
from jobs.writing.fields import Line, Text
from jobs.writing.templates import Templates

BYTES_A_TOKEN: Final = 4
DIGITS: Final = 6
"""Probabilities are rounded to this many decimal places."""


class FillMaskRequest(BaseModel):
    """A text with gaps."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    uses_chat_template: ClassVar[bool] = False
    takes_encoder: ClassVar[bool] = True
    needs_encoder: ClassVar[bool] = True

    text: Text = Field(max_length=100_000, description="The text, with the mark in each of its gaps, at most 100.")
    mark: Line = Field(default="[MASK]", max_length=100, description="The text that stands for a gap, for any model.")
    top_k: int = Field(default=5, ge=1, le=100, description="How many tokens to give for each gap.")

    @model_validator(mode="after")
    def _has_gaps(self) -> Self:
        if not 1 <= self.text.count(self.mark) <= 100:
            raise ValueError(f"the text needs the mark {self.mark} 1 to 100 times")
        return self


class Fill(BaseModel):
    """A token for a gap."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str = Field(description="The token as text, without the space before it.")
    token_id: int = Field(description="Its number in the model's vocabulary.")
    probability: float = Field(ge=0, le=1, description="Its probability, beside all tokens of the model.")


class Fills(BaseModel):
    """The likeliest tokens for each gap."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(description="The text with the likeliest token in each gap.")
    fills: tuple[tuple[Fill, ...], ...] = Field(description="For each gap, its likeliest tokens, likeliest first.")


class FillMaskKind:
    """The kind `fill_mask`."""

    name = "fill_mask"
    request_type = FillMaskRequest
    output_type = Fills
    contract = Contract(writes=False)
    example: Mapping[str, Any] = {"text": "Tomatoes need [MASK] because they grow fast.", "top_k": 3}

    def __init__(self, templates: Templates) -> None:
        del templates  # a model that fills gaps reads the text alone

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], Fills]:
        """Ask for the likeliest tokens of all gaps at once. Raises CheckFailed if an engine gives none."""
        if not isinstance(request, FillMaskRequest):
            raise TypeError(type(request))
        asked = Encodable(request.text, "fills", mark=request.mark, top=request.top_k)
        (answer,) = yield [Prompt(text=request.text, encodable=asked)]
        found = answer.encoding.fills if answer.encoding else ()
        parts = request.text.split(request.mark)
        if len(found) != len(parts) - 1:
            raise CheckFailed("unsupported_kind", "the engine fills no gaps: take a model that was trained to")
        fills = tuple(
            tuple(
                Fill(token=one.token, token_id=one.token_id, probability=round(math.exp(one.logprob), DIGITS))
                for one in gap
            )
            for gap in found
        )
        best = [gap[0].token for gap in fills]
        text = "".join(part for pair in zip(parts, [*best, ""], strict=True) for part in pair)
        return Fills(text=text, fills=fills)

    def expected_tokens(self, request: BaseModel) -> int:
        """Return about how many tokens the model reads. It writes none."""
        text = request.text if isinstance(request, FillMaskRequest) else ""
        return max(1, len(text.encode()) // BYTES_A_TOKEN)
