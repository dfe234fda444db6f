"""Shows jobs/submissions: what was accepted becomes one batch, whatever dies and however often it is tried."""

import fcntl
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.client import Client
from jobs.settings import Settings
from jobs.submissions.admission import admit
from jobs.submissions.claims import TERM, Claims
from jobs.submissions.clerk import MOST_TAKES, Clerk, ClerkThread
from jobs.submissions.files import Files
from jobs.submissions.journal import STRAY_AGE, Journal, KeyReused
from jobs.submissions.places import CLAIMS, PENDING, TenantPaths, newest_first, submission_id
from jobs.submissions.records import Submission
from jobs.submissions.scratch import LOCK, YOUNG_S, scratch_folder, sweep
from jobs.submissions.tidying import tidy
from tests.support.gateway.front_desk import CHAT, chat_file

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


class Killed(BaseException):
    """Raised where the process would be killed."""


@pytest.fixture
def client(shelf: Shelf, tmp_path: Path) -> Iterator[Client]:
    settings = Settings(
        store_url=str(tmp_path / "store"),
        cache_dir=tmp_path / "cache",
        model="stub",
        models={"stub": {"engine": "stub"}},
    )
    with Client(settings, clock=shelf.clock, sleep=shelf.pass_s) as made:
        yield made


@pytest.fixture
def journal(client: Client) -> Journal:
    return Journal(client.store, client.clock)


@pytest.fixture
def make(client: Client) -> Callable[..., Submission]:
    """Makes a submission of a file of three chats."""

    def made(key: str = "k", **fields: Any) -> Submission:
        record = Files(client.store, "shop", client.clock).keep([chat_file()], "herbs.jsonl")
        values: dict[str, Any] = {
            "id": submission_id("shop", key),
            "tenant": "shop",
            "by": "0" * 16,
            "input_file_id": record.id,
            "endpoint": CHAT,
            "window": "24h",
            "window_s": 86_400,
            "request_sha256": "0" * 64,
            "created_at": client.clock(),
        }
        return Submission(**{**values, **fields})

    return made


def test_a_submission_is_one_however_often_it_is_made(journal: Journal, make: Callable[..., Submission]) -> None:
    first = make()
    assert journal.submit(first) == (first, True)
    again = make(created_at=first.created_at + timedelta(seconds=9))
    assert journal.submit(again) == (first, False)
    with pytest.raises(KeyReused):
        journal.submit(make(request_sha256="1" * 64))
    assert [one.id for one in journal.newest("shop", 10).submissions] == [first.id]


def test_a_submission_that_was_killed_while_it_was_written(
    journal: Journal, client: Client, make: Callable[..., Submission], shelf: Shelf
) -> None:
    submission = make()
    for call in range(1, 10):
        with pytest.MonkeyPatch.context() as patch:
            calls, real = [0], client.store.create

            def create(path: str, data: bytes, calls: list[int] = calls, call: int = call, real: Any = real) -> bool:
                calls[0] += 1
                if calls[0] == call:
                    raise Killed
                return bool(real(path, data))

            patch.setattr(client.store, "create", create)
            try:
                journal.submit(submission)
            except Killed:
                assert journal.newest("shop", 10).submissions in ([], [submission])
                for waiting in journal.waiting():  # a look of another gateway in between
                    journal.undecided(waiting)
                continue
        break
    assert call > 3  # every write was a place to die
    assert [one.id for one in journal.waiting()] == [submission.id]
    assert journal.newest("shop", 10).submissions == [submission]


def test_a_hint_without_a_submission_is_forgotten_when_it_is_old(
    journal: Journal, client: Client, shelf: Shelf
) -> None:
    path = f"{PENDING}/shop~{submission_id('shop', 'x')}"
    client.store.create(path, shelf.now.isoformat().encode())
    (waiting,) = journal.waiting()
    assert journal.undecided(waiting) is None
    assert client.store.exists(path)
    shelf.now += STRAY_AGE + timedelta(seconds=1)
    assert journal.undecided(waiting) is None
    assert not client.store.exists(path)


def test_an_admission_that_is_killed_at_any_moment_makes_one_batch(
    journal: Journal, client: Client, make: Callable[..., Submission]
) -> None:
    submission = make()
    journal.submit(submission)
    deaths = 0
    for call in range(1, 60):
        with pytest.MonkeyPatch.context() as patch:
            calls, store = [0], client.store

            def dying(real: Any, calls: list[int] = calls, call: int = call) -> Any:
                def inner(*args: Any, **options: Any) -> Any:
                    calls[0] += 1
                    if calls[0] == call:
                        raise Killed
                    return real(*args, **options)

                return inner

            for name in ("create", "writer", "delete", "discard"):
                patch.setattr(store, name, dying(getattr(store, name)))
            try:
                admit(client, journal, submission)
            except Killed:
                deaths += 1
                continue
        break
    assert deaths >= 4
    decision = admit(client, journal, submission)
    assert client.batches() == [decision.batch_id]
    assert client.status(str(decision.batch_id)).rows == 3
    assert [waiting for waiting in journal.waiting() if journal.undecided(waiting)] == []


