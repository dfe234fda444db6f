"""The translate engine runs encoder-decoder models by CTranslate2, in batches of texts of similar length.

A batch runs on a thread of its own. `step` waits for it, but not longer than `WAIT_S`, so that leases are renewed and cancelled
requests are seen; it begins the next batch before it returns what the last one wrote, so that the device works while the worker
checks texts. The time of each batch, measured where it runs, is split over its rows by their tokens, to the last nanosecond.

A batch that fails runs again in halves, until the request that causes the failure fails alone.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Final

from jobs.generation import Completion, Fault, GenerationRequest, SamplingParams
from workers.engines.causal.faults import fault_of, is_out_of_memory
from workers.engines.device.pinning import Core
from workers.engines.protocol import EngineStats
from workers.engines.step_time import split_time
from workers.engines.text.endings import Ending
from workers.engines.translate.model import TranslateModel
from workers.engines.translate.rows import Row, Search, next_batch
from workers.engines.translate.searches import Searches

WAIT_S: Final = 0.5
"""The longest time that a step waits for a batch, in seconds."""

STALL_NS: Final = 300_000_000_000
"""If CTranslate2 shows no sign of progress for this long, in nanoseconds, a step waits without a limit. So the worker's heartbeat
notices an engine that hangs."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A batch on the device: its rows, when it began, and the future of the time when it ended."""

    rows: list[Row]
    began_ns: int
    ended_ns: Future[int]


