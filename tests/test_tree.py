"""Tests the tree: no folder is too full, and in `jobs` and `workers` no imports go in a circle or to a higher layer.

The layers are those of the import contracts in `pyproject.toml`, which import-linter checks too in `make check`. Here every
import counts: at the top of a module, in a function, or for type checkers alone.
"""

import ast
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
HALVES: Final = ("jobs", "workers")
MOST_MODULES: Final = 15


def modules() -> dict[str, Path]:
    """The files of both halves by the names of their modules; an `__init__.py` has the name of its package."""
    paths = [path for half in HALVES for path in sorted((ROOT / half).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(name: str, tree: ast.AST, known: Mapping[str, object]) -> Iterator[str]:
    """The modules of `known` that a module imports. `from a.b import c` imports a.b.c if that is a module, else a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively"
            found = [
                f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in known else f"{node.module}"
                for a in node.names
            ]
        else:
            continue
        yield from (one for one in found if one in known)


@cache
def graph() -> Mapping[str, frozenset[str]]:
    """Each module, and the modules that it imports."""
    known = modules()
    return {name: frozenset(imports(name, ast.parse(path.read_text()), known)) for name, path in known.items()}


def circles(edges: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """The sets of modules that import each other directly or indirectly (Tarjan's strongly connected components)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        numbers[name] = lowest[name] = len(numbers)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in numbers:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == numbers[name]:
            circle = stack[stack.index(name) :]
            del stack[-len(circle) :]
            if len(circle) > 1 or name in edges[name]:
                found.append(sorted(circle))

    for name in sorted(edges):
        if name not in numbers:
            visit(name)
    return found


def layers(container: str) -> list[tuple[list[str], bool]]:
    """The layers of a package from the top, each with its members and whether these may import each other."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [one for one in contracts if one["type"] == "layers" and one.get("containers") == [container]]
    return [
        ([name.strip() for name in line.replace("|", ":").split(":")], "|" not in line) for line in contract["layers"]
    ]


def upward(container: str, edges: Mapping[str, frozenset[str]]) -> list[str]:
    """The imports within a package that go to a higher layer, or to another room of the same layer if that is not allowed."""
    level = {name: n for n, (names, _) in enumerate(layers(container)) for name in names}
    mixed = {n for n, (_, may_mix) in enumerate(layers(container)) if may_mix}
    wrong = []
    for module, others in edges.items():
        for other in others:
            if not (module.startswith(f"{container}.") and other.startswith(f"{container}.")):
                continue
            mine, theirs = module.split(".")[1], other.split(".")[1]
            if level[theirs] < level[mine] or (level[theirs] == level[mine] not in mixed and mine != theirs):
                wrong.append(f"{module} -> {other}")
    return sorted(wrong)


def test_no_folder_holds_more_than_about_fifteen_modules() -> None:
    counts: dict[str, int] = {}
    for top in (*HALVES, "scripts", "tests"):
        for path in (ROOT / top).rglob("*.py"):
            folder = str(path.parent.relative_to(ROOT))
            counts[folder] = counts.get(folder, 0) + (path.name != "__init__.py")
    assert {folder: n for folder, n in counts.items() if n > MOST_MODULES} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert len(graph()) > 100
    assert circles(graph()) == []


@pytest.mark.parametrize("half", HALVES)
def test_no_module_imports_a_higher_layer(half: str) -> None:
    assert upward(half, graph()) == []


@pytest.mark.parametrize("half", HALVES)
def test_each_module_and_room_has_its_layer(half: str) -> None:
    named = [name for names, _ in layers(half) for name in names]
    assert sorted(named) == sorted({name.split(".")[1] for name in graph() if name.startswith(f"{half}.")})


def test_jobs_never_imports_workers() -> None:
    assert [
        name
        for name, others in graph().items()
        if name.startswith("jobs")
        for other in others
        if other.startswith("workers")
    ] == []


def test_circles_are_found() -> None:
    edges = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("b"), "d": frozenset("d"), "e": frozenset("a")}
    assert sorted(circles(edges)) == [["b", "c"], ["d"]]


def test_each_slow_test_is_run_by_make_faults() -> None:
    slow = [
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if "mark.faults" in path.read_text() and path != Path(__file__)
    ]
    elsewhere = {str(path.relative_to(ROOT)) for path in slow if "tests/faults" not in str(path)}
    makefile = (ROOT / "Makefile").read_text()
    assert elsewhere
    assert {path for path in elsewhere if path not in makefile} == set()
