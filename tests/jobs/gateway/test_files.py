"""Shows jobs/gateway/outputs.py and routes/files.py, uploads.py: files go in and come out as OpenAI's clients know them."""

import hashlib
from typing import Any

import orjson
import pytest

from jobs.submissions.tidying import tidy
from jobs.submissions.uploads import Uploads
from tests.support.gateway.front_desk import FrontDesk, chat_file, error_of


def test_a_file_goes_in_and_comes_out(front_desk: FrontDesk) -> None:
    data = chat_file(2)
    file_id = front_desk.upload(data, name="../évil\n name.jsonl")
    found = front_desk.http.get(f"/v1/files/{file_id}").json()
    assert found == {
        "id": file_id,
        "object": "file",
        "bytes": len(data),
        "created_at": int(front_desk.shelf.now.timestamp()),
        "filename": "évil%0A name.jsonl",
        "purpose": "batch",
        "status": "processed",
    }
    answer = front_desk.http.get(f"/v1/files/{file_id}/content")
    assert answer.content == data
    assert answer.headers["content-disposition"] == 'attachment; filename="_vil_0A name.jsonl"'


def test_a_download_goes_on_where_it_broke_off(front_desk: FrontDesk) -> None:
    data = chat_file(3)
    path = f"/v1/files/{front_desk.upload(data)}/content"
    part = front_desk.http.get(path, headers={"range": "bytes=10-"})
    assert (part.status_code, part.content) == (206, data[10:])
    assert part.headers["content-range"] == f"bytes 10-{len(data) - 1}/{len(data)}"
    assert front_desk.http.get(path, headers={"range": "bytes=0-4"}).content == data[:5]
    for wrong in (f"bytes={len(data)}-", "bytes=-5", "bytes=5-2", "lines=1-", "bytes=0-1,3-4"):
        error_of(front_desk.http.get(path, headers={"range": wrong}), 416)
    error_of(front_desk.http.get(path, params={"offset": 1}), 400)


def test_the_outputs_of_a_batch(front_desk: FrontDesk) -> None:
    submission, _ = front_desk.published(failed=[1])
    one = front_desk.batch(submission)
    path = f"/v1/files/{one['output_file_id']}"
    answer = front_desk.http.get(f"{path}/content")
    lines = [orjson.loads(line) for line in answer.text.splitlines()]
    assert [line["custom_id"] for line in lines] == ["c0", "c2"]
    assert lines[0]["response"]["body"]["choices"][0]["message"]["content"] == "Text 0"
    assert answer.headers["content-disposition"] == f'attachment; filename="batch_output_{submission}.jsonl"'
    known = front_desk.http.get(path).json()
    assert (known["bytes"], known["purpose"], known["filename"]) == (
        len(answer.content),
        "batch_output",
        f"batch_output_{submission}.jsonl",
    )
    assert front_desk.http.get(f"{path}/content", params={"offset": 1}).text == answer.text.splitlines(keepends=True)[1]
    rest = front_desk.http.get(f"{path}/content", headers={"range": "bytes=100-"})
    assert rest.content == answer.content[100:]
    errors = front_desk.http.get(f"/v1/files/{one['error_file_id']}/content")
    assert errors.headers["content-disposition"] == f'attachment; filename="batch_error_{submission}.jsonl"'
    assert [orjson.loads(line)["error"]["code"] for line in errors.text.splitlines()] == ["empty_output"]


def test_deleting_an_output_hides_it_and_leaves_the_batch(front_desk: FrontDesk) -> None:
    submission, batch_id = front_desk.published()
    file_id = front_desk.batch(submission)["output_file_id"]
    assert front_desk.http.delete(f"/v1/files/{file_id}").json()["deleted"]
    for path in ("", "/content"):
        error_of(front_desk.http.get(f"/v1/files/{file_id}{path}"), 404)
    error_of(front_desk.http.delete(f"/v1/files/{file_id}"), 404)
    assert len(list(front_desk.client.results(batch_id))) == 3
    assert front_desk.http.get("/v1/files", params={"purpose": "batch_output"}).json()["data"] == []


def test_outputs_expire_if_they_shall(front_desk: FrontDesk) -> None:
    submission, _ = front_desk.published(output_expires_after={"anchor": "created_at", "seconds": 3_600})
    file_id = front_desk.batch(submission)["output_file_id"]
    assert front_desk.http.get(f"/v1/files/{file_id}").json()["expires_at"] > front_desk.shelf.now.timestamp()
    front_desk.shelf.pass_s(3_601)
    error_of(front_desk.http.get(f"/v1/files/{file_id}/content"), 404)


