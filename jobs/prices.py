"""Prices, and the integer arithmetic that turns the counts of a usage into money.

All prices are integers in billionths of the currency, for an hour of a device or for a million tokens. Each amount of a row is
rounded once, half up, so it can be computed again from the counts and the price version in the row's receipt.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jobs.errors import RequestError
from jobs.usage import Usage

NS_PER_HOUR: Final = 3_600_000_000_000
BILLION: Final = 1_000_000_000

Price = Annotated[int, Field(ge=0, le=10_000_000 * BILLION)]
"""A price in billionths of the currency. Above it, amounts of a batch could need more than the 64 bits of our JSON."""


class TokenPrices(BaseModel):
    """The charge for a million tokens of one model, in billionths of the currency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Price = Field(default=0, description="For prompt tokens that were computed.")
    cached_prompt: Price = Field(default=0, description="For prompt tokens that came from a cache.")
    completion: Price = Field(default=0, description="For completion tokens.")

    def of(self, usage: Usage) -> int:
        """Return the price of the tokens of a usage, in billionths of the currency."""
        amount = (
            (usage.prompt_tokens - usage.cached_prompt_tokens) * self.prompt
            + usage.cached_prompt_tokens * self.cached_prompt
            + usage.completion_tokens * self.completion
        )
        return divided(amount, 1_000_000)


class Prices(BaseModel):
    """All prices, under the name of their version. The shipped prices are dated examples, not offers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(
        default="example-2026-11", min_length=1, max_length=64, description="The version's name; each receipt has it."
    )
    currency: str = Field(
        default="USD", pattern=r"^[A-Z]{3}$", description="The currency of all amounts, as an ISO 4217 code."
    )
    device_hour: Mapping[str, Price] = Field(
        default={
            "cpu": 50_000_000,  # one core
            "Tesla T4": 350_000_000,  # this is the name by which the driver calls the device
            "NVIDIA L4": 700_000_000,
            "NVIDIA A10G": 1_000_000_000,
            "NVIDIA L40S": 1_800_000_000,
            "NVIDIA A100": 2_500_000_000,
            "NVIDIA H100": 4_000_000_000,
            "NVIDIA H200": 5_000_000_000,
        },
        description="The cost of an hour, by the beginning of the device's name in its driver. Examples of 2026-11.",
    )
    models: Mapping[str, TokenPrices] = Field(
        default={
            "smollm2-135m": TokenPrices(prompt=10_000_000, cached_prompt=2_500_000, completion=40_000_000),
            "stub": TokenPrices(prompt=10_000_000, cached_prompt=2_500_000, completion=40_000_000),
        },
        description="Token prices by model alias. A model without an entry costs nothing.",
    )

    bought: Mapping[str, TokenPrices] = Field(
        default={},
        description="What the server of a remote model charges us for a million tokens, by model alias. It is the cost of that "
        "model, beside its device time, which is none.",
    )

    @model_validator(mode="after")
    def _in_one_currency(self) -> Self:
        """Refuse a currency that the shipped figures are not in, unless own tables replace them."""
        shipped = type(self).model_fields["currency"].default
        tables = ("device_hour", "models")
        if self.currency != shipped and (missing := [name for name in tables if name not in self.model_fields_set]):
            raise ValueError(
                f"the shipped prices are in {shipped}, not in {self.currency}: give {' and '.join(missing)} too, or "
                f"{missing[0]} = {{}} for none"
            )
        return self

    @property
    def are_own(self) -> bool:
        """Whether the settings give prices of their own, which replace the shipped ones."""
        return bool(self.model_fields_set & {"device_hour", "models", "bought", "currency", "version"})

    @property
    def bear_the_name_of_others(self) -> bool:
        """Whether the settings change prices but keep the name of the shipped version, so that receipts mislead."""
        return self.version == Prices().version and self != Prices()

    def without_price(self, models: Iterable[str]) -> Sequence[str]:
        """Return the members of `models` that have no price, so that their tokens cost nothing."""
        return [model for model in models if not (entry := self.models.get(model)) or not entry.model_fields_set]

    def of_device(self, device: str) -> int:
        """Return the cost of an hour of `device`, in billionths of the currency. It is the cost of the longest entry with which
        the device's name begins; 0 if there is no such entry.
        """
        names = [name for name in self.device_hour if device.lower().startswith(name.lower())]
        return self.device_hour[max(names, key=len)] if names else 0

    def price(self, usage: Usage, *, model: str, device: str) -> Usage:
        """Return `usage` with `device_cost` and `charge` computed from its counts."""
        device_cost = divided(usage.device_ns * self.of_device(device), NS_PER_HOUR)
        return Usage(
            prompt_tokens=usage.prompt_tokens,
            cached_prompt_tokens=usage.cached_prompt_tokens,
            completion_tokens=usage.completion_tokens,
            device_ns=usage.device_ns,
            device_cost=device_cost + self.bought.get(model, TokenPrices()).of(usage),
            charge=self.models.get(model, TokenPrices()).of(usage),
        )


MOST_MONEY: Final = 1_000_000_000 * BILLION
"""No budget is larger, so that sums of amounts stay within the 64 bits of our JSON."""

_MONEY: Final = re.compile(r"(\d{1,3}(?:_\d{3})+|\d{1,10})(?:\.(\d{1,9}))? ?([A-Za-z]{3})", re.ASCII)


class Money(BaseModel):
    """An amount in billionths of a currency, which is an ISO 4217 code."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    amount: int = Field(ge=0, le=MOST_MONEY)
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    def __str__(self) -> str:
        return exact(self.amount, self.currency)


def money_of(text: str, what: str) -> Money:
    """Return the amount that a person typed, such as `20EUR`, `0.50 EUR` or `1_000 usd`.

    Raises RequestError for any other text, and for an amount of 0 or above a billion. The message calls the amount by the name
    `what`.
    """
    match = _MONEY.fullmatch(text.strip())
    if match is None:
        raise RequestError(
            f"{what} {text!r}: give an amount with a point before its decimals, and its currency, such as 20EUR or 0.50EUR"
        )
    amount = int(match[1].replace("_", "")) * BILLION + int((match[2] or "").ljust(9, "0"))
    if not 0 < amount <= MOST_MONEY:
        raise RequestError(f"{what} {text!r}: give more than 0, and at most a billion")
    return Money(amount=amount, currency=match[3].upper())


def exact(amount: int, currency: str) -> str:
    """Return an amount in billionths as text, to its last digit: `20 EUR`, `0.000001234 EUR`."""
    whole, rest = divmod(abs(amount), BILLION)
    decimals = f"{rest:09}".rstrip("0")
    return f"{'-' * (amount < 0)}{whole:,}{'.' * bool(decimals)}{decimals} {currency}"


def divided(amount: int, by: int) -> int:
    """Return `amount / by`, rounded half up. Neither may be negative."""
    return (2 * amount + by) // (2 * by)


def formatted(amount: int, currency: str) -> str:
    """Return an amount in billionths as text for a person: `0.001234 USD`. An amount of 100 or more has only two decimals."""
    value = amount / BILLION
    return f"{value:,.2f} {currency}" if value >= 100 else f"{value:,.6f} {currency}"
