"""Visitors of the page: who is signed in, what their key may do, and whether a form came from the page itself."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from jobs.errors import NightpressError
from jobs.gateway.access import AtDesk, Meters
from jobs.gateway.desk import Desk
from jobs.gateway.errors import ApiError, api_error
from jobs.gateway.page.rendering import page
from jobs.gateway.page.sessions import Session, Sessions
from jobs.submissions.keys import Key, Scope

COOKIE: Final = "nightpress_session"
FIELD: Final = "form_token"
"""The field of every form that shows that it came from a page of this session."""

MOST_FIELDS: Final = 60
HOME: Final = "/page/batches"
SIGN_IN: Final = "/page/sign-in"

_TITLES: Final = {
    400: "This cannot be done",
    401: "Sign in",
    403: "Your key may not do this",
    404: "There is nothing here",
    409: "This cannot be done now",
    413: "The file is too large",
    429: "Too many requests",
    503: "The storage does not answer",
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in. `token` is that of the session's forms."""

    session: Session
    token: str

    @property
    def key(self) -> Key:
        """The key that the visitor has signed in with."""
        return self.session.key

    @property
    def tenant(self) -> str:
        """The tenant whose batches the visitor sees."""
        return self.key.tenant

    def may(self, scope: Scope) -> bool:
        """Whether the visitor's key has a scope."""
        return scope in self.key.scopes


class SignInNeeded(ApiError):
    """The browser has no session, or it has ended."""

    def __init__(self) -> None:
        super().__init__(401, "sign in first", "invalid_api_key")


def sessions_of(desk: Desk) -> Sessions:
    """Return the sessions of a gateway."""
    return Sessions(desk.keys, desk.clock)


def visitor_of(request: Request, desk: AtDesk) -> Visitor:
    """Return who is signed in. Raises SignInNeeded, and ApiError 403 for a form of another site."""
    check_origin(request)
    sessions = sessions_of(desk)
    session = sessions.of(request.cookies.get(cookie_name(request, desk), ""))
    if session is None:
        raise SignInNeeded
    meters: Meters = request.app.state.meters
    a_minute = session.key.quotas.requests_a_minute
    is_live = request.headers.get("hx-request") == "true"
    if a_minute is not None and not is_live and (wait_s := meters.wait_s(f"key {session.key.id}", a_minute)):
        message = f"the key may make {a_minute} requests a minute: wait {wait_s:.0f} seconds"
        raise ApiError(429, message, "rate_limit_exceeded", None, int(wait_s) + 1)
    return Visitor(session, sessions.token(session.number))


def who_may(scope: Scope) -> Callable[[Visitor], Visitor]:
    """Return a dependency: the visitor, if the key has this scope. Raises ApiError 403 otherwise."""

    def require(visitor: Annotated[Visitor, Depends(visitor_of)]) -> Visitor:
        if not visitor.may(scope):
            scopes = ", ".join(visitor.key.scopes)
            raise ApiError(403, f"your key may not {scope}: its scopes are {scopes}", "insufficient_scope")
        return visitor

    return require


async def posted(request: Request, desk: AtDesk, visitor: Annotated[Visitor, Depends(visitor_of)]) -> Mapping[str, str]:
    """Return the fields of a form. Raises ApiError 403 if it has no token of this session."""
    async with request.form(max_files=0, max_fields=MOST_FIELDS, max_part_size=1 << 16) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
    check_token(desk, visitor.session.number, fields.get(FIELD, ""))
    return fields


def check_token(desk: Desk, number: str, given: str) -> None:
    """Raise ApiError 403 if a form has not the token of a session."""
    if not sessions_of(desk).is_token(number, given):
        raise ApiError(
            403, "the form is not of this session: go back, reload the page, and send it again", "wrong_form"
        )


def check_origin(request: Request) -> None:
    """Raise ApiError 403 for a request that changes something and comes from a page of another site, as browsers tell it."""
    if request.method in ("GET", "HEAD"):
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_ours = origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
    if (site not in ("same-origin", "none")) if site is not None else not is_ours:
        raise ApiError(403, "the form came from another site, so nothing was done", "wrong_origin")


def has_tls(request: Request, desk: Desk) -> bool:
    """Whether the browser speaks TLS, with us or with a proxy that says so."""
    return desk.settings.gateway.tls_cert is not None or request.headers.get("x-forwarded-proto", "") == "https"


def cookie_name(request: Request, desk: Desk, name: str = COOKIE) -> str:
    """Return the name of a cookie. With TLS its beginning keeps other hosts and plain HTTP from setting it."""
    return f"__Host-{name}" if has_tls(request, desk) else name


def way_back(given: str) -> str:
    """Return the address to go to after the sign-in: what was asked for, if it is one of the page."""
    is_ours = given.startswith("/page/") and given.isascii() and given.isprintable() and "\\" not in given
    return given if is_ours and not given.startswith(SIGN_IN) else HOME


class PageRoute(APIRoute):
    """A route whose errors are pages. Who is not signed in is led to the sign-in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of requests, with errors as pages."""
        handle = super().get_route_handler()

        async def handle_as_page(request: Request) -> Response:
            try:
                return await handle(request)
            except SignInNeeded:
                return _to_sign_in(request)
            except NightpressError as error:
                return error_page(api_error(error))
            except RequestValidationError:
                return error_page(ApiError(400, "the address or the form has a value that does not exist here"))
            except HTTPException as error:
                found = error if isinstance(error, ApiError) else ApiError(error.status_code, str(error.detail))
                return error_page(found)

        return handle_as_page


def error_page(error: ApiError) -> Response:
    """Return an error as a page."""
    title = _TITLES.get(error.status, "This did not work")
    answer = page("error.html", error.status, title=title, message=error.message, status=error.status, visitor=None)
    if error.retry_after_s is not None:
        answer.headers["retry-after"] = str(error.retry_after_s)
    return answer


def _to_sign_in(request: Request) -> Response:
    """Lead to the sign-in. A browser that came by a link of another site sent no cookie, so it comes again by itself first."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"hx-redirect": SIGN_IN})
    if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
        return page("again.html", address=way_back(asked), visitor=None)
    wanted = asked if request.method == "GET" else HOME
    return RedirectResponse(f"{SIGN_IN}?next={quote(way_back(wanted), safe='/')}", 303)


AnyVisitor = Annotated[Visitor, Depends(visitor_of)]
Viewer = Annotated[Visitor, Depends(who_may("read"))]
Sender = Annotated[Visitor, Depends(who_may("submit"))]
Stopper = Annotated[Visitor, Depends(who_may("cancel"))]
Posted = Annotated[Mapping[str, str], Depends(posted)]
