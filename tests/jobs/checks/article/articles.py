"""Makes articles for the tests of this folder, and runs a check over them."""

from collections.abc import Sequence
from typing import Any

from jobs.findings import Finding
from tests.support.checking import findings_of


def words_of(count: int, word: str = "w") -> str:
    """Return `count` different words."""
    return " ".join(f"{word}{n}" for n in range(count))


def found(
    code: str,
    body: str,
    *,
    title: str = "A title",
    description: str = "A description.",
    limits: dict[str, Any] | None = None,
    **request: Any,
) -> list[Finding]:
    """Return the findings of one check in an article."""
    output = {"body_markdown": body, "title": title, "meta_description": description}
    return findings_of(code, "article", {"topic": "Tomatoes", **request}, output, **(limits or {}))


def marked(findings: Sequence[Finding], body: str) -> list[str]:
    """Return the parts of the body that findings point at."""
    return [body[one.where.start : one.where.end] if one.where else "" for one in findings]
