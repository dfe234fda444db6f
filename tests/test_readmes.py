"""Tests the pages for developers: each path that they name exists, and each room is in the README of its half."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
LINES: Final = {"jobs/README.md": 200, "workers/README.md": 200, ".github/CONTRIBUTING.md": 120}
"""Page -> the number of lines that it must stay below, so that it can be read in one go."""
PAGES: Final = [*LINES, "jobs/PROTOCOL.md"]

CODE: Final = re.compile(r"`([^`\s]+)`")
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
NAMES: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
"""The form of a path. A pattern, such as `batches/<id>`, is not a path."""
FILE: Final = re.compile(r".*\.(?:py|lua|md|toml|j2|yaml)")
IN_THE_STORE: Final = {"open/", "compacted/"}
"""Folders of a store, not of the tree."""


def named_paths(page: str) -> list[str]:
    """The paths in the code spans of a page: files by their endings, and folders by the slash at their end or their beginning."""
    tops = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir())
    spans = [span for span in CODE.findall((ROOT / page).read_text()) if NAMES.fullmatch(span)]
    return [
        span
        for span in spans
        if (FILE.fullmatch(span) or span.endswith("/") or span.startswith(tops)) and span not in IN_THE_STORE
    ]


def rooms(half: str) -> set[str]:
    """The folders of a half that contain files, in the form in which its README names them."""
    found = {path.parent for path in (ROOT / half).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return {f"{folder.relative_to(ROOT / half)}/" for folder in found if folder != ROOT / half}


@pytest.mark.parametrize("page", PAGES)
def test_each_path_that_a_page_names_exists(page: str) -> None:
    paths = named_paths(page)
    assert len(paths) > 5
    beside = (ROOT / page).parent
    assert sorted({path for path in paths if not ((ROOT / path).exists() or (beside / path).exists())}) == []


@pytest.mark.parametrize("page", PAGES)
def test_each_link_of_a_page_leads_to_a_file(page: str) -> None:
    links = [link for link in LINK.findall((ROOT / page).read_text()) if "://" not in link]
    assert links
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("half", ["jobs", "workers"])
def test_each_room_is_a_row_of_the_table_of_its_half(half: str) -> None:
    rows = set(re.findall(r"^\| `([\w/]+/)` \| \S", (ROOT / half / "README.md").read_text(), flags=re.MULTILINE))
    assert rows == rooms(half)


@pytest.mark.parametrize(("page", "most"), LINES.items())
def test_a_page_is_short(page: str, most: int) -> None:
    assert len((ROOT / page).read_text().splitlines()) < most
