"""Actions that stop before each I/O call, so that a test can search interleavings of unchanged code.

An action runs in its own thread, but only while it has the turn; it gives the turn back before each call of the store or the
queue. The test then chooses the fate of that call: it is made, it is made twice because its reply was lost, it fails
before or after it took effect, or the action dies there. Two threads never run at once, so a run can be repeated exactly.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, Final, Literal, TypeVar

from jobs.errors import QueueUnavailable, StoreUnavailable
from jobs.lanes.protocol import LanePolicy
from jobs.lanes.redis_connection import RedisConnection
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.scripts import sources
from jobs.store.local import LocalStore

Fate = Literal["made", "resent", "fails", "fails after", "dies"]
Reply = TypeVar("Reply")

READS_ONLY = frozenset({"snapshot"})


class Killed(BaseException):
    """Ends a process at this point. No code may catch it."""


class Action:
    """A call of the test that runs in a thread. `at` is the I/O call before which it waits; None once the call is over."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self._fate: Fate = "made"
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self.over = False
        self.error: BaseException | None = None
        self.at: str | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """Run to the first I/O call, or to the end."""
        self.thread.start()
        self._back.acquire()

    def step(self, fate: Fate) -> None:
        """Choose the fate of the next call, and let the action run to the call after it or to its end."""
        self._fate = fate
        self._turn.release()
        self._back.acquire()
        if self.over:
            self.thread.join()

    def through(self, what: str, make: Callable[[], Reply], away: type[Exception]) -> Reply:
        """Wait until the fate of this I/O call is chosen, then carry out that fate. The action's thread calls this."""
        while True:
            self.at = what
            self._back.release()
            self._turn.acquire()
            fate = self._fate
            if fate == "dies":
                raise Killed
            if fate == "fails":
                raise away("away, by the test")
            reply = make()
            if fate == "fails after":
                raise away("away, by the test, after the call took effect")
            if fate == "made":
                return reply

    def _run(self) -> None:
        try:
            self._act()
        except BaseException as error:  # noqa: BLE001 - handed to the test that steps
            self.error = error
        self.over, self.at = True, None
        self._back.release()


class Gate:
    """The gate through which the store and the queue of one process make their calls. It has one action at a time."""

    def __init__(self) -> None:
        self.action: Action | None = None

    def start(self, act: Callable[[], object]) -> Action:
        """Begin an action, which waits before its first I/O call when this returns."""
        self.action = Action(act)
        self.action.begin()
        return self.action

    def through(self, what: str, make: Callable[[], Reply], away: type[Exception] = StoreUnavailable) -> Reply:
        action = self.action
        if action is None or threading.current_thread() is not action.thread:
            return make()  # a thread of a pool is not stepped
        return action.through(what, make, away)


class SteppedStore(LocalStore):
    """The local store of one process, in which each call is a step.

    It reads one file at a time, because the threads of a pool are not stepped. `listed` is called with each listing, `made`
    with the path and the bytes of each file that this process has created.
    """

    reads_at_once = 1

    def __init__(
        self, folder: str, gate: Gate, listed: Callable[[str, list[str]], None], made: Callable[[str, bytes], None]
    ) -> None:
        super().__init__(folder)
        self._gate = gate
        self._listed = listed
        self._made = made

    def create(self, path: str, data: bytes) -> bool:
        created = self._gate.through(f"create {path}", lambda: self._create(path, data))
        return bool(created)

    def _create(self, path: str, data: bytes) -> bool:
        created = super().create(path, data)
        if created:
            self._made(path, data)
        return created

    @contextmanager
    def writer(self, path: str) -> Iterator[BinaryIO]:
        self._gate.through(f"open {path}", lambda: None)
        with ExitStack() as stack:
            yield stack.enter_context(super().writer(path))
            self._gate.through(f"link {path}", stack.close)  # the second time there is nothing left to link

    def read(self, path: str) -> bytes:
        return self._gate.through(f"read {path}", lambda: super(SteppedStore, self).read(path))

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        return self._gate.through(f"read {path}", lambda: super(SteppedStore, self).read_range(path, offset, length))

    @contextmanager
    def reader(self, path: str) -> Iterator[BinaryIO]:
        self._gate.through(f"open {path}", lambda: None)
        with super().reader(path) as file:
            yield file

    def list(self, folder: str) -> list[str]:
        names = self._gate.through(f"list {folder}", lambda: super(SteppedStore, self).list(folder))
        self._listed(folder, names)
        return names

    def delete(self, path: str) -> None:
        self._gate.through(f"delete {path}", lambda: super(SteppedStore, self).delete(path))


Packet = tuple[str, str, tuple[Any, ...], tuple[str, ...]]

SERVER_TIME: Final = "redis.call('TIME')"
GIVEN_TIME: Final = "{string.match(KEYS[#KEYS], '(%d+)[.](%d+)$')}"
"""Lua code for the time, which in these tests is read from the name of the script's last key, and not from the server."""


def _scripts_with_given_time() -> dict[str, str]:
    assert all(text.count(SERVER_TIME) == 1 for text in sources().values())
    return {name: text.replace(SERVER_TIME, GIVEN_TIME) for name, text in sources().items()}


class SteppedQueue(RedisQueue):
    """The queue of one process, in which each script is a step. `sent` is called after each script that may change something.
    `claimed` is called after each claim under a new id that found no suspects, with the number of rows that the claim asked for
    and its reply.

    Levels that are gained by waiting are switched off, so that the order of rows can be checked.

    With `now_ms` each call passes the time to the scripts, which otherwise ask the server. A test cannot move the server's clock.
    """

    def __init__(
        self,
        client: Any,
        max_attempts: int,
        gate: Gate,
        sent: Callable[[Packet], None],
        now_ms: Callable[[], int] | None = None,
        claimed: Callable[[int, Sequence[Any]], None] = lambda _, __: None,
    ) -> None:
        self._now_ms = now_ms
        scripts = None if now_ms is None else _scripts_with_given_time()
        super().__init__(RedisConnection(client, scripts=scripts), max_attempts, LanePolicy(priority_aging_s=10**6))
        self._client = client
        self._gate = gate
        self._sent = sent
        self._claimed = claimed

    def _run(self, script: str, lane: str, *args: Any, more_keys: Any = ()) -> Any:
        def make() -> Any:
            keys = (*more_keys, *self._time_key(lane))
            is_new_claim = script == "claim" and not self._client.exists(more_keys[0], f"np:2:{{-/{lane}}}:suspects")
            reply = super(SteppedQueue, self)._run(script, lane, *args, more_keys=keys)
            if is_new_claim:
                self._claimed(args[1], reply)
            if script not in READS_ONLY:
                self._sent((script, lane, args, tuple(more_keys)))
            return reply

        return self._gate.through(script, make, QueueUnavailable)

    def _time_key(self, lane: str) -> tuple[str, ...]:
        if self._now_ms is None:
            return ()
        s, ms = divmod(self._now_ms(), 1000)
        return (f"np:2:{{-/{lane}}}:at:{s}.{ms * 1000}",)

    def send_again(self, packet: Packet) -> None:
        """Deliver an earlier packet a second time, and ignore the reply."""
        script, lane, args, more_keys = packet
        self._run(script, lane, *args, more_keys=more_keys)
