"""Hostile texts: long texts that repeat a few characters. On such a text, a pattern that goes back again and again takes
quadratic time.

As a program, this module tries each pattern of `jobs/checks`, `jobs/kinds` and `jobs/writing`, and functions that use them, on
each text. It has no clock: before each try it asks the kernel to end the program once the try has used `CPU_S` seconds of CPU
time. A linear pattern uses a small part of this time, and a quadratic pattern several times as much. The last line that it
prints names the try. With an argument such as `2/4` it tries the second of four parts of the texts.
"""

import ast
import contextlib
import importlib
import pkgutil
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import regex

from jobs.errors import CheckFailed
from jobs.generation import Completion, Message, Prompt
from jobs.kinds.posts import thread
from jobs.writing import labels, platforms
from jobs.writing.cleaning import Draft
from jobs.writing.evidence import Brief, Original

CPU_S: Final = 1.3
PATTERN_CHARACTERS: Final = 70_000
FUNCTION_CHARACTERS: Final = 50_000
ROOMS: Final = ("jobs.checks", "jobs.kinds", "jobs.writing")

TOPIC: Final = Brief("Tea")
PROMPT: Final = Prompt(messages=(Message("user", "Write a title, at most ten words.\nTopic: Tea"),))

LIMITED: Final = {
    "jobs.checks.text.cut_offs._HASHTAGS: search": 1_000,
    "jobs.checks.signs.end_marks._WORD: search": 40,
    "jobs.checks.text.echoes.INSTRUCTION: search": 10_000,
}
"""Use of a pattern -> the most characters that its code gives it."""

SHAPES: Final = (
    *("a", "1", " ", " \n", "#a ", "@a@", "a.", "1. ", "- ", "a_", "*", "```\n", "a'", '."', "> ", "="),
    *(
        "http://",
        "https:///",
        "x@",
        "a@b.",
        "x@a-",
        "<a ",
        "<!--",
        "{{",
        "{a",
        "{n, plural, ",
        "(",
        "$1,",
        "555-",
        "\u201ca",
        "| a ",
    ),
    *("[", "[a](", '[a](b "', "https://a.de/(a", "https://a.de/.", "a.de "),
    *("\u65e5.", "\u3002", "\U0001f600a.", "\U0001f1eb", "\U0001f468\u200d", "\u0301", "Title: "),
)
"""The characters that a hostile text repeats."""

Try = Callable[[str], object]


