"""Shows jobs/formats/results/: what is written is read again, by us and by the programs that people use."""

import csv
import io
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openai.types import BatchError, Completion
from openai.types.chat import ChatCompletion
from pyarrow import parquet

from jobs.formats.cells import FORMULA, unguarded
from jobs.formats.results import markdown, openai_lines, tables
from jobs.kinds.registry import load_kinds

KINDS = load_kinds()
USAGE = {
    "prompt_tokens": 7,
    "cached_prompt_tokens": 3,
    "completion_tokens": 5,
    "device_ns": 11,
    "device_cost": 13,
    "charge": 17,
    "prices": "v1",
}

HOSTILE = [
    'He said: "Buy!" - and left',
    "Fifty: #1 {tips} [for] you & me | 100 %",
    "\N{ROCKET} Emoji \N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL} everywhere \N{ROCKET}",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd and \u0645\u0631\u062d\u0628\u0627",
    "x" * 120,
    "- not: a list",
    "--- not the end",
    "=SUM(A1:A9)",
    "@cmd|' /C calc'!A0",
    "'quoted'",
    "yes",
    "2026-11-24",
    "1e3",
    "a\N{NEXT LINE}b\N{LINE SEPARATOR}c\x7fd",
    '{{< youtube w7Ft2ymGmfc >}} and {{% ref "x" %}}',
    "tab\tinside, comma; semicolon",
]


def article(row: int, title: str, body: str = "A text.") -> dict[str, Any]:
    output = {"title": title, "slug": f"a-{row}", "meta_description": title, "body_markdown": body, "word_count": 2}
    return completed(row, "article", output)


