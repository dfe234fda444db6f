"""The limits of an audit, and the settings under `[checks.audit]` that change them.

    [checks.audit]
    most_collapse = 0.1

`severity = "off"` there switches the audit off.
"""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.did_you_mean import did_you_mean
from jobs.errors import RequestError
from jobs.findings import CheckSettings, Severity

NAME: Final = "audit"
"""The name of the audit among the settings of checks."""

_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=1)]


class AuditLimits(BaseModel):
    """The limits of an audit. Unknown ones are ignored, since a newer release may have stored them: see `audit_limits`."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    jaccard: float = Field(
        default=0.7, ge=0.5, le=1, description="Texts that share this part of their pairs of words are near-duplicates."
    )
    least_words: int = Field(default=8, ge=2, description="Shorter texts are not compared, and not in a sample.")
    opening_words: int = Field(default=5, ge=1, description="The words of an opening; twice as many ideographs.")
    most_same_opening: _Share = Field(default=0.05, description="The share of rows that may have the same opening.")
    most_collapse: _Share = Field(default=0.05, description="The share of rows that may repeat another one.")
    most_inconsistent: _Share = Field(
        default=0.0, description="The share of translated rows whose source may have another translation too."
    )
    least_distinct_2: _Share = Field(
        default=0.2, description="The least share of different pairs of words in a sample."
    )
    most_self_bleu: _Share = Field(
        default=0.7, description="The highest mean BLEU of a text against the others of a sample."
    )
    most_compression: float = Field(
        default=6.0, ge=1, description="How many times smaller a sample may become by compression."
    )
    least_sample: _Count = Field(default=50, description="Smaller samples are measured, but not judged.")
    sample: _Count = Field(default=200, description="The rows of each kind and tenant in a sample.")
    most_samples: _Count = Field(default=100, description="At most this many pairs of kind and tenant have a sample.")
    most_clusters: _Count = Field(
        default=100, description="The clusters of each code that are named, the largest first."
    )
    most_ids: _Count = Field(default=1_000, description="The rows of each cluster that are named.")
    seed: int = Field(default=0, description="The seed of the samples.")
    translations: tuple[str, ...] = Field(
        default=("translation",), description="The kinds whose texts follow their source."
    )


def audit_limits(settings: CheckSettings) -> AuditLimits | None:
    """Return the limits of an audit under these settings of checks; None if the audit is switched off.

    Raises:
        RequestError: A limit is unknown or out of range, or the severity is another than `off`; the message names the setting.
    """
    changed = settings.get(NAME)
    if changed is None:
        return AuditLimits()
    for name in changed.limits:
        if name not in AuditLimits.model_fields:
            raise RequestError(
                f"checks.{NAME}.{name}: an audit has no such limit{did_you_mean(name, AuditLimits.model_fields)}: "
                f"it has {', '.join(AuditLimits.model_fields)}"
            )
    if changed.severity not in (None, Severity.OFF):
        raise RequestError(
            f"checks.{NAME}: severity: an audit fails no row, so its severity is off or left out, not {changed.severity}"
        )
    try:
        limits = AuditLimits.model_validate(dict(changed.limits))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RequestError(
            f"checks.{NAME}.{place}: {first['msg']}: {first['input']!r} is no such value: correct it"
        ) from None
    return None if changed.severity is Severity.OFF else limits
