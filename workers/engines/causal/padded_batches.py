"""Chooses the requests of a padded batch: those of similar length, and none that would change another's text.

A model whose rotary positions change with the length of a text (`LengthSwitch`) chooses them by the longest row of a batch.
So a batch holds either texts none of which comes to be long, or texts that are all long from their start. A text that becomes
long while it is written runs alone.
"""

from collections.abc import Sequence
from typing import Final

from workers.engines.causal.sequences import LengthSwitch
from workers.engines.text.encoding import Encoded

_SHORT: Final = "short"
_LONG: Final = "long"
_ALONE: Final = "alone"


def next_batch(waiting: Sequence[Encoded], slots: int, switch: LengthSwitch | None) -> list[Encoded]:
    """Return the request that has waited longest, which is the first, and its neighbours by length: at most `slots`."""
    oldest = waiting[0]
    if switch is None:
        return _neighbours(oldest, waiting, slots)
    side = _side(oldest, switch)
    if side == _ALONE:
        return [oldest]
    batch = _neighbours(oldest, [one for one in waiting if _side(one, switch) == side], slots)
    return batch if side == _LONG else _staying_short(oldest, batch, switch.boundary)


def _neighbours(oldest: Encoded, waiting: Sequence[Encoded], slots: int) -> list[Encoded]:
    by_length = sorted(waiting, key=_length)
    start = max(0, min(by_length.index(oldest), len(by_length) - slots))
    return by_length[start : start + slots]


def _side(one: Encoded, switch: LengthSwitch) -> str:
    """Whether a text stays short, is long from its start, or has to run alone because it becomes long."""
    max_tokens, prompt = _length(one)
    if prompt + max_tokens - 1 <= switch.boundary:  # the last token of a completion is never computed
        return _SHORT
    return _LONG if prompt > switch.boundary and not switch.grows else _ALONE


def _staying_short(oldest: Encoded, batch: Sequence[Encoded], boundary: int) -> list[Encoded]:
    """Return the part of a batch in which no row grows beyond the boundary. A row that has ended grows on with the others."""
    kept, (max_tokens, prompt) = [oldest], _length(oldest)
    for one in batch:
        longest = max(max_tokens, _length(one)[0]), max(prompt, _length(one)[1])
        if one is not oldest and sum(longest) - 1 <= boundary:
            kept.append(one)
            max_tokens, prompt = longest
    return kept


def _length(one: Encoded) -> tuple[int, int]:
    return one.request.prompt.params.max_tokens, len(one.tokens)