def test_listing_files(front_desk: FrontDesk) -> None:
    ids = list[str]()
    for n in range(3):
        front_desk.shelf.pass_s(1)
        ids.insert(0, front_desk.upload(name=f"{n}.jsonl"))
    assert [one["id"] for one in front_desk.http.get("/v1/files").json()["data"]] == ids
    page = front_desk.http.get("/v1/files", params={"limit": 2}).json()
    assert (page["has_more"], page["first_id"], page["last_id"]) == (True, ids[0], ids[1])
    rest = front_desk.http.get("/v1/files", params={"limit": 2, "after": ids[1]}).json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == ([ids[2]], False)
    oldest = front_desk.http.get("/v1/files", params={"order": "asc", "limit": 1}).json()
    assert oldest["data"][0]["id"] == ids[2]
    assert front_desk.http.get("/v1/files", params={"purpose": "fine-tune"}).json()["data"] == []
    for query in ({"limit": 0}, {"limit": 10_001}, {"order": "sideways"}):
        error_of(front_desk.http.get("/v1/files", params=query), 400)


def test_listing_outputs(front_desk: FrontDesk) -> None:
    first, _ = front_desk.published(failed=[0])
    front_desk.shelf.pass_s(1)
    second, _ = front_desk.published(chat_file(2))
    wanted = [
        front_desk.batch(second)["output_file_id"],
        front_desk.batch(first)["output_file_id"],
        front_desk.batch(first)["error_file_id"],
    ]
    query = {"purpose": "batch_output", "limit": "2"}
    page = front_desk.http.get("/v1/files", params=query).json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (wanted[:2], True)
    rest = front_desk.http.get("/v1/files", params={**query, "after": wanted[1]}).json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (wanted[2:], False)


def test_a_file_expires_if_it_shall(front_desk: FrontDesk) -> None:
    form = {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    made = front_desk.http.post("/v1/files", data=form, files={"file": ("a.jsonl", chat_file())}).json()
    assert made["expires_at"] == made["created_at"] + 3_600
    front_desk.shelf.pass_s(3_601)
    error_of(front_desk.http.get(f"/v1/files/{made['id']}"), 404)
    assert front_desk.http.get("/v1/files").json()["data"] == []
    tidy(front_desk.client.store, front_desk.shelf.clock)
    assert front_desk.client.store.list("submissions/tenant-shop/contents") == []


@pytest.mark.parametrize(
    ("form", "files", "param"),
    [
        pytest.param({"purpose": "batch"}, {}, "file", id="no-file"),
        pytest.param({}, {"file": ("a", b"x")}, "purpose", id="no-purpose"),
        pytest.param({"purpose": "fine-tune"}, {"file": ("a", b"x")}, "purpose", id="purpose"),
        pytest.param({"purpose": "batch"}, {"file": ("a", b"")}, None, id="empty"),
        pytest.param({"purpose": "batch", "file": "text"}, {"other": ("a", b"x")}, "file", id="text"),
        pytest.param(
            {"purpose": "batch", "expires_after[seconds]": "3600"},
            {"file": ("a", b"x")},
            "expires_after[anchor]",
            id="no-anchor",
        ),
        pytest.param(
            {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "1"},
            {"file": ("a", b"x")},
            "expires_after[seconds]",
            id="short",
        ),
    ],
)
def test_wrong_uploads(front_desk: FrontDesk, form: dict[str, str], files: Any, param: str | None) -> None:
    error = error_of(front_desk.http.post("/v1/files", data=form, files=files), 400)
    assert error["param"] == param
    assert front_desk.client.store.list("submissions/tenant-shop/files") == []


def test_a_body_that_is_no_form(front_desk: FrontDesk) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data", "application/json"):
        error_of(front_desk.http.post("/v1/files", content=b"{}", headers={"content-type": kind}), 400)


def begun(front_desk: FrontDesk, data: bytes) -> str:
    body = {"filename": "big.jsonl", "purpose": "batch", "bytes": len(data), "mime_type": "application/jsonl"}
    answer = front_desk.http.post("/v1/uploads", json=body)
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    return str(answer.json()["id"])


def add(front_desk: FrontDesk, upload_id: str, data: bytes) -> Any:
    return front_desk.http.post(f"/v1/uploads/{upload_id}/parts", files={"data": ("part", data)})


def test_an_upload_in_parts(front_desk: FrontDesk) -> None:
    data = chat_file(4)
    upload_id = begun(front_desk, data)
    second = add(front_desk, upload_id, data[50:]).json()  # parts may come in any order
    first = add(front_desk, upload_id, data[:50]).json()
    assert (first["object"], first["upload_id"]) == ("upload.part", upload_id)
    body = {"part_ids": [first["id"], second["id"]], "md5": hashlib.md5(data).hexdigest()}
    done = front_desk.http.post(f"/v1/uploads/{upload_id}/complete", json=body).json()
    assert (done["status"], done["file"]["bytes"]) == ("completed", len(data))
    assert front_desk.http.get(f"/v1/files/{done['file']['id']}/content").content == data
    assert front_desk.http.post(f"/v1/uploads/{upload_id}/complete", json=body).json() == done  # it may be repeated
    assert front_desk.submit(done["file"]["id"])["status"] == "validating"
    error_of(add(front_desk, upload_id, b"more"), 409)
    error_of(front_desk.http.post(f"/v1/uploads/{upload_id}/cancel"), 409)
    folder = front_desk.client.store.list(f"submissions/tenant-shop/uploads/{upload_id}")
    assert folder == ["ended.json", "upload.json"]


def test_a_completion_that_was_killed_is_made_again(front_desk: FrontDesk) -> None:
    class Killed(BaseException):
        pass

    data = chat_file(4)
    upload_id = begun(front_desk, data)
    part = add(front_desk, upload_id, data).json()["id"]
    uploads = Uploads(front_desk.client.store, "shop", front_desk.shelf.clock)
    upload = uploads.get(upload_id)
    made = list[str]()
    for call in range(1, 20):
        with pytest.MonkeyPatch.context() as patch:
            calls = [0]

            def counted(name: str, real: Any, calls: list[int] = calls, call: int = call) -> Any:
                def inner(*args: Any, **options: Any) -> Any:
                    calls[0] += 1
                    if calls[0] == call:
                        raise Killed
                    return real(*args, **options)

                return inner

            store = front_desk.client.store
            for name in ("create", "writer", "delete", "discard"):
                patch.setattr(store, name, counted(name, getattr(store, name)))
            try:
                made.append(uploads.complete(upload, [part]).id)
            except Killed:
                continue
        break
    assert uploads.complete(upload, [part]).id == made[0]
    assert b"".join(front_desk.desk.files("shop").pieces(made[0])) == data
    assert len(front_desk.http.get("/v1/files").json()["data"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"part_ids": []}, id="none"),
        pytest.param({"part_ids": ["part_" + "0" * 32]}, id="unknown"),
        pytest.param({"part_ids": ["../upload"]}, id="path"),
        pytest.param({"part_ids": ["FIRST"]}, id="too-few"),
        pytest.param({"part_ids": ["FIRST", "SECOND", "SECOND"]}, id="twice"),
        pytest.param({"part_ids": ["FIRST", "SECOND"], "md5": "0" * 32}, id="md5"),
        pytest.param({}, id="no-list"),
    ],
)
def test_wrong_completions(front_desk: FrontDesk, body: dict[str, Any]) -> None:
    data = chat_file(2)
    upload_id = begun(front_desk, data)
    ids = {
        "FIRST": add(front_desk, upload_id, data[:50]).json()["id"],
        "SECOND": add(front_desk, upload_id, data[50:]).json()["id"],
    }
    if "part_ids" in body:
        body = {**body, "part_ids": [ids.get(one, one) for one in body["part_ids"]]}
    error_of(front_desk.http.post(f"/v1/uploads/{upload_id}/complete", json=body), 400)
    right = {"part_ids": list(ids.values())}
    assert front_desk.http.post(f"/v1/uploads/{upload_id}/complete", json=right).status_code == 200


