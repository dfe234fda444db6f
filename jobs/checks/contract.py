"""The contract of a kind says which fields of its output the model wrote, in which language, and which checks they must pass."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast, get_args

from jobs.checks.check import Form, Piece, Subject
from jobs.findings import CheckSettings


@dataclass(frozen=True, slots=True)
class Contract:
    """A kind's description of itself for the checks: its attribute `contract`. A kind without one has only the general checks."""

    texts: Mapping[str, Form] = field(default_factory=dict)
    """Field of the output -> its form, for each text or list of texts that the model wrote, the main one first. Empty: all texts
    of the output.
    """
    writes: bool = True
    """Whether the model writes. If it only chooses among words of the request, no text is checked as one that it wrote."""
    checks: Sequence[str] = ()
    """The codes of the checks that this kind has besides the general ones."""
    settings: CheckSettings = field(default_factory=dict)
    """The severities and limits of checks that the kind changes."""
    language: str = "language"
    """The field of the request with the language of the output."""
    source: str | None = None
    """The field of the request with the text from which the output is made."""
    source_language: str | None = None
    """The field of the request with the language of the source."""
    form: str | None = None
    """The field of the request with the form of the texts, if a row may choose it."""
    holds_prompt: bool = False
    """Whether a row holds the whole prompt, as in a chat, so that any text may be asked for."""

    def subject(
        self,
        kind: str,
        request: Mapping[str, Any],
        output: Mapping[str, Any] | str,
        *,
        prompts: Sequence[str] = (),
        cut_off: bool = False,
    ) -> Subject:
        """Return a row and its output as checks read them. If the output is a text and no object, it is the main text."""
        main = next(iter(self.texts), "text")
        fields: Mapping[str, Any] = {main: output} if isinstance(output, str) else output
        fields = {name: _sound(value) if isinstance(value, str) else value for name, value in fields.items()}
        language = _text(request.get(self.language))
        form = request.get(self.form) if self.form else None
        forms = self.texts or dict.fromkeys((name for name, value in fields.items() if isinstance(value, str)), "plain")
        pieces = [
            Piece(where, text, cast("Form", form) if form in get_args(Form) else usual, language)
            for name, usual in forms.items()
            for where, text in (_texts(name, fields.get(name)) if self.writes else ())
            if where == name
            or text not in map(fields.get, forms)  # the first of several answers is a field of its own too
        ]
        return Subject(
            kind=kind,
            request=request,
            output=fields,
            pieces=pieces,
            language=language,
            source_language=_text(request.get(self.source_language)) if self.source_language else None,
            source=_sound(_text(request.get(self.source)) or "") or None if self.source else None,
            prompts=[_sound(prompt) for prompt in prompts],
            holds_prompt=self.holds_prompt,
            cut_off=cut_off,
        )


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield name and text of a field. In a list, such as the choices of a chat, each text has its number after the name, and each
    text of an object its number and its key.
    """
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list | tuple):
        for n, one in enumerate(value):
            if isinstance(one, str):
                yield f"{name}.{n}", _sound(one)
            elif isinstance(one, Mapping):
                yield from ((f"{name}.{n}.{key}", _sound(text)) for key, text in one.items() if isinstance(text, str))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _sound(text: str) -> str:
    """Return a text with U+FFFD in place of each half of a character, which neither sentencex nor a file takes."""
    return text if text.isascii() else _HALF.sub("\ufffd", text)


_HALF: Final = re.compile("[\ud800-\udfff]")
