"""Compares our figures of articles with those of yoastseo, the analysis of the WordPress plugin Yoast SEO.

    mkdir /tmp/oracle && (cd /tmp/oracle && npm install yoastseo@3.6.0 string-pixel-width@1.11.0)
    python scripts/checks/yoast.py /tmp/oracle

yoastseo is under the GPL, so it runs in a process of its own (scripts/checks/yoast.js), and the product holds nothing of it. A
browser measures the width of titles for Yoast; here `string-pixel-width` does, with the widths of Arial.

The script makes 50 articles in English and German: titles and descriptions of many lengths, keywords as they are and in inflected
forms, and headings in and out of order. It prints for each figure how often both agree, and each difference with its reason. The
reasons are listed in docs/kinds.md. The status is 1 if a difference has no reason, and 0 if yoastseo is not installed.
"""

import argparse
import json
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from jobs.checks.article.parts import parts_of
from jobs.writing.words.keywords import Reader
from jobs.writing.words.widths import pixels, shown_length
from jobs.writing.words.words import words

ARTICLES: Final = 50
PROGRAM: Final = Path(__file__).with_suffix(".js")
ROUNDING: Final = 0.005
"""Widths that differ by this share, or by two pixels, are the same, since both tables of letters are rounded."""

_ENGLISH: Final = (
    "Most gardeners {verb} their {thing} before the sun is high.",
    "A pot without a hole keeps {thing} too wet in a rainy month.",
    "Compost from the corner of the yard feeds {thing} for a whole season.",
    "The neighbours often ask why {thing} need so much light.",
    "Nobody has to {verb} anything in the week after planting.",
    "Cold nights slow the roots down, and warm ones wake them up again.",
)
_GERMAN: Final = (
    "Viele Leute {verb} {thing} am liebsten am frühen Morgen.",
    "Ein Topf ohne Loch hält {thing} in einem nassen Monat zu feucht.",
    "Kompost aus der Ecke des Hofes reicht {thing} für ein ganzes Jahr.",
    "Die Nachbarn fragen oft, warum {thing} so viel Licht brauchen.",
    "In der ersten Woche muss niemand etwas {verb}.",
    "Kalte Nächte bremsen die Wurzeln, und warme wecken sie wieder.",
)
_VERBS: Final = {"en": ("water", "prune", "feed"), "de": ("gießen", "schneiden", "düngen")}
_THINGS: Final = {
    "en": ("the plants", "young shoots", "the beans"),
    "de": ("die Pflanzen", "junge Triebe", "die Bohnen"),
}
_KEYWORDS: Final = {
    "en": (("balcony garden", "balcony gardens"), ("tomato", "tomatoes"), ("clay pot", "clay pots")),
    "de": (("Balkongarten", "Balkongärten"), ("Tomate", "Tomaten"), ("Tontopf", "Tontopfs")),
}
_TITLES: Final = {
    "en": (
        "{keyword}",
        "{keyword}: a guide",
        "All about a {keyword} & more, WITH TIPS for a first, long, warm summer in the city",
        "What to do in spring",
    ),
    "de": (
        "{keyword}",
        "{keyword}: ein Ratgeber",
        "Alles über {keyword} & mehr: für den ersten langen, warmen Sommer in der Stadt",
        "Was im Frühling zu tun ist",
    ),
}


@dataclass(frozen=True, slots=True)
class Article:
    """An article as both take it: `markdown` for us, `html` for Yoast. `form` is the form of the keyword in the text."""

    language: str
    keyword: str
    form: str
    title: str
    description: str
    markdown: str
    html: str


def main() -> None:
    """Compare the figures, and print a table."""
    parser = argparse.ArgumentParser(description="Compare our figures of articles with those of yoastseo.")
    parser.add_argument("folder", type=Path, help="a folder in which npm has installed yoastseo and string-pixel-width")
    args = parser.parse_args()
    if shutil.which("node") is None or not (args.folder / "node_modules" / "yoastseo").is_dir():
        print("skipped: node or yoastseo is missing; the head of this script says how to install them")
        return
    made = list(articles())
    theirs = figures_of_yoast(made, args.folder)
    agreed: dict[str, int] = {}
    reasons: dict[tuple[str, str], list[str]] = {}
    for n, (article, other) in enumerate(zip(made, theirs, strict=True)):
        own = figures(article)
        for name, figure in own.items():
            agreed.setdefault(name, 0)
            if is_same(name, figure, other[name]):
                agreed[name] += 1
            else:
                why = reason(name, article, figure, other[name])
                reasons.setdefault((name, why), []).append(f"article {n}: {figure} and {other[name]}")
    for name, count in agreed.items():
        print(f"{name:<28} the same in {count} of {len(made)}")
    for (name, why), places in sorted(reasons.items()):
        print(f"{name}, {len(places)} times: {why or 'NO REASON'} ({'; '.join(places[:3])})")
    raise SystemExit(1 if any(not why for _, why in reasons) else 0)


