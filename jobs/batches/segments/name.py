"""The name of a segment's file says who wrote the segment, and the sha256 of the file's bytes."""

import re
from dataclasses import dataclass
from typing import Final

ENDING: Final = ".jsonl"

_SEGMENT: Final = re.compile(r".+-[^-]+-[0-9]{1,18}-[0-9a-f]{64}\.jsonl")
_COMPACTED: Final = re.compile(r"compacted-[0-9]{1,18}-[0-9a-f]{64}\.jsonl")


def is_segment(name: str) -> bool:
    """Whether a file of this name in the folder `segments/` holds a segment. Any other file there is foreign."""
    return _SEGMENT.fullmatch(name) is not None


def is_compacted(name: str) -> bool:
    """Whether a file of this name in the folder `compacted/` holds segments. Any other file there is foreign."""
    return _COMPACTED.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class SegmentName:
    """A segment name names the `n`-th segment of one life (`incarnation`) of a writer, which is a worker, `intake` or `sweeper`.

    The name is written `<worker>-<incarnation>-<n>-<sha256>.jsonl`. `sha256` is that of the file's bytes. So if a file of this
    name exists, the segment was written (rule 7 of jobs/PROTOCOL.md).
    """

    worker: str
    incarnation: str
    n: int
    sha256: str

    def __post_init__(self) -> None:
        if not self.incarnation or "-" in self.incarnation:
            raise ValueError(f"an incarnation is a word without hyphens: {self.incarnation!r}")

    def __str__(self) -> str:
        return f"{self.worker}-{self.incarnation}-{self.n}-{self.sha256}{ENDING}"

    @classmethod
    def parse(cls, text: str) -> "SegmentName":
        """Read the name that `str()` wrote, and ignore a folder before it. Raises ValueError if `text` is no such name."""
        name = text.rpartition("/")[2]
        stem, dot, ending = name.rpartition(".")
        try:
            worker, incarnation, n, sha256 = stem.rsplit("-", 3)
            if dot + ending == ENDING:
                return cls(worker, incarnation, int(n), sha256)
        except ValueError:
            pass
        raise ValueError(f"no name of a segment: {name!r}")
