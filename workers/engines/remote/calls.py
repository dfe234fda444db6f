"""Makes the body of a request to a server with OpenAI's API."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from jobs.generation import Fault, GenerationRequest, SamplingParams
from workers.engines.remote.options import RemoteOptions

CHAT: Final = "chat/completions"
COMPLETIONS: Final = "completions"

_FURTHER: Final = ("top_k", "min_p", "min_tokens", "stop_token_ids")
"""Parameters that OpenAI's API does not have. (A repetition penalty, which kinds set by themselves, is left out for it.)"""


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the server: the path below the server's address, the body, and the most tokens that the answer may have."""

    path: str
    body: dict[str, Any]
    most_tokens: int

    @property
    def is_chat(self) -> bool:
        """Whether the answer is a message of a chat, or else the continuation of a text."""
        return self.path == CHAT


def call_of(
    request: GenerationRequest,
    model: str,
    options: RemoteOptions,
    thoughts: int,
    adapters: Mapping[str, str] = MappingProxyType({}),
) -> Call | Fault:
    """Return the call for a request, or a fault of this request alone.

    Args:
        request: The request.
        model: The name of the model at the server.
        options: The options of the model.
        thoughts: The tokens that a model's thoughts may have, beyond the limit of its answer.
        adapters: The name of each adapter of the model at the server, which takes it in place of a model's name.
    """
    prompt, params = request.prompt, request.prompt.params
    if prompt.adapter is not None and prompt.adapter not in adapters:
        return Fault("unknown_adapter", f"The model has no adapter {prompt.adapter!r}.")
    if fault := _fault_of(request, options):
        return fault
    name = model if prompt.adapter is None else adapters[prompt.adapter]
    most = params.max_tokens + (thoughts if options.thinks and not request.thoughts_count else 0)
    body: dict[str, Any] = {"model": name, options.limit_name: most, **_sampling(params, options)}
    if prompt.messages:
        body["messages"] = [{"role": one.role, "content": one.content} for one in prompt.messages]
        if prompt.schema is not None:
            schema = {"name": "answer", "schema": dict(prompt.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if prompt.chat_template_kwargs and options.dialect == "vllm":
            body["chat_template_kwargs"] = dict(prompt.chat_template_kwargs)
        return Call(CHAT, body, most)
    return Call(COMPLETIONS, {**body, "prompt": prompt.text}, most)


def _fault_of(request: GenerationRequest, options: RemoteOptions) -> Fault | None:
    """Return why a server cannot run a request; None if it can."""
    prompt = request.prompt
    if prompt.is_only_for_encoders:
        return Fault("unsupported_kind", "A remote model encodes no texts: take a model that runs here.")
    if not prompt.text.strip() and not any(one.content.strip() for one in prompt.messages):
        return Fault("empty_prompt", "The prompt has no tokens.")
    wrong = ["continuations to score"] if prompt.continuations else []
    wrong += ["logprobs"] if prompt.params.logprobs is not None else []
    if wrong:
        return Fault("unsupported_parameter", f"A remote model takes no {' and no '.join(wrong)}.")
    if options.dialect == "openai" and (wrong := _beyond_openai(request)):
        remedy = 'leave it out, or set dialect = "vllm" if the server is vLLM, SGLang or llama.cpp'
        return Fault("unsupported_parameter", f"The server takes no {', '.join(wrong)}: {remedy}.")
    return None


def _beyond_openai(request: GenerationRequest) -> list[str]:
    params, neutral = request.prompt.params, SamplingParams()
    wrong = [name for name in _FURTHER if getattr(params, name) != getattr(neutral, name)]
    return [*wrong, "chat_template_kwargs"] if request.prompt.chat_template_kwargs else wrong


def _sampling(params: SamplingParams, options: RemoteOptions) -> dict[str, Any]:
    """Return the parameters that choose tokens, without those that have no effect."""
    found: dict[str, Any] = {"temperature": params.temperature, "seed": params.seed}
    if params.seed is None:
        del found["seed"]
    neutral = SamplingParams()
    names = ["top_p", "presence_penalty", "frequency_penalty"]
    if options.dialect == "vllm":
        names += [*_FURTHER, "repetition_penalty"]
    for name in names:
        if (value := getattr(params, name)) != getattr(neutral, name):
            found[name] = list(value) if isinstance(value, tuple) else value
    if params.stop:
        found["stop"] = list(params.stop)
    if params.logit_bias:
        found["logit_bias"] = {str(token): bias for token, bias in params.logit_bias.items()}
    return found
