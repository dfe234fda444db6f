"""Shows the page in Chromium: the whole way by clicks and by keys, with axe-core, light and dark, on a phone, and offline.

With the environment variable PAGE_SCREENSHOTS, a folder, each page is kept there as a picture at 390 and 1280 pixels.
"""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway.chromium import axe_script, chromium, serving, violations
from tests.support.gateway.front_desk import ALL, FrontDesk, chat_file, chat_line
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


def press(page: Any, name: str, role: str = "link", most: int = 60) -> None:
    """Go by the tab key to what has this role and name, and press Enter. It must be seen to have the focus."""
    wanted = page.get_by_role(role, name=name, exact=True).first
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            assert wanted.evaluate("one => getComputedStyle(one).outlineStyle") != "none", name
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"the tab key does not come to {role} {name}")


def type_into(page: Any, label: str, text: str, most: int = 60) -> None:
    """Go by the tab key to a field, and type."""
    wanted = page.get_by_label(label, exact=True)
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            page.keyboard.press("Control+a")
            page.keyboard.type(text)
            return
    raise AssertionError(f"the tab key does not come to {label}")


def admitted(front_desk: FrontDesk, submission: str) -> str:
    """Wait until the gateway's own clerk has admitted a submission, and return the id of its batch."""
    journal = front_desk.desk.journal
    until = time.monotonic() + 60
    while time.monotonic() < until:
        decision = journal.decision(journal.get("shop", submission))
        if decision is not None:
            assert decision.batch_id is not None, decision
            return decision.batch_id
        front_desk.desk.clerk.wake()
        threading.Event().wait(0.1)
    raise AssertionError("the submission was not admitted")


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no-script"])
def test_the_whole_way_by_clicks(
    engine: Any, axe: str, site: str, full_desk: FrontDesk, tmp_path: Path, has_script: bool
) -> None:
    page = opened(engine, site, full_desk, java_script_enabled=has_script, accept_downloads=True)
    page.get_by_role("link", name="Upload a file").click()
    file = tmp_path / "herbs.jsonl"
    file.write_bytes(chat_file(4) + chat_line("bad", model="gpt-9"))
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="See what it would take").click()
    page.get_by_role("heading", name="Rows that would be refused").wait_for()
    keep(page, f"dry-run-{'script' if has_script else 'no-script'}")
    if has_script:
        page.evaluate(axe)
        assert violations(page) == []
    page.get_by_label("Metadata").fill("season = spring")
    page.get_by_role("button", name="Submit the batch").click()
    page.wait_for_url("**/page/batches/batch_*")
    batch_id = admitted(full_desk, page.url.rpartition("/")[2])
    if not has_script:
        page.reload()
    numbers = page.locator("#numbers")
    numbers.get_by_text("1 of 5").wait_for()  # with script, by itself
    full_desk.complete(batch_id, failed=[2])
    if not has_script:
        page.reload()
    numbers.get_by_text("5 of 5").wait_for()
    page.get_by_role("button", name="Run again what did not complete").wait_for()
    page.get_by_role("link", name="empty_output").click()
    page.get_by_role("link", name="2", exact=True).click()
    page.get_by_text("the model wrote nothing").first.wait_for()
    page.get_by_role("link", name="Row before").click()
    page.get_by_text("Text 1").first.wait_for()
    page.get_by_role("link", name="herbs").click()
    page.get_by_label("Form").select_option("csv")
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Download").click()
    assert downloaded.value.suggested_filename == f"{batch_id}-completed.csv"
    assert len(Path(downloaded.value.path()).read_bytes().splitlines()) == 4
    page.get_by_role("button", name="Run again what did not complete").click()
    page.get_by_role("button", name="Cancel the batch").click()
    page.locator("#numbers").get_by_text("cancelling").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/page/sign-in")
    if has_script:
        page.evaluate(axe)
        assert violations(page) == []
    page.goto("/page/batches")
    assert "/page/sign-in" in page.url
    assert {url for url in page.asked if not url.startswith((site, "data:"))} == set()
    assert page.told == []
    page.context.close()


def test_the_whole_way_by_keys(engine: Any, site: str, full_desk: FrontDesk, shown: Showcase, tmp_path: Path) -> None:
    page = opened(engine, site, full_desk)
    page.goto("/page/batches")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    press(page, "by-hand")
    page.wait_for_url(f"**/page/batches/{shown.direct}")
    press(page, "Cancel the batch", "button")
    page.locator("#numbers").get_by_text("cancelling").wait_for()
    press(page, "Batches")
    page.wait_for_url("**/page/batches")
    page.goto(f"/page/batches/{shown.articles}")
    press(page, "Look at the rows")
    page.wait_for_url("**/rows")
    type_into(page, "Code", "invented")
    page.keyboard.press("Enter")
    page.wait_for_url("**code=invented**")
    press(page, "1")
    page.wait_for_url("**/rows/1")
    press(page, "In body_markdown")
    assert page.url.endswith("#at-1")
    press(page, "Finding 1")
    assert page.url.endswith("#finding-1")
    press(page, "Sign out", "button")
    page.wait_for_url("**/page/sign-in")
    _, text = full_desk.desk.keys.make("keys", "shop", ALL)
    type_into(page, "Key", text)
    page.keyboard.press("Enter")
    page.wait_for_url("**/page/batches")
    assert page.told == []
    page.context.close()


def test_a_file_is_dropped(engine: Any, site: str, full_desk: FrontDesk, tmp_path: Path) -> None:
    page = opened(engine, site, full_desk)
    page.goto("/page/upload")
    file = tmp_path / "dropped.jsonl"
    file.write_bytes(chat_file(2))
    box = page.get_by_label("File").bounding_box()
    at = {"x": box["x"] + box["width"] - 30, "y": box["y"] + 20}
    mouse = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        mouse.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
    page.wait_for_function("document.getElementById('file').files.length === 1")
    page.get_by_role("button", name="See what it would take").click()
    page.get_by_text("dropped.jsonl").wait_for()
    page.context.close()


def test_nothing_is_lost_at_twice_the_size(engine: Any, site: str, full_desk: FrontDesk, shown: Showcase) -> None:
    # a window of 1280 pixels at 200 % has 640 of CSS, and one of 1280 at 400 % has 320 (WCAG 1.4.10)
    for width in (640, 320):
        page = opened(engine, site, full_desk, viewport={"width": width, "height": 400})
        for name, address in shown.addresses().items():
            page.goto(address)
            room, taken = page.evaluate("[document.documentElement.clientWidth, document.documentElement.scrollWidth]")
            assert taken <= room, (name, width, taken)
        page.context.close()


def test_a_session_that_ends_leads_live_numbers_to_the_sign_in(
    engine: Any, site: str, full_desk: FrontDesk, shown: Showcase
) -> None:
    page = opened(engine, site, full_desk)
    page.goto(f"/page/batches/{shown.running}")
    full_desk.shelf.pass_s(13 * 3_600)
    page.wait_for_url("**/page/sign-in")
    page.context.close()
