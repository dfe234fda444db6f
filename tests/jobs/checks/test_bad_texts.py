"""A bad text has a finding of the check that is meant for it, and the text is not fit."""

from typing import Any

import pytest

from jobs.checks.judge import judge
from jobs.checks.registry import checks_of
from jobs.findings import Finding, verdict_of
from jobs.kinds.kind import contract_of
from jobs.kinds.registry import load_kinds
from tests.jobs.checks.bad_texts import CHATS, POSTS, TRANSLATIONS


def found(kind: str, row: dict[str, Any], text: str) -> list[Finding]:
    """Return all findings, with the checks and settings of the kind."""
    contract = contract_of(load_kinds()[kind])
    subject = contract.subject(kind, row, {next(iter(contract.texts)): text})
    return judge(subject, checks_of(contract.checks), (contract.settings,))


def shows(findings: list[Finding], code: str) -> None:
    assert code in {one.code for one in findings}
    assert verdict_of(findings) != "fit"


@pytest.mark.parametrize(("language", "topic", "text", "code"), POSTS)
def test_a_bad_post(language: str, topic: str, text: str, code: str) -> None:
    shows(found("social_post", {"topic": topic, "platform": "mastodon", "language": language}, text), code)


@pytest.mark.parametrize(("languages", "source", "target", "code"), TRANSLATIONS)
def test_a_bad_translation(languages: str, source: str, target: str, code: str) -> None:
    source_language, target_language = languages.split()
    row = {"text": source, "source_language": source_language, "target_language": target_language, "format": "plain"}
    shows(found("translation", row, target), code)


@pytest.mark.parametrize(("prompt", "answer", "code"), CHATS)
def test_a_bad_answer_of_a_chat(prompt: str, answer: str, code: str) -> None:
    shows(found("chat", {"prompt": prompt}, answer), code)
