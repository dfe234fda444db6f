"""Translates 100 lines of documentation, and tells how many keep their contract, by check.

    python scripts/bench/content/documentation.py apertium
    python scripts/bench/content/documentation.py smollm2-135m
    git worktree add /tmp/before dfa0ff2 && python scripts/bench/content/documentation.py apertium --tree /tmp/before

The lines are those of the Markdown pages of installed packages, from 40 to 250 characters, chosen by their hash: each is a row of
the kind `translation` from English into Spanish. `apertium` is Debian's rule-based translator (`apertium-eng-spa`); any other
name is the alias of a model. Rows are checked and asked for again as a worker does it. With `--tree` the code of another checkout
runs, so that two states of the code can be compared on the same rows.
"""

import argparse
import hashlib
import inspect
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[3]
_SHORTEST, _LONGEST = 40, 250


def lines() -> Iterator[str]:
    """Yield the lines of the Markdown pages of installed packages that are prose, each once."""
    seen: set[str] = set()
    for one in sorted(distributions(), key=lambda found: str(found.name)):
        metadata: Any = one.metadata
        if "markdown" not in str(metadata.get("Description-Content-Type")):
            continue
        text = str(metadata.get_payload() or metadata.get("Description") or "")
        is_code = False
        for line in map(str.strip, text.splitlines()):
            if line.startswith(("```", "~~~")):
                is_code = not is_code
            if is_code or line in seen or not _SHORTEST <= len(line) <= _LONGEST:
                continue
            if not line.startswith(("|", "<", "[![", "![")) and sum(map(str.isalpha, line)) * 2 > len(line):
                seen.add(line)
                yield line


def rows(count: int) -> list[dict[str, str]]:
    """Return this many rows, the same on each run with the same packages."""
    found = sorted(lines(), key=lambda line: hashlib.sha256(line.encode()).digest())[:count]
    return [
        {"kind": "translation", "text": line, "format": "markdown", "source_language": "en", "target_language": "es"}
        for line in found
    ]


def run(name: str, asked: Sequence[dict[str, str]]) -> list[Any]:
    """Run the rows on Apertium or on a model. Returns the judged rows."""
    from jobs.kinds.registry import load_kinds
    from jobs.kinds.row_checks import row_checks
    from jobs.settings import Settings
    from scripts.bench import contract
    from workers.engines.registry import make_engine

    settings = Settings()
    model = "smollm2-135m" if name == "apertium" else name
    if name == "apertium":
        from tests.support.translating.apertium import Apertium

        engine: Any = Apertium()
    else:
        engine = make_engine(model, settings.catalog[model], settings.cache_dir)
    kinds, checks = load_kinds(), row_checks(settings, model)
    # The names are private in other checkouts too.
    attempts = [contract._attempt(n, row, kinds, model, checks) for n, row in enumerate(asked)]  # noqa: SLF001
    errors = contract._converse(attempts, engine)  # noqa: SLF001
    engine.close()
    judged: Any = contract._judged  # noqa: SLF001
    takes_request = len(inspect.signature(judged).parameters) > 3  # an earlier checkout's takes none
    return [
        judged(one, errors.get(one.row.row), settings, *([one.row.request] if takes_request else []))
        for one in attempts
    ]


def main() -> None:
    """Run the rows, and print the verdicts and what broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", help="`apertium`, or the alias of a model")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--tree", type=Path, default=_ROOT, help="the checkout whose code runs")
    parser.add_argument("--show", type=int, default=0, help="print so many rows that failed")
    args = parser.parse_args()
    sys.path[:0] = [str(args.tree), str(_ROOT)]
    judged = run(args.engine, asked := rows(args.rows))
    verdicts = Counter(one.verdict for one in judged)
    tokens = sum(one.tokens for one in judged)
    print(f"{len(judged)} rows: " + ", ".join(f"{verdicts[one]} {one}" for one in ("fit", "review", "failed")))
    print(f"completion tokens: {tokens:,}")
    codes = Counter(
        code for one in judged for code in {found.code for found in one.findings if found.severity != "note"}
    )
    codes.update(one.error.partition(":")[0] for one in judged if one.error and not one.findings)
    print("broken, by rows:", ", ".join(f"{code} {count}" for code, count in codes.most_common()) or "nothing")
    failed = [(row, one) for row, one in zip(asked, judged, strict=True) if one.verdict == "failed"]
    for row, one in failed[: args.show]:
        print(f"\n{row['text']}\n  {one.error}\n  {one.output and one.output['text']}")


if __name__ == "__main__":
    main()
