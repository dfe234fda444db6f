"""Shows jobs/commands/content/checks.py: outputs of other tools are checked, and the checks are listed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.settings import Settings
from jobs.tenants import TenantSettings

GOOD = "Water the tomatoes early in the morning, and they will thank you for it."
BAD = "Water the the tomatoes early in the morning, and they will thank you for it."


def session_with(tmp_path: Path, **settings: Any) -> Session:
    return Session(Settings(store_url=str(tmp_path / "store"), model="stub", **settings))


def file_of(tmp_path: Path, rows: Sequence[object]) -> str:
    file = tmp_path / "outputs.jsonl"
    file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(file)


def chat(output: object, **fields: Any) -> dict[str, Any]:
    return {"kind": "chat", "prompt": "How do I grow tomatoes?", "output": output, **fields}


def test_each_row_gets_a_verdict_and_its_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = file_of(tmp_path, [chat(GOOD, custom_id="a"), chat({"text": BAD}, custom_id="b")])
    assert main(["check", file, "--json"], session_with(tmp_path)) == 1
    first, second = map(orjson.loads, capsys.readouterr().out.splitlines())
    assert first == {"row": 0, "custom_id": "a", "kind": "chat", "verdict": "fit", "findings": []}
    (found,) = second.pop("findings")
    assert second == {"row": 1, "custom_id": "b", "kind": "chat", "verdict": "review"}
    assert (found["code"], found["severity"]) == ("doubled_word", "review")
    where = found["where"]
    assert BAD[where["start"] : where["end"]] == "the the"


def test_for_a_person_only_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = file_of(tmp_path, [chat(GOOD, custom_id="a"), chat(BAD, custom_id="b")])
    assert main(["check", file], session_with(tmp_path)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "row 1 (b): review",
        "  review doubled_word: 'the the' stands twice in a row (text 6:13)",
        "1 fit, 1 to review, 0 failed",
        "  doubled_word, review: 1 row",
    ]


def test_the_status_is_0_if_all_are_fit(tmp_path: Path) -> None:
    assert main(["check", file_of(tmp_path, [chat(GOOD)])], session_with(tmp_path)) == 0


def test_a_row_that_cannot_be_checked_is_named_and_the_others_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [[1], {"kind": "chat", "output": GOOD}, chat(None), chat(7), {"kind": "cat", "output": ""}, chat(GOOD)]
    assert main(["check", file_of(tmp_path, rows), "--json"], session_with(tmp_path)) == 1
    found = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["verdict"] for row in found] == ["failed"] * 5 + ["fit"]
    assert [(row["error"]["code"], row["error"].get("field")) for row in found[:5]] == [
        ("not_an_object", None),
        ("missing_field", None),
        ("missing_field", "output"),
        ("wrong_type", "output"),
        ("unknown_kind", "kind"),
    ]


def test_settings_and_then_the_tenant_change_a_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {
        "checks": {"doubled_word": "fail"},
        "tenants": {"calm": TenantSettings(checks={"doubled_word": "off"})},
    }
    file = file_of(tmp_path, [chat(BAD), chat(BAD, tenant="calm")])
    assert main(["check", file, "--json"], session_with(tmp_path, **settings)) == 1
    assert [orjson.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines()] == ["failed", "fit"]


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        (
            {"doubled_wrod": "off"},
            "there is no check 'doubled_wrod' (`nightpress checks` lists them): did you mean",
        ),
        ({"doubled_word": {"most": 3}}, "the check doubled_word has no limit 'most'"),
    ],
)
def test_a_wrong_setting_is_named(
    tmp_path: Path, checks: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", file_of(tmp_path, [chat(GOOD)])], session_with(tmp_path, checks=checks)) == 2
    assert main(["checks"], session_with(tmp_path, checks=checks)) == 2
    assert capsys.readouterr().err.count(message) == 2


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        (
            {"gapp": "off"},
            "[tenants.magazine.checks]: there is no check 'gapp' (`nightpress checks` lists them): did you mean gap?",
        ),
        (
            {"keyword_use": {"most_densty": 4}},
            "the check keyword_use has no limit 'most_densty': its limits are least_density, most_density, focus: did you mean",
        ),
        (
            {"seo_title": {"most": "60"}},
            "[tenants.magazine.checks]: the limit most of the check seo_title takes a number, such as 60: '60' is none",
        ),
    ],
)
def test_a_wrong_setting_of_a_tenant_is_named_before_a_row_of_it_comes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], checks: dict[str, Any], message: str
) -> None:
    session = session_with(tmp_path, tenants={"magazine": TenantSettings.model_validate({"checks": checks})})
    assert main(["status"], session) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_an_empty_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", file_of(tmp_path, [])], session_with(tmp_path)) == 2
    assert "holds no rows" in capsys.readouterr().err


def test_the_list_of_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checks", "--json"], session_with(tmp_path, checks={"doubled_word": "note"})) == 0
    found = {one["code"]: one for one in map(orjson.loads, capsys.readouterr().out.splitlines())}
    assert found["doubled_word"]["severity"] == "note"
    assert found["doubled_word"]["kinds"] == ["article", "social_post", "translation", "chat", "completion"]
    assert main(["checks", "--kind", "chat"], session_with(tmp_path)) == 0
    assert "doubled_word  (review)\n  A word stands twice in a row.\n" in capsys.readouterr().out
    assert main(["checks", "--kind", "cat"], session_with(tmp_path)) == 2
    assert "did you mean chat?" in capsys.readouterr().err
