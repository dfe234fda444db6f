"""Grammars of JSON schemas: which tokens may come next so that a text can still satisfy its schema.

The library llguidance makes the grammars and their masks (MIT, no dependencies). A grammar can force most keywords. It names
those that it cannot force, such as `uniqueItems` or `not`; these are left out of the grammar, and the answer is validated
afterwards.
An object has its properties in the order of the schema.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
_NAMED_SCHEMAS: Final = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_VALUES: Final = frozenset({"const", "enum", "default", "examples"})


@dataclass(frozen=True, slots=True)
class Grammar:
    """The grammar of a schema. `start` is None if the schema cannot be forced at all; `reason` then says why."""

    constraint: Constraint
    start: llguidance.LLMatcher | None = None
    reason: str = ""

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
                return Grammar(constraint, matcher)
        return Grammar("none", reason="the schema cannot be forced")  # the library's own words may quote the row


def _attempts(schema: dict[str, Any]) -> Iterator[tuple[Constraint, Any, Any]]:
    """Yield what a grammar is made of: first all keywords, then those that the library knows, then those without patterns.

    The library takes options of its own from `x-guidance`, which a row must not set.
    """
    schema = {name: value for name, value in schema.items() if name != "x-guidance"}
    yield "full", schema, _STRICT
    yield "partial", schema, _LENIENT
    yield "partial", _without_patterns(schema), _LENIENT


def _without_patterns(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_patterns(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _NAMED_SCHEMAS and isinstance(value, dict):
            found[name] = {key: _without_patterns(one) for key, one in value.items()}
        elif name in _VALUES:
            found[name] = value
        elif name not in _PATTERNS:
            found[name] = _without_patterns(value)
    if "patternProperties" in schema:
        found.pop("additionalProperties", None)  # it speaks of the names that no pattern matches
    return found
