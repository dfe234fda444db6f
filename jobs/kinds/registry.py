"""Which kinds there are: those of this folder, and those that other distributions name as entry points."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from jobs.errors import RequestError
from jobs.kinds.article import ArticleKind
from jobs.kinds.chat import ChatKind
from jobs.kinds.completion import CompletionKind
from jobs.kinds.kind import Kind
from jobs.kinds.social_post import SocialPostKind
from jobs.kinds.translation import TranslationKind
from jobs.writing.templates import Templates

GROUP: Final = "nightpress.kinds"


def load_kinds(templates_dir: Path | None = None) -> Mapping[str, Kind]:
    """All kinds by name.

    Raises RequestError, which names the entry point, when one cannot be loaded or takes a name twice; and which names the
    file, when one of `templates_dir` replaces no template of any of them.
    """
    templates = Templates(templates_dir)
    shipped: list[Kind] = [
        ArticleKind(templates),
        SocialPostKind(templates),
        TranslationKind(templates),
        ChatKind(templates),
        CompletionKind(templates),
    ]
    kinds = {kind.name: kind for kind in shipped}
    for point in entry_points(group=GROUP):
        try:
            kind: Kind = point.load()(templates)
            name = kind.name
        except Exception as error:
            raise RequestError(f"the kind {point.name} = {point.value} cannot be loaded: {error!r}") from error
        if name in kinds:
            raise RequestError(f"the kind {point.name} = {point.value} takes the name {name!r}, which is taken")
        kinds[name] = kind
    templates.refuse_unused(all_known=len(kinds) == len(shipped))
    return kinds
