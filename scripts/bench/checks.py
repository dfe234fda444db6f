"""Measures how long the checks of content take for a row of each kind, whole and check by check.

    python scripts/bench/checks.py                       all kinds, 1,000 words
    python scripts/bench/checks.py --kind chat --by-check

The texts are sentences of one pattern with words by chance, and no text occurs twice: caches help only within a row, as in a
worker. Each kind is measured `--rows` times; the figures are the median of the rows, in milliseconds of the processor. The script
also prints the codes of the findings in a kind's first text. With `--by-check` each check runs alone, and the figures add up to
more than the whole, because each pays for the views of the text (its words, its sentences) that checks share.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from jobs.checks.check import Check, Subject
from jobs.checks.contract import Contract
from jobs.checks.judge import judge
from jobs.checks.registry import checks_of
from jobs.kinds.kind import contract_of
from jobs.kinds.registry import load_kinds

ENGLISH: Final = (
    "gardeners growers owners neighbours beginners families schools cooks visitors children "
    "| often usually rarely always sometimes gladly quickly slowly seldom never "
    "| water plant prune feed sow harvest repot shelter move choose "
    "| young late sweet yellow rare early tall hardy local heavy "
    "| tomatoes peppers beans carrots roses herbs lettuces berries melons onions "
    "| behind before near without under beside above after around between "
    "| the their our these those "
    "| old sunny narrow wooden broken empty quiet high northern painted "
    "| walls fences sheds balconies windows paths ponds barns roofs stables "
    "| because although when since until while if unless whenever and "
    "| the that this each every "
    "| warm dry long cold clear short windy mild grey rainy "
    "| night season morning week evening month summer autumn winter spring "
    "| helps harms changes saves feeds shapes delays protects weakens wakes "
    "| small green strong thin fresh bitter tender pale broad ripe "
    "| roots leaves stems fruits seeds buds shoots flowers branches crops"
)
GERMAN: Final = (
    "Gärtner Züchter Besitzer Nachbarn Anfänger Familien Schulen Köche Besucher Kinder "
    "| gießen pflanzen schneiden düngen säen ernten topfen schützen setzen wählen "
    "| oft meistens selten immer manchmal gern schnell langsam nie ungern "
    "| junge späte süße gelbe seltene frühe hohe zähe hiesige schwere "
    "| Tomaten Paprika Bohnen Möhren Rosen Kräuter Salate Beeren Melonen Zwiebeln "
    "| hinter neben unter über bei zwischen außer mit nach vor "
    "| den ihren unseren diesen jenen "
    "| alten sonnigen schmalen hölzernen kaputten leeren stillen hohen nördlichen bunten "
    "| Mauern Zäunen Schuppen Balkonen Fenstern Wegen Teichen Scheunen Dächern Ställen "
    "| weil obwohl wenn da bis während falls sobald solange und "
    "| der dieser jener jeder mancher "
    "| warme trockene lange kalte klare kurze windige milde graue nasse "
    "| Abend Morgen Monat Sommer Herbst Winter Tag Mai Juni Regen "
    "| die seine solche manche viele "
    "| kleinen grünen starken dünnen frischen bitteren zarten blassen breiten reifen "
    "| Wurzeln Blätter Stiele Früchte Samen Knospen Triebe Blüten Zweige Pflanzen "
    "| stärkt schwächt ändert rettet nährt formt bremst schützt weckt verdirbt"
)


def main() -> None:
    """Measure the kinds, and print a table."""
    parser = argparse.ArgumentParser(description="Time the checks of content by kind and check.")
    parser.add_argument("--kind", help="only this kind")
    parser.add_argument("--words", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--by-check", action="store_true", help="also each check alone")
    args = parser.parse_args()
    kinds = load_kinds()
    for name, make in MAKERS.items():
        if args.kind not in (None, name):
            continue
        contract = contract_of(kinds[name])
        checks = checks_of(contract.checks)
        chance = random.Random(0)
        rows = [make(chance, args.words) for _ in range(args.rows)]
        first = judge(_subject(contract, name, *rows[0]), checks, (contract.settings,))  # loads models and tables
        total = _median(_together(contract, checks), contract, name, rows)
        print(f"{name:<12} {total:6.2f} ms   findings: {', '.join(sorted({one.code for one in first})) or 'none'}")
        if args.by_check:
            each = {check.code: _median(_alone(check), contract, name, rows) for check in checks}
            for code, took in sorted(each.items(), key=lambda item: -item[1]):
                print(f"  {code:<22} {took:6.2f}")


def _together(contract: Contract, checks: Sequence[Check]) -> Callable[[Subject], object]:
    return lambda subject: judge(subject, checks, (contract.settings,))


def _alone(check: Check) -> Callable[[Subject], object]:
    return lambda subject: list(check.find(subject, check.limits))


def _subject(contract: Contract, name: str, request: Mapping[str, Any], output: Mapping[str, Any]) -> Subject:
    return contract.subject(name, request, output)


def _median(
    run: Callable[[Subject], object],
    contract: Contract,
    name: str,
    rows: list[tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> float:
    took = []
    for request, output in rows:
        _forget()
        subject = _subject(contract, name, request, output)
        start = time.process_time()
        run(subject)
        took.append(time.process_time() - start)
    return 1_000 * statistics.median(took)


def _forget() -> None:
    """Empty the caches of texts, which would help from one measurement to the next and do not help a worker."""
    from jobs.checks import contacts, data
    from jobs.checks.article import parts
    from jobs.checks.signs import addresses

    for cached in (contacts.phones, data.is_data, parts.parts_of, addresses.addresses):
        cached.cache_clear()


def _sentence(chance: random.Random, parts: str) -> str:
    words = " ".join(chance.choice(part.split()) for part in parts.split("|"))
    return f"{words[0].upper()}{words[1:]}."


def _prose(chance: random.Random, count: int, parts: str = ENGLISH) -> str:
    """Return paragraphs of four sentences with about `count` words."""
    sentences: list[str] = []
    while count > 0:
        sentences.append(_sentence(chance, parts))
        count -= len(sentences[-1].split())
    return "\n\n".join(" ".join(sentences[n : n + 4]) for n in range(0, len(sentences), 4))


def _article(chance: random.Random, count: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    names = ["tomatoes", "peppers", "beans", "herbs", "berries"]
    body = "\n\n".join(f"## How to look after {name}\n\n{_prose(chance, count // 5)}" for name in names)
    keywords = ["tomatoes", "peppers", "old walls"]
    request = {"topic": "Growing vegetables", "keywords": keywords, "target_words": count, "language": "en"}
    title = "Growing tomatoes and peppers beside old walls: a guide"
    description = (
        "How to grow tomatoes, peppers and beans beside old walls: when to sow them, how to water them, and what to do with a "
        "harvest that is too large."
    )
    return request, {
        "title": title,
        "meta_description": description,
        "body_markdown": body,
        "slug": "a",
        "sections": [],
    }


def _translation(chance: random.Random, count: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    state = chance.getstate()
    source = _prose(chance, count, ENGLISH)
    chance.setstate(state)
    request = {"text": source, "source_language": "en", "target_language": "de", "format": "plain"}
    return request, {"text": _prose(chance, count, GERMAN)}


def _chat(chance: random.Random, count: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return {"prompt": "How do I grow vegetables?", "system": "Answer as a gardener does."}, {
        "text": _prose(chance, count)
    }


def _completion(chance: random.Random, count: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return {"prompt": "Vegetables on a balcony"}, {"text": _prose(chance, count)}


def _post(chance: random.Random, count: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    request = {"topic": "Vegetables", "platform": "linkedin", "source_text": _prose(chance, 100), "language": "en"}
    return request, {"text": _prose(chance, count), "hashtags": [], "length": 1}


MAKERS: Final[Mapping[str, Callable[[random.Random, int], tuple[Mapping[str, Any], Mapping[str, Any]]]]] = {
    "article": _article,
    "translation": _translation,
    "social_post": _post,
    "chat": _chat,
    "completion": _completion,
}

if __name__ == "__main__":
    main()
