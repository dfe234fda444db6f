"""Checks the published rounds of the protocol's model, reading the bytes in storage without any of the product's code.

The outcomes of a round are computed again from the segments that its publisher listed (`done` has their digest), by rules
16 to 21 of jobs/PROTOCOL.md alone.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.faults.model.protocol_model import World

DONE: Final = re.compile(r"done-(\d+)\.json")
REOPEN: Final = re.compile(r"reopen-(\d+)\.json")
COSTS: Final = ("prompt_tokens", "cached_prompt_tokens", "completion_tokens", "device_ns", "device_cost")
SUMMED: Final = (*COSTS, "charge")


class Published:
    """Remembers every `done` that has been seen, and examines each `done` once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._root = Path(world.folder) / "batches"
        self._done: dict[tuple[str, int], bytes] = {}
        self._completed: dict[tuple[str, int], dict[int, str]] = {}
        self.rounds: Counter[str] = Counter()

    def folder(self, batch: str) -> Path:
        return self._root / batch

    def batches(self) -> list[str]:
        """The ids of the accepted batches."""
        return sorted(path.parent.name for path in self._root.glob("*/batch.json"))

    def look(self) -> None:
        """Examine every new `done`, and require that all `done` seen before are unchanged."""
        for batch in self.batches():
            folder = self._root / batch
            for match in filter(None, map(DONE.fullmatch, sorted(path.name for path in folder.glob("done-*")))):
                key, raw = (batch, int(match[1])), (folder / match[0]).read_bytes()
                if key not in self._done:
                    _Round(self._world, folder, int(match[1]), json.loads(raw)).examine(self._completed)
                    self._done[key] = raw
                    self.rounds[batch] += 1
                    self._world.seen.add(f"round {min(int(match[1]), 4)} published")
                assert self._done[key] == raw, f"{match[0]} of {batch} changed"

    def of_tenant(self, tenant: str) -> int:
        """What the published rows of all batches of a tenant are charged, in the highest round of each."""
        sums = 0
        for batch in {batch for batch, _ in self._done}:
            if json.loads((self.folder(batch) / "batch.json").read_bytes())["tenant"] == tenant:
                sums += self.charged(batch)[1]
        return sums

    def charged(self, batch: str) -> tuple[int, int]:
        """The number of completed rows of the highest round, and the sum of their charges."""
        lines = self._completed[max(key for key in self._done if key[0] == batch)].values()
        return len(lines), sum(json.loads(line)["usage"]["charge"] for line in lines)


