"""Reads an answer as the words of a social post: takes off what the model put around them, and its own links and hashtags."""

import re
from typing import Final

from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt
from jobs.kinds.parts.post_request import SocialPostRequest
from jobs.writing.cleaning import Draft
from jobs.writing.evidence import Brief
from jobs.writing.hashtags import HASHTAG, without_hashtags
from jobs.writing.labels import POST, TITLE
from jobs.writing.links.markdown_links import MARKDOWN_LINK
from jobs.writing.links.path_ends import end_of_path
from jobs.writing.links.web_links import LINK
from jobs.writing.platforms import LIMITS
from jobs.writing.prose import whole_sentences

_BOLD: Final = re.compile(r"(?<![0-9A-Za-z)])\*\*(?=[^\s*])([^*\n]{1,1000})(?<=\S)\*\*(?!\d)")

_GONE: Final = "\ue000"
"""A private-use character of Unicode, which stands for a link that was taken out."""

_EMPTIED: Final = re.compile(rf"<{_GONE}>|\[{_GONE}\]| ?\({_GONE}\)| ?\uff08{_GONE}\uff09")
"""Matches brackets that held only a link that was taken out."""


def words_of(request: SocialPostRequest, prompt: Prompt, answer: Completion) -> tuple[str, list[str]]:
    """Return the model's words as plain text, and the parts that were taken off.

    Hashtags that the topic or the source text has stay; all others are taken out (jobs/writing/hashtags.py). A link is kept only
    if it stands in the topic or the source text and is not the row's `link`.

    Raises CheckFailed if no words are left, or if the answer was cut off and has no whole sentence.
    """
    given = f"{request.topic} {request.source_text}"
    brief = Brief("\n".join(value for value in (request.topic, request.source_text) if value))
    draft = _begun(brief, prompt, answer)
    text = _BOLD.sub(r"\1", MARKDOWN_LINK.sub(lambda link: _noted(draft, link, link[1]), draft.text))
    if request.link and not LINK.fullmatch(request.link):  # LINK ends early in this link, at letters such as Japanese
        text = text.replace(request.link, "")
    text = _without_made_up_links(text, given, request.link, draft)
    text = _EMPTIED.sub("", text).replace(_GONE, "")
    text = text.translate(dict.fromkeys(map(ord, LIMITS[request.platform].unpostable)))
    tags = {tag.casefold() for tag in HASHTAG.findall(given)} - {tag[1:].casefold() for tag in request.tags}
    text = without_hashtags(text, tags, draft.note)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(" ".join(line.split()) for line in text.splitlines())).strip()
    draft.text = text
    draft.drop_quotes(brief)
    if not re.search(r"\w", draft.text):
        raise CheckFailed("empty_output", "the model wrote no post")
    if answer.finish_reason == "length":
        draft.cut_to(whole_sentences(draft.text))
        if not re.search(r"\w", draft.text):
            raise CheckFailed("output_incomplete", "the post was cut off before the end of its first sentence")
    return draft.text, draft.removed


def _without_made_up_links(text: str, given: str, own: str | None, draft: Draft) -> str:
    """Replace each link that is not in `given`, and each that is the row's `own`, by `_GONE`, and note it in `draft`."""
    whole: dict[str, list[str]] = {}
    for link in LINK.finditer(given):
        if link[0] != own:
            end = end_of_path(given, *link.span())
            whole.setdefault(link[0].rstrip("/"), []).append(given[link.start() : end].rstrip("/"))
    parts, place = list[str](), 0
    for link in LINK.finditer(text):
        start, end = link.start(), end_of_path(text, *link.span())
        known = whole.get(link[0].rstrip("/"), [])
        if start < place or (known and (end == link.end() or any(text.startswith(one, start) for one in known))):
            continue
        draft.note(text[start:end])
        parts += [text[place:start], _GONE]
        place = end
    return "".join([*parts, text[place:]])


def _begun(brief: Brief, prompt: Prompt, answer: Completion) -> Draft:
    """Return the completion as a draft, without the labels, fences and quotes that the model put around the post."""
    draft = Draft(answer.text)
    draft.drop_json(brief, POST)
    draft.drop_fence()
    draft.drop_announcement(brief, POST, unnamed=False)
    draft.drop_fence()
    draft.drop_json(brief, POST)
    first, _, rest = draft.text.partition("\n")
    if rest.strip() and brief.repeats(first, prompt):
        draft.cut_to(rest.strip())
    draft.drop_around(brief, POST, TITLE)
    return draft


def _noted(draft: Draft, found: re.Match[str], kept: str) -> str:
    """Note a link that is taken out, and return `kept`, the part of it that stays."""
    draft.note(found[0])
    return kept
