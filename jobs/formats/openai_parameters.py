"""The parameters of the bodies of OpenAI's batch files: those that are read, those that change no answer, and all others.

A parameter that changes no answer here is passed over, such as `store`, or `tool_choice` without tools. A parameter that would
change the answer and is not supported is a finding with its name; it is never ignored. The names of vLLM, Azure and Zhipu are
known too.
"""

from collections.abc import Mapping
from typing import Any, Final

from jobs.formats.json_lines import Finding, as_integer

ENVELOPE: Final = frozenset({"model", "seed", "temperature", "top_p", "metadata"})
SAMPLING: Final = frozenset(
    {"stop", "stop_token_ids", "n", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs"}
)
REASONING: Final = frozenset({"chat_template_kwargs", "reasoning_effort", "reasoning", "thinking", "enable_thinking"})
"""The parameters that become arguments of the chat template (`template_kwargs`)."""
CHAT: Final = ENVELOPE | SAMPLING | REASONING | {"messages", "response_format", "top_logprobs", "include_reasoning"}
COMPLETION: Final = ENVELOPE | SAMPLING | {"prompt"}
RESPONSES: Final = ENVELOPE | REASONING | {"input", "instructions", "text"}
EMBEDDINGS: Final = frozenset({"model", "metadata", "input", "dimensions", "encoding_format"})
LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
"""The parameters that limit the tokens of an answer. If a body has several, the first in this order is read."""

_PASSED_OVER: Final = frozenset(
    {
        *(
            "user",
            "user_id",
            "safety_identifier",
            "prompt_cache_key",
            "prompt_cache_retention",
            "cache_salt",
            "request_id",
        ),
        *("store", "service_tier", "background", "priority", "prediction", "stream_options", "max_tool_calls"),
        *("parallel_tool_calls", "reasoning_effort", "reasoning", "include_reasoning", "truncation"),
    }
)
"""Parameters that change no answer, whatever their value: names of users and requests, ways of serving, options of tools and
streams. (Tools and streams themselves are refused.) Parameters of reasoning are here for raw texts, which have no chat
template.
"""

_UNCHANGING: Final[Mapping[str, tuple[Any, ...]]] = {
    "stream": (False,),
    "echo": (False,),
    "best_of": (1,),
    "suffix": ("",),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "verbosity": ("medium",),
    "include": ([],),
    "extra_body": ({},),
    "thinking": ({"type": "disabled"},),
    "enable_thinking": (False,),
    "do_sample": (True,),
    "top_k": (-1, 0),
    "min_p": (0,),
    "min_tokens": (0,),
    "repetition_penalty": (1,),
    "length_penalty": (1,),
    "use_beam_search": (False,),
    "ignore_eos": (False,),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "include_stop_str_in_output": (False,),
    "add_generation_prompt": (True,),
    "continue_final_message": (False,),
    "add_special_tokens": (False,),
    "chat_template_kwargs": ({},),
    "documents": ([],),
    "top_logprobs": (0,),
}
"""Parameter -> its values that change no answer. Only parameters that the endpoint does not read are looked up here."""

_REMEDIES: Final = {"stream": "streaming is not possible in a batch: remove it", "n": "one answer a line: remove it"}


def parameters(body: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any] | Finding:
    """Return the known parameters of a body, or a finding on the first parameter that is not supported.

    `body` holds no nulls. `user` becomes a value of the metadata. A text in `stop` becomes a list with this text; if the text
    is empty, `stop` is left out.
    """
    values: dict[str, Any] = {}
    for name, value in body.items():
        if name in known:
            values[name] = value
        elif name not in LIMITS and name not in _PASSED_OVER and not _is_unchanging(name, value):
            what = _REMEDIES.get(name, "remove it")
            return Finding("unsupported_parameter", name, f"the parameter {name} is not supported: {what}")
    limits = {str(as_integer(body[name])) for name in LIMITS if name in body}
    if len(limits) > 1:
        return Finding("out_of_range", "max_tokens", "two limits of the tokens differ: keep one of them")
    if "user" in body and isinstance(values.get("metadata", {}), dict):
        values["metadata"] = {"user": body["user"], **values.get("metadata", {})}
    if values.get("stop") == "":
        del values["stop"]
    elif isinstance(values.get("stop"), str):
        values["stop"] = [values["stop"]]
    return values


def template_kwargs(values: dict[str, Any]) -> dict[str, Any] | Finding:
    """Return the values of a chat with the parameters of `REASONING` as `chat_template_kwargs`, or a finding.

    `reasoning_effort`, or the `effort` in `reasoning`, becomes the argument `reasoning_effort`. `thinking`, whose type is
    `enabled` or `disabled`, becomes `enable_thinking`. A template ignores arguments that it does not use.
    """
    given = {name: values.pop(name) for name in REASONING if name in values}
    kwargs = given.get("chat_template_kwargs", {})
    if not isinstance(kwargs, dict):
        return {**values, "chat_template_kwargs": kwargs}
    thinking, reasoning = given.get("thinking"), given.get("reasoning")
    if thinking is not None and thinking not in ({"type": "enabled"}, {"type": "disabled"}):
        return Finding("unsupported_parameter", "thinking", "thinking must be {type: enabled} or {type: disabled}")
    found: dict[str, Any] = {
        "enable_thinking": given.get("enable_thinking", None if thinking is None else thinking["type"] == "enabled"),
        "reasoning_effort": given.get("reasoning_effort")
        or (reasoning.get("effort") if isinstance(reasoning, dict) else None),
    }
    for name, form in (("enable_thinking", bool), ("reasoning_effort", str)):
        value = found[name]
        if value is not None and not isinstance(value, form):
            what = "a text" if form is str else "true or false"
            return Finding("wrong_type", name if name in given else "reasoning", f"{name} must be {what}")
        if value is not None and kwargs.get(name, value) != value:
            return Finding("out_of_range", name, f"{name} and chat_template_kwargs differ: keep one of them")
    kwargs = {**{name: value for name, value in found.items() if value is not None}, **kwargs}
    return {**values, "chat_template_kwargs": kwargs} if kwargs else values


def _is_unchanging(name: str, value: Any) -> bool:
    """Whether a parameter has one of the values that change no answer. True and 1 differ here."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in _UNCHANGING.get(name, ()))
