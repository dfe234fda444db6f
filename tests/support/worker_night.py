"""A night in which real workers run, each in a thread of this process, with engines that the test chooses."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.batches.batch import Done
from jobs.batches.open_batches import OpenBatches
from tests.support.night import LANE, Night
from workers.engines.protocol import Engine, EngineStats
from workers.worker.context import WorkerContext
from workers.worker.runner import Runner


@dataclass
class WorkerNight(Night):
    """A night whose rows are run by workers. Call `stop` at its end."""

    workers: list[tuple[Runner, threading.Thread]] = field(default_factory=list)

    def context(
        self, queue: Any = None, name: str = "w-1", slots: int = 8, batches: OpenBatches | None = None
    ) -> WorkerContext:
        """The context of a worker. `queue` replaces the night's own queue, and `batches` replaces new open batches."""
        return WorkerContext.over(
            self.store,
            queue or self.queue,
            batches or self.open_batches(),
            self.settings,
            worker=name,
            node="n-1",
            model=LANE,
            stats=EngineStats("cpu", slots, 0, 0, 0, 0, 0, 0, 0, 0),
            kinds=self.kinds,
            identity={"engine": "stub", "model_revision": "r"},
            clock=self.now,
            monotonic=self.monotonic,
        )

    def worker(self, engine: Engine, queue: Any = None, name: str = "w-1", **how: Any) -> Runner:
        """Make a worker, and do not start it. `how` are further arguments of Runner."""
        return Runner(self.context(queue, name, engine.stats().slots), engine, **how)

    def start(self, engine: Engine, queue: Any = None) -> Runner:
        """Start a worker in a thread, which runs until `stop`."""
        runner = self.worker(engine, queue)
        thread = threading.Thread(target=runner.run)
        thread.start()
        self.workers.append((runner, thread))
        return runner

    def stop(self) -> None:
        """Stop the running workers, with no time to finish the rows in their hands."""
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
