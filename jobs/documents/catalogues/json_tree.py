"""Reads a JSON text as a tree of objects and strings with their places, so that a part of it can be written anew."""

import json
from dataclasses import dataclass, field
from typing import Any

from jobs.documents.catalogues.json_values import TOKEN, NotJson, values


@dataclass(slots=True)
class Node:
    """A value in a JSON text: its place, and if it is an object its members: key, place of the key, value."""

    start: int
    end: int = 0
    members: list[tuple[str, int, "Node"]] = field(default_factory=list)
    value: Any = None
    """The value itself, if it is a string, a number, a truth value or null."""

    def __getitem__(self, key: str) -> "Node | None":
        return next((node for name, _, node in self.members if name == key), None)

    def at(self, *path: str) -> "Node | None":
        """Return the value at a path of keys."""
        node: Node | None = self
        for key in path:
            node = node[key] if node is not None else None
        return node


def tree(text: str) -> Node:
    """Return a JSON text as a tree. The items of lists are not in it.

    Raises:
        NotJson: The text is not one valid JSON value, or is nested deeper than MAX_DEPTH.
    """
    for _ in values(text):
        pass
    return _Reader(text).value()


class _Reader:
    """Reads a text that is known to be valid."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def _token(self) -> tuple[str, int]:
        match = TOKEN.match(self._text, self._at)
        if match is None:  # never, since the text is valid
            raise NotJson("a value is not valid", self._at)
        self._at = match.end()
        return match[match.lastgroup or 0], match.start(match.lastgroup or 0)

    def _peek(self) -> str:
        match = TOKEN.match(self._text, self._at)
        return match[match.lastgroup or 0] if match else ""

    def value(self) -> Node:
        """Read a value."""
        word, start = self._token()
        node = Node(start)
        if word == "{":
            while self._peek() != "}":
                if self._peek() == ",":
                    self._token()
                key, at = self._token()
                self._token()
                node.members.append((json.loads(key), at, self.value()))
            self._token()
        elif word == "[":
            while self._peek() != "]":
                if self._peek() == ",":
                    self._token()
                self.value()
            self._token()
        else:
            node.value = json.loads(word)
        node.end = self._at
        return node
