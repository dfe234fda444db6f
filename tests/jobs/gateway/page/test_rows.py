"""Shows jobs/gateway/page/rows.py: which rows are shown, how their pages go on, and all of one row."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from jobs.gateway.page import rows
from jobs.gateway.page.rows import Filter, number_of, one_page
from tests.support.gateway.browser import Browser, Page
from tests.support.gateway.front_desk import FrontDesk, chat_file


def row(number: int, **fields: Any) -> dict[str, Any]:
    return {"batch_id": "b", "row": number, "custom_id": f"c{number}", "kind": "chat", "status": "completed", **fields}


ROWS = (
    row(0, verdict="fit", metadata={"shelf": "a", "n": 1}),
    row(1, verdict="review", findings=[{"code": "invented"}, {"code": "short"}], metadata={"shelf": "b"}),
    row(2, status="failed", error={"code": "empty_output", "message": "m"}),
    row(3, status="failed", error={"code": "short", "message": "m"}, findings=[{"code": "short"}], kind="label"),
    row(4, metadata={"n": [1], "shelf": "a=b"}),
    row(5, status="cancelled", error={"code": "cancelled", "message": "m"}),
)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"verdict": "fit"}, [0]),
        ({"verdict": "review"}, [1]),
        ({"verdict": "failed"}, [2, 3]),
        ({"code": "short"}, [1, 3]),
        ({"code": "empty_output"}, [2]),
        ({"code": "cancelled"}, [5]),
        ({"kind": "label"}, [3]),
        ({"metadata": "shelf"}, [0, 1, 4]),
        ({"metadata": "shelf=a"}, [0]),
        ({"metadata": " shelf = a=b "}, [4]),
        ({"metadata": "n=1"}, [0]),
        ({"metadata": "n=[1]"}, [4]),
        ({"metadata": "shelf=a", "verdict": "review"}, []),
    ],
)
def test_a_filter_takes_rows(fields: Mapping[str, Any], wanted: list[int]) -> None:
    assert [one["row"] for one in ROWS if Filter(**fields).takes(one)] == wanted


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, (False, True)),
        ({"status": "completed"}, (False,)),
        ({"status": "failed"}, (True,)),
        ({"verdict": "fit"}, (False,)),
        ({"verdict": "failed"}, (True,)),
        ({"verdict": "fit", "status": "failed"}, ()),
        ({"verdict": "failed", "status": "completed"}, ()),
    ],
)
def test_only_the_files_that_may_have_rows_are_read(fields: Mapping[str, Any], wanted: tuple[bool, ...]) -> None:
    assert Filter(**fields).wants == wanted


def test_a_number_is_that_of_the_row_and_not_of_its_text() -> None:
    assert number_of(b'{"batch_id":"b","row":12,"custom_id":"\\"row\\":7,"}') == 12
    assert number_of(b'{"custom_id":"' + b"x" * 400 + b'","row":12}') == 12


def test_pages_go_on_where_they_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [(n, orjson.dumps(row(n, verdict="fit" if n % 10 == 0 else "review"))) for n in range(500)]
    monkeypatch.setattr(rows, "LOOKED_AT", 100)
    monkeypatch.setattr(rows, "A_PAGE", 7)
    found, after, pages = list[int](), -1, 0
    while True:
        page = one_page(iter(lines), Filter(verdict="fit"), after)
        found += [one["row"] for one in page.rows]
        pages += 1
        if page.after is None:
            break
        assert page.after > after
        after = page.after
    assert found == list(range(0, 500, 10))
    assert pages > 5


def numbers(page: Page) -> list[int]:
    """The numbers of the rows that a page lists."""
    return [int(one.rpartition("/rows/")[2]) for one in page.links() if "/rows/" in one]


def test_the_list_of_rows(front_desk: FrontDesk, browser: Browser) -> None:
    submission, _ = front_desk.published(chat_file(60), failed=[3])
    address = f"/page/batches/{submission}/rows"
    first = browser.get(address)
    assert numbers(first) == list(range(50))
    (more,) = [one for one in first.links() if "after=" in one]
    second = browser.get(more)
    assert numbers(second) == list(range(50, 60))
    assert not [one for one in second.links() if "after=" in one]
    assert numbers(browser.get(f"{address}?status=failed")) == [3]
    assert numbers(browser.get(f"{address}?code=empty_output")) == [3]
    assert numbers(browser.get(f"{address}?status=completed&after=57")) == [58, 59]
    assert "No rows are chosen" in browser.get(f"{address}?code=other").text


@pytest.mark.parametrize("query", ["status=x", "verdict=x", "after=x", "after=-2", "code=" + "x" * 700])
def test_a_wrong_choice_is_refused(front_desk: FrontDesk, browser: Browser, query: str) -> None:
    submission, _ = front_desk.published()
    assert browser.get(f"/page/batches/{submission}/rows?{query}").status == 400


def test_a_row_is_found_by_its_number_and_its_custom_id(front_desk: FrontDesk, browser: Browser) -> None:
    submission, _ = front_desk.published()
    form = browser.get(f"/page/batches/{submission}/rows").form("/rows")
    for name, wanted in (("c2", 2), ("1", 1)):
        assert browser.submit(form, find=name).address == f"/page/batches/{submission}/rows/{wanted}"
    assert browser.submit(form, find="nobody").status == 400


def test_rows_of_a_running_batch_are_shown(front_desk: FrontDesk, browser: Browser) -> None:
    submission, batch_id = front_desk.admitted()
    address = f"/page/batches/{submission}/rows"
    assert "No row that is chosen has an outcome yet" in browser.get(address).text
    front_desk.shelf.write(batch_id, [front_desk.shelf.completed(1), front_desk.shelf.failed(2)])
    assert numbers(browser.get(address)) == [1, 2]
    waiting = browser.get(f"{address}/0")
    assert "This row has no output yet" in waiting.text
    assert "Text 1" in browser.get(f"{address}/1").text  # from its attempt, since nothing is published


def test_all_of_a_row(front_desk: FrontDesk, browser: Browser) -> None:
    submission, _ = front_desk.published(failed=[1])
    done = browser.get(f"/page/batches/{submission}/rows/0")
    for words in ("Text 0", "Name herb 0.", "Attempts", "Receipt", "Completion tokens 10", "0.001400 USD", "seed"):
        assert words in done.text, words
    failed = browser.get(f"/page/batches/{submission}/rows/1")
    assert "empty_output , line 2 the model wrote nothing" in failed.text
    assert "Charge nothing" in failed.text
    for number in ("3", "99999999999999"):
        assert browser.get(f"/page/batches/{submission}/rows/{number}").status == 400
    for number in ("-1", "x"):
        assert browser.get(f"/page/batches/{submission}/rows/{number}").status == 400


def test_a_row_that_was_refused_has_no_attempt(front_desk: FrontDesk, browser: Browser) -> None:
    submission, batch_id = front_desk.admitted(chat_file(1) + b"{no json\n", nightpress={"strict": False})
    front_desk.complete(batch_id)
    page = browser.get(f"/page/batches/{submission}/rows/1")
    assert "The row was refused when its file was read" in page.text
