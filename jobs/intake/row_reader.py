"""The row reader: turns a record of any format into a normalised request, or into a fault of its row.

`row_fields.py` has the fields that any row may have, and `row_faults.py` the faults. The reader sees one row at a time, so
`staging.py` finds custom_ids that occur twice.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final

import orjson
from pydantic import BaseModel

from jobs.batches.refused import REASON
from jobs.batches.request_row import RowRequest
from jobs.catalog import TRANSLATION_ONLY, Abilities, Models
from jobs.did_you_mean import did_you_mean, same_name
from jobs.errors import RequestError, RowError
from jobs.formats.json_lines import Finding
from jobs.formats.record import Record
from jobs.intake.column_advice import advised, of_fields
from jobs.intake.row_faults import RowFault, fault_of, shown, validated
from jobs.intake.row_fields import ENVELOPE_FIELDS, Envelope, RowValues, envelope_of, own_of, valid_custom_id
from jobs.kinds.first_prompts import first_prompts, most_tokens
from jobs.kinds.kind import Kind
from jobs.languages.models import languages_of_card
from jobs.tenants import RowsMaySet
from jobs.terms.row_glossaries import RowGlossaries, takes_terms

OWN_REASON: Final = (
    f"the value of {REASON} is left out, since files to correct have their reasons there: rename it to keep it"
)
"""The remark on a row that has a value of its user's own under the name that we use."""


