"""Shows jobs/operations/estimate.py, and `enqueue --dry-run`."""

import io
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from jobs.accounts.expected_thoughts import BATCHES
from jobs.batches.request_row import RowRequest
from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.intake.accept import IntakeOptions
from jobs.kinds.chat import MAX_TOKENS
from jobs.kinds.first_prompts import first_prompts
from jobs.kinds.registry import load_kinds
from jobs.operations.estimate import HISTORY_ROWS, estimate
from jobs.prices import Prices, TokenPrices
from jobs.settings import Settings
from jobs.usage import Usage

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

PRICES = Prices(models={"stub": TokenPrices(prompt=1_000_000, completion=2_000_000)})
ROWS = b"".join(
    orjson.dumps(row) + b"\n"
    for row in (
        {"kind": "chat", "prompt": "a" * 40},
        {"kind": "chat", "prompt": "b" * 80, "max_tokens": 10},
        {"kind": "chat"},
        {"kind": "completion", "prompt": "c" * 4},
    )
)


def estimated(shelf: Shelf) -> Any:
    settings = Settings(model="stub", prices=PRICES)
    return estimate(shelf.store, io.BytesIO(ROWS), IntakeOptions(), load_kinds(), settings)


def test_without_a_history_an_estimate_rests_on_the_kind_and_a_sample_of_prompts(shelf: Shelf) -> None:
    found = estimated(shelf)
    assert (found.rows, found.refused, found.faults) == (4, 1, {"missing_field": 1})
    chat, completion = found.lines
    assert (chat.kind, chat.model, chat.rows, chat.basis) == ("chat", "stub", 2, "assumed")
    assert chat.usage == Usage(30, 0, MAX_TOKENS + 10, charge=30 + 2 * (MAX_TOKENS + 10))
    assert (completion.usage.prompt_tokens, completion.usage.device_ns) == (1, 0)
    assert found.usage == chat.usage + completion.usage


@pytest.mark.parametrize(
    ("published", "basis"),
    [
        pytest.param(HISTORY_ROWS - 1, "assumed", id="too few rows are no history"),
        pytest.param(HISTORY_ROWS, "history", id="enough"),
    ],
)
def test_an_estimate_rests_on_published_rows_where_there_are_enough(shelf: Shelf, published: int, basis: str) -> None:
    shelf.accept(rows=published)
    shelf.write("night-1", [shelf.completed(row) for row in range(published)])
    shelf.publish()
    chat = estimated(shelf).lines[0]
    assert chat.basis == basis
    if basis == "history":
        tokens = sum(100 + row for row in range(published)) * 2 // published
        assert chat.usage == Usage(tokens, 0, 20, 2_000_000_000, 27_778, tokens + 2 * 20)
        assert chat.history_rows == published


def test_a_history_of_the_same_template_is_taken_before_that_of_others(shelf: Shelf) -> None:
    """Posts that began with another template were longer. They count only if there are no posts that began with this template."""
    row = orjson.dumps({"kind": "social_post", "topic": "Tea", "platform": "x"})
    kinds = load_kinds()
    settings = Settings(model="stub", prices=PRICES)

    def post() -> Any:
        return estimate(shelf.store, [row], IntakeOptions(), kinds, settings).lines[0]

    request = RowRequest(0, 1, "social_post", "stub", {"topic": "Tea", "platform": "x"})
    template = first_prompts(request, kinds["social_post"])[0].template_sha256
    for batch_id, sha256, tokens in (("old", "0" * 64, 900), ("new", template, 30)):
        values: dict[str, Any] = {
            "kind": "social_post",
            "usage": Usage(10, 0, tokens),
            "receipt": {"templates": {"post": sha256}},
        }
        shelf.accept(batch_id, HISTORY_ROWS)
        shelf.write(batch_id, [shelf.completed(row, **values) for row in range(HISTORY_ROWS)])
        shelf.publish(batch_id)
        line = post()
        wanted = ("other templates", 900) if batch_id == "old" else ("history", 30)
        assert (line.basis, line.usage.completion_tokens) == wanted


