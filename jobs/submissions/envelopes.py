"""Checks the envelopes of an OpenAI batch file: what each line has around its body.

OpenAI fails a whole batch for a line that is not JSON, lacks its custom_id, method, url or body, names another endpoint than the
batch, or repeats a custom_id. A fault within a body is not looked for here: it makes a failed row.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from jobs.formats.json_lines import Finding, numbered, read_object
from jobs.formats.source import InputLimits, decompressed
from jobs.intake.names import NAMES_IN_MEMORY, Names
from jobs.settings import Settings
from jobs.submissions.records import LineFault

SHOWN_FAULTS: Final = 100
"""At most this many faults are told to the client."""

_KEYS: Final = ("custom_id", "method", "url", "body")


def envelope_faults(file: BinaryIO, endpoint: str, settings: Settings) -> list[LineFault]:
    """Return the first faults of the lines of a file, in their order; none if every line is a request to the endpoint.

    Raises RequestError if the file cannot be unpacked or passes the limits of an input.
    """
    with ExitStack() as files:
        folder = Path(files.enter_context(tempfile.TemporaryDirectory(prefix="nightpress-")))
        unpacked = files.enter_context(decompressed(file, InputLimits.of(settings, file)))
        names = Names(folder / "names.sqlite", NAMES_IN_MEMORY, files)
        return list(islice(_faults(unpacked, endpoint, names), SHOWN_FAULTS))


def _faults(file: BinaryIO, endpoint: str, names: Names) -> Iterator[LineFault]:
    lines = 0
    for line, raw in numbered(file):
        lines += 1
        values = read_object(raw)
        if isinstance(values, Finding):
            if values.code != "row_too_large":  # that row fails alone
                yield LineFault(code=_code_of(values), message=values.message, line=line, param=values.field)
        elif (fault := _fault(values, endpoint)) is not None:
            yield fault.model_copy(update={"line": line})
        elif (earlier := names.take(values["custom_id"], line)) is not None:
            message = f"line {earlier} has the custom_id {values['custom_id'][:80]!r} already: give this line another"
            yield LineFault(code="duplicate_custom_id", message=message, line=line, param="custom_id")
    if not lines:
        yield LineFault(code="empty_file", message="the file has no lines: give it a line for each request")


def _code_of(finding: Finding) -> str:
    return "invalid_json_line" if finding.code in ("not_json", "not_an_object", "not_utf8") else finding.code


def _fault(values: dict[str, Any], endpoint: str) -> LineFault | None:
    """Return what is wrong with the envelope of one line; None if nothing is."""
    missing = next((key for key in _KEYS if values.get(key) in (None, "")), None)
    if missing is not None:
        return _named("missing_required_parameter", missing, f"the line has no {missing}: add it")
    checks = (
        (
            isinstance(values["custom_id"], str),
            "invalid_type",
            "custom_id",
            "the custom_id is no text: put it in quotes",
        ),
        (values["method"] == "POST", "invalid_method", "method", "the method of a batch line is POST"),
        (isinstance(values["body"], dict), "invalid_type", "body", "the body is no object: give it the parameters"),
        (
            _is_of(values["url"], endpoint),
            "mismatched_endpoint",
            "url",
            f"the url is not {endpoint}, as the batch's is",
        ),
        (not _streams(values["body"]), "unsupported_parameter", "body.stream", "a batch streams nothing: leave it out"),
    )
    return next((_named(code, param, message) for is_right, code, param, message in checks if not is_right), None)


def _is_of(url: object, endpoint: str) -> bool:
    return isinstance(url, str) and url.partition("?")[0].rstrip("/") == endpoint


def _streams(body: object) -> bool:
    return isinstance(body, dict) and bool(body.get("stream"))


def _named(code: str, param: str, message: str) -> LineFault:
    return LineFault(code=code, message=message, param=param)
