"""Checks the options of a new batch, which a program or the command line gives, and turns them into `IntakeOptions`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict, TypeVar, cast

import orjson

from jobs.batches.batch import QuoteTerms
from jobs.did_you_mean import did_you_mean
from jobs.documents.registry import FORMATS
from jobs.errors import RequestError
from jobs.formats.input_format import InputFormat
from jobs.formats.results.form import ResultForm
from jobs.intake.accept import IntakeOptions
from jobs.intake.column_options import columns_of
from jobs.prices import Money, money_of
from jobs.publishing.delivery import check_output_url
from jobs.tenants import RowsMaySet
from jobs.typed_times import When, moment_of, words_of

Form = TypeVar("Form", bound=StrEnum)


class EnqueueOptions(TypedDict, total=False):
    """The options of a new batch. An option that is left out, or None, has its default.

    Attributes:
        kind: The kind of rows that name none.
        model: The model of rows that name none. Default: the setting `model`.
        override_model: Give `model` to all rows, also to those that name another.
        fields: Request fields for rows that lack them: a mapping, or texts `FIELD=VALUE` as the command line takes them.
        name: The beginning of the batch's id. Default: the file's name, else `batch`.
        tenant: The tenant of the rows: who is billed for them. Default: the setting `tenant`.
        priority: 0 to 9; rows with 9 go first. Default: 4.
        rows_may_set: Which of `tenant` and `priority` a row may set itself: a collection, or a text such as `tenant,priority`.
            If a row sets one without this right, to another value, it is refused. Default: the setting `rows_may_set`.
        deadline: When rows without an outcome expire: a datetime (in local time if it has no offset), a timedelta from now, or
            text such as `06:00` or `+8h`.
        publish_at: When the rows that have an outcome are published as round 1. All other rows follow as round 2. This time must
            be before `deadline`.
        limit: Read only this many rows, from the beginning of the input.
        strict: Refuse the whole input when one of its rows cannot be accepted.
        output_url: Where a fleet writes the outputs of each published round: a path or URL of a file, or of a folder with a `/`
            at its end.
        output_format: The format of the outputs there: jsonl, csv, openai or parquet, or document for translated documents.
            Default: jsonl.
        format: The format of the input file: jsonl, csv, openai or parquet, or that of documents, such as po or markdown.
            Default: intake recognises it by the file's name and content.
        quote: Whether to quote the batch: a sample of its rows runs first, and the others wait for an answer.
        keeps_refused: Make a batch even if every row is refused: its rows have failed, and it is published so. Default: False.
        go_on: With `quote`: run the others without an answer, as soon as the quote is there.
        with_done: Whether to send segments too that are translated already in their document.
        budget: What all rows may be charged together, such as `20EUR`. At its end the batch is published with what is ready, and
            waits for more.
        map: Field -> the column or key that it is taken from, such as `{"topic": "product.title"}`; or texts `FIELD=COLUMN` and
            `@FILE` as the command line takes them.
        extra: The other columns that are taken along in the metadata: their names, or `metadata` for all, or `none`. Default:
            another column is refused.
        header: The names of the columns of a CSV that has no header.
        header_row: The line of a CSV's header, from 1. Default: it is found.
    """

    kind: str | None
    model: str | None
    override_model: bool
    fields: Mapping[str, Any] | Sequence[str] | None
    name: str | None
    tenant: str | None
    priority: int
    rows_may_set: Collection[str] | str | None
    deadline: When | None
    publish_at: When | None
    limit: int | None
    strict: bool
    output_url: str | None
    output_format: ResultForm | str
    format: InputFormat | str | None
    map: Mapping[str, str] | Sequence[str] | None
    extra: Sequence[str] | str | None
    header: Sequence[str] | str | None
    header_row: int | None
    with_done: bool
    budget: Money | str | None
    quote: bool
    go_on: bool
    keeps_refused: bool


def intake_options(
    options: EnqueueOptions, *, clock: Callable[[], datetime], may_be_past: bool = False
) -> IntakeOptions:
    """Return the options as `IntakeOptions`. Raises RequestError if an option is wrong, TypeError if one does not exist.

    With `may_be_past`, a time that has passed is no error: the batch may exist already under its run key.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if unknown := given.keys() - EnqueueOptions.__annotations__.keys():
        raise TypeError(f"no option {min(unknown)!r}: the options are {', '.join(EnqueueOptions.__annotations__)}")
    now = clock()
    for name, what in (("deadline", "the deadline"), ("publish_at", "the time to publish")):
        if (when := given.get(name)) is not None:
            given[name] = _to_come(what, when, now, may_be_past=may_be_past)
            given[f"{name}_typed"] = words_of(when)
    if "deadline" in given and "publish_at" in given and given["publish_at"] >= given["deadline"]:
        raise RequestError(
            f"the time to publish, {options.get('publish_at')}, is not before the deadline, {options.get('deadline')}: "
            "no second round could follow"
        )
    if isinstance(budget := given.get("budget"), str):
        given["budget"] = money_of(budget, "--budget")
    if (rights := given.get("rows_may_set")) is not None:
        given["rows_may_set"] = rights_of(rights)
    fields = given.pop("fields", ())
    given["set"] = tuple(map(_typed_field, fields.items())) if isinstance(fields, Mapping) else tuple(fields)
    mapped, extra, header = (given.pop(name, ()) for name in ("map", "extra", "header"))
    given["columns"] = columns_of(mapped, extra, header, given.pop("header_row", None))
    if (written := given.pop("format", None)) is not None:
        given["form" if written in list(InputFormat) else "document"] = _input_format(written)
    given["quote"] = _quote_terms(given.pop("quote", False), given.pop("go_on", False))
    output_form = _named(ResultForm, given.pop("output_format", ResultForm.JSONL), "output format")
    if (place := given.get("output_url")) is not None:
        given.update(output_url=check_output_url(place, output_form), output_form=str(output_form))
    elif output_form is ResultForm.DOCUMENT:
        raise RequestError("--output-format document needs --output-url: the folder that the documents go to")
    return IntakeOptions(**given)


