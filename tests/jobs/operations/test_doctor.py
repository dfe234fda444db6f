"""Shows jobs/operations/doctor.py: every fault is a check with its remedy, and never an exception."""

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from jobs.errors import QueueUnavailable, StoreUnavailable
from jobs.operations import doctor
from jobs.operations.doctor import Check, Pinged
from jobs.prices import Prices, TokenPrices
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.store.store import Store

GOOD = {"redis_version": "7.0.15", "maxmemory": "0", "maxmemory_policy": "noeviction"}


class Answering:
    """A server that answers with this INFO."""

    def __init__(self, info: Mapping[str, str]) -> None:
        self.info = info

    def ping(self) -> Mapping[str, str]:
        return self.info

    def check(self) -> None:
        """This server takes writes."""

    def check_wakes(self) -> None:
        """This server lets workers wait."""


class Silent(Answering):
    """A server that is not there."""

    def __init__(self) -> None:
        super().__init__({})

    def ping(self) -> Mapping[str, str]:
        raise QueueUnavailable("Redis at localhost:1 does not answer")


class Answers(Answering):
    """A server that answers, but takes no writes."""

    def check(self) -> None:
        raise QueueUnavailable("Redis at localhost:1 cannot write to its own disk: make room there")


class Refusing(Answering):
    """A server that lets no worker wait to be woken."""

    def check_wakes(self) -> None:
        raise QueueUnavailable("Redis at localhost:1: its user lacks a right")


def test_a_server_that_wakes_no_worker_is_named() -> None:
    (check,) = list(doctor.redis(lambda: Refusing(GOOD)))[2:]
    assert (check.name, check.ok, check.needed) == ("redis wakes", False, False)
    assert "+blpop" in check.remedy


def queue(info: Mapping[str, str]) -> Callable[[], Pinged]:
    return lambda: Answering(info)


@pytest.mark.parametrize(
    ("version", "ok"),
    [
        pytest.param((3, 11, 2), True, id="the oldest that is supported"),
        pytest.param((3, 14, 0), True, id="newer"),
        pytest.param((3, 10, 14), False, id="too old"),
    ],
)
def test_python_is_new_enough(version: tuple[int, int, int], ok: bool) -> None:
    check = doctor.python(version)
    assert (check.ok, check.detail) == (ok, ".".join(map(str, version)))
    assert "3.11 or newer" in check.remedy


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        pytest.param(GOOD, {}, id="Debian's Redis 7.0"),
        pytest.param({**GOOD, "redis_version": "7.2.4", "valkey_version": "9.1.2"}, {}, id="Valkey 9"),
        pytest.param({**GOOD, "redis_version": "6.2.7"}, {"redis version": "use Redis 7.0"}, id="too old"),
        pytest.param({**GOOD, "redis_version": "unknown"}, {"redis version": "use Redis 7.0"}, id="an unknown version"),
        pytest.param(
            {**GOOD, "maxmemory_policy": "allkeys-lru", "maxmemory": "1048576"},
            {"redis memory": "maxmemory-policy noeviction"},
            id="one that evicts",
        ),
    ],
)
def test_the_queue_is_new_enough_and_evicts_nothing(given: Mapping[str, str], faults: Mapping[str, str]) -> None:
    checks = list(doctor.redis(queue(given)))
    found = {check.name: check.remedy for check in checks if not check.ok}
    assert found.keys() == faults.keys()
    assert all(part in found[name] for name, part in faults.items())
    assert [check.name for check in checks] == ["redis version", "redis memory"]


def test_a_queue_that_does_not_answer_is_a_fault() -> None:
    (check,) = doctor.redis(Silent)
    assert (check.ok, check.needed) == (False, True)
    assert "does not answer" in check.detail


def test_a_queue_that_answers_and_takes_no_writes_is_a_fault() -> None:
    (check,) = doctor.redis(lambda: Answers(GOOD))
    assert (check.ok, check.needed) == (False, True)
    assert "make room" in check.detail
    assert "do what the message says" in check.remedy


def test_no_queue_at_all_is_only_a_hint_since_run_brings_its_own() -> None:
    (check,) = doctor.redis(lambda: None)
    assert (check.ok, check.needed) == (False, False)
    assert "NIGHTPRESS_REDIS_URL" in check.remedy


def test_a_local_folder_is_safe_storage_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    assert doctor.storage(lambda: store).ok
    assert store.list("check") == []


def test_storage_that_cannot_be_written_is_a_fault_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    check = doctor.storage(lambda: open_store(str(tmp_path / "file")))
    assert not check.ok
    assert "NIGHTPRESS_STORE_URL" in check.remedy


def test_storage_that_cannot_be_opened_is_a_fault() -> None:
    def unknown() -> Store:
        raise StoreUnavailable("no such protocol: s4")

    assert doctor.storage(unknown) == Check(
        "storage", False, "no such protocol: s4", "correct NIGHTPRESS_STORE_URL or NIGHTPRESS_STORE_OPTIONS"
    )


def test_another_package_adds_its_checks_and_a_damaged_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "printing_press.py").write_text(
        "from jobs.operations.doctor import Check\n"
        "def checks(settings):\n    yield Check('ink', False, settings.model, 'buy some')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [
        EntryPoint("press", "printing_press:checks", "nightpress.doctor"),
        EntryPoint("gone", "no_such_module:checks", "nightpress.doctor"),
    ]
    monkeypatch.setattr(doctor, "entry_points", lambda group: points if group == "nightpress.doctor" else [])
    gone, ink = doctor.extensions(Settings(model="stub"))
    assert ink == Check("ink", False, "stub", "buy some")
    assert (gone.name, gone.ok) == ("gone", False)
    assert "no_such_module" in gone.detail


def test_everything_is_examined_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "entry_points", lambda group: [])
    store = open_store(str(tmp_path))
    checks = list(doctor.examine(Settings(), queue(GOOD), lambda: store))
    assert [check.name for check in checks] == ["python", "redis version", "redis memory", "storage"]
    assert all(check.ok for check in checks)
    assert checks[0].detail == ".".join(map(str, sys.version_info[:3]))


def test_settings_that_only_some_commands_use_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "entry_points", lambda group: [])
    settings = Settings(model="nope", templates_dir=tmp_path / "nowhere")
    faults = [
        check for check in doctor.examine(settings, lambda: None, lambda: open_store(str(tmp_path))) if not check.ok
    ]
    assert [(check.name, check.needed) for check in faults] == [("kinds", True), ("model", True), ("redis", False)]
    assert "templates_dir" in faults[0].detail
    assert faults[1].remedy == "set model to one of: smollm2-135m, stub"


@pytest.mark.parametrize(
    "error", [ImportError("x"), OSError("x"), ValueError("x"), RuntimeError(), KeyError("x"), NotImplementedError("x")]
)
def test_a_check_that_fails_itself_is_a_fault(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(settings: Settings) -> None:
        raise error

    class Point:
        name, value = "other", "other:checks"

        def load(self) -> Callable[[Settings], None]:
            return fail

    monkeypatch.setattr(doctor, "entry_points", lambda group: [Point()])
    (check,) = doctor.extensions(Settings())
    assert (check.name, check.ok) == ("other", False)
    assert check.detail.startswith("other:checks: ")


def test_own_prices_are_looked_at() -> None:
    assert list(doctor.prices(Settings())) == []
    own = Settings(prices=Prices(models={"stub": TokenPrices(prompt=1)}))
    free, name = doctor.prices(own)
    assert (free.needed, free.detail) == (False, "nothing is charged for smollm2-135m")
    assert "version in [prices]" in name.remedy
