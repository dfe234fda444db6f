"""Sign in with a key, and sign out."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from jobs.gateway.access import WRONG_A_MINUTE, AtDesk, Meters
from jobs.gateway.desk import Desk
from jobs.gateway.errors import ApiError
from jobs.gateway.page.rendering import page
from jobs.gateway.page.sessions import SESSION_AGE, new_number
from jobs.gateway.page.visitors import (
    FIELD,
    SIGN_IN,
    AnyVisitor,
    PageRoute,
    Posted,
    check_origin,
    check_token,
    cookie_name,
    has_tls,
    sessions_of,
    way_back,
)

router = APIRouter(prefix="/page", include_in_schema=False, route_class=PageRoute)

FORM_COOKIE: Final = "nightpress_form"
"""The cookie of a browser that has not signed in. The token of the sign-in form follows from it."""

FORM_AGE_S: Final = 3_600


@router.get("/sign-in")
def show(request: Request, desk: AtDesk, next_: Annotated[str, Query(alias="next")] = "") -> Response:
    """Show the form that takes a key."""
    return _form(request, desk, way_back(next_))


@router.post("/sign-in")
async def sign_in(request: Request, desk: AtDesk) -> Response:
    """Begin a session, if the key is right."""
    check_origin(request)
    async with request.form(max_files=0, max_fields=4, max_part_size=4_096) as form:
        text, given, wanted = (str(form.get(name, "")) for name in ("key", FIELD, "next"))
    number = request.cookies.get(cookie_name(request, desk, FORM_COOKIE), "")
    check_token(desk, number, given)
    return await run_in_threadpool(_begin, request, desk, text.strip(), way_back(wanted))


@router.post("/sign-out")
def sign_out(request: Request, desk: AtDesk, visitor: AnyVisitor, form: Posted) -> Response:
    """Forget the session in this browser."""
    answer = RedirectResponse(SIGN_IN, 303)
    _set(answer, request, desk, cookie_name(request, desk), "", 0)
    return answer


def _begin(request: Request, desk: Desk, text: str, wanted: str) -> Response:
    meters: Meters = request.app.state.meters
    address = f"address {request.client.host if request.client else ''}"
    key = desk.keys.of(text)
    if key is None:
        if wait_s := meters.wait_s(address, WRONG_A_MINUTE):
            raise ApiError(
                429, "too many wrong keys came from this address: wait a minute", None, None, int(wait_s) + 1
            )
        return _form(request, desk, wanted, "This key is not known, or it was revoked.")
    sessions = sessions_of(desk)
    answer = RedirectResponse(wanted, 303)
    cookie = sessions.cookie_of(sessions.begin(key))
    _set(answer, request, desk, cookie_name(request, desk), cookie, int(SESSION_AGE.total_seconds()))
    _set(answer, request, desk, cookie_name(request, desk, FORM_COOKIE), "", 0)
    return answer


def _form(request: Request, desk: Desk, wanted: str, error: str = "") -> Response:
    name, number = cookie_name(request, desk, FORM_COOKIE), new_number()
    token = sessions_of(desk).token(number)
    answer = page("sign_in.html", 401 if error else 200, token=token, next=wanted, error=error, visitor=None)
    _set(answer, request, desk, name, number, FORM_AGE_S)
    return answer


def _set(answer: Response, request: Request, desk: Desk, name: str, value: str, age_s: int) -> None:
    """Set a cookie that no script reads and no other site sends; with an age of 0, delete it."""
    answer.set_cookie(
        name, value, max_age=age_s, path="/", httponly=True, samesite="strict", secure=has_tls(request, desk)
    )
