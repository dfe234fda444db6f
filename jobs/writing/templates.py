"""Prompt templates: Jinja2 files in jobs/kinds/templates. A file in the user's own folder replaces the template with the same
name.

Templates run in a sandbox (jobs/writing/sandbox), since whoever writes prompts need not be trusted with the machine. A template
raises an error if it uses a value that was not given, so no prompt lacks a value; the error names the template and the line. Each
row's receipt holds the sha256 of the templates that made its prompts.
"""

import hashlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import jinja2

from jobs.did_you_mean import did_you_mean
from jobs.errors import RequestError, TemplateFault
from jobs.generation import Message

SHIPPED: Final = Path(__file__).parents[1] / "kinds" / "templates"
"""The folder of the templates of our own kinds."""


FAULTS: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What a template may raise besides the errors of Jinja2, such as ZeroDivisionError, or the SyntaxError of
Python for loops that stand in too many others."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text of a template with its values filled in, and the sha256 of its source and of the templates that it includes."""

    text: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Compiled:
    render: Callable[..., str]
    sources: tuple[str, ...]


class Templates:
    """The templates of one process.

    Args:
        folder: The folder of the user's own templates, if there is one.
        shipped: The folder of the templates that the user's templates replace.
        known: The names of the templates of all packages: one set for all Templates. This object adds the names of its own
            templates.

    Raises:
        RequestError: `folder` is missing, or a template in it is not valid.
    """

    def __init__(self, folder: Path | None = None, shipped: Path = SHIPPED, known: set[str] | None = None) -> None:
        own = None if folder is None else folder.expanduser()
        if own is not None and not own.is_dir():
            raise RequestError(f"templates_dir: {folder} is not a folder: make it, or correct the setting")
        self._own = own
        self._folders = [shipped] if own is None else [own, shipped]
        self._compiled: dict[str, _Compiled] = {}
        self._turns: dict[tuple[str, str], tuple[Message, str]] = {}
        self._known = set[str]() if known is None else known
        self._known.update(path.name for path in shipped.glob("*.j2"))
        for path in sorted(own.glob("*.j2")) if own is not None else ():
            self._template(path.name)

    @cached_property
    def _environment(self) -> "jinja2.Environment":
        """The environment of Jinja2. It is made when a template is first needed, because Jinja2 is slow to import."""
        import jinja2

        from jobs.writing.sandbox.environment import NamedUndefined, PromptEnvironment

        return PromptEnvironment(
            loader=jinja2.FileSystemLoader(self._folders),
            undefined=NamedUndefined,
            autoescape=False,
            auto_reload=False,  # a process keeps the templates that its receipts name
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def _source(self, name: str) -> str:
        """Return the source of a template. Raises jinja2.TemplateNotFound."""
        loader = self._environment.loader
        return loader.get_source(self._environment, name)[0] if loader is not None else ""

    def of_package(self, shipped: Path) -> "Templates":
        """Return the templates in the folder of another package. The user's own templates replace templates of that package
        too.
        """
        return Templates(self._own, shipped, self._known)

    def refuse_unused(self, *, all_known: bool) -> None:
        """Raise RequestError if a template in the user's folder replaces no shipped template, and no other template includes
        it.

        Such a file would change no prompt; probably its name is misspelt. If `all_known` is False, a kind of another package
        may load templates later. Then a file is refused only if its name is close to a known name.
        """
        own = sorted(path.name for path in self._own.iterdir() if path.is_file()) if self._own is not None else []
        used = {name for file in own if file.endswith(".j2") for name in self._included(file)} | self._known
        for name in own:
            stem, _, suffix = name.partition(".")
            like = f": did you mean {stem}.j2?" if f"{stem}.j2" in self._known else did_you_mean(name, self._known)
            is_template = suffix == "j2" or stem in {known.removesuffix(".j2") for known in self._known}
            if name not in used and is_template and (all_known or like):
                raise RequestError(f"templates_dir: {name} replaces no template{like}")

    def _included(self, name: str) -> set[str]:
        """Return the names of the templates that a template names in an `include`, an `import` or an `extends`."""
        from jinja2 import meta

        source = self._source(name)
        return {other for other in meta.find_referenced_templates(self._environment.parse(source)) if other is not None}

    def render(self, name: str, **values: Any) -> Rendered:
        """Fill `values` into a template. Raises RequestError if the template is missing; TemplateFault, which names the value, if
        it uses one that is not in `values`.
        """
        template = self._template(name)
        return Rendered(self._text(name, values), _sha256(template.sources))

    def messages(self, system: str, user: str, **values: Any) -> tuple[tuple[Message, ...], str]:
        """Return two values: the system turn and the user's turn of a prompt, and the hash of their templates.

        `values` are filled into the user's turn alone. The system turn is the same for all rows, so its tokens can be cached.
        The hash is the output of `cat SYSTEM USER INCLUDED... | sha256sum`.
        """
        turn, sha256 = self._system_turn(system, user)
        return (turn, Message("user", self._text(user, values))), sha256

    def messages_sha256(self, system: str, user: str) -> str:
        """Return the hash that `messages` returns for these templates."""
        return self._system_turn(system, user)[1]

    def _system_turn(self, system: str, user: str) -> tuple[Message, str]:
        names = system, user
        if names not in self._turns:
            sources = dict.fromkeys((*self._template(system).sources, *self._template(user).sources))
            self._turns[names] = Message("system", self._text(system, {})), _sha256(tuple(sources))
        return self._turns[names]

    def _text(self, name: str, values: dict[str, Any]) -> str:
        import jinja2

        from jobs.writing.sandbox.limits import limited

        template = self._template(name)
        try:
            with limited():
                text = template.render(**values).strip()
                text.encode()  # raises UnicodeEncodeError for half a character, which no model could read
                return text
        except (jinja2.TemplateError, *FAULTS) as error:
            field = getattr(error, "field", None)  # a value that was not given
            raise TemplateFault(f"{self._place(name, error)}: {_reason(error)}", field=field) from error

    def _template(self, name: str) -> _Compiled:
        if name not in self._compiled:
            import jinja2

            try:
                template = self._environment.get_template(name)
                self._compiled[name] = _Compiled(template.render, tuple(dict.fromkeys(self._sources(name))))
            except jinja2.TemplateNotFound as error:
                raise RequestError(f"template {name}: there is no template {error.name}") from error
            except jinja2.TemplateSyntaxError as error:
                raise RequestError(f"template {error.name or name}, line {error.lineno}: {error.message}") from error
            except (jinja2.TemplateError, OSError, *FAULTS) as error:
                raise RequestError(f"template {name}: {_reason(error)}") from error
        return self._compiled[name]

    def _place(self, name: str, error: BaseException) -> str:
        """Return the template and the line in which the rendering of `name` has failed, which may be an included template."""
        files = {str(folder / file) for folder in self._folders for file in (name, *self._environment.list_templates())}
        found = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        return f"template {Path(found[-1].filename).name}, line {found[-1].lineno}" if found else f"template {name}"

    def _sources(self, name: str, seen: set[str] | None = None) -> list[str]:
        """Return the source of a template, then the sources of the templates that it includes, each once."""
        seen = {name} if seen is None else seen
        found = [self._source(name)]
        for other in sorted(self._included(name)):
            if other not in seen:
                seen.add(other)
                found += self._sources(other, seen)
        return found


def _reason(error: BaseException) -> str:
    """Return what is wrong in a template, in one line."""
    if isinstance(error, RecursionError):
        return "it calls or includes itself without an end"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, SyntaxError):
        return error.msg
    return str(error) or type(error).__name__


def _sha256(sources: tuple[str, ...]) -> str:
    return hashlib.sha256("".join(sources).encode()).hexdigest()
