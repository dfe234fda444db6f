"""An entry of a memory: a segment in two languages, and all that says where it came from and where it holds.

A model's entry holds only for the same question: the same segment, context, languages, terms and formality, asked of the same
model family with the same template. An editor's entry holds for the segment, its context and the languages, whatever the model
is; without a context it holds in every context.
"""

import hashlib
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self, get_args

import orjson

from jobs.store.checksum import with_checksum, without_checksum

Origin = Literal["model", "editor"]
ORIGINS: Final = get_args(Origin)

KEY_BYTES: Final = 16
"""A key has this many bytes: two of a thousand million segments share one with a chance below 10^-20."""


@dataclass(frozen=True, slots=True)
class Query:
    """The question that a row asks for each of its `segments`, and so what must be the same for a model's entry to answer it.

    `terms` is the hash of the terms that apply to the row, `template` the hash of the kind's template; each is empty if there is
    none. `model` is the model family: its source, or its alias if it has no source.
    """

    segments: tuple[str, ...]
    source_language: str
    target_language: str
    context: str = ""
    terms: str = ""
    formality: str = "default"
    model: str = ""
    template: str = ""

    @property
    def pair(self) -> str:
        """The languages, as the index has them: `en>pt-br`."""
        return f"{_tag(self.source_language)}>{_tag(self.target_language)}"

    def model_key(self, segment: str) -> bytes:
        """Return the key of the model's entry that answers this question for a segment."""
        asked = (self.context, self.pair, self.terms, self.formality, self.model, self.template)
        return _key("model", segment, *asked)

    def editor_keys(self, segment: str) -> tuple[bytes, ...]:
        """Return the keys of an editor's entries for a segment: first that of the same context, then that of no context."""
        contexts = (self.context, "") if self.context else ("",)
        return tuple(_key("editor", segment, context, self.pair) for context in contexts)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. The tokens are those that the segment cost when a model wrote it, 0 for an editor's entry.

    `at` is when it was written, in UTC; a later entry wins over an earlier one. `batch` and `row` name where a model's entry came
    from; an editor's has the name of its file as `batch`. `author` is the editor, if the file names one.
    """

    source: str
    target: str
    source_language: str
    target_language: str
    at: datetime
    origin: Origin = "model"
    context: str = ""
    terms: str = ""
    formality: str = "default"
    model: str = ""
    template: str = ""
    verdict: str = ""
    batch: str = ""
    row: int = 0
    author: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def query(self) -> Query:
        """The question that the entry answers."""
        languages = (self.source_language, self.target_language)
        asked = (self.context, self.terms, self.formality, self.model, self.template)
        return Query((self.source,), *languages, *asked)

    @property
    def key(self) -> bytes:
        """The key under which the index has the entry."""
        query = self.query
        return query.editor_keys(self.source)[0] if self.origin == "editor" else query.model_key(self.source)

    @property
    def microseconds(self) -> int:
        """The time of the entry in microseconds since 1970, so that times are compared as integers."""
        since = self.at - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    def to_line(self) -> bytes:
        """Return the line that is stored: JSON without what is empty, with a checksum and a newline."""
        values = {field.name: value for field in _FIELDS if (value := getattr(self, field.name)) != field.default}
        return with_checksum(orjson.dumps(values)) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read a line that `to_line` made. Names of a newer release are ignored. Raises ValueError or TypeError for others."""
        values: dict[str, Any] = orjson.loads(without_checksum(line))
        known = {name: value for name, value in values.items() if name in _TYPES}
        if wrong := [name for name, value in known.items() if type(value) is not _TYPES[name]]:
            raise ValueError(f"{wrong[0]}: it has another type")
        if known.get("origin", "model") not in ORIGINS:
            raise ValueError("origin: there is no such origin")
        return cls(**{**known, "at": datetime.fromisoformat(known["at"]).astimezone(UTC)})


_FIELDS: Final = fields(Entry)
_TYPES: Final = {
    field.name: int if field.name in ("row", "prompt_tokens", "completion_tokens") else str for field in _FIELDS
}


def source_hash(source: str) -> str:
    """Return the hash by which a forgotten source is named, so that its text is kept nowhere."""
    return hashlib.sha256(source.encode(errors="surrogatepass")).hexdigest()


def _tag(language: str) -> str:
    return language.replace("_", "-").casefold()


def _key(*parts: str) -> bytes:
    return hashlib.blake2b(orjson.dumps(parts), digest_size=KEY_BYTES).digest()
