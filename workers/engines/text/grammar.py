"""Grammars of JSON schemas: which tokens may come next so that a text can still satisfy its schema.

The library llguidance makes the grammars and their masks (MIT, no dependencies). A grammar can force most keywords. It names
those that it cannot force, such as `uniqueItems` or `not`; these are left out of the grammar, and the answer is validated
afterwards.
An object has its properties in the order of the schema.
"""

import json
import math
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import llguidance
import llguidance.hf
import orjson

from jobs.generation import Constraint

CACHED: Final = 128
"""This many grammars are kept ready. The rows of a batch mostly share one."""

_WHITESPACE: Final = r"( |\n {0,24})?"
"""Between two parts of a JSON text stands nothing, one space, or a new line with its indent. Without a limit, a model that has
nothing to say may write spaces until max_tokens."""

_STRICT: Final[Any] = {"whitespace_flexible": True, "whitespace_pattern": _WHITESPACE}
_LENIENT: Final[Any] = {**_STRICT, "lenient": True, "coerce_one_of": True}

_PATTERNS: Final = frozenset({"pattern", "patternProperties"})
_MULTIPLES: Final = frozenset({"multipleOf"})

MOST_REMAINDERS: Final = 100_000
"""A grammar forces `multipleOf` only up to this many remainders, all of a schema multiplied. For a million of them, making the
grammar takes minutes.
"""

_NAMED_SCHEMAS: Final = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_VALUES: Final = frozenset({"const", "enum", "default", "examples"})


@dataclass(frozen=True, slots=True)
class Grammar:
    """The grammar of a schema. `start` is None if the schema cannot be forced at all; `reason` then says why.

    `schema` is what the grammar was made of, as JSON: the schema, without what cannot be forced, and with the library's options
    in it. An engine that calls the library by itself makes the same grammar of it.
    """

    constraint: Constraint
    start: llguidance.LLMatcher | None = None
    reason: str = ""
    schema: str | None = None

    def matcher(self) -> llguidance.LLMatcher | None:
        """Return a matcher for one text, which has no tokens yet."""
        return None if self.start is None else self.start.deep_copy()


class Grammars:
    """Makes the grammars of one model. Making the first one takes about half a second, since it reads the vocabulary.

    Args:
        tokenizer: A tokenizer of transformers.
        vocabulary: The number of tokens that the model has.
        eos: The tokens that end a text.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, eos: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._size = vocabulary
        self._eos = list(eos)
        self._lock = threading.Lock()
        self._read: llguidance.LLTokenizer | str | None = None
        self._of = lru_cache(CACHED)(self._make)

    @property
    def words(self) -> int:
        """The number of 32-bit words of a mask. Raises ValueError if the vocabulary cannot be read."""
        read = self._vocabulary()
        if isinstance(read, str):
            raise ValueError(read)
        return -(-read.vocab_size // 32)

    def of(self, schema: Mapping[str, Any]) -> Grammar:
        """Return the grammar of a valid schema."""
        return self._of(orjson.dumps(schema))

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of the beginning of an answer."""
        read = self._vocabulary()
        return [] if isinstance(read, str) else list(read.tokenize_str(text))

    def _vocabulary(self) -> llguidance.LLTokenizer | str:
        """Return the vocabulary in the library's form, or why the library cannot read it."""
        with self._lock:
            if self._read is None:
                try:
                    size = max(self._size, len(self._tokenizer))
                    self._read = llguidance.hf.from_tokenizer(self._tokenizer, size, self._eos or None)
                except Exception as error:  # noqa: BLE001 - the library raises what it likes for a tokenizer that it does not know
                    self._read = f"the tokenizer cannot be read: {error}"
            return self._read

    def _make(self, key: bytes) -> Grammar:
        vocabulary = self._vocabulary()
        if isinstance(vocabulary, str):
            return Grammar("none", reason=vocabulary)
        for constraint, schema, options in _attempts(orjson.loads(key)):
            source = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=options)
            matcher = llguidance.LLMatcher(vocabulary, source, log_level=0)
            if not matcher.is_error():
                matcher.compute_bitmask()  # some schemas turn out to have no text only here
            if not matcher.is_error() and not matcher.is_stopped():
                return Grammar(constraint, matcher, schema=json.dumps({**schema, "x-guidance": options}))
        return Grammar("none", reason="the schema cannot be forced")  # the library's own words may quote the row


def _attempts(schema: dict[str, Any]) -> Iterator[tuple[Constraint, Any, Any]]:
    """Yield what a grammar is made of: first all keywords, then those that the library knows, then those without patterns.
    Multiples of large numbers are left out of all.

    The library takes options of its own from `x-guidance`, which a row must not set.
    """
    schema = {name: value for name, value in schema.items() if name != "x-guidance"}
    if _remainders(schema) > MOST_REMAINDERS:
        schema = _without(schema, _MULTIPLES)
    else:
        yield "full", schema, _STRICT
    yield "partial", schema, _LENIENT
    yield "partial", _without(schema, _PATTERNS), _LENIENT


def _remainders(schema: Any) -> float:
    """Return the product of all `multipleOf` in a schema, each without its decimal point."""
    if isinstance(schema, list):
        return math.prod(map(_remainders, schema))
    if not isinstance(schema, dict):
        return 1
    product = math.prod(_remainders(value) for name, value in schema.items() if name not in _VALUES)
    given = schema.get("multipleOf")
    if isinstance(given, int | float):
        digits = Decimal(str(given)).normalize().as_tuple().digits
        size = max(abs(given), 1 / abs(given)) if given else 1
        product *= max(int("".join(map(str, digits))), size)
    return product


def _without(schema: Any, keywords: Collection[str]) -> Any:
    """Return a schema without some keywords, also within it."""
    if isinstance(schema, list):
        return [_without(one, keywords) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _NAMED_SCHEMAS and isinstance(value, dict):
            found[name] = {key: _without(one, keywords) for key, one in value.items()}
        elif name in _VALUES:
            found[name] = value
        elif name not in keywords:
            found[name] = _without(value, keywords)
    if "patternProperties" in schema and "patternProperties" in keywords:
        found.pop("additionalProperties", None)  # it speaks of the names that no pattern matches
    return found
