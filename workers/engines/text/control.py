"""Control texts are texts that a model reads as more than words: special tokens and turn markers.

A turn marker is a text by which a chat template shows where a turn begins or ends. Content is text that a user or a model wrote.
A control text in content is encoded as ordinary characters, one by one, so that only the chat template makes turns. If a
tokenizer cannot do that, `Forged` is raised, and the request fails.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Final

ANCHORS: Final = ("\n", "|", ".", "0", "a", " ")
"""A tokenizer may encode a text differently at the beginning of a prompt. So a text that stands later in a prompt is encoded with
one of these characters before it, and the character's tokens are dropped."""

_RENDERED: Final = re.compile(r"<<[^<>\n]{1,60}>>|<[^<>\s]{1,60}>|\[[^\[\]\s]{1,60}\]")
"""Matches the turn markers in a text that a chat template has rendered."""

_WRITTEN: Final = re.compile(r"<<[/\w]{1,60}>>|<\|[^<>|\s]{1,60}\|>|</?[\w\uff5c\u2581]{1,60}>|\[/?[A-Z][A-Z_]{1,60}\]")
"""Matches the turn markers in the source of a chat template. The markers of some turns, such as those of tools, are in none of
the texts that `ChatTemplate` renders on trial."""

_HEADING: Final = re.compile(r"^#+ ?[^\n]{2,60}$", re.MULTILINE)
_LABEL: Final = re.compile(r"[A-Za-z][\w ]{1,40}:(?=\s*$)")
_LAST_WORD: Final = re.compile(r"\b[A-Za-z]\w{2,20}:(?=\s*$)")
"""`_HEADING`, `_LABEL` and `_LAST_WORD` match turn markers that are words, such as `### Response:`, or `USER:` at the end of a
rendered text. Ordinary content may hold the same words. So content is never refused because of such a marker, even if the
marker cannot be encoded as ordinary characters.
"""


class Forged(Exception):
    """Content holds a control text that cannot be encoded as ordinary characters. The message quotes the text."""

    def __init__(self, text: str) -> None:
        shown = text if len(text) <= 40 else f"{text[:40]}\u2026"
        super().__init__(
            f"The text holds {shown!r}, which the model reads as a special token or the border of a turn, and which its "
            "tokenizer cannot write as ordinary characters."
        )


