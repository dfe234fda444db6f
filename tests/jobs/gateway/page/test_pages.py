"""Shows the pages of jobs/gateway/page in each state of a batch."""

from tests.support.gateway.browser import Browser
from tests.support.gateway.front_desk import FrontDesk


def test_smoke(front_desk: FrontDesk, browser: Browser) -> None:
    submission, _ = front_desk.published(failed=[1])
    front_desk.submit()
    for address in (
        "batches",
        f"batches/{submission}",
        f"batches/{submission}/rows",
        f"batches/{submission}/rows/0",
        f"batches/{submission}/rows/1",
        "upload",
        "usage",
        "fleet",
        f"batches/{submission}/numbers",
    ):
        page = browser.get(f"/page/{address}")
        assert page.status == 200, (address, page.text)