def test_two_admissions_at_once_make_one_batch(
    journal: Journal, client: Client, make: Callable[..., Submission]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    submission = make()
    journal.submit(submission)
    with ThreadPoolExecutor(4) as pool:
        decisions = list(pool.map(lambda _: admit(client, journal, submission), range(4)))
    assert len(set(decisions)) == 1
    assert client.batches() == [decisions[0].batch_id]


def test_a_claim_is_one_processs_until_it_ends(client: Client, shelf: Shelf) -> None:
    one, two = (Claims(client.store, name, client.clock) for name in ("one", "two"))
    first = one.take("batch_x")
    assert first is not None
    assert two.take("batch_x") is None
    shelf.now += TERM / 2
    assert one.take("batch_x") is None  # what failed is not tried again at once
    renewed = one.renew("batch_x")
    assert renewed is not None
    assert (renewed.number, renewed.takes) == (2, 1)
    shelf.now += TERM
    taken = two.take("batch_x")
    assert taken is not None
    assert taken.takes == 2
    assert one.take("batch_x") is None
    assert one.renew("batch_x") is None
    two.give_up("batch_x")
    assert client.store.list(CLAIMS) == []


def test_the_clerk_has_a_submission_admitted_by_a_process(
    journal: Journal, client: Client, make: Callable[..., Submission], until: Callable[..., Any]
) -> None:
    submission = make()
    journal.submit(submission)
    thread = ClerkThread(Clerk(client.store, client.settings))
    thread.start()
    try:
        decision = until(lambda: journal.decision(submission), 60, "the decision")
        until(lambda: client.store.list(CLAIMS) == [], 60, "the claim to be given up")
    finally:
        thread.stop()
    assert client.batches() == [decision.batch_id]
    root = client.settings.cache_dir / "admissions"
    assert list(root.iterdir()) == []
    assert client.store.list(PENDING) == []


def ending(status: int) -> tuple[str, ...]:
    """The command of a process that ends at once."""
    return (sys.executable, "-c", f"import os; os._exit({status})")


def test_a_file_that_ends_its_process_again_and_again_is_refused(
    journal: Journal, client: Client, make: Callable[..., Submission], shelf: Shelf, until: Callable[..., Any]
) -> None:
    submission = make()
    journal.submit(submission)
    for n in range(MOST_TAKES):
        clerk = Clerk(client.store, client.settings, clock=client.clock, command=ending(7))  # each time another gateway
        assert clerk.look() == 1
        until(lambda clerk=clerk: clerk.look() == 0, 30, "the process to end")
        assert journal.decision(submission) is None, n
        shelf.now += TERM
    Clerk(client.store, client.settings, clock=client.clock, command=ending(7)).look()
    decision = journal.decision(submission)
    assert decision is not None
    assert (decision.outcome, decision.faults[0].code) == ("refused", "intake_failed")
    assert client.batches() == []


def test_a_store_that_is_away_is_not_the_files_fault(
    journal: Journal, client: Client, make: Callable[..., Submission], shelf: Shelf, until: Callable[..., Any]
) -> None:
    submission = make()
    journal.submit(submission)
    clerk = Clerk(client.store, client.settings, clock=client.clock, command=ending(3))
    for _ in range(MOST_TAKES + 2):
        assert clerk.look() == 1
        until(lambda: clerk.look() == 0, 30, "the process to end")
        shelf.now += TERM
    assert journal.decision(submission) is None


def hold(folder: str, ready: Any, end: Any) -> None:
    with scratch_folder(Path(folder)):
        ready.set()
        end.wait()


def test_the_scratch_of_a_killed_process_is_deleted(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=hold, args=(str(tmp_path), ready, end))
    process.start()
    assert ready.wait(60)
    root = tmp_path / "admissions"
    (folder,) = root.iterdir()
    os.utime(folder, (0, 0))
    assert sweep(root) == 0  # its process lives
    process.kill()
    process.join()
    assert sweep(root) == 1
    assert list(root.iterdir()) == []


def test_a_young_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "admission-x").mkdir()
    assert sweep(tmp_path) == 0
    os.utime(tmp_path / "admission-x", (0, YOUNG_S))
    with (tmp_path / "admission-x" / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.utime(tmp_path / "admission-x", (0, 0))
        assert sweep(tmp_path) == 0
    os.utime(tmp_path / "admission-x", (0, 0))
    assert sweep(tmp_path) == 1


def test_tidying_leaves_what_is_needed(
    journal: Journal, client: Client, make: Callable[..., Submission], shelf: Shelf
) -> None:
    submission = make()
    journal.submit(submission)
    files = Files(client.store, "shop", client.clock)
    unneeded = files.keep([b"x"], "a")
    files.hide(unneeded.id)
    files.hide(submission.input_file_id)
    Claims(client.store, "dead", client.clock).take("batch_gone")
    tidy(client.store, client.clock)
    contents = client.store.list(TenantPaths("shop").root + "/contents")
    assert contents == [submission.input_file_id]
    assert len(client.store.list(CLAIMS)) == 1
    shelf.now += timedelta(hours=2)
    tidy(client.store, client.clock)
    assert client.store.list(CLAIMS) == []


def test_names_sort_the_newest_first(shelf: Shelf) -> None:
    early, late = newest_first(shelf.now), newest_first(shelf.now + timedelta(milliseconds=1))
    assert late < early
    assert len(late) == 11
