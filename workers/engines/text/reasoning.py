"""Reasoning: separates the thoughts that a model writes first from the answer that follows.

Thoughts stand at the beginning of a completion, between two marks (`reasoning_forms`). A chat template may itself write the
first mark at the end of the prompt; then the completion begins within the thoughts. If the vocabulary has a mark as a token,
the mark is found by this token. A mark may also be *spelled*, in tokens of ordinary characters, as in a text on XML. A spelled
mark counts only if the model has no such token, or at the very beginning of a completion.

Words may come before the opening (`Okay. <think>`), or the opening may be missing. Then the form of the text decides whether the
mark separates thoughts or is only mentioned (`stray_marks`). The words before such an opening count as thoughts.

If the prompt's own contents hold a mark (it is *quoted*), the answer may repeat it. So a quoted mark that is not a special
token counts only if it stands alone. A closing must stand at the beginning or the end of a line. If a line of the contents
begins with an opening, the opening must be followed by the end of its line.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from workers.engines.text.places import place_of, places_of, positions_of
from workers.engines.text.reasoning_forms import Decode, Marks
from workers.engines.text.stray_marks import begins_thoughts, ends_thoughts, stands_alone
from workers.engines.text.thinking import Answer, Opening, Split, Thinking

HEAD_TOKENS: Final = 64
"""A spelled opening, and an opening after words, is looked for in at most this many tokens at the beginning of a completion."""

TAIL_TOKENS: Final = 96
"""A spelled closing is first looked for in only this many of the last tokens, because decoding a long text is slow."""


@dataclass(slots=True)
class Thoughts:
    """Follows one completion from token to token, and finds where its answer begins."""

    thinking: Thinking
    _opening: Opening | None = None
    _answer: Answer | None = field(default=None)
    _looks_for_late: bool = True

    @property
    def marks(self) -> Marks:
        """The marks of the model."""
        return self.thinking.marks

    def answer(self, tokens: list[int], *, ended: bool = False) -> Answer | None:
        """Return where the answer begins; None while the completion is within its thoughts, or may still begin with thoughts.

        Args:
            tokens: The completion so far.
            ended: Whether no further token follows.
        """
        if self._answer is None:
            self._answer = self._found(tokens, ended)
        if self._looks_for_late and self._answer == Answer():
            self._opening = self._late_opening(tokens, ended)
            self._looks_for_late = self._opening is None and len(tokens) <= HEAD_TOKENS
            self._answer = Answer() if self._opening is None else self._found(tokens, ended)
        return self._answer

    def decoded(self, answer: Answer) -> Decode:
        """Return the function that turns the tokens of the completion into the text of the answer."""
        marks = self.marks

        def decode(tokens: list[int]) -> str:
            if not answer.first:
                return marks.decode(tokens)
            end = min(
                (at for ids in marks.ends if (at := place_of(tokens, ids, answer.base)) is not None), default=None
            )
            text = marks.decode(tokens[answer.base : end])[answer.cut :].lstrip()
            for begin, _ in marks.wrappers:
                text = text.removeprefix(begin).lstrip() if text.startswith(begin) else text
            return text

        return decode

    def split(self, tokens: list[int], *, by_end_token: bool) -> Split:
        """Return the two parts of a completion that has ended. `by_end_token` says whether an end token ended it."""
        answer = self.answer(tokens, ended=True)
        if by_end_token and self._only_speaks_of_opening(tokens, answer):
            answer, self._opening = Answer(), None
            self._answer = answer
        elif answer == Answer():
            cut = not by_end_token and self._is_cut_opening(tokens)
            answer = None if cut else self._lone_closing(tokens) or answer
        if answer is None:
            return Split(self._reasoning(tokens, len(tokens), None), "", len(tokens))
        text = self.decoded(answer)(tokens)
        if not answer.first:
            return Split("", text, 0)
        for begin, end in self.marks.wrappers:
            if begin and text.rstrip().endswith(end):
                text = text.rstrip().removesuffix(end).rstrip()
        return Split(self._reasoning(tokens, answer.first, answer), text, answer.first)

    # -- the beginning of the thoughts ------------------------------------------------------------------------------

    def _found(self, tokens: list[int], ended: bool) -> Answer | None:
        if self._opening is None:
            decided = self._begun(tokens, ended)
            if decided is False:
                return Answer()
            if decided is None:
                return None
            self._opening = decided
        if self._opening.spelled:
            return self._spelled_closing(tokens, self._opening.cut, ended)
        return self._closing(tokens, self._opening.tokens, ended)

    def _begun(self, tokens: list[int], ended: bool) -> "Opening | Literal[False] | None":
        """Return the opening that begins the completion; False if the answer begins at once, None if that is not certain yet."""
        marks, thinking = self.marks, self.thinking
        if thinking.inside:
            return Opening(spelled=not marks.closings, written=False)
        if thinking.quoted and thinking.inside is False and not marks.are_special:
            return False
        start = self._first_word(tokens, 0)
        rest = tuple(tokens[start:])
        for ids in marks.openings:
            if rest[: len(ids)] == ids:
                opening = Opening(spelled=False, tokens=start + len(ids))
                return self._confirmed(opening, marks.decode(tokens[opening.tokens :]), ended)
        if any(rest[: len(ids)] == ids for ids in marks.closings):
            return Opening(spelled=False, tokens=start, written=False)
        head = marks.decode(tokens[:HEAD_TOKENS])
        text = head.lstrip().rstrip("\ufffd")  # the tokens of the last character may not all be there
        for mark in marks.form.openings:
            if text.startswith(mark):
                cut = len(head) - len(head.lstrip()) + len(mark)
                return self._confirmed(Opening(spelled=True, cut=cut), head[cut:], ended)
        may_follow = any(ids[: len(rest)] == rest for ids in (*marks.openings, *marks.closings)) or any(
            mark.startswith(text) for mark in marks.form.openings
        )
        return None if may_follow and not ended else False

    def _late_opening(self, tokens: list[int], ended: bool) -> Opening | None:
        """Return an opening that comes after some words; None if there is none."""
        marks, thinking = self.marks, self.thinking
        if thinking.inside is False or (thinking.quoted and not marks.are_special):
            return None
        for ids in marks.openings:
            at = place_of(tokens, ids, 0)
            if at is None or at >= HEAD_TOKENS:
                continue
            words, after = marks.decode(tokens[:at]), marks.decode(tokens[at + len(ids) :])
            if marks.are_special or begins_thoughts(words, "", after):
                return Opening(spelled=False, tokens=at + len(ids), words=words.strip())
        head = "" if marks.openings else marks.decode(tokens[: HEAD_TOKENS + 1])
        for mark in marks.form.openings if head else ():
            words, found, after = head.partition(mark)
            if found and begins_thoughts(words, mark, after):
                return Opening(spelled=True, cut=len(words) + len(mark), words=words.strip())
        return None

    def _only_speaks_of_opening(self, tokens: list[int], answer: Answer | None) -> bool:
        """Whether a finished completion only mentions the opening that it has.

        It does if no answer follows, and either the prompt mentions a mark too or words come before the opening. With words
        before the opening, it also does if the text up to the closing ends with a colon, which announces the closing.
        """
        opening = self._opening
        if opening is None or not opening.written or not (self.thinking.quoted or opening.words):
            return False
        if answer is None:
            return True
        if not opening.words or self.marks.are_special:
            return False
        announced = self._reasoning(tokens, answer.first, answer).endswith(":")
        return announced or not self.decoded(answer)(tokens).strip()

    def _is_cut_opening(self, tokens: list[int]) -> bool:
        """Whether the whole completion is the beginning of an opening. Openings that begin with a word do not count."""
        marks = self.marks
        text = marks.decode(tokens).lstrip().rstrip("\ufffd")
        spelled = any(text and mark.startswith(text) and not text[0].isalpha() for mark in marks.form.openings)
        return spelled or any(ids[: len(tokens)] == tuple(tokens) for ids in marks.openings)

    def _confirmed(self, opening: Opening, after: str, ended: bool) -> "Opening | Literal[False] | None":
        """Return the opening if the text `after` it shows that it begins thoughts; False if it is part of an answer; None if
        not certain.
        """
        if not self.thinking.begins_line or (self.marks.are_special and not opening.spelled):
            return opening
        if not after.strip(" "):
            return opening if ended else None
        label = self.marks.form.label
        return opening if after.lstrip(" ").startswith(("\n", label) if label else "\n") else False

    # -- the end of the thoughts ------------------------------------------------------------------------------------

    def _closing(self, tokens: list[int], start: int, ended: bool) -> Answer | None:
        """Return the answer after the first closing, as tokens, from token `start` on; None if there is no closing."""
        first: int | None = None
        places = sorted(
            (at, -len(ids)) for ids in self.marks.closings for at in places_of(tokens, ids, start)
        )  # of closings that begin at one place, the longest first
        for at, size in places:
            end = at - size
            if not self.thinking.quoted or self.marks.are_special:
                return self._after_more_thoughts(tokens, end, ended)
            before, after = self.marks.decode(tokens[start:at]), self.marks.decode(tokens[end:])
            if stands_alone(before, after, ended):
                return Answer(end, end)
            first = end if first is None else first
        return Answer(first, first) if ended and first is not None else None

    def _after_more_thoughts(self, tokens: list[int], end: int, ended: bool) -> Answer | None:
        """Return the answer after the thoughts that end before token `end`. Further thoughts that follow at once are passed
        over too.
        """
        start = self._first_word(tokens, end)
        rest = tuple(tokens[start:])
        for ids in self.marks.closings:
            if rest[: len(ids)] == ids:
                return self._after_more_thoughts(tokens, start + len(ids), ended)
        for ids in self.marks.openings:
            if rest[: len(ids)] == ids:
                return self._closing(tokens, start + len(ids), ended)
        return Answer(end, end) if rest or ended else None

    def _first_word(self, tokens: list[int], start: int) -> int:
        """Return the place of the first token from `start` on that is a mark or has a text that is not blank."""
        marks = self.marks
        found = (n for n in range(start, len(tokens)) if tokens[n] in marks.tokens or marks.decode([tokens[n]]).strip())
        return next(found, len(tokens))

    def _spelled_closing(self, tokens: list[int], start: int, ended: bool) -> Answer | None:
        """Return the answer after the first spelled closing from character `start` on; None if there is no closing."""
        decode, closings = self.marks.decode, self.marks.form.closings
        recent = decode(tokens[-TAIL_TOKENS:])
        if not ended and not any(mark in recent for mark in closings):
            return None
        text = decode(tokens)
        first: int | None = None
        for at, end in sorted((at, at + len(mark)) for mark in closings for at in positions_of(text, mark, start)):
            if not self.thinking.quoted or stands_alone(text[start:at], text[end:], ended):
                return self._answer_after(tokens, end)
            first = end if first is None else first
        return self._answer_after(tokens, first) if ended and first is not None else None

    def _lone_closing(self, tokens: list[int]) -> Answer | None:
        """Find a closing without an opening: some templates lack the opening that their model was trained with.

        The form of the text must show that the closing ends thoughts. Otherwise the answer only mentions it.
        """
        marks = self.marks
        if self._opening is not None or (self.thinking.quoted and not marks.are_special):
            return None
        for ids in marks.closings:
            at = place_of(tokens, ids, 0)
            if at is None or any(place_of(tokens[:at], one, 0) is not None for one in marks.openings):
                continue
            end = at + len(ids)
            if marks.are_special or ends_thoughts(marks.decode(tokens[:at]), marks.decode(tokens[end:]), marks.form):
                return Answer(end, end)
        text = marks.decode(tokens)
        for mark in () if marks.closings else marks.form.closings:
            before, found, after = text.partition(mark)
            if found and ends_thoughts(before, after, marks.form):
                return self._answer_after(tokens, len(before) + len(mark))
        return None

    def _answer_after(self, tokens: list[int], cut: int) -> Answer:
        """Return the answer whose text begins after `cut` characters, with the number of tokens that these characters take."""
        low, high = 0, len(tokens)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if len(self.marks.decode(tokens[:middle])) >= cut else (middle + 1, high)
        return Answer(low, 0, cut)

    def _reasoning(self, tokens: list[int], first: int, answer: Answer | None) -> str:
        marks, opening = self.marks, self._opening or Opening(spelled=False)
        if opening.spelled or (answer is not None and answer.cut):
            text = marks.decode(tokens) if answer is None else marks.decode(tokens)[: answer.cut]
            for mark in marks.form.closings if answer is not None else ():
                text = text.removesuffix(mark)
            return _joined(opening.words, marks.without_label(text[opening.cut :]))
        thoughts = tokens[opening.tokens : first]
        if answer is not None:
            size = max((len(ids) for ids in marks.closings if tuple(thoughts[-len(ids) :]) == ids), default=0)
            thoughts = thoughts[: len(thoughts) - size]
        return _joined(opening.words, marks.thoughts(thoughts))


def _joined(words: str, thoughts: str) -> str:
    return "\n\n".join(filter(None, (words, thoughts)))
