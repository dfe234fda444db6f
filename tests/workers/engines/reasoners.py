"""Tokenizers and chat templates in the manner of reasoning models, and an engine whose model writes a given text.

The names are those of model families that mark their thoughts in this way. Nothing is downloaded.
"""

from functools import cache
from typing import Any, Final

import torch

from jobs.catalog import ModelCard
from jobs.generation import Completion, GenerationRequest, Message, Prompt, SamplingParams
from tests.workers.engines.chat_families import _MAKERS, network_for
from workers.engines.causal.loading import CausalOptions, build_engine, wrap_model
from workers.engines.device.placement import Placement
from workers.engines.text.encoding import Encoded, Encoder
from workers.engines.text.endings import ending_of
from workers.engines.text.reasoning import Thoughts

_TURNS: Final = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
_START: Final = "<|im_start|>assistant\n"
QWEN3: Final = (
    _TURNS
    + _START
    + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
)
OPENED: Final = (
    _TURNS + _START + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n"
    "{% else %}<think>\n{% endif %}"
)
PHI4: Final = "Think between <think> and </think>.\n" + _TURNS + _START
HUNYUAN: Final = "Think in <think> </think>, then write in <answer> </answer>.\n" + _TURNS + _START
PLAIN: Final = _TURNS + _START
MAGISTRAL: Final = (
    "{% for m in messages %}[INST]{{ m['content'] }}[/INST]{% endfor %}{% if none %}[THINK][/THINK]{% endif %}"
)
HARMONY: Final = (
    "<|start|>system<|message|>Reasoning: {{ reasoning_effort or 'medium' }}\n<|end|>"
    "{% for m in messages %}<|start|>{{ m['role'] }}<|message|>{{ m['content'] }}<|end|>{% endfor %}<|start|>assistant"
    "{% if none %}<|channel|>analysis<|message|>{% endif %}"
)
GEMMA4: Final = (
    "{% for m in messages %}<|turn>{{ m['role'] }}\n{{ m['content'] }}<turn|>\n{% endfor %}<|turn>model\n"
    "{% if not enable_thinking %}<|channel>thought\n<channel|>{% endif %}"
)
GRANITE: Final = (
    "{% if thinking %}Begin with 'Here is my thought process:' and answer after 'Here is my response:'.\n{% endif %}"
    + _TURNS
    + _START
)
THINK: Final = ("<think>", "</think>")
CONTEXT: Final = 1_024
"""The largest number of tokens of a prompt and its completion."""

REASONERS: Final[dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]]] = {
    "qwen3": ("bytes", QWEN3, ("<|im_start|>", "<|im_end|>"), THINK),
    "opened": ("bytes", OPENED, ("<|im_start|>", "<|im_end|>"), THINK),
    "special": ("bytes", OPENED, ("<|im_start|>", "<|im_end|>", *THINK), ()),
    "spelled": ("prefixed", OPENED, (), ()),
    "phi4": ("pieces", PHI4, (), ()),
    "hunyuan": ("pieces", HUNYUAN, (), ()),
    "vocabulary": ("bytes", PLAIN, ("<|im_start|>", "<|im_end|>"), THINK),
    "none": ("bytes", PLAIN, ("<|im_start|>", "<|im_end|>"), ()),
    "magistral": ("pieces", MAGISTRAL, ("[INST]", "[/INST]", "[THINK]", "[/THINK]"), ()),
    "harmony": ("bytes", HARMONY, ("<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|constrain|>"), ()),
    "gemma4": ("pieces", GEMMA4, ("<|turn>", "<turn|>", "<|channel>", "<channel|>"), ()),
    "granite": ("prefixed", GRANITE, (), ()),
    "seed": ("bytes", PLAIN, ("<|im_start|>", "<|im_end|>", "<seed:think>", "</seed:think>"), ()),
    "openthinker": (
        "prefixed",
        "<|begin_of_thought|> <|end_of_thought|> <|begin_of_solution|> <|end_of_solution|>\n" + PLAIN,
        (),
        (),
    ),
}
"""By name: the kind of tokenizer, the chat template, the special tokens, and added tokens that are not special."""


