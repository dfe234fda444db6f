"""An article: an outline, then its sections side by side, then title and description side by side.

The text of a small model is read leniently, and missing parts are filled in: a default outline, the topic as the title, the
first sentences as the description. A section that was cut off ends with its last whole sentence. A section that has no
words, or that was cut off within its first sentence, is asked for again, at most twice. If a section fails three times, the
article fails. `article_sections.py` writes the sections, and says what is done about those that break the article's contract.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from jobs.checks.article.heading_repeats_title import mended
from jobs.checks.checker import UNCHECKED, Checker
from jobs.checks.contract import Contract
from jobs.findings import Finding
from jobs.generation import Completion, Prompt, SamplingParams
from jobs.kinds.article_sections import Passage, Sections, body_of
from jobs.writing.asking_again import label_of_try
from jobs.writing.cleaning import MARKER, CleanedOutput
from jobs.writing.evidence import Brief
from jobs.writing.fields import LanguageTag, Line, Text, language_name
from jobs.writing.fitting import fitted_description, fitted_title
from jobs.writing.headings import read_description, read_outline, read_title
from jobs.writing.links.markdown_links import without_markdown_links
from jobs.writing.prose import FENCE, clipped, sentences, slug_of
from jobs.writing.sections import first_paragraph
from jobs.writing.templates import Templates
from jobs.writing.words.keywords import Reader
from jobs.writing.words.words import primary, words

WORDS_PER_SECTION: Final = 120
"""The number of sections in an outline is the number of target words divided by this, rounded."""

MAX_WORDS_PER_SECTION: Final = 400
"""The model is asked for at most this many words in a section, because a section must fit into a small model's context."""

HEADS: Final[Mapping[str, int]] = {"title": 40, "meta description": 70}
"""The prompts for title and description -> the most tokens of their answers."""

MAX_META_DESCRIPTION: Final = 160
MAX_TITLE: Final = 120
MAX_HEADING: Final = 100
"""A description, a title and a heading have at most this many characters each."""

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


