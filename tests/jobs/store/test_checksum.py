"""Shows jobs/store/checksum.py: what is damaged into other JSON is noticed."""

import orjson
import pytest

from jobs.store.checksum import sealed, unsealed

TEXT = b'{"row":1,"words":["a","b"]}'


def test_a_sealed_text_is_json_and_comes_back() -> None:
    assert orjson.loads(sealed(TEXT)) == {**orjson.loads(TEXT), "crc32": "177d029b"}
    assert unsealed(sealed(TEXT)) == TEXT
    assert unsealed(sealed(TEXT) + b"\n") == TEXT


@pytest.mark.parametrize("text", [TEXT, b"{}", b"", b'"}', b"\xff" * 30], ids=repr)
def test_a_text_without_a_checksum_is_as_it_was(text: bytes) -> None:
    assert unsealed(text) == text


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
def test_another_text_is_noticed(old: bytes, new: bytes) -> None:
    damaged = sealed(TEXT).replace(old, new)
    assert damaged != sealed(TEXT)
    with pytest.raises(ValueError, match=r"checksum|invalid literal"):
        unsealed(damaged)
