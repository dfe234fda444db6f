"""Shows jobs/gateway/page/uploads.py: a file is kept, tried without any batch, and then submitted once."""

from typing import Any

import orjson
import pytest

from jobs.gateway.page import uploads
from jobs.submissions.keys import Quotas
from tests.support.gateway.browser import Browser, Page
from tests.support.gateway.front_desk import FrontDesk, chat_file, chat_line
from tests.support.gateway.showcase import HOSTILE


def sent(browser: Browser, data: bytes, name: str = "herbs.jsonl", **fields: Any) -> Page:
    """Send a file by the form, and return its dry run."""
    return browser.submit(browser.get("/page/upload").form("/upload"), files={"file": (name, data)}, **fields)


def test_a_file_is_tried_and_then_submitted_once(front_desk: FrontDesk, browser: Browser) -> None:
    page = sent(browser, chat_file(3), kind="openai")
    assert page.status == 200, page.text
    assert "herbs.jsonl" in page.text
    assert "Rows 3 Refused 0 Prompt tokens" in page.text
    assert front_desk.desk.journal.waiting() == []  # nothing was submitted
    form = page.form(page.address)
    fields: dict[str, Any] = {
        "window": "1h",
        "priority": "8",
        "metadata": "season = spring = now\n\nshelf=a",
        "budget": "2USD",
    }
    made = [browser.submit(form, **fields) for _ in range(2)]  # twice, as by a double click
    assert {one.status for one in made} == {200}
    assert made[0].address == made[1].address
    (decision,) = front_desk.admit()
    one = front_desk.batch(made[0].address.rpartition("/")[2])
    assert (one["completion_window"], one["metadata"]) == ("1h", {"season": "spring = now", "shelf": "a"})
    assert decision.rows == 3
    assert front_desk.client.row(str(decision.batch_id), 0).request["priority"] == 8  # type: ignore[index]


def test_the_same_file_may_be_submitted_again_by_a_new_dry_run(front_desk: FrontDesk, browser: Browser) -> None:
    first = sent(browser, chat_file(3), kind="openai")
    again = browser.get(first.address)
    made = {browser.submit(page.form(first.address), window="24h").address for page in (first, again)}
    assert len(made) == 2


def test_rows_of_our_kinds_with_refused_ones_by_line(front_desk: FrontDesk, browser: Browser) -> None:
    rows = [{"topic": "Tea"}, {"topic": "Soup", "keyword": "x"}, {"topics": HOSTILE}]
    page = sent(browser, b"".join(orjson.dumps(one) + b"\n" for one in rows), kind="article", model="stub")
    assert "Rows 3 Refused 2" in page.text
    assert "Rows that would be refused Line Code Field What is wrong 2 unknown_field keyword" in page.text
    assert "article stub 1" in page.text
    after = browser.submit(page.form(page.address), window="24h")
    (decision,) = front_desk.admit()
    assert (decision.rows, decision.refused, after.status) == (3, 2, 200)


def test_a_file_of_which_nothing_is_accepted_cannot_be_submitted(browser: Browser) -> None:
    page = sent(browser, b'{"topics": 1}\n', kind="article")
    assert "All 1 rows would be refused" in page.text
    assert "Submit the batch" not in page.text
    page = sent(browser, b"\xff\xfe\x00", name="x.bin", kind="article")
    assert page.status == 200
    assert "Submit the batch" not in page.text


def test_lines_that_are_no_requests_are_told_and_may_fail_alone(front_desk: FrontDesk, browser: Browser) -> None:
    data = chat_line("a") + b"{no json\n" + chat_line("a")
    page = sent(browser, data, kind="openai")
    assert "the batch would fail as a whole" in page.text
    assert "2 invalid_json_line" in page.text
    assert "3 duplicate_custom_id" in page.text
    after = browser.submit(page.form(page.address), window="24h", lenient="yes")
    assert after.status == 200, after.text
    (decision,) = front_desk.admit()
    assert (decision.outcome, decision.rows, decision.refused) == ("admitted", 3, 2)


def test_a_file_of_completions_is_submitted_to_their_endpoint(front_desk: FrontDesk, browser: Browser) -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": {"model": "stub", "prompt": "Hi"}}
    page = sent(browser, orjson.dumps(line) + b"\n", kind="openai")
    after = browser.submit(page.form(page.address), window="24h")
    assert front_desk.batch(after.address.rpartition("/")[2])["endpoint"] == "/v1/completions"


def test_only_the_first_rows_of_a_long_file_are_tried(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "FIRST_ROWS", 5)
    page = sent(browser, chat_file(9), kind="openai")
    assert "Only the first 5 rows were read" in page.text
    (whole,) = [one for one in page.links() if "whole" in one]
    page = browser.get(whole)
    assert "Rows 9 Refused 0" in page.text
    assert "Only the first" not in page.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"window": "soon"}, "Done within: give it days"),
        ({"window": "9000d"}, "Done within: give it days"),
        ({"metadata": "season"}, "'season' is no `name = value`"),
        ({"metadata": "\n".join(f"a{n}=b" for n in range(17))}, "metadata"),
        ({"metadata": "a=" + "x" * 513}, "metadata"),
        ({"budget": "much"}, "budget"),
        ({"priority": "10"}, "priority"),
        ({"priority": "x"}, "priority"),
        ({"endpoint": "/v1/images"}, "endpoint"),
    ],
)
def test_a_wrong_form_submits_nothing(
    front_desk: FrontDesk, browser: Browser, fields: dict[str, Any], words: str
) -> None:
    page = sent(browser, chat_file(1), kind="openai")
    answer = browser.submit(page.form(page.address), **{"window": "24h", **fields})
    assert (answer.status, words in answer.text) == (400, True), answer.text
    assert front_desk.desk.journal.waiting() == []


def test_a_form_without_a_file_an_empty_and_a_large_one(front_desk: FrontDesk) -> None:
    browser = Browser(front_desk).signed_in(quotas=Quotas(file_bytes=100))
    form = browser.get("/page/upload").form("/upload")
    assert browser.submit(form, files={"other": ("x", b"y")}).status == 400
    assert sent(browser, b"", kind="openai").status == 400
    large = sent(browser, b"x" * 101, kind="openai")
    assert (large.status, "100 bytes at most" in large.text) == (413, True)
    assert front_desk.http.get("/v1/files").json()["data"] == []


def test_more_than_the_gateway_takes_is_refused_before_it_is_read(browser: Browser) -> None:
    answer = browser.http.post("/page/upload", headers={"content-length": str(1 << 30)}, content=b"")
    assert answer.status_code == 413


def test_the_name_of_a_file_is_only_shown(front_desk: FrontDesk, browser: Browser) -> None:
    page = sent(browser, chat_file(1), name='../<img src=x onerror="pwned()">.jsonl', kind="openai")
    assert "<img" not in page.html
    assert not [one for one in page.elements if one[0] == "img"]


def test_a_file_or_kind_that_is_not_there(front_desk: FrontDesk, browser: Browser) -> None:
    file_id = front_desk.upload()
    assert browser.get("/page/upload/file-" + "0" * 32).status == 404
    assert browser.get(f"/page/upload/{file_id}?kind=poem").status == 400
    front_desk.http.delete(f"/v1/files/{file_id}")
    assert browser.get(f"/page/upload/{file_id}").status == 404


def test_the_fields_of_each_kind_are_shown(browser: Browser) -> None:
    page = browser.get("/page/upload")
    assert "target_words integer, 50 to 5000, default 400" in page.text
    assert "glossary" in page.text
