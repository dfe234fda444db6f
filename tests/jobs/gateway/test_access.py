"""Shows jobs/gateway/access.py, bounds.py, errors.py and jobs/submissions/keys.py: who may do what, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs.gateway.access import WRONG_A_MINUTE, Meters
from jobs.gateway.app import make_app
from jobs.prices import money_of
from jobs.submissions.keys import SCOPES, Keys, Quotas, server_secret
from tests.support.gateway.front_desk import CHAT, FrontDesk, chat_file, error_of

GUARDED = [
    ("POST", "/v1/files"),
    ("GET", "/v1/files"),
    ("GET", "/v1/files/file-x"),
    ("DELETE", "/v1/files/file-x"),
    ("GET", "/v1/files/file-x/content"),
    ("POST", "/v1/uploads"),
    ("POST", "/v1/uploads/u/parts"),
    ("POST", "/v1/uploads/u/complete"),
    ("POST", "/v1/uploads/u/cancel"),
    ("POST", "/v1/batches"),
    ("GET", "/v1/batches"),
    ("GET", "/v1/batches/b"),
    ("POST", "/v1/batches/b/cancel"),
    ("POST", "/v1/batches/b/retry"),
    ("GET", "/v1/batches/b/results"),
    ("GET", "/v1/batches/b/rows/0"),
    ("GET", "/v1/batches/b/events"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/m"),
    ("GET", "/v1/usage"),
    ("POST", "/v1/estimates"),
    ("POST", "/v1/keys"),
    ("GET", "/v1/keys"),
    ("DELETE", "/v1/keys/k"),
    ("POST", "/v1/webhooks"),
    ("GET", "/v1/webhooks"),
    ("GET", "/v1/webhooks/w"),
    ("POST", "/v1/webhooks/w"),
    ("DELETE", "/v1/webhooks/w"),
    ("POST", "/v1/webhooks/w/rotate"),
    ("POST", "/v1/webhooks/w/test"),
    ("GET", "/v1/webhooks/w/deliveries"),
    ("POST", "/v1/webhooks/w/deliveries/e/resend"),
]
OPEN = {"/healthz", "/readyz", "/metrics", "/openapi.json"}


def test_the_list_of_guarded_endpoints_is_whole(front_desk: FrontDesk) -> None:
    paths = make_app(front_desk.desk).openapi()["paths"]
    found = {(method.upper(), path) for path, methods in paths.items() for method in methods if path.startswith("/v1")}
    assert len(found) == len(GUARDED)
    assert {path for path in paths if not path.startswith("/v1")} <= OPEN


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("Bearer ", id="empty"),
        pytest.param("Bearer np_0123456789abcdef_" + "A" * 43, id="unknown"),
        pytest.param("Basic bnA6eA==", id="basic"),
    ],
)
def test_without_a_right_key_nothing_is_told(front_desk: FrontDesk, method: str, path: str, header: str | None) -> None:
    http = TestClient(make_app(front_desk.desk))
    answer = http.request(method, path, headers={"authorization": header} if header else {})
    error = error_of(answer, 401)
    assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_that_differs_in_one_character_is_unknown(front_desk: FrontDesk) -> None:
    _, text = front_desk.desk.keys.make("k", "shop", SCOPES)
    http = TestClient(make_app(front_desk.desk))
    assert http.get("/v1/models", headers={"authorization": f"bearer {text}"}).status_code == 200
    for at in (3, 25, len(text) - 1):
        wrong = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        error_of(http.get("/v1/models", headers={"authorization": f"Bearer {wrong}"}), 401)


def test_the_store_does_not_hold_keys(front_desk: FrontDesk, tmp_path: Path) -> None:
    _, text = front_desk.desk.keys.make("k", "shop", SCOPES)
    kept = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert kept
    assert not any(text.rpartition("_")[2].encode() in data for data in kept)


def test_a_key_of_another_secret_is_unknown(front_desk: FrontDesk) -> None:
    _, text = front_desk.desk.keys.make("k", "shop", SCOPES)
    assert Keys(front_desk.client.store, b"another secret").of(text) is None


def test_a_revoked_key_is_unknown_within_seconds(front_desk: FrontDesk) -> None:
    at = [0.0]
    keys = Keys(front_desk.client.store, b"s" * 32, monotonic=lambda: at[0])
    key, text = keys.make("k", "shop", SCOPES)
    other = Keys(front_desk.client.store, b"s" * 32, monotonic=lambda: at[0])
    assert keys.of(text) == other.of(text) == key
    keys.revoke(key.id)
    assert keys.of(text) is None
    assert other.of(text) == key
    at[0] = 5.0
    assert other.of(text) is None


@pytest.mark.parametrize(
    ("scopes", "method", "path", "status"),
    [
        (["read"], "POST", "/v1/batches", 403),
        (["read"], "POST", "/v1/files", 403),
        (["read"], "POST", "/v1/batches/batch_x/cancel", 403),
        (["read"], "DELETE", "/v1/files/file-x", 403),
        (["submit"], "GET", "/v1/batches", 403),
        (["submit", "read", "cancel"], "GET", "/v1/keys", 403),
        (["submit", "read", "cancel"], "POST", "/v1/keys", 403),
        (["cancel"], "POST", "/v1/batches/batch_x/cancel", 404),
        (["read"], "GET", "/v1/batches", 200),
    ],
)
def test_a_key_may_do_what_its_scopes_say(
    front_desk: FrontDesk, scopes: list[Any], method: str, path: str, status: int
) -> None:
    http = front_desk.as_tenant("shop", scopes)
    answer = http.request(method, path, json={} if method == "POST" and path != "/v1/files" else None)
    assert answer.status_code == (status if status != 403 else answer.status_code)
    if status == 403:
        assert error_of(answer, 403)["code"] == "insufficient_scope"


def test_keys_are_made_listed_and_revoked_over_http(front_desk: FrontDesk) -> None:
    body = {"name": "nightly", "scopes": ["read"], "quotas": {"budget": "20USD", "rows_a_day": 9}}
    made = front_desk.http.post("/v1/keys", json=body).json()
    assert (made["tenant"], made["scopes"], made["quotas"]) == ("shop", ["read"], {"budget": "20 USD", "rows_a_day": 9})
    assert made["key"].startswith(made["prefix"])
    listed = front_desk.http.get("/v1/keys")
    assert made["id"] in {one["id"] for one in listed.json()["data"]}
    assert made["key"] not in listed.text
    assert "hmac" not in listed.text
    assert front_desk.http.delete(f"/v1/keys/{made['id']}").json()["deleted"]
    error_of(front_desk.http.delete(f"/v1/keys/{made['id']}"), 404)
    error_of(front_desk.http.get("/v1/models", headers={"authorization": f"Bearer {made['key']}"}), 401)
    for wrong in (
        {"name": ""},
        {"name": "x", "scopes": ["all"]},
        {"name": "x", "tenant": "a/b"},
        {"name": "x", "quotas": {"x": 1}},
    ):
        error_of(front_desk.http.post("/v1/keys", json=wrong), 400)


def test_another_tenants_things_are_not_there(front_desk: FrontDesk) -> None:
    submission, _ = front_desk.published(failed=[0])
    one = front_desk.batch(submission)
    other = front_desk.as_tenant("bakery")
    for path in (
        f"/v1/batches/{submission}",
        f"/v1/batches/{submission}/results",
        f"/v1/batches/{submission}/rows/0",
        f"/v1/batches/{submission}/events",
        f"/v1/files/{one['input_file_id']}",
        f"/v1/files/{one['input_file_id']}/content",
        f"/v1/files/{one['output_file_id']}",
        f"/v1/files/{one['output_file_id']}/content",
        f"/v1/files/{one['error_file_id']}/content",
    ):
        error_of(other.get(path), 404)
    for path in ("cancel", "retry"):
        error_of(other.post(f"/v1/batches/{submission}/{path}"), 404)
    error_of(other.delete(f"/v1/files/{one['input_file_id']}"), 404)
    body = {"input_file_id": one["input_file_id"], "endpoint": CHAT, "completion_window": "24h"}
    error_of(other.post("/v1/batches", json=body), 404)
    error_of(other.post("/v1/estimates", json={"input_file_id": one["input_file_id"]}), 404)
    for path in ("/v1/batches", "/v1/files", "/v1/usage", "/v1/webhooks"):
        assert other.get(path).json()["data"] == []
    assert front_desk.http.get("/v1/usage").json()["data"] != []


def test_quotas_of_a_key(front_desk: FrontDesk) -> None:
    small = front_desk.as_tenant("a", quotas=Quotas(file_bytes=100))
    error_of(small.post("/v1/files", data={"purpose": "batch"}, files={"file": ("a", b"x" * 101)}), 413)
    error_of(small.post("/v1/uploads", json={"filename": "a", "purpose": "batch", "bytes": 101, "mime_type": "x"}), 413)
    one = front_desk.as_tenant("b", quotas=Quotas(open_batches=1))
    file_id = front_desk.upload(http=one)
    body = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h"}
    assert one.post("/v1/batches", json=body).status_code == 200
    refused = one.post("/v1/batches", json=body)
    assert error_of(refused, 429)["code"] == "open_batches_exceeded"
    assert "retry-after" in refused.headers
    front_desk.admit()
    error_of(one.post("/v1/batches", json=body), 429)
    (batch_id,) = front_desk.client.batches(tenant="b")
    front_desk.complete(batch_id)
    assert one.post("/v1/batches", json=body).status_code == 200


def test_the_rows_of_a_day(front_desk: FrontDesk) -> None:
    http = front_desk.as_tenant("a", quotas=Quotas(rows_a_day=5))
    first = front_desk.submit(front_desk.upload(chat_file(3), http=http), http=http)
    front_desk.admit()
    second = front_desk.submit(front_desk.upload(chat_file(3), http=http), http=http)
    front_desk.admit()
    shown = http.get(f"/v1/batches/{second['id']}").json()
    assert (shown["status"], shown["errors"]["data"][0]["code"]) == ("failed", "rows_a_day_exceeded")
    third = front_desk.submit(front_desk.upload(chat_file(2), http=http), http=http)
    front_desk.admit()
    assert {http.get(f"/v1/batches/{one['id']}").json()["status"] for one in (first, third)} == {"in_progress"}
    body = {"input_file_id": front_desk.upload(http=http), "endpoint": CHAT, "completion_window": "24h"}
    assert error_of(http.post("/v1/batches", json=body), 429)["code"] == "rows_a_day_exceeded"
    front_desk.shelf.pass_s(86_400)
    assert http.post("/v1/batches", json=body).status_code == 200


def test_the_budget_of_a_key(front_desk: FrontDesk) -> None:
    http = front_desk.as_tenant("a", quotas=Quotas(budget=money_of("2USD", "x")))
    front_desk.submit(http=http)
    (decision,) = front_desk.admit()
    status = front_desk.client.status(str(decision.batch_id))
    assert status.budget is not None
    assert status.budget.budget == 2_000_000_000
    body = {"input_file_id": front_desk.upload(http=http), "endpoint": CHAT, "completion_window": "24h"}
    error_of(http.post("/v1/batches", json={**body, "nightpress": {"budget": "3USD"}}), 403)
    assert http.post("/v1/batches", json={**body, "nightpress": {"budget": "1USD"}}).status_code == 200


def test_the_pace_of_a_key(front_desk: FrontDesk) -> None:
    http = front_desk.as_tenant("a", quotas=Quotas(requests_a_minute=3))
    http.app.state.meters = Meters(lambda: 0.0)  # type: ignore[attr-defined]
    assert [http.get("/v1/models").status_code for _ in range(3)] == [200] * 3
    refused = http.get("/v1/models")
    assert error_of(refused, 429)["code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 20


def test_the_pace_of_wrong_keys(front_desk: FrontDesk) -> None:
    app = make_app(front_desk.desk)
    app.state.meters = Meters(lambda: 0.0)
    http = TestClient(app)
    wrong = {"authorization": "Bearer np_x"}
    assert {http.get("/v1/models", headers=wrong).status_code for _ in range(WRONG_A_MINUTE)} == {401}
    error_of(http.get("/v1/models", headers=wrong), 429)
    right = {"authorization": front_desk.http.headers["authorization"]}  # it may come from the same proxy
    assert http.get("/v1/models", headers=right).status_code == 200


def test_a_bucket_fills_evenly() -> None:
    at = [0.0]
    meters = Meters(lambda: at[0])
    assert [meters.wait_s("a", 60) for _ in range(60)] == [0.0] * 60
    assert meters.wait_s("a", 60) == pytest.approx(1.0)
    at[0] = 1.0
    assert meters.wait_s("a", 60) == 0.0
    assert meters.wait_s("b", 60) == 0.0


def test_every_answer_has_its_id_and_headers(front_desk: FrontDesk) -> None:
    answer = front_desk.http.get("/v1/models", headers={"x-request-id": "mine-7"})
    assert answer.headers["x-request-id"] == "mine-7"
    for odd in ("a b", "x" * 129, "a;b"):
        assert (
            front_desk.http.get("/v1/nowhere", headers={"x-request-id": odd}).headers["x-request-id"].startswith("req_")
        )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers
    assert (
        "access-control-allow-origin"
        not in front_desk.http.get("/v1/models", headers={"origin": "https://evil"}).headers
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nowhere", 404, "unknown_url"),
        ("GET", "/v2", 404, "unknown_url"),
        ("PUT", "/v1/batches", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
    ],
)
def test_unknown_places_have_openais_form(
    front_desk: FrontDesk, method: str, path: str, status: int, code: str
) -> None:
    assert error_of(front_desk.http.request(method, path), status)["code"] == code


def test_a_wrong_method_is_told_the_right_ones(front_desk: FrontDesk) -> None:
    assert front_desk.http.request("PUT", "/v1/batches").headers["allow"] == "GET, POST"
    assert front_desk.http.request("PATCH", "/v1/files/file-x").headers["allow"] == "DELETE, GET"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/..%2f..%2fetc%2fpasswd", "/v1/files/%2e%2e/x", "/v1/files/file-%00", "/v1/batches/..",
        "/v1/batches/batch_%0a", "/v1/files/file-" + "a" * 5_000, "/v1/files/file-ABCDEF" + "0" * 26,
        "/v1/batches/batch_" + "g" * 32, "/v1/files/file-out-" + "0" * 32 + "-r0", "/v1/batches/%F0%9F%98%80",
        "/v1/files/file-out-" + "0" * 32 + "-r99999999999999999999", "//v1/files", "/v1//files", "/v1/files/./content",
    ],
)  # fmt: skip
def test_odd_paths_are_404(front_desk: FrontDesk, path: str) -> None:
    error_of(front_desk.http.get(path), 404)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"", "application/json", id="empty"),
        pytest.param(b"{", "application/json", id="broken"),
        pytest.param(b"[]", "application/json", id="list"),
        pytest.param(b"null", "application/json", id="null"),
        pytest.param(b"\xff\xfe", "application/json", id="not-utf8"),
        pytest.param(b"[" * 100_000, "application/json", id="deep"),
        pytest.param(b'{"input_file_id": NaN}', "application/json", id="nan"),
        pytest.param(b'{"input_file_id": 1e999}', "application/json", id="infinite"),
        pytest.param(b"input_file_id=x", "application/x-www-form-urlencoded", id="form"),
        pytest.param(b'{"input_file_id": "\\ud800"}', "application/json", id="surrogate"),
    ],
)
def test_odd_bodies_are_400(front_desk: FrontDesk, content: bytes, kind: str) -> None:
    error_of(front_desk.http.post("/v1/batches", content=content, headers={"content-type": kind}), 400)


def test_a_body_that_is_too_large(front_desk: FrontDesk) -> None:
    error_of(front_desk.http.post("/v1/batches", content=b"x" * ((1 << 20) + 1)), 413)
    big = {"file": ("a", b"x" * ((1 << 20) + (1 << 16) + 1))}
    error_of(front_desk.http.post("/v1/files", data={"purpose": "batch"}, files=big), 413)

    for path in (
        "/v1/files",
        "/v1/estimates",
        "/v1/uploads/x/parts",
    ):  # only a form may be large: its file goes to disk
        large = b'{"input_file_id": "' + b"x" * (1 << 20) + b'"}'
        error_of(front_desk.http.post(path, content=large, headers={"content-type": "application/json"}), 413)

    def chunks() -> Any:  # no content-length
        for _ in range(20):
            yield b"x" * (1 << 16)

    error_of(front_desk.http.post("/v1/batches", content=chunks()), 413)


def test_a_form_of_very_many_parts(front_desk: FrontDesk) -> None:
    many = {f"f{n}": "x" for n in range(50)}
    error_of(front_desk.http.post("/v1/files", data=many, files={"file": ("a", b"x")}), 400)
    files = [("file", (f"{n}", b"x")) for n in range(50)]
    error_of(front_desk.http.post("/v1/files", data={"purpose": "batch"}, files=files), 400)


def test_the_servers_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    from jobs.errors import RequestError

    first = server_secret(None, tmp_path / "cache")
    assert server_secret(None, tmp_path / "cache") == first
    assert len(first) >= 32
    (path,) = (tmp_path / "cache").iterdir()
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(RequestError, match="32 characters"):
        server_secret("short", tmp_path)


def test_a_wrong_key_takes_as_long_as_an_unknown_one(front_desk: FrontDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    compared = list[int]()
    real = hmac.compare_digest

    def counting(a: Any, b: Any) -> bool:
        compared.append(len(a))
        return real(a, b)

    monkeypatch.setattr("hmac.compare_digest", counting)
    keys = front_desk.desk.keys
    key, text = keys.make("k", "shop", SCOPES)
    for one in (text, f"np_{key.id}_" + "A" * 43, "np_" + "0" * 16 + "_" + "A" * 43, "nonsense"):
        keys.of(one)
    assert compared == [32] * 4
