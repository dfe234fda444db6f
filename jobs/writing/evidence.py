"""Evidence: tells by the source or the request whether a label, announcement, mark or quotes are content or the model's own.

The evidence *explains* words that are content, and explained words stay. `Original` is a text whose completion holds all of it
again, such as the source of a translation: its forms are counted. `Brief` is the request of a new text: its words are looked
for. In doubt, both explain the words.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from jobs.generation import Message, Prompt
from jobs.writing.labels import (
    ANNOUNCES,
    INSTRUCTION,
    INTERJECTION,
    OPENS,
    REMARK,
    SEPARATOR,
    SPEAKS_OF_LANGUAGE,
    TRANSLATING,
    label_alone,
)
from jobs.writing.prose import sentences, whole_length

QUOTE_PAIRS: Final = {
    '"': '"',
    "'": "'",
    "\u201c": "\u201d",
    "\u2018": "\u2019",
    "\u201e": "\u201c\u201d",
    "\u201a": "\u2018\u2019",
    "\u201d": "\u201d",
    "\u2019": "\u2019",
    "\u00ab": "\u00bb",
    "\u00bb": "\u00ab\u00bb",
    "\u2039": "\u203a",
    "\u203a": "\u2039\u203a",
    "\u300c": "\u300d",
    "\u300e": "\u300f",
    "\u300a": "\u300b",
    "\u301d": "\u301e\u301f",
    "\uff02": "\uff02",
}
"""An opening quote -> the quotes that may close it, in the forms of all languages."""

_DIGIT: Final = re.compile(r"\d")
_SEPARATORS: Final = re.compile(
    rf"(?<!\d){SEPARATOR}(?!//)|{SEPARATOR}(?![\d/])|(?<=\s)[-\u2013\u2014|=](?=\s)|[\u2014\u3000\t\u2192]"
)
_BRACKETS: Final = re.compile(r"[(\[\uff08\u3010]")
_QUOTE: Final = re.compile(
    r"[\"\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u300c-\u300f\u300a\u300b\u301d-\u301f\uff02]|(?<!\w)['\u2018\u201a]|`"
)
_QUOTED: Final = re.compile(
    r"\"([^\"\n]+)\"|\u201c([^\u201c\u201d\n]+)\u201d|[\u201e\u201d]([^\u201c-\u201e\n]+)[\u201c\u201d]|\u00ab([^\u00ab\u00bb\n]+)\u00bb|"
    r"\u00bb([^\u00ab\u00bb\n]+)\u00ab|\u300c([^\u300c\u300d\n]+)\u300d|\u300e([^\u300e\u300f\n]+)\u300f|\u300a([^\u300a\u300b\n]+)\u300b|"
    r"(?<!\w)['\u2018\u201a]([^'\u2018-\u201a\n]+)['\u2019\u2018](?!\w)"
)


_FEWEST_SPACES: Final = 2
"""A repeated part of an instruction counts only if it has at least this many spaces, so three words."""


class Evidence(Protocol):
    """Evidence says whether a part of a completion is content."""

    def explains(self, taken: str, rest: str, families: str) -> bool:
        """Whether `taken`, a label or an announcement of `families` (words of a regular expression), is content."""
        ...

    def explains_quotes(self, inner: str) -> bool:
        """Whether the quotes around the whole of a text are content."""
        ...

    def explains_emphasis(self, mark: str) -> bool:
        """Whether emphasis or a code mark around the whole of a text is content."""
        ...

    def explains_mark(self, mark: str, rest: str) -> bool:
        """Whether a bullet, heading mark or number at the beginning of a text is content."""
        ...

    def explains_json(self) -> bool:
        """Whether JSON in an answer may be content, so that it must not be taken off."""
        ...


@dataclass(frozen=True, slots=True)
class Original:
    """The text of which the completion is a counterpart, such as the source of a translation."""

    text: str

    def explains(self, taken: str, rest: str, families: str) -> bool:
        """Whether `rest` alone lacks something of the source: separators, sentences, words of the families, or much of the
        length.

        An interjection is content too if the source begins with an interjection.
        """
        if _width(rest) * 4 < _width(self.text):
            return True
        words = re.compile(families, re.IGNORECASE)
        if len(words.findall(self.text)) > len(words.findall(rest)):
            return True
        if len(_SEPARATORS.findall(self.text)) > len(_SEPARATORS.findall(rest)):
            return True
        if INTERJECTION.match(taken) and INTERJECTION.match(self.text):
            return True
        return bool(sentences(taken)) and sentence_count(self.text) > max(1, len(sentences(rest)))

    def explains_quotes(self, inner: str) -> bool:
        """Whether the source has a quote anywhere."""
        return _QUOTE.search(self.text) is not None

    def explains_emphasis(self, mark: str) -> bool:
        """Whether the source has the mark anywhere."""
        return mark in self.text

    def explains_mark(self, mark: str, rest: str) -> bool:
        """Whether the source begins with a mark too, or the mark is a sign before a number: `- 5 degrees`, `# 5`."""
        return not self.text[:1].isalnum() or rest[:1].isdigit()

    def explains_json(self) -> bool:
        """Whether JSON may be content, because the source has a brace or begins with a bracket."""
        return "{" in self.text or self.text.lstrip().startswith("[")

    def covered_by(self, part: str, following: str) -> bool:
        """Whether a paragraph of the completion may be the whole counterpart, so that what follows is a remark.

        The paragraph must have as many sentences, separators, brackets and digits as the source, and must not be much shorter.
        If it has fewer whole sentences, the text that follows must begin as a remark does.
        """
        if self.preceded_by(part) or (ends_in_colon(part) and not ends_in_colon(self.text)):
            return False
        remark = REMARK.match(following) is not None and re.search(rf"(?<!\w){REMARK.pattern}", self.text, re.I) is None
        whole = len(sentences(part)) >= sentence_count(self.text)
        return (whole or (remark and not sentences(self.text))) and self._may_be(part)

    def _may_be(self, part: str) -> bool:
        forms = (_SEPARATORS, _BRACKETS, _DIGIT)
        return (
            len(sentences(part)) >= len(sentences(self.text))
            and all(len(form.findall(part)) >= len(form.findall(self.text)) for form in forms)
            and _width(part) * 5 >= _width(self.text) * 2
        )

    def is_introduced_by(self, part: str, rest: str) -> bool:
        """Whether a paragraph only introduces the counterpart: it repeats the source, or speaks of the translation.

        It does so only if the rest of the completion may be the whole counterpart.
        """
        return self._may_be(rest) and (key_of(part) == key_of(self.text) or self.preceded_by(part))

    def preceded_by(self, part: str) -> bool:
        """Whether a paragraph of the completion speaks of the translation or only says `Sure!`, and the source does not.

        An announcement that names a language speaks of the translation.
        """
        if TRANSLATING.search(part) and not TRANSLATING.search(self.text):
            return True
        if ANNOUNCES.match(part) and ends_in_colon(part) and SPEAKS_OF_LANGUAGE.search(part):
            return not (SPEAKS_OF_LANGUAGE.search(self.text) or OPENS.match(self.text))
        found = INTERJECTION.match(part)
        return (
            found is not None and not any(map(str.isalnum, part[found.end() :])) and not INTERJECTION.match(self.text)
        )


@dataclass(frozen=True, slots=True)
class Brief:
    """The values of a request: what the text is about."""

    text: str

    def explains(self, taken: str, rest: str, families: str) -> bool:
        """Whether the request has the words of `taken`, a label of these families, or an announcement of its own.

        A label's word after an indefinite article (`Write a title …`) only asks for the text, so it explains nothing.
        """
        article = r"(?<!\w)(?:an?|one|some|ein(?:e|en)?|une?|una?|uma?|een)"
        asked = rf"{article}\s{{1,3}}(?:\w{{1,30}}\s{{1,3}}){{0,2}}(?:{families})(?!\w)"
        if f" {key_of(taken)} " in f" {key_of(re.sub(asked, ' ', self.text, flags=re.IGNORECASE))} ":
            return True
        label = rf"(?:{families})(?:\s{{0,3}}\d{{1,3}})?\s{{0,3}}[*_\"]{{0,3}}\s{{0,3}}(?:{SEPARATOR}|\s[-\u2013\u2014|=]\s)"
        if re.search(label, self.text, re.IGNORECASE):
            return True
        return ANNOUNCES.match(taken) is not None and ANNOUNCES.search(self.text) is not None

    def explains_quotes(self, inner: str) -> bool:
        """Whether the request has a quotation that makes up a third of it, or that has half of the text's words."""
        own, request = set(key_of(inner).split()), len(key_of(self.text).split())
        quotations = [key_of("".join(filter(None, found))).split() for found in _QUOTED.findall(self.text)]
        return any(len(words) * 3 >= request or len(own.intersection(words)) * 2 >= len(own) for words in quotations)

    def explains_emphasis(self, mark: str) -> bool:
        """Whether the mark is a code mark, and the request has one too. Emphasis in a request says nothing about the text to
        write.
        """
        return mark == "`" and mark in self.text

    def explains_mark(self, mark: str, rest: str) -> bool:
        """Whether the request has the mark before the same word: `2. Weltkrieg`, `#1 mistake`."""
        first = f"{mark.strip()} {(rest.split() or [''])[0]}".casefold()
        return mark.strip().casefold() != "" and first.rstrip(".,:;!?") in " ".join(self.text.casefold().split())

    def explains_json(self) -> bool:
        """Whether JSON may be content, because the request has a brace."""
        return "{" in self.text

    def has_line(self, line: str) -> bool:
        """Whether a value of the request is this line."""
        return key_of(line) in _line_keys(self.text)

    def repeats(self, line: str, prompt: Prompt) -> bool:
        """Whether a line repeats the prompt or an instruction like the prompt's. A line that is a value of the request does not
        count.
        """
        key = key_of(line)
        if not key or self.has_line(line):
            return False
        turns, openings = _turn_keys(prompt.messages)
        if key in turns:
            return True
        if key.count(" ") >= _FEWEST_SPACES and any(f" {key} " in f" {opening} " for opening in openings):
            return f" {key} " not in f" {_key(self.text)} "
        known = _known_words(self.text)
        return INSTRUCTION.match(line) is not None and sum(word in known for word in key.split()) * 2 < len(key.split())


