"""The reservation of a row is the most that the row may be charged. It is taken from a budget before the row is fed.

A row is charged for one attempt, the one whose outcome is published, and in it for the completions that the kind keeps. Lost and
failed attempts, and answers that were thrown away, are charged to nobody. So a reservation covers one attempt, however often the
row is tried. Intake notes with the row how many tokens its kept prompts and completions have at most (`RowRequest.most`). For a
row without that note the reservation is estimated on the safe side. In either case a worker charges no more than the reservation
(`capped`), so that the bound holds by construction, and not because an estimate was right.
"""

from dataclasses import replace
from typing import Final

import orjson

from jobs.batches.request_row import RowRequest
from jobs.prices import Prices, TokenPrices
from jobs.usage import Usage

TOKENS_PER_MILLION: Final = 1_000_000

SAFETY: Final = 8
"""For a row without a note of its kind: its completions have at most this many times the tokens that the kind expects."""

INSTRUCTIONS: Final = 4_096
"""For a row without a note of its kind: the tokens of the kind's own instructions, at most."""


def most_tokens(row: RowRequest) -> tuple[int, int]:
    """Return how many tokens the kept prompts and the kept completions of a row have at most.

    A token has at least one byte, so a prompt has at most as many tokens as bytes.
    """
    if row.most is not None:
        return row.most[0], row.most[1]
    prompt = len(orjson.dumps(dict(row.request))) + INSTRUCTIONS
    return prompt, SAFETY * max(row.cost, row.max_tokens or 0, 1)


def reservation(row: RowRequest, prices: Prices) -> int:
    """Return the most that a row may be charged by these prices, in billionths of their currency."""
    tokens = prices.models.get(row.model, TokenPrices())
    prompt, completion = most_tokens(row)
    amount = prompt * max(tokens.prompt, tokens.cached_prompt) + completion * tokens.completion
    return -(-amount // TOKENS_PER_MILLION)


def capped(usage: Usage, row: RowRequest, prices: Prices) -> Usage:
    """Return a priced usage of a row, with a charge of at most the row's reservation."""
    return replace(usage, charge=min(usage.charge, reservation(row, prices)))
