"""Answers: reads the JSON of an answer, holds it to its schema, and asks again for an answer that does not keep it.

Every answer is validated, also one whose engine was constrained by the schema while it wrote: no grammar can force all keywords.
"""

import json
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from jobs.errors import CheckFailed
from jobs.generation import Completion, Message, Prompt
from jobs.writing.asking_again import TRIES, label_of_try
from jobs.writing.json_answers import json_of
from jobs.writing.structured.schemas import faults

_SHOWN_SCHEMA: Final = 4_000
"""A schema of at most this many characters is shown to the model when it is asked again."""

_WIDEST: Final = (-(1 << 63), (1 << 64) - 1)
"""The range of the integers that the JSON of an outcome can hold. Its objects and lists are nested at most 254 deep."""


def read_answer(text: str, schema: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the JSON of an answer as the model wrote it, taken out of a code fence, and its value.

    Raises:
        CheckFailed: `output_not_json` if the answer is no JSON that every reader reads alike; `schema_invalid` if it does not
            satisfy the schema.
    """
    try:
        found = json_of(text)
        value = json.loads(
            found, object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_no_number
        )
        orjson.dumps(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckFailed("output_not_json", f"the answer is not JSON: {error}") from None
    if broken := faults(schema, value):
        raise CheckFailed("schema_invalid", f"the answer does not satisfy its schema: {'; '.join(broken)}")
    return found, value


def ask(
    prompts: Sequence[Prompt], schema: Mapping[str, Any] | None
) -> Generator[Sequence[Prompt], Sequence[Completion], Sequence[Completion]]:
    """Yield the prompts, and again those whose answers do not keep the schema, `TRIES` times in all. Return the last answers.

    The next prompt says what was wrong. Without a schema, and for an answer without text, nothing is asked again.
    """
    asked, answers = list(prompts), list((yield prompts))
    for number in range(2, TRIES + 1):
        broken = {} if schema is None else _broken(answers, schema)
        if schema is None or not broken:
            break
        again = [_again(prompts[place], asked[place], fault, schema, number) for place, fault in broken.items()]
        for place, prompt, answer in zip(broken, again, (yield again), strict=True):
            asked[place], answers[place] = prompt, answer
    return answers


def _broken(answers: Sequence[Completion], schema: Mapping[str, Any]) -> dict[int, CheckFailed]:
    """Return the place of each answer that does not keep the schema -> the reason."""
    broken = {}
    for place, answer in enumerate(answers):
        if not answer.text.strip():
            continue
        try:
            read_answer(answer.text, schema)
        except CheckFailed as error:
            broken[place] = error
    return broken


def _again(first: Prompt, last: Prompt, fault: CheckFailed, schema: Mapping[str, Any], number: int) -> Prompt:
    """Return the prompt of the next try. A raw text is asked for as before; only its seed moves."""
    label = label_of_try(first.label, number)
    if not first.messages:
        return replace(first, label=label, replaces=last.label)
    shown = orjson.dumps(schema).decode()
    wanted = f" that satisfies this JSON schema: {shown}" if len(shown) <= _SHOWN_SCHEMA else ""
    note = f"Your last answer was refused: {fault.message}. Answer with JSON alone{wanted}"
    *before, turn = first.messages
    messages = (*before, Message(turn.role, f"{turn.content}\n\n{note}"))
    return replace(first, messages=messages, label=label, replaces=last.label)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice[:60]!r} twice")
    return found


def _integer(digits: str) -> int:
    value = int(digits) if len(digits) <= 24 else _WIDEST[1] + 1
    if not _WIDEST[0] <= value <= _WIDEST[1]:
        raise ValueError("an integer has more than 64 bits")
    return value


def _number(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError("a number is too large")
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