def test_an_upload_expires_and_leaves_nothing(front_desk: FrontDesk) -> None:
    upload_id = begun(front_desk, b"xy")
    part = add(front_desk, upload_id, b"xy").json()["id"]
    front_desk.shelf.pass_s(3_600)
    error_of(add(front_desk, upload_id, b"z"), 409)
    error_of(front_desk.http.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": [part]}), 409)
    front_desk.shelf.pass_s(3_600)
    tidy(front_desk.client.store, front_desk.shelf.clock)
    error_of(front_desk.http.post(f"/v1/uploads/{upload_id}/cancel"), 404)
    assert front_desk.client.store.list("submissions/tenant-shop/uploads") == []


def test_a_cancelled_upload(front_desk: FrontDesk) -> None:
    upload_id = begun(front_desk, b"xy")
    part = add(front_desk, upload_id, b"xy").json()["id"]
    assert front_desk.http.post(f"/v1/uploads/{upload_id}/cancel").json()["status"] == "cancelled"
    error_of(front_desk.http.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": [part]}), 409)
    error_of(add(front_desk, upload_id, b"xy"), 409)


def test_wrong_uploads_in_parts(front_desk: FrontDesk) -> None:
    right = {"filename": "a", "purpose": "batch", "bytes": 9, "mime_type": "x"}
    for change in ({"bytes": 0}, {"purpose": "vision"}, {"filename": ""}, {"extra": 1}):
        error_of(front_desk.http.post("/v1/uploads", json={**right, **change}), 400)
    error_of(front_desk.http.post("/v1/uploads", json={**right, "bytes": 2 << 20}), 413)
    error_of(front_desk.http.post("/v1/uploads/upload_x/parts", files={"data": ("a", b"x")}), 404)
    upload_id = begun(front_desk, b"xy")
    error_of(front_desk.http.post(f"/v1/uploads/{upload_id}/parts", data={"data": "text"}), 400)
    error_of(add(front_desk, upload_id, b""), 400)
