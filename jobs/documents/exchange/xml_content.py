"""Reads what an element of XML holds into a text with marks, and writes a translation of it as XML."""

from collections.abc import Callable, Collection, Sequence
from html import unescape

from jobs.documents.exchange.xml_tokens import NotXml, Token, xml_tokens
from jobs.documents.source import Source
from jobs.marks.building import Builder
from jobs.marks.keeping import check_kept
from jobs.marks.mark import Mark, Role


def tokens_of(source: Source) -> list[Token]:
    """Return the tokens of a source. Raises DocumentError, with the line and the remedy, if it cannot be read."""
    try:
        return xml_tokens(source.text())
    except NotXml as error:
        raise source.error(str(error), "mend it there", error.line) from None


def end_of(tokens: Sequence[Token], start: int) -> int:
    """Return the index of the token that closes the element which token `start` opens."""
    depth = 0
    for n in range(start, len(tokens)):
        depth += {"opens": 1, "closes": -1}.get(tokens[n].sort, 0)
        if not depth:
            return n
    return len(tokens) - 1


def local(name: str) -> str:
    """Return the name of an element without its prefix."""
    return name.rpartition(":")[2]


def raw_of(tokens: Sequence[Token]) -> str:
    """Return the source of tokens."""
    return "".join(one.raw for one in tokens)


def read_content(tokens: Sequence[Token], pairs: Collection[str] | None) -> Builder:
    """Read the tokens within an element.

    Args:
        tokens: The tokens between its tags.
        pairs: The names of elements whose tags are marks around words; all other elements are one mark with what they hold. If
            None, the tags of all elements are such marks, but for elements with a prefix.
    """
    built, n = Builder(), 0
    while n < len(tokens):
        token = tokens[n]
        if token.sort == "opens":
            end = end_of(tokens, n)
            is_pair = ":" not in token.name if pairs is None else local(token.name) in pairs
            if not is_pair or end == n + 1:
                built.keep(raw_of(tokens[n : end + 1]))
                n = end
            else:
                built.keep(token.raw, Role.OPENS)
        elif token.sort == "closes":
            built.keep(token.raw, Role.CLOSES)
        elif token.sort == "cdata":
            built.add(token.raw.removeprefix("<![CDATA[").removesuffix("]]>"))
        elif token.sort == "comment":
            built.keep(token.raw)
        else:
            built.add(unescape(token.raw) if token.raw.startswith("&") else token.raw)
        n += 1
    return built


def write_content(
    text: str, marks: Sequence[Mark], parsed: Collection[Mark], escape: Callable[[str], str], *, is_cdata: bool = False
) -> str:
    """Return a translation as the content of an element. Raises Damaged if it lost a mark.

    Args:
        text: The translation.
        marks: The marks of its source.
        parsed: Those of the marks that are elements; the others are words to XML.
        escape: Escapes words before XML does.
        is_cdata: Whether it stands in a CDATA section.
    """
    parts = []
    for part in check_kept(text, marks):
        if isinstance(part, Mark) and part in parsed:
            parts.append(part.text)
        else:
            words = escape(part.text if isinstance(part, Mark) else part)
            parts.append(words.replace("]]>", "]]]]><![CDATA[>") if is_cdata else escaped(words))
    made = "".join(parts)
    return f"<![CDATA[{made}]]>" if is_cdata else made


def escaped(words: str) -> str:
    """Return words as text of XML, without the characters that XML cannot hold."""
    made = words.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;").replace("\r", "&#13;")
    return "".join(one for one in made if one >= " " or one in "\t\n")
