"""Shows jobs/kinds/registry.py: the shipped kinds, the rules that all kinds keep, and kinds of other packages."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from jobs.errors import RequestError
from jobs.intake.row_fields import Envelope
from jobs.kinds.kind import Kind
from jobs.kinds.registry import load_kinds
from tests.support.conversations import converse

KINDS = load_kinds()

KIND = """
from pydantic import BaseModel, ConfigDict, Field
from jobs.generation import Message, Prompt

class Ask(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    word: str = Field(description="A word.")

class Answer(BaseModel):
    rhyme: str = Field(description="A rhyme.")

class Rhyme:
    name = {name!r}
    request_type, output_type = Ask, Answer
    def __init__(self, templates):
        self.templates = templates
    def compose(self, request):
        [answer] = yield [Prompt(messages=(Message("user", "Rhyme " + request.word),))]
        return Answer(rhyme=answer.text)
    def expected_tokens(self, request):
        return 5

def broken(templates):
    raise LookupError("no such rhyme")

nothing = lambda templates: object()
"""


def install(folder: Path, name: str, target: str = "rhyme_kind:Rhyme") -> None:
    (folder / "rhyme_kind.py").write_text(KIND.format(name=name))
    info = folder / "rhyme_kind-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rhyme-kind\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[nightpress.kinds]\nrhyme = {target}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, where distributions can be installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "rhyme_kind", raising=False)
    return tmp_path


def models_of(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a model, and the models that its fields hold."""
    found, seen = [model], list(model.model_fields.values())
    types: list[Any] = [field.annotation for field in seen]
    while types:
        one = types.pop()
        types += get_args(one)
        if isinstance(one, type) and issubclass(one, BaseModel):
            found += models_of(one)
    return found


def test_the_shipped_kinds() -> None:
    assert list(KINDS) == [
        "article",
        "social_post",
        "translation",
        "chat",
        "completion",
        "label",
        "embedding",
        "fill_mask",
    ]
    assert all(name == kind.name for name, kind in KINDS.items())


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_model_is_frozen_closed_and_described(kind: Kind) -> None:
    for model in (*models_of(kind.request_type), *models_of(kind.output_type)):
        assert (model.model_config["frozen"], model.model_config["extra"]) == (True, "forbid"), model
        assert all(field.description for field in model.model_fields.values()), model
        assert model.__doc__


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_no_field_of_a_kind_has_the_name_of_a_field_of_any_row(kind: Kind) -> None:
    assert not Envelope.model_fields.keys() & kind.request_type.model_fields.keys()


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_text_and_list_has_a_limit(kind: Kind) -> None:
    """The request's schema has a greatest length for everything whose length a user chooses."""

    def open_ended(schema: Mapping[str, Any], at: str) -> list[str]:
        bounded = {"string": {"maxLength", "enum", "const"}, "array": {"maxItems"}, "integer": {"maximum"}}
        wants = bounded.get(str(schema.get("type")), set())
        return [at] if wants and not wants & schema.keys() else []

    schema = kind.request_type.model_json_schema()
    for model in (schema, *schema.get("$defs", {}).values()):
        for name, field in model["properties"].items():
            for option in field.get("anyOf", [field]):
                assert not open_ended(option, name)
                assert not open_ended(option.get("items", {}), f"{name}[]")


SMALLEST = {
    "article": {"topic": "Tea"},
    "social_post": {"topic": "Tea", "platform": "x"},
    "translation": {"text": "Tea", "source_language": "en", "target_language": "de"},
    "chat": {"prompt": "Tea?"},
    "completion": {"prompt": "Tea is"},
    "label": {"text": "Tea is fine"},
    "embedding": {"text": "Tea"},
    "fill_mask": {"text": "Tea is [MASK]."},
}


@pytest.mark.parametrize("name", KINDS)
def test_the_smallest_request_of_a_kind_is_enough_and_has_expected_tokens(name: str) -> None:
    kind = KINDS[name]
    request = kind.request_type.model_validate(SMALLEST[name])
    assert kind.expected_tokens(request) > 0
    assert kind.request_type.model_validate_json(request.model_dump_json(), strict=True) == request


def test_longer_rows_have_more_expected_tokens() -> None:
    def cost(name: str, **fields: Any) -> int:
        kind = KINDS[name]
        return kind.expected_tokens(kind.request_type.model_validate({**SMALLEST[name], **fields}))

    assert cost("article", target_words=100) < cost("article", target_words=1_000)
    assert cost("article", language="en-GB") < cost("article", language="de")
    assert cost("translation", text="word " * 10) < cost("translation", text="word " * 100)
    assert cost("translation", text="a" * 10) < cost("translation", text="茶" * 10)
    assert cost("social_post", platform="x") < cost("social_post", platform="linkedin")


def test_an_installed_distribution_adds_a_kind(site: Path) -> None:
    install(site, "rhyme")
    kinds = load_kinds()
    assert [*KINDS, "rhyme"] == list(kinds)
    output, _ = converse(kinds["rhyme"], {"word": "cat"}, lambda _: "hat")
    assert output.rhyme == "hat"


def test_a_user_can_replace_the_templates_of_another_package(site: Path) -> None:
    install(site, "rhyme")
    theirs, users = site / "theirs", site / "users"
    for folder, text in ((theirs, "Rhyme {{ word }}"), (users, "A rhyme on {{ word }}")):
        folder.mkdir()
        (folder / "rhyme.j2").write_text(text)
    for own, expected in ((None, "Rhyme cat"), (users, "A rhyme on cat")):
        kind: Any = load_kinds(own)["rhyme"]
        assert kind.templates.of_package(theirs).render("rhyme.j2", word="cat").text == expected


def test_a_name_that_is_taken_is_refused(site: Path) -> None:
    install(site, "chat")
    with pytest.raises(RequestError, match="rhyme = rhyme_kind:Rhyme has the name of another kind, 'chat'"):
        load_kinds()


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        pytest.param("rhyme_kind:Missing", "Missing", id="no such attribute"),
        pytest.param("rhyme_kimd:Rhyme", "rhyme_kimd", id="no such module"),
        pytest.param("rhyme_kind:broken", "no such rhyme", id="it raises"),
        pytest.param("rhyme_kind:nothing", "'object' object has no attribute", id="not a kind"),
    ],
)
def test_a_kind_that_cannot_be_loaded_is_named(site: Path, target: str, reason: str) -> None:
    install(site, "rhyme", target)
    with pytest.raises(RequestError, match=f"the kind rhyme = {target} cannot be loaded.*{reason}"):
        load_kinds()


def test_loading_kinds_imports_nothing_heavy() -> None:
    """Loading the kinds imports no package that runs models, and no package of queues and stores."""
    heavy = {"torch", "transformers", "ray", "redis", "fsspec"}
    script = f"import sys; from jobs.kinds.registry import load_kinds; load_kinds(); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
