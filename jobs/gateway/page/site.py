"""Puts the page together: its routes, its files, and what is shown at addresses that it does not have."""

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import RedirectResponse

from jobs.gateway.errors import ApiError
from jobs.gateway.page import batches, downloads, fleet, rows, sign_in, uploads, usage
from jobs.gateway.page.listing import Direct
from jobs.gateway.page.rendering import static
from jobs.gateway.page.visitors import HOME, PageRoute

router = APIRouter(include_in_schema=False, route_class=PageRoute)


def add_page(app: FastAPI) -> None:
    """Add the page to an application that has a desk."""
    app.state.direct_batches = Direct()
    for part in (sign_in, batches, rows, downloads, uploads, usage, fleet):
        app.include_router(part.router)
    app.include_router(router)


@router.get("/")
def home() -> Response:
    """Lead to the batches."""
    return RedirectResponse(HOME, 307)


@router.get("/page/static/{name}")
def file(name: str) -> Response:
    """Send one of the page's own files."""
    found = static(name)
    if found is None:
        raise ApiError(404, "the page has no such file")
    return found


@router.get("/page")
@router.get("/page/{rest:path}")
def nowhere(rest: str = "") -> Response:
    """Lead from the beginning of the page to the batches, and say at other addresses that there is nothing."""
    if not rest:
        return RedirectResponse(HOME, 307)
    raise ApiError(404, "the page has no such address", "unknown_url")
