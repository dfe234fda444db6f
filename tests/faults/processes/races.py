"""Runs several commands that begin at the same moment."""

from tests.faults.premises import Premises

RACER = """
import os, sys, time
import jobs.client, jobs.operations.cancellation, jobs.operations.enqueueing, jobs.operations.enqueue_options
import jobs.publishing.delivery, jobs.kinds.registry, jobs.publishing.publish
from jobs.commands.cli import main
from jobs.settings import load
load()
open(f"ready-{os.getpid()}", "w").close()
while not os.path.exists("go"):
    time.sleep(0.0002)
sys.exit(main(sys.argv[1:]))
"""
"""A `nightpress` that loads all its modules, and then waits for the file `go` before it begins."""


def race(night: Premises, *calls: tuple[str, ...]) -> list[int]:
    """Run several commands that begin at the same moment. Returns their exit statuses."""
    (night.folder / "go").unlink(missing_ok=True)
    for left in night.folder.glob("ready-*"):
        left.unlink()
    processes = [night.run_code(RACER, *words) for words in calls]
    night.until(lambda: len(list(night.folder.glob("ready-*"))) == len(calls), 150, "all to be ready")
    (night.folder / "go").touch()
    return [process.wait(150) for process in processes]
