"""Shows jobs/gateway/routes/batches.py and batch_objects.py: the life of a batch as OpenAI's clients see it."""

from typing import Any

import pytest

from jobs.gateway.routes.batches import window_s
from tests.support.gateway.front_desk import FrontDesk, chat_file, chat_line, error_of


def test_a_batch_goes_from_validating_to_completed(front_desk: FrontDesk) -> None:
    one = front_desk.submit(metadata={"season": "spring"})
    assert one["status"] == "validating"
    assert one["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert one["metadata"] == {"season": "spring"}
    assert "output_file_id" not in one  # what is unset is left out, and not null
    assert None not in one.values()
    (decision,) = front_desk.admit()
    two = front_desk.batch(one["id"])
    assert (two["status"], two["request_counts"]["total"]) == ("in_progress", 3)
    assert two["in_progress_at"] >= two["created_at"]
    assert two["nightpress"]["batch"] == decision.batch_id
    front_desk.complete(str(decision.batch_id))
    three = front_desk.batch(one["id"])
    assert (three["status"], three["request_counts"]) == ("completed", {"total": 3, "completed": 3, "failed": 0})
    assert three["completed_at"] == three["finalizing_at"]
    assert three["usage"]["total_tokens"] == three["usage"]["input_tokens"] + three["usage"]["output_tokens"] == 333
    assert three["output_file_id"].endswith("-r1")
    assert "error_file_id" not in three


def test_failed_rows_have_an_error_file_and_the_batch_is_completed(front_desk: FrontDesk) -> None:
    submission, _ = front_desk.published(failed=[1])
    one = front_desk.batch(submission)
    assert (one["status"], one["request_counts"]) == ("completed", {"total": 3, "completed": 2, "failed": 1})
    assert {"error_file_id", "output_file_id"} <= one.keys()


def test_an_unknown_model_fails_its_row_alone(front_desk: FrontDesk) -> None:
    data = chat_line("good") + chat_line("bad", model="gpt-9")
    submission, batch_id = front_desk.admitted(data)
    front_desk.complete(batch_id)
    one = front_desk.batch(submission)
    assert (one["status"], one["request_counts"]) == ("completed", {"total": 2, "completed": 1, "failed": 1})
    lines = front_desk.http.get(f"/v1/files/{one['error_file_id']}/content").text
    assert '"code":"model_not_found"' in lines


def test_a_batch_of_unknown_models_alone_is_completed_without_a_worker(front_desk: FrontDesk) -> None:
    submission, _ = front_desk.admitted(chat_line("a", model="gpt-9"))
    one = front_desk.batch(submission)
    assert (one["status"], one["request_counts"]) == ("completed", {"total": 1, "completed": 0, "failed": 1})
    assert "output_file_id" not in one


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        pytest.param(b"{not json\n", "invalid_json_line", None, id="not-json"),
        pytest.param(b"[1]\n", "invalid_json_line", None, id="no-object"),
        pytest.param(chat_line("c0"), "duplicate_custom_id", "custom_id", id="twice"),
        pytest.param(chat_line("x", url="/v1/completions"), "mismatched_endpoint", "url", id="endpoint"),
        pytest.param(chat_line("x", stream=True), "unsupported_parameter", "body.stream", id="stream"),
        pytest.param(chat_line(""), "missing_required_parameter", "custom_id", id="no-custom-id"),
        pytest.param(
            b'{"custom_id":"x","url":"/v1/chat/completions","body":{}}\n',
            "missing_required_parameter",
            "method",
            id="no-method",
        ),
        pytest.param(
            b'{"custom_id":"x","method":"GET","url":"/v1/chat/completions","body":{}}\n',
            "invalid_method",
            "method",
            id="get",
        ),
        pytest.param(
            b'{"custom_id":"x","method":"POST","url":"/v1/chat/completions","body":[]}\n',
            "invalid_type",
            "body",
            id="body",
        ),
        pytest.param(
            b'{"custom_id":7,"method":"POST","url":"/v1/chat/completions","body":{}}\n',
            "invalid_type",
            "custom_id",
            id="number",
        ),
    ],
)
def test_a_fault_around_a_body_fails_the_batch(
    front_desk: FrontDesk, line: bytes, code: str, param: str | None
) -> None:
    one = front_desk.submit(front_desk.upload(chat_file(2) + line))
    front_desk.admit()
    failed = front_desk.batch(one["id"])
    assert (failed["status"], "failed_at" in failed) == ("failed", True)
    (fault,) = failed["errors"]["data"]
    assert (fault["code"], fault.get("param"), fault["line"]) == (code, param, 3)
    assert front_desk.client.batches() == []


