"""Published batches and their summaries, for tests of the accounts."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jobs.accounts.summary import Summary
from jobs.planning.sizes import Part, Parts, Sizes, length_class
from jobs.planning.sketch import Sketch
from jobs.store.store import Store
from jobs.usage import Usage

Rounds = dict[tuple[str, int], int]
"""The number of completed rows, by batch and round."""


def publish_batches(shelf: Any, *numbers: int) -> Rounds:
    """Publish the batch `b-<n>` of one row for each number. Returns the rows that the summaries of these batches add."""
    for n in numbers:
        shelf.accept(f"b-{n}", 1)
        shelf.write(f"b-{n}", [shelf.completed(0)])
        shelf.publish(f"b-{n}")
    return {(f"b-{n}", 1): 1 for n in numbers}


def rows_by_round(found: Iterable[Summary]) -> Rounds:
    """The rows that each summary adds."""
    return {
        (one.batch_id, one.round): sum(tally.rows for sums in one.added.values() for tally in sums.values())
        for one in found
    }


def damage_file(store: Store, pattern: str, old: bytes, new: bytes) -> Callable[[], object]:
    """Replace `old` in the one file of this pattern. Returns a function that restores the file."""
    (path,) = Path(store.url).glob(pattern)
    whole = path.read_bytes()
    assert old in whole
    path.write_bytes(whole.replace(old, new))
    return lambda: path.write_bytes(whole)


def sizes_of(usages: Iterable[Usage], device: str = "") -> Parts:
    """The sizes of rows that ran on one device."""
    found: dict[Part, Sizes] = {}
    for one in usages:
        part = Part(device, length_class(one.prompt_tokens))
        prompt, completion, device_ns = one.prompt_tokens, one.completion_tokens, one.device_ns
        row = Sizes(
            Sketch.of([prompt]),
            Sketch.of([completion]),
            Sketch.of([device_ns]),
            prompt * completion,
            prompt * device_ns,
            completion * device_ns,
        )
        found[part] = found.get(part, Sizes()) + row
    return found
