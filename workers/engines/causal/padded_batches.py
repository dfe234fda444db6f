"""Chooses the requests of a padded batch so that their lengths are similar and no request changes the text of another.

If the rotary positions of a model change with the length of a text (`LengthSwitch`), the longest text of a batch decides for all.
So a batch holds either only texts that stay short or only texts that are long from their start. A text that becomes long while it
is generated runs alone, and so does a long text whose positions change with each token (`grows`).
"""

from collections.abc import Sequence
from typing import Final

from workers.engines.causal.sequences import LengthSwitch
from workers.engines.text.encoding import Encoded

_SHORT: Final = "short"
_LONG: Final = "long"
_ALONE: Final = "alone"


def next_batch(waiting: Sequence[Encoded], slots: int, switch: LengthSwitch | None) -> list[Encoded]:
    """Return the next batch: the first request, which has waited longest, and others that are similar to it in length.

    The batch has at most `slots` requests.
    """
    oldest = waiting[0]
    if switch is None:
        return _neighbours(oldest, waiting, slots)
    side = _side(oldest, switch)
    if side == _ALONE:
        return [oldest]
    batch = _neighbours(oldest, [one for one in waiting if _side(one, switch) == side], slots)
    return batch if side == _LONG else _staying_short(oldest, batch, switch.boundary)


def with_room(waiting: Sequence[Encoded], places: int) -> Sequence[Encoded]:
    """Return the requests whose adapters fit into memory together: those of the first `places` adapters, and all without one.

    The first request is among them.
    """
    adapters = dict.fromkeys(one.request.prompt.adapter for one in waiting if one.request.prompt.adapter is not None)
    chosen = {None, *list(adapters)[:places]}
    return [one for one in waiting if one.request.prompt.adapter in chosen]


def _neighbours(oldest: Encoded, waiting: Sequence[Encoded], slots: int) -> list[Encoded]:
    by_length = sorted(waiting, key=_length)
    start = max(0, min(by_length.index(oldest), len(by_length) - slots))
    return by_length[start : start + slots]


def _side(one: Encoded, switch: LengthSwitch) -> str:
    """Return whether a text stays short, is long from its start, or must run alone because its positions change while it is
    generated.
    """
    max_tokens, prompt = _length(one)
    if prompt + max_tokens - 1 <= switch.boundary:  # the last token of a completion is never computed
        return _SHORT
    return _LONG if prompt > switch.boundary and not switch.grows else _ALONE


def _staying_short(oldest: Encoded, batch: Sequence[Encoded], boundary: int) -> list[Encoded]:
    """Return `oldest`, and the requests of the batch that can be padded together with it, so that no text gets longer than
    `boundary` tokens.

    A text that has ended is padded until all texts have ended. So each text becomes as long as the longest prompt and the
    longest completion together.
    """
    kept, (max_tokens, prompt) = [oldest], _length(oldest)
    for one in batch:
        longest = max(max_tokens, _length(one)[0]), max(prompt, _length(one)[1])
        if one is not oldest and sum(longest) - 1 <= boundary:
            kept.append(one)
            max_tokens, prompt = longest
    return kept


def _length(one: Encoded) -> tuple[int, int]:
    return one.request.prompt.params.max_tokens, len(one.tokens)