@pytest.mark.parametrize("line", [b"{not json\n", chat_line("c0")])
def test_it_is_a_failed_row_if_the_batch_is_not_strict(front_desk: FrontDesk, line: bytes) -> None:
    submission, batch_id = front_desk.admitted(chat_file(2) + line, nightpress={"strict": False})
    front_desk.complete(batch_id)
    assert front_desk.batch(submission)["request_counts"] == {"total": 3, "completed": 2, "failed": 1}


def test_rows_of_our_own_kinds(front_desk: FrontDesk) -> None:
    data = b'{"topic": "Tea", "platform": "x"}\n{"topic": "Soup", "platform": "x"}\n'
    submission, batch_id = front_desk.admitted(data, nightpress={"kind": "social_post", "priority": 8})
    assert front_desk.client.status(batch_id).rows == 2
    assert front_desk.client.row(batch_id, 0).request["priority"] == 8  # type: ignore[index]
    assert front_desk.batch(submission)["status"] == "in_progress"


def test_the_window_is_the_deadline(front_desk: FrontDesk) -> None:
    _, batch_id = front_desk.admitted(completion_window="1h30min")
    status = front_desk.client.status(batch_id)
    assert status.deadline is not None
    assert (status.deadline - front_desk.shelf.now).total_seconds() == 5_400


@pytest.mark.parametrize(
    ("window", "wanted"),
    [("24h", 86_400), ("1d12h", 129_600), ("90min", 5_400), ("30s", 30), ("", 0), ("h", 0), ("1m", 0), ("-1h", 0)],
)
def test_windows(window: str, wanted: int) -> None:
    assert window_s(window) == wanted


def test_a_batch_that_expired(front_desk: FrontDesk) -> None:
    submission, batch_id = front_desk.admitted()
    front_desk.shelf.write(batch_id, [front_desk.shelf.completed(0)])
    front_desk.shelf.pass_s(86_401)
    from jobs.batches.rounds import close

    close(front_desk.client.store, batch_id, "expired", front_desk.shelf.clock)
    assert front_desk.batch(submission)["status"] == "finalizing"
    front_desk.client.publish(batch_id)
    front_desk.desk.statuses.forget(batch_id)
    one = front_desk.batch(submission)
    assert (one["status"], one["request_counts"]) == ("expired", {"total": 3, "completed": 1, "failed": 2})
    assert one["expired_at"] >= one["expires_at"]
    lines = front_desk.http.get(f"/v1/files/{one['error_file_id']}/content").text.splitlines()
    assert len(lines) == 2
    assert all('"code":"batch_expired"' in line for line in lines)


def test_all_completed_is_completed_although_the_deadline_closed_the_round(front_desk: FrontDesk) -> None:
    from jobs.batches.rounds import close

    submission, batch_id = front_desk.admitted()
    close(front_desk.client.store, batch_id, "expired", front_desk.shelf.clock)
    front_desk.complete(batch_id)
    assert front_desk.batch(submission)["status"] == "completed"


