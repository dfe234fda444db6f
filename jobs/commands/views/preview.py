"""Shows a preview to a person: the prompts of a row, each with its number of tokens."""

from collections.abc import Iterator

from jobs.operations.preview import Preview
from jobs.printable import one_line


def lines(shown: Preview) -> Iterator[str]:
    """Yield a line for the row, then for each prompt its number of tokens (`about` if estimated) and its messages or text."""
    request = shown.request
    named = f" ({one_line(request.custom_id)})" if request.custom_id is not None else ""
    about = "" if shown.exact else "about "
    yield f"row {request.row}{named}: {request.kind} by {request.model}"
    if shown.remark is not None:
        yield f"  note: {shown.remark}"
    if not shown.prompts and request.known:
        yield "  nothing is asked: the translation memory has all its segments"
    for prompt, tokens in zip(shown.prompts, shown.tokens, strict=True):
        yield f"  {prompt.label}: {about}{tokens:,} tokens, at most {shown.max_tokens(prompt):,} more"
        turns: list[tuple[str, str]] = [(turn.role, turn.content) for turn in prompt.messages]
        for role, text in turns or [("text", prompt.text)]:
            yield f"    {role}:"
            for line in text.splitlines():
                yield f"      {line}"
