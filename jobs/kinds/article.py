"""An article: an outline, then its sections side by side, then title and description side by side.

The text of a small model is read leniently, and missing parts are filled in: a default outline, the topic as the title, the
first sentences as the description. A section that was cut off ends with its last whole sentence. A section that has no
words, or that was cut off within its first sentence, is asked for again, at most twice. If a section fails three times, the
article fails.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from jobs.checks.contract import Contract
from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt, SamplingParams
from jobs.writing.asking_again import TRIES, label_of_try
from jobs.writing.cleaning import MARKER, CleanedOutput, Draft
from jobs.writing.evidence import Brief, is_heading
from jobs.writing.fields import LanguageTag, Line, Text, language_name
from jobs.writing.headings import read_description, read_outline, read_title, without_beginning
from jobs.writing.labels import CHAPTER, HEADING, SECTION, TITLE
from jobs.writing.links.markdown_links import without_markdown_links
from jobs.writing.prose import FENCE, clipped, slug_of, whole_sentences
from jobs.writing.templates import Templates
from jobs.writing.words.words import primary, words

WORDS_PER_SECTION: Final = 120
"""The number of sections in an outline is the number of target words divided by this, rounded."""

MAX_WORDS_PER_SECTION: Final = 400
"""The model is asked for at most this many words in a section, because a section must fit into a small model's context."""

MAX_META_DESCRIPTION: Final = 160
MAX_TITLE: Final = 120
MAX_HEADING: Final = 100
"""A description, a title and a heading have at most this many characters each."""

DEFAULT_OUTLINE: Final = ("Introduction", "Why it matters", "How to begin", "What to look out for", "In short")
"""The headings of an English article if the model writes no outline. If the article has fewer sections, it gets the first of
these headings and the last one. An article with one section, or in another language, gets its topic as the only heading.
"""