def test_thoughts_are_estimated_by_the_latest_rows_of_other_kinds(shelf: Shelf) -> None:
    """No thoughts are added for rows with their own max_tokens, for raw texts, and for rows that turn thoughts off."""
    rows = [
        {"kind": "social_post", "topic": "Tea", "platform": "x"},
        {"kind": "social_post", "topic": "Tea", "platform": "x", "max_tokens": 9},
        {"kind": "translation", "text": "Eins\nZwei", "source_language": "de", "target_language": "en"},
        {"kind": "article", "topic": "Tea", "chat_template_kwargs": {"enable_thinking": False}},
        {"kind": "completion", "prompt": "Tea"},
    ]
    lines = [orjson.dumps(row) for row in rows]
    settings = Settings(model="stub", prices=PRICES)

    def thoughts() -> dict[str, int]:
        found = estimate(shelf.store, lines, IntakeOptions(), load_kinds(), settings)
        assert [one.kind for one in found.lines if one.basis != "assumed"] == []
        return {one.kind: one.thought_tokens for one in found.lines}

    def publish(batch_id: str, *receipts: dict[str, Any]) -> None:
        shelf.now += timedelta(hours=1)
        shelf.accept(batch_id, len(receipts))
        outcomes = [shelf.completed(row) for row in range(len(receipts))]
        shelf.write(
            batch_id,
            [replace(one, receipt={**one.receipt, **own}) for one, own in zip(outcomes, receipts, strict=True)],
        )
        shelf.publish(batch_id)

    nothing = {"article": 0, "completion": 0, "social_post": 0, "translation": 0}
    assert thoughts() == nothing
    before = estimate(shelf.store, lines, IntakeOptions(), load_kinds(), settings).usage
    publish("plain", {}, {})
    assert thoughts() == nothing
    publish("thinks", {"reasoning_tokens": 600, "params": {"a": {}, "b": {}}}, {"reasoning_tokens": 600})
    assert thoughts() == {**nothing, "social_post": 240, "translation": 480}  # 1,200 tokens of five prompts
    after = estimate(shelf.store, lines, IntakeOptions(), load_kinds(), settings).usage
    assert after.completion_tokens - before.completion_tokens == 720
    assert after.charge - before.charge == 720 * 2
    for n in range(BATCHES):
        publish(f"later-{n}", {"reasoning_tokens": 10})
    assert thoughts() == {**nothing, "social_post": 10, "translation": 20}


def test_the_prompt_of_several_answers_is_estimated_once(shelf: Shelf) -> None:
    def prompt_tokens(n: int) -> int:
        row = orjson.dumps({"kind": "chat", "prompt": "Say a word about tea.", "n": n})
        settings = Settings(model="stub", prices=PRICES)
        return estimate(shelf.store, [row], IntakeOptions(), load_kinds(), settings).lines[0].usage.prompt_tokens

    assert prompt_tokens(3) == prompt_tokens(1) > 0


def test_a_dry_run_stores_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(ROWS)
    session = Session(Settings(store_url=str(tmp_path / "store"), model="stub", prices=PRICES))
    assert main(["enqueue", str(file), "--dry-run"], session) == 1
    out = capsys.readouterr().out
    assert out.startswith("4 rows, 1 of them to be refused; nothing is enqueued\n  1 missing_field\n")
    assert all(len(line) <= 80 for line in out.splitlines())
    assert main(["enqueue", str(file), "--dry-run", "--json"], session) == 1
    assert orjson.loads(capsys.readouterr().out)["faults"] == {"missing_field": 1}
    assert not (tmp_path / "store").exists()


def _templates(folder: Path, text: str) -> Settings:
    (folder / "templates").mkdir()
    (folder / "templates" / "article_outline.j2").write_text(text)
    return Settings(model="stub", prices=PRICES, templates_dir=folder / "templates")


ARTICLES = [orjson.dumps({"kind": "article", "topic": f"Tea {n}", "audience": "xyz"[n % 3]}) for n in range(300)]


@pytest.mark.parametrize(
    ("template", "refused", "field"),
    [
        pytest.param("{{ nonsense }}", 300, "nonsense", id="a value that no row has"),
        pytest.param("{{ request.nonsense }}", 300, "nonsense", id="a field that no row has"),
        pytest.param("{% if request.audience == 'x' %}{{ nonsense }}{% endif %}", 100, "nonsense", id="in some rows"),
        pytest.param("{{ request.topic + 1 }}", 300, None, id="a mistake of types"),
        pytest.param("{{ 1 / 0 }}", 300, None, id="a division by zero"),
        pytest.param("{{ request.topic }}", 0, None, id="a good one"),
    ],
)
def test_rows_whose_prompts_cannot_be_made_count_as_refused(
    template: str, refused: int, field: str | None, shelf: Shelf, tmp_path: Path
) -> None:
    """A template may fail for only some rows, and long after the first."""
    settings = _templates(tmp_path, template)
    found = estimate(shelf.store, ARTICLES, IntakeOptions(), load_kinds(settings.templates_dir), settings)
    assert (found.rows, found.refused) == (300, refused)
    assert found.faults == ({"kind_failed": refused} if refused else {})
    assert sum(line.rows for line in found.lines) == 300 - refused
    assert len(found.refusals) == min(refused, 20)
    for fault in found.refusals[:1]:
        assert (fault.line, fault.field, fault.code) == (1, field, "kind_failed")


