"""Shows jobs/intake/row_reader.py: a row becomes a request."""

import json
from typing import Any, Final

import pytest

from jobs.batches.request_row import RowRequest
from jobs.catalog import Abilities, AdapterCard, ModelCard, Models
from jobs.formats.record import Record
from jobs.intake.row_faults import RowFault
from jobs.intake.row_reader import RowDefaults, RowReader
from jobs.kinds.registry import load_kinds
from tests.support.notes import NoteKind, NoteRequest, fault, note, read


@pytest.mark.parametrize(
    ("line", "cost"),
    [
        pytest.param(note(title="a"), 100, id="by the kind"),
        pytest.param(note(title="a", max_tokens=9), 9, id="by the row's own limit"),
    ],
)
def test_the_cost_of_a_row(line: dict[str, Any], cost: int) -> None:
    result = read(line)
    assert isinstance(result, RowRequest)
    assert result.cost == cost


def test_a_request_has_the_given_fields_and_no_defaults() -> None:
    result = read(note(title="a"), words=5, temperature=0)
    assert isinstance(result, RowRequest)
    assert (result.request, result.temperature, result.top_p) == ({"title": "a", "words": 5}, 0, None)


@pytest.mark.parametrize(("title", "error"), [("broken", "ZeroDivisionError"), ("endless", "RecursionError")])
def test_a_kind_that_raises_is_a_fault_of_its_row(title: str, error: str) -> None:
    found = fault(note(title=title))
    assert (found.code, found.line, found.kind) == ("kind_failed", 9, "note")
    assert error in found.message


@pytest.mark.parametrize("model", ["small", "large"])
@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        pytest.param(note(title="a", adapter="b"), "unknown_adapter", "adapter", id="an adapter"),
    ],
)
def test_a_row_that_its_engine_cannot_do_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: str, row: dict[str, Any], code: str, field: str
) -> None:
    monkeypatch.setattr("jobs.catalog.ABILITIES", {"stub": Abilities(True, True), "causal": Abilities(False, False)})
    found = read({**row, "model": model})
    if model == "small":
        assert isinstance(found, RowRequest)
    else:
        assert isinstance(found, RowFault)
        assert (found.code, found.field) == (code, field)
        assert "large has no adapters: remove it" in found.message


ADAPTERS: Final = {name: AdapterCard(source=f"ours/{name}") for name in ("brand", "legal")}
ADAPTED: Final = Models(
    {
        "writer": ModelCard(adapters=ADAPTERS),
        "other": ModelCard(adapters={"legal": ADAPTERS["legal"]}),
        "dry": ModelCard(engine="stub"),
    }
)


@pytest.mark.parametrize(
    ("row", "model", "adapter"),
    [
        pytest.param({}, "writer", None, id="none"),
        pytest.param({"adapter": "brand"}, "writer", "brand", id="by its name"),
        pytest.param({"model": "brand"}, "writer", "brand", id="in place of a model"),
        pytest.param({"model": "brand", "adapter": "brand"}, "writer", "brand", id="in both places"),
        pytest.param({"tenant": "acme"}, "writer", "legal", id="of its tenant"),
        pytest.param({"tenant": "acme", "adapter": "brand"}, "writer", "brand", id="its own, and not its tenant's"),
        pytest.param({"tenant": "acme", "model": "other"}, "other", None, id="of another model of its tenant"),
        pytest.param({"model": "dry", "adapter": "any"}, "dry", "any", id="any of a stub that lists none"),
    ],
)
def test_a_row_may_name_an_adapter(row: dict[str, Any], model: str, adapter: str | None) -> None:
    found = adapted(row)
    assert isinstance(found, RowRequest), found
    assert (found.model, found.adapter) == (model, adapter)