def articles() -> Iterator[Article]:
    """Yield the articles."""
    chance = random.Random(0)
    for n in range(ARTICLES):
        language = "de" if n % 5 == 4 else "en"
        keyword, other = _KEYWORDS[language][n % 3]
        form = other if n % 4 == 1 else keyword
        levels = [(2, 3, 2), (2, 4, 2), (1, 2, 3), (1, 1, 2), (2, 2, 2)][n // 3 % 5]
        long = n % 10 == 7
        blocks = list(_blocks(chance, language, form, levels, long=long))
        description = " ".join(_sentence(chance, language, keyword) for _ in range(3))[: 80 + 2 * n].strip()
        title = _TITLES[language][n % 7 % 4].format(keyword=keyword)
        if n == 20:
            title, description = f"{keyword}: トマトの育て方", f"トマトの育て方。{description}"
        yield Article(language, keyword, form, title, description, _markdown(blocks), _html(blocks))


def _blocks(
    chance: random.Random, language: str, form: str, levels: Sequence[int], *, long: bool
) -> Iterator[tuple[int, str]]:
    """Yield headings (with their level) and paragraphs (with 0). The first paragraph has the keyword in two of three articles."""
    first = [_sentence(chance, language) for _ in range(3)]
    if chance.random() < 0.67:
        first.insert(1, _about(language, form))
    yield 0, " ".join(first)
    for number, level in enumerate(levels):
        yield (
            level,
            f"{form} {number}" if number == 1 and chance.random() < 0.8 else f"{_THINGS[language][number]} {number}",
        )
        for _ in range(12 if long and not number else 2):
            sentences = [_sentence(chance, language) for _ in range(4)]
            if chance.random() < 0.5:
                sentences.append(_about(language, form))
            yield 0, " ".join(sentences)


def _about(language: str, form: str) -> str:
    return f"We like our {form} very much." if language == "en" else f"Wir mögen unseren {form} sehr."


def _sentence(chance: random.Random, language: str, thing: str | None = None) -> str:
    pattern = chance.choice(_GERMAN if language == "de" else _ENGLISH)
    return pattern.format(verb=chance.choice(_VERBS[language]), thing=thing or chance.choice(_THINGS[language]))


def _markdown(blocks: Sequence[tuple[int, str]]) -> str:
    return "\n\n".join(f"{'#' * level} {text}" if level else text for level, text in blocks)


def _html(blocks: Sequence[tuple[int, str]]) -> str:
    return "".join(f"<h{level}>{text}</h{level}>" if level else f"<p>{text}</p>" for level, text in blocks)


def figures(article: Article) -> Mapping[str, Any]:
    """Return our figures, as the checks of articles compute them."""
    parts, reader = parts_of(article.markdown), Reader([article.keyword], article.language)
    headings = [part.heading for part in parts if part.heading]
    (in_text,) = reader.counts("\n".join(part.prose for part in parts))
    (in_headings,) = reader.counts("\n".join(heading.text for heading in headings))
    total = sum(part.count for part in parts) + sum(len(words(heading.text)) for heading in headings)
    first = next(part.paragraph for part in parts if part.paragraph)
    return {
        "title pixels": pixels(article.title),
        "description characters": shown_length(article.description),
        "words": total,
        "keyword count": in_text + in_headings,
        "keyword density": round(100 * (in_text + in_headings) / total, 2),
        "keyword in title": reader.counts(article.title)[0] > 0,
        "keyword in first paragraph": reader.counts(article.markdown[slice(*first)])[0] > 0,
        "keyword in a heading": in_headings > 0,
        "headings of the first level": sum(heading.level == 1 for heading in headings),
        "longest section": max(part.count for part in parts),
    }


def figures_of_yoast(made: Sequence[Article], folder: Path) -> list[dict[str, Any]]:
    """Return the figures of yoastseo, one mapping for each article."""
    command = ["node", str(PROGRAM), str(folder.resolve())]
    given = json.dumps([asdict(one) for one in made])
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=300)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def is_same(name: str, own: Any, other: Any) -> bool:
    """Whether two figures are the same but for rounding."""
    if name == "title pixels":
        return abs(float(own) - float(other)) <= max(2.0, ROUNDING * float(other))
    return bool(own == other)


def reason(name: str, article: Article, own: Any, other: Any) -> str:
    """Return why a figure differs; an empty text if no reason is known."""
    if name in ("title pixels", "description characters") and not article.title.isascii() and own > other:
        return "a sign of double width counts as two letters here, and as one of average width there"
    if name.startswith("keyword") and article.form != article.keyword and own > other:
        return "an inflected form counts here, and there only with the data of Yoast's paid plugin"
    levels = [
        part.heading.level for part in parts_of(article.markdown) if part.heading and article.form in part.heading.text
    ]
    if name == "keyword in a heading" and own and not {2, 3} & set(levels):
        return "a heading of any level counts here, and one of the second or third level there"
    return ""


if __name__ == "__main__":
    main()
