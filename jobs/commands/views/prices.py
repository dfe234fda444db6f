"""Shows prices to a person, as money with its currency."""

from jobs.prices import Prices, formatted


def in_words(prices: Prices) -> str:
    """Return all prices in a sentence: the version, an hour of each device, and a million tokens of each model."""

    def money(amount: int) -> str:
        return formatted(amount, prices.currency)

    hours = [f"{device} {money(amount)}" for device, amount in prices.device_hour.items()]
    tokens = [
        f"{model} {money(entry.prompt)} prompt, {money(entry.cached_prompt)} cached, {money(entry.completion)} completion"
        for model, entry in prices.models.items()
    ]
    return (
        f"version {prices.version}; an hour of a device: {', '.join(hours) or 'nothing'}; "
        f"a million tokens: {'; '.join(tokens) or 'nothing'}"
    )


def free_models(prices: Prices, models: list[str]) -> str | None:
    """Return a sentence on those of `models` that have no price; None if all have one."""
    free = prices.without_price(models)
    if not free:
        return None
    return f"{', '.join(free)}: no price in [prices.models], so nothing is charged (prices {prices.version})"
