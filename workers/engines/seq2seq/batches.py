"""Chooses a batch: the request that has waited longest, and those of the waiting ones that are most like it in length."""

from collections.abc import Sequence

from workers.engines.families.family import TranslationInput


def next_batch(waiting: Sequence[TranslationInput], slots: int, most_tokens: int) -> list[TranslationInput]:
    """Return the next batch, shortest text first. The first of the waiting requests is one of it.

    The batch has at most `slots` requests. It has at most `most_tokens` tokens, if each text counts as many as the longest has,
    or else it has the first request alone.
    """
    by_length = sorted(waiting, key=_length)
    first = last = next(place for place, one in enumerate(by_length) if one is waiting[0])
    while last - first + 1 < min(slots, len(by_length)):
        size = last - first + 2
        fits_above = last + 1 < len(by_length) and size * _length(by_length[last + 1]) <= most_tokens
        fits_below = first > 0 and size * _length(by_length[last]) <= most_tokens
        if not (fits_above or fits_below):
            break
        own = _length(waiting[0])
        is_nearer = fits_above and _length(by_length[last + 1]) - own <= own - _length(by_length[first - 1])
        if fits_above and (not fits_below or is_nearer):
            last += 1
        else:
            first -= 1
    return by_length[first : last + 1]


def _length(one: TranslationInput) -> int:
    return len(one.tokens)
