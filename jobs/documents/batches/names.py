"""The names of documents: which names are safe, which language a name says, and the name of a document in another language.

A name is a relative path with `/` between its parts, as `guide/index.md`. A name *says* a language if one of its folders, or the
last part of its stem, is the tag of that language: `locale/fr/LC_MESSAGES/django.po`, `messages.fr.json`, `app_fr.properties`,
`values-fr/strings.xml`, `fr.lproj/Main.strings`.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

MOST_CHARACTERS: Final = 1_000
"""A name has at most this many characters."""

_VALUES: Final = re.compile(r"values(?:-(.+))?", re.IGNORECASE)
_LPROJ: Final = ".lproj"
_UNDERSCORED: Final = frozenset({"po", "properties"})
"""The formats whose files have `pt_BR` in their names where others have `pt-BR`."""


def fault_of_name(name: str) -> str | None:
    """Return what is wrong with the name of a document, as a clause; None for a name that is safe to write to."""
    if not name or len(name) > MOST_CHARACTERS:
        return f"the name has more than {MOST_CHARACTERS} characters" if name else "the name is empty"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "the name is not valid UTF-8"
    if not name.isprintable():
        return "the name has a line break or another control character"
    parts = name.split("/")
    if "\\" in name or any(part in ("", ".", "..") for part in parts) or ":" in parts[0]:
        return "the name is not one of a file within a folder"
    return None


def said_language(name: str, languages: Sequence[str]) -> str | None:
    """Return which of these languages the name of a document says; None if it says none of them."""
    known = {_folded(tag): tag for tag in languages}
    found = [known[tag] for tag in map(_folded, _said(name)) if tag in known]
    return found[-1] if found else None


def name_in(name: str, form: str, source_language: str, language: str) -> str:
    """Return the name of a document in another language.

    A name that says this language stays as it is. If it says the language of the source, that part is replaced. Else the name
    follows the custom of the format: `values-fr/strings.xml` for Android, `fr.lproj/Main.strings` for Apple, and
    `messages_fr.properties` for Java. Any other document gets a folder for the language: `fr/guide/index.md`.

    Args:
        name: The name of the document.
        form: The name of its format.
        source_language: The language of the document.
        language: The language that it is translated into.
    """
    path = PurePosixPath(name)
    if path.suffix == ".pot":
        path = path.with_suffix(".po")
    if said_language(name, [language]) is not None:
        return str(path)
    tag = language.replace("-", "_") if form in _UNDERSCORED else language
    for said in (source_language, source_language.partition("-")[0]):
        if said_language(name, [said]) is not None:
            return str(_replaced(path, said, language, tag))
    if form == "android":
        parents = path.parts[:-1]
        if parents and _VALUES.fullmatch(parents[-1]):
            parents = parents[:-1]
        return str(PurePosixPath(*parents, f"values-{_qualifier(language)}", path.name))
    if form == "strings":
        parents = path.parts[:-1]
        if parents and parents[-1].lower() == f"base{_LPROJ}":
            parents = parents[:-1]
        return str(PurePosixPath(*parents, f"{language}{_LPROJ}", path.name))
    if form == "properties":
        return str(path.with_name(f"{path.stem}_{tag}{path.suffix}"))
    return f"{language}/{path}"


def _folded(tag: str) -> str:
    return tag.replace("_", "-").lower()


def _said(name: str) -> list[str]:
    """Return the parts of a name that may be tags of languages."""
    *folders, file = name.split("/")
    found = [_tag_of_folder(folder) for folder in folders]
    stem = PurePosixPath(file).stem
    return found + [stem[at:] for at in _starts(stem)]


def _starts(stem: str) -> list[int]:
    """Return where a tag may start in the stem of a file: at its beginning, and behind each point and underscore."""
    return [0, *(at + 1 for at, sign in enumerate(stem) if sign in "._")]


def _tag_of_folder(folder: str) -> str:
    if (values := _VALUES.fullmatch(folder)) and values[1]:
        return re.sub(r"-r(?=[A-Z]{2}$)", "-", values[1].removeprefix("b+").replace("+", "-"))
    return folder[: -len(_LPROJ)] if folder.lower().endswith(_LPROJ) else folder


def _qualifier(language: str) -> str:
    """Return the qualifier of Android for a language: `fr`, `pt-rBR`, `b+zh+Hant`."""
    parts = language.split("-")
    if len(parts) == 2 and re.fullmatch(r"[A-Za-z]{2}", parts[1]):
        return f"{parts[0]}-r{parts[1].upper()}"
    return language if len(parts) == 1 else f"b+{'+'.join(parts)}"


def _replaced(path: PurePosixPath, source_language: str, language: str, tag: str) -> PurePosixPath:
    """Return the path with the target's tag wherever it says the language of the source."""
    said = _folded(source_language)
    folders: list[str] = []
    for folder in path.parts[:-1]:
        if _folded(_tag_of_folder(folder)) != said:
            folders.append(folder)
        elif _VALUES.fullmatch(folder):
            folders.append(f"values-{_qualifier(language)}")
        else:
            folders.append(f"{language}{folder[-len(_LPROJ) :]}" if folder.lower().endswith(_LPROJ) else tag)
    stem = path.stem
    for at in _starts(stem):
        if _folded(stem[at:]) == said:
            stem = stem[:at] + tag
            break
    return PurePosixPath(*folders, stem + path.suffix)
