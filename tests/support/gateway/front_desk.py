"""A gateway in this process, over a store and a clock that the test owns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from starlette.testclient import TestClient

from jobs.batches.input import read_rows
from jobs.batches.rounds import require_batch
from jobs.client import Client
from jobs.gateway.app import make_app
from jobs.gateway.desk import Desk
from jobs.submissions.admission import admit
from jobs.submissions.keys import Quotas, Scope
from jobs.submissions.records import Decision

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

CHAT = "/v1/chat/completions"
ALL: Sequence[Scope] = ("submit", "read", "cancel", "admin")


def chat_line(custom_id: str, content: str = "Name a herb.", url: str = CHAT, **body: Any) -> bytes:
    """A line of a batch file."""
    made = {"model": "stub", "messages": [{"role": "user", "content": content}], **body}
    return orjson.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": made}) + b"\n"


def chat_file(rows: int = 3) -> bytes:
    """A batch file of so many chats, `c0` and so on."""
    return b"".join(chat_line(f"c{n}", f"Name herb {n}.") for n in range(rows))


@dataclass
class FrontDesk:
    """A gateway over a shelf. `http` sends requests with a key of the tenant `shop` that may do everything."""

    shelf: Shelf
    client: Client
    desk: Desk = field(init=False)
    http: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.client)
        self.http = self.as_tenant("shop")

    def as_tenant(
        self, tenant: str, scopes: Sequence[Scope] = ALL, quotas: Quotas | None = None, *, raises: bool = True
    ) -> TestClient:
        """A client with a new key of this tenant."""
        _, text = self.desk.keys.make(f"key of {tenant}", tenant, scopes, quotas)
        http = TestClient(make_app(self.desk), raise_server_exceptions=raises)
        http.headers["authorization"] = f"Bearer {text}"
        return http

    def upload(self, data: bytes = b"", http: TestClient | None = None, name: str = "herbs.jsonl") -> str:
        """Upload a file, by default of three chats. Returns its id."""
        files = {"file": (name, data or chat_file())}
        answer = (http or self.http).post("/v1/files", data={"purpose": "batch"}, files=files)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def submit(self, file_id: str = "", http: TestClient | None = None, **body: Any) -> dict[str, Any]:
        """Submit a batch, by default of a new file. Returns its object."""
        made = {"endpoint": CHAT, "completion_window": "24h", **body}
        made["input_file_id"] = file_id or self.upload(http=http)
        answer = (http or self.http).post("/v1/batches", json=made)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def admit(self) -> list[Decision]:
        """Decide all submissions that wait."""
        waiting = [self.desk.journal.undecided(one) for one in self.desk.journal.waiting()]
        return [admit(self.client, self.desk.journal, one) for one in waiting if one is not None]

    def admitted(self, data: bytes = b"", **body: Any) -> tuple[str, str]:
        """Submit a batch and admit it. Returns the id of the submission and that of its batch."""
        submission = self.submit(self.upload(data), **body)["id"]
        (decision,) = self.admit()
        assert decision.batch_id is not None, decision
        return submission, decision.batch_id

    def published(self, data: bytes = b"", failed: Iterable[int] = (), **body: Any) -> tuple[str, str]:
        """Submit a batch, and publish it with all rows completed but the `failed` ones."""
        submission, batch_id = self.admitted(data, **body)
        self.complete(batch_id, failed)
        return submission, batch_id

    def complete(self, batch_id: str, failed: Iterable[int] = (), round_: int = 1) -> None:
        """Give every accepted row of a batch an outcome, and publish it."""
        store, bad = self.client.store, set(failed)
        lanes = require_batch(store, batch_id).lanes
        rows = sorted(request.row for lane in lanes for request in read_rows(store, batch_id, lane))
        self.shelf._tenants = (require_batch(store, batch_id).tenant,)
        outcomes = [
            self.shelf.failed(row, round_=round_) if row in bad else self.shelf.completed(row, round_=round_)
            for row in rows
        ]
        self.shelf.write(batch_id, outcomes)
        self.client.publish(batch_id)
        self.desk.statuses.forget(batch_id)

    def batch(self, submission: str) -> Mapping[str, Any]:
        """The object of a submission as a client gets it."""
        answer = self.http.get(f"/v1/batches/{submission}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def error_of(answer: Any, status: int) -> Mapping[str, Any]:
    """The error of an answer, which must have this status and OpenAI's form."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert isinstance(body["error"]["message"], str)
    return dict(body["error"])
