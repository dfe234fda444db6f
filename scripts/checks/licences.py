"""Checks that each package of the product has a licence that fits Apache-2.0.

    python scripts/checks/licences.py

The product is what pyproject.toml names in its dependencies and extras, with all that these need. Tools of tests and checks do
not belong to it. Prints each package whose licence is unknown or not allowed, and then exits with status 1.
"""

import re
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]

ALLOWED: Final = frozenset(
    {
        *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0"),
        *("CNRI-Python", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib"),
    }
)
"""The licences that a package of the product may have, by their names in SPDX. MPL-2.0 binds changes of the package's files."""

NAMES: Final[Mapping[str, str]] = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
"""Maps names that packages use, in lower case, to those of SPDX."""

READ: Final[Mapping[str, str]] = {"pyromark": "MIT"}
"""Licences of packages whose metadata name none, from the licence files that the packages carry. The software that is compiled
into pyromark is listed in its LICENSE-THIRD-PARTY; a search of it finds neither the GPL, nor one of its kin, nor another licence
with copyleft.
"""

GPL: Final = re.compile(r"\b(?:[AL]?GPL|GNU|Affero)", re.IGNORECASE)
"""Matches the names of the GPL and its kin."""


def product(extras: Collection[str] | None = None) -> dict[str, Message | None]:
    """Return the metadata of each package of the product by its name; None for a package that is not installed.

    The product has all extras, or those that are given.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chosen = [needs for extra, needs in project["optional-dependencies"].items() if extras is None or extra in extras]
    waiting = [*project["dependencies"], *(one for needs in chosen for one in needs)]
    found: dict[str, Message | None] = {}
    seen = set[tuple[str, str]]()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found[name] = metadata(name)  # type: ignore[assignment] # it is a Message, and is declared as less
            for extra in {"", *requirement.extras} - {extra for one, extra in seen if one == name}:
                seen.add((name, extra))
                waiting += _needs(name, extra)
        except PackageNotFoundError:
            found[name] = None
    return found


def _needs(name: str, extra: str) -> Iterator[str]:
    """Yield what a package needs with this extra, without markers."""
    for line in requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            requirement.marker = None
            yield str(requirement)


def fault(about: Message | None) -> str:
    """Return what is wrong with the licence that this metadata declares; an empty text if nothing is."""
    if about is None:
        return "it is not installed: make check installs it"
    expression = about.get("License-Expression", "")
    classifiers = [one.split(" :: ")[-1] for one in about.get_all("Classifier", ()) if one.startswith("License :: ")]
    text = " ".join(about.get("License", "").split())
    if not (expression or classifiers or text):
        expression = READ.get(canonicalize_name(about.get("Name", "")), "")
    if expression:
        return "" if is_allowed(expression) else f"{expression} is not among the licences that are allowed"
    if GPL.search(text[:100]) or any(map(GPL.search, classifiers)):
        return f"{'; '.join([*classifiers, text[:60]])} is not among the licences that are allowed"
    said = [one for one in classifiers if one != "OSI Approved"] or [text]
    unknown = [one for one in said if not is_allowed(NAMES.get(one.lower(), one))]
    return f"its licence is not known: {'; '.join(unknown)[:80] or 'it names none'}" if unknown else ""


def is_allowed(expression: str) -> bool:
    """Whether an expression of SPDX, such as `MIT AND (GPL-2.0-only OR Apache-2.0)`, lets us use the package."""
    words = re.findall(r"[()]|[^\s()]+(?: WITH [^\s()]+)?", expression.strip())
    try:
        result = _any(words)
    except IndexError:
        return False
    return result and not words


def _any(words: list[str]) -> bool:
    result = _all(words)
    while words and words[0].upper() == "OR":
        words.pop(0)
        result = _all(words) or result
    return result


def _all(words: list[str]) -> bool:
    result = _one(words)
    while words and words[0].upper() == "AND":
        words.pop(0)
        result = _one(words) and result
    return result


def _one(words: list[str]) -> bool:
    word = words.pop(0)
    if word != "(":
        return word in ALLOWED
    result = _any(words)
    return words.pop(0) == ")" and result


def main() -> None:
    """Print the faults of all packages of the product, and exit with status 1 if there are any."""
    found: Any = product()
    faults = {name: reason for name, about in sorted(found.items()) if (reason := fault(about))}
    for name, reason in faults.items():
        print(f"{name}: {reason}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
