"""Shows jobs/intake/documents/languages.py: the languages of a batch of documents."""

from typing import Any

import pytest

from jobs.errors import RequestError
from jobs.intake.documents.languages import languages_of


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("fr", ["fr"]),
        ("fr,de", ["fr", "de"]),
        (" fr , pt_br ", ["fr", "pt-BR"]),
        (["fr", "German"], ["fr", "de"]),
        ("en-GB", ["en-GB"]),
    ],
)
def test_target_languages_are_a_list(target: Any, expected: list[str]) -> None:
    assert languages_of({"source_language": "en", "target_language": target}) == ("en", expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no source_language"),
        ({"source_language": "en"}, "no target_language"),
        ({"target_language": "fr"}, "no source_language"),
        ({"source_language": "en", "target_language": ""}, "no target_language"),
        ({"source_language": "en", "target_language": " "}, "no target_language"),
        (
            {"source_language": "en", "target_language": "fr,"},
            "target_language 'fr,' has nothing on one side of a comma",
        ),
        ({"source_language": "en", "target_language": ["fr", "", 7]}, "target_language"),
        ({"source_language": "en", "target_language": "en"}, "target_language en is the source_language"),
        ({"source_language": "EN", "target_language": "fr,en"}, "target_language en is the source_language"),
        ({"source_language": "en", "target_language": "fr,de,fr"}, "target_language fr stands twice"),
        ({"source_language": "en", "target_language": "../x"}, "target_language '../x'"),
        ({"source_language": "en", "target_language": "x" * 99}, "target_language 'xxx"),
        ({"source_language": "en", "target_language": 7}, "target_language 7 is no list"),
        ({"source_language": 7, "target_language": "fr"}, "source_language 7"),
        ({"source_language": "en", "target_language": ["fr", 7]}, "target_language 7"),
        ({"source_language": "en", "target_language": {"fr": 1}}, "is no list"),
        ({"source_language": "en", "target_language": "us"}, "target_language 'us'"),
    ],
)
def test_wrong_languages_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message.replace("..", r"\.\.")):
        languages_of(given)
