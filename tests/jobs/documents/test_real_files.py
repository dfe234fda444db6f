"""Shows that real pages come back byte for byte, and that a model sees no address, code, tag or reference of them.

The pages are those that installed packages hold. `scripts/checks/documents/real_files.py` checks more of them, and more of each.
"""

import hashlib
import io
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.documents.document import Slot
from jobs.documents.registry import FORMATS
from jobs.documents.source import Source
from jobs.errors import DocumentError
from jobs.marks.masking import mask
from scripts.checks.documents.real_files import unmasked

FOLDERS = [
    Path(sysconfig.get_path("purelib")),
    Path("/usr/lib/node_modules"),
    Path("/usr/share/doc"),
    Path("/usr/lib/jvm"),
]
LARGEST = 40_000


def pages(suffix: str) -> Iterator[tuple[Path, bytes]]:
    """Each page of the folders that is not larger than LARGEST bytes, once."""
    seen = set[bytes]()
    for folder in FOLDERS:
        for path in sorted(folder.rglob(f"*{suffix}")):
            if path.is_file() and path.stat().st_size <= LARGEST:
                data = path.read_bytes()
                if (key := hashlib.sha256(data).digest()) not in seen:
                    seen.add(key)
                    yield path, data


@pytest.mark.parametrize(("name", "suffix", "fewest"), [("markdown", ".md", 280), ("html", ".html", 190)])
def test_pages_come_back_and_show_nothing(name: str, suffix: str, fewest: int) -> None:
    form, count = FORMATS[name], 0
    for path, data in pages(suffix):
        try:
            pieces = list(form.pieces(source := Source(io.BytesIO(data), path.name)))
        except DocumentError:
            continue  # it is not in the encoding that it names
        slots = [one for one in pieces if isinstance(one, Slot)]
        same = "".join(one if isinstance(one, str) else one.write([two.text for two in one.segments]) for one in pieces)
        assert (source.mark + same).encode(source.encoding) == data, path
        for segment in (segment for slot in slots for segment in slot.segments):
            seen = mask(segment.text, segment.marks, "private").text
            assert unmasked(form, segment, seen) is None, (path, seen)
        count += 1
        if count >= fewest + 20:
            break
    if count < fewest:
        pytest.skip(f"only {count} such pages are installed")
