"""Row values: reads the values of a row as the fields of its kind mean these values. pydantic checks the values afterwards.

This module follows the annotations of a pydantic model and of the models, lists and mappings in it. It changes a value only if
the value has one possible meaning: null is an absent field, 300.0 is 300 if the field is an integer, and `Instagram` is the
choice `instagram`. Every other value stays as it is. If the value is wrong, the check of its field says so. Values whose form is
free, such as metadata and JSON schemas, are never changed.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, lru_cache
from math import isnan
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jobs.did_you_mean import same_name
from jobs.formats.json_lines import as_integer
from jobs.writing.fields import OtherNames

Reader = Callable[[Any], Any]
"""A function that reads one value. It returns the value unchanged if it does not understand the value."""

_LISTS: Final = (list, tuple, set, frozenset, Sequence, AbstractSet)
_MAPPINGS: Final = (dict, Mapping)


@cache
def reader_of(model: type[BaseModel], *, without: frozenset[str] = frozenset(), only_fields: bool = False) -> Reader:
    """Return the reader of objects that `model` checks afterwards.

    The reader leaves out values with the names in `without`, and with `only_fields` all values that are no field of the model.
    NaN counts as null, because data frames write NaN for null and JSON cannot hold NaN.
    """
    fields = {_name(name, field): field for name, field in model.model_fields.items()}
    read_fields = {name: _reader(field.annotation, field.metadata) for name, field in fields.items()}
    readers = {name: reader for name, reader in read_fields.items() if reader is not _unchanged}
    nulls = {name for name, field in fields.items() if _means_null(field)}
    keeps_others = model.model_config.get("extra") == "allow"
    known = fields.keys() - without

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: one if (reader := readers.get(name)) is None else reader(one)
            for name, one in value.items()
            if (name in known or not (only_fields or name in without))
            and (
                (one is not None and not (isinstance(one, float) and isnan(one)))
                or name in nulls
                or (keeps_others and name not in fields)
            )
        }

    return read


def _name(name: str, field: FieldInfo) -> str:
    """Return the name that a field has in the input."""
    return field.validation_alias if isinstance(field.validation_alias, str) else name


def _means_null(field: FieldInfo) -> bool:
    """Whether null is a value of the field with its own meaning, and not just an absent field.

    It is if the field may be null, and is required or has a default other than null.
    """
    return type(None) in get_args(field.annotation) and (field.is_required() or field.get_default() is not None)


def _reader(annotation: Any, metadata: Sequence[Any] = ()) -> Reader:
    """Return the reader of values with this annotation. `metadata` is the part of the annotation that pydantic keeps apart from
    it.
    """
    plain = _plain(annotation)
    if isinstance(plain, type) and issubclass(plain, BaseModel):
        return lambda value: reader_of(plain)(value)  # noqa: PLW0108 - found when it is called: a model may hold itself
    origin, inner = get_origin(plain), get_args(plain)
    if origin in _MAPPINGS or origin in _LISTS:
        return _items_reader(_reader(inner[-1] if origin in _MAPPINGS else inner[0]))
    if origin is Literal:
        return _choice(inner, _other_names(annotation, metadata))
    return as_integer if plain is int else _unchanged


def _items_reader(item: Reader) -> Reader:
    """Return the reader of lists or mappings whose items `item` reads."""
    if item is _unchanged:
        return _unchanged

    def read(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: item(one) for name, one in value.items()}
        return [item(one) for one in value] if isinstance(value, list) else value

    return read


def _choice(choices: Sequence[Any], other_names: Mapping[str, str]) -> Reader:
    """Return the reader of a field that takes one of `choices`.

    The reader also understands other spellings of the choices (`same_name`), and the names in `other_names`.
    """
    texts = [choice for choice in choices if isinstance(choice, str)]

    @lru_cache(256)
    def meant(value: str) -> str:
        name = same_name(value, texts) or same_name(value, other_names)
        return value if name is None else other_names.get(name, name)

    return lambda value: meant(value) if isinstance(value, str) and value not in choices else value


def _other_names(annotation: Any, metadata: Sequence[Any]) -> Mapping[str, str]:
    known = [*metadata, *(get_args(annotation) if get_origin(annotation) is Annotated else ())]
    return next((one.names for one in known if isinstance(one, OtherNames)), {})


def _plain(annotation: Any) -> Any:
    """Return the annotation without metadata and without None. If it is the name of a `type` statement, the type that it names
    is returned.
    """
    if hasattr(annotation, "__value__"):
        return _plain(annotation.__value__)
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        options = [one for one in get_args(annotation) if one is not type(None)]
        return _plain(options[0]) if len(options) == 1 else annotation
    return annotation


def _unchanged(value: Any) -> Any:
    return value
