"""The registry of kinds. It loads the kinds of this folder, and the kinds that other packages name as entry points."""

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

from jobs.errors import RequestError
from jobs.kinds.article import ArticleKind
from jobs.kinds.chat import ChatKind
from jobs.kinds.completion import CompletionKind
from jobs.kinds.embedding import EmbeddingKind
from jobs.kinds.fill_mask import FillMaskKind
from jobs.kinds.kind import Kind
from jobs.kinds.label import LabelKind
from jobs.kinds.social_post import SocialPostKind
from jobs.kinds.translation import TranslationKind
from jobs.writing.templates import Templates

GROUP: Final = "nightpress.kinds"
"""The group of entry points in which other packages name their kinds."""


def load_kinds(templates_dir: Path | None = None) -> Mapping[str, Kind]:
    """Return all kinds by name.

    Args:
        templates_dir: A folder of the user's own templates. Each of them replaces the shipped template with the same name.

    Raises:
        RequestError: A kind of another package cannot be loaded, or has the name of another kind; the message names its
            entry point. Or a file of `templates_dir` replaces no template; the message names the file.
    """
    templates = Templates(templates_dir)
    shipped: list[Kind] = [
        ArticleKind(templates),
        SocialPostKind(templates),
        TranslationKind(templates),
        ChatKind(templates),
        CompletionKind(templates),
        LabelKind(templates),
        EmbeddingKind(templates),
        FillMaskKind(templates),
    ]
    kinds = {kind.name: kind for kind in shipped}
    for point in _points(tuple(sys.path)):
        try:
            kind: Kind = point.load()(templates)
            name = kind.name
        except Exception as error:
            raise RequestError(
                f"the kind {point.name} = {point.value} cannot be loaded: {error!r}: correct or uninstall its package"
            ) from error
        if name in kinds:
            raise RequestError(
                f"the kind {point.name} = {point.value} has the name of another kind, {name!r}: rename one of them"
            )
        kinds[name] = kind
    templates.refuse_unused(all_known=len(kinds) == len(shipped))
    return kinds


@lru_cache(maxsize=4)
def _points(_folders: tuple[str, ...]) -> Sequence[EntryPoint]:
    """Return the entry points of packages in these folders, which are those of `sys.path`. All packages are read only once."""
    return tuple(entry_points(group=GROUP))
