"""Shows workers/fleet/embedded_redis.py: the record of the running server is read only if its form is known."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.errors import UnavailableError
from workers.fleet import embedded_redis
from workers.fleet.embedded_redis import FORMAT


def changed(folder: Path, **values: Any) -> bytes:
    """Change the record of the running server, and return the record."""
    file = folder / "server.json"
    record = orjson.dumps({**orjson.loads(file.read_bytes()), **values})
    file.write_bytes(record)
    return record


def test_a_record_of_a_newer_release_is_refused_with_a_sentence_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "server.json"
    refused = rf"server\.json, was written by a newer release, in format {FORMAT + 1}; this release reads up to format {FORMAT}"
    with embedded_redis.server(tmp_path):
        own = file.read_bytes()
        record = changed(tmp_path, format=FORMAT + 1)
        with pytest.raises(UnavailableError, match=refused), embedded_redis.server(tmp_path):
            pass  # another process would join the server
        with pytest.raises(UnavailableError, match=refused):
            embedded_redis.revive(tmp_path)
        assert file.read_bytes() == record
        file.write_bytes(own)
    file.write_bytes(record)  # written by a newer release that was killed, and whose server may still run
    with (
        pytest.raises(UnavailableError, match="Or end the newer one, and delete this file"),
        embedded_redis.server(tmp_path),
    ):
        pass
    assert file.read_bytes() == record


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b"{}", b'{"format": "1"}', b'{"format": 0, "url": "x"}'])
def test_a_record_that_cannot_be_read_is_passed_over(tmp_path: Path, record: bytes) -> None:
    (tmp_path / "server.json").write_bytes(record)
    with embedded_redis.server(tmp_path):
        assert orjson.loads((tmp_path / "server.json").read_bytes())["format"] == FORMAT
