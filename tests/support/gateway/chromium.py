"""A gateway on a port of its own, and Chromium that looks at it. Tests skip where Chromium, Playwright or axe-core is missing."""

import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from jobs.gateway.app import make_app
from jobs.gateway.desk import Desk
from jobs.gateway.server import listening, server_of
from jobs.settings import GatewaySettings

AXE: Final = "axe-core@4.14.1"
CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def serving(desk: Desk) -> Iterator[str]:
    """Serve a desk on a free port of this machine. Yields the beginning of its addresses."""
    settings = GatewaySettings(port=0)
    with listening(settings) as listener:
        server = server_of(make_app(desk), settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium. Yields Playwright's browser; skips the test if there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    with api.sync_playwright() as playwright:
        if path is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("there is no Chromium: apt-get install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def axe_script(folder: Path) -> str:
    """Return the script of axe-core, which npm brings; skips the test if it cannot."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm, which brings axe-core")
    try:
        subprocess.run(["npm", "pack", AXE], cwd=folder, check=True, capture_output=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip(f"npm cannot bring {AXE}")
    (packed,) = folder.glob("axe-core-*.tgz")
    with tarfile.open(packed) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def violations(page: Any) -> list[str]:
    """Return what axe-core finds on a page into which its script was put: rule, weight and the first element."""
    found = page.evaluate("() => axe.run()")["violations"]
    return [f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:200]}" for one in found]
