"""OpenAI's batch files as input: a line is `{"custom_id", "method", "url", "body"}`.

`/v1/chat/completions` becomes the kind `chat`, `/v1/completions` the kind `completion`. A parameter of the body that would have
no effect here (such as `stream: false`) is accepted. A parameter that would change the output, and that is not supported, fails
its row; it is never ignored. Format: https://platform.openai.com/docs/api-reference/batch
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from jobs.formats.json_lines import Finding, numbered, read_object
from jobs.formats.record import Record
from jobs.generation import MAX_LOGPROBS

KEYS: Final = frozenset({"custom_id", "method", "url", "body"})
"""The fields of a line."""

_ENVELOPE: Final = frozenset({"model", "seed", "temperature", "top_p", "metadata"})
_SAMPLING: Final = frozenset({"stop", "n", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs"}) | {
    "stop_token_ids"
}
_CHAT: Final = _ENVELOPE | _SAMPLING | {"messages", "response_format", "top_logprobs"}
_COMPLETION: Final = _ENVELOPE | _SAMPLING | {"prompt"}
_LIMITS: Final = ("max_completion_tokens", "max_tokens")
_NO_EFFECT: Final[Mapping[str, tuple[Any, ...]]] = {
    "stream": (False,),
    "echo": (False,),
    "best_of": (1,),
    "suffix": ("",),
    "tools": ([],),
    "parallel_tool_calls": (True, False),
    "modalities": (["text"],),
    "store": (True, False),
    "service_tier": ("auto", "default", "flex"),
}
"""Parameter -> the values that are accepted, since they have no effect."""


def is_line(values: Mapping[str, Any]) -> bool:
    """Whether an object of a JSON Lines file is a line of a batch file: it has a url and a body."""
    return "url" in values and "body" in values


def records(lines: Iterable[bytes] | BinaryIO) -> Iterator[Record]:
    """The records of a batch file."""
    for line, raw in numbered(lines):
        values = read_object(raw)
        yield Record(line, raw, values) if isinstance(values, Finding) else _record(line, raw, values)


def _record(line: int, raw: bytes, request: dict[str, Any]) -> Record:
    custom_id = request.get("custom_id")
    if (finding := _envelope_fault(request)) is not None:
        return Record(line, raw, finding, custom_id=custom_id)
    body: dict[str, Any] = {name: value for name, value in request["body"].items() if value is not None}
    mapped = _ENDPOINTS[request["url"]](body)
    if isinstance(mapped, Finding):
        return Record(line, raw, mapped._replace(field=f"body.{mapped.field}"), custom_id=custom_id)
    limit = next((name for name in _LIMITS if name in body), None)
    values = {"custom_id": custom_id, **mapped, **({"max_tokens": body[limit]} if limit else {})}
    names = {name: f"body.{name}" for name in values if name not in ("custom_id", "kind")}
    return Record(line, raw, values, {**names, **({"max_tokens": f"body.{limit}"} if limit else {})})


def _envelope_fault(request: Mapping[str, Any]) -> Finding | None:
    """The first thing that is wrong with a line outside its body."""
    if others := sorted(request.keys() - KEYS):
        return Finding("unknown_field", others[0], "a batch line has custom_id, method, url and body: remove the field")
    if missing := sorted({"custom_id", "url", "body"} - request.keys()):
        return Finding("missing_field", missing[0], "a batch line has custom_id, method, url and body: add the field")
    if request.get("method", "POST") != "POST":
        return Finding("out_of_range", "method", "the method of a batch line must be POST")
    if not isinstance(request["url"], str) or not isinstance(request["body"], dict):
        field, form = ("body", "an object") if isinstance(request["url"], str) else ("url", "a string")
        return Finding("wrong_type", field, f"the {field} must be {form}")
    if request["url"] not in _ENDPOINTS:
        return Finding("unknown_url", "url", f"the url must be one of {', '.join(_ENDPOINTS)}")
    return None


def _chat(body: dict[str, Any]) -> dict[str, Any] | Finding:
    values = _parameters(body, _CHAT)
    if not isinstance(values, Finding):
        values = _chat_logprobs(values)
    if isinstance(values, Finding) or not isinstance(values.get("messages"), list):
        return values if isinstance(values, Finding) else {"kind": "chat", **values}
    turns = []
    for n, message in enumerate(values["messages"]):
        turn = _turn(message, f"messages.{n}") if isinstance(message, dict) else message
        if isinstance(turn, Finding):
            return turn
        turns.append(turn)
    return {"kind": "chat", **values, "messages": turns}


def _chat_logprobs(values: dict[str, Any]) -> dict[str, Any] | Finding:
    """Our `logprobs` is the number that OpenAI calls `top_logprobs`; its own `logprobs` is true or false."""
    wanted, top = values.pop("logprobs", False), values.pop("top_logprobs", 0)
    if not isinstance(wanted, bool):
        return Finding("wrong_type", "logprobs", "in a chat, logprobs must be true or false")
    if isinstance(top, bool) or not isinstance(top, int):
        return Finding("wrong_type", "top_logprobs", "top_logprobs must be a whole number")
    if not 0 <= top <= MAX_LOGPROBS:
        return Finding("out_of_range", "top_logprobs", f"top_logprobs must be 0 to {MAX_LOGPROBS}")
    if top and not wanted:
        return Finding(
            "out_of_range", "top_logprobs", "top_logprobs needs logprobs to be true: set it, or remove top_logprobs"
        )
    return {**values, "logprobs": top} if wanted else values


def _turn(message: Mapping[str, Any], place: str) -> dict[str, Any] | Finding:
    """A turn as `chat` has it: the role `developer` becomes `system`, and a content in parts becomes one text."""
    turn = {name: value for name, value in message.items() if value is not None and name != "name"}
    if turn.get("role") == "developer":
        turn["role"] = "system"
    if turn.get("role") in ("tool", "function") or turn.keys() & {"tool_calls", "function_call", "audio"}:
        return Finding("unsupported_parameter", place, "turns of tools are not supported: remove the turn")
    parts = turn.get("content")
    if isinstance(parts, list):
        for n, part in enumerate(parts):
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                return Finding(
                    "unsupported_parameter", f"{place}.content.{n}", "only parts of text are supported: remove the part"
                )
        turn["content"] = "".join(part["text"] for part in parts)
    return turn


def _completion(body: dict[str, Any]) -> dict[str, Any] | Finding:
    values = _parameters(body, _COMPLETION)
    if isinstance(values, Finding):
        return values
    if values.get("logprobs") is False:
        del values["logprobs"]
    prompt = values.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        values["prompt"] = prompt[0]
    elif isinstance(prompt, list):
        return Finding("unsupported_parameter", "prompt", "one prompt a line: give each prompt a line of its own")
    return {"kind": "completion", **values}


def _parameters(body: dict[str, Any], known: frozenset[str]) -> dict[str, Any] | Finding:
    values: dict[str, Any] = {}
    for name, value in body.items():
        if name in known:
            values[name] = value
        elif name == "user":
            continue
        elif name not in _LIMITS and value not in _NO_EFFECT.get(name, ()):
            what = "streaming is not possible in a batch: remove it" if name == "stream" else "remove it"
            return Finding("unsupported_parameter", name, f"the parameter is not supported: {what}")
    if "user" in body and isinstance(values.get("metadata", {}), dict):
        values["metadata"] = {"user": body["user"], **values.get("metadata", {})}
    if isinstance(values.get("stop"), str):
        values["stop"] = [values["stop"]]
    return values


_ENDPOINTS: Final[Mapping[str, Callable[[dict[str, Any]], dict[str, Any] | Finding]]] = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _completion,
}
