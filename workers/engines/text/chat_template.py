"""A chat template renders turns, each a role and a content, in the form that a model was trained to read.

Templates differ in the conversations that they accept. Some templates refuse all system turns, late system turns, empty system
turns, two turns of one role in a row, or an answer before the first user turn. Other templates leave out a turn, and raise no
error. So the template is first tried on each form of conversation (the roles, and which contents are blank), with placeholders
for the contents. Turns are joined only if the template does not take them as they are.

Templates come with the files of a model, from whoever published it. transformers renders them in a sandbox, and our limits hold
there too (jobs/writing/sandbox), so that no template keeps a worker busy without an end.
"""

import json
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Final

from jinja2 import TemplateError

from jobs.writing.sandbox.environment import LimitedEnvironment
from jobs.writing.sandbox.limits import TooMuch, limited
from workers.engines.text.control import ControlTexts, Forged

MARK: Final = "\ue000"
"""A private-use character of Unicode. A placeholder for the content of a turn is this character, the turn's number, and this
character again."""

_DATE: Final = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")
_CLOCK: Final = "{% macro strftime_now(format) %}{{ dates_by_format[format] }}{% endmacro %}{{ '' }}"
_SHAPES: Final = 1024
"""`ChatTemplate` keeps the results of `_tried` for at most this many forms of conversation. If one more form comes, all results
are dropped.
"""