def test_a_dry_run_names_the_line_and_field_of_each_refused_row(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = _templates(tmp_path, "{{ request.topic }}{% if request.audience == 'y' %}{{ nonsense }}{% endif %}")
    (tmp_path / "rows.jsonl").write_bytes(b'{"kind": "article", "topic": 3}\n' + b"\n".join(ARTICLES[:3]))
    session = Session(settings.model_copy(update={"store_url": str(tmp_path / "store")}), clock=shelf.clock)
    assert main(["enqueue", str(tmp_path / "rows.jsonl"), "--dry-run"], session) == 1
    out = capsys.readouterr().out
    assert "4 rows, 2 of them to be refused" in out
    assert "line 1: wrong_type (topic): " in out
    assert (
        "line 3: kind_failed (nonsense): kind article: template article_outline.j2, line 1: 'nonsense' is undefined"
        in out
    )


def test_own_prices_that_leave_a_model_free_say_so(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"kind": "chat", "prompt": "Tea."}\n')
    for models, is_free in (({"other": TokenPrices(prompt=1)}, True), ({"stub": TokenPrices(prompt=1)}, False)):
        prices = Prices(version="ours", currency="EUR", device_hour={}, models=models)
        session = Session(Settings(model="stub", prices=prices, store_url=str(tmp_path / "store")), clock=shelf.clock)
        for command in (["enqueue", str(rows), "--dry-run"], ["enqueue", str(rows)]):
            assert main(command, session) == 0
            printed = capsys.readouterr()
            assert ("stub: no price in [prices.models]" in printed.out + printed.err) is is_free


def test_an_estimate_has_an_interval_that_holds_what_such_files_take(shelf: Shelf) -> None:
    """Of 100 files of 200 uneven rows, about 95 take what the interval says, by 400 published rows of the same law."""
    chance = random.Random(8)

    def tokens() -> int:
        return int(chance.lognormvariate(5, 0.8)) + 1

    published = [tokens() for _ in range(400)]
    shelf.accept(rows=400)
    shelf.write(
        "night-1", [shelf.completed(n, usage=Usage(10, 0, one, one * 10**6)) for n, one in enumerate(published)]
    )
    shelf.publish()
    rows = b"".join(orjson.dumps({"kind": "chat", "prompt": "a" * 40}) + b"\n" for _ in range(200))
    settings = Settings(model="stub", prices=PRICES)
    found = estimate(shelf.store, io.BytesIO(rows), IntakeOptions(), load_kinds(), settings)
    assert found.interval is not None
    low, high = found.interval
    assert low.completion_tokens < found.usage.completion_tokens < high.completion_tokens
    assert low.charge < found.usage.charge < high.charge
    assert low.device_ns < found.usage.device_ns < high.device_ns
    held = sum(low.completion_tokens <= sum(tokens() for _ in range(200)) <= high.completion_tokens for _ in range(100))
    assert held >= 90


def test_assumed_lines_have_no_interval(shelf: Shelf) -> None:
    assert estimated(shelf).interval is None


def test_rows_of_about_the_same_length_class_are_the_history_of_much_longer_prompts(shelf: Shelf) -> None:
    """Most published prompts were short. The file's prompts have 1,000 tokens, and such rows had long completions."""
    shelf.accept(rows=230)
    short = [shelf.completed(n, usage=Usage(20, 0, 30)) for n in range(200)]
    long = [shelf.completed(n, usage=Usage(1200, 0, 800)) for n in range(200, 230)]
    shelf.write("night-1", [*short, *long])
    shelf.publish()
    settings = Settings(model="stub", prices=PRICES)
    for prompt, tokens, rows in (("a" * 4000, 800, 30), ("a" * 400, 130, 230)):
        line = orjson.dumps({"kind": "chat", "prompt": prompt})
        (found,) = estimate(shelf.store, [line], IntakeOptions(), load_kinds(), settings).lines
        assert (found.usage.completion_tokens, found.history_rows) == (tokens, rows)
