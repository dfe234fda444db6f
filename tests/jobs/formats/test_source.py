"""Shows jobs/formats/source.py: an input is read within its limits, however large the content of a compressed file is."""

import gzip
import io
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from jobs.errors import RequestError
from jobs.formats import json_lines, source
from jobs.formats.detection import records
from jobs.formats.json_lines import numbered
from jobs.formats.source import InputLimits, decompressed, open_source
from jobs.intake.accept import IntakeOptions, accept_file
from jobs.settings import Settings
from jobs.store.local import LocalStore

ROW = b'{"kind": "chat", "prompt": "Hi?"}\n'
MIB = 1 << 20


def read_lines(path: Path, **limits: int) -> int:
    """Read a file as intake does, within these limits. Returns the number of its rows."""
    settings = Settings(**limits)  # type: ignore[arg-type]
    with open_source(path, {}) as file, decompressed(file, InputLimits.of(settings, file)) as text:
        return sum(1 for _ in numbered(text))


def packed(data: bytes, times: int, pack: Callable[[bytes], bytes] = gzip.compress) -> bytes:
    for _ in range(times):
        data = pack(data)
    return data


def written(path: Path, chunks: Iterator[bytes]) -> Path:
    """Write chunks into a file compressed by gzip or zstd, by its suffix."""
    with zstd.open(path, "wb") if path.suffix == ".zst" else gzip.open(path, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
    return path


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_an_input_may_be_compressed_three_times(tmp_path: Path, pack: Any) -> None:
    path = tmp_path / "rows.gz"
    path.write_bytes(packed(ROW, 3, pack))
    assert read_lines(path) == 1
    assert read_lines(path, input_layers=3) == 1
    with pytest.raises(
        RequestError, match=r"rows\.gz: it is compressed more than 2 times: unpack it, or .*INPUT_LAYERS"
    ):
        read_lines(path, input_layers=2)


def test_zstandard_may_have_frames_without_data(tmp_path: Path) -> None:
    path, skipped = tmp_path / "rows.zst", b"\x50\x2a\x4d\x18\x04\x00\x00\x00size"
    path.write_bytes(skipped + zstd.compress(ROW) + skipped + zstd.compress(ROW) + skipped)
    assert read_lines(path) == 2
    path.write_bytes(skipped)
    assert read_lines(path) == 0


@pytest.mark.parametrize("times", [4, 200, 1_000])
def test_more_layers_are_refused_however_many(tmp_path: Path, times: int) -> None:
    path = tmp_path / "rows.gz"
    path.write_bytes(packed(ROW, times))
    with pytest.raises(RequestError, match=r"more than 3 times"):
        read_lines(path)


def test_an_input_that_is_not_to_be_compressed_at_all(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(ROW)
    assert read_lines(path, input_layers=0) == 1
    path.write_bytes(gzip.compress(ROW))
    with pytest.raises(RequestError, match="more than 0 times"):
        read_lines(path, input_layers=0)


BOMBS: dict[str, tuple[str, Callable[[], Iterator[bytes]], str]] = {
    "zeros": ("bomb.zst", lambda: (bytes(MIB) for _ in range(40)), "unpacks to more than 1,000 times.*INPUT_RATIO"),
    "zeros in gzip": ("bomb.gz", lambda: (bytes(MIB) for _ in range(40)), "line of more than 2,0.*INPUT_LINE_BYTES"),
    "rows": ("bomb.zst", lambda: (ROW * 30_000 for _ in range(20)), "unpacks to more than 1,000 times"),
    "blank lines": ("bomb.gz", lambda: (b"\n" * MIB for _ in range(1)), "lines are blank: take them out"),
    "blank lines that end in CR LF": ("bomb.gz", lambda: (b"\r\n" * MIB for _ in range(1)), "lines are blank"),
    "empty archives": ("bomb.gz", lambda: (gzip.compress(b"") * 5_000 for _ in range(20)), "holds next to nothing"),
    "frames without data": (
        "bomb.gz",
        lambda: (b"\x50\x2a\x4d\x18\x00\x00\x00\x00" * 5_000 for _ in range(20)),
        "holds next to nothing",
    ),
    "empty frames": ("bomb.gz", lambda: (zstd.compress(b"") * 5_000 for _ in range(20)), "holds next to nothing"),
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the sizes that are always allowed small, so that bombs can be small too."""
    monkeypatch.setattr(source, "RATIO_COUNTS_FROM", MIB)
    monkeypatch.setattr(source, "EMPTY_BYTES", 64 << 10)
    monkeypatch.setattr(json_lines, "BLANK_LINES", 10_000)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    file, chunks, message = BOMBS[name]
    path = written(tmp_path / file, chunks())
    tracemalloc.start()
    with pytest.raises(RequestError, match=message) as error:
        read_lines(path, input_line_bytes=2 * MIB)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(error.value).startswith(str(path))
    assert "nothing was accepted" in str(error.value)
    assert most < 16 * MIB


@pytest.mark.usefixtures("small")
def test_a_small_input_may_unpack_to_any_multiple_of_its_size(tmp_path: Path) -> None:
    rows = MIB // len(ROW)
    path = written(tmp_path / "rows.zst", iter([ROW * rows]))
    assert rows * len(ROW) > 1_000 * path.stat().st_size
    assert read_lines(path) == rows
    with pytest.raises(RequestError, match="unpacks to more than"):
        read_lines(written(path, iter([ROW * (rows + 10_000)])))


@pytest.mark.usefixtures("small")
def test_the_ratio_of_all_layers_together_counts(tmp_path: Path) -> None:
    path = tmp_path / "rows.gz.gz"
    path.write_bytes(packed(ROW * 100_000, 2))
    assert read_lines(path, input_ratio=100_000) == 100_000
    with pytest.raises(RequestError, match="unpacks to more than 1,000 times"):
        read_lines(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_the_size_of_an_input_is_counted_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "rows"
    path.write_bytes(pack(ROW * 10_000))
    assert read_lines(path, input_bytes=10_000 * len(ROW)) == 10_000
    with pytest.raises(RequestError, match=r"rows: it holds more than 339,999 bytes: split it, or .*INPUT_BYTES"):
        read_lines(path, input_bytes=10_000 * len(ROW) - 1)


def test_the_lines_of_an_input_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(ROW * 3 + b"\n" + ROW)
    assert read_lines(path, input_rows=5) == 4
    with pytest.raises(RequestError, match=r"rows: it has more than 4 lines: split it, or .*INPUT_ROWS"):
        read_lines(path, input_rows=4)


def test_a_line_of_several_mib_is_a_row_at_fault_and_a_longer_one_a_file_at_fault(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(ROW + b"x" * (3 * MIB) + b"\n" + ROW)
    assert read_lines(path) == 3
    with pytest.raises(RequestError, match=r"rows: it has a line of more than 2,097,152 bytes: .*INPUT_LINE_BYTES"):
        read_lines(path, input_line_bytes=2 * MIB)


def test_a_frame_that_needs_much_memory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    options = {
        int(zstd.CompressionParameter.window_log): 30,
        int(zstd.CompressionParameter.enable_long_distance_matching): 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    path = tmp_path / "rows.zst"
    path.write_bytes(compressor.compress(ROW * 100_000) + compressor.flush())
    with pytest.raises(RequestError, match="compress it again, without --long"):
        read_lines(path)


def test_the_limits_hold_for_every_format(tmp_path: Path) -> None:
    """A file whose lines end in a carriage return is read in another way. It has the same limit of rows."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"topic\r" + b"Tea\r" * 10)
    settings = Settings(input_rows=5)
    with open_source(path, {}) as file, decompressed(file, InputLimits.of(settings, file)) as text:

        class NoFields:
            known = frozenset({"topic"})

            def of_kind(self, name: str | None) -> dict[str, Any]:
                del name
                return {}

            def advice(self, columns: Sequence[str], kind: str | None = None) -> str:
                del columns, kind
                return ""

        with pytest.raises(RequestError, match="more than 5 lines"):
            list(records(text, NoFields()))


def test_nothing_is_stored_of_an_input_that_passes_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "rows.gz"
    path.write_bytes(gzip.compress(ROW * 100))
    store = LocalStore(str(tmp_path / "store"))
    settings = Settings(store_url=str(tmp_path / "store"), input_rows=99)
    with pytest.raises(RequestError, match="more than 99 lines"):
        accept_file(store, path, IntakeOptions(model="stub"), settings, "key")
    assert list(store.list("batches")) == []
    accept_file(store, path, IntakeOptions(model="stub"), settings.model_copy(update={"input_rows": 100}), "key")


def test_an_open_file_without_a_name_is_the_input() -> None:
    file = io.BytesIO(packed(ROW, 5))
    with (
        pytest.raises(RequestError, match=r"^the input: it is compressed"),
        decompressed(file, InputLimits.of(Settings(), file)),
    ):
        pass


def test_a_standard_input_that_is_closed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(RequestError, match="cannot read standard input: it is closed"), open_source("-", {}):
        pass
