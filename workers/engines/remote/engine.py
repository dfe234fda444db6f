"""The engine `remote` sends requests to a server with OpenAI's API, as many at once as it has slots.

The requests run on a thread of their own, in an event loop. A request that the server refuses for its load, or that breaks on the
way, is sent again until the model's patience ends; so a server that hangs keeps no lease for ever. Nothing here computes, so
`device_ns` is 0 and the device is called `remote`: what the server charges is bought by the token (`Prices.bought`).
"""

import asyncio
import math
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from jobs.generation import Completion, Constraint, Fault, GenerationRequest
from jobs.logs import logger
from workers.engines.protocol import EngineStats
from workers.engines.remote.answers import Again, Answer, read_answer
from workers.engines.remote.calls import Call, call_of
from workers.engines.remote.options import RemoteOptions
from workers.engines.remote.pace import Pace

DEVICE: Final = "remote"
"""The name of the device: no price of an hour has it."""

WAIT_S: Final = 0.05
"""The longest time that a step waits for an answer, in seconds. Requests that are submitted meanwhile wait as long."""

CANCEL_S: Final = 1.0
"""The longest time that a step waits for a request that was cancelled to end, in seconds. It ends at once on an idle machine."""

FIRST_BACKOFF_S: Final = 0.5
LONGEST_BACKOFF_S: Final = 30.0
"""The wait before a further try if the server names none. It doubles from the first to the longest, times a random number."""

