"""Shows the remarks of kinds on rows that are accepted but probably a mistake."""

from collections.abc import Iterator, Mapping


def remark_lines(remarks: Mapping[str, int]) -> Iterator[str]:
    """Yield a line for each remark of a kind on rows that are accepted."""
    for remark, count in remarks.items():
        yield f"{count:,} row{'s' * (count != 1)}: {remark}"
