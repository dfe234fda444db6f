"""Reads the elements of an XML file one after another, with bounded memory, by expat, the standard library's parser.

Only the wanted elements are built, each by itself, so that a file of any size streams. A file is refused, with its line and a
remedy, if it declares entities, refers to entities that XML does not define, nests deeply, or holds an element or a tag that is
too large. A document type is read over, and nothing outside of the file is ever opened.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final
from xml.parsers import expat

from jobs.errors import DocumentError

MAX_DEPTH: Final = 100
"""Elements may be nested this deep."""

MAX_TOKEN_BYTES: Final = 1 << 20
"""A tag with its attributes, a comment or a document type may have about so many bytes."""

MAX_ELEMENT: Final = 4 << 20
"""A wanted element may hold so many characters of text and attributes; each element in it counts as 100 more."""

_CHUNK: Final = 1 << 16


@dataclass(slots=True)
class Element:
    """An element: its name without prefix, its attributes, its line, and its children, which are elements and texts."""

    name: str
    attributes: Mapping[str, str]
    line: int
    children: list["Element | str"] = field(default_factory=list)

    def elements(self, *names: str) -> Iterator["Element"]:
        """Yield the children that have one of these names; all, if no name is given."""
        for one in self.children:
            if isinstance(one, Element) and (not names or one.name in names):
                yield one

    def walk(self) -> Iterator["Element"]:
        """Yield the elements within this one, in the order of the file."""
        for one in self.elements():
            yield one
            yield from one.walk()

    @property
    def text(self) -> str:
        """The text of the element and of all within it."""
        return "".join(one if isinstance(one, str) else one.text for one in self.children)

    @property
    def language(self) -> str:
        """The language that the element names itself (`xml:lang`, in old files `lang`), or an empty text."""
        return (self.attributes.get("xml:lang") or self.attributes.get("lang") or "").strip()


def read_elements(file: BinaryIO, name: str, roots: Collection[str], wanted: Collection[str]) -> Iterator[Element]:
    """Yield the first element, empty, and then each wanted element with what it holds.

    Args:
        file: The file, open at its beginning.
        name: The name of the file, for messages.
        roots: The names that the first element may have, without prefix.
        wanted: The names of the elements to yield. One within another is a part of that.

    Raises:
        DocumentError: The file is not valid XML, begins with another element, or has what is refused.
    """
    reader = _Reader(name, roots, wanted)
    while chunk := file.read(_CHUNK):
        yield from reader.feed(chunk)
    yield from reader.feed(b"", is_end=True)


class _Reader:
    def __init__(self, name: str, roots: Collection[str], wanted: Collection[str]) -> None:
        self._name, self._roots, self._wanted = name, roots, wanted
        self._fed = self._depth = self._size = 0
        self._opened: list[Element] = []
        self._ready: list[Element] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._entity
        self._parser.SkippedEntityHandler = self._skipped

    def feed(self, chunk: bytes, *, is_end: bool = False) -> list[Element]:
        """Take in the next bytes, and return the elements that they end."""
        try:
            self._parser.Parse(chunk, is_end)
        except expat.ExpatError as error:
            what = f"it is not valid XML: {expat.errors.messages[error.code]}"
            raise DocumentError(self._name, what, "mend it there", error.lineno) from None
        except (LookupError, ValueError) as error:
            raise DocumentError(self._name, f"its encoding is not known: {error}", "save it as UTF-8", 1) from None
        self._fed += len(chunk)
        if not is_end and self._fed - max(self._parser.CurrentByteIndex, 0) > MAX_TOKEN_BYTES:
            raise self._refused(f"a tag or comment has more than {MAX_TOKEN_BYTES >> 20} MiB", "shorten it")
        ready, self._ready = self._ready, []
        return ready

    def _refused(self, what: str, remedy: str) -> DocumentError:
        return DocumentError(self._name, what, remedy, self._parser.CurrentLineNumber)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._refused(f"it is nested more than {MAX_DEPTH} deep", "flatten it")
        local = name.rpartition(":")[2]
        if self._depth == 1:
            if local not in self._roots:
                shown = " or ".join(sorted(self._roots))
                raise self._refused(f"its first element is {local[:40]!r}, not {shown}", "give another file")
            self._ready.append(Element(local, attributes, self._parser.CurrentLineNumber))
        elif self._opened or local in self._wanted:
            made = Element(local, attributes, self._parser.CurrentLineNumber)
            self._grow(100 + sum(len(key) + len(value) for key, value in attributes.items()), made)
            if self._opened:
                self._opened[-1].children.append(made)
            self._opened.append(made)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._opened:
            made = self._opened.pop()
            if not self._opened:
                self._ready.append(made)
                self._size = 0

    def _text(self, data: str) -> None:
        if self._opened:
            self._grow(len(data), self._opened[0])
            self._opened[-1].children.append(data)

    def _grow(self, size: int, element: Element) -> None:
        self._size += size
        if self._size > MAX_ELEMENT:
            what = f"an element {element.name!r} holds more than {MAX_ELEMENT >> 20} million characters"
            raise self._refused(what, "divide it")

    def _entity(self, *about: object) -> None:
        raise self._refused("it declares entities, which are not read", "write their texts in their places")

    def _skipped(self, name: str, is_parameter: bool) -> None:
        if not is_parameter:
            raise self._refused(f"the entity &{name[:40]}; is not defined in it", "write its text in its place")
