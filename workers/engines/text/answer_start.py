"""Finds where the answer of a completion begins, token by token, so that a schema constrains the answer and not the thoughts.

The marks of thoughts are ordinary text for a schema, so they may be written only where thoughts may begin: at the beginning of a
completion whose template leaves that open, and after other thoughts (`reasoning`).
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final

from workers.engines.text.reasoning import Thoughts
from workers.engines.text.thinking import Answer, Thinking

_EMPTY: Final[frozenset[int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Next:
    """The tokens that may come next.

    Args:
        answers: Whether the next token may belong to the answer, and so is constrained.
        marks: Tokens of a mark of thoughts, which may come next. If there are none and `answers` is false, any token may come.
        tokens: The tokens of the answer that are new since the last look.
        text: The text of the answer that is new, if the answer begins within a token.
    """

    answers: bool
    marks: frozenset[int] = _EMPTY
    tokens: Sequence[int] = ()
    text: str = ""


class AnswerStart:
    """Follows one completion. `thinking` says how it may begin with thoughts; None if it cannot."""

    def __init__(self, thinking: Thinking | None) -> None:
        self._thoughts = None if thinking is None else Thoughts(thinking)
        inside = None if thinking is None else thinking.inside
        self._answers = thinking is None or inside is False
        self._thinks = inside is True
        self._read = 0
        """The number of tokens that were looked at; before an answer or its marks, the place where they begin."""
        marks = thinking.marks if thinking is not None else None
        self._marks = (
            () if marks is None else tuple(dict.fromkeys((*marks.openings, *marks.closings, *marks.spelled_openings)))
        )

    def look(self, tokens: list[int]) -> Next:
        """Return the tokens that may follow a completion. Call it after every token, first with no tokens."""
        if self._answers:
            new, self._read = tokens[self._read :], len(tokens)
            return Next(answers=True, tokens=new)
        if self._thinks:
            return self._in_thoughts(tokens)
        rest = tuple(tokens[self._read :])
        begun = [one for one in self._marks if one[: len(rest)] == rest]
        if not rest:
            return Next(answers=True, marks=frozenset(one[0] for one in begun))
        if rest in begun:
            self._thinks = True
            return self._in_thoughts(tokens)
        if begun:
            return Next(answers=False, marks=frozenset(one[len(rest)] for one in begun))
        self._answers = True
        return self.look(tokens)

    def _in_thoughts(self, tokens: list[int]) -> Next:
        thoughts = self._thoughts
        assert thoughts is not None  # noqa: S101 - without thoughts all is answer
        answer = thoughts.answer(tokens)
        if answer is None and self._may_have_ended(tokens):
            answer = copy(thoughts).answer(tokens, ended=True)
            if answer is not None and answer.first and not thoughts.decoded(answer)(tokens).strip():
                self._thinks, self._read = False, len(tokens)
                return self.look(tokens)
            return Next(answers=False)
        if answer is None or answer == Answer():
            return Next(answers=False)
        self._answers, self._read = True, len(tokens)
        return Next(answers=True, text=thoughts.decoded(answer)(tokens))

    def _may_have_ended(self, tokens: list[int]) -> bool:
        """Whether the last token is one of a mark, or has no text: only then may a mark have ended the thoughts."""
        if not tokens or not self._marks or self._thoughts is None:
            return False
        marks = self._thoughts.marks
        return tokens[-1] in marks.tokens or not marks.decode([tokens[-1]]).strip()