MOST_BYTES: Final = 64 << 20
"""A response of more bytes is cut off: no answer is so long."""


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model at a server: the server's address (`https://host/v1`), the model's name there, its options and its key.

    `adapters` has the name of each of its adapters at the server, by our name.
    """

    url: str
    name: str
    options: RemoteOptions
    key: str | None = None
    thoughts: int = 0
    adapters: Mapping[str, str] = field(default_factory=dict)


class RemoteEngine:
    """The engine. `workers.engines.protocol.Engine` describes its five methods.

    Args:
        model: The model.
        slots: The most requests in flight.
        transport: How requests are sent; None: over the network.
        rng: Chooses the length of waits.
        clock_ns: Returns monotonic nanoseconds.
    """

    def __init__(
        self,
        model: RemoteModel,
        *,
        slots: int,
        transport: httpx2.AsyncBaseTransport | None = None,
        rng: random.Random | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._model, self._slots, self._rng, self._clock_ns = model, slots, rng or random.Random(), clock_ns
        self._transport = transport
        self._began_ns = clock_ns()
        self._pace = Pace(slots, model.options.requests_per_minute, self._now_s)
        self._lock = threading.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._done: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        self._known: set[str] = set()
        self._cancelled: set[str] = set()
        self._steps = self._prompt_tokens = self._completion_tokens = 0
        self._is_slow = False
        self._loop = asyncio.new_event_loop()
        self._turn = asyncio.Event()
        self._client: httpx2.AsyncClient | None = None
        self._thread = threading.Thread(target=self._run_loop, name="remote", daemon=True)
        self._thread.start()

    def submit(self, request: GenerationRequest) -> None:
        with self._lock:
            self._known.add(request.request_id)
        self._loop.call_soon_threadsafe(self._begin, request)

    def cancel(self, request_id: str) -> None:
        def end() -> None:
            if (task := self._tasks.get(request_id)) is not None:
                task.cancel()

        with self._lock:
            if request_id not in self._known:
                return
            self._cancelled.add(request_id)
        self._loop.call_soon_threadsafe(end)

    def step(self) -> Sequence[Completion]:
        with self._lock:
            if not self._known:
                return []
            wait_s = CANCEL_S if self._cancelled else WAIT_S
        done: list[Completion] = []
        try:
            done.append(self._done.get(timeout=wait_s))
            while True:
                done.append(self._done.get_nowait())
        except queue.Empty:
            pass
        with self._lock:
            self._steps += 1
            ended = {one.request_id for one in done}
            self._known -= ended
            self._cancelled -= ended
            self._prompt_tokens += sum(one.prompt_tokens for one in done)
            self._completion_tokens += sum(one.completion_tokens for one in done)
        return done

    def stats(self) -> EngineStats:
        with self._lock:
            running = min(self._pace.in_flight, len(self._known))
            return EngineStats(
                device=DEVICE,
                slots=self._slots,
                waiting=len(self._known) - running,
                running=running,
                steps=self._steps,
                prompt_tokens=self._prompt_tokens,
                completion_tokens=self._completion_tokens,
                busy_ns=0,
                idle_ns=self._clock_ns() - self._began_ns,
                load_ns=0,
            )

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def ask(self, path: str) -> tuple[int, Mapping[str, str], bytes]:
        """Return the status, headers and content of a GET below the server's address. Raises httpx2.TransportError."""
        asked = asyncio.run_coroutine_threadsafe(self._exchange("GET", path, None), self._loop)
        return asked.result()

    # -- on the thread of the loop -----------------------------------------------------------------------------------

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _begin(self, request: GenerationRequest) -> None:
        task = self._loop.create_task(self._answered(request))
        self._tasks[request.request_id] = task
        task.add_done_callback(lambda _: self._forget(request.request_id, task))

    def _forget(self, request_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(request_id) is task:
            del self._tasks[request_id]
        if task.cancelled():  # it was cancelled before it began
            self._done.put(Completion(request_id, "", "cancelled"))

    async def _answered(self, request: GenerationRequest) -> None:
        """Run a request, and put its completion where `step` takes it."""
        name = request.request_id
        try:
            found = await self._answer(request)
        except asyncio.CancelledError:
            self._done.put(Completion(name, "", "cancelled"))
            return
        except Exception as error:  # noqa: BLE001 - whatever a server or the library does ends one request alone
            found = Fault("generation_failed", f"{type(error).__name__}: {self._safe(str(error))}"[:400])
        if isinstance(found, Fault):
            self._done.put(Completion(name, "", "error", fault=found))
            return
        is_bound = request.prompt.schema is not None and bool(request.prompt.messages)
        constraint: Constraint | None = None if request.prompt.schema is None else "partial" if is_bound else "none"
        self._done.put(
            Completion(
                name,
                found.text,
                found.finish,
                found.prompt_tokens,
                found.cached_prompt_tokens,
                found.completion_tokens,
                reasoning=found.reasoning,
                reasoning_tokens=found.reasoning_tokens,
                constraint=constraint,
            )
        )

    async def _answer(self, request: GenerationRequest) -> Answer | Fault:
        model = self._model
        call = call_of(request, model.name, model.options, model.thoughts, model.adapters)
        if isinstance(call, Fault):
            return call
        until_s, tries = math.inf, 0
        while True:
            await self._wait_for_turn()
            started_at = self._pace.start()
            until_s = min(until_s, started_at + model.options.patience_s)  # a wait for a slot is no fault of the server
            found = await self._try(call, started_at)
            if not isinstance(found, Again):
                return (
                    Fault(found.code, self._safe(found.message), found.retryable) if isinstance(found, Fault) else found
                )
            tries += 1
            wait_s = self._backoff_s(tries) if found.wait_s is None else found.wait_s
            if self._now_s() + wait_s > until_s:
                times = "once" if tries == 1 else f"{tries} times"
                return Fault(found.code, f"Sent {times}: {self._safe(found.reason)}", retryable=True)
            await asyncio.sleep(wait_s)

    async def _try(self, call: Call, started_at: float) -> Answer | Fault | Again:
        """Send a call once. The pace has counted it as started."""
        try:
            async with asyncio.timeout(self._model.options.request_s):
                found = read_answer(call, *await self._exchange("POST", call.path, call.body))
        except TimeoutError:
            found = Again(f"no answer within {self._model.options.request_s:g} s")
        except httpx2.TransportError as error:
            found = Again(f"{type(error).__name__}: {error}".removesuffix(": "))
        finally:
            self._pace.end()
            self._turn.set()
        if not isinstance(found, Again):
            self._pace.answered()
            self._tell(None)
        else:
            if found.is_load:
                self._pace.refused(started_at, found.wait_s or 0.0)
            self._tell(found.reason)
        return found

    async def _wait_for_turn(self) -> None:
        while (wait_s := self._pace.wait_s()) != 0.0:
            self._turn.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._turn.wait()
            except TimeoutError:
                pass

    async def _exchange(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        async with self._client_of_loop().stream(method, path, json=body) as response:
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > MOST_BYTES:
                    raise httpx2.ReadError("the response has no end")
            return response.status_code, response.headers, bytes(content)

    def _client_of_loop(self) -> httpx2.AsyncClient:
        if self._client is None:
            key = self._model.key
            self._client = httpx2.AsyncClient(
                base_url=f"{self._model.url.rstrip('/')}/",
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=httpx2.Timeout(self._model.options.request_s, pool=None),
                limits=httpx2.Limits(max_connections=self._slots + 1, max_keepalive_connections=self._slots),
                follow_redirects=False,
                transport=self._transport,
            )
        return self._client

    def _tell(self, reason: str | None) -> None:
        """Log once that the server does not answer as it should, and once that it does again."""
        if (reason is not None) == self._is_slow:
            return
        self._is_slow = reason is not None
        if reason is None:
            logger().info("remote.back", model=self._model.name)
        else:
            logger().warning("remote.slow", model=self._model.name, error=self._safe(reason))

    def _backoff_s(self, tries: int) -> float:
        longest = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(tries - 1, 30))
        return self._rng.uniform(0.5, 1.0) * longest

    def _safe(self, text: str) -> str:
        """Return a text without the server's key, which a server may repeat in its errors."""
        return text.replace(self._model.key, "***") if self._model.key else text

    def _now_s(self) -> float:
        return self._clock_ns() / 1e9
