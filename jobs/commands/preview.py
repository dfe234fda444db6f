"""`preview`: the prompts that the first rows of a file begin with, and how many tokens they have."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands import shell_completion as completion
from jobs.commands.session import Session
from jobs.errors import RequestError
from jobs.formats.record import InputFormat

if TYPE_CHECKING:
    from jobs.intake.row_reader import RowFault
    from jobs.operations.preview import Preview


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress preview night.csv --limit 2")(preview)


def preview(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="As for enqueue.")],
    kind: Annotated[
        str | None, typer.Option(help="The kind of rows that name none.", autocompletion=completion.kinds)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model of rows that name none.", autocompletion=completion.models)
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="For rows that lack it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 5,
    form: Annotated[
        InputFormat | None, typer.Option("--format", help="How the file is written.  [default: as it looks]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
) -> None:
    """Show the prompts of the first rows.

    With their token counts. Nothing is enqueued. Of a kind that asks several times, what it asks first.
    """
    from jobs.formats.detection import records
    from jobs.formats.source import decompressed, open_source
    from jobs.intake.accept import IntakeOptions, row_reader
    from jobs.intake.row_reader import RowFault
    from jobs.kinds.registry import load_kinds
    from jobs.operations.preview import previews

    session: Session = ctx.obj
    settings = session.settings
    kinds = load_kinds(settings.templates_dir)
    reader = row_reader(IntakeOptions(kind=kind, model=model, set=tuple(set_ or ())), kinds, settings)
    faults, seen = 0, False
    with ExitStack() as files:
        text = files.enter_context(decompressed(files.enter_context(open_source(file, settings.options_for(file)))))
        for shown in previews(records(text, reader, form), reader, kinds, settings, limit):
            faults, seen = faults + isinstance(shown, RowFault), True
            if as_json:
                session.write_json(_as_json(shown))
            elif isinstance(shown, RowFault):
                session.write(f"row {shown.row}, {shown}")
            else:
                _write(session, shown)
    if not seen:
        raise RequestError(f"{file} holds no rows")
    raise typer.Exit(1 if faults else 0)


def _write(session: Session, shown: Preview) -> None:
    request = shown.request
    named = f" ({request.custom_id})" if request.custom_id is not None else ""
    about = "" if shown.exact else "about "
    session.write(f"row {request.row}{named}: {request.kind} by {request.model}")
    for prompt, tokens in zip(shown.prompts, shown.tokens, strict=True):
        session.write(f"  {prompt.label}: {about}{tokens:,} tokens, at most {_most(shown, prompt):,} more")
        turns: list[tuple[str, str]] = [(turn.role, turn.content) for turn in prompt.messages]
        for role, text in turns or [("text", prompt.text)]:
            session.write(f"    {role}:")
            for line in text.splitlines():
                session.write(f"      {line}")


def _most(shown: Preview, prompt: Any) -> int:
    return int(shown.request.max_tokens or prompt.params.max_tokens)


def _as_json(shown: Preview | RowFault) -> dict[str, Any]:
    from jobs.intake.row_reader import RowFault

    if isinstance(shown, RowFault):
        return {"row": shown.row, "custom_id": shown.custom_id, "kind": shown.kind, "error": shown.error}
    request = shown.request
    return {
        "row": request.row,
        "custom_id": request.custom_id,
        "kind": request.kind,
        "model": request.model,
        "prompts": [
            {
                "label": prompt.label,
                "messages": [{"role": turn.role, "content": turn.content} for turn in prompt.messages],
                "text": prompt.text,
                "prompt_tokens": tokens,
                "exact": shown.exact,
                "max_tokens": _most(shown, prompt),
            }
            for prompt, tokens in zip(shown.prompts, shown.tokens, strict=True)
        ],
    }
