"""Describes how a prompt lets its completion begin with thoughts, and the parts of such a completion."""

from collections.abc import Sequence
from dataclasses import dataclass

from workers.engines.text.reasoning_forms import Marks


@dataclass(frozen=True, slots=True)
class Answer:
    """Where an answer begins: after `first` tokens. Its text is that of the tokens from `base`, without `cut` characters."""

    first: int = 0
    base: int = 0
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """The two parts of a completion: the thoughts and the answer. `reasoning_tokens` counts the tokens before the answer."""

    reasoning: str
    text: str
    reasoning_tokens: int


@dataclass(frozen=True, slots=True)
class Opening:
    """The beginning of thoughts: after `tokens` tokens, or after `cut` characters if the opening is spelled in ordinary tokens.

    `written` is whether the opening stands in the completion; if not, it stands in the prompt or is missing. `words` are the
    words before a late opening.
    """

    spelled: bool
    tokens: int = 0
    cut: int = 0
    written: bool = True
    words: str = ""


@dataclass(frozen=True, slots=True)
class Thinking:
    """What a prompt says about the thoughts of its completion.

    Args:
        marks: The marks of the model.
        inside: Whether the prompt ends within thoughts; None if the template wrote no mark at its end.
        quoted: Whether the prompt's contents hold a mark.
        begins_line: Whether a line of the contents begins with an opening.
        answer_tokens: The largest number of tokens of the answer alone; None if only `max_tokens` counts.
    """

    marks: Marks
    inside: bool | None
    quoted: bool = False
    begins_line: bool = False
    answer_tokens: int | None = None

    @classmethod
    def of(cls, marks: Marks, tail: str, contents: Sequence[str], answer_tokens: int | None) -> "Thinking":
        """Return the Thinking of a prompt with these contents. The prompt ends in `tail`, a text that the template wrote."""
        form = marks.form
        quoted = any(mark in content for content in contents for mark in (*form.openings, *form.closings))
        lines = [line.strip() for content in contents for line in content.splitlines()] if quoted else []
        return cls(
            marks, marks.state(tail), quoted, any(line.startswith(form.openings) for line in lines), answer_tokens
        )
