"""Shows that `scripts/bench/checks.py` measures texts that its kinds take, and that no text has a fault that would cost time."""

import random

import pytest

from jobs.checks.judge import judge
from jobs.checks.registry import checks_of
from jobs.kinds.kind import contract_of
from jobs.kinds.registry import load_kinds
from scripts.bench.checks import MAKERS, main


@pytest.mark.parametrize("name", MAKERS)
def test_the_texts_are_nearly_without_faults(name: str) -> None:
    contract = contract_of(load_kinds()[name])
    request, output = MAKERS[name](random.Random(1), 1_000)
    found = judge(contract.subject(name, request, output), checks_of(contract.checks), (contract.settings,))
    assert not {one.code for one in found} - {"keyword_use", "whitespace_edges"}
    text = next(output[field] for field in contract.texts)
    assert 900 <= len(text.split()) <= 1_100


def test_each_check_has_a_figure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["checks.py", "--kind", "chat", "--rows", "2", "--words", "50", "--by-check"])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "chat"
    assert {line.split()[0] for line in lines[1:]} >= {"wrong_language", "gap", "echo"}
