"""Shows jobs/commands/doctor.py."""

from collections.abc import Callable

import pytest

from jobs.errors import QueueUnavailable
from tests.support.command_line import Ran


def test_doctor_ends_with_status_3_when_something_is_missing(
    nightpress: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        def ping(self) -> None:
            raise QueueUnavailable("Redis at localhost:1 does not answer")

    monkeypatch.setattr("jobs.operations.doctor.entry_points", lambda group: [])
    ran = nightpress("doctor", given_queue=Silent())
    assert ran.status == 3
    assert "FAIL  redis: Redis at localhost:1 does not answer" in ran.out
    assert "      -> start the server" in ran.out
    ran = nightpress("doctor", "--json")
    assert ran.status == 0, "no queue at all is only a hint"
    assert {row["name"]: row["ok"] for row in ran.rows()} == {"python": True, "redis": False, "storage": True}
