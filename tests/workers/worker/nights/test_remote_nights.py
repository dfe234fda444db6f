"""A night on a remote model whose server misbehaves: each row is published once, and both ledgers follow from its usage."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from jobs.catalog import ModelCard
from jobs.errors import CODES
from jobs.prices import BILLION, Prices, TokenPrices
from tests.support.night import chats
from tests.support.servers.openai_server import Call, Reply, answered, serving, usual
from tests.support.worker_night import WorkerNight
from workers.engines.registry import make_engine
from workers.engines.remote import engine as engine_module

ROWS = 90
BOUGHT = TokenPrices(prompt=3_000_000, cached_prompt=1_000_000, completion=7_000_000)


def misbehaving(chance: random.Random) -> Callable[[Call, int], Reply | None]:
    """A server of which half of the replies are of no use. A row whose number ends with 7 is refused each time."""
    text = {"message": {"content": "words"}, "finish_reason": "stop"}
    faults = (
        lambda call: Reply(429, b"", {"Retry-After": "0"}),
        lambda call: Reply(500, b"<html>oh</html>", {"Content-Type": "text/html"}),
        lambda call: Reply(200, usual(call).content, cut=9),
        lambda call: Reply(200, b"<html>hello</html>"),
        lambda call: answered(text, -4),
        lambda call: answered(text, 3, 10**7),
    )

    def script(call: Call, _: int) -> Reply | None:
        if call.body["messages"][-1]["content"].endswith("7."):
            return Reply(400, b'{"error": {"message": "no such content here"}}')
        return chance.choice(faults)(call) if chance.random() < 0.5 else None

    return script


def test_every_row_ends_once_and_the_ledgers_are_those_of_the_server(
    make_night: Callable[..., WorkerNight], until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr(engine_module, "LONGEST_BACKOFF_S", 0.002)
    prices = Prices(
        version="v", bought={"stub": BOUGHT}, models={"stub": TokenPrices(completion=BILLION)}, device_hour={}
    )
    with serving(misbehaving(random.Random(5))) as server:
        card = ModelCard(engine="remote", source=server.url, slots=8, checks=False, options={"model": "m"})
        night = make_night(models={"stub": card}, prices=prices)
        batch = night.accept(chats(ROWS))
        engine = make_engine("stub", card, night.settings.cache_dir)
        night.start(engine)
        night.until_published(until)
        night.stop()
        night.workers.clear()
        engine.close()
    output, errors = night.published(batch.batch_id)
    assert sorted(row["row"] for row in (*output, *errors)) == list(range(ROWS))
    refused = sum(str(n).endswith("7") for n in range(ROWS))
    codes = Counter(row["error"]["code"] for row in errors)
    assert codes["remote_refused"] == refused
    assert codes.keys() <= CODES.keys()
    assert len(output) >= ROWS - refused - 3, codes
    for row in output:
        used = row["usage"]
        bought = used["prompt_tokens"] * BOUGHT.prompt + used["completion_tokens"] * BOUGHT.completion
        assert (used["device_ns"], used["device_cost"]) == (0, (2 * bought + 1_000_000) // 2_000_000)
        assert used["charge"] == used["completion_tokens"] * 1_000