Turn = tuple[str, str]
Join = Callable[[Sequence[Turn]], list[Turn]]
Signature = tuple[list[str], list[int]]


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt as the model gets it: tokens and text. `tail` is the text that a chat template wrote after the last content.

    `last` is the text at the end of the prompt that was turned into tokens in one piece. Its tokens begin at `last_start`.
    """

    tokens: list[int]
    text: str
    tail: str = ""
    last: str = ""
    last_start: int = 0


@dataclass(frozen=True, slots=True)
class _Shape:
    """The result of a trial with placeholders: how to join the turns, the signature of the rendered text, and its tail."""

    join: Join
    signature: Signature
    tail: str


@dataclass(frozen=True, slots=True)
class _Arguments:
    """The arguments of a template besides the turns: the time that it may ask for, and the arguments that the row and the
    model's card give.
    """

    created_at: datetime | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)


class Refused(Exception):
    """A chat template refuses a conversation, however the turns are joined. The message says why."""


class ChatTemplate:
    """The chat template of a tokenizer.

    Args:
        tokenizer: A tokenizer of transformers that has a chat template.
    """

    def __init__(self, tokenizer: Any) -> None:
        _put_limits_into_transformers()
        self._tokenizer = tokenizer
        self._shapes: dict[tuple[str, tuple[Turn, ...]], _Shape] = {}
        self.source = _source(tokenizer)
        self._formats = {found[2] for found in _DATE.finditer(self.source)}
        self.controls = ControlTexts(tokenizer, self.source, self._pieces())

    def encode(
        self, turns: Sequence[Turn], created_at: datetime | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> RenderedPrompt:
        """Return a conversation with the beginning of the answer to come, as the model gets it.

        Only the template begins and ends turns. Contents cannot do so, and neither can `kwargs`, the further arguments of the
        template. If the template asks for the date, it gets the date of `created_at`, or today's date if `created_at` is None.

        Raises:
            Refused: The template refuses the conversation.
            Forged: A content holds a control text that cannot be encoded as ordinary characters, or an argument holds one.
        """
        arguments = _Arguments(created_at, kwargs or {})
        for value in arguments.kwargs.values():
            if isinstance(value, str) and self.controls.holds_any(value):
                raise Forged(value)
        mark = _mark_for(turns)
        shape = self._shape(turns, arguments.kwargs)
        controls = {n for n, (_, content) in enumerate(turns) if self.controls.holds_any(content)}
        answers = {n for n in controls if turns[n][0] == "assistant"}
        # Some templates cut thoughts out of earlier answers, so they must see the answers. Three ways are tried in
        # turn. First, no answer gets a placeholder. Then every content with a control text gets one. Last, every
        # content gets one.
        for hidden in (controls - answers, controls, set(range(len(turns)))):
            text = self._render(shape.join(_with_places(turns, hidden, mark)), arguments)
            tokens, last, last_start = self._encode(text, turns, mark)
            if self.controls.signature(text, tokens) == shape.signature:
                whole = _place(mark).sub(lambda place: turns[int(place[1])][1].strip(), text)
                return RenderedPrompt(tokens, whole, shape.tail, last, last_start)
        raise Forged("\n".join(content for _, content in turns))

    def _encode(self, text: str, turns: Sequence[Turn], mark: str) -> tuple[list[int], str, int]:
        """Return the tokens of a rendered text, and `last` and `last_start` of a RenderedPrompt.

        The tokens of each content take the place of its placeholder.
        """
        first, *rest = _place(mark).split(text)
        tokens = list(self._tokenizer(first, add_special_tokens=False)["input_ids"]) if first else []
        last, last_start = first, 0
        for number, piece in zip(rest[::2], rest[1::2], strict=True):
            tokens += self.controls.content(turns[int(number)][1].strip(), first=not tokens)
            last, last_start = piece, len(tokens)
            tokens += self.controls.following(piece)
        return tokens, last, last_start

    def _shape(self, turns: Sequence[Turn], kwargs: Mapping[str, Any]) -> _Shape:
        """Return the result of a trial of conversations of this form with these arguments. Results are kept.

        The form of a conversation is the roles of the turns, and the contents that are blank.
        """
        form = tuple((role, "" if content.strip() else f"-{content}") for role, content in turns)
        key = json.dumps(dict(kwargs), sort_keys=True), form
        if key not in self._shapes:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            self._shapes[key] = self._tried(turns, kwargs)
        return self._shapes[key]

    def _tried(self, turns: Sequence[Turn], kwargs: Mapping[str, Any]) -> _Shape:
        """Try the ways to join turns, in the order of `JOINS`, until the template renders all contents.

        Raises Refused if no way makes the template render all contents.
        """
        places = _with_places(turns, range(len(turns)), MARK)
        refusals = []
        for join in JOINS:
            joined = join(places)
            try:
                text = self._render(joined, _Arguments(kwargs=kwargs))
            except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
                refusals.append(str(error))
                continue
            lost = [role for role, content in joined if _is_lost(content, text)]
            if not lost:
                tokens = self._tokenizer(text, add_special_tokens=False)["input_ids"]
                return _Shape(join, self.controls.signature(text, tokens), _place(MARK).split(text)[-1])
            refusals.append(f"it leaves out a turn of the role {lost[0]}")
        raise Refused(f"The model's chat template refuses these messages: {refusals[-1]}")

    def _render(self, turns: Sequence[Turn], arguments: _Arguments) -> str:
        """Return what the template makes of the turns. Raises Refused if it goes beyond the limits, or an error of its own."""
        messages = [{"role": role, "content": content} for role, content in turns]
        created_at = arguments.created_at
        dated = {} if created_at is None or not self._formats else self._dated(created_at)
        given = {**arguments.kwargs, **dated, "add_generation_prompt": True, "tokenize": False}
        try:
            with limited():
                return str(self._tokenizer.apply_chat_template(messages, **given))
        except (TooMuch, MemoryError, RecursionError) as error:
            reason = str(error) or type(error).__name__
            raise Refused(f"The model's chat template asks for too much: {reason}") from error

    def _dated(self, created_at: datetime) -> dict[str, Any]:
        """Return arguments by which the template sees the date of `created_at`.

        A template cannot be given a function that formats the date. So it gets a table: format -> the date in this format.
        """
        dates = {one: created_at.strftime(one) for one in self._formats}
        return {"chat_template": _CLOCK + self._tokenizer.get_chat_template(), "dates_by_format": dates}

    def _pieces(self) -> list[str]:
        """Return the texts that the template renders before, between and after the contents of four short conversations.

        Conversations that the template refuses are left out.
        """
        system, user, answer = ("system", f"{MARK}0{MARK}"), ("user", f"{MARK}1{MARK}"), ("assistant", f"{MARK}2{MARK}")
        pieces: list[str] = []
        for turns in ([system, user, answer, user], [user, answer, user], [system, user], [user]):
            try:
                pieces += _place(MARK).split(self._render(turns, _Arguments()))[::2]
            except (Refused, TemplateError, TypeError, ValueError, LookupError, AttributeError):
                continue
        return pieces


def _as_they_are(turns: Sequence[Turn]) -> list[Turn]:
    return list(turns)


def _without_empty_systems(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn[0] != "system" or turn[1].strip()]


def _merged(turns: Sequence[Turn]) -> list[Turn]:
    """Join neighbouring turns of the same role, with an empty line between their contents."""
    merged: list[Turn] = []
    for role, content in turns:
        if merged and merged[-1][0] == role:
            merged[-1] = (role, _joined(merged[-1][1], content))
        else:
            merged.append((role, content))
    return merged


def _folded(turns: Sequence[Turn], *, first_too: bool) -> list[Turn]:
    """Put each system turn at the beginning of the user turn that follows it. If no user turn follows, make the system turn a
    user turn.

    If `first_too` is false, a system turn that begins the conversation stays as it is.
    """
    folded: list[Turn] = []
    pending: list[str] = []
    for place, (role, content) in enumerate(turns):
        if role == "system" and (first_too or place):
            pending.append(content)
            continue
        if role == "user":
            folded.append((role, _joined(*pending, content)))
        else:
            folded += [("user", _joined(*pending))] if pending else []
            folded.append((role, content))
        pending = []
    return [*folded, ("user", _joined(*pending))] if pending else folded


def _begun_by_user(turns: Sequence[Turn]) -> list[Turn]:
    """Put an empty user turn before an answer that begins the conversation."""
    return [("user", ""), *turns] if turns and turns[0][0] == "assistant" else list(turns)


def _joined(*texts: str) -> str:
    """Join texts that are not blank, with an empty line between them."""
    return "\n\n".join(text for text in texts if text.strip())


JOINS: Final[tuple[Join, ...]] = (
    _as_they_are,
    _without_empty_systems,
    lambda turns: _merged(_without_empty_systems(turns)),
    lambda turns: _folded(_without_empty_systems(turns), first_too=False),
    lambda turns: _merged(_folded(_merged(_without_empty_systems(turns)), first_too=False)),
    lambda turns: _folded(_without_empty_systems(turns), first_too=True),
    lambda turns: _merged(_folded(_without_empty_systems(turns), first_too=True)),
    lambda turns: _begun_by_user(_merged(_folded(_without_empty_systems(turns), first_too=True))),
)
"""The ways to join turns, in the order in which they are tried. Ways that change less come first."""


def _with_places(turns: Sequence[Turn], hidden: Container[int], mark: str) -> list[Turn]:
    """Return the turns. In each turn whose number is in `hidden`, a placeholder replaces the content.

    White space around a content stays, so that the template can cut it. Blank contents get no placeholder.
    """
    return [
        (role, _placed(content, f"{mark}{n}{mark}") if n in hidden else content)
        for n, (role, content) in enumerate(turns)
    ]


def _placed(content: str, place: str) -> str:
    inner = content.strip()
    before, _, after = content.partition(inner) if inner else (content, "", "")
    return f"{before}{place}{after}" if inner else content


def _is_lost(content: str, text: str) -> bool:
    """Whether a rendered text lacks a placeholder that is in a content."""
    return any(f"{MARK}{number}{MARK}" not in text for number in _place(MARK).findall(content))


def _place(mark: str) -> re.Pattern[str]:
    return re.compile(f"{mark}([0-9]+){mark}")


def _mark_for(turns: Sequence[Turn]) -> str:
    """Return a private-use character that no content holds."""
    used = {character for _, content in turns for character in set(content)}
    return next(mark for mark in map(chr, chain(range(0xE000, 0xF900), range(0xF0000, 0xFFFFE))) if mark not in used)


def _put_limits_into_transformers() -> None:
    """Let transformers render chat templates in our environment, which is its own sandbox with limits."""
    from transformers.utils import chat_template_utils

    chat_template_utils.ImmutableSandboxedEnvironment = LimitedEnvironment


def _source(tokenizer: Any) -> str:
    """Return the source of the tokenizer's template. If there are several named templates, return the sources of all of them."""
    found = tokenizer.chat_template
    return "\n".join(map(str, found.values())) if isinstance(found, dict) else str(found)