def _quote_terms(quote: bool, go_on: bool) -> QuoteTerms | None:
    """Return how the batch is quoted; None if it is not. Raises RequestError if nothing is to be quoted, and yet agreed to."""
    if go_on and not quote:
        raise RequestError("--yes answers a quote: give --quote too")
    return QuoteTerms(goes_on=go_on) if quote else None


def rights_of(given: Collection[str] | str) -> RowsMaySet:
    """Return what rows may set. Raises RequestError for anything but a tenant and a priority."""
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else list(given)
    if wrong := [name for name in names if name not in ("tenant", "priority")]:
        raise RequestError(f"rows may set tenant and priority, and not {wrong[0]!r}")
    return cast("RowsMaySet", frozenset(names))


def _typed_field(field: tuple[str, Any]) -> str:
    """Return `NAME=JSON`, the form of `--set`. Raises RequestError if the value cannot be written as JSON."""
    name, value = field
    try:
        return f"{name}={orjson.dumps(value).decode()}"
    except TypeError as error:
        raise RequestError(f"the field {name} cannot be written as JSON: {error}") from None


def _input_format(name: str) -> InputFormat | str:
    """Return the format of rows of this name, or the name itself if documents have such a format. Raises RequestError."""
    if name in FORMATS:
        return name
    try:
        return InputFormat(name)
    except ValueError:
        known = [*InputFormat, *sorted(FORMATS)]
        like = did_you_mean(name, known)
        raise RequestError(f"there is no format {name!r}{like}: give one of {', '.join(known)}") from None


def _named(form: type[Form], name: str, what: str) -> Form:
    try:
        return form(name)
    except ValueError:
        raise RequestError(f"there is no {what} {name!r}: give one of {', '.join(form)}") from None


def moment_to_come(what: str, when: When | None, now: datetime) -> datetime | None:
    """Return the moment that `when` means at `now`; None if `when` is None.

    Raises RequestError if the moment is past. The message calls the moment by the name `what`.
    """
    return None if when is None else _to_come(what, when, now)


def _to_come(what: str, when: When, now: datetime, *, may_be_past: bool = False) -> datetime:
    moment = moment_of(when, now)
    if moment <= now and not may_be_past:
        raise RequestError(f"{what}, {when}, is past: name a time to come, such as 06:00 or +8h")
    return moment