class _Round:
    """One published round, which `examine` compares with the rules."""

    def __init__(self, world: World, folder: Path, number: int, done: dict[str, Any]) -> None:
        self._world = world
        self._folder = folder
        self._number = number
        self._done = done
        self._batch = folder.name
        accepted = json.loads((folder / "batch.json").read_bytes())
        self._rows, self._budget = accepted["rows"], accepted["budget"]
        self._is_limited = self._budget is not None or any(folder.glob("budget-*.json"))
        self._sent_back: dict[int, int] = {}
        self._renewed: set[int] = set()
        for n in range(2, number + 1):
            marker = json.loads((folder / f"reopen-{n}.json").read_bytes())
            named, renewed = set(marker["rows"] or ()), {row for one in marker["renews"] for row in one["rows"]}
            self._sent_back.update(dict.fromkeys(named | renewed, n))
            self._renewed = renewed - named

    def examine(self, completed: dict[tuple[str, int], dict[int, str]]) -> None:
        assert self._number == 1 or (self._batch, self._number - 1) in completed, "the round before was not published"
        output, errors = self._lines("output.jsonl"), self._lines("errors.jsonl")
        rows = {json.loads(line)["row"]: line for line in [*output, *errors]}
        assert sorted(rows) == list(range(self._rows)), f"rows {sorted(rows)} of {self._rows}"
        assert len(rows) == len(output) + len(errors), "a row has two outcomes"
        (usage,) = map(json.loads, self._lines("usage.json"))
        for name in SUMMED:
            assert usage[name] == sum(json.loads(line)["usage"][name] for line in output), name
        self._account(usage)
        self._stay_within_budget(usage["charge"])
        before = completed.get((self._batch, self._number - 1), {})
        winners = self._winners()
        for row, line in rows.items():
            if row in before and self._sent_back.get(row) != self._number:
                assert line == before[row], f"row {row} was published, and changed"
            elif row in before and row in self._renewed and winners.get(row, {}).get("status") != "completed":
                assert line == before[row], f"row {row} was published, and lost to a failed renewal"
                self._world.seen.add("a row renewed in vain")
            else:
                self._compare(row, json.loads(line), winners.get(row))
        completed[self._batch, self._number] = {json.loads(line)["row"]: line for line in output}

    def _lines(self, name: str) -> list[str]:
        data = (self._folder / self._done["folder"] / name).read_bytes()
        declared = self._done["files"][name]
        assert hashlib.sha256(data).hexdigest() == declared["sha256"], f"{name} differs from its hash in done"
        assert len(data) == declared["bytes"]
        return str(data, "utf-8").splitlines(keepends=True)

    def _account(self, usage: dict[str, Any]) -> None:
        """Check I6: all costs of the attempts are in `output.jsonl` or counted as wasted."""
        lines = [values for _, _, values in self._listed()]
        for name in COSTS:
            spent = sum(values["usage"][name] + values["wasted"][name] for values in lines)
            assert usage[name] + usage["wasted"][name] == spent, f"{name}: the segments say {spent}: {usage}"

    def _stay_within_budget(self, charge: int) -> None:
        """Check rule 48: the rows of a batch are never charged more than its budget and a chunk of it."""
        if self._budget is None:
            return
        logged = [json.loads(path.read_bytes())["budget"] for path in self._folder.glob("budget-*.json")]
        budget = max([self._budget["amount"], *logged])
        assert charge <= budget + max(budget // 50, 1), f"{charge} of {budget} are charged"
        self._world.seen.add(f"{10 * charge // budget} tenths of a budget are charged")

    def _winners(self) -> dict[int, dict[str, Any]]:
        """The winning line of each row, by rule 18."""
        best: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        for name, number, values in self._listed():
            if self._counts(values):
                charge = values["usage"]["charge"] if self._is_limited and values["status"] == "completed" else 0
                place = (values["status"] != "completed", charge, values["fence"], name.encode(), number)
                best[values["row"]] = min(best.get(values["row"], (place, values)), (place, values), key=lambda x: x[0])
        return {row: values for row, (_, values) in best.items()}

    def _listed(self) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Each line of the segments that the publisher listed: its segment's name, its number, its values."""
        for name in self._world.listings[self._done["segments_sha256"]]:
            lines = self._world.segments[f"batches/{self._batch}/segments/{name}"].splitlines()[1:]
            for number, values in enumerate(map(_values, lines)):
                yield name, number, values

    def _counts(self, values: dict[str, Any]) -> bool:
        """Whether a line counts by rule 8. Refused rows are of round 0. If a row was sent back, its line must be of that round
        or a later one.
        """
        if values["status"] == "completed":
            return bool(values["round"] >= self._sent_back.get(values["row"], 0))
        return bool(values["final"] and values["round"] in (0, self._number))

    def _compare(self, row: int, published: dict[str, Any], winner: dict[str, Any] | None) -> None:
        self._world.seen.add(
            f"a row {published['status']}" + (" late" if winner and 0 < winner["round"] < self._number else "")
        )
        if winner is None:
            closed = json.loads((self._folder / f"closed-{self._number}.json").read_bytes())
            self._world.seen.add(f"a row {closed['reason']}")
            status = "expired" if closed["reason"] in ("postponed", "over_budget") else closed["reason"]
            assert published["status"] == status, f"row {row} is {published['status']}: {closed}"
            self._was_open(row)
        elif winner["status"] == "completed":
            assert published["status"] == "completed", f"row {row} is {published['status']}, though it completed"
            assert published["output"] == winner["output"], f"row {row} has another text"
            for name in SUMMED:
                assert published["usage"][name] == winner["usage"][name], f"row {row}"
        else:
            assert published["status"] == "failed", f"row {row} is {published['status']}, though it failed"
            assert published["error"] == winner["error"], f"row {row} has another error"

    def _was_open(self, row: int) -> None:
        """Require that the row had no outcome when the round was closed. A row with an outcome may not be cancelled or
        expired.
        """
        made = self._world.made
        closed_at = made[f"batches/{self._batch}/closed-{self._number}.json"]
        for path, data in self._world.segments.items():
            if not path.startswith(f"batches/{self._batch}/") or made[path] > closed_at:
                continue
            for values in map(_values, data.splitlines()[1:]):
                assert values["row"] != row or not self._counts(values), (
                    f"row {row} had an outcome when the round was closed"
                )


def _values(line: bytes) -> dict[str, Any]:
    """A line of a segment as one flat object, with its published fields and the fields of the attempt."""
    values: dict[str, Any] = json.loads(line)
    published: dict[str, Any] = values.pop("published", {})
    return published | values
