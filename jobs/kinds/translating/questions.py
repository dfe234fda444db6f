"""Asks for the parts of a translation, each different part once, and reads the answers with their marks put back.

The model sees the text of a part with signs in place of its marks. An answer that does not keep them is damaged: the part is
asked for again, with what was wrong and with other signs, and at last with the damaged marks in sight. If that does not help, the
row fails; a damaged answer is never taken. A search with beams has further answers: the best one that is whole is taken before
anything is asked again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from jobs.checks.checker import Checker
from jobs.checks.translation.mending import mended
from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt, SamplingParams, Translatable
from jobs.kinds.translating.memory import Hint
from jobs.kinds.translating.parts import Part
from jobs.kinds.translating.reading import target_of
from jobs.kinds.translating.request import TranslationRequest
from jobs.kinds.translating.terms import targets_as_marks, terms_of
from jobs.languages.names import language_name
from jobs.marks.damage import Damaged
from jobs.marks.keeping import check_whole, sure_marks
from jobs.marks.mark import Mark
from jobs.marks.masking import Masked, mask
from jobs.writing.asking_again import label_of_try, params_of_try
from jobs.writing.templates import Templates

TEMPLATES: Final = ("translation_system.j2", "translation_user.j2")
"""The templates of a prompt: of its system turn, and of the user's."""

MOST_NAMED: Final = 12
"""A prompt names at most this many signs; of more it names the first and the last."""

SPARE: Final = 3
"""A part with marks is asked for with this many further answers, of which one is taken if the best is damaged."""

_IN_SIGHT_FROM: Final = 3
"""From this try on the model sees the marks that were damaged before. So it does in the last try."""


@dataclass(frozen=True, slots=True)
class Question:
    """A part that a model is asked for: its name, the part, what stands before it on its line, and a similar unit."""

    name: str
    part: Part
    beginning: str = ""
    hint: Hint | None = None


@dataclass(slots=True)
class _Asked:
    """The last prompt for a question, and what the answers to it were."""

    prompt: Prompt
    masked: Masked
    damage: Damaged | None = None
    damaged: set[Mark] = field(default_factory=set)
    is_cut_off: bool = False


