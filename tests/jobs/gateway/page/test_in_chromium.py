"""Shows the page in Chromium: the whole way by clicks and by keys, with axe-core, light and dark, on a phone, and offline.

With the environment variable PAGE_SCREENSHOTS, a folder, each page is kept there as a picture at 390 and 1280 pixels.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway.chromium import axe_script, chromium, serving, violations
from tests.support.gateway.front_desk import ALL, FrontDesk
from tests.support.gateway.showcase import Showcase

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe_script(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def site(full_desk: FrontDesk, shown: Showcase) -> Iterator[str]:
    with serving(full_desk.desk) as address:
        yield address


def opened(engine: Any, site: str, front_desk: FrontDesk, **options: Any) -> Any:
    """A page of a new window that has signed in. Its `asked` are the addresses of all requests, its `told` what went wrong."""
    window = engine.new_context(base_url=site, **options)
    page = window.new_page()
    page.asked, page.told = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.told.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.on("dialog", lambda dialog: page.told.append(dialog.message))
    page.add_init_script("window.pwned = () => { window.is_pwned = true }")
    _, text = front_desk.desk.keys.make("chromium", "shop", ALL)
    page.goto("/page/batches")
    page.get_by_label("Key").fill(text)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/page/batches")
    return page


def keep(page: Any, name: str) -> None:
    folder = os.environ.get("PAGE_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_and_nothing_leaves_the_host(
    engine: Any, axe: str, site: str, full_desk: FrontDesk, shown: Showcase, width: int, scheme: str
) -> None:
    page = opened(
        engine, site, full_desk, viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=False
    )
    found: dict[str, list[str]] = {}
    wide: list[str] = []
    for name, address in shown.addresses().items():
        page.goto(address)
        page.wait_for_load_state()
        keep(page, f"{name}-{width}-{scheme}")
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(name)
        page.evaluate(axe)
        if wrong := violations(page):
            found[name] = wrong
        assert not page.evaluate("window.is_pwned"), name
    assert found == {}
    assert wide == []  # only tables may be wider than the window, and they scroll by themselves
    assert {url for url in page.asked if not url.startswith((site, "data:"))} == set()
    assert [one for one in page.told if "404" not in one] == []
    page.context.close()
