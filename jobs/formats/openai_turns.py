"""Reads the turns in OpenAI's batch files (`messages` of a chat, `input` of a response) as the turns of our kind `chat`.

The role `developer` becomes `system`, a content in parts becomes one text, and a system turn without text is left out. A turn of
a tool, or a part that is not text, gives a finding.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jobs.formats.json_lines import Finding

_PASSED_OVER: Final = frozenset({"name", "annotations", "id", "status", "phase", "reasoning", "reasoning_content"})
"""Fields of a turn that do not reach the model. The thoughts of an earlier answer are among these."""

_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
_TOOLS: Final = ("tool_calls", "tool_call_id", "function_call", "audio", "refusal")
"""Fields of a turn that hold something besides its text. A turn is refused if the value of one of these fields is not in
`_EMPTY`.
"""

_TEXTS: Final = frozenset({"text", "input_text", "output_text"})


def turns(items: Sequence[Any], place: str) -> tuple[list[Any], list[str]] | Finding:
    """Return two values: the turns, and the path of each turn in the body. Return a finding if a turn is refused.

    `place` is the path of `items` in the body.
    """
    found: list[Any] = []
    paths: list[str] = []
    for n, item in enumerate(items):
        turn = _turn(item, f"{place}.{n}") if isinstance(item, dict) else item
        if isinstance(turn, Finding):
            return turn
        if isinstance(turn, dict) and turn.get("role") == "system" and not str(turn.get("content", "-")).strip():
            continue
        found.append(turn)
        paths.append(f"{place}.{n}")
    return found, paths


def _turn(item: Mapping[str, Any], place: str) -> dict[str, Any] | Finding:
    if (finding := _beyond_text(item, place)) is not None:
        return finding
    turn = {name: value for name, value in item.items() if value is not None and name not in _PASSED_OVER}
    for name in ("type", *_TOOLS):
        turn.pop(name, None)
    if turn.get("role") == "developer":
        turn["role"] = "system"
    if isinstance(turn.get("content"), list):
        text = _text(turn["content"], f"{place}.content")
        if isinstance(text, Finding):
            return text
        turn["content"] = text
    return turn


def _beyond_text(item: Mapping[str, Any], place: str) -> Finding | None:
    """Return a finding if a turn is more than a text that a person or a model wrote; else None."""
    if (kind := item.get("type") or "message") != "message":
        return _unsupported(place, f"an item of the type {kind!r} is not supported")
    if (role := item.get("role")) in ("tool", "function"):
        return _unsupported(place, f"a turn of the role {role!r} is not supported")
    name = next((name for name in _TOOLS if item.get(name) not in _EMPTY), None)
    return None if name is None else _unsupported(f"{place}.{name}", f"a turn with {name} is not supported")


def _text(parts: Sequence[Any], place: str) -> str | Finding:
    """Return the text of a content in parts, or a finding on the first part that is not text."""
    for n, part in enumerate(parts):
        if not isinstance(part, dict) or part.get("type") not in _TEXTS or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, dict) else None
            return _unsupported(
                f"{place}.{n}", f"a part of the type {kind!r} is not supported, only text is", "the part"
            )
    return "".join(part["text"] for part in parts)


def _unsupported(place: str, message: str, what: str = "the turn") -> Finding:
    return Finding("unsupported_parameter", place, f"{message[:200]}: remove {what}")
