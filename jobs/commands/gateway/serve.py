"""`serve` starts the HTTP gateway."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.commands.session import Session


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress serve --host 0.0.0.0 --port 8080")(serve)


def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen at.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen at; 0: a free one.")] = None,
) -> None:
    """Serve OpenAI's batch endpoints and the page over HTTP, until it is interrupted.

    A client needs a key: `nightpress keys make NAME`. What was accepted is kept in the storage; a fleet (`nightpress work`) runs
    it. Any number of gateways may serve one storage.
    """
    from jobs import logs

    try:
        from jobs.gateway.app import make_app
        from jobs.gateway.desk import Desk
        from jobs.gateway.server import listening, server_of
    except ImportError as error:
        from jobs.errors import ModelUnavailable

        raise ModelUnavailable(
            f"the gateway needs the package {error.name}: pip install 'nightpress[gateway]'"
        ) from error

    session: Session = ctx.obj
    client = session.client
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = client.settings.gateway.model_copy(update=given)
    logs.configure(client.settings.log_level, client.settings.log_format)
    desk = Desk(client)
    with listening(settings) as listener:
        bound = listener.getsockname()
        scheme = "https" if settings.tls_cert is not None else "http"
        desk.keys  # noqa: B018 - a wrong secret is told before anything is served
        session.say(
            f"serving at {scheme}://{settings.host}:{bound[1]}: the page is at /, the API at /v1; interrupt to stop"
        )
        if not desk.keys.listed():
            session.say("there are no keys yet: nightpress keys make NAME")
        server_of(make_app(desk), settings).run(sockets=[listener])
