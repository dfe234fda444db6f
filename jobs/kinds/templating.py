"""Prompt templates: Jinja2 files beside the kinds, which a user's own folder overrides by file name.

A template that lacks a value fails rather than leaving a hole. The sha256 of its source goes into each row's receipt.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2

from jobs.errors import RequestError

SHIPPED: Final = Path(__file__).with_name("templates")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text of a template with its values, and the hash of the template."""

    text: str
    sha256: str


class Templates:
    """The templates of one process. `folder` holds the user's own; None is the shipped ones alone."""

    def __init__(self, folder: Path | None = None, shipped: Path = SHIPPED) -> None:
        folders = [shipped] if folder is None else [folder.expanduser(), shipped]
        if folder is not None and not folders[0].is_dir():
            raise RequestError(f"templates_dir: {folder} is not a folder")
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folders),
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # noqa: S701 - prompts are not markup
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._compiled: dict[str, tuple[Callable[..., str], str]] = {}

    def render(self, name: str, **values: Any) -> Rendered:
        """The template `name` with `values`. Raises RequestError when it is missing, or asks for what it is not given."""
        render, sha256 = self._compiled.get(name) or self._compile(name)
        try:
            return Rendered(render(**values).strip(), sha256)
        except jinja2.TemplateError as error:
            raise RequestError(f"template {name}: {error}") from error

    def _compile(self, name: str) -> tuple[Callable[..., str], str]:
        loader = self._environment.loader
        if loader is None:
            raise RequestError("no templates")
        try:
            source, _, _ = loader.get_source(self._environment, name)
            render = self._environment.get_template(name).render
        except jinja2.TemplateError as error:
            raise RequestError(f"template {name}: {error}") from error
        self._compiled[name] = (render, hashlib.sha256(source.encode()).hexdigest())
        return self._compiled[name]