def completed(row: int, kind: str, output: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    receipt = {"model": "stub", "model_revision": "stub-1", "adapter": None, "engine": "stub", "finish_reason": "stop"}
    times = {"worker": "w", "started_at": "2026-11-24T00:00:00.000Z", "finished_at": "2026-11-24T00:00:01.000Z"}
    head = {"batch_id": "b-1", "row": row, "custom_id": None, "kind": kind, "status": "completed", "output": output}
    return {**head, "usage": USAGE, **receipt, "seed": 1, "attempt": 1, **times, **more}


def failed(row: int, **error: Any) -> dict[str, Any]:
    said = {"code": "post_too_long", "message": "It is too long.", **error}
    head = {"batch_id": "b-1", "row": row, "custom_id": "c", "kind": "social_post", "status": "failed", "error": said}
    return {**head, "usage": USAGE, "model": "stub", "attempt": 2}


def read_csv(data: bytes) -> list[dict[str, str]]:
    """As any program reads it that undoes the guards."""
    rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    return [{name: unguarded(cell) for name, cell in row.items()} for row in rows]


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
ROWS = st.lists(
    st.tuples(st.sampled_from(["article", "translation", "error"]), TEXT, TEXT, st.none() | TEXT), max_size=4
).map(lambda drawn: [_row(n, *one) for n, one in enumerate(drawn)])


def _row(n: int, kind: str, first: str, second: str, metadata: str | None) -> dict[str, Any]:
    given = {} if metadata is None else {"metadata": {"note": metadata}}
    if kind == "error":
        return {**failed(n, message=first, field=second), **given}
    if kind == "article":
        return {**article(n, first, second), **given}
    output = {"text": first, "segments": [{"source": second, "target": first}]}
    return completed(n, "translation", output, custom_id=second, **given)


def cells(row: Mapping[str, Any], shown: Sequence[tables.Column]) -> dict[str, Any]:
    return {column.name: column.value(row) for column in shown}


@given(ROWS)
def test_rows_in_a_csv_are_the_same_rows(rows: list[dict[str, Any]]) -> None:
    shown = tables.columns(["article", "translation"], KINDS)
    data = b"".join(tables.csv_bytes(rows, shown))
    expected = [{name: "" if cell is None else str(cell) for name, cell in cells(row, shown).items()} for row in rows]
    assert read_csv(data) == expected
    for raw in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")):
        assert not any(cell.startswith(FORMULA) for cell in raw)


@given(rows=ROWS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_in_parquet_are_the_same_rows(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    shown = tables.columns(["article", "translation"], KINDS)
    tables.write_parquet(rows, shown, tmp_path / "a.parquet")
    found = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    texts = [{n: None if v is None else str(v) for n, v in row.items()} for row in found]
    assert texts == [{n: None if v is None else str(v) for n, v in cells(row, shown).items()} for row in rows]
    assert all(isinstance(row["usage.charge"], int) for row in found)


@given(ROWS)
def test_rows_in_openai_lines_are_the_same_rows(rows: list[dict[str, Any]]) -> None:
    for row, raw in zip(rows, openai_lines.lines(rows), strict=True):
        line = orjson.loads(raw)
        if row["status"] == "failed":
            error = BatchError.model_validate(line["error"], strict=True)
            assert (error.code, error.message, error.param) == (
                "post_too_long",
                row["error"]["message"],
                row["error"]["field"],
            )
        else:
            body = ChatCompletion.model_validate(line["response"]["body"], strict=True)
            assert orjson.loads(body.choices[0].message.content or "") == row["output"]
            assert body.usage is not None
            assert (body.usage.prompt_tokens, body.usage.completion_tokens, body.usage.total_tokens) == (7, 5, 12)


@given(ROWS)
@example([_row(0, "article", "\x85", "a\u2028b", "yes")])
def test_rows_in_markdown_are_the_same_rows(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        _, front, body = markdown.page(row).split("---\n", 2)
        values = yaml.safe_load(front)
        assert values["nightpress"]["row"] == row["row"]
        assert values["nightpress"].get("metadata") == row.get("metadata")
        if row["kind"] == "article":
            assert values["title"] == (row["output"]["title"] or "article " + str(row["row"]))
            assert (
                body.strip()
                == row["output"]["body_markdown"].replace("{{<", "{{&lt;").replace("{{%", "{{&#37;").strip()
            )


def test_a_chat_of_several_answers_and_a_completion_in_openai_lines() -> None:
    chat = completed(0, "chat", {"text": "a", "choices": ["a", "b"]}, finish_reason="length", custom_id="x")
    text = completed(1, "completion", {"text": "c"})
    first, second = (orjson.loads(line) for line in openai_lines.lines([chat, text]))
    answers = ChatCompletion.model_validate(first["response"]["body"], strict=True)
    assert [(one.index, one.message.content, one.finish_reason) for one in answers.choices] == [
        (0, "a", "length"),
        (1, "b", "length"),
    ]
    assert (first["custom_id"], first["error"]) == ("x", None)
    body = Completion.model_validate(second["response"]["body"], strict=True)
    assert (body.choices[0].text, body.choices[0].finish_reason, body.object) == ("c", "stop", "text_completion")


def test_a_kind_that_is_not_installed_has_its_output_in_one_column() -> None:
    shown = tables.columns(["sonnet", "chat"], KINDS)
    row = completed(0, "sonnet", {"lines": ["a", "b"]})
    assert cells(row, shown)["output"] == '{"lines":["a","b"]}'
    assert {"output.text", "output.choices"} <= {column.name for column in shown}


@pytest.mark.parametrize(
    ("row", "name"),
    [
        pytest.param(article(7, "Tea"), "000007-a-7.md", id="by its slug"),
        pytest.param(
            completed(1, "chat", {"text": "a"}, custom_id="Caf\xe9/../x"), "000001-cafe-x.md", id="by its custom_id"
        ),
        pytest.param(completed(2, "chat", {"text": "a"}), "000002.md", id="by its row"),
        pytest.param(completed(3, "chat", {"text": "a"}, custom_id="\u05e9" * 300), "000003.md", id="no Latin letter"),
        pytest.param(completed(4, "chat", {"text": "a"}, custom_id="x" * 256), f"000004-{'x' * 100}.md", id="long"),
    ],
)
def test_the_name_of_a_page(row: dict[str, Any], name: str) -> None:
    assert markdown.file_name(row) == name


@pytest.mark.skipif(shutil.which("hugo") is None, reason="Hugo is not installed: apt-get install hugo")
def test_hugo_builds_two_hundred_articles_of_hostile_titles(tmp_path: Path) -> None:
    site = tmp_path / "site"
    posts = site / "content" / "posts"
    posts.mkdir(parents=True)
    (site / "hugo.toml").write_text(
        'baseURL = "https://example.org/"\ndisableKinds = ["taxonomy", "term", "RSS", "sitemap"]\n'
    )
    (site / "layouts" / "_default").mkdir(parents=True)
    (site / "layouts" / "_default" / "single.html").write_text("<h1>{{ .Title }}</h1>{{ .Content }}")
    (site / "layouts" / "_default" / "list.html").write_text("{{ len .Pages }}")
    for n in range(200):
        title = HOSTILE[n % len(HOSTILE)]
        row = article(n, title, f"## {title}\n\n{title} {{{{< nothing >}}}}\n\n```\n{{{{% code %}}}}\n```\n")
        (posts / markdown.file_name(row)).write_text(markdown.page(row), encoding="utf-8")
    built = subprocess.run(["hugo", "--source", str(site)], capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = list((site / "public" / "posts").glob("a-*/index.html"))
    assert len(pages) == 200
    assert "{{&lt;" in (site / "public" / "posts" / "a-0" / "index.html").read_text().replace("&amp;lt;", "&lt;")
    assert "\N{ROCKET} Emoji" in (site / "public" / "posts" / "a-2" / "index.html").read_text()


SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")


@pytest.mark.skipif(SOFFICE is None, reason="LibreOffice is not installed: apt-get install libreoffice-calc-nogui")
def test_a_spreadsheet_program_gives_back_the_same_cells(tmp_path: Path) -> None:
    shown = tables.columns(["article"], KINDS)
    kept = [title for title in HOSTILE if not {"\t", "\x7f"} & set(title)]  # its cells hold no control characters
    rows = [article(n, title, f"{title}\n\n{title}") for n, title in enumerate(kept)]
    (tmp_path / "in.csv").write_bytes(b"".join(tables.csv_bytes(rows, shown)))
    as_text = "44,34,76,1,1/2/2/2/3/2/4/2/5/2/6/2/7/2/8/2/9/2/10/2/11/2/12/2,0,true"
    for source, target, options in [
        ("in.csv", "ods", [f"--infilter=Text - txt - csv (StarCalc):{as_text}"]),
        ("in.ods", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false", []),
    ]:
        command = [str(SOFFICE), f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", *options]
        command += ["--convert-to", target, "--outdir", str(tmp_path / "out"), str(tmp_path / source)]
        subprocess.run(command, capture_output=True, timeout=180, check=True)
        for made in (tmp_path / "out").iterdir():
            shutil.copy(made, tmp_path / ("back.csv" if made.suffix == ".csv" else made.name))
    again = read_csv((tmp_path / "back.csv").read_bytes())
    assert [row["output.title"] for row in again] == [row["output"]["title"] for row in rows]
    assert [row["output.body_markdown"] for row in again] == [row["output"]["body_markdown"] for row in rows]
