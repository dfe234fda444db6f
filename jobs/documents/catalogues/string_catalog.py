"""Reads string catalogues of Xcode (`.xcstrings`), which hold all languages in one JSON file, and writes only what changed.

The text of a string is its localization in the source language, or its key if it has none. Its forms by number have in each
language the categories of that language (CLDR); forms by device are those of the source; each substitution (`%#@files@`) has
forms of its own. A form is done if its state is `translated`, to be looked at if it is `needs_review`, else new. Strings that
are not to be translated, or that no program uses any more (`stale`), stay as they are. What is written has the state
`translated`, and stands in the order and style of the file.

The format is that of https://developer.apple.com/documentation/xcode/localizing-and-varying-text-with-a-string-catalog.
"""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import regex

from jobs.documents.catalogues.json_tree import Node, tree
from jobs.documents.catalogues.json_values import NotJson
from jobs.documents.document import Piece, Segment, Slot, State
from jobs.documents.message import message
from jobs.documents.source import Source
from jobs.languages.plurals import CATEGORIES
from jobs.marks.damage import Damaged
from jobs.marks.keeping import check_kept
from jobs.marks.plural_keys import categories_of, numbers_of, source_form

Path = tuple[str, ...]
_STATES: Final = {"translated": State.DONE, "needs_review": State.FUZZY}


