"""Measures an HTTP gateway on one core: many clients that poll, some that upload, and what a large upload costs the others.

    python scripts/bench/gateway/load.py [--pollers 200] [--uploaders 20] [--seconds 20] [--large 5e9] [--core 0]

The gateway is a process of its own, pinned to a core; the clients run on the other cores. A poller asks for the status of one of
`--batches` open batches, again and again, `--every` seconds apart; an uploader uploads files of `--file` bytes. With `--large` a
file of so many bytes is then uploaded in parts, broken off half way and gone on with, while ten clients poll. Printed are
requests a second, the median and the 99th percentile of their time, and the largest resident memory of the gateway.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.client import Client
from jobs.settings import Settings
from jobs.submissions.keys import Keys

SECRET = "s" * 32
PORT = 18_080
PART_BYTES = 60 << 20
BODY = b'{"messages":[{"role":"user","content":"%s"}]}'
LINE = b'{"custom_id":"%010d","method":"POST","url":"/v1/chat/completions","body":' + BODY + b"}\n"


@dataclass
class Times:
    """How long requests took, in seconds."""

    of: list[float] = field(default_factory=list)

    def line(self, name: str, seconds: float) -> str:
        """Return a line of the report."""
        if not self.of:
            return f"{name}: none"
        cuts = statistics.quantiles(self.of, n=100) if len(self.of) > 1 else [self.of[0]] * 99
        each = f"median {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms"
        return f"{name}: {len(self.of)} requests, {len(self.of) / seconds:.0f}/s, {each}"


def lines(size: int) -> bytes:
    """Return about so many bytes of a batch file."""
    text = b"x" * 900
    made = [LINE % (n, text) for n in range(max(1, size // 1_024))]
    return b"".join(made)


@asynccontextmanager
async def client(key: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Open a client with a connection for each request that is under way. Making one takes as long as many requests."""
    headers = {"authorization": f"Bearer {key}"}
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{PORT}/v1", headers=headers, timeout=120, limits=limits
    ) as made:
        yield made


async def poll(http: httpx2.AsyncClient, paths: Sequence[str], times: Times, until: float, every_s: float) -> None:
    """Ask for one path after the other until a moment."""
    turn = 0
    while time.monotonic() < until:
        began = time.monotonic()
        answer = await http.get(paths[turn % len(paths)])
        answer.raise_for_status()
        times.of.append(time.monotonic() - began)
        turn += 1
        await asyncio.sleep(max(0.0, every_s - (time.monotonic() - began)))


async def upload(http: httpx2.AsyncClient, data: bytes, times: Times, until: float) -> None:
    """Upload one file after the other until a moment."""
    while time.monotonic() < until:
        began = time.monotonic()
        form = {"file": ("bench.jsonl", data)}
        (await http.post("/files", data={"purpose": "batch"}, files=form)).raise_for_status()
        times.of.append(time.monotonic() - began)


async def submit(key: str, batches: int, rows: int) -> list[str]:
    """Submit batches, and wait until their files are read. Returns their ids, and prints how long an answer took."""
    async with client(key) as http:
        form = {"file": ("bench.jsonl", lines(rows << 10))}
        file_id = (await http.post("/files", data={"purpose": "batch"}, files=form)).json()["id"]
        body = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        ids, took = [], Times()
        for _ in range(batches):
            began = time.monotonic()
            ids.append((await http.post("/batches", json=body)).json()["id"])
            took.of.append(time.monotonic() - began)
        began = time.monotonic()
        for one in ids:
            while (await http.get(f"/batches/{one}")).json()["status"] == "validating":
                await asyncio.sleep(0.1)
        print(took.line(f"submissions of {rows:,} rows", sum(took.of)), f"; read in {time.monotonic() - began:.1f} s")
        return ids