class TranslateEngine:
    """Runs requests in batches. `workers.engines.protocol.Engine` describes the five methods.

    Args:
        model: A loaded model.
        slots: The most rows of a batch.
        beams: How many beams a search has; 1 for greedy search.
        length_penalty: Above 1 favours longer translations of a search with beams, below 1 shorter ones.
        batch_tokens: The most tokens of a batch, each text counted as long as the longest one.
        core: The CPU core on which CTranslate2 computes; None if it may use any. The engine frees it when it is closed.
        began_ns: When loading began, by `clock_ns`. None means now.
        clock_ns: Returns monotonic nanoseconds.
    """

    def __init__(
        self,
        model: TranslateModel,
        *,
        slots: int,
        beams: int = 1,
        length_penalty: float = 1.0,
        batch_tokens: int,
        core: Core | None = None,
        began_ns: int | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._model = model
        self._slots = slots
        self._beams = beams
        self._batch_tokens = batch_tokens
        self._core = core
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._submitted: dict[str, GenerationRequest] = {}
        self._waiting: dict[str, Row] = {}
        self._run: _Run | None = None
        self._cancelled: set[str] = set()
        self._searches = Searches(
            model, beams=beams, length_penalty=length_penalty, cancelled=self._cancelled, clock_ns=clock_ns
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="translate")
        now = clock_ns()
        self._start_ns = now if began_ns is None else began_ns
        self._load_ns = now - self._start_ns
        self._busy_ns = self._steps = self._prompt_tokens = self._completion_tokens = 0

    def submit(self, request: GenerationRequest) -> None:
        with self._lock:
            self._submitted[request.request_id] = request

    def cancel(self, request_id: str) -> None:
        with self._lock:
            running = self._run is not None and any(row.name == request_id for row in self._run.rows)
            if running or request_id in self._submitted or request_id in self._waiting:
                self._cancelled.add(request_id)

    def step(self) -> Sequence[Completion]:
        done = self._end_cancelled() + self._encode()
        self._begin()
        if self._run is not None:
            self._await(self._run, at_once=bool(done))
            done += self._collect()
            self._begin()
        return done

    def stats(self) -> EngineStats:
        with self._lock:
            now, run = self._clock_ns(), self._run
            age_ns, busy_ns = now - self._start_ns, self._busy_ns
            if run is not None:
                has_ended = run.ended_ns.done() and run.ended_ns.exception() is None
                busy_ns += (run.ended_ns.result() if has_ended else now) - run.began_ns
            return EngineStats(
                device=self._model.device_name,
                slots=self._slots,
                waiting=len(self._submitted) + len(self._waiting),
                running=0 if run is None else len(run.rows),
                steps=self._steps,
                prompt_tokens=self._prompt_tokens,
                completion_tokens=self._completion_tokens,
                busy_ns=busy_ns,
                idle_ns=age_ns - busy_ns - self._load_ns,
                load_ns=self._load_ns,
            )

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._model.translator.unload_model()
        if self._core is not None:
            self._core.free()

    def _end_cancelled(self) -> list[Completion]:
        """End the requests that were cancelled while they waited."""
        with self._lock:
            ended = []
            for name in [one for one in self._cancelled if one in self._submitted or one in self._waiting]:
                self._cancelled.discard(name)
                self._submitted.pop(name, None)
                if (row := self._waiting.pop(name, None)) is None:
                    ended.append(Completion(name, "", "cancelled"))
                else:
                    row.ended = Ending("cancelled", self._model.codec.decode(row.tokens), len(row.tokens))
                    ended.append(self._counted(row) if row.spent_ns else Completion(name, "", "cancelled"))
            if self._run is None:
                self._cancelled.clear()
            return ended

    def _encode(self) -> list[Completion]:
        """Turn submitted requests into tokens. Returns the completions of requests that the model cannot take."""
        with self._lock:
            arrived = list(self._submitted.values())
        faults = []
        for request in arrived:
            source = self._model.codec.encode(request)
            with self._lock:
                del self._submitted[request.request_id]
                if isinstance(source, Fault):
                    faults.append(Completion(request.request_id, "", "error", fault=source))
                    self._cancelled.discard(request.request_id)
                else:
                    search = search_of(source.request.prompt.params, self._beams)
                    self._waiting[request.request_id] = Row(source, search)
        return faults

    def _begin(self) -> None:
        """Begin the next batch if the device is free and any row waits."""
        with self._lock:
            if self._run is not None or not self._waiting:
                return
            waiting = list(self._waiting.values())
            most = min(self._slots, self._searches.most_rows(waiting[0]))
            rows = next_batch(waiting, most, self._batch_tokens)
            for row in rows:
                del self._waiting[row.name]
            self._run = _Run(rows, self._clock_ns(), self._thread.submit(self._search, rows))

    def _await(self, run: _Run, *, at_once: bool) -> None:
        """Wait for a batch, `WAIT_S` at most. If the device shows no progress, wait without a limit."""
        stalled = self._clock_ns() - max(run.began_ns, self._searches.progress.at_ns) > STALL_NS
        wait([run.ended_ns], timeout=None if stalled else 0.0 if at_once else WAIT_S)

    def _collect(self) -> list[Completion]:
        """Return the completions of the batch if it has ended. Rows that are not whole wait again, before all others."""
        with self._lock:
            run = self._run
            if run is None or not run.ended_ns.done():
                return []
            spent_ns = run.ended_ns.result() - run.began_ns
            for row, share_ns in zip(run.rows, split_time(spent_ns, [row.weight for row in run.rows]), strict=True):
                row.spent_ns += share_ns
                row.begun_ns = row.begun_ns or run.began_ns
            self._busy_ns += spent_ns
            self._steps += 1
            self._run = None
            self._cancelled -= {row.name for row in run.rows if row.ended is not None}
            self._waiting = {row.name: row for row in run.rows if row.ended is None} | self._waiting
            return [self._counted(row) for row in run.rows if row.ended is not None]

    def _counted(self, row: Row) -> Completion:
        """Return the completion of a row that has ended, after its tokens were counted."""
        if isinstance(row.ended, Ending) and row.logprobs:
            row.ended = replace(row.ended, logprobs=self._model.codec.logprobs(row.logprobs))
        completion = row.completion()
        self._prompt_tokens += completion.prompt_tokens
        self._completion_tokens += completion.completion_tokens
        return completion

    def _search(self, rows: Sequence[Row]) -> int:
        """Run a batch; if it fails, run its halves, so that only the request that causes the failure fails. Returns the time when
        it ended.

        Raises an error of CUDA itself: after it, the device computes nothing more.
        """
        rows = [row for row in rows if row.ended is None]
        try:
            if rows:
                self._searches.run(rows)
        except Exception as error:  # CTranslate2 raises errors that have no common class
            if is_device_gone(error):
                raise
            if len(rows) == 1:
                rows[0].ended = fault_of(error)
            else:
                half = len(rows) // 2
                self._search(rows[:half])
                self._search(rows[half:])
        return self._clock_ns()


def is_device_gone(error: Exception) -> bool:
    """Whether an error of CTranslate2 means that the GPU itself failed, and not just a request."""
    is_of_device = any(sign in str(error) for sign in ("CUDA failed", "cuBLAS failed", "cuDNN failed"))
    return is_of_device and not is_out_of_memory(error)


def search_of(params: SamplingParams, beams: int) -> Search:
    """Return how the tokens of a request with these params are chosen."""
    changed = params.repetition_penalty != 1.0 or params.presence_penalty or params.frequency_penalty
    if params.temperature > 0 or changed or params.logit_bias or params.logprobs is not None:
        return "drafts"
    return "beams" if beams > 1 else "greedy"
