"""The codes of a family or a model: which code stands for a tag of BCP 47, and which languages are nearest if none does.

A tag is looked up by its language, its script, and, where a family tells regions apart (`fr_CA`), its region. A script that the
tag leaves out is the likely one of CLDR: `zh-TW` is written in traditional characters, `pa-PK` in Arabic script. If a family has
a language in one script only, a tag without script and region means that one. `defaults.py` has what may stand for what.
A tag whose script the family lacks has no code: a text in Latin script is not translated as if it were in Cyrillic.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from jobs.errors import LanguageUnsupported
from jobs.languages.defaults import PARTNERS

MOST_NEAREST: Final = 3
"""The most languages that an error names."""

FARTHEST: Final = 25
"""The greatest distance of a language that an error names. In the distances of CLDR, 0 is the same language, over 80 an
unrelated one."""

_SAME_SCRIPTS: Final = {"Kore": "Hang", "Hrkt": "Jpan", "Hira": "Jpan", "Kana": "Jpan"}
"""Script of a tag -> the script of the codes that covers it."""


class Key(NamedTuple):
    """A tag, as codes are looked up by it.

    `script` is the script that the tag states, itself or by its region; empty if it leaves the script open. `likely` is `script`,
    or else the likely script of the language. `region` is empty without one.
    """

    language: str
    script: str
    likely: str
    region: str

    @property
    def names(self) -> list[str]:
        """The names under which defaults for the tag may stand, the most exact first."""
        return [*([f"{self.language}-{self.script}"] if self.script else []), self.language]


class Codes:
    """The codes by which one family, or one model, knows its languages.

    Args:
        whose: The name of the family or model, for messages.
        codes: Its codes.
        tags: Code -> tag, for codes that are no tags themselves when `_` is read as `-`.
        given: Tag -> code, which go before all others.
    """

    def __init__(
        self,
        whose: str,
        codes: Iterable[str],
        tags: Mapping[str, str] | None = None,
        given: Mapping[str, str] | None = None,
    ) -> None:
        self.whose = whose
        self._tags = {code: (tags or {}).get(code, code.replace("_", "-")) for code in codes}
        self._given = {tag.casefold(): code for tag, code in (given or {}).items()}
        self._found: dict[tuple[str, str], dict[str, str]] = {}
        self._scripts: dict[str, list[str]] = {}
        for code, tag in self._tags.items():
            self._add(key_of(tag), code)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tags)

    def __len__(self) -> int:
        return len(self._tags)

    def __contains__(self, code: object) -> bool:
        return code in self._tags

    @property
    def tags(self) -> Mapping[str, str]:
        """Code -> its tag of BCP 47."""
        return self._tags

    def code_of(self, tag: str) -> str:
        """Return the code of a tag. Raises LanguageUnsupported, with the nearest languages, if there is none."""
        code = self.find(tag)
        if code is None:
            raise LanguageUnsupported(self.whose, f"has no {described(tag)}", self.nearest(tag))
        return code

    def find(self, tag: str) -> str | None:
        """Return the code of a tag; None if there is none."""
        if (code := self._given.get(tag.casefold())) is not None:
            return code
        if "-" not in tag and self._tags.get(tag, "").partition("-")[0] == tag:
            return tag  # a family that has the very name of the language means this one
        key = key_of(tag)
        by_region = PARTNERS.get(f"{key.language}-{key.region}", ()) if not key.script else ()
        candidates = [*map(key_of, by_region), key]
        for name in key.names:
            for partner in map(key_of, PARTNERS.get(name, ())):
                script = partner.script or key.script
                candidates.append(Key(partner.language, script, script or partner.likely, key.region))
        return next((code for one in candidates if (code := self._code(one)) is not None), None)

    def nearest(self, tag: str) -> tuple[str, ...]:
        """Return the tags of the nearest languages, at most three, the nearest first: by the distances of CLDR."""
        from langcodes import tag_distance

        language, near = key_of(tag).language, []
        for place, own in enumerate(self._tags.values()):
            key = key_of(own)
            if key.language == language or key.language in PARTNERS.get(language, ()):
                near.append((0, place, f"{language}-{key.likely}"))
            elif (distance := tag_distance(tag, own)) <= FARTHEST:
                near.append((distance, place, key.language))
        return tuple(dict.fromkeys(name for _, _, name in sorted(near)))[:MOST_NEAREST]

    def _add(self, key: Key, code: str) -> None:
        """Enter a code. A code with a script goes before one without, and one without a region before one with."""
        regions = self._found.setdefault((key.language, key.likely), {})
        if key.script or key.region not in regions:
            regions[key.region] = code
        scripts = self._scripts.setdefault(key.language, [])
        if key.likely not in scripts:
            scripts.append(key.likely)

    def _code(self, key: Key) -> str | None:
        regions = self._found.get((key.language, key.likely))
        if regions is None:
            scripts = self._scripts.get(key.language, [])
            if key.script or len(scripts) != 1:
                return None
            regions = self._found[key.language, scripts[0]]
        return regions.get(key.region) or regions.get("") or next(iter(regions.values()))


@lru_cache(4_096)
def key_of(tag: str) -> Key:
    """Return a tag as codes are looked up by it. Raises ValueError if it is not well-formed."""
    from langcodes import Language

    given = Language.get(tag)
    language, region = given.language or "und", given.territory or ""
    if (language, region) == ("fa", "AF"):
        language, region = "prs", ""  # CLDR writes Dari as the Persian of Afghanistan
    likely = _likely(language)
    by_region = Language.make(given.language, territory=region).maximize().script if region else likely
    script = given.script or (by_region if by_region != likely else "") or ""
    script = _SAME_SCRIPTS.get(script, script)
    return Key(language, script, script or likely, region)


@lru_cache(4_096)
def _likely(language: str) -> str:
    """Return the likely script of a language."""
    from langcodes import Language

    script = Language.make(language).maximize().script or ""
    return _SAME_SCRIPTS.get(script, script)


def described(tag: str) -> str:
    """Return a tag for a message; one that no registry has is called so."""
    from langcodes import Language

    is_registered = Language.make(Language.get(tag).language).is_valid()
    return tag if is_registered else f"{tag} (which is no registered language)"
