"""OpenAI's batch files as input: a line is `{"custom_id", "method", "url", "body"}`.

A url that ends in `/chat/completions` or `/responses` becomes the kind `chat`, one that ends in `/completions` the kind
`completion`, one that ends in `/embeddings` the kind `embedding`.
`openai_parameters.py` says which parameters of a body are read, passed over and refused. The format
is that of https://platform.openai.com/docs/api-reference/batch, which vLLM, Azure and Zhipu follow.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.formats.json_lines import Finding, as_integer, read_object
from jobs.formats.openai_parameters import CHAT, COMPLETION, EMBEDDINGS, LIMITS, RESPONSES, parameters, template_kwargs
from jobs.formats.openai_turns import turns
from jobs.formats.record import OPENAI, Record, has_own_reason, uncorrected, unread
from jobs.generation import MAX_LOGPROBS

KEYS: Final = frozenset({"custom_id", "method", "url", "body"})
"""The fields of a line."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The body of a line, turned into our own fields.

    `names` holds field -> its path in the body, for each field that OpenAI names differently.
    """

    values: dict[str, Any]
    names: Mapping[str, str] = field(default_factory=dict)


def is_line(values: Mapping[str, Any]) -> bool:
    """Whether an object of a JSON Lines file is a line of a batch file: it has a url and a body."""
    return "url" in values and "body" in values


def records(rows: Iterable[tuple[int, bytes]]) -> Iterator[Record]:
    """Yield the records of a batch file. `rows` has the line and the bytes of each row."""
    for line, raw in rows:
        values = read_object(raw)
        if isinstance(values, Finding):
            yield unread(line, raw, values)._replace(layout=OPENAI)
            continue
        is_own = has_own_reason(values)
        if (finding := uncorrected(values)) is not None:
            yield Record(line, raw, finding, layout=OPENAI)
        else:
            yield _record(line, raw, _without_nulls(values))._replace(layout=OPENAI, has_own_reason=is_own)


def _record(line: int, raw: bytes, request: dict[str, Any]) -> Record:
    custom_id = request.get("custom_id")
    if (finding := _envelope_fault(request)) is not None:
        return Record(line, raw, finding, custom_id=custom_id)
    body = _without_nulls(request["body"])
    mapped = _ENDPOINTS[_endpoint(request["url"]) or ""](body)
    if isinstance(mapped, Finding):
        return Record(line, raw, mapped._replace(field=f"body.{mapped.field}"), custom_id=custom_id)
    limit = next((name for name in LIMITS if name in body), None)
    values = {"custom_id": custom_id, **mapped.values, **({"max_tokens": body[limit]} if limit else {})}
    names = {**{name: name for name in values if name not in ("custom_id", "kind")}, **mapped.names}
    if limit:
        names["max_tokens"] = limit
    return Record(line, raw, values, {name: f"body.{path}" for name, path in names.items()})


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are not null, since null means absent. `row_values.py` takes out the nulls within known fields."""
    return {name: value for name, value in values.items() if value is not None}


def _envelope_fault(request: Mapping[str, Any]) -> Finding | None:
    """Return the first thing that is wrong with a line outside its body; None if nothing is wrong."""
    if others := sorted(request.keys() - KEYS):
        return Finding("unknown_field", others[0], "a batch line has custom_id, method, url and body: remove the field")
    if missing := sorted({"custom_id", "url", "body"} - request.keys()):
        return Finding("missing_field", missing[0], "a batch line has custom_id, method, url and body: add the field")
    if str(request.get("method", "POST")).upper() != "POST":
        return Finding("out_of_range", "method", "the method of a batch line must be POST")
    if not isinstance(request["url"], str) or not isinstance(request["body"], dict):
        field, form = ("body", "an object") if isinstance(request["url"], str) else ("url", "a string")
        return Finding("wrong_type", field, f"the {field} must be {form}")
    if _endpoint(request["url"]) is None:
        ends = ", ".join(f"/{end}" for end in _ENDPOINTS)
        return Finding("unknown_url", "url", f"the url must end in one of {ends}")
    return None


def _chat(body: Mapping[str, Any]) -> Mapped | Finding:
    values = parameters(body, CHAT)
    if not isinstance(values, Finding):
        values = _chat_logprobs(values)
    if not isinstance(values, Finding):
        values = template_kwargs(values)
    if isinstance(values, Finding) or not isinstance(values.get("messages"), list):
        return values if isinstance(values, Finding) else Mapped({"kind": "chat", **values})
    found = turns(values["messages"], "messages")
    if isinstance(found, Finding):
        return found
    return Mapped({"kind": "chat", **values, "messages": found[0]}, _turn_paths(found[1]))