def test_cancelling_a_running_batch(front_desk: FrontDesk) -> None:
    submission, batch_id = front_desk.admitted()
    front_desk.shelf.write(batch_id, [front_desk.shelf.completed(0)])
    for _ in range(2):  # twice is fine
        answer = front_desk.http.post(f"/v1/batches/{submission}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelling")
    front_desk.client.publish(batch_id)
    front_desk.desk.statuses.forget(batch_id)
    one = front_desk.batch(submission)
    assert (one["status"], one["request_counts"]) == ("cancelled", {"total": 3, "completed": 1, "failed": 2})
    assert one["cancelled_at"] >= one["cancelling_at"]
    assert '"code":"batch_cancelled"' in front_desk.http.get(f"/v1/files/{one['error_file_id']}/content").text
    assert front_desk.http.post(f"/v1/batches/{submission}/cancel").json()["status"] == "cancelled"


def test_cancelling_before_the_file_is_read(front_desk: FrontDesk) -> None:
    one = front_desk.submit()
    answer = front_desk.http.post(f"/v1/batches/{one['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert front_desk.admit() == []
    assert front_desk.client.batches() == []


def test_cancelling_while_the_file_is_read_cancels_the_batch_too(front_desk: FrontDesk) -> None:
    from jobs.submissions.admission import admit

    one = front_desk.submit()
    submission = front_desk.desk.journal.get("shop", one["id"])

    class Meanwhile:
        """A client that has cancelled when the batch was just made."""

        def __getattr__(self, name: str) -> Any:
            return getattr(front_desk.client, name)

        def enqueue(self, *args: Any, **options: Any) -> Any:
            made = front_desk.client.enqueue(*args, **options)
            assert front_desk.http.post(f"/v1/batches/{one['id']}/cancel").json()["status"] == "cancelled"
            return made

    decision = admit(Meanwhile(), front_desk.desk.journal, submission)  # type: ignore[arg-type]
    assert decision.outcome == "cancelled"
    (batch_id,) = front_desk.client.batches()
    assert front_desk.client.status(batch_id).state == "cancelling"
    assert front_desk.batch(one["id"])["status"] == "cancelled"


def test_an_ended_batch_cannot_be_cancelled(front_desk: FrontDesk) -> None:
    submission, _ = front_desk.published()
    error = error_of(front_desk.http.post(f"/v1/batches/{submission}/cancel"), 409)
    assert (error["code"], error["type"]) == ("batch_ended", "conflict_error")


def test_a_retry_opens_a_further_round(front_desk: FrontDesk) -> None:
    submission, batch_id = front_desk.published(failed=[0, 2])
    first = front_desk.batch(submission)
    answer = front_desk.http.post(f"/v1/batches/{submission}/retry")
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress")
    shelf = front_desk.shelf
    shelf.write(batch_id, [shelf.completed(0, round_=2), shelf.completed(2, round_=2)])
    front_desk.client.publish(batch_id)
    front_desk.desk.statuses.forget(batch_id)
    second = front_desk.batch(submission)
    assert second["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    assert second["output_file_id"] != first["output_file_id"]
    old = front_desk.http.get(f"/v1/files/{first['output_file_id']}/content")  # an old round stays readable
    assert len(old.text.splitlines()) == 1
    error_of(front_desk.http.post(f"/v1/batches/{submission}/retry"), 400)


def test_the_same_idempotency_key_is_the_same_batch(front_desk: FrontDesk) -> None:
    file_id = front_desk.upload()
    body = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    answers = [front_desk.http.post("/v1/batches", json=body, headers={"idempotency-key": "k"}) for _ in range(2)]
    answers.append(front_desk.http.post("/v1/batches", json={**body, "idempotency_key": "k"}))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    other = front_desk.http.post(
        "/v1/batches", json={**body, "completion_window": "1h"}, headers={"idempotency-key": "k"}
    )
    error_of(other, 409)
    front_desk.admit()
    assert len(front_desk.client.batches()) == 1


def test_the_key_of_another_tenant_is_another_batch(front_desk: FrontDesk) -> None:
    other = front_desk.as_tenant("bakery")
    ids = {front_desk.submit(http=http, idempotency_key="k")["id"] for http in (front_desk.http, other)}
    assert len(ids) == 2


def test_listing_goes_from_page_to_page(front_desk: FrontDesk) -> None:
    file_id, ids = front_desk.upload(), list[str]()
    for _ in range(5):
        front_desk.shelf.pass_s(1)
        ids.insert(0, front_desk.submit(file_id)["id"])
    found, after = list[str](), None
    for more in (True, True, False):
        page = front_desk.http.get("/v1/batches", params={"limit": 2, **({"after": after} if after else {})}).json()
        found += [one["id"] for one in page["data"]]
        after = page["last_id"]
        assert (page["first_id"], page["has_more"]) == (page["data"][0]["id"], more)
    assert found == ids
    empty = front_desk.as_tenant("bakery").get("/v1/batches").json()
    assert empty == {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}
    error_of(front_desk.http.get("/v1/batches", params={"after": "batch_" + "0" * 32}), 404)
    for limit in (0, 101, "x"):
        error_of(front_desk.http.get("/v1/batches", params={"limit": limit}), 400)


def test_listing_those_of_a_status(front_desk: FrontDesk) -> None:
    done, _ = front_desk.published()
    for _ in range(3):
        front_desk.shelf.pass_s(1)
        front_desk.submit()
    page = front_desk.http.get("/v1/batches", params={"status": "completed", "limit": 1}).json()
    assert [one["id"] for one in page["data"]] == [done]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        pytest.param({"endpoint": "/v1/images"}, "endpoint", id="endpoint"),
        pytest.param({"completion_window": "soon"}, "completion_window", id="window"),
        pytest.param({"completion_window": "9000d"}, "completion_window", id="long"),
        pytest.param({"completion_window": None}, "completion_window", id="null"),
        pytest.param({"metadata": {str(n): "" for n in range(17)}}, "metadata", id="many"),
        pytest.param({"metadata": {"a": "x" * 513}}, "metadata.a", id="long-value"),
        pytest.param({"metadata": {"x" * 65: "a"}}, None, id="long-name"),
        pytest.param({"metadata": {"a": 7}}, "metadata.a", id="number"),
        pytest.param({"model": "stub"}, "model", id="unknown"),
        pytest.param({"nightpress": {"kinds": "chat"}}, "nightpress.kinds", id="unknown-of-ours"),
        pytest.param({"nightpress": {"priority": 10}}, "nightpress.priority", id="priority"),
        pytest.param({"nightpress": {"budget": "much"}}, None, id="budget"),
        pytest.param({"nightpress": {"publish_at": "yesterdayish"}}, None, id="publish-at"),
        pytest.param({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, None, id="expiry"),
    ],
)
def test_wrong_requests(front_desk: FrontDesk, change: dict[str, Any], param: str | None) -> None:
    body = {"input_file_id": front_desk.upload(), "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    error = error_of(front_desk.http.post("/v1/batches", json={**body, **change}), 400)
    assert error["type"] == "invalid_request_error"
    if param is not None:
        assert error["param"] == param
    assert front_desk.desk.journal.waiting() == []


def test_a_file_that_is_not_there(front_desk: FrontDesk) -> None:
    for file_id in ("file-x", "../../secret", "file-" + "0" * 32):
        body = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        error_of(front_desk.http.post("/v1/batches", json=body), 404)


def test_a_file_that_is_deleted_after_the_batch_was_submitted_is_still_read(front_desk: FrontDesk) -> None:
    from jobs.submissions.tidying import tidy

    file_id = front_desk.upload()
    one = front_desk.submit(file_id)
    assert front_desk.http.delete(f"/v1/files/{file_id}").json() == {"id": file_id, "object": "file", "deleted": True}
    error_of(front_desk.http.get(f"/v1/files/{file_id}"), 404)
    tidy(front_desk.client.store, front_desk.shelf.clock)
    front_desk.admit()
    assert front_desk.batch(one["id"])["status"] == "in_progress"
    tidy(front_desk.client.store, front_desk.shelf.clock)
    assert front_desk.client.store.list("submissions/tenant-shop/contents") == []
