"""Chooses the rotary positions of each text by the length of that text alone, although a step computes many texts.

Some models rotate the keys of long texts in another way than those of short texts: `longrope` has two sets of factors, and
`dynamic` computes a new frequency for each length. transformers chooses by the longest position of a call, which is right if the
call holds only one text. But a step holds many texts. So this module calls a `longrope` module twice, once for short texts and
once for long texts. Each token then takes the result that it would get if `generate` ran its text alone.
"""

import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

import torch
from transformers import DynamicCache

from workers.engines.causal.sequences import LengthSwitch

IN_LONG_TEXT: Final[ContextVar[torch.Tensor | bool | None]] = ContextVar("in_long_text", default=None)
"""Says which tokens of a call belong to a long text (`LengthSwitch`): a mask [1, tokens], or one bool for all tokens. A token
whose own position is past the boundary counts as long in any case. None leaves the choice to transformers."""


class UnknownSwitch(Exception):
    """A model's rotary positions change with a text's length in a way that this module cannot follow. The message says how."""


def length_switch(network: Any) -> LengthSwitch | None:
    """Return how the rotary positions of a network change with the length of a text; None if no text can make them change.

    Raises:
        UnknownSwitch: The positions change at several lengths, or it cannot be found out what `generate` does at that length.
    """
    found = {one for module in network.modules() for one in _boundaries(module)}
    context = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    reachable = {one for one in found if context is None or one[0] < context}
    if len(reachable) > 1:
        raise UnknownSwitch(f"its rotary positions change at several lengths: {sorted(reachable)}")
    for boundary, grows in reachable:
        return LengthSwitch(boundary, not grows and _restarts(network, boundary), grows)
    return None


def choose_by_text(network: Any, boundary: int) -> None:
    """Make every module of `longrope` obey `IN_LONG_TEXT`. While `IN_LONG_TEXT` is None, the modules work as before."""
    for module in network.modules():
        if list(_boundaries(module)) and not isinstance(module.forward, _ByText):
            module.forward = _ByText(module.forward, boundary)


def forget_lengths(network: Any) -> None:
    """Make every module of `dynamic` forget the longest text of earlier calls."""
    for module in network.modules():
        if any("dynamic" in rope_type for rope_type, _ in _rope_types(module)):
            for name in [name for name in vars(module) if name.endswith("max_seq_len_cached")]:
                setattr(module, name, module.original_max_seq_len)
            for name, buffer in list(module.named_buffers(recurse=False)):
                if name.endswith("original_inv_freq"):
                    setattr(module, name.replace("original_inv_freq", "inv_freq"), buffer.clone())


class _ByText:
    """Replaces the `forward` of a rotary module, and gives each token the values for the length of the token's own text."""

    def __init__(self, forward: Callable[..., Any], boundary: int) -> None:
        functools.update_wrapper(self, forward)
        self._forward = forward
        self._boundary = boundary

    def __call__(self, x: torch.Tensor, position_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        in_long_text = IN_LONG_TEXT.get()
        if in_long_text is None:
            return self._forward(x, position_ids, *args, **kwargs)
        boundary = self._boundary
        is_long = (position_ids >= boundary) | in_long_text
        beyond = position_ids.new_full((len(position_ids), 1), boundary)
        short = self._forward(x, position_ids.clamp(max=boundary - 1), *args, **kwargs)
        long = self._forward(x, torch.cat([position_ids, beyond], dim=1), *args, **kwargs)
        if isinstance(short, torch.Tensor):
            return _chosen(is_long, long, short)
        return tuple(_chosen(is_long, one, other) for one, other in zip(long, short, strict=True))


def _chosen(is_long: torch.Tensor, long: torch.Tensor, short: torch.Tensor) -> torch.Tensor:
    """Return for each token its value from `long` [texts, tokens + 1, …] or from `short` [texts, tokens, …].

    The last token of `long` is dropped: it was added only to make the texts long.
    """
    return torch.where(is_long.reshape(*is_long.shape, *[1] * (short.ndim - 2)), long[:, :-1], short)


def _boundaries(module: Any) -> Iterator[tuple[int, bool]]:
    """Yield pairs: a length of text at which a module's values change, and whether each further token changes them again."""
    for rope_type, parameters in _rope_types(module):
        if rope_type == "longrope":
            yield int(parameters["original_max_position_embeddings"]), False
        elif "dynamic" in rope_type:
            yield int(module.original_max_seq_len), True


def _rope_types(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield each rope type of a rotary module, with its parameters. A module has one type, or one for each type of layer."""
    rope_type = getattr(module, "rope_type", None)
    parameters = getattr(getattr(module, "config", None), "rope_parameters", None)
    if isinstance(rope_type, str):
        yield rope_type, parameters
    elif isinstance(rope_type, dict):
        for layer_type, one in rope_type.items():
            yield one, (parameters or {}).get(layer_type)


class _FullCache(DynamicCache):  # type: ignore[misc]
    """An empty cache that claims to hold `tokens` tokens."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self._tokens = tokens

    def __len__(self) -> int:
        return 1

    def get_seq_length(self, *_args: Any, **_kwargs: Any) -> int:
        """Return the number of tokens that the cache claims to hold."""
        return self._tokens


def _restarts(network: Any, boundary: int) -> bool:
    """Whether `generate` drops the cache when a text gets its first token beyond the boundary. May raise UnknownSwitch."""
    ids = torch.zeros(1, boundary + 1, dtype=torch.long)
    try:
        inputs = network.prepare_inputs_for_generation(
            ids, past_key_values=_FullCache(boundary), attention_mask=torch.ones_like(ids), use_cache=True
        )
    except Exception as error:  # a model's own code may raise anything
        raise UnknownSwitch(f"its code cannot say how a text goes on after {boundary} tokens: {error!r}") from error
    return inputs.get("past_key_values") is None
