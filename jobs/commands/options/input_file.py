"""The options of the commands that read files of rows: `enqueue`, `preview`, `run` and `nightly`.

A command lists the options in its signature, and passes them on with `input_options`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import shell_completion as completion

if TYPE_CHECKING:
    from jobs.operations.enqueue_options import EnqueueOptions

File = Annotated[
    str,
    typer.Argument(metavar="FILE|-", help="JSON Lines, CSV, OpenAI batch or Parquet; a URL; - is standard input."),
]
Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|-",
        help="JSON Lines, CSV, OpenAI batch or Parquet; documents or a folder of them; a URL; - is standard input.",
    ),
]
Kind = Annotated[str | None, typer.Option(help="The kind of rows that name none.", autocompletion=completion.kinds)]
Model = Annotated[str | None, typer.Option(help="The model of rows that name none.", autocompletion=completion.models)]
OverrideModel = Annotated[
    bool, typer.Option("--override-model", help="Give --model to all rows, also to those that name another.")
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="A field for rows that lack it.")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="FIELD=COLUMN", help="The column or key that a field is taken from; or @FILE of them."
    ),
]
Extra = Annotated[
    list[str] | None,
    typer.Option(
        "--extra", metavar="COLUMNS", help="Other columns to keep in the metadata: names, metadata for all, or none."
    ),
]
Header = Annotated[
    str | None, typer.Option(metavar="NAMES", help="The columns of a CSV without a header: topic,keywords.")
]
HeaderRow = Annotated[int | None, typer.Option(min=1, help="The line of a CSV's header.  [default: it is found]")]
Tenant = Annotated[str | None, typer.Option(help="The tenant of the rows: who is billed.")]
RowsMaySet = Annotated[
    str | None, typer.Option(metavar="FIELDS", help="What rows may set themselves: tenant, priority.")
]
Budget = Annotated[
    str | None,
    typer.Option(metavar="AMOUNT", help="What all rows may be charged, such as 20EUR; at its end the batch pauses."),
]
BudgetOfEach = Annotated[
    str | None,
    typer.Option(metavar="AMOUNT", help="What the rows of each file may be charged, such as 20EUR."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N rows, as a trial.")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="jsonl, csv, openai or parquet; of documents: po, markdown, json, xliff...  [default: it is found]",
        autocompletion=completion.input_formats,
    ),
]
All = Annotated[bool, typer.Option("--all", help="Send segments of documents too that are translated already.")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse the whole file when a row is bad.")]


def input_options(
    *,
    kind: str | None = None,
    model: str | None = None,
    override_model: bool = False,
    set_: Sequence[str] | None = None,
    map_: Sequence[str] | None = None,
    extra: Sequence[str] | None = None,
    header: str | None = None,
    header_row: int | None = None,
    tenant: str | None = None,
    rows_may_set: str | None = None,
    form: str | None = None,
    with_done: bool = False,
) -> "EnqueueOptions":
    """Return the options that say how a file is read."""
    return {
        "kind": kind,
        "model": model,
        "override_model": override_model,
        "fields": set_,
        "map": map_,
        "extra": extra,
        "header": header,
        "header_row": header_row,
        "tenant": tenant,
        "rows_may_set": rows_may_set,
        "format": form,
        "with_done": with_done,
    }
