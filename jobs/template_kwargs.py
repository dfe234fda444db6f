"""The arguments that rows and models give to a chat template, such as `enable_thinking`: `chat_template_kwargs`, as in vLLM.

A template ignores an argument that it does not use. An argument is refused if the engine or transformers themselves give the
template a value of this name: another value would break the prompt.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

MAX_KWARGS: Final = 32
"""At most this many arguments may be given."""

MAX_CHARACTERS: Final = 1_000
"""A text that is given as an argument has at most this many characters."""

MAX_NUMBER: Final = 1 << 53
"""The absolute value of a number that is given as an argument is at most this."""

RESERVED: Final = frozenset(
    {
        *("self", "messages", "conversation", "conversations", "tools", "documents", "chat_template"),
        *("add_generation_prompt", "continue_final_message", "tokenize", "sanitize_control_tokens", "padding"),
        *("truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask"),
        *("tokenizer_kwargs", "processor_kwargs", "template_kwargs", "strftime_now", "dates_by_format"),
        *("raise_exception", "range", "dict", "namespace", "lipsum", "cycler", "joiner", "loop", "caller"),
    }
)
"""Names that no argument may have, besides those that end in `_token` or `_tokens`."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments without those that are null. Raises PydanticCustomError with a code of `errors.CODES`."""
    for name, value in values.items():
        if not _NAME.fullmatch(name):
            raise _fault("out_of_range", f"{name[:64]!r} cannot be the name of an argument: use letters, digits and _")
        if name in RESERVED or name.endswith(("_token", "_tokens")):
            raise _fault("out_of_range", f"{name} is given to the template by the engine itself: remove it")
        if value is not None and not isinstance(value, str | int | float | bool):
            raise _fault("wrong_type", f"{name} must be a text, a number, true or false")
        if isinstance(value, str) and len(value) > MAX_CHARACTERS:
            raise _fault("out_of_range", f"{name} has more than {MAX_CHARACTERS} characters")
        if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= MAX_NUMBER):
            raise _fault("out_of_range", f"{name} is too large a number")
    return {name: value for name, value in values.items() if value is not None}


TemplateKwargs = Annotated[dict[str, Any], Field(max_length=MAX_KWARGS), AfterValidator(checked)]
"""The type of a field that holds such arguments."""


def _fault(code: str, message: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{message}", {"message": message})
