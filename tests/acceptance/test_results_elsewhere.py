"""Reads the results of real commands with other programs: the openai package, Hugo and a spreadsheet program."""

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from openai.types import BatchError, Completion
from openai.types.chat import ChatCompletion

from jobs.batches.batch import BatchPaths
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import write
from jobs.exchange.formulas import unguarded
from jobs.store.opening import open_store
from jobs.usage import Usage

ARTICLES = 200
HOSTILE = [
    'He said: "Buy!" - and left',
    "Fifty: #1 {tips} [for] you & me | 100 %",
    "\N{ROCKET} Emoji \N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL} everywhere \N{ROCKET}",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd and \u0645\u0631\u062d\u0628\u0627",
    "x" * 120,
    "- not: a list",
    "--- not the end",
    "---\ntitle: another\n---",
    "=SUM(A1:A9)",
    "@cmd|' /C calc'!A0",
    "'quoted'",
    "a/b\\c/../../d",
    "...and a leading dot",
    ".hidden",
    "yes",
    "2026-11-24",
    "1e3",
    "0012",
    "a\N{NEXT LINE}b\N{LINE SEPARATOR}c",
    '{{< youtube w7Ft2ymGmfc >}} and {{% ref "x" %}}',
    "<script>alert(1)</script>",
    "tab\tinside, comma; semicolon",
    " spaces around ",
]
"""Titles of articles. A kind from another package may let a model write any of these."""
SLUGS = ["tea", "tea", "", "../../up", ".dot", "a/b", None]


def article(row: int) -> Outcome:
    title = HOSTILE[row % len(HOSTILE)]
    body = f"## {title}\n\n{title} {{{{< nothing >}}}}\n\n```\n{{{{% code %}}}}\n```\n"
    words = {"title": title, "meta_description": title, "body_markdown": body, "word_count": 9}
    output = {**words, "slug": SLUGS[row % len(SLUGS)]}
    receipt = {"engine": "stub", "finish_reason": "stop", "finished_at": "2026-11-23T22:00:00.000Z", "prices": "p"}
    used = Usage(7, 0, 5, 11, 13, 17)
    place = (row, 1, 1, "claim", "completed", True, "article")
    return Outcome(*place, custom_id=f"{title} {row}", output=output, usage=used, receipt=receipt, model="stub")  # type: ignore[arg-type]


@pytest.fixture
def batch_id(shell: Any) -> str:
    """A published batch of articles with hostile titles. Commands enqueue and publish it; the test writes its segment."""
    topics = [{"kind": "article", "topic": HOSTILE[n % len(HOSTILE)]} for n in range(ARTICLES)]
    enqueued = shell.run("enqueue", str(shell.rows(topics)), "--model", "stub")
    assert enqueued.returncode == 0, enqueued.stderr
    batch_id = str(enqueued.stdout.strip())
    store = open_store(str(shell.folder / ".nightpress/store"))
    write(store, BatchPaths(batch_id), [article(row) for row in range(ARTICLES)], "w", "s", 1)
    published = shell.run("publish", batch_id)
    assert published.returncode == 0, published.stderr
    return batch_id


def results(shell: Any, batch_id: str, form: str, place: Path) -> None:
    ran = shell.run("results", batch_id, "--format", form, "-o", str(place))
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr


