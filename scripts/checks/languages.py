"""Measures how often the check of the language is right, on the translations of programs that are installed on this machine.

    python scripts/checks/languages.py                                    catalogues of /usr/share/locale
    python scripts/checks/languages.py --folder /path/to/django --texts 50 --languages "de fr ja"
    python scripts/checks/languages.py --words 2-7                        short texts

The script reads the catalogues of gettext (files `<language>/LC_MESSAGES/*.mo`) below the folders. Of each language it takes
texts by chance: those with enough words, most of them in the language's script. Each text is judged as a text of its own language
(a finding is a false alarm), and as one of another language (no finding is a miss). Texts of languages that count as one
(`jobs/checks/text/languages.py`, ALIKE) are not judged as each other's. For two near languages the script prints a line each. A
catalogue may hold texts that nobody translated, so texts that stand in more than one language are left out.
"""

import argparse
import gettext
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import regex

from jobs.checks.check import Piece, Subject
from jobs.checks.judge import judge
from jobs.checks.text.languages import ALIKE, CHECKS
from jobs.writing.words.words import is_unspaced, primary, words

LANGUAGES: Final = (
    "ar de el en es fr he hi it ja ko pl pt_BR ru tr uk zh_CN nb da sv cs sk hr sr id ms gl ca nl fi hu ro"
)
NEAR: Final = (
    "nb da",
    "nb sv",
    "da sv",
    "es pt_BR",
    "es gl",
    "pt_BR gl",
    "es ca",
    "cs sk",
    "hr sr",
    "id ms",
    "ru uk",
)
_NO_PROSE: Final = regex.compile(r"[%{}<>`|\\]|--?\w|\w_\w|https?:|\w=|@")
_SCRIPTS: Final = {
    "ar": "Arabic",
    "he": "Hebrew",
    "hi": "Devanagari",
    "ru": "Cyrillic",
    "uk": "Cyrillic",
    "el": "Greek",
}


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description="Measure how often the check of the language is right.")
    parser.add_argument("--folder", type=Path, action="append", help="a folder with catalogues; may be repeated")
    parser.add_argument("--languages", default=LANGUAGES)
    parser.add_argument("--texts", type=int, default=50, help="texts of each language")
    parser.add_argument("--words", default="8-60", help="the fewest and the most words of a text")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print each text that is judged wrongly")
    args = parser.parse_args()
    fewest, most = map(int, args.words.split("-"))
    names = args.languages.split()
    texts = _texts(args.folder or [Path("/usr/share/locale")], names, (fewest, most), args.texts, args.seed)
    if not texts:
        raise SystemExit("no catalogue of these languages lies in the folders: give others with --folder")
    alarms, misses, tried = _judged(texts, args.show)
    for name in texts:
        print(f"{name:<6} {len(texts[name]):4} texts   false alarms {alarms[name]:3}   misses {misses[name]:3}")
    total, wrong = sum(map(len, texts.values())), sum(alarms.values())
    right = 100 - 100 * (wrong + sum(misses.values())) / (total + tried)
    print(f"all    {total:4} texts   false alarms {wrong} ({100 * wrong / total:.2f} %)   right {right:.2f} %")
    for pair in NEAR:
        for wanted, given in (pair.split(), pair.split()[::-1]):
            if wanted in texts and given in texts:
                missed = sum(not is_wrong(wanted, text) for text in texts[given])
                print(f"{given} as {wanted}: {missed} of {len(texts[given])} are not found")


def is_wrong(language: str, text: str) -> bool:
    """Whether the check finds that a text is not in a language, which is named as in a folder's name (`pt_BR`)."""
    tag = language.replace("_", "-")
    piece = Piece("text", text, "plain", tag)
    return bool(judge(Subject("chat", {}, {"text": text}, [piece], tag), CHECKS))


def _judged(texts: Mapping[str, Sequence[str]], show: bool) -> tuple[Counter[str], Counter[str], int]:
    """Return the false alarms and the misses by language, and how many texts were judged as of another language."""
    alarms, misses, tried = Counter[str](), Counter[str](), 0
    for n, name in enumerate(texts):
        others = [one for one in texts if primary(one.replace("_", "-")) not in _alike(name)]
        for k, text in enumerate(texts[name]):
            if is_wrong(name, text):
                alarms[name] += 1
                if show:
                    print(f"false alarm in {name}: {text}")
            if others:
                tried += 1
                other = others[(n + k) % len(others)]
                if not is_wrong(other, text):
                    misses[name] += 1
                    if show:
                        print(f"{name} is not found as {other}: {text}")
    return alarms, misses, tried


def _alike(name: str) -> frozenset[str]:
    language = primary(name.replace("_", "-"))
    return ALIKE.get(language, frozenset({language}))


def _texts(
    folders: Sequence[Path], names: Sequence[str], length: tuple[int, int], count: int, seed: int
) -> dict[str, list[str]]:
    """Return texts by language: at most `count` of each, chosen by chance."""
    found: dict[str, set[str]] = defaultdict(set)
    for folder in folders:
        for name in names:
            for path in sorted(folder.rglob(f"{name}/LC_MESSAGES/*.mo")):
                sources, targets = _catalogue(path)
                found[name].update(one for one in targets if _is_fit(name, one, length))
                found["en"].update(one for one in sources if "en" in names and _is_fit("en", one, length))
    times = Counter(text for texts in found.values() for text in texts)
    apart = {name: sorted(text for text in found[name] if times[text] == 1) for name in names if found[name]}
    chance = random.Random(seed)
    return {name: chance.sample(texts, min(count, len(texts))) for name, texts in apart.items() if texts}


def _catalogue(path: Path) -> tuple[list[str], list[str]]:
    """Return the sources and the translations of a catalogue; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            entries = vars(gettext.GNUTranslations(file))["_catalog"]
    except (OSError, UnicodeError, ValueError):
        return [], []
    pairs = [
        (" ".join(one.split()), " ".join(two.split())) for one, two in entries.items() if isinstance(one, str) and one
    ]
    return [one for one, two in pairs if one != two], [two for one, two in pairs if one != two]


def _is_fit(name: str, text: str, length: tuple[int, int]) -> bool:
    count = len(words(text)) // (2 if is_unspaced(text) else 1)
    if not length[0] <= count <= length[1] or _NO_PROSE.search(text):
        return False
    script = _SCRIPTS.get(name)
    return script is None or len(regex.findall(rf"\p{{{script}}}", text)) * 2 > sum(map(str.isalpha, text))


if __name__ == "__main__":
    main()