@pytest.mark.parametrize(
    ("row", "code", "says"),
    [
        pytest.param(
            {"adapter": "brnad"},
            "unknown_adapter",
            "'brnad': the known ones are brand, legal: did you mean brand?",
            id="misspelt",
        ),
        pytest.param(
            {"adapter": "brand", "model": "other"}, "unknown_adapter", "the known ones are legal", id="of another model"
        ),
        pytest.param({"model": "legal"}, "unknown_model", "no model has the alias 'legal'", id="of two models"),
        pytest.param({"model": "brand", "adapter": "legal"}, "unknown_model", "the adapter 'brand'", id="two adapters"),
    ],
)
def test_an_unknown_adapter_is_refused(row: dict[str, Any], code: str, says: str) -> None:
    found = adapted(row)
    assert isinstance(found, RowFault)
    assert (found.code, found.field) == (code, "adapter" if code == "unknown_adapter" else "model")
    assert says in found.message


def adapted(row: dict[str, Any]) -> RowRequest | RowFault:
    """Read a chat for the models of `ADAPTED`, one of whose tenants has an adapter of its own."""
    tenants = {"acme": {"writer": "legal"}}
    defaults = RowDefaults("chat", "writer", "house", 4, {}, rows_may_set=frozenset({"tenant"}), adapters=tenants)
    return RowReader(load_kinds(), ADAPTED, defaults).read(Record(9, b"", {"prompt": "Hi", **row}), 7)


@pytest.mark.parametrize("model", ["small", "large"])
def test_a_schema_that_does_not_constrain_the_engine_is_remarked_on(
    monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """The row is accepted, since its answers are validated in any case."""
    monkeypatch.setattr("jobs.catalog.ABILITIES", {"stub": Abilities(True, True), "causal": Abilities(False, False)})
    models = Models({"small": ModelCard(engine="stub"), "large": ModelCard()})
    reader = RowReader({"note": NoteKind()}, models, RowDefaults("note", model, "house", 4, {}))
    assert isinstance(reader.read(Record(9, b"", {"body": "a schema"}), 7), RowRequest)
    if model == "small":
        assert reader.remark is None
    else:
        assert reader.remark is not None
        assert "the engine of large is not constrained by body" in reader.remark
    assert isinstance(reader.read(Record(9, b"", {"title": "a"}), 7), RowRequest)
    assert reader.remark is None


def test_a_label_needs_an_engine_that_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NoteRequest, "needs_scores", True, raising=False)
    assert isinstance(read(note(title="a", model="large")), RowRequest)
    monkeypatch.setattr("jobs.catalog.ABILITIES", {"causal": Abilities(False, False, scores=False)})
    refused = fault(note(title="a", model="large"))
    assert (refused.code, refused.field) == ("unsupported_parameter", "model")
    assert "the engine of large cannot say how likely a label is: take a model of another engine" in refused.message


def test_arguments_of_the_chat_template() -> None:
    """A row may have arguments for the chat template, unless its kind has no turns."""
    found = read(note(title="a", chat_template_kwargs={"enable_thinking": False, "a": None}))
    assert isinstance(found, RowRequest)
    assert found.chat_template_kwargs == {"enable_thinking": False}
    assert RowRequest.from_bytes(found.to_line().rstrip()) == found
    for nothing in ("{}", "null"):
        empty = read(note(title="a", chat_template_kwargs=json.loads(nothing)))
        assert isinstance(empty, RowRequest)
        assert empty.chat_template_kwargs is None
    refused = fault(note(title="a", chat_template_kwargs={"chat_template": "x"}))
    assert (refused.code, refused.field) == ("out_of_range", "chat_template_kwargs")
    assert "chat_template is given to the template by the engine itself" in refused.message


def test_arguments_of_the_chat_template_for_a_kind_without_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NoteRequest, "uses_chat_template", False, raising=False)
    refused = fault(note(title="a", chat_template_kwargs={"enable_thinking": False}))
    assert (refused.code, refused.field) == ("unsupported_parameter", "chat_template_kwargs")
    assert isinstance(read(note(title="a", chat_template_kwargs={})), RowRequest)


def test_a_model_is_understood_in_other_case() -> None:
    found = read(note(title="a", model=" Large"))
    assert isinstance(found, RowRequest)
    assert found.model == "large"
    assert "did you mean small?" in fault(note(title="a", model="smal")).message


