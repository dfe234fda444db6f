"""An article: an outline, then its sections side by side, then title and description side by side.

The text of a small model is read leniently, and missing parts are filled in: a default outline, the topic as the title, the
first sentences as the description. A section that was cut off ends with its last whole sentence. A section that has no
words, or that was cut off within its first sentence, is asked for again, at most twice. If a section fails three times, the
article fails. `articles/sections.py` writes the sections, and says what is done about those that break the article's contract.
"""

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from jobs.checks.article.heading_repeats_title import mended
from jobs.checks.checker import MAX_REGENERATIONS, UNCHECKED, Checker
from jobs.checks.contract import Contract
from jobs.generation import Completion, Prompt, SamplingParams
from jobs.kinds.articles.heads import MAX_META_DESCRIPTION, MAX_TITLE, Heads, most_tokens_of_heads
from jobs.kinds.articles.sections import LEAST_WORDS, Passage, Sections, body_of
from jobs.languages.names import language_name
from jobs.writing.articles.headings import read_outline
from jobs.writing.asking_again import label_of_try
from jobs.writing.cleaning import CleanedOutput
from jobs.writing.evidence import Brief
from jobs.writing.fields import LanguageTag, Line, Text
from jobs.writing.prose import clipped, slug_of
from jobs.writing.templates import Templates
from jobs.writing.words.keywords import Reader
from jobs.writing.words.words import primary, words

WORDS_PER_SECTION: Final = 120
"""The number of sections in an outline is the number of target words divided by this, rounded."""

MAX_WORDS_PER_SECTION: Final = 400
"""The model is asked for at most this many words in a section, because a section must fit into a small model's context."""

MAX_HEADING: Final = 100
"""A heading has at most this many characters."""

DEFAULT_OUTLINE: Final = ("Introduction", "Why it matters", "How to begin", "What to look out for", "In short")
"""The headings of an English article if the model writes no outline. If the article has fewer sections, it gets the first of
these headings and the last one. An article with one section, or in another language, gets its topic as the only heading.
"""


class ArticleRequest(BaseModel):
    """The request of an article: its topic, readers and length."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: Text = Field(max_length=2_000, description="What the article is about.")
    keywords: tuple[Annotated[Line, StringConstraints(max_length=100)], ...] = Field(
        default=(), max_length=50, description="Words that the article should contain."
    )
    audience: Text | None = Field(default=None, max_length=500, description="The readers of the article.")
    tone: Text | None = Field(default=None, max_length=200, description="The tone, such as friendly or expert.")
    language: LanguageTag = Field(default="en", description="The language to write in, as a BCP 47 tag.")
    target_words: int = Field(default=400, ge=50, le=5_000, description="About how many words the article should have.")
    outline: tuple[Annotated[Line, StringConstraints(max_length=200)], ...] | None = Field(
        default=None,
        min_length=1,
        max_length=40,
        description="The headings of the sections. None: the model writes them.",
    )
    brand_voice: Text | None = Field(default=None, max_length=5_000, description="How texts of the brand sound.")
    summary: bool = Field(default=False, description="Whether to write a summary of two or three sentences, too.")
    faq: int = Field(default=0, ge=0, le=20, description="How many questions with answers to write, too.")


class Question(BaseModel):
    """A question that readers have, and its answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1, description="The question.")
    answer: str = Field(min_length=1, description="Its answer.")


class Article(CleanedOutput):
    """An article, ready to be published."""

    title: str = Field(min_length=1, max_length=MAX_TITLE, description="The headline.")
    slug: str = Field(
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
        max_length=80,
        description="The title for a URL: lower-case ASCII letters, digits and hyphens.",
    )
    meta_description: str = Field(
        min_length=1,
        max_length=MAX_META_DESCRIPTION,
        description=f"A summary of at most {MAX_META_DESCRIPTION} characters.",
    )
    body_markdown: str = Field(min_length=1, description="The sections, each below a heading of the second level.")
    word_count: int = Field(ge=1, description="Words of the body with its headings; an ideograph is a word.")
    summary: str | None = Field(
        default=None, exclude_if=lambda summary: summary is None, description="If asked for: what the article says."
    )
    faq: tuple[Question, ...] | None = Field(
        default=None, exclude_if=lambda faq: faq is None, description="If asked for: questions with their answers."
    )


