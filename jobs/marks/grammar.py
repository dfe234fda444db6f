"""The grammar of marks: finds in a message what a translation keeps as it is, whatever the format of the message is.

Placeholders, addresses and tags are those that the checks find (`jobs/checks/signs/`), so that what is masked is what is checked.
This module adds what only a writer must keep: ERB and PHP, character references, code in backticks, and names of emoji.
"""

from typing import Final

import regex

from jobs.checks.signs.addresses import addresses
from jobs.checks.signs.markup import tags
from jobs.checks.signs.placeholders import placeholders
from jobs.marks.mark import Mark, Role, apart

_MORE: Final = regex.compile(
    r"<%[^%]{0,400}+(?:%(?!>)[^%]{0,400}+){0,20}+%>"  # ERB, EJS
    r"|<\?(?:php|=)[^?]{0,400}+(?:\?(?!>)[^?]{0,400}+){0,20}+\?>"
    r"|\{\{[^{}]{1,400}+\}\}"
    r"|\{%(?:[^{}%]|%(?!\})){1,400}+%\}"
    r"|\{#[^#{}\n]{0,120}+#\}"  # a comment of Jinja
    r"|&(?:[A-Za-z][A-Za-z0-9]{1,31}+|#[0-9]{1,7}+|#[xX][0-9a-fA-F]{1,6}+);"
    r"|(?<![`\\])(`{1,3}+)(?=[^`])[^`\n]{1,500}+\1(?!`)"
    r"|%(?:\d{1,2}\$)?#@[\w.-]{1,60}+@|%arg(?![A-Za-z])"  # what Apple's catalogues put in the place of a form
    r"|\$[A-Za-z_@][\w@]{0,60}+\$"  # a placeholder of a browser extension
    r"|https?://"  # an address that has no host
    r"|(?<![\w:]):[a-z][a-z0-9_+-]{1,40}+:(?![\w:])"  # the name of an emoji
)
_UNNUMBERED: Final = regex.compile(r"%(?![({<%])(?!\d{1,2}\$)(?!L?\d++$)")
_VOID: Final = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)


def find_marks(text: str, *, language: str | None = None, has_tags: bool = True) -> tuple[Mark, ...]:
    """Return the marks of a message, in their order.

    Args:
        text: The message.
        language: The language of the message. In Turkish and Basque `%5` is a percentage and no placeholder.
        has_tags: Whether tags of HTML and XML count as marks. A format that finds its tags itself leaves them out.
    """
    found = [Mark(match.start(), match.end(), match[0]) for match in _MORE.finditer(text)] if _may_have(text) else []
    found += [Mark(one.start, one.end, one.text) for one in addresses(text)]
    for one in placeholders(text, None, language):
        ordered = one.family == "printf" and _UNNUMBERED.match(one.text)
        found.append(Mark(one.start, one.end, one.text, Role.ORDERED if ordered else Role.ALONE))
    if has_tags:
        found += _tags(text)
    return apart(found)


def _may_have(text: str) -> bool:
    return any(sign in text for sign in ("<", "&", "`", ":", "{", "$", "#@", "%arg"))


def _tags(text: str) -> list[Mark]:
    """Return the tags. A tag that is never closed, such as `<p>` in a message, stands alone."""
    found = tags(text)
    roles = dict.fromkeys(range(len(found)), Role.ALONE)
    waiting: list[tuple[str, int]] = []
    for n, tag in enumerate(found):
        name = tag.name.lower()
        if name.startswith("/"):
            at = next((k for k in range(len(waiting) - 1, -1, -1) if waiting[k][0] == name[1:]), None)
            if at is not None:
                roles[waiting[at][1]], roles[n] = Role.OPENS, Role.CLOSES
                del waiting[at:]
        elif name and name not in _VOID:
            waiting.append((name, n))
    return [Mark(tag.start, tag.end, text[tag.start : tag.end], roles[n]) for n, tag in enumerate(found)]
