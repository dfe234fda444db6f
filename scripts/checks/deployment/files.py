"""Reads the files of deploy/ strictly, and finds the programs that check them."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[3]
DEPLOY: Final = ROOT / "deploy"


class Missing(Exception):
    """A program that a check needs is not installed here. The message says which, and where it comes from."""


class Wrong(Exception):
    """A file cannot be read as what it is. The message names the file."""


class _Loader(yaml.SafeLoader):
    """Reads YAML, and refuses a mapping that has a key twice, of which a program would take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice.pop()!r} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def documents(path: Path, text: str | None = None) -> list[Any]:
    """Return the documents of a YAML or JSON file, or of a text that came of it. Raises Wrong if it is none."""
    try:
        return [one for one in yaml.load_all(path.read_text() if text is None else text, _Loader) if one is not None]
    except yaml.YAMLError as error:
        raise Wrong(f"{path}: {' '.join(str(error).split())}") from None


def document(path: Path) -> Any:
    """Return the only document of a file. Raises Wrong if it has none or several."""
    found = documents(path)
    if len(found) != 1:
        raise Wrong(f"{path}: it has {len(found)} documents; write one a file")
    return found[0]


def program(name: str, comes_from: str) -> str:
    """Return the path of a program. Raises Missing if it is not installed."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed; it comes from {comes_from}")
    return found


def images(value: Any) -> Iterator[str]:
    """Yield each image that a document names, at whatever depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "image" and isinstance(inner, str):
                yield inner
            else:
                yield from images(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from images(inner)


def unpinned(value: Any) -> list[str]:
    """Return the images of a document without a tag of a release or a digest."""
    return [image for image in images(value) if "@sha256:" not in image and not _has_release(image)]


def _has_release(image: str) -> bool:
    tag = image.rpartition("/")[2].partition(":")[2]
    return any(character.isdigit() for character in tag)