@dataclass(frozen=True, slots=True)
class RowDefaults:
    """The values of fields for rows that lack these fields. `given` holds the values of `--set` by field.

    If `override_model` is true, every row gets `model`, even a row that names another model. A row may name another tenant or
    priority only if `rows_may_set` has that field. If `tenants` is given, no other tenant is accepted. `with_most` tells whether
    a budget limits the rows, so that the most tokens of each are noted. `adapters` has the adapters of tenants: the name of the
    tenant -> the alias of a model -> the adapter for rows that name none.
    """

    kind: str | None
    model: str
    tenant: str
    priority: int
    given: Mapping[str, Any]
    override_model: bool = False
    rows_may_set: RowsMaySet = frozenset()
    tenants: Collection[str] | None = None
    with_most: bool = False
    adapters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class RowReader:
    """Reads records as rows of the given kinds and models.

    A fault has the code of the first mistake that is found. The order is: the line itself, the kind, the fields that any row may
    have, the fields of the kind, the model, the abilities of the model's engine. The message of the fault also names the other
    fields that are wrong. `remark` is the remark on the request that was read last, of its kind or about a value
    that is left out; None if there is none.

    Args:
        kinds: The kinds by name.
        models: The models that rows may name.
        defaults: The values of fields for rows that lack these fields.
        glossaries: The terms of tenants, for rows of translations; None: there are none.

    Raises:
        RequestError: `defaults` gives a field that no kind has.
    """

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        models: Models,
        defaults: RowDefaults,
        glossaries: RowGlossaries | None = None,
    ) -> None:
        self._glossaries = glossaries
        self._kinds = kinds
        self._models = models
        self._defaults = defaults
        self._given: dict[str, RowValues] = {}
        self.remark: str | None = None
        if unknown := sorted(name for name in defaults.given if name not in self.known):
            raise RequestError(f"--set {unknown[0]}=...: no kind has a field {unknown[0]!r}")

    @cached_property
    def known(self) -> Collection[str]:
        """The names of the fields that any row may have, and of the fields of all kinds."""
        return ENVELOPE_FIELDS.union(*(kind.request_type.model_fields for kind in self._kinds.values()))

    def of_kind(self, name: str | None) -> Mapping[str, Any]:
        """Return field -> its JSON schema, for rows of the kind `name`. If `name` is None, the rows have the default kind.

        If there is no such kind, only the fields that any row may have are returned.
        """
        kind = self._kind_named(name or self._defaults.given.get("kind", self._defaults.kind))
        own = _schemas(kind.request_type) if kind else {}
        return {**own, **_schemas(Envelope)}

    def advice(self, columns: Sequence[str], kind: str | None = None) -> str:
        """Return a sentence that names the fields of a kind, and how to take them from these columns.

        If `kind` is None, the rows have the default kind. If there is no default kind, the sentence names all kinds.
        """
        found = self._kind_named(kind or self._defaults.given.get("kind", self._defaults.kind))
        if found is None:
            return f"Give --kind, one of {', '.join(sorted(self._kinds))}, and then --map FIELD=COLUMN for its fields"
        own = found.request_type.model_fields
        needed = [name for name, field in own.items() if field.is_required() and name not in self._defaults.given]
        return of_fields(found.name, needed, [*own, *Envelope.model_fields], columns)

    def read(self, record: Record, row: int) -> RowRequest | RowFault:
        """Return the request of a record, or a fault if the row is refused. `row` is the number of the row in the batch."""
        line, given = record.line, record.values
        self.remark = None
        if isinstance(given, Finding):
            return fault_of([given], row, line, "", valid_custom_id(record.custom_id))
        envelope = envelope_of(given)
        if self._defaults.override_model:
            envelope["model"] = self._defaults.model
        custom_id = valid_custom_id(envelope.get("custom_id"))
        name = envelope.get("kind", self._defaults.given.get("kind", self._defaults.kind))
        kind = self._kind_named(name)
        if kind is None:
            return fault_of([Finding("unknown_kind", "kind", self._no_kind(name))], row, line, "", custom_id)
        try:
            values = RowValues(envelope, own_of(kind, given))
            read = self._read(values.over(self._given_to(kind)), kind, (row, line))
        except Exception as error:  # noqa: BLE001 - an error of a kind must fail its own row alone
            read = [Finding("kind_failed", None, f"kind {kind.name}: {error!r}")]
        if isinstance(read, RowRequest):
            if record.has_own_reason:
                self.remark = OWN_REASON if self.remark is None else f"{self.remark}; {OWN_REASON}"
            return self._with_terms(read, kind)
        found = [
            record.in_terms_of_file(finding) for finding in advised(read, record, kind.name, self.of_kind(kind.name))
        ]
        return fault_of(found, row, line, kind.name, custom_id)

    @property
    def glossary_files(self) -> Mapping[str, str]:
        """The sha256 of each glossary file that was read, by its path."""
        return self._glossaries.files if self._glossaries is not None else {}

    def _with_terms(self, row: RowRequest, kind: Kind) -> RowRequest:
        """Return a row with the terms of its tenant that stand in its text. Raises RequestError if a glossary is not valid."""
        if self._glossaries is None or not takes_terms(kind.request_type.model_fields):
            return row
        return row._replace(request=self._glossaries.applied(dict(row.request), row.tenant))

    def _kind_named(self, name: Any) -> Kind | None:
        """Return the kind that a name means: `Social post` means `social_post`. None if the name means no kind."""
        if not isinstance(name, str):
            return None
        known = name if name in self._kinds else same_name(name, self._kinds)
        return None if known is None else self._kinds[known]

    def _read(self, values: "RowValues", kind: Kind, position: tuple[int, int]) -> RowRequest | Sequence[Finding]:
        """Return the request, or all findings if the row is refused. Raises any error that the kind's own code raises."""
        findings: list[Finding] = []
        envelope = validated(lambda: Envelope.model_validate(values.envelope), findings, Envelope)
        request = validated(
            lambda: kind.request_type.model_validate_json(orjson.dumps(values.own), strict=True),
            findings,
            kind.request_type,
        )
        name = values.envelope.get("model", self._defaults.model)
        model = self._models.named(name) if isinstance(name, str) else None
        if envelope is not None:
            model, envelope = self._adapted(model, name, envelope)
        if isinstance(name, str) and model is None:
            findings.append(Finding("unknown_model", "model", self._no_model(name)))
        if envelope is not None:
            findings += self._beyond_rights(envelope)
        if model is not None and envelope is not None and request is not None:
            findings += self._beyond_engine(envelope, request, kind, model)
        if findings or envelope is None or request is None or model is None:
            return findings
        self.remark = getattr(request, "remark") if _may_remark(type(request)) else None  # noqa: B009 - of some kinds only
        self.remark = self.remark or self._unconstrained(request, model)
        row = self._request(envelope, request, kind, model, position)
        return self._with_most(row, kind) if self._defaults.with_most else row

    def _adapted(self, model: str | None, name: Any, envelope: Envelope) -> tuple[str | None, Envelope]:
        """Return the alias of a row's model, and the envelope with the row's adapter.

        The name of an adapter in place of a model means the only model that has this adapter. A row without an adapter gets
        that of its tenant for the model.
        """
        if model is None and isinstance(name, str) and (found := self._models.adapted(name)) is not None:
            if envelope.adapter not in (None, found[1]):
                return None, envelope
            return found[0], envelope.model_copy(update={"adapter": found[1]})
        if envelope.adapter is None and model is not None:
            own = self._defaults.adapters.get(envelope.tenant or self._defaults.tenant, {}).get(model)
            if own is not None:
                return model, envelope.model_copy(update={"adapter": own})
        return model, envelope

    def _beyond_rights(self, envelope: Envelope) -> Iterator[Finding]:
        """Yield a finding for each field that the row sets to another value although only the submitter of the batch may decide
        it.
        """
        tenant = envelope.tenant or self._defaults.tenant
        for name, own, given in (
            ("tenant", tenant, self._defaults.tenant),
            ("priority", envelope.priority, self._defaults.priority),
        ):
            if own is not None and own != given and name not in self._defaults.rows_may_set:
                message = f"the {name} of this batch is {given}: remove it, or allow it with --rows-may-set {name}"
                yield Finding("not_allowed", name, message)
        if self._defaults.tenants is not None and tenant not in self._defaults.tenants:
            like = did_you_mean(tenant, self._defaults.tenants)
            yield Finding("unknown_tenant", "tenant", f"no tenant {tenant!r} in [tenants] of the settings{like}")

    def _beyond_engine(self, envelope: Envelope, request: BaseModel, kind: Kind, model: str) -> Iterator[Finding]:
        """Yield a finding for each ability that the row needs and the engine of `model` lacks. Without this check, the row
        would fail later, in the engine.
        """
        able = self._abilities(model)
        if getattr(type(request), "needs_encoder", False) is True and not able.encodes:
            message = f"the engine of {model} does not encode: take a model that classifies, embeds or fills gaps"
            yield Finding("unsupported_kind", "model", message)
            return
        if able.encodes and not able.instructions:
            yield from _beyond_encoding(envelope, request, kind, model)
            return
        if not able.instructions:
            yield from _beyond_translation(envelope, request, kind, model)
            yield from self._beyond_languages(request, model)
            return
        if envelope.chat_template_kwargs and not getattr(request, "uses_chat_template", True):
            message = "a row of this kind has no turns, so no chat template: remove it, or take the kind chat"
            yield Finding("unsupported_parameter", "chat_template_kwargs", message)
        if getattr(type(request), "needs_scores", False) is True and not able.scores:
            message = f"the engine of {model} cannot say how likely a label is: take a model of another engine"
            yield Finding("unsupported_parameter", "model", message)
        if envelope.adapter is not None and (lacking := self._models.no_adapter(model, envelope.adapter)):
            yield Finding("unknown_adapter", "adapter", lacking)
        yield from self._beyond_languages(request, model)

    def _abilities(self, model: str) -> Abilities:
        """Return the abilities of a model's engine. A card that leaves the engine open may tell by the name of its source."""
        card = self._models.catalog[model]
        is_named_so = card.engine == "auto" and languages_of_card(card) is not None
        return TRANSLATION_ONLY if is_named_so else self._models.abilities(model)

    def _beyond_languages(self, request: BaseModel, model: str) -> Iterator[Finding]:
        """Yield a finding for each language of a translation that `model` cannot read or write, if its name or family tells."""
        source, target = (getattr(request, name, None) for name in ("source_language", "target_language"))
        has = languages_of_card(self._models.catalog[model])
        if has is not None and isinstance(source, str) and isinstance(target, str):
            for field, error in has.refused(source, target):
                yield Finding("unsupported_language", field, str(error))

    def _unconstrained(self, request: BaseModel, model: str) -> str | None:
        """Return a remark if the row asks for an answer by a schema and the engine of `model` cannot be constrained by one."""
        field = getattr(request, "schema_field", None) if _may_need_schema(type(request)) else None
        if field is None or self._abilities(model).schemas:
            return None
        return f"the engine of {model} is not constrained by {field}: its answers are only checked, and asked for again"

    def _request(
        self, envelope: Envelope, request: BaseModel, kind: Kind, model: str, position: tuple[int, int]
    ) -> RowRequest:
        return RowRequest(
            row=position[0],
            line=position[1],
            kind=kind.name,
            model=model,
            request=request.model_dump(mode="json", exclude_unset=True),
            custom_id=envelope.custom_id,
            adapter=envelope.adapter,
            seed=envelope.seed,
            max_tokens=envelope.max_tokens,
            temperature=envelope.temperature,
            top_p=envelope.top_p,
            priority=self._defaults.priority if envelope.priority is None else envelope.priority,
            tenant=envelope.tenant or self._defaults.tenant,
            metadata=envelope.metadata,
            chat_template_kwargs=envelope.chat_template_kwargs or None,
            checks=envelope.checks or None,
            cost=envelope.max_tokens or kind.expected_tokens(request),
        )

    def _with_most(self, row: RowRequest, kind: Kind) -> RowRequest:
        """Return a row with the most tokens that it may be charged for. A row whose prompts cannot be made is left as it is."""
        try:
            most = most_tokens(row, kind, first_prompts(row, kind), self._models.catalog[row.model])
        except (RowError, ValueError):
            return row
        return row._replace(most=(most.prompt, most.completion + most.thoughts))

    def _given_to(self, kind: Kind) -> "RowValues":
        """Return the values of `--set` for the fields that a row of this kind may have."""
        if (known := self._given.get(kind.name)) is not None:
            return known
        has = ENVELOPE_FIELDS | kind.request_type.model_fields.keys()
        given = {name: value for name, value in self._defaults.given.items() if name in has}
        self._given[kind.name] = RowValues(envelope_of(given), own_of(kind, given))
        return self._given[kind.name]

    def _no_kind(self, kind: Any) -> str:
        known = ", ".join(sorted(self._kinds))
        if kind is None:
            return f"the row names no kind: give it one of {known}, or give --kind to the command"
        like = did_you_mean(kind.casefold(), self._kinds) if isinstance(kind, str) else ""
        return f"no kind has the name {shown(kind)}: the known ones are {known}{like}"

    def _no_model(self, model: str) -> str:
        if (found := self._models.adapted(model)) is not None:
            return f"model is the adapter {found[1]!r} of {found[0]}, and adapter names another one: remove one of them"
        known = ", ".join(sorted(self._models.catalog))
        like = (
            did_you_mean(model, self._models.catalog)
            or ": name it in [aliases] of the settings, or give --override-model"
        )
        return f"no model has the alias {shown(model)}: the known ones are {known}{like}"