class ArticleKind:
    """The kind `article`."""

    name = "article"
    request_type = ArticleRequest
    output_type = Article
    contract = Contract(
        texts={
            "body_markdown": "markdown",
            "title": "plain",
            "meta_description": "plain",
            "summary": "plain",
            "faq": "plain",
        },
        checks=(
            "words_off_target",
            "seo_title",
            "meta_description",
            "keyword_use",
            "headings",
            "heading_repeats_title",
            "sections",
            "sections_alike",
            "faq_incomplete",
            "invented",
            "readability",
        ),
    )
    example: Mapping[str, Any] = {
        "topic": "Growing tomatoes on a small balcony",
        "keywords": ["tomatoes", "pots", "sunlight"],
        "audience": "beginners",
        "tone": "friendly",
        "target_words": 400,
    }

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def compose(
        self, request: BaseModel, checker: Checker = UNCHECKED
    ) -> Generator[Sequence[Prompt], Sequence[Completion], Article]:
        """Ask for the outline (unless the row has one), then the sections, then title, description and what else is wanted."""
        if not isinstance(request, ArticleRequest):
            raise TypeError(type(request))
        brief, removed = _brief(request), dict[str, Sequence[str]]()
        headings: Sequence[str] | None = request.outline
        if headings is None:
            count = max(1, round(request.target_words / WORDS_PER_SECTION))
            asked = self._prompt("outline", request, 16 * count + 24, sections=count)
            (answer,) = yield [asked]
            headings, removed[asked.label] = read_outline(answer, asked, brief, count, MAX_HEADING, request.language)
            headings = _with_focus(headings or _default_headings(request, count), request, checker)
        writer = self._sections(request, headings, checker)
        sections = yield from writer.written(partial(self._section_prompt, request, headings))
        heads = Heads(request, sections, brief, checker)
        yield from heads.written(partial(self._head_prompt, request, sections))
        return _article(request, heads).with_removed({**removed, **writer.removed, **heads.removed})

    def expected_tokens(self, request: BaseModel) -> int:
        """Return one and a half tokens for each word (three if not in English), 120 for outline, title and description, and 60
        for a summary and for each question with its answer.
        """
        factor = _tokens_factor(getattr(request, "language", "en"))
        more = bool(getattr(request, "summary", False)) + int(getattr(request, "faq", 0))
        return int(getattr(request, "target_words", 400)) * 3 // 2 * factor + 120 + 60 * factor * more

    def most_tokens(self, request: BaseModel, own: int | None) -> tuple[int, int]:
        """Return how many prompts of an article may be charged at most, and the most tokens of their completions together.

        `own` is the row's `max_tokens`, if it has one: the limit of each prompt. A section may be continued as often as a text is
        asked for again, and an opening may come before the first.
        """
        if not isinstance(request, ArticleRequest):
            raise TypeError(type(request))
        count = len(request.outline or ()) or max(1, round(request.target_words / WORDS_PER_SECTION))
        passages = count * (1 + MAX_REGENERATIONS) + 1
        words = min(MAX_WORDS_PER_SECTION, max(LEAST_WORDS, request.target_words))
        heads = most_tokens_of_heads(request)
        limits = [16 * count + 24] * (request.outline is None) + [words * 2 + 20] * passages + heads
        factor = _tokens_factor(request.language)
        return len(limits), sum(own or limit * factor for limit in limits)

    def _sections(self, request: ArticleRequest, headings: Sequence[str], checker: Checker) -> Sections:
        """Return the sections, to be written below these headings."""
        return Sections(headings, request.target_words, request.keywords, request.language, _brief(request), checker)

    def _section_prompt(
        self, request: ArticleRequest, headings: Sequence[str], passage: Passage, written: str
    ) -> Prompt:
        asked = min(MAX_WORDS_PER_SECTION, passage.words)
        return self._prompt(
            label_of_try(passage.label, passage.tries),
            request,
            asked * 2 + 20,
            replaces=label_of_try(passage.label, passage.tries - 1) if passage.tries > 1 else None,
            heading=passage.heading,
            words=asked,
            headings=headings,
            must_use=passage.must_use,
            written=written,
            opens=passage.opens,
            again=passage.tries > 1,
            faults=passage.faults,
        )

    def _head_prompt(
        self,
        request: ArticleRequest,
        sections: Sequence[tuple[str, str]],
        label: str,
        number: int,
        max_tokens: int,
        faults: Sequence[str],
    ) -> Prompt:
        return self._prompt(
            label_of_try(label, number),
            request,
            max_tokens,
            replaces=label_of_try(label, number - 1) if number > 1 else None,
            headings=[heading for heading, _ in sections],
            faults=faults,
        )

    def _prompt(
        self, label: str, request: ArticleRequest, max_tokens: int, *, replaces: str | None = None, **values: object
    ) -> Prompt:
        shown: Sequence[str] = tuple(map(str, values.get("headings") or ()))  # type: ignore[call-overload]
        quoted: Sequence[str] = tuple(map(str, values.get("faults") or ()))  # type: ignore[call-overload]
        step = "section" if label.startswith(("section", "opening")) else label.partition(",")[0].replace(" ", "_")
        messages, sha256 = self._templates.messages(
            "article_system.j2",
            f"article_{step}.j2",
            request=request,
            language=language_name(request.language),
            **values,
        )
        return Prompt(
            messages=messages,
            params=SamplingParams(
                max_tokens=max_tokens * _tokens_factor(request.language),
                temperature=0.7,
                top_p=0.9,
                repetition_penalty=1.1,
            ),
            label=label,
            replaces=replaces,
            template_sha256=sha256,
            quotes=(str(values.get("written") or ""), *quoted, *([] if request.outline else shown)),
        )