def _chat_logprobs(values: dict[str, Any]) -> dict[str, Any] | Finding:
    """Return the values with our `logprobs`, or a finding.

    Our `logprobs` is the number that OpenAI calls `top_logprobs`. OpenAI's own `logprobs` is true or false.
    """
    wanted, top = values.pop("logprobs", False), as_integer(values.pop("top_logprobs", 0))
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


def _completion(body: Mapping[str, Any]) -> Mapped | Finding:
    values = parameters(body, COMPLETION)
    if isinstance(values, Finding):
        return values
    if values.get("logprobs") is False:
        del values["logprobs"]
    prompt = values.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        values["prompt"] = prompt[0]
    elif isinstance(prompt, list):
        return Finding("unsupported_parameter", "prompt", "one prompt a line: give each prompt a line of its own")
    return Mapped({"kind": "completion", **values})


def _embedding(body: Mapping[str, Any]) -> Mapped | Finding:
    """Read the texts of which vectors are wanted. `input` is a text or a list of texts, and no list of tokens."""
    values = parameters(body, EMBEDDINGS)
    if isinstance(values, Finding):
        return values
    names = {"encoding": "encoding_format"}
    if "encoding_format" in values:
        values["encoding"] = values.pop("encoding_format")
    if "input" not in values:
        return Finding("missing_field", "input", "the body has no input: add a text, or a list of texts")
    given = values.pop("input")
    if isinstance(given, list) and any(isinstance(one, int | list) for one in given):
        return Finding("unsupported_parameter", "input", "the input holds tokens: give texts")
    field = "texts" if isinstance(given, list) else "text"
    return Mapped({"kind": "embedding", **values, field: given}, {**names, field: "input"})


def _response(body: Mapping[str, Any]) -> Mapped | Finding:
    """Read a response as a chat. `input` is a text or a list of turns, and `instructions` is a system turn before these."""
    values = parameters(body, RESPONSES)
    if not isinstance(values, Finding):
        values = template_kwargs(values)
    if isinstance(values, Finding):
        return values
    given, instructions, text = values.pop("input", None), values.pop("instructions", ""), values.pop("text", {})
    if (wrong := _wrong_input(given, instructions)) is not None:
        return wrong
    form = _response_format(text)
    if isinstance(form, Finding):
        return form
    found = turns(given, "input") if isinstance(given, list) else ([{"role": "user", "content": given}], ["input"])
    if isinstance(found, Finding):
        return found
    first = [{"role": "system", "content": instructions}] if instructions.strip() else []
    paths = [*(["instructions"] if first else []), *found[1]]
    names = {"messages": "input", "response_format": "text.format", "response_format.json_schema": "text.format"}
    return Mapped({"kind": "chat", **values, **form, "messages": [*first, *found[0]]}, {**names, **_turn_paths(paths)})


def _wrong_input(given: Any, instructions: Any) -> Finding | None:
    if given is None:
        return Finding("missing_field", "input", "the body has no input: add a text, or a list of turns")
    if not isinstance(given, str | list):
        return Finding("wrong_type", "input", "the input must be a text, or a list of turns")
    if not isinstance(instructions, str):
        return Finding("wrong_type", "instructions", "the instructions must be a text")
    return None


def _response_format(text: Any) -> dict[str, Any] | Finding:
    """Return the `text` of a response as `response_format` of a chat, which holds the schema one level deeper; or a finding."""
    if not isinstance(text, dict):
        return Finding("wrong_type", "text", "text must be an object")
    others = {name: value for name, value in text.items() if name != "format" and value is not None}
    if isinstance(beyond := parameters(others, frozenset()), Finding):
        return beyond._replace(field=f"text.{beyond.field}")
    form = text.get("format")
    if form is None:
        return {}
    if isinstance(form, dict) and form.get("type") == "json_schema" and "json_schema" not in form:
        form = {"type": "json_schema", "json_schema": {name: value for name, value in form.items() if name != "type"}}
    return {"response_format": form}


def _turn_paths(paths: Sequence[str]) -> dict[str, str]:
    """Return path in our row -> path in the body, for each turn.

    If the path of a turn in the body has no number, the body has only one text there, which becomes the content of the turn.
    """
    return {f"messages.{n}" if "." in path else f"messages.{n}.content": path for n, path in enumerate(paths)}


_ENDPOINTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Mapped | Finding]]] = {
    "chat/completions": _chat,
    "completions": _completion,
    "responses": _response,
    "embeddings": _embedding,
}
"""The end of a url -> the function that reads the body of this endpoint. If several ends match a url, the first of them counts.
"""


def _endpoint(url: str) -> str | None:
    """Return the endpoint at the end of a url; None if it is not known.

    The text before the endpoint is ignored, because services put a version or a deployment there. The query, which Azure adds, is
    ignored too.
    """
    path = "/" + url.partition("?")[0].strip().rstrip("/")
    return next((end for end in _ENDPOINTS if path.endswith(f"/{end}")), None)