class StringCatalogFormat:
    """The format `xcstrings`."""

    name = "xcstrings"
    suffixes = (".xcstrings",)
    holds_languages = True

    def detect(self, head: str) -> bool:
        return (
            regex.match(r'\s*\{\s*"(?:sourceLanguage"\s*:\s*"|strings"\s*:\s*\{\s*"[^"]*"\s*:\s*\{)', head) is not None
        )

    def pieces(self, source: Source) -> Iterator[Piece]:
        text = source.text()
        try:
            root = tree(text)
        except NotJson as error:
            line = text.count("\n", 0, error.position) + 1
            raise source.error(f"it is not valid JSON: {error}", "mend it there", line) from None
        strings, language = root["strings"], root["sourceLanguage"]
        if strings is None or language is None or not isinstance(language.value, str):
            raise source.error("it has no sourceLanguage or no strings", "give a string catalogue of Xcode")
        style, position, line, seen = _Style(text), 0, 1, dict[str, int]()
        for key, _, node in strings.members:
            yield text[position : node.start]
            line += text.count("\n", position, node.start)
            seen[key] = seen.get(key, 0) + 1
            name = key if seen[key] == 1 else f"{key}#{seen[key]}"
            yield _Entry(source, text, style, name, key, node, language.value).piece(line)
            line += text.count("\n", node.start, node.end)
            position = node.end
        yield text[position:]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A form of a string in a language: the path to its `stringUnit`, its text, and what it is."""

    path: Path
    text: str
    kind: str = "message"
    about: str = ""
    place: str = ""


class _Entry:
    """A string of a catalogue, with all its localizations."""

    def __init__(self, source: Source, text: str, style: "_Style", name: str, key: str, node: Node, own: str) -> None:
        self._options, self._text, self._style = source.options, text, style
        self._name, self._node = name, node
        self._raw = text[node.start : node.end]
        self._entry = json.loads(self._raw)
        entry = self._entry if isinstance(self._entry, dict) else {}
        found = entry.get("localizations")
        self._localizations: dict[str, Any] = found if isinstance(found, dict) else {}
        self._is_kept = not key or entry.get("shouldTranslate") is False or entry.get("extractionState") == "stale"
        self._is_kept = self._is_kept or not isinstance(self._entry, dict)
        comment = entry.get("comment")
        self._comment = comment.strip() if isinstance(comment, str) else ""
        mine = self._localizations.get(own)
        self._own: dict[str, Any] = mine if isinstance(mine, dict) and mine else {"stringUnit": {"value": key}}
        self._own_language = own

    def piece(self, line: int) -> Piece:
        """Return the slot of the string, or its source if nothing in it is to be translated."""
        if self._is_kept:
            return self._raw
        wanted = [one for one in self._options.languages if _folded(one) != _folded(self._own_language)]
        places: list[tuple[str, _Leaf]] = []
        segments: list[Segment] = []
        for language in wanted:
            for leaf in _leaves(self._own, language):
                segment = self._segment(leaf, language)
                if segment is not None:
                    places.append((language, leaf))
                    segments.append(segment)
        if not segments:
            return self._raw

        def write(texts: Sequence[str | None]) -> str:
            new: dict[str, dict[Path, str]] = {}
            for (language, leaf), segment, text in zip(places, segments, texts, strict=True):
                if text is None or (text == segment.target and segment.state is not State.NEW):
                    continue
                if not text.strip():
                    raise Damaged("the translation is empty")
                check_kept(text, segment.marks)
                new.setdefault(language, {})[leaf.path] = text
            return self._written(new) if new else self._raw

        return Slot(self._raw, tuple(segments), write, line)

    def _segment(self, leaf: _Leaf, language: str) -> Segment | None:
        name = f"{self._name}[{leaf.place}]" if leaf.place else self._name
        context = "; ".join(filter(None, (self._comment, leaf.about)))
        found = message(name, leaf.text, self._options, kind=leaf.kind, context=context)
        if found is None:
            return None
        unit = _unit_at(self._localizations.get(self._key_of(language)), leaf.path)
        value = unit.get("value")
        target = value if isinstance(value, str) and value.strip() else ""
        state = _STATES.get(str(unit.get("state")), State.NEW) if target else State.NEW
        return Segment(found.id, found.text, found.kind, found.marks, context, target, state, language=language)

    def _key_of(self, language: str) -> str:
        """Return the key under which the file has a language, else the language."""
        return next((one for one in self._localizations if _folded(one) == _folded(language)), language)

    def _written(self, new: Mapping[str, Mapping[Path, str]]) -> str:
        """Return the source of the string with new texts, by language and path."""
        edits: list[tuple[int, int, str]] = []
        added: dict[str, Any] = {}
        for language, units in new.items():
            key = self._key_of(language)
            node = self._node.at("localizations", key)
            places = [node.at(*path) for path in units] if node is not None else []
            if node is not None and all(one is not None and one["value"] and one["state"] for one in places):
                for unit, text in zip(places, units.values(), strict=True):
                    edits += self._edits(unit, text)
            elif node is not None:
                made = self._style.written(self._localization(language, units), 4)
                edits.append((node.start, node.end, made))
            else:
                added[key] = self._localization(language, units)
        if added:
            edits += self._additions(added)
        made, position = "", self._node.start
        for start, end, text in sorted(edits):
            made += self._text[position:start] + text
            position = end
        return made + self._text[position : self._node.end]

    def _edits(self, unit: Node | None, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield the changes of a unit that the file has."""
        for key, new in (("state", "translated"), ("value", text)):
            node = unit[key] if unit else None
            if node is not None and node.value != new:
                yield node.start, node.end, self._style.string(new)

    def _localization(self, language: str, units: Mapping[Path, str]) -> dict[str, Any]:
        """Return the localization of a language as an object: what the file has of it, and all forms of the source."""
        old = self._localizations.get(self._key_of(language))
        made: dict[str, Any] = copy.deepcopy(old) if isinstance(old, dict) else {}
        for leaf in _leaves(self._own, language):
            if leaf.path not in units and _node_at(made, leaf.path) is not None:
                continue
            segment = self._segment(leaf, language)
            state = "new" if segment is not None and leaf.path not in units else "translated"
            _put(made, leaf.path, {"state": state, "value": units.get(leaf.path, leaf.text)}, self._own)
        return made

    def _additions(self, added: Mapping[str, Any]) -> list[tuple[int, int, str]]:
        """Return the changes that add languages: each before the first key behind it in the order of the file."""
        holder = self._node["localizations"]
        if holder is None or not holder.members:
            inner = self._style.written(dict(sorted(added.items())), 3)
            if holder is not None:
                return [(holder.start, holder.end, inner)]
            return [self._style.insertion(self._text, self._node, "localizations", inner, 3)]
        made: dict[int, tuple[int, int, str]] = {}
        for key in sorted(added):
            start, end, text = self._style.insertion(self._text, holder, key, self._style.written(added[key], 4), 4)
            before = made.get(start, (start, end, ""))[2]
            made[start] = (start, end, before + text)
        return list(made.values())


