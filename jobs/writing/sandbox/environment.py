"""The environments of Jinja2 in which templates of others are rendered: of kinds' prompts, and of models' chats."""

import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache, partial, wraps
from types import BuiltinMethodType, MethodType
from typing import Any, Final

from jinja2 import Template, nodes
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError, TemplateRuntimeError, UndefinedError
from jinja2.filters import make_attrgetter
from jinja2.lexer import TokenStream
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Cycler, Joiner, Namespace, missing
from jinja2.visitor import NodeTransformer
from pydantic import BaseModel

from jobs.did_you_mean import did_you_mean
from jobs.writing.sandbox.limits import (
    MAX_ITEMS,
    MAX_TEXT,
    MAX_WIDTH,
    TooMuch,
    check_filter,
    check_operation,
    check_places,
    check_replacement,
    check_source,
    check_text,
    counted_tokens,
    step,
    stepped,
    weighed,
    weight,
)

REMOVED: Final = ("pprint", "random", "striptags", "urlize", "xmlattr")
"""These filters of Jinja2 are left out. They write markup, need time that grows with the square of a text, or leave it to chance
what a prompt says."""

PADDING: Final = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "translate", "format_map"})
"""These methods of texts are left out, since they make a long text of a short one."""

PLAIN: Final = (str, int, float, list, tuple, dict)
"""A template may call the methods of values of these types, as far as they change nothing."""

_DATA: Final = frozenset({str, int, float, bool, list, tuple, dict, type(None)})
"""A field of a request whose value has one of these types is data, and may be read."""

