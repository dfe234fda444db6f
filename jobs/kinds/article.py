"""An article: an outline, then its sections side by side, then title and description.

What a small model writes is read leniently (quotes, numbering and labels around the words are taken off), but a section
that was cut off ends at its last whole sentence, and an article without whole sentences is not published.
"""

import re
import unicodedata
from collections.abc import Generator, Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from jobs.errors import CheckFailed
from jobs.generation import Completion, Message, Prompt, SamplingParams
from jobs.kinds.social_post import whole_sentences
from jobs.kinds.templating import Templates
from jobs.kinds.translation import LanguageTag

WORDS_A_SECTION: Final = 120
META_DESCRIPTION: Final = 160
TITLE: Final = 120
_LABEL: Final = re.compile(
    r"^(?:title|meta description|description|headings?|outline|section)\s*\d*\s*:\s*", re.IGNORECASE
)
_NUMBERED: Final = re.compile(r"^\s*(?:[-*+•]|#{1,6}|\(?\d{1,2}[.):]|[IVX]{1,4}[.)])\s*")

Heading = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ArticleRequest(BaseModel):
    """What to write about, for whom, and how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str = Field(min_length=1, max_length=2_000, description="What the article is about.")
    keywords: tuple[Annotated[str, StringConstraints(min_length=1, max_length=100)], ...] = Field(
        default=(), max_length=50, description="Words that it should contain."
    )
    audience: str | None = Field(default=None, min_length=1, max_length=500, description="Who reads it.")
    tone: str | None = Field(default=None, min_length=1, max_length=200, description="Such as friendly or expert.")
    language: LanguageTag = Field(default="en", description="The language to write in, as a BCP 47 tag.")
    target_words: int = Field(default=400, ge=50, le=5_000, description="About how long it should be.")
    outline: tuple[Heading, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=40,
        description="The headings of its sections. None: the model makes them.",
    )
    brand_voice: str | None = Field(default=None, min_length=1, max_length=5_000, description="How the brand speaks.")


class Article(BaseModel):
    """An article, ready to be published."""

    model_config = ConfigDict(frozen=True)

    title: str = Field(description="The headline.")
    slug: str = Field(description="The title for a URL: lower-case ASCII letters, digits and hyphens.")
    meta_description: str = Field(description=f"A summary of at most {META_DESCRIPTION} characters.")
    body_markdown: str = Field(description="The sections, each under a heading of the second level.")
    word_count: int = Field(description="Words of the body, headings included.")


class ArticleKind:
    """The kind `article`."""

    name = "article"
    request_type = ArticleRequest
    output_type = Article

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], Article]:
        """Outline (unless given), sections side by side, title and description side by side."""
        if not isinstance(request, ArticleRequest):
            raise TypeError(type(request))
        sections = max(1, round(request.target_words / WORDS_A_SECTION))
        headings = request.outline
        if headings is None:
            (answer,) = yield [self._prompt("outline", request, 16 * sections + 24, sections=sections)]
            headings = _headings(answer.text, request.topic, sections)
        words = max(30, request.target_words // len(headings))
        written = yield [
            self._prompt(f"section {n + 1}", request, words * 2 + 20, heading=heading, words=words, headings=headings)
            for n, heading in enumerate(headings)
        ]
        body = "\n\n".join(
            f"## {heading}\n\n{_section(answer, heading)}" for heading, answer in zip(headings, written, strict=True)
        )
        title, description = yield [
            self._prompt("title", request, 40, headings=headings),
            self._prompt("meta description", request, 70, headings=headings),
        ]
        return _article(_one_line(title.text) or request.topic, _one_line(description.text), body)

    def expected_tokens(self, request: BaseModel) -> int:
        """About one and a half for each word, and the outline, title and description."""
        return int(getattr(request, "target_words", 400)) * 3 // 2 + 120

    def _prompt(self, label: str, request: ArticleRequest, max_tokens: int, **values: object) -> Prompt:
        step = label.partition(" ")[0] if label.startswith("section") else label.replace(" ", "_")
        system = self._templates.render("article_system.j2")
        user = self._templates.render(f"article_{step}.j2", request=request, **values)
        return Prompt(
            messages=(Message("system", system.text), Message("user", user.text)),
            params=SamplingParams(max_tokens=max_tokens, temperature=0.7, top_p=0.9, repetition_penalty=1.1),
            label=label,
            template_sha256=user.sha256,
        )


def slug_of(title: str) -> str:
    """A title for a URL: ASCII letters, digits and single hyphens, at most 80 characters; `article` when none is left."""
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:80].rstrip("-") or "article"


def _headings(written: str, topic: str, sections: int) -> tuple[str, ...]:
    """At most `sections` headings from a list that a model wrote, each once; the topic where it wrote none."""
    lines = [_bare(_NUMBERED.sub("", line)) for line in written.splitlines()]
    found = [line for line in dict.fromkeys(lines) if 2 <= len(line) <= 100 and not line.endswith(":")]
    return tuple(found[:sections]) or (topic[:100],)


def _section(answer: Completion, heading: str) -> str:
    paragraphs = [line.strip() for line in answer.text.splitlines()]
    kept = [line for line in paragraphs if line and not line.startswith("#") and _bare(line).lower() != heading.lower()]
    if not kept:
        raise CheckFailed("empty_output", f"the section {heading!r} came out empty")
    if answer.finish_reason == "length":
        text = whole_sentences("\n\n".join(kept))
        if not text.endswith((".", "!", "?", "…")):
            raise CheckFailed("output_incomplete", f"the section {heading!r} ended before its first sentence did")
        return text
    return "\n\n".join(kept)


def _article(title: str, description: str, body: str) -> Article:
    title = title[:TITLE].strip()
    if not description:
        description = whole_sentences(body.partition("\n\n")[2])
    if len(description) > META_DESCRIPTION:
        description = description[: META_DESCRIPTION - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"
    return Article(
        title=title,
        slug=slug_of(title),
        meta_description=description,
        body_markdown=body + "\n",
        word_count=len(re.findall(r"\w+(?:['\u2019-]\w+)*", body)),
    )


def _one_line(written: str) -> str:
    """The first line with words in it, bare."""
    return next((bare for line in written.splitlines() if (bare := _bare(_NUMBERED.sub("", line)))), "")


def _bare(text: str) -> str:
    """Without labels, emphasis and quotes around it."""
    return _LABEL.sub("", text.strip().strip("*_ ")).strip().strip("*_\"'“”«» ").strip()
