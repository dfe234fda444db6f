"""A good text has no finding, whatever it speaks of."""

from typing import Any

import pytest

from jobs.checks.judge import judge
from jobs.checks.registry import checks_of
from jobs.findings import Severity
from jobs.kinds.kind import contract_of
from jobs.kinds.registry import load_kinds
from tests.jobs.checks.good_texts import CHATS, POSTS, TRANSLATIONS


def found(kind: str, row: dict[str, Any], text: str) -> list[str]:
    """Return the findings that would keep a text from being fit, with all the checks and settings of the kind."""
    contract = contract_of(load_kinds()[kind])
    prompts = [str(row.get("system") or ""), str(row.get("prompt") or "")]
    subject = contract.subject(kind, row, {next(iter(contract.texts)): text}, prompts=[one for one in prompts if one])
    findings = judge(subject, checks_of(contract.checks), (contract.settings,))
    return [f"{one.code} {one.severity}: {one.message}" for one in findings if one.severity is not Severity.NOTE]


@pytest.mark.parametrize(("prompt", "answer"), CHATS)
def test_a_good_answer_of_a_chat(prompt: str, answer: str) -> None:
    assert found("chat", {"prompt": prompt}, answer) == []


@pytest.mark.parametrize(("language", "topic", "text"), POSTS)
def test_a_good_post(language: str, topic: str, text: str) -> None:
    assert found("social_post", {"topic": topic, "platform": "mastodon", "language": language}, text) == []


@pytest.mark.parametrize(("languages", "source", "target"), TRANSLATIONS)
def test_a_good_translation(languages: str, source: str, target: str) -> None:
    source_language, target_language = languages.split()
    row = {"text": source, "source_language": source_language, "target_language": target_language, "format": "plain"}
    assert found("translation", row, target) == []
