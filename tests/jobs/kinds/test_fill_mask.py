"""Shows jobs/kinds/fill_mask.py: gaps of a text, and the tokens that fill them."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.errors import CheckFailed
from jobs.generation import Completion, Encodable, Encoding, Prompt, TokenLogprob
from jobs.kinds.fill_mask import FillMaskKind, FillMaskRequest, Fills
from jobs.writing.templates import Templates

KIND = FillMaskKind(Templates())
GAPS = (
    (TokenLogprob(7, "Tea", math.log(0.75)), TokenLogprob(9, "Milk", math.log(0.125))),
    (TokenLogprob(4, "hot", math.log(0.5)),),
)


def filled(request: Mapping[str, Any], fills: tuple[tuple[TokenLogprob, ...], ...]) -> tuple[Fills, Prompt]:
    conversation = KIND.compose(FillMaskRequest.model_validate(request))
    (prompt,) = next(conversation)
    with pytest.raises(StopIteration) as stop:
        conversation.send([Completion("r", "", "stop", encoding=Encoding(fills=fills))])
    return stop.value.value, prompt


def test_each_gap_has_its_likeliest_tokens() -> None:
    output, prompt = filled({"text": "[MASK] is [MASK].", "top_k": 2}, GAPS)
    assert output.text == "Tea is hot."
    assert output.model_dump(mode="json")["fills"] == [
        [
            {"token": "Tea", "token_id": 7, "probability": 0.75},
            {"token": "Milk", "token_id": 9, "probability": 0.125},
        ],
        [{"token": "hot", "token_id": 4, "probability": 0.5}],
    ]
    assert prompt.encodable == Encodable("[MASK] is [MASK].", "fills", mark="[MASK]", top=2)


def test_a_row_may_have_a_mark_of_its_own() -> None:
    output, _ = filled({"text": "___ is [MASK]", "mark": "___"}, GAPS[:1])
    assert output.text == "Tea is [MASK]"


def test_an_engine_that_fills_no_gaps_fails_the_row() -> None:
    with pytest.raises(CheckFailed) as raised:
        filled({"text": "[MASK]"}, ())
    assert raised.value.code == "unsupported_kind"


@pytest.mark.parametrize(
    "request_",
    [{"text": "no gap"}, {"text": "[MASK] " * 101}, {"text": "[MASK]", "top_k": 0}, {"text": "[MASK]", "mark": "___"}],
)
def test_requests_that_are_refused(request_: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FillMaskRequest.model_validate(request_)
