"""Installs the systems that `bench/lanes.py` compares, and runs their steps in separate processes."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis

PROGRAMS: Final = Path(__file__).parent
STEP_S: Final = 240.0

PACKAGES: Final = {
    "celery": ("celery[redis]", "hiredis"),
    "rq": ("rq", "hiredis"),
    "dramatiq": ("dramatiq[redis]", "hiredis"),
    "arq": ("arq",),
    "taskiq": ("taskiq", "taskiq-redis", "hiredis"),
    "saq": ("saq[redis]", "typing_extensions", "hiredis"),
    "huey": ("huey", "redis", "hiredis"),
}
NOTES: Final = {
    "celery": """solo pool; kept: acks_late, reject_on_worker_lost, prefetch 1,
  visibility_timeout 5 s, restore each 1 s""",
    "rq": """SimpleWorker (no fork), takes one job at a time; kept: Retry(3),
  job timeout 5 s, maintenance each 5 s, worker_ttl 30 s: back after 65 s""",
    "dramatiq": "8 threads; kept: heartbeat_timeout 5 s, maintenance 10 % of commands",
    "arq": "poll_delay 1 ms; kept: job_timeout 5 s, back after 15 s (default 310 s)",
    "taskiq": "list broker; kept: stream broker, idle_timeout and lock timeout 5 s",
    "saq": "kept: retries 3, heartbeat 5 s, sweep each 1 s",
    "huey": "8 threads; has no acknowledgement: kept is as default",
}


@dataclass
class Bench:
    """The things that all systems share: one server (`url`), a scratch folder, a folder for environments (`cache`), the number
    of jobs, and the bytes of a payload (`size`).
    """

    url: str
    folder: Path
    cache: Path
    jobs: int
    size: int
    client: redis.Redis = field(init=False)

    def __post_init__(self) -> None:
        self.client = redis.Redis.from_url(self.url)

    @property
    def log(self) -> Path:
        """The file with the output (stdout and stderr) of the latest step."""
        return self.folder / "step.log"

    def python(self, name: str) -> str:
        """Return the path of the Python in a system's environment."""
        return sys.executable if name == "nightpress" else str(self.cache / name / "bin" / "python")

    def install(self, name: str) -> None:
        """Make the peer's environment, unless a file in it says that the same packages were installed with the same Python.
        Otherwise it is deleted and made anew. Ends the benchmark if pip fails.
        """
        folder = self.cache / name
        complete, wanted = folder / "complete", "\n".join((sys.version, *PACKAGES[name]))
        if Path(self.python(name)).exists() and complete.exists() and complete.read_text() == wanted:
            return
        print(f"installing {name}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        pip = [self.python(name), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        try:
            subprocess.run([*pip, *PACKAGES[name]], check=True, timeout=STEP_S)
        except subprocess.SubprocessError as error:
            sys.exit(f"cannot install {name}: {error}")
        complete.write_text(wanted)

    def version(self, name: str) -> str:
        """Return the installed version of a system."""
        package = name if name == "nightpress" else PACKAGES[name][0].partition("[")[0]
        code = f"from importlib.metadata import version; print(version({package!r}))"
        return subprocess.run(
            [self.python(name), "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()

    def empty(self) -> int:
        """Empty the server and the store. Returns the bytes of memory that the empty server uses."""
        self.client.flushall()
        shutil.rmtree(self.folder / "store", ignore_errors=True)
        return self.used()

    def cpu_us(self) -> float:
        """Return the CPU time that the server has used so far, in microseconds."""
        info = self.client.info("cpu")
        return (float(info["used_cpu_user"]) + float(info["used_cpu_sys"])) * 1e6

    def used(self) -> int:
        """Return the bytes of memory that the server uses."""
        return int(self.client.info("memory")["used_memory"])

    @contextlib.contextmanager
    def started(self, name: str, step: str, **options: object) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
        """Start a step of one system in a new process group. Yield the step's process, and the path of its result.

        Each option becomes an environment variable, BENCH_<option>. The process group is killed after the `with` block.
        """
        program = PROGRAMS / ("ours.py" if name == "nightpress" else f"{name}_peer.py")
        result = self.folder / "result.json"
        result.unlink(missing_ok=True)
        given = {
            "URL": self.url,
            "JOBS": self.jobs,
            "BYTES": self.size,
            "FOLDER": self.folder,
            "RESULT": result,
            **options,
        }
        env = {**os.environ, **{f"BENCH_{key}": str(value) for key, value in given.items()}}
        command = [self.python(name), str(program), step]
        with (
            self.log.open("w+") as log,
            subprocess.Popen(command, env=env, stdout=log, stderr=log, text=True, start_new_session=True) as process,
        ):
            try:
                yield process, result
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def step(self, name: str, step: str, **options: object) -> dict[str, Any]:
        """Run a step. Returns its result. Ends the benchmark if the step fails or takes longer than STEP_S seconds."""
        until = time.monotonic() + STEP_S
        with self.started(name, step, **options) as (process, result):
            while not (result.exists() and result.read_text()):
                if process.poll() not in (None, 0) or time.monotonic() > until:
                    sys.exit(f"{name} {step}: {self.log.read_text()[-2000:]}")
                time.sleep(0.02)
            found: dict[str, Any] = json.loads(result.read_text())
        return found


def wait_for(condition: Callable[[], object], limit_s: float) -> bool:
    """Wait until a condition is true, for at most `limit_s` seconds. Returns whether the condition became true."""
    until = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