@pytest.mark.parametrize("given", [{}, {"model": "gpt-4o"}, {"model": 5}, {"model": "large"}])
def test_a_model_for_all_rows_takes_the_place_of_their_own(given: dict[str, Any]) -> None:
    defaults = RowDefaults(None, "small", "house", 4, {}, override_model=True)
    models = Models({"small": ModelCard(engine="stub"), "large": ModelCard()})
    line = note(title="a", **given)
    found = RowReader({"note": NoteKind()}, models, defaults).read(Record(1, b"", line), 0)
    assert isinstance(found, RowRequest)
    assert found.model == "small"


@pytest.mark.parametrize(
    ("card", "source", "target", "field", "message"),
    [
        (ModelCard(engine="stub", family="nllb"), "en", "fr", None, ""),
        (
            ModelCard(engine="stub", family="nllb", source="facebook/nllb-200-distilled-600M"),
            "en",
            "sr-Latn",
            "target_language",
            "facebook/nllb-200-distilled-600M cannot write sr-Latn; the nearest that it has: sr-Cyrl, bs, hr: take",
        ),
        (
            ModelCard(engine="stub", family="nllb"),
            "en",
            "gsw",
            "target_language",
            "nllb cannot write gsw; the nearest that it has: de: take",
        ),
        (ModelCard(engine="stub", family="marian", source="Helsinki-NLP/opus-mt-en-de"), "en-GB", "de-AT", None, ""),
        (
            ModelCard(engine="stub", family="marian", source="Helsinki-NLP/opus-mt-en-de"),
            "fr",
            "de",
            "source_language",
            "cannot read fr, only en: take",
        ),
        (ModelCard(engine="stub", family="marian", source="/models/mine"), "fr", "de", None, ""),
        (ModelCard(engine="stub", source="Helsinki-NLP/opus-mt-en-de"), "fr", "de", None, ""),
    ],
)
def test_a_language_that_the_model_lacks_is_refused(
    card: ModelCard, source: str, target: str, field: str | None, message: str
) -> None:
    """A model that was not made for translation, such as the stub without a family, takes every language."""
    reader = RowReader(load_kinds(), Models({"m": card}), RowDefaults("translation", "m", "house", 4, {}))
    found = reader.read(
        Record(9, b"", {"text": "a", "source_language": source, "target_language": target, "custom_id": "x"}), 7
    )
    if field is None:
        assert isinstance(found, RowRequest)
    else:
        assert isinstance(found, RowFault)
        assert (found.code, found.field, found.line) == ("unsupported_language", field, 9)
        assert message in found.message


TRANSLATION = {"kind": "translation", "text": "Hello.", "source_language": "en", "target_language": "fr"}


@pytest.mark.parametrize(
    "card",
    [
        pytest.param(ModelCard(engine="seq2seq", source="/models/ours"), id="the engine"),
        pytest.param(ModelCard(engine="translate", source="/models/ours"), id="the other engine"),
        pytest.param(ModelCard(family="nllb", source="/models/ours"), id="the family"),
        pytest.param(ModelCard(source="Helsinki-NLP/opus-mt-en-fr"), id="the name of the source"),
        pytest.param(ModelCard(source="facebook/nllb-200-distilled-600M"), id="another name"),
    ],
)
@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        pytest.param(TRANSLATION, None, None, id="a translation"),
        pytest.param({**TRANSLATION, "temperature": 0.5, "seed": 3}, None, None, id="sampling"),
        pytest.param({"kind": "chat", "prompt": "Hi"}, "unsupported_kind", "model", id="a chat"),
        pytest.param({"kind": "article", "topic": "Tea"}, "unsupported_kind", "model", id="an article"),
        pytest.param({"kind": "label", "text": "Hi", "labels": ["a", "b"]}, "unsupported_kind", "model", id="a label"),
        pytest.param({**TRANSLATION, "adapter": "brand"}, "unknown_adapter", "adapter", id="an adapter"),
        pytest.param(
            {**TRANSLATION, "chat_template_kwargs": {"a": 1}},
            "unsupported_parameter",
            "chat_template_kwargs",
            id="template",
        ),
        pytest.param({**TRANSLATION, "formality": "formal"}, "unsupported_parameter", "formality", id="formality"),
        pytest.param(
            {**TRANSLATION, "target_language": "tlh"},
            "unsupported_language",
            "target_language",
            id="an unknown language",
        ),
    ],
)
def test_a_model_that_only_translates_takes_translations_alone(
    card: ModelCard, row: dict[str, Any], code: str | None, field: str | None
) -> None:
    reader = RowReader(load_kinds(), Models({"ours": card}), RowDefaults("chat", "ours", "house", 4, {}))
    found = reader.read(Record(9, b"", row), 7)
    if code is None or (code == "unsupported_language" and card.source == "/models/ours" and card.family is None):
        assert isinstance(found, RowRequest), found
    else:
        assert isinstance(found, RowFault)
        assert (found.code, found.field) == (code, field)
        assert any(remedy in found.message for remedy in ("take a model", "another model", "remove it"))


