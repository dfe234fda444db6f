"""Shows what OpenAI's API does not have: results so far, rows with receipts, events, estimates, usage, models and health."""

from typing import Any

import orjson
import pytest

from jobs.errors import StoreUnavailable
from tests.support.gateway.front_desk import FrontDesk, chat_file, chat_line, error_of


def rows_of(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [orjson.loads(line)["row"] for line in answer.text.splitlines()]


def test_results_so_far(front_desk: FrontDesk) -> None:
    submission, batch_id = front_desk.admitted(chat_file(5))
    path = f"/v1/batches/{submission}/results"
    assert rows_of(front_desk.http.get(path)) == []
    shelf = front_desk.shelf
    shelf.write(batch_id, [shelf.completed(0), shelf.completed(3), shelf.failed(1)])
    answer = front_desk.http.get(path)
    assert (rows_of(answer), answer.headers["x-incomplete"]) == ([0, 3], "true")
    assert rows_of(front_desk.http.get(path, params={"after": 0})) == [3]
    assert rows_of(front_desk.http.get(path, params={"status": "failed"})) == [1]
    shelf.write(batch_id, [shelf.completed(2), shelf.completed(4)])
    front_desk.client.publish(batch_id)
    answer = front_desk.http.get(path, params={"limit": 2, "after": 0})
    assert (rows_of(answer), answer.headers["x-incomplete"]) == ([2, 3], "false")
    error_of(front_desk.http.get(path, params={"status": "failed", "verdict": "fit"}), 400)
    error_of(front_desk.http.get(path, params={"status": "odd"}), 400)


def test_results_of_a_batch_that_is_none_yet(front_desk: FrontDesk) -> None:
    one = front_desk.submit()
    answer = front_desk.http.get(f"/v1/batches/{one['id']}/results")
    assert (error_of(answer, 409)["code"], "retry-after" in answer.headers) == ("batch_validating", True)
    two = front_desk.submit(front_desk.upload(b"{\n"))
    front_desk.admit()
    assert error_of(front_desk.http.get(f"/v1/batches/{two['id']}/rows/0"), 409)["code"] == "batch_not_made"


def test_all_of_one_row(front_desk: FrontDesk) -> None:
    submission, _ = front_desk.published(failed=[1])
    row = front_desk.http.get(f"/v1/batches/{submission}/rows/0").json()
    assert (row["row"], row["request"]["custom_id"], row["outcome"]["status"]) == (0, "c0", "completed")
    assert row["attempts"][0]["receipt"]["seed"] == 7
    assert front_desk.http.get(f"/v1/batches/{submission}/rows/c1").json()["outcome"]["error"]["code"] == "empty_output"
    for odd in ("99", "nobody", "-1"):
        assert front_desk.http.get(f"/v1/batches/{submission}/rows/{odd}").status_code == 400


def test_events_until_the_end(front_desk: FrontDesk) -> None:
    submission, _ = front_desk.published()
    with front_desk.http.stream("GET", f"/v1/batches/{submission}/events", headers={"last-event-id": "7"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        (event, *rest) = b"".join(answer.iter_raw()).decode().strip().split("\n\n")
    assert rest == []
    lines = dict(line.split(": ", 1) for line in event.splitlines())
    assert (lines["id"], lines["event"]) == ("8", "batch")
    assert orjson.loads(lines["data"])["status"] == "completed"


def test_an_estimate(front_desk: FrontDesk) -> None:
    file_id = front_desk.upload(chat_file(3) + chat_line("x", model="gpt-9"))
    found = front_desk.http.post("/v1/estimates", json={"input_file_id": file_id}).json()
    assert (found["rows"], found["refused"], found["codes"]) == (4, 1, {"unknown_model": 1})
    assert found["refusals"][0]["line"] == 4
    assert found["usage"]["prompt_tokens"] > 0
    assert front_desk.client.batches() == []
    bad = front_desk.upload(b"nothing\n")
    answer = front_desk.http.post("/v1/estimates", json={"input_file_id": bad})
    assert answer.status_code in (200, 400)


def test_usage_by_day_and_model(front_desk: FrontDesk) -> None:
    _, batch_id = front_desk.published()
    for by, name in (
        ("day", "2026-11-23"),
        ("model", "stub"),
        ("kind", "chat"),
        ("batch", batch_id),
        ("tenant", "shop"),
    ):
        (one,) = front_desk.http.get("/v1/usage", params={"by": by}).json()["data"]
        assert (one[by], one["rows"], one["currency"]) == (name, 3, "USD")
    assert front_desk.http.get("/v1/usage", params={"since": "2026-11-24"}).json()["data"] == []
    for query in ({"by": "key"}, {"since": "some time"}):
        error_of(front_desk.http.get("/v1/usage", params=query), 400)


def test_models(front_desk: FrontDesk) -> None:
    found = front_desk.http.get("/v1/models").json()
    assert "stub" in {one["id"] for one in found["data"]}
    assert front_desk.http.get("/v1/models/stub").json()["object"] == "model"
    assert error_of(front_desk.http.get("/v1/models/a/b"), 404)["code"] == "model_not_found"


def test_health_needs_no_key(front_desk: FrontDesk) -> None:
    del front_desk.http.headers["authorization"]
    assert front_desk.http.get("/healthz").json() == {"status": "ok"}
    assert front_desk.http.get("/readyz").json() == {"status": "ok", "store": "ok", "queue": "none"}


def test_metrics_count_requests_and_what_waits(front_desk: FrontDesk) -> None:
    front_desk.submit()
    front_desk.http.get("/v1/batches/batch_x")
    text = front_desk.http.get("/metrics").text
    assert 'nightpress_gateway_requests_total{method="POST",route="/v1/batches",status="200"} 1.0' in text
    assert 'nightpress_gateway_requests_total{method="GET",route="/v1/batches/{batch_id}",status="404"} 1.0' in text
    assert "nightpress_gateway_waiting_submissions 1.0" in text
    assert "nightpress_gateway_owed_events 0.0" in text
    assert "batch_x" not in text


def test_while_the_store_is_away_clients_are_told_to_come_again(
    front_desk: FrontDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission, _ = front_desk.published()
    one = front_desk.batch(submission)
    front_desk.shelf.pass_s(10)
    front_desk.desk.statuses.forget(one["nightpress"]["batch"])

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("storage s3://secret-bucket does not answer")

    for name in ("read", "list", "create", "exists", "size", "reader", "writer", "read_range"):
        monkeypatch.setattr(front_desk.client.store, name, away)
    body = {"input_file_id": one["input_file_id"], "endpoint": one["endpoint"], "completion_window": "24h"}
    answers = [
        front_desk.http.get(f"/v1/batches/{submission}"),
        front_desk.http.get("/v1/batches"),
        front_desk.http.get("/v1/files"),
        front_desk.http.get(f"/v1/files/{one['output_file_id']}/content"),
        front_desk.http.post("/v1/batches", json=body),
        front_desk.http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("a", b"x")}),
        front_desk.http.post(f"/v1/batches/{submission}/cancel"),
    ]
    for answer in answers:
        assert error_of(answer, 503)["code"] == "unavailable"
        assert "retry-after" in answer.headers
        assert "secret-bucket" not in answer.text
    assert front_desk.http.get("/readyz").status_code == 503
    assert front_desk.http.get("/healthz").status_code == 200
