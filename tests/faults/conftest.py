"""Fixtures of the fault tests: their premises, and the networks and clocks of their processes."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.network.cut_network import Proxy
from tests.faults.network.wrong_clock import SHIM, Clock
from tests.faults.premises import Premises


@pytest.fixture
def make_night(
    tmp_path: Path, request: pytest.FixtureRequest, until: Callable[..., Any]
) -> Iterator[Callable[..., Premises]]:
    """Makes the premises of a test, over the test's own Redis unless the test passes another server. All premises have stores
    of their own.
    """
    made: list[Premises] = []

    def make(server: Any = None, **given: Any) -> Premises:
        folder = tmp_path / ("night" if not made else f"night-{len(made) + 1}")
        made.append(Premises(folder, server or request.getfixturevalue("redis_server"), until, **given))
        return made[-1]

    yield make
    for night in made:
        night.close()


@pytest.fixture
def night(make_night: Callable[..., Premises]) -> Premises:
    return make_night()


@pytest.fixture
def make_proxy() -> Iterator[Callable[..., Proxy]]:
    """Makes a network that can be cut, in front of a port on 127.0.0.1."""
    made: list[Proxy] = []

    def make(port: int, host: str = "127.0.0.1") -> Proxy:
        made.append(Proxy(port, host))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that is loaded before the C library of a process, so that a test can move the clock of the process."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) is installed to build the library that moves a process's clock")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "clock.c").write_text(SHIM)
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(folder / "clock.so"), str(folder / "clock.c")]
    subprocess.run(command, check=True)
    return folder / "clock.so"


@pytest.fixture
def clock(shim: Path, tmp_path: Path) -> Clock:
    """A clock that shows the right time until a test moves it."""
    return Clock(shim, tmp_path / "offset")