@lru_cache(maxsize=16)
def _key(text: str) -> str:
    return key_of(text)


@lru_cache(maxsize=16)
def _line_keys(text: str) -> frozenset[str]:
    return frozenset(key_of(line) for line in text.splitlines())


@lru_cache(maxsize=16)
def _known_words(text: str) -> frozenset[str]:
    return frozenset(key_of(text).split())


@lru_cache(maxsize=16)
def _turn_keys(messages: tuple[Message, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the keys of a prompt's lines and sentences, and of the first line of each turn."""
    lines = [line for message in messages for line in message.content.splitlines()]
    first = tuple(key_of(message.content.partition("\n")[0]) for message in messages)
    return frozenset(key_of(one) for line in lines for one in (line, *sentences(line))), first


def key_of(text: str) -> str:
    """Return the words of a text in lower case, with one space between them."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def is_heading(line: str, *families: str) -> bool:
    """Whether a line can be a title or a heading: it has a letter, and is not only a number or a label of these families."""
    return any(map(str.isalpha, line)) and label_alone(*families).fullmatch(line) is None


def ends_in_colon(text: str) -> bool:
    """Whether a text ends with a colon. Emphasis around the colon does not matter."""
    return text.rstrip(" *_").endswith((":", "\uff1a"))


def sentence_count(text: str) -> int:
    """Return how many sentences a text has; words after the last whole sentence count as one more. At least 1."""
    left = text[whole_length(text) :]
    return max(1, len(sentences(text)) + any(map(str.isalnum, left)))


def _width(text: str) -> int:
    """Return the length of a text, in which an ideograph counts as three letters."""
    return sum(3 if character >= "\u2e80" else 1 for character in text)
