"""Shows jobs/kinds/: each kind, sent its completions by hand."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.errors import CheckFailed, RequestError
from jobs.generation import Completion, Prompt
from jobs.kinds import Kind
from jobs.kinds.article import slug_of
from jobs.kinds.registry import load_kinds
from jobs.kinds.social_post import whole_sentences
from jobs.kinds.templating import Templates
from jobs.kinds.translation import segmented

KINDS = load_kinds()
Answer = Callable[[Prompt], str | tuple[str, str]]


def converse(kind: Kind, request: dict[str, Any], answer: Answer) -> tuple[Any, list[list[Prompt]]]:
    """The output, and the prompts of each turn. An answer is a text, or a text and its finish reason."""
    conversation = kind.compose(kind.request_type.model_validate(request))
    turns: list[list[Prompt]] = []
    completions: Sequence[Completion] | None = None
    while True:
        try:
            prompts = next(conversation) if completions is None else conversation.send(completions)
        except StopIteration as stop:
            return stop.value, turns
        turns.append(list(prompts))
        said = [answer(prompt) for prompt in prompts]
        pairs = [(one, "stop") if isinstance(one, str) else one for one in said]
        completions = [Completion(str(n), text, reason) for n, (text, reason) in enumerate(pairs)]  # type: ignore[arg-type]


def failed(kind: str, request: dict[str, Any], answer: Answer) -> CheckFailed:
    with pytest.raises(CheckFailed) as raised:
        converse(KINDS[kind], request, answer)
    return raised.value


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_field_is_described_and_closed(kind: Kind) -> None:
    for model in (kind.request_type, kind.output_type):
        assert all(field.description for field in model.model_fields.values())
    assert kind.request_type.model_config["extra"] == "forbid"
    assert kind.request_type.model_config["frozen"]


# -- chat


def test_a_chat_answers_its_last_turn() -> None:
    output, [[prompt]] = converse(KINDS["chat"], {"prompt": "Hi?", "system": "Be kind."}, lambda _: " Hello. ")
    assert output.text == "Hello."
    assert [(m.role, m.content) for m in prompt.messages] == [("system", "Be kind."), ("user", "Hi?")]
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    _, [[prompt]] = converse(KINDS["chat"], {"messages": turns}, lambda _: "d")
    assert [m.content for m in prompt.messages] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({}, id="neither"),
        pytest.param({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, id="both"),
        pytest.param({"system": "s", "messages": [{"role": "user", "content": "b"}]}, id="system beside messages"),
        pytest.param({"prompt": ""}, id="empty"),
    ],
)
def test_a_chat_needs_exactly_one_of_messages_and_prompt(request_: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KINDS["chat"].request_type.model_validate(request_)


def test_an_empty_chat_fails() -> None:
    assert failed("chat", {"prompt": "Hi?"}, lambda _: " \n").code == "empty_output"


# -- translation

EN_DE = {"source_language": "en", "target_language": "de"}


def test_a_translation_keeps_the_form_of_its_source() -> None:
    """Each line with words is one prompt; marks, indentation, code and blank lines pass through untouched."""
    text = "# A title\n\n- one\n  - two\n```\ncode\n```\n> said\n"
    request = {**EN_DE, "text": text, "format": "markdown"}
    output, [prompts] = converse(KINDS["translation"], request, lambda p: p.messages[-1].content.splitlines()[-1].upper())
    assert output.text == "# A TITLE\n\n- ONE\n  - TWO\n```\ncode\n```\n> SAID\n"
    assert [segment.source for segment in output.segments] == ["A title", "one", "two", "said"]
    assert [prompt.label for prompt in prompts] == [f"segment {n}" for n in range(1, 5)]


def test_only_the_terms_of_a_segment_and_the_formality_reach_its_prompt() -> None:
    request = {**EN_DE, "text": "A parcel.\nA lamp.", "glossary": {"Parcel": "Paket"}, "formality": "formal"}
    _, [[first, second]] = converse(KINDS["translation"], request, lambda _: "x")
    assert "Paket" in first.messages[-1].content
    assert "Paket" not in second.messages[-1].content
    assert "formal" in second.messages[-1].content


def test_a_blank_text_needs_no_prompt() -> None:
    output, turns = converse(KINDS["translation"], {**EN_DE, "text": " \n\n"}, lambda _: "never")
    assert (output.text, output.segments, turns) == (" \n\n", (), [])


def test_a_segment_that_comes_back_empty_fails_the_row() -> None:
    assert failed("translation", {**EN_DE, "text": "one\ntwo"}, lambda p: "" if p.label == "segment 2" else "x").code == (
        "empty_output"
    )


def test_fewer_answers_than_segments_fail_the_row() -> None:
    kind = KINDS["translation"]
    conversation = kind.compose(kind.request_type.model_validate({**EN_DE, "text": "one\ntwo"}))
    next(conversation)
    with pytest.raises(CheckFailed) as raised:
        conversation.send([Completion("0", "eins", "stop")])
    assert raised.value.code == "segment_mismatch"


@pytest.mark.parametrize("tag", ["e", "english", "de_DE", "", "de-"])
def test_a_language_is_a_bcp_47_tag(tag: str) -> None:
    with pytest.raises(ValidationError):
        KINDS["translation"].request_type.model_validate({"text": "a", "source_language": "en", "target_language": tag})


@given(st.text(), st.sampled_from(["plain", "markdown"]))
def test_segments_put_together_are_the_text(text: str, form: str) -> None:
    lines = segmented(text, form)
    assert "".join(line.before + line.words + line.after for line in lines) == text


# -- social_post


def test_a_post_carries_its_link_hashtags_and_call_to_action_exactly() -> None:
    request = {
        "topic": "Bread",
        "platform": "x",
        "hashtags": ["bread", "#sunday"],
        "link": "https://example.com/a",
        "call_to_action": "Come in!",
    }
    output, _ = converse(KINDS["social_post"], request, lambda _: '"Fresh bread today. #yum"')
    assert output.text == "Fresh bread today.\n\nCome in!\n\nhttps://example.com/a\n\n#bread #sunday"
    assert output.hashtags == ("#bread", "#sunday")
    assert output.length == len(output.text.replace("https://example.com/a", "x" * 23))


def test_a_post_that_is_too_long_is_asked_for_again_and_the_first_is_wasted() -> None:
    request = {"topic": "Bread", "platform": "x"}
    output, turns = converse(
        KINDS["social_post"], request, lambda p: "Short." if p.label == "post, try 3" else "Long words. " * 40
    )
    assert output.text == "Short."
    assert [(p.label, p.replaces) for [p] in turns] == [
        ("post", None),
        ("post, try 2", "post"),
        ("post, try 3", "post, try 2"),
    ]


def test_a_post_that_stays_too_long_fails() -> None:
    error = failed("social_post", {"topic": "Bread", "platform": "bluesky"}, lambda _: "Long words. " * 60)
    assert error.code == "post_too_long"
    assert "300" in error.message


def test_a_post_without_words_fails() -> None:
    assert failed("social_post", {"topic": "Bread", "platform": "x"}, lambda _: "#only #tags").code == "empty_output"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"platform": "x"}, id="neither topic nor source_text"),
        pytest.param({"topic": "a", "platform": "myspace"}, id="unknown platform"),
        pytest.param({"topic": "a", "platform": "threads", "hashtags": ["a", "b"]}, id="too many hashtags"),
        pytest.param({"topic": "a", "platform": "x", "link": "javascript:x"}, id="no link"),
        pytest.param({"topic": "a", "platform": "x", "hashtags": ["two words"]}, id="no hashtag"),
    ],
)
def test_a_post_that_cannot_be_asked_for(request_: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KINDS["social_post"].request_type.model_validate(request_)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        pytest.param("One. Two is cut", "One.", id="cut"),
        pytest.param("No end", "No end", id="no sentence"),
        pytest.param("Why? Because!", "Why? Because!", id="whole"),
    ],
)
def test_whole_sentences(text: str, whole: str) -> None:
    assert whole_sentences(text) == whole


# -- article


def writer(prompt: Prompt) -> str | tuple[str, str]:
    if prompt.label == "outline":
        return "1. **First steps**\n2. First steps\n- Going on\nTitle:\n"
    if prompt.label == "title":
        return 'Title: "Über Tea & Co."\nmore'
    if prompt.label == "meta description":
        return "All about tea, in one sentence that goes on and on until it is far too long for any search engine to show it whole to anybody at all."
    return f"A whole sentence of {prompt.label}. And one that is", "length"


def test_an_article_is_an_outline_then_sections_side_by_side_then_its_head() -> None:
    output, turns = converse(KINDS["article"], {"topic": "Tea", "target_words": 240}, writer)
    assert [[p.label for p in turn] for turn in turns] == [
        ["outline"],
        ["section 1", "section 2"],
        ["title", "meta description"],
    ]
    assert output.title == "Über Tea & Co."
    assert output.slug == "uber-tea-co"
    assert output.body_markdown == (
        "## First steps\n\nA whole sentence of section 1.\n\n## Going on\n\nA whole sentence of section 2.\n"
    )
    assert len(output.meta_description) <= 160
    assert output.word_count == 16


def test_a_given_outline_is_kept() -> None:
    request = {"topic": "Tea", "outline": ["Leaves", "Water", "Time"]}
    output, turns = converse(KINDS["article"], request, writer)
    assert len(turns[0]) == 3
    assert re.findall(r"^## (.*)$", output.body_markdown, re.MULTILINE) == ["Leaves", "Water", "Time"]


def test_what_the_model_left_out_is_filled_in() -> None:
    def terse(prompt: Prompt) -> str:
        return "Tea is a drink." if prompt.label.startswith("section") else "\n"

    output, _ = converse(KINDS["article"], {"topic": "Tea"}, terse)
    assert (output.title, output.meta_description) == ("Tea", "Tea is a drink.")


@pytest.mark.parametrize(
    ("section", "code"),
    [
        pytest.param(("## Heading only", "stop"), "empty_output", id="nothing"),
        pytest.param(("No sentence ends here", "length"), "output_incomplete", id="cut before its first sentence"),
    ],
)
def test_an_article_that_cannot_be_published(section: tuple[str, str], code: str) -> None:
    request = {"topic": "Tea", "outline": ["Leaves"]}
    assert failed("article", request, lambda p: section if p.label.startswith("section") else "x").code == code


def test_all_that_rows_share_comes_first_in_a_prompt() -> None:
    """The system turn holds no value of a row, so its tokens can be computed once for all."""
    systems = set()
    for topic in ("Tea", "Coffee"):
        _, turns = converse(KINDS["article"], {"topic": topic, "tone": topic, "brand_voice": topic}, writer)
        systems |= {prompt.messages[0].content for turn in turns for prompt in turn}
        assert all(topic in prompt.messages[1].content for turn in turns for prompt in turn)
    assert len(systems) == 1


@given(st.text())
def test_a_slug_is_for_urls(title: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug_of(title))
    assert len(slug_of(title)) <= 80


# -- templates, registry


def test_a_users_template_replaces_ours_and_its_hash_is_in_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "article_title.j2").write_text("Ours: {{ request.topic }}")
    own = load_kinds(tmp_path)["article"]
    _, turns = converse(own, {"topic": "Tea", "outline": ["A"]}, writer)
    _, shipped = converse(KINDS["article"], {"topic": "Tea", "outline": ["A"]}, writer)
    assert turns[-1][0].messages[-1].content == "Ours: Tea"
    assert turns[-1][0].template_sha256 != shipped[-1][0].template_sha256
    assert turns[0][0].template_sha256 == shipped[0][0].template_sha256


def test_a_template_that_asks_for_what_it_is_not_given_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("{{ missing }}")
    with pytest.raises(RequestError, match=r"a\.j2.*missing"):
        Templates(tmp_path).render("a.j2")
    with pytest.raises(RequestError, match=r"b\.j2"):
        Templates(tmp_path).render("b.j2")
    with pytest.raises(RequestError, match="not a folder"):
        Templates(tmp_path / "none")


KIND = """
from pydantic import BaseModel, ConfigDict, Field
from jobs.generation import Message, Prompt

