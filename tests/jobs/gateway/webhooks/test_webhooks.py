"""Shows jobs/gateway/webhooks: receivers are told at least once, under stable ids, and nothing private is reached."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import orjson
import pytest

from jobs.errors import RequestError
from jobs.gateway.webhooks.addresses import is_allowed
from jobs.gateway.webhooks.courier import Courier
from jobs.gateway.webhooks.hooks import check_url
from jobs.gateway.webhooks.outbox import SCHEDULE
from tests.support.gateway.front_desk import FrontDesk, chat_file, error_of

LOOPBACK = ("127.0.0.0/8",)


@dataclass
class Receiver:
    """A receiver that answers with the next of `statuses`, and then with 200."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    mine = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            mine.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            if mine.hold is not None:
                mine.hold.wait()
            self.send_response(mine.statuses.pop(0) if mine.statuses else 200)
            for name, value in mine.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    mine.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield mine
    if mine.hold is not None:
        mine.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def courier(front_desk: FrontDesk) -> Courier:
    made = front_desk.desk.courier.courier
    made.networks = LOOPBACK
    return made


@pytest.fixture
def hook(front_desk: FrontDesk, receiver: Receiver) -> dict[str, Any]:
    answer = front_desk.http.post("/v1/webhooks", json={"url": receiver.url})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_receiver_is_told_in_openais_form(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    submission, _ = front_desk.published()
    courier.look()
    courier.look()
    ((headers, body),) = receiver.got
    event = orjson.loads(body)
    assert (event["object"], event["type"], event["data"]) == ("event", "batch.completed", {"id": submission})
    assert headers["webhook-id"] == event["id"]
    verified = openai.OpenAI(api_key="x", webhook_secret=hook["secret"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", front_desk.shelf.now.timestamp)
        unwrapped = verified.webhooks.unwrap(body, headers)
        assert unwrapped.type == "batch.completed"
        with pytest.raises(openai.InvalidWebhookSignatureError):
            verified.webhooks.unwrap(body + b" ", headers)
    (delivery,) = front_desk.http.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"]
    assert (delivery["status"], [one["status"] for one in delivery["attempts"]]) == ("delivered", [200])


@pytest.mark.parametrize("how", ["failed", "cancelled", "expired"])
def test_each_end_has_its_event(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any], how: str
) -> None:
    from jobs.batches.rounds import close

    if how == "failed":
        front_desk.submit(front_desk.upload(b"{not json\n"))
        front_desk.admit()
    elif how == "cancelled":
        one = front_desk.submit()
        front_desk.http.post(f"/v1/batches/{one['id']}/cancel")
    else:
        _, batch_id = front_desk.admitted()
        close(front_desk.client.store, batch_id, "expired", front_desk.shelf.clock)
        front_desk.client.publish(batch_id)
    courier.look()
    assert [orjson.loads(body)["type"] for _, body in receiver.got] == [f"batch.{how}"]


def test_an_event_is_tried_by_the_schedule_and_then_given_up(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    front_desk.published()
    receiver.statuses = [500] * 20
    assert courier.look() == 1
    for wait in SCHEDULE[1:]:
        front_desk.shelf.now += wait * 0.89
        assert courier.look() == 0
        front_desk.shelf.now += wait * 0.22
        assert courier.look() == 1
    front_desk.shelf.now += timedelta(days=30)
    assert courier.look() == 0
    assert len(receiver.got) == len(SCHEDULE) == 7
    assert len(set(receiver.ids)) == 1
    (delivery,) = front_desk.http.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"]
    assert (delivery["status"], len(delivery["attempts"])) == ("given_up", 7)


def test_an_event_that_was_given_up_is_sent_anew_by_hand(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    front_desk.published()
    courier.look()
    (event_id,) = receiver.ids
    answer = front_desk.http.post(f"/v1/webhooks/{hook['id']}/deliveries/{event_id}/resend")
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    courier.look()
    assert receiver.ids == [event_id, event_id]
    error_of(front_desk.http.post(f"/v1/webhooks/{hook['id']}/deliveries/evt_{'0' * 32}/resend"), 404)


def test_gone_switches_a_webhook_off(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    front_desk.published()
    receiver.statuses = [410]
    courier.look()
    found = front_desk.http.get(f"/v1/webhooks/{hook['id']}").json()
    assert (found["enabled"], "410" in found["off_because"]) == (False, True)
    front_desk.published(chat_file(2))
    courier.look()
    assert len(receiver.got) == 1
    assert front_desk.http.post(f"/v1/webhooks/{hook['id']}", json={"enabled": True}).json()["enabled"]
    front_desk.published(chat_file(4))
    courier.look()
    assert len(receiver.got) == 2


def test_a_redirect_is_not_followed(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    front_desk.published()
    receiver.statuses = [302]
    receiver.headers = {"location": receiver.url}
    courier.look()
    assert len(receiver.got) == 1
    (delivery,) = front_desk.http.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"]
    assert (delivery["status"], delivery["attempts"][0]["status"]) == ("pending", 302)


def test_a_slow_receiver_is_given_up_for_now(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    receiver.hold = threading.Event()
    courier.limit_s = 0.3
    front_desk.published()
    courier.look()
    (delivery,) = front_desk.http.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"]
    assert "Timeout" in delivery["attempts"][0]["error"]
    receiver.hold.set()
    front_desk.shelf.pass_s(10)
    courier.look()
    assert len(set(receiver.ids)) == 1
    assert len(receiver.got) == 2


def test_a_receiver_that_is_down(front_desk: FrontDesk, courier: Courier) -> None:
    hook = front_desk.http.post("/v1/webhooks", json={"url": "http://127.0.0.1:1/x"}).json()
    front_desk.published()
    courier.look()
    (delivery,) = front_desk.http.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"]
    assert "ConnectError" in delivery["attempts"][0]["error"]


def test_a_courier_that_dies_owes_the_event_still(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    front_desk.published()

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(courier.outbox), "note", die)  # it delivered, and could not write that down
        with pytest.raises(Killed):
            courier.look()
    front_desk.shelf.pass_s(61)
    other = Courier(courier.journal, courier.statuses, courier.hooks, LOOPBACK)
    other.look()
    other.look()
    assert len(receiver.got) == 2
    assert len(set(receiver.ids)) == 1


def test_two_couriers_write_one_event(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    front_desk.published()
    other = Courier(courier.journal, courier.statuses, courier.hooks, LOOPBACK)
    courier.look()
    other.look()
    assert len(receiver.got) == 1


def test_a_further_round_is_a_further_event(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    submission, batch_id = front_desk.published(failed=[0])
    courier.look()
    front_desk.http.post(f"/v1/batches/{submission}/retry")
    courier.look()
    front_desk.shelf.write(batch_id, [front_desk.shelf.completed(0, round_=2)])
    front_desk.client.publish(batch_id)
    front_desk.desk.statuses.forget(batch_id)
    courier.look()
    assert len(set(receiver.ids)) == len(receiver.got) == 2


def test_both_secrets_sign_for_a_day(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    rotated = front_desk.http.post(f"/v1/webhooks/{hook['id']}/rotate").json()
    assert rotated["secret"] != hook["secret"]
    front_desk.published()
    courier.look()
    headers, body = receiver.got[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", front_desk.shelf.now.timestamp)
        for secret in (hook["secret"], rotated["secret"]):
            openai.OpenAI(api_key="x", webhook_secret=secret).webhooks.verify_signature(body, headers)
    front_desk.shelf.now += timedelta(hours=25)
    front_desk.published(chat_file(2))
    courier.look()
    assert len(receiver.got[1][0]["webhook-signature"].split()) == 1


def test_only_the_events_that_are_wanted(front_desk: FrontDesk, courier: Courier, receiver: Receiver) -> None:
    front_desk.http.post("/v1/webhooks", json={"url": receiver.url, "events": ["batch.failed"]})
    front_desk.published()
    courier.look()
    assert receiver.got == []


def test_a_deleted_webhook_gets_nothing(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]
) -> None:
    front_desk.published()
    receiver.statuses = [500]
    courier.look()
    assert front_desk.http.delete(f"/v1/webhooks/{hook['id']}").json()["deleted"]
    front_desk.shelf.pass_s(60)
    courier.look()
    assert len(receiver.got) == 1
    assert courier.outbox.owed() == []
    error_of(front_desk.http.get(f"/v1/webhooks/{hook['id']}"), 404)


def test_another_tenants_webhook_is_not_there(front_desk: FrontDesk, hook: dict[str, Any]) -> None:
    other = front_desk.as_tenant("bakery")
    for method, path in (("GET", ""), ("POST", "/rotate"), ("POST", "/test"), ("GET", "/deliveries"), ("DELETE", "")):
        error_of(other.request(method, f"/v1/webhooks/{hook['id']}{path}"), 404)
    assert other.get("/v1/webhooks").json()["data"] == []


def test_trying_a_webhook(front_desk: FrontDesk, courier: Courier, receiver: Receiver, hook: dict[str, Any]) -> None:
    receiver.statuses = [500]
    answer = front_desk.http.post(f"/v1/webhooks/{hook['id']}/test").json()
    assert answer["attempts"][0]["status"] == 500
    assert courier.outbox.owed() == []
    assert "secret" not in front_desk.http.get("/v1/webhooks").text


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "ff02::1", "198.18.0.1", "192.0.2.1",
    ],
)  # fmt: skip
def test_private_addresses_are_not_reached(address: str) -> None:
    assert not is_allowed(address, ())


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_reached(address: str) -> None:
    assert is_allowed(address, ())


def test_a_network_of_the_setting_is_reached() -> None:
    assert is_allowed("10.1.2.3", ("10.1.0.0/16",))
    assert not is_allowed("10.2.2.3", ("10.1.0.0/16",))


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(["127.0.0.1"], id="private"),
        pytest.param(["8.8.8.8", "127.0.0.1"], id="both"),
        pytest.param([], id="none"),
    ],
)
def test_a_name_with_a_private_address_is_not_reached(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver, answers: list[str]
) -> None:
    hook = front_desk.http.post("/v1/webhooks", json={"url": f"http://hook.example:{receiver.port}/"}).json()
    front_desk.published()
    courier.networks, courier.resolve = (), lambda host, port: answers
    courier.look()
    assert receiver.got == []
    (delivery,) = front_desk.http.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"]
    assert "may not reach" in delivery["attempts"][0]["error"]


def test_a_name_that_changes_its_address_is_resolved_once_an_attempt(
    front_desk: FrontDesk, courier: Courier, receiver: Receiver
) -> None:
    looks: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        looks.append(host)
        return ["127.0.0.1"] if len(looks) == 1 else ["10.0.0.1"]

    front_desk.http.post("/v1/webhooks", json={"url": f"http://hook.example:{receiver.port}/"})
    front_desk.published()
    courier.resolve = rebinding
    courier.look()
    assert (len(receiver.got), looks) == (
        1,
        ["hook.example"],
    )  # the address that was checked is the one that was reached


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a/b", "http://", "https://user:pw@a/b", "http://a:0/", "http://a b/", "http://a\n/", "http://é/",
     "https://a/" + "x" * 2_100, "//a/b", "javascript:alert(1)", "file:///etc/passwd", "http://[::1", "http:\\\\a"],
)  # fmt: skip
def test_wrong_urls(front_desk: FrontDesk, url: str) -> None:
    with pytest.raises(RequestError):
        check_url(url)
    error_of(front_desk.http.post("/v1/webhooks", json={"url": url}), 400)


def test_a_tenant_has_a_bounded_number_of_webhooks(front_desk: FrontDesk) -> None:
    answers = [front_desk.http.post("/v1/webhooks", json={"url": f"https://a.example/{n}"}) for n in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [400]