@pytest.mark.ray
def test_an_openai_batch_file_is_answered_line_by_line(shell: Any) -> None:
    def line(custom_id: str, url: str = "/v1/chat/completions", **body: Any) -> str:
        chat = {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Say a word."}]}
        more = {"model": "stub", **(chat if "chat" in url else {"prompt": "Once"}), **body}
        return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": more}) + "\n"

    good = [
        line("chat", temperature=0.2, top_p=0.9, max_completion_tokens=20, stop=["END"], seed=7, n=2, user="u-1"),
        line("text", "/v1/completions", max_tokens=12, presence_penalty=0.1, logit_bias={"5": -1}),
    ]
    bad = [line("model", model="gpt-17"), line("url", "/v1/images"), line("stream", stream=True)]
    (shell.folder / "batch.jsonl").write_text(good[0] + "".join(bad) + good[1])
    ran = shell.run("run", "batch.jsonl", "--model", "stub", "--out", "out")
    assert ran.returncode == 1, ran.stderr
    (batch_id,) = open_store(str(shell.folder / ".nightpress/store")).list("batches")

    answered = [json.loads(one) for one in shell.run("results", batch_id, "--format", "openai").stdout.splitlines()]
    assert [(one["custom_id"], one["error"], one["response"]["status_code"]) for one in answered] == [
        ("chat", None, 200),
        ("text", None, 200),
    ]
    chat = ChatCompletion.model_validate(answered[0]["response"]["body"], strict=True)
    text = Completion.model_validate(answered[1]["response"]["body"], strict=True)
    assert [choice.index for choice in chat.choices] == [0, 1]
    assert all(choice.message.content and choice.message.role == "assistant" for choice in chat.choices)
    assert text.choices[0].text
    for body, most in ((chat, 40), (text, 12)):
        assert body.usage is not None
        assert 0 < body.usage.completion_tokens <= most
        assert body.usage.total_tokens == body.usage.prompt_tokens + body.usage.completion_tokens
        assert body.model == "stub"

    listed = shell.run("results", batch_id, "--format", "openai", "--errors").stdout.splitlines()
    refused = [json.loads(one) for one in listed]
    errors = [BatchError.model_validate(one["error"], strict=True) for one in refused]
    assert [
        (one["response"], error.code, error.line, error.param) for one, error in zip(refused, errors, strict=True)
    ] == [
        (None, "model_not_found", 2, "body.model"),
        (None, "unknown_url", 3, "url"),
        (None, "unsupported_parameter", 4, "body.stream"),
    ]
    assert [one["custom_id"] for one in refused] == ["model", "url", "stream"]
    assert all(error.message for error in errors)


@pytest.mark.skipif(shutil.which("hugo") is None, reason="Hugo is not installed: apt-get install hugo")
def test_hugo_builds_a_page_for_each_article(shell: Any, batch_id: str) -> None:
    site = shell.folder / "site"
    layouts = site / "layouts" / "_default"
    layouts.mkdir(parents=True)
    (site / "hugo.toml").write_text('baseURL = "https://example.org/"\ndisableKinds = ["taxonomy", "term", "RSS"]\n')
    (site / "config.toml").write_text((site / "hugo.toml").read_text())  # the name of the file in Hugo before 0.110
    (layouts / "single.html").write_text("<h1>{{ .Title }}</h1><i>{{ .Params.nightpress.row }}</i>{{ .Content }}")
    (layouts / "list.html").write_text("{{ len .Pages }}")
    results(shell, batch_id, "markdown", site / "content" / "posts")
    command = ["hugo", "--source", str(site), "--panicOnWarning"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = [path.read_text() for path in (site / "public" / "posts").glob("*/index.html")]
    shown = {int(page.split("<i>")[1].split("</i>")[0]): page for page in pages}
    assert sorted(shown) == list(range(ARTICLES)), "a page replaced another"
    assert not [path for path in site.parent.iterdir() if path.name not in {"site", "rows.jsonl", ".nightpress"}]
    for row, page in shown.items():
        title = unescape(page.split("<h1>")[1].split("</h1>")[0])
        assert title.split() == HOSTILE[row % len(HOSTILE)].split()
        assert "<script" not in page
        assert "{{" in page


SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")
AS_TEXT = "/".join(f"{column}/2" for column in range(1, 60))
READING = f"Text - txt - csv (StarCalc):44,34,76,1,{AS_TEXT},0,false"
WRITING = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,true,true,true"


def converted(source: Path, target: str, profile: Path, *options: str) -> Path:
    command: Sequence[str] = [str(SOFFICE), f"-env:UserInstallation=file://{profile}", "--headless", *options]
    folder = source.parent / target.partition(":")[0]
    ran = [*command, "--convert-to", target, "--outdir", str(folder), str(source)]
    subprocess.run(ran, capture_output=True, timeout=180, check=True)
    return next(folder.iterdir())


@pytest.mark.skipif(SOFFICE is None, reason="LibreOffice is not installed: apt-get install libreoffice-calc-nogui")
def test_a_spreadsheet_program_exports_the_same_cells(shell: Any, batch_id: str, tmp_path: Path) -> None:
    """The CSV is converted to a workbook and back. Cells of the program cannot hold tabs; all other characters are kept."""
    results(shell, batch_id, "csv", shell.folder / "results.csv")
    ours = [{name: cell.replace("\t", "") for name, cell in row.items()} for row in table(shell.folder / "results.csv")]
    profile = tmp_path / "profile"
    workbook = converted(shell.folder / "results.csv", "ods", profile, f"--infilter={READING}")
    assert table(converted(workbook, WRITING, profile)) == ours
    titles = [row["output.title"] for row in ours]
    assert titles == [HOSTILE[row % len(HOSTILE)].replace("\t", "") for row in range(ARTICLES)]


@pytest.mark.skipif(SOFFICE is None, reason="LibreOffice is not installed: apt-get install libreoffice-calc-nogui")
def test_a_spreadsheet_program_runs_no_formula(shell: Any, batch_id: str, tmp_path: Path) -> None:
    """The CSV is opened as by a double click: the program guesses the types of cells, and formulas are allowed."""
    results(shell, batch_id, "csv", shell.folder / "results.csv")
    guess = "Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1,true"
    profile = tmp_path / "profile"
    workbook = converted(shell.folder / "results.csv", "fods", profile, f"--infilter={guess}")
    text = workbook.read_text(encoding="utf-8")
    assert "SUM(A1:A9)" in text
    assert "table:formula" not in text


def table(path: Path) -> list[dict[str, str]]:
    text = path.read_bytes().decode("utf-8-sig")
    return [
        {name: unguarded(cell) for name, cell in row.items()} for row in csv.DictReader(io.StringIO(text, newline=""))
    ]
