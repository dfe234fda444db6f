"""A command that names a row: a negative number is taken for a wrong row, and not for an option."""

import re
from typing import Any, Final

from typer.core import TyperCommand

from jobs.errors import RequestError

_NEGATIVE: Final = re.compile(r"-[0-9]")


class RowCommand(TyperCommand):
    """A command with an argument ROW. No option of it begins with a digit."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = args[: args.index("--")] if "--" in args else args
        if (wrong := next(filter(_NEGATIVE.match, given), None)) is not None:
            raise RequestError(f"no row {wrong}: rows count from 0; the custom_id {wrong} is written id:{wrong}")
        return list(super().parse_args(ctx, args))