class ArticleKind:
    """The kind `article`."""

    name = "article"
    request_type = ArticleRequest
    output_type = Article
    contract = Contract(
        texts={"body_markdown": "markdown", "title": "plain", "meta_description": "plain"},
        checks=(
            "words_off_target",
            "seo_title",
            "meta_description",
            "keyword_use",
            "headings",
            "heading_repeats_title",
            "sections",
            "sections_alike",
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
        """Ask for the outline (unless the row has one), then the sections, then title and description."""
        if not isinstance(request, ArticleRequest):
            raise TypeError(type(request))
        brief, removed = _brief(request), dict[str, Sequence[str]]()
        headings = request.outline
        if headings is None:
            count = max(1, round(request.target_words / WORDS_PER_SECTION))
            asked = self._prompt("outline", request, 16 * count + 24, sections=count)
            (answer,) = yield [asked]
            headings, removed[asked.label] = read_outline(answer, asked, brief, count, MAX_HEADING, request.language)
            headings = headings or _default_headings(request, count)
        writer = self._sections(request, headings, checker)
        sections = yield from writer.written(partial(self._section_prompt, request, headings))
        title, description, others = yield from self._heads(request, sections, checker)
        article = _article(request, title, description, sections, checker)
        return article.with_removed({**removed, **writer.removed, **others})

    def expected_tokens(self, request: BaseModel) -> int:
        """Return one and a half tokens for each word (three if not in English), and 120 for outline, title and description."""
        language = getattr(request, "language", "en")
        return int(getattr(request, "target_words", 400)) * 3 // 2 * _tokens_factor(language) + 120

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
            again=passage.tries > 1,
            faults=passage.faults,
        )

    def _heads(
        self, request: ArticleRequest, sections: Sequence[tuple[str, str]], checker: Checker
    ) -> Generator[Sequence[Prompt], Sequence[Completion], tuple[str, str, Mapping[str, Sequence[str]]]]:
        """Ask for title and description, and again for what a check refuses. Returns both, and the parts that were taken off.

        If the last answer is refused too, they are made from the topic and from the first paragraph.
        """
        brief, removed = _brief(request), dict[str, Sequence[str]]()
        headings, due = [heading for heading, _ in sections], dict[str, list[str]](title=[], **{"meta description": []})
        found = dict.fromkeys(HEADS, "")
        for tries in range(1, checker.tries + 1):
            prompts = [
                self._prompt(
                    label_of_try(name, tries),
                    request,
                    HEADS[name],
                    replaces=label_of_try(name, tries - 1) if tries > 1 else None,
                    headings=headings,
                    faults=faults,
                )
                for name, faults in due.items()
            ]
            answers = yield prompts
            for name, prompt, answer in zip(list(due), prompts, answers, strict=True):
                read = read_title if name == "title" else read_description
                found[name], removed[prompt.label] = read(answer, prompt, brief, request.language)
            prompts_read = [text for prompt in prompts for text in prompt.instructions]
            refused = [
                *checker.faults(_heads_as_written(found, sections), prompts=prompts_read),
                *checker.faults(
                    _article(request, found["title"], found["meta description"], sections, checker).model_dump(
                        mode="json"
                    ),
                    prompts=prompts_read,
                ),
            ]
            due = {
                name: faults
                for name in HEADS
                if (
                    faults := [
                        one.message for one in refused if one.where and one.where.field == name.replace(" ", "_")
                    ]
                )
            }
            if not due:
                break
            for name in due:
                found[name] = ""
        return found["title"], found["meta description"], removed

    def _prompt(
        self, label: str, request: ArticleRequest, max_tokens: int, *, replaces: str | None = None, **values: object
    ) -> Prompt:
        quoted: Sequence[str] = tuple(map(str, values.get("faults") or ()))  # type: ignore[call-overload]
        step = "section" if label.startswith("section") else label.partition(",")[0].replace(" ", "_")
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
            quotes=(str(values.get("written") or ""), *quoted),
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


def _article(
    request: ArticleRequest, title: str, description: str, sections: Sequence[tuple[str, str]], checker: Checker
) -> Article:
    """Make the article. If their lengths are checked, title and description are brought to them."""
    headings, paragraph = [heading for heading, _ in sections], first_paragraph(sections)
    headline = clipped(title or request.topic, MAX_TITLE)
    if limits := checker.limits("seo_title"):
        headline = _fitted_title(request, title, [*headings, *_plain_sentences(paragraph)], limits) or headline
    summary = clipped(description or paragraph, MAX_META_DESCRIPTION)
    if limits := checker.limits("meta_description"):
        more = [
            sentence for text in (paragraph, *(text for _, text in sections)) for sentence in _plain_sentences(text)
        ]
        fitted = fitted_description(
            description or paragraph,
            least=limits["least"],
            most=min(limits["most"], MAX_META_DESCRIPTION),
            keywords=request.keywords,
            language=request.language,
            more=more,
        )
        summary = fitted or summary
    body = body_of(sections)
    if checker.limits("heading_repeats_title") is not None:
        body, _ = mended(headline, body, request.outline or ())
    return Article(
        title=headline,
        slug=slug_of(headline),
        meta_description=summary,
        body_markdown=body + "\n",
        word_count=len(words(body)),
    )


def _messages_about(field: str, found: Sequence[Finding]) -> list[str]:
    """Return what is wrong with a field, each fault once."""
    return list(dict.fromkeys(one.message for one in found if one.where and one.where.field == field))


def _heads_as_written(found: Mapping[str, str], sections: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Return title and description before they are brought to their lengths: an announcement may be cut in half by that."""
    written = {name.replace(" ", "_"): text for name, text in found.items() if text}
    return {"body_markdown": body_of(sections), **written}


def _fitted_title(request: ArticleRequest, title: str, more: Sequence[str], limits: Mapping[str, Any]) -> str | None:
    """Return a title of the checked length, if possible with the first keyword; None if there is none.

    It is made from the model's title, or else from the topic. `more` holds headings and sentences for titles that are too short.
    """
    focus = request.keywords[:1]
    bases = [one for one in (title, request.topic) if one]
    bases += [f"{keyword[:1].upper()}{keyword[1:]}: {one}" for keyword in focus for one in bases]
    found = [
        fitted
        for base in bases
        if (
            fitted := fitted_title(
                base,
                least=limits["least"],
                most=min(limits["most"], MAX_TITLE),
                keywords=request.keywords,
                language=request.language,
                more=[*request.keywords, request.topic, *more],
            )
        )
    ]
    reader = Reader(focus, request.language)
    return next((one for one in found if all(reader.counts(one))), next(iter(found), None))


def _plain_sentences(text: str) -> list[str]:
    """Return the sentences of a section's paragraphs, without headings, lists, tables and code."""
    lines = [line for line in text.splitlines() if line and not MARKER.match(line) and not FENCE.match(line)]
    return sentences(without_markdown_links(re.sub(r"[*`]", "", " ".join(lines))))
