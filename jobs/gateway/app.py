"""The application: all endpoints, within the bounds of every request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from jobs.gateway.access import Meters
from jobs.gateway.bounds import Bounds
from jobs.gateway.description import describe
from jobs.gateway.desk import Desk
from jobs.gateway.errors import add_handlers
from jobs.gateway.metrics import Measured, Metrics
from jobs.gateway.page.site import add_page
from jobs.gateway.routes import batches, estimates, files, health, keys, models, rows, uploads, usage, webhooks

_ABOUT = """OpenAI's batch endpoints over Nightpress, and its extensions. Errors have OpenAI's form. A key goes into the header
`Authorization: Bearer np_...`."""


def make_app(desk: Desk) -> FastAPI:
    """Return the application of a desk. Its clerk works while the application is up."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        desk.clerk.start()
        desk.courier.start()
        try:
            yield
        finally:
            await run_in_threadpool(desk.courier.stop)
            await run_in_threadpool(desk.clerk.stop)

    app = FastAPI(
        title="Nightpress",
        version=version("nightpress"),
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,  # the page loads scripts of other hosts
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.desk = desk
    app.state.meters = Meters()
    app.state.metrics = Metrics(desk)
    for part in (files, uploads, batches, rows, models, usage, estimates, keys, webhooks, health):
        app.include_router(part.router)
    add_page(app)
    add_handlers(app)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    app.add_middleware(Measured, metrics=app.state.metrics)
    app.add_middleware(Bounds, file_bytes=desk.settings.gateway.file_bytes)
    return app
