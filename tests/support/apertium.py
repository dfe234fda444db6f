"""An engine that translates English into Spanish by rules, with Debian's `apertium` and `apertium-eng-spa`, as a process.

It reads `Prompt.translatable` alone, as an encoder-decoder model does, and damages what it does not know as such models do: it
makes `{usuario.Primer_nombre}` of `{user.first_name}`. So tests see what real translations do to marks. It needs no model.
"""

import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from jobs.generation import Completion, Fault, GenerationRequest
from tests.support.engines import Scripted

_BETWEEN: Final = "\n\n\u2042\n\n"
_MOST_AT_ONCE: Final = 500


def is_installed() -> bool:
    """Whether `apertium eng-spa` runs on this machine."""
    program = shutil.which("apertium")
    if program is None:
        return False
    done = subprocess.run([program, "-l"], capture_output=True, text=True, check=False)
    return "eng-spa" in done.stdout.split()


def translated(texts: Sequence[str]) -> list[str]:
    """Return English texts in Spanish. A text that would upset the separation of texts is translated by itself."""
    found: list[str] = []
    for start in range(0, len(texts), _MOST_AT_ONCE):
        part = texts[start : start + _MOST_AT_ONCE]
        answers = _run(_BETWEEN.join(part)).split(_BETWEEN.strip())
        if len(answers) != len(part):
            answers = [_run(text) for text in part]
        found += [answer.strip("\n") for answer in answers]
    return found


def _run(text: str) -> str:
    done = subprocess.run(["apertium", "-u", "eng-spa"], input=text, capture_output=True, text=True, check=True)
    return done.stdout


class Apertium(Scripted):
    """The engine. A prompt that asks for no translation is a fault of its own request."""

    def step(self) -> Sequence[Completion]:
        requests = [one for one in self.waiting.values() if one.prompt.translatable is not None]
        texts = [one.prompt.translatable.text for one in requests if one.prompt.translatable is not None]
        answers = dict(zip((one.request_id for one in requests), translated(texts), strict=True)) if texts else {}
        self.answer = lambda request: _completion(request, answers.get(request.request_id))
        return super().step()


def _completion(request: GenerationRequest, text: str | None) -> Completion:
    if text is None:
        return Completion(request.request_id, "", "error", fault=Fault("unsupported_parameter", "nothing to translate"))
    return Completion(request.request_id, text, "stop", 4, 0, len(text.split()), 1000)
