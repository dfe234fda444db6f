"""Which Ray cluster a command joins, and whether strangers may join it too.

Ray listens on all interfaces of a machine, and every client may run any code there. Its only guard is a token. So a Ray that a
command starts gets a token of its own, which no other process knows. A cluster that takes in clients without a token is not
joined, unless RAY_AUTH_MODE=disabled says that something else guards the cluster.

Before Ray joins a cluster, a child process tries its control store. With a wrong address or token, Ray itself would try for a
minute; without any token, Ray would abort the process.
"""

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jobs.errors import UnavailableError
from workers.fleet.gcs_watch import listens

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
"""Ray's environment variables: `token` or `disabled`, the token itself, or the file that holds it."""
ANSWER_S: Final = 3.0
"""A control store must answer within this many seconds."""
IMPORT_S: Final = 30.0
"""The child process must import Ray within this many seconds. It takes less than one on an idle machine."""
_ASK: Final = """
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
print("asks", flush=True)
try:
    GcsClient(address=sys.argv[1])
except AuthenticationError:
    print("refused", flush=True)
else:
    print("joined", flush=True)
"""
START: Final = "RAY_AUTH_MODE=token ray start --head"
"""The command that starts a cluster which asks for a token; shown to the user."""


def use_private_token() -> None:
    """Give the Ray that this process starts next a token that nobody else knows, whatever RAY_AUTH_MODE says."""
    os.environ[MODE] = "token"
    os.environ[TOKEN] = secrets.token_hex(32)
    os.environ.pop(TOKEN_PATH, None)


def found_address() -> str | None:
    """Return the address in RAY_ADDRESS. Without it, return that of the last `ray start` on this machine, if it runs; else
    None.

    A Ray that another program started for itself, such as another `nightpress run`, is not found: it would end with that program.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address not in ("", "auto"):
        return address
    on_linux = os.environ.get("TMPDIR") if sys.platform == "linux" else None
    folder = os.environ.get("RAY_TMPDIR") or on_linux or "/tmp"  # noqa: S108 - where Ray itself looks
    try:
        address = (Path(folder) / "ray" / "ray_current_cluster").read_text().strip()
    except OSError:
        return None
    return address if address and listens(address) else None


def require_token(address: str) -> None:
    """Check that a cluster answers, accepts our token, and refuses clients without a token. Then let Ray use the token.

    Raises UnavailableError, whose message says what to do. With RAY_AUTH_MODE=disabled, only the answer is checked.
    """
    if not listens(address):
        raise UnavailableError(
            f"no Ray cluster at {address}: nothing listens there. Start one with `{START}`, or correct it."
        )
    is_open = os.environ.get(MODE, "").lower() == "disabled"
    if not is_open and not has_token():
        raise UnavailableError(
            f"no token for the Ray cluster at {address}. Copy ~/.ray/auth_token from its head to this machine, or set {TOKEN}; "
            f"if its head has none, `ray get-auth-token --generate` and then `{START}` there."
        )
    plain = {name: value for name, value in os.environ.items() if name not in (MODE, TOKEN, TOKEN_PATH)}
    stranger = _Question(address, {**plain, MODE: "disabled", TOKEN: ""})
    ours = None if is_open else _Question(address, {**os.environ, MODE: "token"})
    if stranger.answer() == "joined" and not is_open:
        raise UnavailableError(
            f"the Ray cluster at {address} takes everyone in without a token, and they could run any code there. Start it again "
            f"with `{START}`; if something else guards it, set {MODE}=disabled."
        )
    answer = stranger.answer() if ours is None else ours.answer()
    if answer == "refused":
        wrong = f"asks for a token, and {MODE} is disabled: unset it" if is_open else "refuses our token"
        raise UnavailableError(
            f"the Ray cluster at {address} {wrong}. Copy ~/.ray/auth_token from its head to this machine, or set {TOKEN}."
        )
    if answer != "joined":
        raise UnavailableError(
            f"no Ray cluster at {address}: what listens there does not answer as Ray's control store. Give the address that "
            "`ray start --head` printed."
        )
    if not is_open:
        os.environ[MODE] = "token"


def has_token() -> bool:
    """Whether Ray would find a token in the environment or in its file."""
    if os.environ.get(TOKEN, "").strip():
        return True
    path = Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")
    try:
        return bool(path.read_text().strip())
    except (OSError, ValueError):
        return False


class _Question:
    """Tries to join a control store in a child process. The child process is killed if there is no answer."""

    def __init__(self, address: str, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-c", _ASK, address],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._answer: str | None = None

    def answer(self) -> str:
        """Return `joined`, `refused`, or nothing if there was no answer."""
        if self._answer is None:
            with self._process:
                if self._line(IMPORT_S) == "asks":
                    self._answer = self._line(ANSWER_S)
                self._process.kill()
        return self._answer or ""

    def _line(self, timeout_s: float) -> str:
        killer = threading.Timer(timeout_s, self._process.kill)
        killer.start()
        try:
            return (self._process.stdout.readline() if self._process.stdout else "").strip()
        finally:
            killer.cancel()
