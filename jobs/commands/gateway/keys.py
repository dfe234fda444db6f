"""`keys` makes, lists and revokes the keys of clients of the HTTP gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.session import Session

if TYPE_CHECKING:
    from jobs.submissions.keys import Keys

_keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(_keys, name="keys", help="Make, list and revoke keys for the HTTP gateway.")


@_keys.command("make", epilog="Example: nightpress keys make 'shop, nightly' --tenant shop --scopes submit,read,cancel")
def make(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for, so that people know it again.")],
    tenant: Annotated[str | None, typer.Option(help="Whose key it is. Default: the setting `tenant`.")] = None,
    scopes: Annotated[
        str, typer.Option(help="What it may do: submit, read, cancel, admin, joined by commas.")
    ] = "submit,read,cancel",
    file_bytes: Annotated[int | None, typer.Option(min=1, help="Most bytes of a file.")] = None,
    open_batches: Annotated[int | None, typer.Option(min=1, help="Most open batches.")] = None,
    rows_a_day: Annotated[int | None, typer.Option(min=1, help="Most rows a day (UTC).")] = None,
    requests_a_minute: Annotated[int | None, typer.Option(min=1, help="Most requests a minute.")] = None,
    budget: Annotated[str | None, typer.Option(help="What one batch may be charged at most, such as 20EUR.")] = None,
) -> None:
    """Make a key, and print it. It is shown only now."""
    from jobs.prices import money_of
    from jobs.submissions.keys import Quotas

    session: Session = ctx.obj
    quotas = Quotas(
        file_bytes=file_bytes,
        open_batches=open_batches,
        rows_a_day=rows_a_day,
        requests_a_minute=requests_a_minute,
        budget=None if budget is None else money_of(budget, "--budget"),
    )
    wanted = [one.strip() for one in scopes.split(",") if one.strip()]
    key, text = _keys_of(session).make(name, tenant or session.settings.tenant, wanted, quotas)  # type: ignore[arg-type]
    session.say(f"a key of the tenant {key.tenant} that may {', '.join(key.scopes)}; it is shown only now:")
    session.write(text)


@_keys.command("list", epilog="Example: nightpress keys list")
def listed(ctx: typer.Context, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the keys that were not revoked, the newest first."""
    from jobs.commands.views.table import Table

    session: Session = ctx.obj
    found = _keys_of(session).listed()
    if as_json:
        session.write_json([one.model_dump(mode="json", exclude={"hmac_sha256", "format"}) for one in found])
        return
    if not found:
        session.say("there are no keys: nightpress keys make NAME")
        return
    session.write_table(
        Table(
            ("id", "name", "tenant", "scopes", "made"),
            [(one.id, one.name, one.tenant, ",".join(one.scopes), f"{one.created_at:%Y-%m-%d}") for one in found],
        )
    )


@_keys.command("revoke", epilog="Example: nightpress keys revoke 0f3a5c7e9b1d2f4a")
def revoke(ctx: typer.Context, key: Annotated[str, typer.Argument(help="The key's id.")]) -> None:
    """Revoke a key, at all gateways within five seconds."""
    session: Session = ctx.obj
    gone = _keys_of(session).revoke(key)
    session.say(f"revoked {gone.id} ({gone.name})")


def _keys_of(session: Session) -> Keys:
    from jobs.submissions.keys import Keys, server_secret

    given = session.settings.gateway.secret
    secret = server_secret(None if given is None else given.get_secret_value(), session.settings.cache_dir)
    return Keys(session.store, secret, session.clock)