def _beyond_encoding(envelope: Envelope, request: BaseModel, kind: Kind, model: str) -> Iterator[Finding]:
    """Yield a finding for each part of a row that a model which only encodes cannot serve."""
    if not getattr(type(request), "takes_encoder", False):
        message = f"{model} only encodes, and a row of kind {kind.name} wants a text: take a model that writes texts"
        yield Finding("unsupported_kind", "model", message)
        return
    if envelope.adapter is not None:
        yield Finding("unknown_adapter", "adapter", f"{model} only encodes, and has no adapters: remove it")
    if envelope.chat_template_kwargs:
        message = f"{model} only encodes, and has no chat template: remove it"
        yield Finding("unsupported_parameter", "chat_template_kwargs", message)


def _beyond_translation(envelope: Envelope, request: BaseModel, kind: Kind, model: str) -> Iterator[Finding]:
    """Yield a finding for each part of a row that a model which only translates cannot serve."""
    if not getattr(type(request), "is_translation", False):
        message = (
            f"{model} only translates, and a row of kind {kind.name} is no translation: take a model that writes texts"
        )
        yield Finding("unsupported_kind", "model", message)
        return
    for name, value in (("adapter", envelope.adapter), ("chat_template_kwargs", envelope.chat_template_kwargs)):
        if value:
            code = "unknown_adapter" if name == "adapter" else "unsupported_parameter"
            yield Finding(
                code,
                name,
                f"{model} only translates, and reads no {name}: remove it, or take a model that writes texts",
            )
    if getattr(request, "formality", "default") != "default":
        message = (
            f"{model} only translates, and cannot be told how to address readers: remove it, or take another model"
        )
        yield Finding("unsupported_parameter", "formality", message)


@cache
def _may_need_schema(request_type: type[BaseModel]) -> bool:
    """Whether requests of this type have a `schema_field`. If there is none, looking for it in each row would take longer than
    the row's check.
    """
    return hasattr(request_type, "schema_field") or "schema_field" in request_type.model_fields


@cache
def _may_remark(request_type: type[BaseModel]) -> bool:
    """Whether requests of this type have the property `remark`. A field of that name does not count, since users fill it."""
    return isinstance(getattr(request_type, "remark", None), property)


@cache
def _schemas(model: type[BaseModel]) -> Mapping[str, Any]:
    """Return field -> its JSON schema, for all fields of a model."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return {name: _resolved(field, definitions) for name, field in schema.get("properties", {}).items()}


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a field. If the schema is a reference to the definition of a type, the definition takes its place.

    References deeper in the schema, such as those in a list's items, are not replaced: the readers of cells need only the outer
    types.
    """
    if "$ref" in schema:
        return {**definitions.get(schema["$ref"].rpartition("/")[2], {})}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_resolved(one, definitions) for one in schema["anyOf"]]}
    return schema
