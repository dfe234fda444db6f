"""Renders the templates of the page, and serves its few files. No answer of the page lets anything of another host in."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
import orjson
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from jobs.prices import formatted

HERE: Final = Path(__file__).parent

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""The content security policy of every answer: no inline script or style, nothing of another host, no frame around the page."""

NONE: Final = "\u2013"
"""A dash, in the place of a value that there is not."""

_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_KEPT: Final = "public, max-age=31536000, immutable"
_UNITS_S: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def page(template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """Return the answer of a template with these values."""
    text = _environment().get_template(template).render(values)
    # Without a referrer of its own forms, a browser would send them with the origin `null`.
    headers = {"content-security-policy": POLICY, "cache-control": "no-store", "referrer-policy": "same-origin"}
    return HTMLResponse(text.encode(errors="replace"), status, headers)


def static(name: str) -> Response | None:
    """Return one of the page's own files; None if there is none of this name."""
    found = _files().get(name)
    if found is None:
        return None
    content, media_type = found
    return Response(content, 200, {"cache-control": _KEPT}, media_type)


def moment(at: datetime | str | None) -> str:
    """Return a time, also one in RFC 3339, as an element that programs can read too."""
    if isinstance(at, str):
        try:
            return moment(datetime.fromisoformat(at))
        except ValueError:
            return at
    if at is None:
        return Markup('<span class="none">{}</span>').format(NONE)
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), f"{utc:%Y-%m-%d %H:%M} UTC"
    )


def span(seconds: float | timedelta | None) -> str:
    """Return a length of time in its two largest units, such as `2 h 5 min`."""
    if seconds is None:
        return NONE
    left = int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
    found = []
    for size, name in _UNITS_S:
        if left >= size:
            found.append(f"{left // size} {name}")
            left %= size
    return " ".join(found[:2]) or "0 s"


def as_json(value: object) -> str:
    """Return a value as JSON that people can read."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str).decode()


def is_texts(value: object) -> bool:
    """Whether a value is a list of texts, which is shown as a list."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def is_records(value: object) -> bool:
    """Whether a value is a list of objects that hold nothing but texts, such as questions with their answers."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(one, dict) and one and is_texts(list(one.values())) for one in value)


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "moment": moment,
        "span": span,
        "pretty": as_json,
        "money": formatted,
        "count": lambda number: f"{number:,}",
        "file_size": file_size,
    }
    made.tests |= {"texts": is_texts, "records": is_records}
    made.globals["static"] = lambda name: f"/page/static/{name}?v={_version(name)}"
    return made


def file_size(count: int) -> str:
    """Return a number of bytes in a unit that makes it short."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if value < 1_000:
            break
        value, unit = value / 1_000, larger
    return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"


@cache
def _files() -> Mapping[str, tuple[bytes, str]]:
    paths = [path for path in (HERE / "static").iterdir() if path.suffix in _TYPES]
    return {path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in paths}


@cache
def _version(name: str) -> str:
    return hashlib.sha256(_files()[name][0]).hexdigest()[:12]
