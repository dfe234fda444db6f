"""Shows jobs/writing/templates.py: shipped templates, templates of users that replace them, and the hashes of both."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import RequestError, TemplateFault
from jobs.kinds.registry import load_kinds
from jobs.writing.templates import SHIPPED, Templates
from tests.support.conversations import converse

TEA = {"topic": "Tea", "outline": ["A"]}


def sentence(prompt: Any) -> str:
    return f"A {prompt.label}."


def sha256(*names: str) -> str:
    return hashlib.sha256(b"".join((SHIPPED / name).read_bytes() for name in names)).hexdigest()


def test_a_prompt_carries_the_hash_of_the_files_that_made_it() -> None:
    """`cat` and `sha256sum` of the files give the same hash as the prompt carries."""
    _, [[section], [title, _]] = converse("article", TEA, sentence)
    assert section.template_sha256 == sha256(
        "article_system.j2", "article_section.j2", "_article_brief.j2", "_faults.j2"
    )
    assert title.template_sha256 == sha256("article_system.j2", "article_title.j2", "_article_brief.j2", "_faults.j2")
    _, [[post]] = converse("social_post", {"topic": "Tea", "platform": "x"}, sentence)
    assert post.template_sha256 == sha256("social_post_system.j2", "social_post_user.j2", "_faults.j2")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("article_title.j2", id="the prompt"),
        pytest.param("article_system.j2", id="the system turn"),
        pytest.param("_article_brief.j2", id="what it includes"),
    ],
)
def test_a_template_of_a_user_replaces_ours_and_changes_the_hash(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Ours.")
    _, turns = converse(load_kinds(tmp_path)["article"], TEA, sentence)
    _, shipped = converse("article", TEA, sentence)
    assert any("Ours." in message.content for message in turns[-1][0].messages)
    assert turns[-1][0].template_sha256 != shipped[-1][0].template_sha256
    same = turns[0][0].template_sha256 == shipped[0][0].template_sha256
    assert same == (name == "article_title.j2")


def test_values_are_not_read_as_templates() -> None:
    _, [[prompt]] = converse("social_post", {"topic": "{{ 7 * 7 }} {% raw", "platform": "x"}, sentence)
    assert "{{ 7 * 7 }} {% raw" in prompt.messages[1].content


def test_a_template_that_asks_for_a_missing_value_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("{{ missing }}")
    with pytest.raises(TemplateFault, match=r"template a\.j2, line 1: 'missing' is undefined") as raised:
        Templates(tmp_path).render("a.j2")
    assert raised.value.field == "missing"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{{ row.topik }}", "topik"),
        ("{% for one in them %}{% endfor %}", "them"),
        ("{{ row['a b'] }}", "a b"),
        ("{{ 1 / 0 }}", None),
        ("{{ row.topic.__class__ }}", None),
    ],
)
def test_the_error_carries_the_name_of_the_value(tmp_path: Path, text: str, field: str | None) -> None:
    (tmp_path / "a.j2").write_text(text)
    with pytest.raises(TemplateFault) as raised:
        Templates(tmp_path).render("a.j2", row={"topic": "Tea"})
    assert raised.value.field == field


def test_a_system_turn_is_given_no_values(tmp_path: Path) -> None:
    """The template of a system turn gets no values of the row. So the turn is the same for all rows, and its tokens can be
    computed once.
    """
    (tmp_path / "article_system.j2").write_text("You know {{ request.topic }}.")
    with pytest.raises(RequestError, match=r"article_system\.j2, line 1: 'request' is undefined"):
        Templates(tmp_path).messages("article_system.j2", "article_title.j2", request=None, language="en", headings=())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{% if %}", "Expected an expression", id="no template"),
        pytest.param("{% include 'b.j2' %}", r"there is no template b\.j2", id="includes a missing one"),
        pytest.param(b"\xff", "utf-8", id="not UTF-8"),
    ],
)
def test_a_users_broken_template_is_found_at_once(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / "a.j2").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RequestError, match=rf"template a\.j2(, line 1)?: .*{message}"):
        load_kinds(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"there is no template b\.j2"):
        Templates().render("b.j2")
    with pytest.raises(RequestError, match=r"templates_dir: .*none is not a folder"):
        Templates(tmp_path / "none")


def test_templates_that_include_each_other_have_a_hash(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("{% if again %}{% include 'b.j2' %}{% endif %}")
    (tmp_path / "b.j2").write_text("{% include 'a.j2' %}")
    assert len(Templates(tmp_path).render("a.j2", again=False).sha256) == 64


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("artcle_title.j2", "did you mean article_title.j2", id="misspelt"),
        pytest.param("article_title.txt", "did you mean article_title.j2", id="another suffix"),
        pytest.param("zebra.j2", "zebra.j2 replaces no template", id="like none"),
    ],
)
def test_a_file_that_replaces_no_template_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_text("Ours.")
    with pytest.raises(RequestError, match=message):
        load_kinds(tmp_path)


def test_a_file_that_a_template_includes_is_used(tmp_path: Path) -> None:
    (tmp_path / "_tone.j2").write_text("Warm.")
    (tmp_path / "article_system.j2").write_text("{% include '_tone.j2' %}")
    (tmp_path / "README.md").write_text("Why.")
    assert "article" in load_kinds(tmp_path)