class ControlTexts:
    """The control texts of a tokenizer and its chat template. This class also encodes content so that the content holds no
    control tokens.

    Args:
        tokenizer: A tokenizer of transformers.
        source: The source of its chat template; empty if it has none.
        pieces: The texts that the template renders before, between and after contents.
    """

    def __init__(self, tokenizer: Any, source: str, pieces: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._has_offsets = bool(getattr(tokenizer, "is_fast", False))
        normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
        self._normalize = normalizer.normalize_str if normalizer is not None else None
        tokens = _control_tokens(tokenizer, "".join([source, *pieces]))
        self._unknown = _unknown_tokens(tokenizer) if tokens else frozenset()
        self.ids = frozenset(tokens) - self._unknown
        written = {text for piece in pieces for text in _RENDERED.findall(piece)} | set(_WRITTEN.findall(source))
        forms = (_HEADING, _LABEL, _LAST_WORD)
        self._words = frozenset(text for piece in pieces for form in forms for text in form.findall(piece))
        self._all = _any_of({*tokens.values(), *written, *self._words})
        self._by_text = {text: token for token, text in tokens.items()}
        self._tokens = _any_of(set(self._by_text))
        self._frame: tuple[list[int], list[int]] | None = None
        self._literals: dict[str, list[int]] = {}

    def token_of(self, text: str) -> int | None:
        """Return the control token whose text is `text` without the white space at both ends; None if there is none."""
        return self._by_text.get(text.strip())

    def tokens_in(self, text: str) -> list[tuple[int, int, int]]:
        """Return the start, the end and the control token of each text of a control token in `text`, from left to right."""
        found = self._tokens.finditer(text) if self._tokens else ()
        return [(*match.span(), self._by_text[match[0]]) for match in found]

    def signature(self, text: str, tokens: Iterable[int]) -> tuple[list[str], list[int]]:
        """Return the control texts in a rendered text, and the control tokens among `tokens`.

        Texts with the same signature have the same turns.
        """
        return self._all.findall(text) if self._all else [], [token for token in tokens if token in self.ids]

    def holds_any(self, content: str) -> bool:
        """Whether content holds a control text, either as the content is or as the tokenizer normalizes the content."""
        if self._all is None:
            return False
        return bool(self._all.search(content) or self._normalized_spans(content))

    def spans(self, content: str) -> list[tuple[int, int]]:
        """Return the start and end of each control text in content, from left to right.

        Control texts that overlap count as one.
        """
        if self._all is None:
            return []
        found = [match.span() for match in self._all.finditer(content)]
        found += self._normalized_spans(content)
        if self._has_offsets:
            encoded = self._tokenizer(content, add_special_tokens=False, return_offsets_mapping=True)
            pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
            found += [_stripped(content, *span) for token, span in pairs if token in self.ids]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(span for span in found if span[0] < span[1]):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def prompt(self, text: str) -> list[int]:
        """Return the tokens of a raw prompt: those of its content, and those that the tokenizer puts before and after a prompt.

        Raises:
            Forged: The prompt holds a control text that cannot be encoded as ordinary characters.
        """
        tokens = list(self._tokenizer(text)["input_ids"])
        if self._all is None:
            return tokens
        before, after = self._tokens_around()
        if not self.holds_any(text) and self.signature("", tokens)[1] == self.signature("", [*before, *after])[1]:
            return tokens
        return [*before, *self.content(text, first=True), *after]

    def content(self, text: str, *, first: bool = False) -> list[int]:
        """Return the tokens of content. None of them is a control token. With `first`, the content begins the prompt.

        Raises:
            Forged: The content holds a control text that cannot be encoded as ordinary characters.
        """
        if self._all is None:
            return self._ids(text)
        tokens: list[int] = []
        place = 0
        for start, end in [*self.spans(text), (len(text), len(text))]:
            clean = text[place:start]
            tokens += self._ids(clean) if first and place == 0 else self.following(clean)
            tokens += self._literal(text[start:end]) if start < end else []
            place = end
        if self.ids.intersection(tokens):
            raise Forged(text)
        return tokens

    def continued(self, text: str, continuation: str) -> list[int]:
        """Return the tokens of a raw prompt and its continuation, read as one text, with those that the tokenizer puts before a
        prompt. None of the continuation's tokens is a control token.

        Raises:
            Forged: The text holds a control text that cannot be encoded as ordinary characters.
        """
        joined = text + continuation
        if self._all is None:
            return list(self._tokenizer(joined)["input_ids"])
        tokens = self._ids(joined)
        if self.holds_any(joined) or self.ids.intersection(tokens):
            tokens = self.content(joined, first=True)
        return [*self._tokens_around()[0], *tokens]

    def continued_piece(self, head: Sequence[int], last: str, continuation: str) -> list[int]:
        """Return the tokens of a rendered prompt and its continuation.

        `head` has the prompt's tokens before `last`, its last piece, which is read with the continuation as one text. None of
        the continuation's tokens is a control token. If piece and continuation would make one together, the continuation is
        encoded by itself.

        Raises:
            Forged: The continuation holds a control text that cannot be encoded as ordinary characters.
        """
        encode = self.following if head else self._ids
        tokens, lead, place = list(head), last, 0
        for start, end in [*self.spans(continuation), (len(continuation), len(continuation))]:
            clean = lead + continuation[place:start]
            tokens += encode(clean) if lead else self.following(clean)
            tokens += self._literal(continuation[start:end]) if start < end else []
            lead, place = "", end
        alone = [*head, *encode(last)] if last else list(head)
        if self.signature("", tokens)[1] != self.signature("", alone)[1]:
            return [*alone, *self.content(continuation)]
        return tokens

    def following(self, text: str) -> list[int]:
        """Return the tokens that a text has when it stands after another text. Some tokenizers put a space before a prompt;
        this space is left out here.
        """
        if not text:
            return []
        return next((tokens for _, tokens in self._after_anchors(text)), None) or self._ids(text)

    def _literal(self, text: str) -> list[int]:
        """Return tokens that spell a control text without being control tokens. Each character is encoded by itself.

        If these tokens do not decode to the text, the text is encoded as a whole if it is a turn marker that consists of words.
        For any other text, `Forged` is raised.
        """
        if text not in self._literals:
            self._literals[text] = self._characters(text)
        return self._literals[text]

    def _characters(self, text: str) -> list[int]:
        tokens: list[int] = []
        for character in text:
            found = next(
                (one for anchor, one in self._after_anchors(character) if self._is(anchor, one, character)), None
            )
            if found is None:
                return self._words_or_raise(text)
            tokens += found
        whole = any(self._is(anchor, tokens, text) for anchor in ANCHORS)
        if not whole or tokens == self.following(text):
            return self._words_or_raise(text)
        return tokens

    def _words_or_raise(self, text: str) -> list[int]:
        if text not in self._words:
            raise Forged(text)
        return self.following(text)

    def _is(self, anchor: str, tokens: list[int], text: str) -> bool:
        """Whether `tokens`, decoded after `anchor` (one of `ANCHORS`), give `text` or its normalized form.

        False if one of the tokens is a control token or an unknown token.
        """
        if self.ids.intersection(tokens) or self._unknown.intersection(tokens):
            return False
        head = self._ids(anchor)
        before, whole = self._decode(head), self._decode([*head, *tokens])
        normal = unicodedata.normalize("NFKC", text)
        return whole.startswith(before) and whole[len(before) :] in {text, normal, text.lower(), normal.lower()}

    def _after_anchors(self, text: str) -> Iterable[tuple[str, list[int]]]:
        """Yield each anchor (`ANCHORS`), and the tokens that the text has after this anchor.

        An anchor is left out if the tokenizer joins it with the beginning of the text.
        """
        for anchor in ANCHORS:
            head, whole = self._ids(anchor), self._ids(anchor + text)
            if head and len(whole) > len(head) and whole[: len(head)] == head:
                yield anchor, whole[len(head) :]

    def _tokens_around(self) -> tuple[list[int], list[int]]:
        """Return the tokens that the tokenizer puts before and after a prompt."""
        if self._frame is None:
            inner, outer = self._ids("a"), list(self._tokenizer("a")["input_ids"])
            start = next((n for n in range(len(outer)) if outer[n : n + len(inner)] == inner), 0)
            self._frame = outer[:start], outer[start + len(inner) :]
        return self._frame

    def _normalized_spans(self, content: str) -> list[tuple[int, int]]:
        """Return the start and end of each text in content that the tokenizer normalizes to a control text.

        For example, `\uff3bINST\uff3d` may become a turn marker.
        """
        if self._normalize is None or self._all is None or not self._all.search(self._normalize(content)):
            return []
        normal = [self._normalize(character).removeprefix("\u2581") for character in content]
        text = "".join(normal)
        origin = [place for place, one in enumerate(normal) for _ in one]
        return [(origin[start], origin[end - 1] + 1) for start, end in (one.span() for one in self._all.finditer(text))]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _control_tokens(tokenizer: Any, template: str) -> dict[int, str]:
    """Return token -> its text, for all control tokens: the special tokens, and two sorts of added tokens.

    An added token is a control token if the tokenizer names it in `chat_control_tokens`, or if it looks like a marker and
    stands in `template`. A token of white space or of a single character is ordinary text, even if a tokenizer pads with it, as
    some do with `!`.
    """
    special = zip(getattr(tokenizer, "all_special_ids", ()), getattr(tokenizer, "all_special_tokens", ()), strict=True)
    found = {token: str(text) for token, text in special}
    named = getattr(tokenizer, "chat_control_tokens", None) or ()
    for token, added in getattr(tokenizer, "added_tokens_decoder", {}).items():
        marks = not added.content.replace("_", "").isalnum()
        if added.special or added.content in named or (marks and added.content.strip() in template):
            found[token] = added.content
    return {token: text.strip() for token, text in found.items() if len(text.strip()) > 1}


def _unknown_tokens(tokenizer: Any) -> frozenset[int]:
    """Return the tokens that stand for text that the tokenizer does not know. Any content may have these tokens."""
    special = set(getattr(tokenizer, "all_special_ids", ()))
    tried = tokenizer("\ue000", add_special_tokens=False)["input_ids"]
    unknown = getattr(tokenizer, "unk_token_id", None)
    return frozenset(special.intersection(tried) | (set() if unknown is None else {unknown}))


def _any_of(texts: set[str]) -> re.Pattern[str] | None:
    """Return a pattern that matches any of these texts, the longest first; None if there are no texts."""
    return re.compile("|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))) if texts else None


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the start and end of a part of `text`, without the white space at its ends that some tokens include."""
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())
