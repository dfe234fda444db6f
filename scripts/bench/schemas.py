"""Measures answers that must satisfy a JSON schema: what the constraint costs, and whether every completed row is valid.

    OMP_NUM_THREADS=1 python scripts/bench/schemas.py cost --slots 64 --turns 5
    OMP_NUM_THREADS=1 python scripts/bench/schemas.py rows --rows 200
    python scripts/bench/schemas.py masks

`cost` runs the same number of texts with and without a schema in turn, each of exactly `--tokens` tokens, and prints tokens per
second side by side: of the clock, and of the CPU time of the thread that steps the engine, which other programs on the machine
disturb less. `rows` holds the whole conversation of the kind `chat` for many rows with several schemas, and validates each
completed row by another library (jsonschema). `masks` prints how long one mask takes, by schema, on one thread.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema

from jobs.catalog import SHIPPED
from jobs.checks.checker import Checker
from jobs.errors import CheckFailed
from jobs.generation import Completion, GenerationRequest, Message, Prompt, SamplingParams
from jobs.kinds.kind import begin, contract_of, with_defaults
from jobs.kinds.registry import load_kinds
from workers.engines.protocol import Engine
from workers.engines.registry import make_engine

CACHE: Final = Path(tempfile.gettempdir()) / f"nightpress-tests-{os.getuid()}"
MODEL: Final = "smollm2-135m"

_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 40}
SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "person": {
        "type": "object",
        "properties": {
            "name": _NAME,
            "age": {"type": "integer", "minimum": 0, "maximum": 130},
            "mood": {"enum": ["happy", "sad", "neutral"]},
            "born": {"type": "string", "format": "date"},
        },
        "required": ["name", "age", "mood", "born"],
        "additionalProperties": False,
    },
    "tags": {
        "type": "object",
        "properties": {
            "title": _NAME,
            "tags": {"type": "array", "items": _NAME, "minItems": 2, "maxItems": 4, "uniqueItems": True},
        },
        "required": ["title", "tags"],
        "additionalProperties": False,
    },
    "review": {
        "type": "object",
        "properties": {"stars": {"type": "integer", "minimum": 1, "maximum": 5}, "reason": {"type": "string"}},
        "required": ["stars"],
        "if": {"properties": {"stars": {"maximum": 2}}},
        "then": {"required": ["reason"]},
        "additionalProperties": False,
    },
    "choice": {"oneOf": [{"const": "yes"}, {"const": "no"}, {"type": "number", "minimum": 0, "maximum": 1}]},
    "any object": {"type": "object"},
}
"""Schemas of different sizes; the grammar cannot force all keywords of `tags`, `review` and `choice`."""

ENDLESS: Final = {"type": "array", "items": SCHEMAS["person"], "minItems": 1_000}
"""A schema whose text is longer than any row here, so each text ends at max_tokens."""

TOPICS: Final = (
    "tomatoes",
    "a harbour at night",
    "the first computers",
    "a bakery on a Sunday",
    "rain in the mountains",
)


def engine_of(slots: int) -> Engine:
    """Return the small model with this many slots."""
    return make_engine(MODEL, SHIPPED[MODEL].model_copy(update={"slots": slots}), CACHE)


def run(engine: Engine, requests: list[GenerationRequest]) -> tuple[dict[str, Completion], float, float]:
    """Run requests to their end. Returns the completions by id, the seconds, and the CPU seconds of this thread."""
    began, began_cpu = time.perf_counter(), time.thread_time()
    for request in requests:
        engine.submit(request)
    done: dict[str, Completion] = {}
    while len(done) < len(requests):
        done |= {one.request_id: one for one in engine.step()}
    return done, time.perf_counter() - began, time.thread_time() - began_cpu


def texts(count: int, tokens: int, schema: Mapping[str, Any] | None) -> list[GenerationRequest]:
    """Return requests for texts of exactly this many tokens."""
    found = []
    for n in range(count):
        params = SamplingParams(max_tokens=tokens, min_tokens=tokens, temperature=0.8, seed=n)
        message = Message("user", f"Make a list of people who know much about {TOPICS[n % 5]}, in JSON. Number {n}.")
        found.append(GenerationRequest(str(n), Prompt(messages=(message,), params=params, schema=schema)))
    return found


def cost(slots: int, tokens: int, turns: int) -> None:
    """Print tokens per second with and without a schema, and with a schema for half of the rows."""
    engine = engine_of(slots)
    run(engine, texts(slots, 4, ENDLESS))
    rates: dict[str, list[tuple[float, float]]] = {"without": [], "with": [], "half": []}
    for turn in range(turns):
        for name in list(rates) if turn % 2 else list(reversed(rates)):
            free, held = texts(slots, tokens, None), texts(slots, tokens, ENDLESS)
            mixed = [one if n % 2 else other for n, (one, other) in enumerate(zip(free, held, strict=True))]
            done, clock_s, cpu_s = run(engine, {"without": free, "with": held, "half": mixed}[name])
            count = sum(one.completion_tokens for one in done.values())
            rates[name].append((count / clock_s, count / cpu_s))
            print(
                f"turn {turn + 1}, {name}: {count / clock_s:.1f} and {count / cpu_s:.1f}", file=sys.stderr, flush=True
            )
    for place, clock in enumerate(("of the clock", "of CPU time")):
        base = statistics.median(rate[place] for rate in rates["without"])
        for name, found in rates.items():
            middle = statistics.median(rate[place] for rate in found)
            print(f"{name:8} {middle:8.1f} tokens/s {clock}  {middle / base - 1:+7.1%}")
    engine.close()


def rows(count: int, slots: int) -> None:
    """Print how many rows complete and fail, with their tries and constraints. Raises ValidationError for a row that completed
    and is not valid.
    """
    engine, kind = engine_of(slots), load_kinds()["chat"]
    counts: Counter[str] = Counter()
    conversations, asked = {}, []
    for n in range(count):
        name = list(SCHEMAS)[n % len(SCHEMAS)]
        values: dict[str, Any] = {
            "prompt": f"Write about {TOPICS[n % 5]} as JSON ({name}), number {n}.",
            "output_schema": SCHEMAS[name],
        }
        request, contract = kind.request_type.model_validate(values), contract_of(kind)
        checker = Checker.over(kind.name, with_defaults(kind, values), contract)
        conversation = begin(kind, request, checker)
        conversations[n] = (name, conversation)
        asked.append(_request(n, 0, next(conversation)[0]))
    began, answered = time.perf_counter(), 0
    for first in asked:
        engine.submit(first)
    waiting = count
    while waiting:
        for completion in engine.step():
            n, number = map(int, completion.request_id.split("."))
            name, conversation = conversations[n]
            answered += completion.completion_tokens
            counts[f"constraint {completion.constraint}"] += 1
            try:
                engine.submit(_request(n, number + 1, conversation.send([completion])[0]))
                continue
            except StopIteration as stop:
                jsonschema.Draft202012Validator(SCHEMAS[name], format_checker=jsonschema.FormatChecker()).validate(
                    json.loads(stop.value.text)
                )
                counts[f"{name}: completed"] += 1
                counts[f"completed at try {number + 1}"] += 1
            except CheckFailed as error:
                counts[f"{name}: failed, {error.code}"] += 1
            waiting -= 1
            if waiting % 20 == 0:
                print(f"{waiting} rows left; {dict(sorted(counts.items()))}", file=sys.stderr, flush=True)
    took = time.perf_counter() - began
    for key, value in sorted(counts.items()):
        print(f"{value:5} {key}")
    print(f"{count} rows, {answered} tokens, {took:.0f} s; every completed row is valid")
    engine.close()


def _request(n: int, number: int, prompt: Prompt) -> GenerationRequest:
    params = prompt.params.overridden({"seed": 1_000 * n + number, "max_tokens": 100})
    return GenerationRequest(
        f"{n}.{number}", Prompt(messages=prompt.messages, params=params, schema=prompt.schema, label=prompt.label)
    )


def masks() -> None:
    """Print the microseconds for a grammar and for a mask, by schema, on one thread."""
    from transformers import AutoTokenizer

    from workers.engines.text.grammar import Grammars
    from workers.engines.weights import resolve

    tokenizer = AutoTokenizer.from_pretrained(resolve(MODEL, SHIPPED[MODEL], CACHE))
    grammars = Grammars(tokenizer, len(tokenizer), (tokenizer.eos_token_id,))
    grammars.of({})
    person = '{"name": "Ada Lovelace", "age": 36, "mood": "happy", "born": "1815-12-10"}'
    for name, text in (
        ("person", person),
        ("any object", person),
        ("tags", '{"title": "Rain", "tags": ["wet", "cold"]}'),
    ):
        began = time.perf_counter()
        matcher = grammars.of(SCHEMAS[name]).matcher()
        made_us = (time.perf_counter() - began) * 1e6
        assert matcher is not None  # noqa: S101 - these schemas can be forced
        took: list[float] = []
        for token in grammars.tokens(text):
            began = time.perf_counter()
            matcher.compute_bitmask()
            took.append((time.perf_counter() - began) * 1e6)
            matcher.consume_token(token)
        print(
            f"{name:12} grammar {made_us:7.0f} us   mask: mean {statistics.mean(took):6.1f} us, most {max(took):6.1f} us"
        )


def main() -> None:
    """Read the arguments, and run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "rows", "masks"))
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=48, help="the tokens of each text, for `cost`")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--rows", type=int, default=200)
    given = parser.parse_args()
    if given.what == "cost":
        cost(given.slots, given.tokens, given.turns)
    elif given.what == "rows":
        rows(given.rows, given.slots)
    else:
        masks()


if __name__ == "__main__":
    main()
