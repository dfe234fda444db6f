"""The forms in which reasoning models mark their thoughts, by the names that a model's card gives in `reasoning`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any, Final

Decode = Callable[[list[int]], str]
Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """The marks of one form. Thoughts stand before the answer.

    Args:
        openings: Texts. Each of them may begin the thoughts.
        closings: Texts. Each of them may end the thoughts and begin the answer. Longer texts come first.
        label: A word that the model puts at the beginning of its thoughts. The word is taken off.
        wrappers: Pairs of texts around the answer. A pair is taken off if the chat template has its first text.
        header: The two tokens around the name of a channel in thoughts. The tokens and the name are taken off.
        end: A token that ends the answer, if the model does not list it as an end token.
    """

    openings: tuple[str, ...]
    closings: tuple[str, ...]
    label: str = ""
    wrappers: tuple[tuple[str, str], ...] = ()
    header: tuple[str, str] | None = None
    end: str = ""


_ANSWERS: Final = (("<answer>", "</answer>"), ("<response>", "</response>"), ("<output>", "</output>"))

FORMS: Final[Mapping[str, Form]] = {
    # gpt-oss
    "harmony": Form(
        ("<|channel|>analysis<|message|>", "<|channel|>commentary<|message|>"),
        (
            "<|end|><|start|>assistant<|channel|>final<|message|>",
            "<|channel|>final<|message|>",
            "<|channel|>final <|constrain|>json<|message|>",
        ),
        header=("<|start|>", "<|message|>"),
        end="<|end|>",
    ),
    # Gemma 4
    "gemma": Form(("<|channel>",), ("<channel|>",), label="thought"),
    # Command A Reasoning
    "cohere": Form(
        ("<|START_THINKING|>",), ("<|END_THINKING|>",), wrappers=(("<|START_RESPONSE|>", "<|END_RESPONSE|>"),)
    ),
    # Apertus
    "apertus": Form(("<|inner_prefix|>",), ("<|inner_suffix|>",)),
    # Magistral and later models of Mistral
    "mistral": Form(("[THINK]",), ("[/THINK]",)),
    # Seed-OSS
    "seed": Form(("<seed:think>",), ("</seed:think>",)),
    # Kimi-VL-Thinking
    "kimi": Form(("\u25c1think\u25b7",), ("\u25c1/think\u25b7",)),
    # OpenThinker, Sky-T1
    "openthinker": Form(
        ("<|begin_of_thought|>",),
        ("<|end_of_thought|>",),
        wrappers=(("<|begin_of_solution|>", "<|end_of_solution|>"),),
    ),
    # Granite 3.2
    "granite": Form(
        ("Here is my thought process:", "Here's my thought process:"),
        ("Here is my response:", "Here's my response:"),
    ),
    # DeepSeek-R1, Qwen3, QwQ, GLM, MiniMax, Phi-4-reasoning, SmolLM3, Nemotron, OLMo 3, Hunyuan, Granite 3.3 and many others
    "think": Form(("<think>",), ("</think>",), wrappers=_ANSWERS),
    # EXAONE Deep
    "thought": Form(("<thought>", "<Thought>"), ("</thought>", "</Thought>"), wrappers=_ANSWERS),
    # Fine-tuned models, such as Reflection
    "thinking": Form(("<thinking>",), ("</thinking>",), wrappers=_ANSWERS),
    "reasoning": Form(("<reasoning>",), ("</reasoning>",), wrappers=_ANSWERS),
}
"""Name -> form. If a chat template has marks of several forms, the form that comes first here is taken."""


def form_of(name: str, tokenizer: Any, source: str) -> Form | None:
    """Return the form that a card names. For `auto`, return the first form whose marks the template or the vocabulary has; None
    if none.

    A vocabulary shows a form if both an opening and a closing are tokens that were added to it. `source` is the source of the
    chat template.
    """
    if name == "none":
        return None
    if name != "auto":
        return FORMS[name]
    added = {str(token.content) for token in getattr(tokenizer, "added_tokens_decoder", {}).values()}
    for form in FORMS.values():
        if any(mark in source for mark in (*form.openings, *form.closings)):
            return form
        if added.intersection(form.openings) and added.intersection(form.closings):
            return form
    return None


class Marks:
    """The marks of a form, as a tokenizer writes them.

    Args:
        form: The form.
        tokenizer: A tokenizer of transformers.
        source: The source of its chat template.
        decode: Turns tokens into text, without special tokens.
    """

    def __init__(self, form: Form, tokenizer: Any, source: str, decode: Decode) -> None:
        self.form = form
        self.decode = decode
        added = getattr(tokenizer, "added_tokens_decoder", {})
        self._special = {token for token, one in added.items() if one.special}

        def ids(texts: Iterable[str]) -> tuple[Ids, ...]:
            written = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts if text)
            # A tokenizer may put a space before a text, so a mark begins with its first added token.
            found = (tuple(dropwhile(lambda token: token not in added, one)) for one in written)
            return tuple(one for one in found if one)

        self.openings, self.closings = ids(form.openings), ids(form.closings)
        self.spelled_openings: tuple[Ids, ...] = ()
        if not self.openings:
            texts = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in form.openings)
            self.spelled_openings = tuple(tuple(one) for one in texts if one)
        self.are_special = any(token in self._special for one in self.closings for token in one)
        self.tokens = frozenset(token for one in (*self.openings, *self.closings) for token in one if token in added)
        self.header = ids(form.header or ())
        self.ends = ids((form.end,))
        self.wrappers = tuple(pair for pair in form.wrappers if pair[0] in source)

    def state(self, text: str) -> bool | None:
        """Return True if the text that a template wrote at the end of the prompt begins thoughts; False if it also ends these
        thoughts.

        Returns None if the text has no mark, or has marks only in a sentence that speaks of them.
        """
        after = min((text.rpartition(mark)[2] for mark in self.form.openings if mark in text), key=len, default=text)
        if self.is_blank(after):
            return True if after != text else None
        closed = [mark for mark in self.form.closings if mark in after]
        before = min((after.partition(mark)[0] for mark in closed), key=len, default=after)
        return False if closed and (after == text or self.is_blank(before)) else None

    def is_blank(self, text: str) -> bool:
        """Whether the text of thoughts is empty, or only a label."""
        return text.strip() in {"", self.form.label}

    def is_special(self, token: int) -> bool:
        """Whether a token is special and is no mark of thoughts."""
        return token in self._special and token not in self.tokens

    def thoughts(self, tokens: Sequence[int]) -> str:
        """Return the text of thoughts, without names of channels and without a label."""
        pieces: list[list[int]] = [[]]
        inside = False
        for token in tokens:
            if self.header and (token,) in self.header:
                inside = (token,) == self.header[0]
                pieces.append([])
            elif not inside:
                pieces[-1].append(token)
        return self.without_label("\n\n".join(text for one in pieces if (text := self.decode(one).strip())))

    def without_label(self, text: str) -> str:
        """Return thoughts without the label at their beginning, and without a second opening there."""
        text = text.strip()
        for mark in self.form.openings:
            text = text.removeprefix(mark).strip()
        label = self.form.label
        return text[len(label) :].strip() if label and f"{text}\n".startswith((f"{label}\n", f"{label} ")) else text