_HEADING_LINE: Final = re.compile(r" {0,3}#{1,6}\s+")
_UNDERLINE: Final = re.compile(r"\s*(?:=+|-{2,})\s*")


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

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], Article]:
        """Ask for the outline (unless the row has one), then the sections (failed ones again), then title and description."""
        if not isinstance(request, ArticleRequest):
            raise TypeError(type(request))
        brief, removed = _brief(request), dict[str, Sequence[str]]()
        headings = request.outline
        if headings is None:
            sections = max(1, round(request.target_words / WORDS_PER_SECTION))
            asked = self._prompt("outline", request, 16 * sections + 24, sections=sections)
            (answer,) = yield [asked]
            headings, removed[asked.label] = read_outline(answer, asked, brief, sections, MAX_HEADING, request.language)
            headings = headings or _default_headings(request, sections)
        texts = yield from self._sections(request, headings, removed)
        prompts = [
            self._prompt("title", request, 40, headings=headings),
            self._prompt("meta description", request, 70, headings=headings),
        ]
        answers = yield prompts
        title, removed["title"] = read_title(answers[0], prompts[0], brief, request.language)
        description, removed["meta description"] = read_description(answers[1], prompts[1], brief, request.language)
        article = _article(request, title, description, list(zip(headings, texts, strict=True)))
        return article.with_removed(removed)

    def expected_tokens(self, request: BaseModel) -> int:
        """Return one and a half tokens for each word (three if not in English), and 120 for outline, title and description."""
        language = getattr(request, "language", "en")
        return int(getattr(request, "target_words", 400)) * 3 // 2 * _tokens_factor(language) + 120

    def _sections(
        self, request: ArticleRequest, headings: Sequence[str], removed: dict[str, Sequence[str]]
    ) -> Generator[Sequence[Prompt], Sequence[Completion], Sequence[str]]:
        """Ask for the text below each heading, and return the texts. Raises CheckFailed if a section fails `TRIES` times.

        The parts that are taken off a text are added to `removed`.
        """
        words = min(MAX_WORDS_PER_SECTION, max(30, request.target_words // len(headings)))
        labels = [f"section {n}" for n in range(1, len(headings) + 1)]
        sections: dict[str, str] = {}
        for tries in range(1, TRIES + 1):
            due = {label: heading for label, heading in zip(labels, headings, strict=True) if label not in sections}
            prompts = [
                self._prompt(
                    label_of_try(label, tries),
                    request,
                    words * 2 + 20,
                    replaces=label_of_try(label, tries - 1) if tries > 1 else None,
                    heading=heading,
                    words=words,
                    headings=headings,
                    again=tries > 1,
                )
                for label, heading in due.items()
            ]
            answers = yield prompts
            for (label, heading), prompt, answer in zip(due.items(), prompts, answers, strict=True):
                try:
                    sections[label], removed[prompt.label] = _section(answer, heading, _brief(request), prompt)
                except CheckFailed:
                    if tries == TRIES:
                        raise
            if len(sections) == len(labels):
                break
        return [sections[label] for label in labels]

    def _prompt(
        self, label: str, request: ArticleRequest, max_tokens: int, *, replaces: str | None = None, **values: object
    ) -> Prompt:
        step = "section" if label.startswith("section") else label.replace(" ", "_")
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


def _section(answer: Completion, heading: str, brief: Brief, prompt: Prompt) -> tuple[str, list[str]]:
    """Return the Markdown below the heading of a section, and the parts that were taken off.

    Further headings get the third level, and an open code fence is closed. Raises CheckFailed if the answer has no words, or if
    it was cut off and has no whole sentence.
    """
    draft = Draft(answer.text)
    draft.drop_announcement(brief, SECTION, HEADING, inline=False, unnamed=False)
    draft.drop_fence(of_text=True)
    draft.drop_json(brief, SECTION)
    lines, left_out = without_beginning(draft.text.splitlines(), heading, brief, prompt)
    for line in left_out:
        draft.note(line)
    draft.text = _markdown(lines, heading, brief, draft)
    if not words(draft.text):
        raise CheckFailed("empty_output", f"the section {heading!r} is empty")
    if answer.finish_reason == "length":
        draft.cut_to(whole_sentences(draft.text))
        if not words(draft.text):
            raise CheckFailed(
                "output_incomplete", f"the section {heading!r} was cut off before the end of its first sentence"
            )
    return _closed(draft.text), draft.removed


def _markdown(lines: Sequence[str], heading: str, brief: Brief, draft: Draft) -> str:
    """Return the lines of a section, with their headings at the third level. `draft` notes the headings that are left out.

    A heading is left out if no text stands before it, if it repeats the section's own heading, or if it is only a label or a
    number.
    """
    kept: list[str] = []
    fence = ""
    for line in map(str.rstrip, lines):
        mark = match[1] if (match := FENCE.match(line)) else ""
        if fence or mark:
            fence = "" if fence and line.strip() == fence else fence or mark
            kept.append(line)
        elif found := _HEADING_LINE.match(line):
            one = Draft(line[found.end() :])
            one.drop_around(brief, HEADING, CHAPTER, TITLE)
            if (
                any(kept)
                and is_heading(one.text, HEADING, TITLE)
                and one.text.rstrip(":").casefold() != heading.casefold()
            ):
                draft.removed.extend(one.removed)
                kept.append(f"### {one.text}")
            else:
                draft.note(line)
        elif not _UNDERLINE.fullmatch(line) and (line or (kept and kept[-1])):
            kept.append(line)
    return "\n".join(kept).strip()


def _closed(text: str) -> str:
    """Return the text. If its last code fence is open, the line that closes the fence is added."""
    fence = ""
    for line in text.splitlines():
        if match := FENCE.match(line):
            fence = "" if fence and line.strip() == fence else fence or match[1]
    return f"{text}\n{fence}" if fence else text


def _article(request: ArticleRequest, title: str, description: str, sections: Sequence[tuple[str, str]]) -> Article:
    headline = clipped(title or request.topic, MAX_TITLE)
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections)
    return Article(
        title=headline,
        slug=slug_of(headline),
        meta_description=clipped(description or _first_words(sections), MAX_META_DESCRIPTION),
        body_markdown=body + "\n",
        word_count=len(words(body)),
    )


def _first_words(sections: Sequence[tuple[str, str]]) -> str:
    """Return the first paragraph of the article without its markup; the first heading if the paragraph is empty."""
    paragraph = sections[0][1].partition("\n\n")[0]
    lines = [line for line in paragraph.splitlines() if not FENCE.match(line)]
    unmarked = [line[found.end() :] if (found := MARKER.match(line)) else line for line in lines]
    plain = without_markdown_links(" ".join(unmarked))
    return " ".join(re.sub(r"[*`]", "", plain).split()) or sections[0][0]