class Ask(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    word: str = Field(description="A word.")

class Told(BaseModel):
    rhyme: str = Field(description="A rhyme.")

class Rhyme:
    name = {name!r}
    request_type, output_type = Ask, Told
    def __init__(self, templates): pass
    def compose(self, request):
        [answer] = yield [Prompt(messages=(Message("user", "Rhyme " + request.word),))]
        return Told(rhyme=answer.text)
    def expected_tokens(self, request): return 5
"""


def install(folder: Path, name: str, target: str = "rhyme_kind:Rhyme") -> None:
    (folder / "rhyme_kind.py").write_text(KIND.format(name=name))
    info = folder / "rhyme_kind-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rhyme-kind\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[nightpress.kinds]\nrhyme = {target}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "rhyme_kind", raising=False)
    return tmp_path


def test_an_installed_distribution_adds_a_kind(site: Path) -> None:
    install(site, "rhyme")
    output, _ = converse(load_kinds()["rhyme"], {"word": "cat"}, lambda _: "hat")
    assert output.rhyme == "hat"


def test_a_name_that_is_taken_is_refused(site: Path) -> None:
    install(site, "chat")
    with pytest.raises(RequestError, match="'chat', which is taken"):
        load_kinds()


def test_a_kind_that_cannot_be_loaded_is_named(site: Path) -> None:
    install(site, "rhyme", "rhyme_kind:Missing")
    with pytest.raises(RequestError, match="rhyme_kind:Missing"):
        load_kinds()
