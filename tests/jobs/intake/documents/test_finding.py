"""Shows jobs/intake/documents/finding.py: which files are documents, and what they are called."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobs.errors import RequestError
from jobs.intake.documents.finding import find_documents


def found(*places: Path | str, form: str | None = None) -> Sequence[tuple[str, str]] | None:
    made = find_documents([str(one) for one in places], form, is_translation=True, has_target=True)
    return None if made is None else [(one.name, one.form.name) for one in made]


def write(folder: Path, **files: str | bytes) -> None:
    for name, data in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


@pytest.fixture
def site(tmp_path: Path) -> Path:
    write(
        tmp_path,
        docs__index_DOT_md="# A",
        docs__guide__soil_DOT_md="# B",
        docs__guide__a_DOT_png=b"\x89PNG",
        docs__package_DOT_json='{"name": "some text"}',
        docs__mkdocs_DOT_yml="nav: a b",
        docs___DOT_git__x_DOT_md="# hidden",
        docs__feed_DOT_xml="<rss/>",
        res__values__strings_DOT_xml='<resources><string name="a">B c</string></resources>',
    )
    return tmp_path


def test_a_folder_gives_the_files_whose_names_tell_their_format(site: Path) -> None:
    assert found(site / "docs") == [("guide/soil.md", "markdown"), ("index.md", "markdown")]
    assert found(site) == [
        ("docs/guide/soil.md", "markdown"),
        ("docs/index.md", "markdown"),
        ("res/values/strings.xml", "android"),
    ]


def test_with_a_format_a_folder_gives_its_files_alone(site: Path) -> None:
    assert found(site, form="json") == [("docs/package.json", "json")]
    assert found(site / "docs", form="yaml") == [("mkdocs.yml", "yaml")]
    with pytest.raises(RequestError, match="no file of the format srt"):
        found(site, form="srt")


def test_names_are_paths_below_the_common_folder(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(site / "docs/index.md") == [("index.md", "markdown")]
    assert found(site / "docs/index.md", site / "docs/guide/soil.md") == [
        *(("guide/soil.md", "markdown"), ("index.md", "markdown"))
    ]
    monkeypatch.chdir(site / "docs/guide")
    assert found("../index.md", "soil.md") == [("guide/soil.md", "markdown"), ("index.md", "markdown")]
    assert found("../../docs/index.md") == [("index.md", "markdown")]
    assert found("soil.md", "./soil.md", "../guide") == [("soil.md", "markdown")]


def test_patterns_are_expanded(site: Path) -> None:
    assert found(f"{site}/docs/**/*.md") == [("guide/soil.md", "markdown"), ("index.md", "markdown")]
    with pytest.raises(RequestError, match="no file matches"):
        found(f"{site}/*.po")
    write(site, odd__a_OPEN_1_DOT_md="# A")
    (site / "odd/a_OPEN_1.md").rename(site / "odd/a[1].md")
    assert found(site / "odd/a[1].md") == [("a[1].md", "markdown")], "a file of this name is no pattern"


@pytest.mark.parametrize(
    ("data", "is_document"),
    [
        ('{"a": "Open file"}', True),
        ('{\n  "text": "Open file",\n  "b": "c"\n}', True),
        ('{"a": {"text": "Open"}}\n', True),
        ('[{"text": "Hello", "target_language": "fr"}]', False),
        ('{"text": "Hello", "target_language": "fr"}\n{"text": "Hello", "target_language": "de"}\n', False),
        ('{"text": "Hello", "kind": "translation"}', False),
        ('\ufeff{"a": "b c"}\n{"a": "d e"}\n', False),
        ("{", True),
        ("", True),
    ],
)
def test_json_is_a_catalogue_or_rows(tmp_path: Path, data: str, is_document: bool) -> None:
    write(tmp_path, a_DOT_json=data)
    assert (found(tmp_path / "a.json") is not None) == is_document


@pytest.mark.parametrize(
    ("data", "is_document"),
    [
        ("key,en,fr\na,Open,\n", True),
        ("source;target\nOpen;\n", True),
        ("text,target_language\nOpen,fr\n", False),
        ("id;text\n1;Open\n", False),
        ("topic,words\na,5\n", False),
    ],
)
def test_a_csv_is_a_string_table_or_rows(tmp_path: Path, data: str, is_document: bool) -> None:
    write(tmp_path, a_DOT_csv=data)
    assert (found(tmp_path / "a.csv") is not None) == is_document


def test_one_file_of_another_kind_holds_rows_and_several_are_refused(site: Path) -> None:
    write(site, rows_DOT_jsonl="{}")
    assert found(site / "rows.jsonl") is None
    assert found("-") is None
    assert found("s3://bucket/rows.jsonl") is None
    assert found("s3://bucket/a/messages.po?x=1") == [("messages.po", "po")]
    assert found("-", form="po") == [("document.po", "po")]
    with pytest.raises(RequestError, match=r"rows\.jsonl' is no document"):
        found(site / "rows.jsonl", site / "docs")


@pytest.mark.parametrize("name", ["a\nb.md", "a\x1b[2J.md", "a\\b.md", os.fsdecode(b"a\xff.md")])
def test_a_name_that_no_file_should_have_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("# A b")
    for place in (tmp_path, tmp_path / name):
        with pytest.raises(RequestError, match=r"the name .*: rename it") as refused:
            found(place)
        assert str(refused.value).isprintable()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read .*a\.md: No such file"):
        found(tmp_path / "a.md")
    with pytest.raises(RequestError, match="no format of documents is called 'pos'"):
        found(tmp_path / "a.md", form="pos")


def test_links_to_folders_are_not_followed(site: Path) -> None:
    (site / "docs/loop").symlink_to(site / "docs")
    assert found(site / "docs") == [("guide/soil.md", "markdown"), ("index.md", "markdown")]
