"""Shows jobs/errors.py: the tree in its docstring is the tree of its classes. tests/test_tables.py shows the codes."""

import re

from jobs import errors
from jobs.errors import NightpressError


def drawn() -> list[tuple[str, str, int]]:
    """Each class that the docstring draws, the class above it, and its exit status, which stands beside it or beside a class
    above it.
    """
    found: list[tuple[str, str, int]] = []
    above: dict[int, tuple[str, int]] = {0: ("Exception", 0)}
    for line in (errors.__doc__ or "").splitlines():
        if node := re.fullmatch(r"    ((?:\|  |   )*)(?:[|`]- )?(\w+)  +.*?(?:exit status (\d))?", line):
            depth = len(node[1]) // 3 + ("- " in line[: line.index(node[2])])
            parent, status = above[depth]
            above[depth + 1] = node[2], int(node[3] or status)
            found.append((node[2], parent, above[depth + 1][1]))
    return found


def declared(base: type[NightpressError]) -> list[tuple[str, str, int]]:
    """The same three values for the classes of the module, in the order of their declaration."""
    mine = [] if base.__module__ != errors.__name__ else [base]
    tree = [(one.__name__, one.__bases__[0].__name__, one.exit_status) for one in mine]
    return tree + [entry for below in base.__subclasses__() for entry in declared(below)]


def test_the_tree_in_the_docstring_is_that_of_the_classes() -> None:
    assert len(drawn()) > 10
    assert sorted(drawn()) == sorted(declared(NightpressError))
