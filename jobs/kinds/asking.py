"""Asks for several texts side by side, and again for those that cannot be published, until they can or the tries are over."""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from pydantic import BaseModel

from jobs.checks.checker import Checker
from jobs.errors import CheckFailed
from jobs.generation import Completion, Message, Prompt
from jobs.writing.asking_again import label_of_try, params_of_try

Text = TypeVar("Text")

Ask = Callable[[int, int, Sequence[str]], Prompt]
"""Makes the prompt of a text, given its number, the number of the try from 1, and what was wrong with the answer before."""
Read = Callable[[int, Prompt, Completion], Text]
"""Reads an answer as the text of that number. Raises CheckFailed if nothing in it can be used."""
Review = Callable[[Sequence[Text]], Mapping[int, Sequence[str]]]
"""Returns what is wrong with the texts, by number; nothing for a text that can be published."""


def asked_until_kept(
    count: int, ask: Ask, read: Read[Text], review: Review[Text], tries: int
) -> Generator[Sequence[Prompt], Sequence[Completion], Sequence[Text]]:
    """Ask for `count` texts, at most `tries` times each, and return them.

    If `review` still finds faults after the last try, the texts are returned all the same: who judges the output decides then.
    Raises CheckFailed if the answer of the last try cannot be read.
    """
    texts: dict[int, Text] = {}
    due: dict[int, Sequence[str]] = dict.fromkeys(range(count), ())
    for number in range(1, tries + 1):
        prompts = [ask(n, number, faults) for n, faults in due.items()]
        answers = (yield prompts) if prompts else []
        if len(answers) != len(prompts):
            raise CheckFailed("segment_mismatch", f"{len(prompts)} texts were asked for, and {len(answers)} came back")
        asked, due = list(due), {}
        for n, prompt, answer in zip(asked, prompts, answers, strict=True):
            try:
                texts[n] = read(n, prompt, answer)
            except CheckFailed as error:
                if number == tries:
                    raise
                due[n] = [error.message]
        if not due and number < tries:
            due = {n: faults for n, faults in review([texts[n] for n in range(count)]).items() if faults}
        if not due:
            break
    return [texts[n] for n in range(count)]


ANSWER_AGAIN: Final = "Answer the question again, without this fault: the answer alone, no word about this correction."
"""The end of a correction. Without its second part, small models answer the correction instead of the question."""

_OF_THE_ANSWER: Final = r"(?: \w+)? (?:answer|response|version|text|reply|message|summary|list|slogan|attempt)"
_APOLOGY: Final = re.compile(
    r"\s*(?:(?:(?:i(?:['\u2019]m| am) )?(?:so |very )?sorry|my apologies|apologies|i apologi[sz]e|you(?:['\u2019]re| are) right)"
    rf"\b[,!]?[^.!?\n:]{{0,120}}?\b(?:(?:corrected|revised|updated|improved|previous|new){_OF_THE_ANSWER}|"
    r"(?:answer|try|write it) again|(?:the|your|this) correction|without (?:this|the|that) (?:fault|error|mistake))\b"
    r"[^.!?\n:]{0,80}"
    r"|(?:(?:sure|of course|certainly|okay)[,!] )?here(?:['\u2019]s| is) (?:the|a|my|your) "
    rf"(?:corrected|revised|updated|improved){_OF_THE_ANSWER}"
    r"|(?:sure|of course|certainly|okay)[,!] i will (?:answer|try|write it) again"
    r"|thank you for (?:the|your|this) correction)"
    r"(?:[.!:]+(?=\s)|\n)",
    re.IGNORECASE,
)
"""Matches a first sentence that speaks of the correction, such as `Sorry, here is the corrected answer:`."""
_OWN_WORDS: Final = re.compile(r"\b(?:sorry|apolog|correct|revis|updat|improv)", re.IGNORECASE)
"""Matches words by which a row itself may ask for such a sentence."""


def with_correction(prompt: Prompt, answer: str, faults: Sequence[str]) -> Prompt:
    """Return a prompt that shows the model its answer and says what was wrong. A raw text has no turns, so it stays as it is."""
    if not prompt.messages:
        return prompt
    reasons = "\n".join(f"- {fault}" for fault in faults)
    correction = f"Your answer cannot be used, because:\n{reasons}\n{ANSWER_AGAIN}"
    turns = [Message("assistant", answer)] if answer.strip() else []
    return replace(prompt, messages=(*prompt.messages, *turns, Message("user", correction)), quotes=(answer, *faults))


def without_apology(text: str) -> str:
    """Return a further answer without a first sentence that speaks of the correction. A text that has no other sentence stays."""
    found = _APOLOGY.match(text)
    rest = text[found.end() :].lstrip() if found else ""
    return rest or text


def kept_answers(
    prompts: Sequence[Prompt],
    output_of: Callable[[Sequence[Completion]], BaseModel],
    checker: Checker,
    reminders: Sequence[str] = (),
) -> Generator[Sequence[Prompt], Sequence[Completion], Sequence[Completion]]:
    """Ask for answers that are published as they are, and again for those that the checker refuses.

    `output_of` makes the output of one answer, and raises CheckFailed if there is nothing in it. A model that is asked again
    sees its answer and what was wrong with it, and then the `reminders`.
    """
    latest: dict[int, str] = {}

    def ask(n: int, number: int, faults: Sequence[str]) -> Prompt:
        first = prompts[n]
        if number == 1:
            return first
        return replace(
            with_correction(first, latest[n], [*faults, *reminders]),
            params=params_of_try(first.params, number),
            label=label_of_try(first.label, number),
            replaces=label_of_try(first.label, number - 1),
        )

    def read(n: int, prompt: Prompt, answer: Completion) -> Completion:
        is_further = prompt.label != prompts[n].label
        if is_further and not answer.logprobs and not any(map(_OWN_WORDS.search, prompts[n].instructions)):
            answer = replace(answer, text=without_apology(answer.text))
        latest[n] = answer.text
        output_of([answer])
        return answer

    def review(answers: Sequence[Completion]) -> Mapping[int, Sequence[str]]:
        return {n: faults_of(prompts[n], answer) for n, answer in enumerate(answers)}

    def faults_of(prompt: Prompt, answer: Completion) -> Sequence[str]:
        output, cut_off = output_of([answer]).model_dump(mode="json"), answer.finish_reason == "length"
        return [one.message for one in checker.faults(output, prompts=prompt.instructions, cut_off=cut_off)]

    return (yield from asked_until_kept(len(prompts), ask, read, review, checker.tries if checker.checks else 1))