def _tokens_factor(language: str) -> int:
    """Return 1 for English. Return 2 for other languages: their texts have more tokens, because vocabularies are made for
    English.
    """
    return 1 if primary(language) == "en" else 2


def _brief(request: ArticleRequest) -> Brief:
    """Return the words of the request. By these, content is told from a model's own labels."""
    values = (
        request.topic,
        *request.keywords,
        *(request.outline or ()),
        request.audience,
        request.tone,
        request.brand_voice,
    )
    return Brief("\n".join(value for value in values if value))


def _default_headings(request: ArticleRequest, sections: int) -> tuple[str, ...]:
    """Return default headings, for an article for which the model's outline has no heading."""
    if sections == 1 or _tokens_factor(request.language) > 1:
        return (clipped(request.topic, MAX_HEADING),)
    return (*DEFAULT_OUTLINE[: min(sections, len(DEFAULT_OUTLINE)) - 1], DEFAULT_OUTLINE[-1])


def _with_focus(headings: Sequence[str], request: ArticleRequest, checker: Checker) -> Sequence[str]:
    """Return the headings that the model wrote. If keywords are checked and no heading has the first one, the first heading gets
    it.
    """
    focus = request.keywords[:1]
    limits = checker.limits("keyword_use")
    if not focus or limits is None or limits["focus"] < 1:
        return headings
    if any(Reader(focus, request.language).counts("\n".join(headings))):
        return headings
    first = f"{focus[0][:1].upper()}{focus[0][1:]}: {headings[0]}"
    return (clipped(first, MAX_HEADING), *headings[1:])


def _article(request: ArticleRequest, heads: Heads) -> Article:
    body, headline = body_of(heads.sections), heads.title
    if heads.checker.limits("heading_repeats_title") is not None:
        body, _ = mended(headline, body, request.outline or ())
    return Article(
        title=headline,
        slug=slug_of(headline),
        meta_description=heads.description,
        body_markdown=body + "\n",
        word_count=len(words(body)),
        summary=heads.summary,
        faq=tuple(Question(question=question, answer=answer) for question, answer in heads.questions) or None,
    )
