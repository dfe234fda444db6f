"""Shows jobs/gateway/page/batches.py and listing.py: the list, and what is shown of a batch and can be done with it."""

from jobs.batches.rounds import load_batch
from jobs.errors import StoreUnavailable
from jobs.gateway.page import listing
from jobs.submissions.journal import Journal
from tests.support.gateway.browser import Browser
from tests.support.gateway.front_desk import FrontDesk, chat_file


def by_hand(front_desk: FrontDesk, name: str = "hand", tenant: str = "shop") -> str:
    """Make a batch as the command line does."""
    rows = [{"kind": "chat", "prompt": f"Row {n}"} for n in range(3)]
    return front_desk.client.enqueue(rows, model="stub", tenant=tenant, name=name).id


def test_an_empty_list_says_so(browser: Browser) -> None:
    assert "There are no batches yet. Upload a file to make one." in browser.get("/page/batches").text


def test_the_list_has_numbers_of_each_batch(front_desk: FrontDesk, browser: Browser) -> None:
    front_desk.published(failed=[1])
    text = browser.get("/page/batches").text
    assert "herbs batch_" in text
    assert "completed 3 of 3 1 failed 0.002820 USD ended" in text


def test_batches_of_the_command_line_are_listed_once_and_others_tenants_not(
    front_desk: FrontDesk, browser: Browser
) -> None:
    front_desk.published()
    mine, _ = by_hand(front_desk, "mine"), by_hand(front_desk, "theirs", "bakery")
    page = browser.forget_list().get("/page/batches")
    links = [one for one in page.links() if one.startswith("/page/batches/")]
    assert len(links) == 2
    assert f"/page/batches/{mine}" in links
    assert "theirs" not in page.text
    shown = browser.get(f"/page/batches/{mine}")
    assert "Came from the command line" in shown.text


def test_the_list_goes_on_through_both_sorts_of_batches_each_once(front_desk: FrontDesk, browser: Browser) -> None:
    file_id, made = front_desk.upload(), list[str]()
    for n in range(listing.A_PAGE + 7):
        front_desk.shelf.pass_s(1)
        made.insert(0, by_hand(front_desk, f"hand-{n}") if n % 3 == 0 else front_desk.submit(file_id)["id"])
    browser.forget_list()
    found, address = list[str](), "/page/batches"
    for _ in range(5):
        page = browser.get(address)
        found += [one.removeprefix("/page/batches/") for one in page.links() if one.startswith("/page/batches/")]
        older = [one for one in page.links() if one.startswith("/page/batches?")]
        if not older:
            break
        (address,) = older
    assert found == made


def test_a_damaged_batch_of_the_command_line_hides_no_other(front_desk: FrontDesk, browser: Browser) -> None:
    bad, good = by_hand(front_desk, "bad"), by_hand(front_desk, "good")
    front_desk.client.store.delete(f"batches/{bad}/batch.json")
    front_desk.client.store.create(f"batches/{bad}/batch.json", b"{")
    page = browser.forget_list().get("/page/batches")
    assert f"/page/batches/{good}" in page.links()
    assert page.status == 200
    assert load_batch(front_desk.client.store, good) is not None


def test_a_deleted_batch_is_left_out(front_desk: FrontDesk, browser: Browser) -> None:
    submission, batch_id = front_desk.published()
    front_desk.client.delete(batch_id)
    front_desk.desk.statuses.forget(batch_id)
    assert browser.get("/page/batches").status == 200
    assert browser.get(f"/page/batches/{submission}").status == 404


def test_numbers_ask_again_until_the_batch_has_ended(front_desk: FrontDesk, browser: Browser) -> None:
    submission, batch_id = front_desk.admitted()
    address = f"/page/batches/{submission}/numbers"
    polled = [values for tag, values in browser.get(f"/page/batches/{submission}").elements if "hx-get" in values]
    assert [one["hx-get"] for one in polled] == [address]
    part = browser.get(address, hx_request="true")
    assert "<html" not in part.html
    assert "hx-refresh" not in part.headers
    front_desk.complete(batch_id)
    ended = browser.get(address, hx_request="true")
    assert ended.headers["hx-refresh"] == "true"
    assert "hx-get" not in ended.html
    assert "hx-get" not in browser.get(f"/page/batches/{submission}").html