_STEPPED, _JOINED, _WEIGHED = (
    "each item",
    "joined text",
    "made value",
)  # no filter of a template has a name with a space


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox with limits. It may take the place of the sandbox in which transformers renders chat templates."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        filters, functions = dict(self.filters), dict(self.globals)
        self.filters = _Filters()
        self.globals = _Globals()
        for name, function in (*filters.items(), (_STEPPED, stepped), (_JOINED, _joined), (_WEIGHED, weighed)):
            if name not in REMOVED:
                self.filters[name] = function
        for name, value in functions.items():
            if name != "lipsum":
                self.globals[name] = value

    def _tokenize(self, source: str, name: str | None, *args: Any, **kwargs: Any) -> TokenStream:
        check_source(source)
        stream = super()._tokenize(source, name, *args, **kwargs)
        return TokenStream(counted_tokens(stream), name, stream.filename)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(_Counting().visit(source), *args, **kwargs)

    @staticmethod
    def concat(texts: Iterable[str]) -> str:
        """Return the texts as one. Jinja2 calls this for all that it renders. Raises TooMuch."""
        parts, total = [], 0
        for text in texts:
            total += len(text)
            if total > MAX_TEXT:
                check_text(total)
            parts.append(text)
        return "".join(parts)

    def get_template(self, *args: Any, **kwargs: Any) -> Template:
        step()
        return super().get_template(*args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        check_operation(operator, left, right)
        return weighed(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as in Jinja2
        step()
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if not __self.is_safe_callable(__obj):
            raise SecurityError(f"{name or type(__obj).__name__} may not be called")
        if isinstance(owner, str) and name == "replace":
            check_replacement(owner, *args[:2])
        if isinstance(owner, str) and name == "join":
            args = (_texts(owner, args[0] if args else ()), *args[1:])
        if any(isinstance(value, int) and abs(value) > MAX_ITEMS for value in args) and isinstance(owner, PLAIN):
            raise TooMuch(f"{name} is called with a number beyond {MAX_ITEMS:,}")
        return weighed(super().call(__context, __obj, *args, **kwargs))

    def is_safe_callable(self, obj: Any) -> bool:
        is_padding = isinstance(getattr(obj, "__self__", None), str) and obj.__name__ in PADDING
        return not is_padding and super().is_safe_callable(obj)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return what a template calls in place of `str.format`; None for every other value."""
        owner = getattr(value, "__self__", None)
        if not isinstance(value, MethodType | BuiltinMethodType) or value.__name__ != "format":
            return None
        if not isinstance(owner, str):
            return None
        formatter = _Formatter(self)

        def checked_format(*args: Any, **kwargs: Any) -> str:
            check_places(owner.count("{"), (*args, *kwargs.values()))
            return formatter.vformat(str(owner), args, kwargs)

        return checked_format


class PromptEnvironment(LimitedEnvironment):
    """The sandbox of the prompts of kinds. A template calls macros, Jinja2's own functions and methods of plain values.

    Methods of other objects cannot be called: a method of a pydantic model reads files.
    """

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an attribute, or an undefined value if it may not be read.

        A field of a request whose value is plain data is safe, and is returned in a tenth of the time of the checks.
        """
        owner: Any = type(obj)
        if _is_field(owner, attribute) and type(value := obj.__dict__.get(attribute, missing)) in _DATA:
            return value
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        is_data = not callable(value) or isinstance(value, Macro)
        is_known = isinstance(obj, PLAIN) or type(obj).__module__.startswith("jinja2.")
        return (is_data or (is_known and not isinstance(obj, type))) and super().is_safe_attribute(obj, attr, value)

    def is_safe_callable(self, obj: Any) -> bool:
        owner = getattr(obj, "__self__", None)
        is_known = (
            isinstance(obj, Macro | LoopContext | BlockReference | Joiner | Undefined)
            or any(obj is value for value in self.globals.values())
            or isinstance(owner, (*PLAIN, LoopContext, Cycler, TemplateModule))
            or getattr(obj, "__qualname__", "").endswith("wrap_str_format.<locals>.checked_format")
        )
        return is_known and super().is_safe_callable(obj)


@lru_cache(1_024)
def _is_field(type_: Any, name: str) -> bool:
    return issubclass(type_, BaseModel) and name in type_.model_fields and not name.startswith("_")


class MissingValue(UndefinedError):
    """A template uses a value that was not given, or that an object lacks. `field` is its name."""

    def __init__(self, message: str | None, field: str | None) -> None:
        super().__init__(message)
        self.field = field


class NamedUndefined(StrictUndefined):
    """A value that was not given, or that an object lacks. Any use of it raises an error that names the field."""

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = UndefinedError,
    ) -> None:
        super().__init__(hint, obj, name, exc)
        if exc is UndefinedError:
            field = name if isinstance(name, str) else None
            self._undefined_exception = partial(MissingValue, field=field)  # type: ignore[assignment]  # it is only called

    @property
    def _undefined_message(self) -> str:
        owner, name = self._undefined_obj, self._undefined_name
        if self._undefined_hint or owner is missing or not isinstance(name, str):
            return str(super()._undefined_message)
        known = list(owner) if isinstance(owner, dict) else list(getattr(type(owner), "model_fields", ()))
        return f"{type(owner).__name__} has no field {name!r}{did_you_mean(name, filter(_is_text, known))}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


class _Counting(NodeTransformer):
    """Puts our filters into a template that was read: where it loops, joins texts, or makes lists and objects."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the names of the visitor
        self.generic_visit(node)
        node.iter = _filtered(node.iter, _STEPPED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(nodes.Tuple(node.nodes, "load", lineno=node.lineno), _JOINED)

    def visit_List(self, node: nodes.Literal) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        is_constant = all(isinstance(child, nodes.Const) for child in node.iter_child_nodes())
        return node if is_constant or getattr(node, "ctx", "load") != "load" else _filtered(node, _WEIGHED)

    visit_Tuple = visit_Dict = visit_List  # noqa: N815


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class _Filters(dict[str, Any]):
    """The filters of an environment, which check what they are given and what they return."""

    def __setitem__(self, name: str, function: Callable[..., Any]) -> None:
        skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            check_filter(name, args[skipped:], kwargs)
            if name == "join":
                args, kwargs = _join_arguments(*args, **kwargs), {}
            return weighed(function(*args, **kwargs))

        super().__setitem__(name, checked)


class _Globals(dict[str, Any]):
    """The functions of an environment. A namespace does not show what is in it: that may be a namespace, and so on."""

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(value, type) and issubclass(value, Namespace):
            value = type(value.__name__, (value,), {"__repr__": lambda _: "<Namespace>"})
        super().__setitem__(name, value)


class _Formatter(SandboxedFormatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if re.search(r"\d{4}", format_spec):
            raise TooMuch(f"a width beyond {MAX_WIDTH - 1}: {format_spec[:20]}")
        return str(super().format_field(value, format_spec))


def _join_arguments(
    context: Any, value: Iterable[Any], d: str = "", attribute: str | int | None = None
) -> tuple[Any, ...]:
    """Return the arguments of the filter `join` with the items themselves in place of their attributes. Raises TooMuch."""
    items = value if attribute is None else map(make_attrgetter(context.environment, attribute), value)
    return context, _texts(d, items), d


def _texts(between: Any, items: Iterable[Any]) -> list[Any]:
    """Return the items of a join as a list. Raises TooMuch if the joined text would be too long."""
    made, total = [], 0
    for item in stepped(items):
        total += weight(item) + len(str(between))
        check_text(total)
        made.append(item)
    return made


def _joined(values: Collection[Any]) -> str:
    return LimitedEnvironment.concat(map(str, values))
