"""The request of a translation: the text, its languages, and what of the text must stay as it is."""

from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Annotated, ClassVar, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from jobs.languages.tags import same_language
from jobs.marks.mark import Mark, Role
from jobs.writing.fields import LIST_TAG, TEXT_TAG, LanguageTag, Line, Text
from jobs.writing.terms.row_terms import GLOSSARY, MOST_TERM, MOST_TERMS, NAMES, RowTerms, row_terms, targets_of
from jobs.writing.terms.tokens import key_of

MOST_CHARACTERS: Final = 200_000
"""A text has at most this many characters."""

MOST_MARKS: Final = 20_000
"""A row gives at most this many marks."""

MOST_OF_CONTEXT: Final = 4_000
"""A context has at most this many characters."""

Term = Annotated[Line, StringConstraints(max_length=MOST_TERM)]
Targets = Annotated[
    Annotated[Term, Tag(TEXT_TAG)] | Annotated[tuple[Term, ...], Field(min_length=1, max_length=20), Tag(LIST_TAG)],
    Discriminator(lambda given: LIST_TAG if isinstance(given, list | tuple) else TEXT_TAG),
]
"""The translations of a term: one, or a list of which the first is the best."""


class GivenMark(BaseModel):
    """A part of the text that stays as it is. `start` and `end` count characters from 0; `end` is behind the last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int = Field(ge=0, le=MOST_CHARACTERS, description="The number of its first character in `text`, from 0.")
    end: int = Field(ge=1, le=MOST_CHARACTERS, description="The number of the character behind its last one.")
    role: Literal["alone", "opens", "closes", "ordered"] = Field(
        default="alone",
        description="How it relates to the other marks: `alone`, `opens` what a later mark ends, `closes` what the last "
        "open mark began, or `ordered` for one that keeps its order among the ordered ones.",
    )


class TranslationRequest(BaseModel):
    """A text to translate from one language into another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_translation: ClassVar[bool] = True
    """Models that only translate can serve this request."""

    text: Text = Field(max_length=MOST_CHARACTERS, description="The text to translate.")
    source_language: LanguageTag = Field(description="The language of the source, as a BCP 47 tag.")
    target_language: LanguageTag = Field(description="The language to translate into, as a BCP 47 tag.")
    format: Literal["plain", "markdown", "segment"] = Field(
        default="plain",
        description="The markup of the text, which the translation keeps. A `segment` is translated as one unit, whatever lines "
        "it has.",
    )
    marks: tuple[GivenMark, ...] | None = Field(
        default=None,
        max_length=MOST_MARKS,
        description="The parts of the text that stay as they are, such as placeholders and tags. Absent: they are found.",
    )
    context: str = Field(
        default="",
        max_length=MOST_OF_CONTEXT,
        description="What helps to translate the text, such as where it is shown. It is no part of the translation.",
    )
    max_length: int | None = Field(
        default=None, ge=1, le=MOST_CHARACTERS, description="The most characters that the translation may have."
    )
    glossary: Mapping[Term, Targets] = Field(
        default={},
        max_length=MOST_TERMS,
        description="Terms of the source and their translations: one for a term, or a list of which the first is the best.",
    )
    do_not_translate: tuple[Term, ...] = Field(
        default=(), max_length=MOST_TERMS, description="Names and words that stay as they are, in their own case."
    )
    forbidden_terms: tuple[Term, ...] = Field(
        default=(),
        max_length=MOST_TERMS,
        description="Terms that must not stand in the translation, in any inflection.",
    )
    formality: Literal["default", "formal", "informal"] = Field(
        default="default", description="How to address readers."
    )
    alternatives: int = Field(
        default=0,
        ge=0,
        le=4,
        description="How many further translations of each segment an editor wants to see, the next best ones. Only models made "
        "for translation that search with several beams have them, and only for a segment that is asked for in one part.",
    )
    signs: Literal["letters", "private"] = Field(
        default="letters",
        description="What the model sees in place of a mark: letters such as XQA, or a character of the private use area, for "
        "models that keep any character.",
    )

    @field_validator("marks")
    @classmethod
    def _marks_fit(cls, marks: tuple[GivenMark, ...] | None, info: ValidationInfo) -> tuple[GivenMark, ...] | None:
        """Return the marks in their order. Refuse a mark that is empty, ends beyond the text, or overlaps another one."""
        if not marks or "text" not in info.data:
            return marks
        size = len(info.data["text"])
        for n, one in enumerate(marks):
            if one.end <= one.start:
                raise _wrong(f"mark {n} is empty: its end {one.end} must be greater than its start {one.start}")
            if one.end > size:
                raise _wrong(f"mark {n} ends at {one.end}, and the text has {size} characters")
        order = sorted(range(len(marks)), key=lambda n: (marks[n].start, marks[n].end))
        for before, after in pairwise(order):
            if marks[after].start < marks[before].end:
                raise _wrong(
                    f"mark {after} begins at {marks[after].start}, within mark {before}: marks must not overlap"
                )
        return tuple(marks[n] for n in order)

    @field_validator("forbidden_terms")
    @classmethod
    def _forbids_no_right_term(cls, forbidden: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Refuse a forbidden term without which a term of the text has no translation, since no translation could keep both."""
        wrong = {key_of(one) for one in forbidden}
        names = [name for name in info.data.get(NAMES, ()) if key_of(name) in wrong]
        given = {term: targets_of(one) for term, one in info.data.get(GLOSSARY, {}).items()}
        terms = {term: found for term, found in given.items() if all(key_of(one) in wrong for one in found)}
        if not names and not terms:
            return forbidden
        text, language = info.data.get("text", ""), info.data.get("source_language") or ""
        known = row_terms({GLOSSARY: terms, NAMES: names}, language)
        for term, found in known.glossary_in(text).items():
            raise _wrong(
                f"{found[0]!r} is forbidden, and it is the glossary's only translation of {term!r}: give another one, or allow it"
            )
        for start, end in known.name_places(text):
            raise _wrong(
                f"{text[start:end]!r} is forbidden, and do_not_translate keeps it: leave it out of one of them"
            )
        return forbidden

    @cached_property
    def terms(self) -> RowTerms:
        """The glossary and the names of the row."""
        return row_terms({GLOSSARY: self.glossary, NAMES: self.do_not_translate}, self.source_language)

    @property
    def given_marks(self) -> tuple[Mark, ...] | None:
        """The marks that the row gives, with their texts; None if they are to be found."""
        if self.marks is None:
            return None
        return tuple(Mark(one.start, one.end, self.text[one.start : one.end], Role(one.role)) for one in self.marks)

    @property
    def remark(self) -> str | None:
        """A sentence if the source and target languages are the same, which is usually a mistake; else None."""
        source, target = self.source_language, self.target_language
        if not same_language(source, target):
            return None
        return f"source_language {source} and target_language {target} are the same language"


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("out_of_range", message)
