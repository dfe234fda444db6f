"""Shows jobs/store/checksum.py: damage is noticed even if the damaged text is still valid JSON."""

import orjson
import pytest

from jobs.store.checksum import with_checksum, without_checksum

TEXT = b'{"row":1,"words":["a","b"]}'


def test_a_sealed_text_is_json_and_comes_back() -> None:
    assert orjson.loads(with_checksum(TEXT)) == {**orjson.loads(TEXT), "crc32": "177d029b"}
    assert without_checksum(with_checksum(TEXT)) == TEXT
    assert without_checksum(with_checksum(TEXT) + b"\n") == TEXT


@pytest.mark.parametrize("text", [TEXT, b"{}", b"", b'"}', b"\xff" * 30], ids=repr)
def test_a_text_without_a_checksum_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="checksum is missing"):
        without_checksum(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b'"a"', b'"c"', id="a letter"),
        pytest.param(b'"a","b"', b'"b","a"', id="two that changed places"),
        pytest.param(b'"row":1', b'"row":2', id="a digit"),
        pytest.param(b"177d029b", b"177d0290", id="the checksum itself"),
        pytest.param(b"177d029b", b"177d029x", id="no digit of it"),
        pytest.param(b'"words"', b'"row":3,"words"', id="a member more"),
    ],
)
def test_a_damaged_text_is_noticed(old: bytes, new: bytes) -> None:
    damaged = with_checksum(TEXT).replace(old, new)
    assert damaged != with_checksum(TEXT)
    with pytest.raises(ValueError, match=r"checksum|invalid literal"):
        without_checksum(damaged)
