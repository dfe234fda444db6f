"""Shows that each page of jobs/gateway/page is rendered in each state, and that no text of others becomes a part of it."""

import re

from tests.support.gateway.browser import Browser, Page
from tests.support.gateway.front_desk import FrontDesk
from tests.support.gateway.showcase import Showcase

SAFE_LINKS = re.compile(r"/page/[^\s]*|#[a-z]+(-\d+)?|https://example\.org/guide")


def dangers(page: Page) -> list[str]:
    """What of a page could run, load or lead elsewhere; only our own script is left out."""
    found = []
    for tag, values in page.elements:
        if tag == "script" and not values.get("src", "").startswith("/page/static/htmx-"):
            found.append(f"script {values}")
        if (
            tag in ("iframe", "object", "embed", "base", "style", "template", "textarea")
            and values.get("id") != "metadata"
        ):
            found.append(tag)
        if tag == "img" and set(values) - {"alt", "dir"}:
            found.append(f"img {values}")
        if tag in ("svg", "rect", "path") and any(name.startswith("on") for name in values):
            found.append(tag)
        found += [f"{tag} {name}" for name in values if name.startswith("on") or name == "style"]
        href = values.get("href") or values.get("action") or ""
        if href and tag != "link" and not SAFE_LINKS.fullmatch(href):
            found.append(f"{tag} to {href}")
        if "hx-get" in values and not values["hx-get"].startswith("/page/"):
            found.append(f"hx-get {values['hx-get']}")
    return found


def test_every_page_is_there_and_nothing_of_a_row_becomes_a_part_of_it(full_desk: FrontDesk, shown: Showcase) -> None:
    browser = Browser(full_desk).signed_in()
    for name, address in shown.addresses().items():
        page = browser.get(address)
        assert page.status == (404 if name == "nowhere" else 200), (name, page.text)
        assert dangers(page) == [], name
        assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';"), name
        assert page.headers["cache-control"] == "no-store"
