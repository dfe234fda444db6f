"""`models`: lists the catalog. Other packages add commands to this group, such as the one that fetches weights."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.commands.session import Session

models = typer.Typer(help="List the models, or fetch one.", no_args_is_help=True)
"""The command group `models`. Other packages add commands to it."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(models, name="models")


@models.command("list", epilog="Example: nightpress models list")
def list_models(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> None:
    """List the models that rows may name."""
    session: Session = ctx.obj
    settings = session.settings
    for alias, card in sorted(settings.catalog.items()):
        lane, prices = settings.lane_of(alias), settings.prices.models.get(alias)
        if as_json:
            session.write_json(
                {
                    "model": alias,
                    "lane": lane,
                    "default": alias == settings.model,
                    **card.model_dump(mode="json"),
                    "prices": None if prices is None else prices.model_dump(),
                }
            )
            continue
        session.write(alias + ("  (the default)" if alias == settings.model else ""))
        session.write(f"  lane {lane}, engine {card.engine}" + (f", source {card.source}" if card.source else ""))
        if card.adapters:
            session.write(f"  adapters: {', '.join(sorted(card.adapters))}")
        session.write(f"  {_priced(session, alias)}")


def _priced(session: Session, alias: str) -> str:
    from jobs.prices import formatted

    prices = session.settings.prices
    of_model = prices.models.get(alias)
    if of_model is None or prices.without_price([alias]):
        return f"no price in [prices.models]: its tokens are charged nothing (prices {prices.version})"
    amounts = {"prompt": of_model.prompt, "cached": of_model.cached_prompt, "completion": of_model.completion}
    shown = ", ".join(f"{formatted(amount, prices.currency)} {name}" for name, amount in amounts.items())
    return f"a million tokens: {shown} (prices {prices.version})"
