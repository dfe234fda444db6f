"""The option by which a command counts rows for review as done."""

from typing import Annotated

import typer

AcceptReview = Annotated[
    bool, typer.Option("--accept-review", help="Exit status 0 although rows are for review.", show_default=False)
]