def _leaves(
    own: Mapping[str, Any], language: str, path: Path = (), place: tuple[str, ...] = (), about: str = ""
) -> Iterator[_Leaf]:
    """Yield the forms that a language needs of a localization in the source language."""
    unit = own.get("stringUnit")
    if isinstance(unit, dict) and isinstance(unit.get("value"), str):
        kind = f"plural {place[-1].partition(' ')[2]}" if place and place[-1].startswith("plural") else "message"
        yield _Leaf((*path, "stringUnit"), unit["value"], kind, about, ", ".join(place))
    variations = own.get("variations")
    for kind, forms in variations.items() if isinstance(variations, dict) else ():
        if not isinstance(forms, dict) or not forms:
            continue
        names = list(forms)
        if kind == "plural":
            wanted = categories_of(language)
            names = [one for one in CATEGORIES if one in wanted or (one == "zero" and one in forms)]
        for name in names:
            inner = forms[source_form(name, forms) if kind == "plural" else name]
            if isinstance(inner, dict):
                numbers = numbers_of(name, language) if kind == "plural" else ()
                said = f"for the numbers {', '.join(map(str, numbers))}" if numbers else about
                deeper = (*path, "variations", kind, name)
                yield from _leaves(inner, language, deeper, (*place, f"{kind} {name}"), said)
    substitutions = own.get("substitutions")
    for name, inner in substitutions.items() if isinstance(substitutions, dict) else ():
        if isinstance(inner, dict):
            yield from _leaves(inner, language, (*path, "substitutions", name), (*place, name), about)


def _node_at(localization: Any, path: Path) -> dict[str, Any] | None:
    for key in path:
        localization = localization.get(key) if isinstance(localization, dict) else None
    return localization if isinstance(localization, dict) else None


def _unit_at(localization: Any, path: Path) -> Mapping[str, Any]:
    """Return the unit at a path; where a language has one unit for all forms, that one."""
    for n in range(len(path)):
        holder = _node_at(localization, path[:n]) if n else localization
        if isinstance(holder, dict) and path[n] not in holder and isinstance(holder.get("stringUnit"), dict):
            unit: Mapping[str, Any] = holder["stringUnit"]
            return unit
    return _node_at(localization, path) or {}


def _put(made: dict[str, Any], path: Path, unit: Mapping[str, str], own: Mapping[str, Any]) -> None:
    """Put a unit at a path. A substitution gets what its source has beside its forms."""
    like: Any = own
    for key in path[:-1]:
        if isinstance(like, dict) and key in ("variations",) and "stringUnit" not in like:
            made.pop("stringUnit", None)
        like = like.get(key) if isinstance(like, dict) else None
        inner = made.get(key)
        if not isinstance(inner, dict):
            kept = ("argNum", "formatSpecifier")
            inner = {one: like[one] for one in kept if one in like} if isinstance(like, dict) else {}
            made[key] = inner
        made = inner
    made[path[-1]] = dict(unit)


def _folded(language: str) -> str:
    return language.replace("_", "-").lower()


class _Style:
    """How a catalogue is laid out: its indentation, line ends, colons and slashes."""

    def __init__(self, text: str) -> None:
        first = regex.search(r'\{([ \t]*\r?\n)?([ \t]*)"(?:[^"\\]|\\.)*+"(\s*:\s*)', text)
        self._end = (first[1] or "").lstrip(" \t") if first else ""
        self._indent = first[2] if first and first[1] else ""
        self._colon = first[3] if first else ": "
        self._escapes_slashes = "\\/" in text

    def string(self, text: str) -> str:
        """Return a text as a string of JSON."""
        made = json.dumps(text, ensure_ascii=False)
        return made.replace("/", "\\/") if self._escapes_slashes else made

    def written(self, value: Any, level: int) -> str:
        """Return a value whose members stand at the level below this one. Keys are in their order."""
        if not isinstance(value, dict):
            return self.string(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        start, end = self._break(level + 1), self._break(level)
        members = (f"{self.string(key)}{self._colon}{self.written(value[key], level + 1)}" for key in sorted(value))
        return f"{{{start}{f',{start}'.join(members)}{end}}}"

    def _break(self, level: int) -> str:
        return f"{self._end}{self._indent * level}" if self._end else ""

    def insertion(self, text: str, holder: Node, key: str, value: str, level: int) -> tuple[int, int, str]:
        """Return the change that adds a member to an object, in the order of its keys: place, end, text."""
        made = f"{self.string(key)}{self._colon}{value}"
        if not holder.members:
            return holder.start, holder.end, f"{{{self._break(level)}{made}{self._break(level - 1)}}}"
        following = next((at for name, at, _ in holder.members if name > key), None)
        if following is not None:
            return following, following, f"{made},{self._break(level) or ' '}"
        last = holder.members[-1][2].end
        return last, last, f",{self._break(level) or ' '}{made}"
