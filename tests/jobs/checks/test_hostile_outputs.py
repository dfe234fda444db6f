"""No check raises an error for an output, however hostile it is, and each finding has a place within the output."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from jobs.checks.judge import judge
from jobs.checks.registry import checks_of
from jobs.kinds.kind import contract_of
from jobs.kinds.registry import load_kinds

OUTPUTS: Final = {
    "empty": "",
    "space": "  \n\t",
    "nul": "Tea \x00 is good. " * 20,
    "half a character": "\ud800 Tea is \udfff good.",
    "two halves": "\ud83d\ude00 Tea",
    "one character": "a" * 1_000_000,
    "one ideograph": "茶" * 50_000,
    "one mark": "\u0301" * 50_000,
    "one quotation mark": "\u201c" * 50_000,
    "line breaks": "\r\n\v\x85\u2028" * 2_000,
    "deep quotes": "> " * 5_000 + "a",
    "deep lists": "\n".join("  " * depth + "- a" for depth in range(300)),
    "deep brackets": "[" * 20_000 + "]" * 20_000,
    "open tags": "<div>" * 5_000,
    "open comments": "<!--" * 20_000,
    "open braces": "{n, plural, " * 3_000,
    "open fences": "```\n" * 5_001,
    "links": "http://" * 20_000,
    "headings": "# a\n" * 3_000,
    "direction": "\u202e\u2066abc\u2069" * 500,
    "emoji": "👨\u200d👩\u200d👧" * 2_000,
    "digits": "1" * 50_000,
}
REQUESTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "article": {
        "topic": "Tea",
        "keywords": ["tea", "green tea"],
        "target_words": 400,
        "language": "en",
        "outline": ["A"],
    },
    "chat": {"prompt": "Hi", "system": "Answer in one sentence, as a friend of mine would do it."},
    "completion": {"prompt": "Tea is"},
    "social_post": {"topic": "Tea", "platform": "x", "source_text": "We sell tea for 5 €.", "language": "de"},
    "translation": {
        "text": "Hi {n, plural, one {#} other {#}} <b>5</b>.",
        "source_language": "en",
        "target_language": "de",
    },
}


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("text", OUTPUTS.values(), ids=OUTPUTS)
def test_no_check_raises(kind: str, text: str) -> None:
    contract, row = contract_of(load_kinds()[kind]), REQUESTS[kind]
    output = dict.fromkeys(contract.texts, text[:20_000]) | {next(iter(contract.texts)): text}
    subject = contract.subject(kind, row, output, prompts=[text[:1_000], "Write a text about tea."], cut_off=True)
    for finding in judge(subject, checks_of(contract.checks), (contract.settings,)):
        finding.model_dump_json()  # half a character could not be written
        assert finding.message
        if finding.where:
            assert 0 <= finding.where.start <= finding.where.end <= len(output[finding.where.field])


def test_a_hostile_source_raises_nothing() -> None:
    contract = contract_of(load_kinds()["translation"])
    for text in OUTPUTS.values():
        row = {**REQUESTS["translation"], "text": text}
        judge(contract.subject("translation", row, {"text": "Hallo, 5 <b>Tee</b>."}), checks_of(contract.checks))
