"""Shows workers/commands/replay.py and its command: either the output is the same, or the differences are named."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.batches.request_row import RowRequest
from jobs.catalog import ModelCard
from jobs.checks.registry import load_checks
from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.errors import RequestError
from jobs.settings import Settings
from workers.commands.replay import describe_difference, replay

SETTINGS = Settings(model="stub")
ROW = RowRequest(3, 4, "social_post", "stub", {"topic": "Tea", "platform": "mastodon"}, seed=11)


def published(row: RowRequest = ROW, **changed: Any) -> Mapping[str, Any]:
    """The published line of a first run."""
    first = replay("b-1", row, {}, SETTINGS)
    return {"output": first.output, **first.receipt, "status": "completed", **changed}


def test_the_same_row_gives_the_same_output() -> None:
    again = replay("b-1", ROW, published(), SETTINGS)
    assert (again.same, again.differs, again.error) == (True, [], None)


def test_the_seed_of_a_row_without_one_comes_from_the_batch_and_the_row() -> None:
    row = RowRequest(3, 4, "chat", "stub", {"prompt": "Hi"})
    was = published(row)
    assert replay("b-1", row, was, SETTINGS).same
    assert "seed" in replay("b-2", row, was, SETTINGS).differs


def test_a_renewed_row_is_told_again_what_it_must_not_repeat() -> None:
    """Its seed was made for its round, so it comes from the receipt."""
    renewed = ROW._replace(avoid=("Once upon a time",), seed=77)
    was = published(renewed)
    assert (was["avoid"], was["seed"]) == (["Once upon a time"], 77)
    again = replay("b-1", ROW, was, SETTINGS)
    assert (again.same, again.differs) == (True, [])


@pytest.mark.parametrize(
    ("changed", "differs", "same"),
    [
        pytest.param({"model_revision": "older"}, ["model_revision"], True, id="another revision, the same text"),
        pytest.param({"params": {"post": {"max_tokens": 7}}}, ["params.post"], True, id="other params"),
        pytest.param({"params": None, "templates": None}, [], True, id="a receipt without them"),
        pytest.param({"templates": {"post": "0"}}, ["templates.post"], True, id="another template"),
        pytest.param({"reasoning_form": "think"}, ["reasoning_form"], True, id="another form of thoughts"),
        pytest.param({"prompts": {"post": "0"}}, ["prompts.post"], True, id="another prompt, such as another date"),
        pytest.param(
            {"output": {"text": "x", "hashtags": [], "length": 1}}, ["output.length", "output.text"], False, id="text"
        ),
    ],
)
def test_each_difference_is_named(changed: Mapping[str, Any], differs: list[str], same: bool) -> None:
    again = replay("b-1", ROW, published(**changed), SETTINGS)
    assert (again.differs, again.same) == (differs, same)


def test_a_difference_is_described_with_both_values() -> None:
    was = published(model_revision="older", params={"post": {"max_tokens": 7}})
    again = replay("b-1", ROW, was, SETTINGS)
    revision, params = (describe_difference(name, was, again.receipt) for name in again.differs)
    assert revision == f"model_revision: older was published, {again.receipt['model_revision']} is here"
    assert params.startswith("params.post: {'max_tokens': 7} was published, {'max_tokens': ")
    assert describe_difference("output.text", was, again.receipt) == "output.text"


def test_a_row_that_fails_this_time_has_its_error() -> None:
    row = RowRequest(0, 1, "chat", "stub", {"prompt": "Hi", "response_format": {"type": "json_object"}})
    again = replay("b-1", row, {"output": {"text": "{}"}}, SETTINGS)
    assert (again.same, again.output) == (False, None)
    assert (again.error or "").startswith("output_not_json")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param(RowRequest(0, 1, "chat", "gone", {"prompt": "Hi"}), "model gone", id="model"),
        pytest.param(RowRequest(0, 1, "sonnet", "stub", {}), "'sonnet'", id="kind"),
    ],
)
def test_a_row_whose_model_or_kind_is_gone_is_refused(row: RowRequest, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        replay("b-1", row, {}, SETTINGS)


@pytest.mark.usefixtures("logs_of_a_command")
def test_a_row_that_did_not_complete_is_not_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(orjson.dumps({"kind": "chat", "prompt": "Hi"}))
    session = Session(Settings(store_url=str(tmp_path / "store"), model="stub"))
    assert main(["enqueue", str(file)], session) == 0
    batch_id = capsys.readouterr().out.strip()
    assert main(["replay", batch_id, "0"], session) == 2
    assert "is not published yet" in capsys.readouterr().err


def test_another_output_with_the_same_receipt_is_unexplained() -> None:
    other = {"text": "x", "hashtags": [], "length": 1}
    assert replay("b-1", ROW, published(output=other), SETTINGS).unexplained
    assert not replay("b-1", ROW, published(output=other, model_revision="older"), SETTINGS).unexplained
    assert not replay("b-1", ROW, published(), SETTINGS).unexplained


def test_a_row_is_checked_again() -> None:
    """The row of a checked model fails again by what it failed by, and its own changes of checks count."""
    settings = Settings(models={"tiny": ModelCard(engine="stub", checks=True)}, model="tiny")
    text = str((replay("b-1", ROW._replace(kind="chat", request={"prompt": "Hi"}), {}, SETTINGS).output or {})["text"])
    row = RowRequest(
        3, 4, "chat", "tiny", {"prompt": "Hi"}, seed=11, checks={"forbidden_term": {"terms": text.split()}}
    )
    again = replay("b-1", row, {}, settings)
    assert (again.error or "").startswith("forbidden_term: ")
    assert again.output is None
    off = {code: {"severity": "off"} for code in load_checks()}
    again = replay("b-1", row._replace(checks=off), {}, settings)
    assert (again.error, again.output is not None) == (None, True)


@pytest.mark.parametrize(
    ("was", "severity", "differs", "verdict"),
    [
        pytest.param("fit", "review", ["verdict"], "review", id="checks are harder now"),
        pytest.param("review", "review", [], "review", id="the same verdict"),
        pytest.param("review", "off", ["verdict"], "fit", id="checks are softer now"),
        pytest.param(None, "review", [], "review", id="it was not judged, or an earlier release wrote it"),
    ],
)
def test_verdicts_are_compared(was: str | None, severity: str, differs: list[str], verdict: str) -> None:
    """The output is the same, so the row is: a verdict depends on the settings of checks too."""
    settings = Settings(models={"tiny": ModelCard(engine="stub", checks=True)}, model="tiny")
    row = RowRequest(3, 4, "chat", "tiny", {"prompt": "Hi"}, seed=11)
    off: dict[str, Any] = {code: {"severity": "off"} for code in load_checks()}
    first = replay("b-1", row._replace(checks=off), {}, settings)
    assert first.output is not None
    terms = {"severity": severity, "terms": str(first.output["text"]).split()[:1]}
    row = row._replace(checks={**off, "echo": {"severity": "note"}, "forbidden_term": terms})
    again = replay("b-1", row, {"output": first.output, **first.receipt, "verdict": was}, settings)
    assert (again.differs, again.verdict, again.same, again.unexplained) == (differs, verdict, True, False)
    if differs:
        shown = describe_difference("verdict", {"verdict": was}, {"verdict": again.verdict})
        assert shown == f"verdict: {was} was published, {verdict} is here"


def test_a_verdict_that_follows_from_another_output_explains_nothing() -> None:
    settings = Settings(models={"tiny": ModelCard(engine="stub", checks=True)}, model="tiny")
    off: dict[str, Any] = {code: {"severity": "off"} for code in load_checks()}
    row = RowRequest(3, 4, "chat", "tiny", {"prompt": "Hi"}, seed=11, checks={**off, "echo": {"severity": "note"}})
    first = replay("b-1", row, {}, settings)
    was = {**first.receipt, "output": {"text": "another"}, "verdict": "review"}
    again = replay("b-1", row, was, settings)
    assert (again.differs, again.unexplained) == (["verdict", "output.text"], True)
