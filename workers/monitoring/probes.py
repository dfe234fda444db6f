"""Probes ask Redis and the storage again and again whether they answer, each on a thread of its own.

So nobody who wants to know waits for a server or a disk that hangs: a probe that has had no answer for LIMIT_S seconds counts as
failed until an answer comes. One fleet asks each of them once in PROBE_S seconds, however often its metrics are read.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from jobs.errors import NightpressError

PROBE_S: Final = 5.0
"""Seconds between an answer and the next question."""

LIMIT_S: Final = 5.0
"""Seconds after which a question without an answer counts as failed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe has found: None while nothing is known yet, else whether all is well. `fault` says what is wrong.

    `for_s` is the number of seconds for which it has been so.
    """

    ok: bool | None
    fault: str = ""
    for_s: float = 0.0


class Probe:
    """Asks one question again and again. Use it as a context manager, or call `start` and `stop`.

    `name` is what messages call the thing. `ask` raises an error if the thing is not as it should be; it may take any time.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], object],
        *,
        every_s: float = PROBE_S,
        limit_s: float = LIMIT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._ask = ask
        self._every_s = every_s
        self._limit_s = limit_s
        self._monotonic = monotonic
        self._asked_at: float | None = None
        self._found: bool | None = None
        self._fault = ""
        self._since = monotonic()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"probe of {name}", daemon=True)

    def start(self) -> Self:
        """Begin to ask."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ask no more. A question that is under way is left alone, since it may hang for ever."""
        self._stopping.set()

    def answer(self) -> Answer:
        """Return what is known at this moment. Never waits."""
        with self._lock:
            now, asked_at = self._monotonic(), self._asked_at
            if asked_at is not None and now - asked_at > self._limit_s:
                since = asked_at if self._found is not False else self._since
                return Answer(False, f"{self._name} has not answered for {now - asked_at:.0f} s", now - since)
            return Answer(self._found, self._fault, now - self._since)

    def ask_once(self) -> None:
        """Ask once, and keep the answer."""
        with self._lock:
            self._asked_at = self._monotonic()
        fault = ""
        try:
            self._ask()
        except NightpressError as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - a client that fails in an unknown way is a finding, too
            fault = f"{type(error).__name__}: {error}"
        with self._lock:
            now, found = self._monotonic(), not fault
            if found is not self._found:
                late = found is False and self._asked_at is not None and now - self._asked_at > self._limit_s
                self._since = self._asked_at if late and self._asked_at is not None else now
            self._found, self._fault, self._asked_at = found, fault, None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.ask_once()
            self._stopping.wait(self._every_s)


def answers(probes: Mapping[str, Probe]) -> Mapping[str, Answer]:
    """Return the present answer of each probe by its name."""
    return {name: probe.answer() for name, probe in probes.items()}
