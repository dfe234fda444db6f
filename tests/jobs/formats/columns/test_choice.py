"""Shows jobs/formats/columns/choice.py: a choice of columns that a file cannot have is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from jobs.errors import RequestError
from jobs.formats.columns.choice import NO_CHOICE, Columns
from jobs.intake.column_options import columns_of

Take = Callable[..., Any]
ARTICLE = {"kind": "article"}


@pytest.mark.parametrize(
    ("data", "choice", "message"),
    [
        pytest.param(
            b'{"custom_id": "a", "url": "/v1/completions", "body": {"prompt": "a"}}',
            columns_of(extra="*"),
            "--map and --extra are not for OpenAI batch files",
            id="an OpenAI batch",
        ),
        pytest.param(
            b'{"topic": "a"}', columns_of(header="topic"), "--header and --header-row are for CSV", id="JSON Lines"
        ),
        pytest.param(
            b'{"pages": [' + b'{"topic": "a"}, ' * 9_000 + b"{}]}",
            NO_CHOICE,
            r"one object with the key 'pages': .* jq -c '.pages\[\]' FILE",
            id="a large object that holds the rows",
        ),
    ],
)
def test_a_choice_that_the_file_cannot_have_is_refused(take: Take, data: bytes, choice: Columns, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        take(data, columns=choice, **ARTICLE)


def test_a_choice_knows_the_columns_that_it_names() -> None:
    choice = columns_of(["topic=Title"], "Notes")
    assert (list(choice.named), bool(choice), choice.are_of_csv) == (["Title", "Notes"], True, False)
    assert (list(columns_of(extra="*").named), bool(NO_CHOICE)) == ([], False)
    assert columns_of(header="topic").are_of_csv
