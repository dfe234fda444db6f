"""The engine with slots: continuous batching, so that a text that ends makes room at once, and nobody waits for the longest.

A step gives free slots to those who wait, computes a token for each text that is being written and, beside them, as much of
the new prompts as the step has room for. Its time is shared among its texts: the attention's by how many tokens each read,
the layers' by how many tokens each had computed, the choice among those who chose.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import torch

from jobs.generation import Completion, Fault, GenerationRequest
from jobs.logs import logger
from workers.engines.causal.capacity import Capacity
from workers.engines.causal.faults import fault_of, is_out_of_memory
from workers.engines.causal.model import CausalModel
from workers.engines.causal.runtime.cuda_graphs import CacheLost, Recorder
from workers.engines.causal.runtime.runtime import Runtime, Spent
from workers.engines.causal.sampler import Drawing
from workers.engines.causal.scheduler import Scheduler
from workers.engines.causal.sequences import Piece, Text
from workers.engines.causal.time_shares import NOTHING_MEASURED, split, weights_of
from workers.engines.device.pinning import Core
from workers.engines.protocol import EngineStats
from workers.engines.text.endings import Ending, ending_of

GATHERED: Final = 8
"""Where steps are replayed, those that read prompts are not, and take several times as long: prompts wait until such a part of
the slots is free. At 64 slots, texts of 200 tokens, steps of 2.5 ms and 15 ms twice as many are written, as one works out."""

Result = Ending | Fault


class SlotEngine:
    """The engine. See `workers.engines.protocol.Engine` for the five methods.

    Args:
        model: A loaded model, whose attention is that of slots.
        slots: Texts that run at once, at most.
        step_tokens: Tokens that a step computes, at most.
        cache_bytes: What the cache may take of the device's memory.
        token_bytes: What a token takes in it.
        sharing: Whether common prefixes are computed once.
        recorder: How steps are recorded, to be replayed; None: they are not.
        core: Where the thread that steps is kept, from its first step on.
        began_ns: When loading began, on `clock_ns`; the engine's age counts from there. None: now.
        clock_ns: Monotonic nanoseconds.
    """

    def __init__(
        self,
        model: CausalModel,
        *,
        slots: int,
        step_tokens: int,
        cache_bytes: int,
        token_bytes: int,
        sharing: bool = True,
        recorder: Recorder | None = None,
        core: Core | None = None,
        began_ns: int | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._model = model
        self._core = core
        self._is_pinned = core is None
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._submitted: dict[str, GenerationRequest] = {}
        self._cancelled: set[str] = set()
        self._known: set[str] = set()
        together = -(-slots // GATHERED) if recorder else 1
        self._scheduler = Scheduler(slots, step_tokens, sharing=sharing, together=together)
        self._drawings: dict[Text, Drawing] = {}
        self._runtime = Runtime(
            model.network,
            model.placement.device,
            layers=model.layers,
            slots=slots,
            length=0,
            eos=model.eos,
            recorder=recorder,
        )
        self._capacity = Capacity(
            self._runtime.cache,
            self._scheduler,
            slots=slots,
            cache_bytes=cache_bytes,
            token_bytes=token_bytes,
            context=model.encoder.context,
        )
        now = clock_ns()
        self._born_ns = now if began_ns is None else began_ns
        self._load_ns = now - self._born_ns
        self._busy_ns = self._steps = self._prompt_tokens = self._completion_tokens = 0

    def submit(self, request: GenerationRequest) -> None:
        with self._lock:
            self._submitted[request.request_id] = request

    def cancel(self, request_id: str) -> None:
        with self._lock:
            if request_id in self._submitted or request_id in self._known:
                self._cancelled.add(request_id)

    def step(self) -> Sequence[Completion]:
        if self._core is not None and not self._is_pinned:  # the threads around the engine have been started by now
            self._core.pin()
            self._is_pinned = True
        done = self._take_cancelled() + self._encode()
        if not self._scheduler.waiting and not self._scheduler.running:
            return done
        began_ns = self._clock_ns()
        ended = self._make_room()
        pieces = self._scheduler.pieces()
        computed, spent = self._compute(pieces) if pieces else ([], NOTHING_MEASURED)
        return done + self._settle(pieces, ended + computed, spent, self._clock_ns() - began_ns)

    def stats(self) -> EngineStats:
        with self._lock:
            age_ns = self._clock_ns() - self._born_ns
            running = len(self._scheduler.running)
            return EngineStats(
                device=self._model.placement.device_name,
                slots=self._scheduler.slots,
                waiting=len(self._submitted) + len(self._known) - running,
                running=running,
                steps=self._steps,
                prompt_tokens=self._prompt_tokens,
                completion_tokens=self._completion_tokens,
                busy_ns=self._busy_ns,
                idle_ns=age_ns - self._busy_ns - self._load_ns,
                load_ns=self._load_ns,
            )

    def close(self) -> None:
        self._runtime.close()
        del self._model, self._runtime, self._capacity
        if self._core is not None:
            self._core.free()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _take_cancelled(self) -> list[Completion]:
        """End what was cancelled since the last step, waiting or running."""
        with self._lock:
            cancelled, self._cancelled = self._cancelled, set()
            early = [name for name in cancelled if self._submitted.pop(name, None)]
            self._known -= cancelled
        done = [Completion(name, "", "cancelled") for name in early]
        for text in [text for text in self._scheduler.waiting if text.request.request_id in cancelled]:
            self._scheduler.waiting.remove(text)
            done.append(self._completion(text, self._so_far(text)))
        for text in [text for text in self._scheduler.running if text.request.request_id in cancelled]:
            self._scheduler.leave(text)
            done.append(self._completion(text, self._so_far(text)))
        return done

    def _so_far(self, text: Text) -> Ending:
        return Ending("cancelled", self._model.encoder.decode(text.written), len(text.written))

    def _encode(self) -> list[Completion]:
        """Turn what was submitted into tokens; requests that the model cannot take end here."""
        with self._lock:
            arrived = list(self._submitted.values())
        faults = []
        for request in arrived:
            encoded = self._model.encoder.encode(request)
            with self._lock:
                del self._submitted[request.request_id]
                if isinstance(encoded, Fault):
                    faults.append(Completion(request.request_id, "", "error", fault=encoded))
                    self._cancelled.discard(request.request_id)
                    continue
                self._known.add(request.request_id)
            text = Text(encoded.request, encoded.tokens, given=encoded.forced)
            self._drawings[text] = Drawing.of(encoded.request.prompt.params, text.prompt, forced=encoded.forced)
            self._scheduler.waiting.append(text)
        return faults

    def _make_room(self) -> list[tuple[Text, Result]]:
        """Seat those who wait, in a cache that is large enough for them. Returns those who can never fit."""
        faults: list[tuple[Text, Result]] = [*self._capacity.fit()]
        for copy in self._scheduler.admit(self._runtime.cache.length):
            self._runtime.copy(copy.source, copy.target, copy.tokens)
        return faults

    def _compute(self, pieces: Sequence[Piece]) -> tuple[list[tuple[Text, Result]], Spent]:
        """Run a step. One that fails is run again text by text, so that the guilty one fails alone."""
        drawings = [one for piece in pieces if piece.last for one in self._drawings[piece.text].ahead(piece.last)]
        try:
            tokens, spent = self._runtime.run(pieces, drawings)
        except torch.AcceleratorError:
            raise  # the device itself is gone
        except CacheLost:
            self._begin_anew(self._scheduler.slots)
            return [], NOTHING_MEASURED
        except Exception as error:  # noqa: BLE001 - a model's own code may raise anything, and one request must not be another's end
            if is_out_of_memory(error) and self._scheduler.slots > 1:
                self._shrink(error)
                return [], NOTHING_MEASURED
            if len(pieces) == 1:
                return [(pieces[0].text, fault_of(error))], NOTHING_MEASURED
            return self._compute_alone(pieces), NOTHING_MEASURED
        return self._advance(pieces, tokens), spent

    def _compute_alone(self, pieces: Sequence[Piece]) -> list[tuple[Text, Result]]:
        """Run a step text by text. Those after one at which all slots were emptied are computed again from their beginning."""
        ended: list[tuple[Text, Result]] = []
        for piece in pieces:
            if piece.text.slot >= 0:
                ended += self._compute([piece])[0]
        for text, _ in ended:
            if text.slot < 0:
                self._scheduler.waiting.remove(text)  # it was put back in line with those that go on
        return ended

    def _shrink(self, error: Exception) -> None:
        """Go on with half the slots. Who ran computes again what it had, and goes on where it was."""
        slots = self._scheduler.slots // 2
        self._begin_anew(slots)
        self._capacity.shrink(slots)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger().warning("engine.shrunk", slots=slots, reason=fault_of(error).message)

    def _begin_anew(self, slots: int) -> None:
        """Forget what the cache holds. Who ran is next in line."""
        homeless = self._scheduler.forget()
        self._scheduler.resize(slots, 0)
        self._scheduler.put_back(homeless)
        self._runtime.cache.clear(slots, 0)

    def _advance(self, pieces: Sequence[Piece], tokens: Sequence[int]) -> list[tuple[Text, Result]]:
        """Give each text its next token, or tokens where they are given. Returns those that have ended with it."""
        self._scheduler.computed(pieces)
        ended: list[tuple[Text, Result]] = []
        texts = (piece.text for piece in pieces for _ in range(piece.last))
        for text, token in zip(texts, tokens, strict=True):
            text.written.append(token)
            self._drawings[text].take(token)
            ending = self._ending(text)
            if ending is not None:
                ended.append((text, ending))
        with self._lock:
            self._completion_tokens += len(tokens)
        return ended

    def _ending(self, text: Text) -> Ending | None:
        params, model = text.request.prompt.params, self._model
        return ending_of(text.written, params, eos=model.eos, decode=model.encoder.decode)

    def _settle(
        self, pieces: Sequence[Piece], ended: Sequence[tuple[Text, Result]], spent: Spent, spent_ns: int
    ) -> list[Completion]:
        """Share the step's time to the last nanosecond, and let go of the texts that have ended."""
        texts = [piece.text for piece in pieces] or [text for text, _ in ended]
        if not texts:
            return []
        weights = weights_of(pieces, spent) if pieces else [1] * len(texts)
        for text, share in zip(texts, split(spent_ns, weights), strict=True):
            text.device_ns += share
        done = []
        for text, result in ended:
            if text.slot >= 0:
                (self._scheduler.drop if isinstance(result, Fault) else self._scheduler.leave)(text)
            done.append(self._completion(text, result))
        with self._lock:
            self._busy_ns += spent_ns
            self._steps += 1
        return done

    def _completion(self, text: Text, result: Result) -> Completion:
        request_id = text.request.request_id
        likelihoods = self._drawings.pop(text).likelihoods
        with self._lock:
            self._known.discard(request_id)
            self._cancelled.discard(request_id)
            self._prompt_tokens += len(text.prompt)
        counted = (len(text.prompt), text.shared)
        if isinstance(result, Fault):
            return Completion(
                request_id, "", "error", *counted, len(text.written), device_ns=text.device_ns, fault=result
            )
        logprobs = self._model.encoder.logprobs(likelihoods)
        return Completion(
            request_id, result.text, result.reason, *counted, result.tokens, text.device_ns, logprobs=logprobs
        )
