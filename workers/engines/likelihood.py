"""How likely a token was that an engine chose, in the model's own numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Likelihood:
    """A token that was chosen, its log probability, and the likeliest tokens there with theirs."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]