def hostile(shape: str, characters: int) -> str:
    """Return a text that repeats a shape. Its end differs, so that a pattern fails there and must try other matches."""
    return (shape * (characters // len(shape) + 1))[:characters] + "\x00"


def modules() -> list[ModuleType]:
    """Import and return the modules of the rooms."""
    packages = [importlib.import_module(room) for room in ROOMS]
    names = [found.name for one in packages for found in pkgutil.walk_packages(one.__path__, f"{one.__name__}.")]
    return [*packages, *map(importlib.import_module, names)]


def uses(tree: ast.AST) -> Iterator[tuple[str, ast.expr, str]]:
    """Yield the calls of a module of the form `NAME.method(first, …)`: name, first argument, method."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=[first, *_]):
                yield name, first, method


def pattern_tries() -> Mapping[str, Try]:
    """Return a try for each use of a pattern: `_NAME.search(…)`, `re.sub("…", …)`. A pattern without such a use is tried with
    `search`. Patterns of the same name in several modules are all tried.
    """
    found = modules()
    homes: dict[int, str] = {}
    patterns: dict[int, Any] = {}
    for one in found:
        for name, value in vars(one).items():
            if isinstance(value, (re.Pattern, regex.Pattern)):
                homes.setdefault(id(value), f"{one.__name__}.{name}")
                patterns[id(value)] = value
    tries: dict[str, Try] = {}
    used = set()
    for one in found:
        for name, first, method in uses(ast.parse(Path(str(one.__file__)).read_text(encoding="utf-8"))):
            value = vars(one).get(name)
            if id(value) in homes:
                used.add(id(value))
                home = homes[id(value)]
                tries[f"{home}: {method}"] = limited(tried(value, method), LIMITED.get(f"{home}: {method}"))
            elif name in {"re", "regex"} and isinstance(first, ast.Constant) and method != "compile":
                tries[f"{one.__name__}, {first.value!r}: {method}"] = tried(
                    vars(one)[name].compile(first.value), method
                )
    tries |= {home: tried(patterns[key], "search") for key, home in homes.items() if key not in used}
    return tries


def limited(attempt: Try, characters: int | None) -> Try:
    """Return a try that is given the end of a text, at most this many characters."""
    return attempt if characters is None else lambda text: attempt(text[-characters:])


def tried(pattern: Any, method: str) -> Try:
    """Return a function that uses a pattern on a text as this method does."""
    return (
        pattern.match
        if method == "match"
        else pattern.fullmatch
        if method == "fullmatch"
        else lambda text: pattern.sub("", text)
    )


def function_tries() -> Mapping[str, Try]:
    """Return functions of the two rooms that read a text and use several patterns."""
    from jobs.checks import cutting
    from jobs.checks.text import variants_alike
    from jobs.kinds.posts import request
    from jobs.writing import characters, fitting, hashtags, prose
    from jobs.writing.articles import headings, questions, sections
    from jobs.writing.words import keywords, widths

    return {
        **{limit.length.__name__: limit.length for limit in platforms.LIMITS.values()},
        "clusters": characters.clusters,
        "without_hashtags": hashtags.without_hashtags,
        "hashtags": request._hashtags,
        "divided": divided,
        "likeness": lambda text: variants_alike.likeness(text, f"{text} a", variants_alike.CHECKS[0].limits),
        "cleaned": cleaned,
        "explained": explained,
        "read_outline": lambda text: headings.read_outline(Completion("", text, "stop"), PROMPT, TOPIC, 5, 100),
        "read_title": lambda text: headings.read_title(Completion("", text, "stop"), PROMPT, TOPIC, "de"),
        "read_description": lambda text: headings.read_description(Completion("", text, "stop"), PROMPT, TOPIC, "de"),
        "without_beginning": lambda text: headings.without_beginning(text.splitlines(), "Tea", TOPIC, PROMPT),
        "whole_sentences": prose.whole_sentences,
        "sentences": prose.sentences,
        "fitted_title": lambda text: fitting.fitted_title(text, keywords=["a"], language="en", more=[text]),
        "fitted_description": lambda text: fitting.fitted_description(text, keywords=["a"], language="en", more=[text]),
        "counts of keywords": keywords.Reader(["a", "a-b", "C++", "\u65e5"], "en").counts,
        "keyword_of": lambda text: keywords.keyword_of(text, "en"),
        "shown_length": widths.shown_length,
        "pixels": widths.pixels,
        "clipped": lambda text: prose.clipped(text, 100),
        "slug_of": prose.slug_of,
        "first_paragraph": lambda text: sections.first_paragraph([("", text)]),
        "read_questions": lambda text: questions.read_questions(Completion("", text, "stop"), TOPIC),
        "without_last_sentence": lambda text: cutting.without_last_sentence(text, "en"),
        "the plan of a translation": translation_plan,
    }


def translation_plan(text: str) -> None:
    """Cut a text into what is asked of a model, mask it, and put its marks back."""
    from jobs.kinds.translating.memory import Forgetful
    from jobs.kinds.translating.plan import Plan
    from jobs.kinds.translating.request import TranslationRequest
    from jobs.marks.masking import mask

    for form in ("markdown", "segment"):
        values = {"text": f"{text}.", "source_language": "en", "target_language": "de", "format": form}
        plan = Plan(TranslationRequest.model_validate(values), Forgetful())
        for one in plan.questions:
            masked = mask(one.part.text, one.part.marks)
            assert masked.restore(masked.text) == one.part.text


def cleaned(text: str) -> None:
    """Clean a text with every method of `Draft`. The evidence is a request, and then a source that is the text itself."""
    for evidence in (TOPIC, Original(text)):
        draft = Draft(text)
        draft.drop_fence(of_text=True)
        draft.drop_announcement(evidence, labels.TITLE, labels.POST, labels.TRANSLATION)
        draft.drop_announcement(evidence, labels.SECTION)
        draft.drop_count(evidence)
        draft.drop_around(evidence, labels.TITLE, labels.HEADING, labels.CHAPTER, labels.TRANSLATION, ordinals=False)


def divided(text: str) -> None:
    """Divide a text into the posts of a thread; most texts are too long, or have too few sentences."""
    for part in (text, f"{text[:5_000]} One. Two."):
        with contextlib.suppress(CheckFailed):
            thread.divided(part, platforms.LIMITS["x"], None, numbered=True)


def explained(text: str) -> None:
    """Call the methods of a source and of a request that are this text."""
    original, brief = Original(text), Brief(text)
    original.covered_by(text, text)
    original.is_introduced_by(text, text)
    brief.explains("Title: ", "Tea", labels.TITLE)
    brief.explains_mark("1. ", "Tea")
    brief.explains_quotes("Tea")
    brief.repeats(text, PROMPT)


def main(arguments: Sequence[str]) -> None:
    """Try everything, or a part, or only a quadratic pattern. The kernel ends the program in a try that takes too long."""
    shapes: Sequence[str] = SHAPES
    if arguments == ["quadratic"]:
        tries = [("a quadratic pattern", PATTERN_CHARACTERS, tried(re.compile(r"\[[^\]]*\]"), "sub"))]
    else:
        tries = [(name, PATTERN_CHARACTERS, one) for name, one in pattern_tries().items()]
        tries += [(name, FUNCTION_CHARACTERS, one) for name, one in function_tries().items()]
        if arguments:
            part, parts = map(int, arguments[0].split("/"))
            shapes = SHAPES[part - 1 :: parts]
    for shape in shapes:
        for name, characters, one in tries:
            text = hostile(shape, characters)
            signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S)
            sys.stdout.write(f"{name} on {shape!r}\n")
            sys.stdout.flush()
            one(text)
    sys.stdout.write("all tried\n")


if __name__ == "__main__":
    main(sys.argv[1:])