def test_failures_are_shown_by_code_with_examples(front_desk: FrontDesk, browser: Browser) -> None:
    submission, _ = front_desk.published(chat_file(6), failed=[1, 2, 3, 5])
    page = browser.get(f"/page/batches/{submission}")
    assert "empty_output 4 Row 1 the model wrote nothing Row 2 the model wrote nothing Row 3" in page.text
    assert f"/page/batches/{submission}/rows?code=empty_output&status=failed" in page.links()
    assert "Row 5" not in page.text


def test_a_refused_file_shows_its_lines(front_desk: FrontDesk, browser: Browser) -> None:
    one = front_desk.submit(front_desk.upload(chat_file(2) + b"{not json\n", name="bad.jsonl"))
    front_desk.admit()
    page = browser.get(f"/page/batches/{one['id']}")
    assert "bad.jsonl" in page.text
    assert "Why it was refused Line Code Field What is wrong 3 invalid_json_line" in page.text
    assert browser.get(f"/page/batches/{one['id']}/rows").status == 409


def test_a_file_that_is_read_can_be_cancelled(front_desk: FrontDesk, browser: Browser) -> None:
    one = front_desk.submit()
    page = browser.get(f"/page/batches/{one['id']}")
    assert "The file is being read" in page.text
    assert browser.get(f"/page/batches/{one['id']}/rows").status == 409
    after = browser.submit(page.form("/cancel"))
    assert (after.status, front_desk.batch(one["id"])["status"]) == (200, "cancelled")
    assert front_desk.admit() == []


def test_cancelling_and_running_again(front_desk: FrontDesk, browser: Browser) -> None:
    submission, batch_id = front_desk.admitted()
    for address, own_id in ((submission, batch_id), ((other := by_hand(front_desk)), other)):
        front_desk.desk.statuses.forget(own_id)
        running = browser.get(f"/page/batches/{address}")
        assert not [one for one in running.forms if one.action.endswith("/retry")]
        cancelled = browser.submit(running.form("/cancel"))
        assert "Status cancelling" in cancelled.text
        assert browser.submit(running.form("/cancel")).status == 200  # twice is fine
        front_desk.client.publish(own_id)
        front_desk.desk.statuses.forget(own_id)
        ended = browser.get(f"/page/batches/{address}")
        assert "Status cancelled" in ended.text
        assert not [one for one in ended.forms if one.action.endswith("/cancel")]
        again = browser.submit(ended.form("/retry"))
        assert "Round 2" in again.text
        assert front_desk.client.status(own_id).round == 2


def test_what_has_ended_cannot_be_cancelled(front_desk: FrontDesk, browser: Browser) -> None:
    submission, _ = front_desk.published()
    other = by_hand(front_desk)
    form = browser.get(f"/page/batches/{other}").form("/cancel")
    front_desk.complete(other)
    for address in (submission, other):
        form.action = f"/page/batches/{address}/cancel"
        page = browser.submit(form)
        assert (page.status, "nothing to cancel" in page.text) == (409, True), page.text
    form.action = f"/page/batches/{submission}/retry"
    assert browser.submit(form).status == 400  # every row completed


def test_storage_that_is_away_is_told(front_desk: FrontDesk, browser: Browser) -> None:
    submission, _ = front_desk.published()

    class Away:
        def __getattr__(self, name: str) -> object:
            raise StoreUnavailable("the storage is away")

    front_desk.desk.journal = Journal(Away(), front_desk.desk.clock)  # type: ignore[arg-type]
    page = browser.get(f"/page/batches/{submission}")
    assert (page.status, page.headers["retry-after"]) == (503, "5")
    assert "The storage does not answer" in page.text
