"""The languages of a batch of documents, as `--set source_language=en --set target_language=fr,de` names them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from jobs.errors import RequestError
from jobs.intake.row_faults import shown
from jobs.writing.fields import LanguageTag

_TAG: Final[TypeAdapter[str]] = TypeAdapter(LanguageTag)
_GIVE: Final = "documents need --set source_language=en --set target_language=fr, or fr,de for several"


def languages_of(given: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    """Return the language of the source, and the target languages in their order.

    Raises RequestError if one is missing, is no language tag, stands twice, or is the language of the source.
    """
    source, targets = given.get("source_language"), given.get("target_language")
    if isinstance(targets, str):
        targets = [part.strip() for part in targets.split(",")]
    if not source or not targets or targets == [""]:
        missing = "target_language" if source else "source_language"
        raise RequestError(f"no {missing}: {_GIVE}")
    if not isinstance(targets, list):
        raise RequestError(f"target_language {shown(targets)} is no list of languages: {_GIVE}")
    if "" in targets and all(isinstance(one, str) for one in targets):
        raise RequestError(f"target_language {shown(','.join(targets))} has nothing on one side of a comma: {_GIVE}")
    tag = _checked("source_language", source)
    found = [_checked("target_language", target) for target in targets]
    if twice := next((one for one in found if found.count(one) > 1), None):
        raise RequestError(f"target_language {twice} stands twice: name it once")
    if tag in found:
        raise RequestError(f"target_language {tag} is the source_language: leave it out")
    return tag, found


def _checked(name: str, tag: Any) -> str:
    try:
        return _TAG.validate_python(tag)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RequestError(f"{name} {shown(tag)}: {reason[:1].lower()}{reason[1:]}") from None