class Questions:
    """The questions of one row.

    Args:
        request: The request.
        questions: What is asked.
        templates: The templates of the process.
        checker: The checker of the row.
    """

    def __init__(
        self,
        request: TranslationRequest,
        questions: Sequence[Question],
        templates: Templates,
        checker: Checker,
    ) -> None:
        self._request = request
        self._questions = questions
        self._templates = templates
        self._checker = checker
        self._mends = any(checker.limits(code) is not None for code in ("end_punctuation", "whitespace_edges"))
        self._asked: dict[int, _Asked] = {}
        self._missed: dict[int, Collection[str]] = {}
        """Number of a question -> the translations of terms that its last answer lacked."""
        self.removed: dict[str, list[str]] = {}
        """The pieces that were taken off the answers, by the label of the prompt."""
        self.alternatives: dict[int, Sequence[str]] = {}
        """The next best answers to each question, by its number, if the row asks for some."""

    def ask(self, n: int, number: int, faults: Sequence[str]) -> Prompt:
        """Return the prompt of a question at its try `number`, with what was wrong with the answer before."""
        question, before = self._questions[n], self._asked.get(n)
        part, request = question.part, self._request
        in_sight = (
            before.damaged if before and number > 1 and number >= min(_IN_SIGHT_FROM, self._checker.tries) else ()
        )
        hidden = [mark for mark in part.marks if mark not in in_sight]
        if number == self._checker.tries and (missed := self._missed.get(n)):
            hidden = sorted([*hidden, *targets_as_marks(request, part.text, part.marks, missed)], key=_start)
        targets = [target for one in request.terms.glossary.values() for target in one]
        beside = "\n".join([part.before, request.context, *targets])
        masked = mask(part.text, hidden, request.signs, beside=beside, variant=number - 1)
        if before is not None and before.damage is not None:
            faults = [before.damage.told(masked.sign_of)]
        prompt = self._prompt(question, masked, number, faults)
        self._asked[n] = _Asked(prompt, masked, None, before.damaged if before else set())
        return prompt

    def _prompt(self, question: Question, masked: Masked, number: int, faults: Sequence[str]) -> Prompt:
        request, part = self._request, question.part
        shown = [*masked.signs, *(dict.fromkeys(mark.text for mark in part.marks if masked.sign_of(mark) == mark.text))]
        messages, sha256 = self._templates.messages(
            *TEMPLATES,
            source=masked.text,
            source_language=language_name(request.source_language),
            target_language=language_name(request.target_language),
            formality=request.formality,
            context=request.context.strip(),
            before=part.before,
            hint=question.hint,
            signs=shown if len(shown) <= MOST_NAMED else [],
            sign_range=(shown[0], shown[-1]) if len(shown) > MOST_NAMED else None,
            max_length=request.max_length if part.text == request.text.strip() else None,
            faults=faults,
            **terms_of(request, part.text, masked.text),
        )
        params = SamplingParams(max_tokens=most_tokens(masked.text) + 32, temperature=0.0)
        return Prompt(
            messages=messages,
            params=params_of_try(params, number),
            label=label_of_try(question.name, number),
            replaces=label_of_try(question.name, number - 1) if number > 1 else None,
            template_sha256=sha256,
            quotes=(*faults, *((question.hint.source, question.hint.target) if question.hint else ())),
            translatable=Translatable(
                masked.text,
                request.source_language,
                request.target_language,
                part.before,
                masked.signs,
                max(request.alternatives, SPARE if masked.signs else 0),
            ),
        )

    def read(self, n: int, prompt: Prompt, answer: Completion) -> str:
        """Return the translation of a part with its marks, and keep the alternatives that the row asks for.

        Raises CheckFailed if neither the answer nor one of its alternatives is a translation with all marks.
        """
        asked, whole, error = self._asked[n], dict[str, list[str]](), None
        others = [replace(answer, text=text, finish_reason="stop") for text in answer.alternatives]
        for one in (answer, *others):
            try:
                text, removed = self._read_one(n, prompt, one)
            except CheckFailed as fault:
                error = error or fault
            else:
                asked.is_cut_off = one.finish_reason == "length" if not whole else asked.is_cut_off
                whole.setdefault(text, removed)
        if not whole:
            assert error is not None  # noqa: S101 - no text without an error
            asked.is_cut_off = answer.finish_reason == "length"
            if isinstance(error.__cause__, Damaged):
                asked.damage = error.__cause__
                asked.damaged = {*asked.damaged, *asked.damage.marks}
            raise error
        best, *further = whole
        self.removed[prompt.label], self.alternatives[n] = whole[best], further[: self._request.alternatives]
        return best

    def _read_one(self, n: int, prompt: Prompt, answer: Completion) -> tuple[str, list[str]]:
        """Return the translation of a part with its marks, and what was taken off the answer. A text that came back unchanged is
        not mended. Raises CheckFailed if there is none; if it is damaged, from a Damaged.
        """
        question, request, masked = self._questions[n], self._request, self._asked[n].masked
        part = question.part
        target, removed = target_of(question.name, masked.text, question.beginning, prompt, answer)
        sure = sure_marks(part.text, part.marks, request.source_language)
        try:
            target = masked.restore(target)
            check_whole(target, part.marks, sure, request.target_language)
        except Damaged as error:
            raise CheckFailed(_code_of(error.marks, request), f"{question.name}: {error}", field="text") from error
        if self._mends and target != part.text:
            better = mended(part.text, target, request.target_language, request.source_language)
            try:
                check_whole(better, part.marks, sure, request.target_language)
                target = better
            except Damaged:
                pass  # what was mended is within a mark
        return target, removed

    def faults(self, n: int, text: str) -> Sequence[str]:
        """Return what is wrong with one part, judged as if it were the whole translation."""
        asked = self._asked.get(n)
        found = self._checker.faults(
            {"text": text},
            request={"text": self._questions[n].part.text},
            prompts=asked.prompt.instructions if asked else (),
            cut_off=asked.is_cut_off if asked else False,
        )
        self._missed[n] = {str(one.limit) for one in found if one.code == "glossary_missed"}
        return [one.message for one in found if one.code != "max_length"]


def most_tokens(source: str) -> int:
    """Return the most tokens that a translation may need: one for each character of the source, four for each ideograph."""
    ideographs = 0 if source.isascii() else sum(character >= "\u2e80" for character in source)
    return len(source) + 3 * ideographs


def _start(mark: Mark) -> int:
    return mark.start


def _code_of(marks: Sequence[Mark], request: TranslationRequest) -> str:
    """Return the code of a row that fails because of these marks."""
    text = marks[0].text if marks else ""
    if request.terms.name_places(text) == [(0, len(text))]:
        return "names_changed"
    if any(text.casefold() == target.casefold() for one in request.terms.glossary.values() for target in one):
        return "glossary_missed"
    if text.startswith(("<", "`", "*", "_", "[", "]", "!", "&")) and not text.startswith(("<%", "<?")):
        return "markup_changed"
    if "://" in text or ("@" in text[1:] and "{" not in text) or text.startswith("www."):
        return "url_or_email_changed"
    return "placeholders_changed"