async def large(key: str, size: int, paths: Sequence[str]) -> None:
    """Upload a large file in parts, breaking off half way, while ten clients poll."""
    times, stop = Times(), asyncio.Event()

    async def polling() -> None:
        async with client(key) as http:
            while not stop.is_set():
                began = time.monotonic()
                (await http.get(paths[0])).raise_for_status()
                times.of.append(time.monotonic() - began)
                await asyncio.sleep(0.1)

    pollers = [asyncio.create_task(polling()) for _ in range(10)]
    began, part = time.monotonic(), lines(PART_BYTES)
    count = max(1, size // len(part))
    async with client(key) as http:
        body = {
            "filename": "large.jsonl",
            "purpose": "batch",
            "bytes": count * len(part),
            "mime_type": "application/jsonl",
        }
        upload_id = (await http.post("/uploads", json=body)).json()["id"]
    ids: list[str] = []
    for number in range(count):
        async with client(key) as http:
            sending = http.post(f"/uploads/{upload_id}/parts", files={"data": ("part", part)})
            if number == count // 2:  # this connection breaks off, and the part is sent again
                with_limit = asyncio.create_task(sending)
                await asyncio.sleep(0.02)
                with_limit.cancel()
                sending = http.post(f"/uploads/{upload_id}/parts", files={"data": ("part", part)})
            ids.append((await sending).json()["id"])
    async with client(key) as http:
        done = (await http.post(f"/uploads/{upload_id}/complete", json={"part_ids": ids}, timeout=600)).json()
    took = time.monotonic() - began
    stop.set()
    await asyncio.gather(*pollers)
    print(
        f"upload of {done['file']['bytes'] / 1e9:.2f} GB in {count} parts: {took:.0f} s, {done['bytes'] / took / 1e6:.0f} MB/s"
    )
    print(times.line("polls meanwhile", took))


async def measure(key: str, args: argparse.Namespace, process: psutil.Process) -> None:
    """Run the whole measurement."""
    ids = await submit(key, args.batches, args.rows)
    paths = [f"/batches/{one}" for one in ids]
    polls, uploads, data = Times(), Times(), lines(args.file)
    async with client(key) as http:
        until = time.monotonic() + args.seconds
        tasks: list[Any] = [
            poll(http, paths[n % len(paths) :] + paths[: n % len(paths)], polls, until, args.every)
            for n in range(args.pollers)
        ]
        tasks += [upload(http, data, uploads, until) for _ in range(args.uploaders)]
        await asyncio.gather(*tasks)
    print(polls.line(f"{args.pollers} pollers", args.seconds))
    print(f"resident: {peak_mb(process):.0f} MB at most")
    print(uploads.line(f"{args.uploaders} uploaders of {len(data) / 1e6:.1f} MB", args.seconds))
    if args.large:
        await large(key, int(args.large), paths)
    print(f"resident memory of the gateway: {peak_mb(process):.0f} MB at most")


def peak_mb(process: psutil.Process) -> float:
    """Return the largest resident memory that a process has had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Parse the arguments, start the gateway, and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pollers", type=int, default=200)
    parser.add_argument("--uploaders", type=int, default=20)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--file", type=int, default=5 << 20)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two polls of a client")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--large", type=float, default=0.0, help="bytes of a large upload; 0: none")
    parser.add_argument("--core", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightpress-bench-") as folder:
        settings = Settings(store_url=f"{folder}/store", cache_dir=Path(folder) / "cache", model="smollm2-135m")
        with Client(settings) as made:
            _, key = Keys(made.store, SECRET.encode()).make("bench", "shop", ["submit", "read"])
        environment = {
            **os.environ,
            "NIGHTPRESS_STORE_URL": settings.store_url,
            "NIGHTPRESS_CACHE_DIR": f"{folder}/cache",
            "NIGHTPRESS_GATEWAY__SECRET": SECRET,
            "NIGHTPRESS_LOG_LEVEL": "error",
            "TMPDIR": folder,
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }
        code = "import sys; from jobs.commands.cli import main; sys.exit(main())"
        with subprocess.Popen([sys.executable, "-c", code, "serve", "--port", str(PORT)], env=environment) as server:
            process = psutil.Process(server.pid)
            process.cpu_affinity([args.core])
            others = [core for core in range(os.cpu_count() or 1) if core != args.core]
            psutil.Process().cpu_affinity(others or [args.core])
            try:
                while not answers():
                    time.sleep(0.1)
                print(f"resident at first: {peak_mb(process):.0f} MB")
                print(f"cores: {os.cpu_count()}, load {os.getloadavg()[0]:.1f}; the gateway is on core {args.core}")
                asyncio.run(measure(key, args, process))
            finally:
                server.terminate()


def answers() -> bool:
    """Whether the gateway answers."""
    try:
        return httpx2.get(f"http://127.0.0.1:{PORT}/healthz", timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


if __name__ == "__main__":
    main()
