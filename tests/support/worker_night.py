"""A night in which real workers run, each in a thread of this process, over engines that the test chooses."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.batches.batch import Done
from jobs.lanes.feed import Feeder
from tests.support.night import LANE, Night
from workers.engines.protocol import Engine
from workers.worker.outcome import Outcomes
from workers.worker.retry import RetryPolicy
from workers.worker.runner import Line, Runner


@dataclass
class WorkerNight(Night):
    """A night whose rows are done by workers. Call `stop` at its end."""

    workers: list[tuple[Runner, threading.Thread]] = field(default_factory=list)

    def line(self, queue: Any = None) -> Line:
        """What a worker stands between; `queue` is put in the place of the night's own."""
        queue, batches = queue or self.queue, self.open_batches()
        settings = self.settings
        retry = RetryPolicy(settings.max_attempts, settings.backoff_s, settings.backoff_max_s)
        identity = {"engine": "stub", "model_revision": "r"}
        outcomes = Outcomes("w-1", LANE, "cpu", identity, settings.prices, retry)
        feeder = Feeder(self.store, queue, batches, settings, self.monotonic)
        return Line(LANE, self.store, queue, batches, feeder, self.kinds, outcomes, settings)

    def worker(self, engine: Engine, queue: Any = None, name: str = "w-1", **how: Any) -> Runner:
        """A worker that does nothing until it is run. `how` are further arguments of Runner."""
        return Runner(self.line(queue), engine, worker=name, node="n-1", **how)

    def start(self, engine: Engine, queue: Any = None) -> Runner:
        """A worker that runs in a thread until `stop`."""
        runner = self.worker(engine, queue)
        thread = threading.Thread(target=runner.run)
        thread.start()
        self.workers.append((runner, thread))
        return runner

    def stop(self) -> None:
        """Stop the workers that run, with no time to finish what they have in hand."""
        for runner, thread in self.workers:
            runner.stop(0.0)
            thread.join(20)
            assert not thread.is_alive()

    def until_published(self, until: Callable[..., Any]) -> Done:
        """Sweep until the batch is published. `until` is the fixture of that name."""
        sweeper = self.sweeper()

        def swept() -> Done | None:
            sweeper.sweep()
            return sweeper.published.get(self.batch_id)

        done = until(swept, 30, "the batch to be published")
        assert isinstance(done, Done)
        return done

    def outputs(self, until: Callable[..., Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Sweep until the batch is published. Returns the rows of output.jsonl and of errors.jsonl."""
        self.until_published(until)
        return self.published()
