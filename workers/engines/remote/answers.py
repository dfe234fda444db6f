"""Reads what a server with OpenAI's API sends back: an answer, a fault of this request, or a reason to send it again.

A server is not believed blindly: an answer without a text and a credible usage is no answer, since it could not be published or
accounted for.
"""

import email.utils
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.generation import Fault, FinishReason
from workers.engines.remote.calls import Call

LONGEST_WAIT_S: Final = 300.0
"""A server that asks to wait longer than this is asked again after this time."""

SHOWN: Final = 200
"""A message shows this many characters of what a server said."""

_ENDINGS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
}
_BUSY: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""Statuses that say nothing about the request itself."""

_TOO_LONG: Final = (
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "exceeds the available context",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A text with what it took, in tokens."""

    text: str
    finish: FinishReason
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    reasoning: str = ""
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """A reason to send the request again, and the seconds that the server asks to wait; None if it names no time.

    `is_load` is whether the server refuses for its load, so that others should wait too. `code` is that of the fault if there is
    no time left for another try.
    """

    reason: str
    wait_s: float | None = None
    is_load: bool = False
    code: str = field(default="remote_unavailable", kw_only=True)


def read_answer(call: Call, status: int, headers: Mapping[str, str], content: bytes) -> Answer | Fault | Again:
    """Return what a response means. The names of `headers` are in lower case, or their case does not count."""
    if status == 200:
        return _read_body(call, headers, content)
    said = _said(content)
    if status in _BUSY:
        return Again(
            f"status {status}: {said}", retry_after_s(headers.get("retry-after", "")), is_load=status in (429, 503, 529)
        )
    if status in (401, 403):
        return Again(f"the server refuses our key with status {status}: {said}", is_load=True)
    if status == 413 or any(sign in content.decode(errors="replace") for sign in _TOO_LONG):
        return Fault("prompt_too_long", f"The server refuses the prompt as too long (status {status}): {said}")
    if 300 <= status < 400:
        said = "it sends us elsewhere; correct the source of the model"
    return Fault("remote_refused", f"The server refuses the request with status {status}: {said}")


def retry_after_s(given: str) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3): a number of seconds, or a date; None if it is neither."""
    given = given.strip()
    try:
        seconds = float(given)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(given).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S) if math.isfinite(seconds) else None


def _read_body(call: Call, headers: Mapping[str, str], content: bytes) -> Answer | Fault | Again:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        kind = headers.get("content-type", "no type").partition(";")[0]
        return _unusable(f"it is no JSON but {kind}: {_said(content)}")
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return _unusable(f"it has no choices: {_said(content)}")
    if choice.get("finish_reason") == "content_filter":
        return Fault("content_filtered", "The server's filter refused the content of this request.")
    texts, counts = _texts(call, choice), _usage(call, body.get("usage"))
    finish = _ENDINGS.get(str(choice.get("finish_reason")))
    if texts is None or finish is None:
        return _unusable(f"it has no text, or ended for an unknown reason, {str(choice.get('finish_reason'))[:40]!r}")
    if counts is None:
        return _unusable(f"its usage is missing or cannot be true: {json.dumps(body.get('usage'))[:SHOWN]}")
    prompt, cached, completion, thoughts = counts
    return Answer(texts[0], finish, prompt, cached, completion, texts[1], thoughts)


def _unusable(reason: str) -> Again:
    return Again(f"the server's answer cannot be used: {reason}", code="remote_invalid")


def _texts(call: Call, choice: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the text and the thoughts of a choice; None if it has no text. A model that only thought has an empty text."""
    if not call.is_chat:
        text = choice.get("text")
        return (text, "") if isinstance(text, str) else None
    message = choice.get("message")
    if not isinstance(message, dict):
        return None
    found = [message.get(name) for name in ("reasoning_content", "reasoning")]
    thoughts = next((one for one in found if isinstance(one, str)), "")
    text = message.get("content")
    if isinstance(text, str):
        return text, thoughts
    return ("", thoughts) if text is None and thoughts else None


def _usage(call: Call, given: object) -> tuple[int, int, int, int] | None:
    """Return the tokens of the prompt, those of it that were cached, those of the completion, and those of it that were thoughts;
    None if they cannot be true.
    """
    if not isinstance(given, dict):
        return None
    prompt: Any = given.get("prompt_tokens")
    completion: Any = given.get("completion_tokens")
    cached = _detail(given, "prompt_tokens_details", "cached_tokens")
    thoughts = _detail(given, "completion_tokens_details", "reasoning_tokens")
    counts = (prompt, cached, completion, thoughts)
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in counts):
        return None
    most_prompt = 4 * len(json.dumps(call.body)) + 4_096  # a token is a byte at least, and templates add some
    is_true = 0 <= cached <= prompt <= most_prompt and 0 <= thoughts <= completion <= 2 * call.most_tokens + 64
    return (prompt, cached, completion, thoughts) if is_true else None


def _detail(given: Mapping[str, Any], group: str, name: str) -> Any:
    details = given.get(group)
    value = details.get(name) if isinstance(details, dict) else None
    return 0 if value is None else value


def _said(content: bytes) -> str:
    """Return the beginning of what a server said, in one line; its `error.message` if it has one."""
    text = content[:65_536].decode(errors="replace")
    try:
        body = json.loads(text)
        error = body.get("error", body.get("detail", body)) if isinstance(body, dict) else body
        found = error.get("message", error) if isinstance(error, dict) else error
        text = found if isinstance(found, str) else json.dumps(found)
    except (ValueError, RecursionError):
        pass
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line[:SHOWN] or "nothing"
