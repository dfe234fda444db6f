"""Checks that a large document streams: the memory and time of its intake, and of writing its translation.

    python scripts/checks/document_memory.py [--bytes 500e6] [--languages fr,de] [--folder F] [--json FILE]

The script makes a catalogue of gettext whose messages have placeholders. One message in ten repeats an earlier one. A process
accepts it as a batch, as `enqueue` does. Another process takes each row's text as its translation, in place of a worker, and
writes the translated catalogues, as `results --format document` does. The kernel reports the peak of each process's resident
memory. The files must have the lines of the source but for their `msgstr`, which must be the messages. The exit status is 1 if a
file is wrong, or if more than 300 MB were resident.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

LIMIT_BYTES: Final = 300_000_000
HEAD: Final = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Language: {}\\n"\n'
EVERY: Final = 10


def text_of(number: int) -> str:
    """Return the text of a message. Each tenth repeats an earlier one."""
    number = number // 2 if number % EVERY == EVERY - 1 else number
    return f"The file %(name)s of {number:,} was saved by {{user}}"


def messages(size: int) -> Iterator[str]:
    """Yield the messages of a catalogue of about this many bytes, each without its `msgstr`."""
    made = 0
    for number in itertools.count():
        if made >= size:
            return
        message = f'\n#: app/views.py:{number}\n#, python-format\nmsgid "{text_of(number)}"\n'
        made += len(message) + 10
        yield message


def accepted(path: Path, store_url: str, languages: str) -> dict[str, Any]:
    """Accept the catalogue in this process. Returns the batch's id and counts."""
    from jobs.intake.accept import IntakeOptions, accept_file
    from jobs.settings import Settings
    from jobs.store.opening import open_store

    options = IntakeOptions(kind="translation", set=("source_language=en", f"target_language={languages}"))
    settings = Settings(store_url=store_url, model="stub", input_bytes=1 << 40, input_rows=100_000_000)
    batch = accept_file(open_store(store_url), path, options, settings, "check").batch
    return {"batch": batch.batch_id, "rows": batch.rows, "refused": batch.refused}


def written(store_url: str, batch_id: str, folder: str) -> dict[str, Any]:
    """Write the translated catalogues in this process, with each text as its own translation."""
    from jobs.batches.input import lane_input
    from jobs.batches.request_row import RowRequest
    from jobs.batches.rounds import require_batch
    from jobs.documents.batches.answers import Answers
    from jobs.documents.batches.writing import write_documents
    from jobs.store.destinations import write_destination
    from jobs.store.opening import open_store

    store = open_store(store_url)
    batch = require_batch(store, batch_id)

    def rows() -> Iterator[dict[str, Any]]:
        with lane_input(store, batch_id, next(iter(batch.lanes))) as file:
            for request in map(RowRequest.from_bytes, file):
                output = {"text": request.request["text"]}
                yield {"status": "completed", "metadata": request.metadata, "output": output}

    with tempfile.TemporaryDirectory(dir=folder) as scratch, closing(Answers(Path(scratch, "answers"))) as answers:
        answers.fill(rows())
        report = write_documents(
            store,
            batch,
            answers,
            lambda name: write_destination(f"{folder}/{name}", {}, with_folders=True),
            Path(scratch),
        )
    return {"translated": [one.translated for one in report.files], "left": sum(report.codes.values())}


def measured(act: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    """Return what `act` returns, with its seconds and the peak of this process's resident memory in bytes."""
    started = time.monotonic()
    found = act(*args)
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return {**found, "seconds": round(time.monotonic() - started, 1), "peak_bytes": int(line.split()[1]) * 1024}


def is_wrong(path: Path, language: str, size: int) -> bool:
    """Whether a translated catalogue is not the source with its messages as their translations."""
    expected = itertools.chain([HEAD.format(language)], (f"{one}{_msgstr(one)}" for one in messages(size)))
    lines = itertools.chain.from_iterable(one.splitlines(keepends=True) for one in expected)
    with path.open(encoding="utf-8", newline="") as file:
        found = (line for line in file if not line.startswith('"Plural-Forms'))
        return any(one != other for one, other in itertools.zip_longest(lines, found))


def _msgstr(message: str) -> str:
    return message.rstrip("\n").rpartition("\n")[2].replace("msgid", "msgstr", 1) + "\n"


def main() -> int:
    """Make the catalogue, accept it, write it, and compare. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=float, default=500e6)
    parser.add_argument("--languages", default="fr,de")
    parser.add_argument("--folder", type=Path, help="where all files are made; they are removed afterwards")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--act", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.act:
        acts: dict[str, Callable[..., dict[str, Any]]] = {"accept": accepted, "write": written}
        print(json.dumps(measured(acts[args.act[0]], *args.act[1:])))
        return 0
    with tempfile.TemporaryDirectory(prefix="nightpress-check-", dir=args.folder) as scratch:
        source, store_url, out = Path(scratch, "messages.po"), f"{scratch}/store", f"{scratch}/out"
        Path(out).mkdir()
        with source.open("w", encoding="utf-8", buffering=1 << 20) as file:
            file.write(HEAD.format("en"))
            file.writelines(f'{one}msgstr ""\n' for one in messages(int(args.bytes)))
        size = source.stat().st_size
        taken = _acted("accept", str(source), store_url, args.languages)
        made = _acted("write", store_url, taken["batch"], out)
        wrong = [
            one for one in args.languages.split(",") if is_wrong(Path(out, one, "messages.po"), one, int(args.bytes))
        ]
    print(f"{size / 1e6:,.0f} MB into {args.languages}: {taken['rows']:,} rows, {taken['refused']:,} refused")
    for name, found in (("intake", taken), ("writing", made)):
        speed, peak = size / 1e6 / found["seconds"], found["peak_bytes"] / 1e6
        print(f"  {name}: {found['seconds']:,.1f} s, {speed:.1f} MB/s; {peak:,.0f} MB resident at most")
    print(f"  translated {made['translated']}, {made['left']:,} left; wrong files: {', '.join(wrong) or 'none'}")
    if args.json:
        args.json.write_text(json.dumps({"bytes": size, "intake": taken, "writing": made, "wrong": wrong}) + "\n")
    peak = max(taken["peak_bytes"], made["peak_bytes"])
    return 1 if wrong or made["left"] or peak > LIMIT_BYTES else 0


def _acted(*args: str) -> dict[str, Any]:
    ran = subprocess.run([sys.executable, __file__, "--act", *args], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