@pytest.mark.parametrize(
    "card",
    [
        pytest.param(ModelCard(), id="no name"),
        pytest.param(ModelCard(source="HuggingFaceTB/SmolLM2-135M-Instruct"), id="decoder-only"),
        pytest.param(ModelCard(engine="causal", source="someone/nllb-like-writer"), id="the card says causal"),
        pytest.param(ModelCard(engine="stub", source="facebook/nllb-200"), id="stub"),
    ],
)
def test_other_models_take_any_kind(card: ModelCard) -> None:
    reader = RowReader(load_kinds(), Models({"ours": card}), RowDefaults("chat", "ours", "house", 4, {}))
    for row in ({"kind": "chat", "prompt": "Hi"}, {**TRANSLATION, "formality": "formal"}):
        assert isinstance(reader.read(Record(9, b"", row), 7), RowRequest)


EMBEDDING = {"kind": "embedding", "text": "Tea"}
FILL = {"kind": "fill_mask", "text": "Tea is [MASK]"}
LABEL = {"kind": "label", "text": "Tea"}
CHAT = {"kind": "chat", "prompt": "Tea?"}


@pytest.mark.parametrize(
    ("card", "row", "fault"),
    [
        *(
            pytest.param({"engine": "encoder"}, row, None, id=f"encoder {row['kind']}")
            for row in (EMBEDDING, FILL, LABEL)
        ),
        *(
            pytest.param({"engine": "auto"}, row, None, id=f"auto {row['kind']}")
            for row in (EMBEDDING, FILL, LABEL, CHAT)
        ),
        *(pytest.param({"engine": "stub"}, row, None, id=f"stub {row['kind']}") for row in (EMBEDDING, FILL, LABEL)),
        pytest.param({"engine": "encoder"}, CHAT, ("unsupported_kind", "model"), id="a chat of an encoder"),
        *(
            pytest.param({"engine": engine}, row, ("unsupported_kind", "model"), id=f"{engine} {row['kind']}")
            for engine in ("causal", "seq2seq", "remote")
            for row in (EMBEDDING, FILL)
        ),
        pytest.param(
            {"engine": "encoder"}, {**EMBEDDING, "adapter": "a"}, ("unknown_adapter", "adapter"), id="an adapter"
        ),
    ],
)
def test_only_an_encoder_takes_what_only_an_encoder_can(
    card: dict[str, Any], row: dict[str, Any], fault: tuple[str, str] | None
) -> None:
    """If the card leaves the engine open, the worker decides by the files."""
    models = Models({"ours": ModelCard(source="https://ours.example/v1", **card)})
    found = RowReader(load_kinds(), models, RowDefaults("chat", "ours", "house", 4, {})).read(Record(9, b"", row), 7)
    if fault is None:
        assert isinstance(found, RowRequest)
    else:
        assert isinstance(found, RowFault)
        assert (found.code, found.field) == fault
