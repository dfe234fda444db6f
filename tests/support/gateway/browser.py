"""A browser without script: it keeps cookies, and sends the forms of the pages that it has seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from starlette.testclient import TestClient

from jobs.gateway.app import make_app
from jobs.submissions.keys import Quotas, Scope
from tests.support.gateway.front_desk import ALL, FrontDesk


@dataclass
class Form:
    """A form of a page, with the values of its fields."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    """Reads the elements, the forms and the words of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.forms: list[Form] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.elements.append((tag, values))
        if tag == "form":
            self.forms.append(Form(values.get("action", ""), values.get("method", "get")))
        elif tag == "input" and self.forms and "name" in values and values.get("type") != "checkbox":
            self.forms[-1].fields[values["name"]] = values.get("value", "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@dataclass
class Page:
    """A page as a browser has read it."""

    status: int
    address: str
    html: str
    headers: Mapping[str, str]

    def __post_init__(self) -> None:
        reader = _Reader()
        reader.feed(self.html)
        self.elements, self.forms = reader.elements, reader.forms
        self.text = " ".join(" ".join(reader.words).split())

    def form(self, action: str) -> Form:
        """The form whose action ends so."""
        (found,) = [one for one in self.forms if one.action.endswith(action)]
        return found

    def links(self) -> list[str]:
        """The addresses of the links of the page."""
        return [values["href"] for tag, values in self.elements if tag == "a" and "href" in values]


class Browser:
    """A browser with its own cookies."""

    def __init__(self, front_desk: FrontDesk) -> None:
        self.front_desk = front_desk
        self.http = TestClient(make_app(front_desk.desk), follow_redirects=True)
        self.key_id = ""

    def signed_in(self, tenant: str = "shop", scopes: Sequence[Scope] = ALL, quotas: Quotas | None = None) -> "Browser":
        """The same browser, signed in with a new key."""
        key, text = self.front_desk.desk.keys.make(f"page of {tenant}", tenant, scopes, quotas)
        self.key_id = key.id
        page = self.submit(self.get("/page/sign-in").form("/sign-in"), key=text)
        assert page.status == 200, page.text
        return self

    def get(self, address: str, **headers: str) -> Page:
        """Open an address."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return _page(self.http.get(address, headers=named))

    def submit(self, form: Form, *, files: Mapping[str, Any] | None = None, **fields: Any) -> Page:
        """Send a form with these values in its fields."""
        values = {**form.fields, **fields}
        if form.method == "get":
            return _page(self.http.get(form.action, params=values))
        values.pop("file", None)
        return _page(self.http.post(form.action, data=values, files=files))

    def forget_list(self) -> "Browser":
        """Let the gateway list the batches of the command line anew, as it does after some seconds."""
        self.http.app.state.direct_batches._known.clear()  # type: ignore[attr-defined]
        return self

    @staticmethod
    def token_in(html: str) -> str:
        """The token of the first form of a page."""
        return Page(200, "", html, {}).forms[0].fields["form_token"]


def _page(answer: Any) -> Page:
    return Page(answer.status_code, str(answer.url.path), answer.text, answer.headers)