@cache
def tokenizer_of(name: str) -> Any:
    """Return the tokenizer of a reasoning family, with its chat template."""
    from transformers import AddedToken, PreTrainedTokenizerFast

    kind, template, special, plain = REASONERS[name]
    backend = _MAKERS[kind]()
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ("<eos>", *special)])
    backend.add_tokens([AddedToken(text, special=False, normalized=False) for text in plain])
    unknown = {} if kind == "bytes" else {"unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", chat_template=template, **unknown)


class Writer:
    """A model that writes the text that a test gives. There is no network: the text's tokens are passed on one by one.

    Args:
        name: A name of `REASONERS`.
        card: Fields of the model's card.
    """

    def __init__(self, name: str, **card: Any) -> None:
        self.tokenizer = tokenizer_of(name)
        self.encoder = Encoder(self.tokenizer, len(self.tokenizer), CONTEXT, ModelCard(**card))

    def write(
        self,
        text: str,
        *,
        ask: str = "hi",
        kwargs: dict[str, Any] | None = None,
        thoughts_count: bool = True,
        ends: bool = True,
        raw: bool = False,
        **params: Any,
    ) -> Completion:
        """Return the completion of a model that writes `text` and, if it `ends`, an end token."""
        script = self.tokens(text, ends=ends)
        chosen = SamplingParams(**{"max_tokens": len(script), "temperature": 0.0, "seed": 1, **params})
        content: dict[str, Any] = {"text": ask} if raw else {"messages": (Message("user", ask),)}
        prompt = Prompt(**content, params=chosen, chat_template_kwargs=kwargs or {})
        return self._complete(GenerationRequest("r", prompt, thoughts_count=thoughts_count), script)

    def tokens(self, text: str, *, ends: bool = False) -> list[int]:
        """Return the tokens of a text, with an end token if it `ends`."""
        found = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*found, self.tokenizer.eos_token_id] if ends else list(found)

    def _complete(self, request: GenerationRequest, script: list[int]) -> Completion:
        encoded = self.encoder.encode(request)
        assert isinstance(encoded, Encoded), encoded
        thoughts = Thoughts(encoded.thinking) if encoded.thinking is not None else None
        params, eos, ending = encoded.request.prompt.params, (self.tokenizer.eos_token_id,), None
        written: list[int] = []
        while ending is None:
            written.append(script.pop(0) if script else self.tokenizer.eos_token_id)
            ending = ending_of(
                written,
                params,
                eos=eos,
                decode=self.encoder.decode,
                thoughts=thoughts,
                mixed_stops=encoded.mixed_stops,
            )
        return Completion(
            "r",
            ending.text,
            ending.reason,
            len(encoded.tokens),
            0,
            ending.tokens,
            reasoning=ending.reasoning,
            reasoning_tokens=ending.reasoning_tokens,
        )


class NetworkWriter(Writer):
    """A Writer that runs in a causal engine. Its network has random weights, and its logits are replaced.

    Args:
        name: A name of `REASONERS`.
        padded: Whether the engine is the padded engine.
    """

    def __init__(self, name: str, *, padded: bool) -> None:
        super().__init__(name)
        network = network_for(self.tokenizer)
        placement = Placement(torch.device("cpu"), torch.float32, "cpu")
        options = CausalOptions(padded=padded, cache_bytes=1 << 26, step_tokens=4096, prefix_sharing=False)
        model = wrap_model(network, self.tokenizer, placement, ModelCard(reasoning_max_tokens=100))
        self.engine = build_engine("tiny", model, options, slots=2)
        self._script: list[int] = []
        network.get_output_embeddings().register_forward_hook(self._dictate)

    def _complete(self, request: GenerationRequest, script: list[int]) -> Completion:
        self._script = script
        self.engine.submit(request)
        done: list[Completion] = []
        while not done:
            done += self.engine.step()
        return done[0]

    def _dictate(self, _module: object, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        forced = torch.full_like(logits, -100.0)
        forced[..., self._script.pop(0) if self._script else self.tokenizer.eos_token_id] = 100.0
        return forced
