"""Holds answers to the JSON that their row asks for: `response_format` or `output_schema` (jobs/writing/verbatim.py)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from jobs.checks.check import Broken, Check, Find, Limits, Subject
from jobs.errors import CheckFailed
from jobs.findings import Severity
from jobs.writing.structured.answers import read_answer
from jobs.writing.structured.schemas import refusal
from jobs.writing.verbatim import ResponseFormat


def _finds(code: str) -> Find:
    """Return the function of the check `code`: it reports the first answer that is broken in this way."""

    def find(subject: Subject, limits: Limits) -> Iterator[Broken]:
        del limits
        schema = _schema_of(subject.request)
        if schema is None:
            return
        for text in _texts(subject.output):
            try:
                read_answer(text, schema)
            except CheckFailed as error:
                if error.code == code:
                    yield Broken(error.message)
                    return

    return find


def _schema_of(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema that a row asks for; None if it asks for none, or for one that intake would refuse."""
    schema = request.get("output_schema")
    if isinstance(form := request.get("response_format"), Mapping):
        try:
            schema = ResponseFormat.model_validate(form).schema_
        except ValidationError:
            return None
    return schema if isinstance(schema, Mapping) and refusal(schema) is None else None


def _texts(output: Mapping[str, Any]) -> Sequence[str]:
    several = output.get("choices")
    texts = several if isinstance(several, list | tuple) and several else [output.get("text")]
    return [text for text in texts if isinstance(text, str)]


CHECKS: Final = (
    Check(
        "output_not_json",
        Severity.FAIL,
        "An answer is JSON if the row asks for JSON.",
        _finds("output_not_json"),
    ),
    Check(
        "schema_invalid",
        Severity.FAIL,
        "An answer satisfies the JSON schema of its row.",
        _finds("schema_invalid"),
    ),
)
