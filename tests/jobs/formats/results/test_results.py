"""Shows jobs/formats/results/: rows that we write can be read by us, and by the programs that people use."""

import base64
import csv
import io
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openai.types import BatchError, Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from pyarrow import parquet

from jobs.exchange.formulas import FORMULA, unguarded
from jobs.formats.results import markdown, openai_lines, tables
from jobs.kinds.registry import load_kinds
from jobs.operations.results import results
from jobs.store.opening import open_store
from tests.support.conversations import converse

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


def article(row: int, title: str, body: str = "A text.") -> dict[str, Any]:
    output = {"title": title, "slug": f"a-{row}", "meta_description": title, "body_markdown": body, "word_count": 2}
    return completed(row, "article", output)


def completed(row: int, kind: str, output: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    receipt = {"model": "stub", "model_revision": "stub-1", "adapter": None, "engine": "stub", "finish_reason": "stop"}
    times = {"worker": "w", "started_at": "2026-11-24T00:00:00.000Z", "finished_at": "2026-11-24T00:00:01.000Z"}
    head = {"batch_id": "b-1", "row": row, "custom_id": None, "kind": kind, "status": "completed", "output": output}
    return {**head, "usage": USAGE, **receipt, "seed": 1, "attempt": 1, **times, **more}


def failed(row: int, **error: Any) -> dict[str, Any]:
    details = {"code": "post_too_long", "message": "It is too long.", **error}
    head = {
        "batch_id": "b-1",
        "row": row,
        "custom_id": "c",
        "kind": "social_post",
        "status": "failed",
        "error": details,
    }
    return {**head, "usage": USAGE, "model": "stub", "attempt": 2}


def read_csv(data: bytes) -> list[dict[str, str]]:
    """Read a CSV like a program that takes off the apostrophes before formulas."""
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
    return {column.name: value for column, (value,) in zip(shown, tables.values([row], shown), strict=True)}


@given(ROWS)
def test_rows_in_a_csv_are_the_same_rows(rows: list[dict[str, Any]]) -> None:
    shown = tables.columns(["article", "translation"], KINDS)
    data = b"".join(tables.csv_bytes(map(orjson.dumps, rows), shown))
    expected = [{name: "" if cell is None else str(cell) for name, cell in cells(row, shown).items()} for row in rows]
    assert read_csv(data) == expected
    for raw in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")):
        assert not any(cell.startswith(FORMULA) for cell in raw)


@given(rows=ROWS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_in_parquet_are_the_same_rows(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    shown = tables.columns(["article", "translation"], KINDS)
    tables.write_parquet(map(orjson.dumps, rows), shown, tmp_path / "a.parquet")
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
        _, front, body = markdown.Pages().text(row).split("---\n", 2)
        values = yaml.safe_load(front)
        assert values["nightpress"]["row"] == row["row"]
        assert values["nightpress"].get("metadata") == row.get("metadata")
        if row["kind"] == "article":
            assert values["title"] == (row["output"]["title"] or "article " + str(row["row"]))
            assert (
                body.strip()
                == row["output"]["body_markdown"].replace("{{<", "{{&lt;").replace("{{%", "{{&#37;").strip()
            )


@pytest.mark.parametrize("field", ["variants", "thread"])
def test_variants_and_threads_stand_whole_in_every_form(field: str) -> None:
    texts = ["Fresh tea.\n\n#tea", "Come in.\n\n#tea"]
    output = {"text": texts[0], "hashtags": ["#tea"], "length": 16, field: texts, "lengths": [16, 14]}
    row = completed(0, "social_post", output)
    shown = tables.columns(["social_post"], load_kinds())
    (found,) = read_csv(b"".join(tables.csv_bytes([orjson.dumps(row)], shown)))
    assert (found["output.text"], orjson.loads(found[f"output.{field}"])) == (texts[0], texts)
    assert orjson.loads(found["output.lengths"]) == [16, 14]
    one = completed(1, "social_post", {"text": texts[0], "hashtags": ["#tea"], "length": 16})
    assert next(iter(read_csv(b"".join(tables.csv_bytes([orjson.dumps(one)], shown)))))["output.variants"] == ""
    assert markdown.Pages().text(row).endswith("---\n\nFresh tea.\n\n#tea\n\n---\n\nCome in.\n\n#tea\n")
    (line,) = openai_lines.lines([row])
    content = orjson.loads(line)["response"]["body"]["choices"][0]["message"]["content"]
    assert orjson.loads(content) == output


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


def test_a_label_in_each_form() -> None:
    """A table has a column for the label, one for the margin, and one for the probabilities as JSON."""
    output = {"label": "a|b", "probabilities": {"<b>": 0.25, "a|b": 0.75}, "margin": 0.5}
    row = completed(3, "label", output)
    page = markdown.Pages().text(row)
    assert page.endswith(
        "---\n\n**a\\|b**\n\n| label | probability |\n|---|---|\n| a\\|b | 0.750000 |\n| \\<b> | 0.250000 |\n"
    )
    shown = tables.columns(["label"], load_kinds())
    found = {name: value for name, value in cells(row, shown).items() if name.startswith("output.")}
    assert found == {
        "output.label": "a|b",
        "output.probabilities": '{"<b>":0.25,"a|b":0.75}',
        "output.margin": 0.5,
    }
    (line,) = (orjson.loads(one) for one in openai_lines.lines([row]))
    answer = ChatCompletion.model_validate(line["response"]["body"], strict=True)
    assert orjson.loads(answer.choices[0].message.content or "") == output


def test_thoughts_in_openai_lines() -> None:
    """The thoughts are the `reasoning` of each message, as in vLLM, and the usage counts their tokens."""
    chat = completed(0, "chat", {"text": "a", "choices": ["a", "b"], "reasoning": ["Hm", ""]}, reasoning_tokens=5)
    plain = completed(1, "chat", {"text": "a"})
    first, second = (orjson.loads(line)["response"]["body"] for line in openai_lines.lines([chat, plain]))
    answers = ChatCompletion.model_validate(first, strict=True)
    assert [one["message"].get("reasoning") for one in first["choices"]] == ["Hm", ""]
    assert answers.usage is not None
    assert answers.usage.completion_tokens_details is not None
    assert answers.usage.completion_tokens_details.reasoning_tokens == 5
    assert "reasoning" not in second["choices"][0]["message"]
    assert second["usage"]["completion_tokens_details"] == {"reasoning_tokens": 0}


def test_no_two_openai_lines_of_a_batch_have_one_custom_id(take: Callable[..., Any], tmp_path: Path) -> None:
    """The rows have all sorts of custom_ids: the same id twice, as text and as a number; none; ids of refused rows; the id of
    another row.
    """
    good, bad = {"kind": "chat", "prompt": "a"}, {"kind": "chat"}
    ids = [(good, 1), (good, "1"), (good, 1.0), (good, None), (good, "3"), (bad, "a"), (good, "a"), (bad, "a")]
    ids += [(bad, "b"), (bad, "b"), (bad, None), (good, "kept"), (bad, "alone"), (bad, 7)]
    rows = [{**row, "custom_id": custom_id} for row, custom_id in ids]
    taken = take(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    batch = taken.accepted.batch
    store = open_store(str(tmp_path / "store"))
    refused = list(results(store, batch.batch_id, errors=True))
    done = [
        completed(row.row, "chat", {"text": "a"}, custom_id=row.custom_id, batch_id=batch.batch_id)
        for row in taken.rows
    ]
    lines = [orjson.loads(line) for line in openai_lines.lines([*done, *refused])]
    names = [line["custom_id"] for line in lines]
    assert len(names) == len(rows) == len(set(names))
    own = {"1", "3", "a", "b", "kept", "alone", "7"}
    assert own <= set(names)
    assert {name for name in names if name not in own} == {f"{batch.batch_id}-{n}" for n in (1, 2, 3, 5, 7, 9, 10)}
    holds = [line["error"] is None for line in lines if line["custom_id"] in ("1", "a")]
    assert holds == [True, True]


def test_log_probabilities_in_openai_lines() -> None:
    """The log probabilities have the shape of each endpoint, as the types of the package `openai` read them. A token that is
    half a character has no bytes.
    """
    top = [{"token": "a", "logprob": -0.25}, {"token": "b", "logprob": -2.5}]
    tokens = [{"token": "a", "logprob": -0.25, "top": top}, {"token": "\ufffd", "logprob": -1.0, "top": []}]
    rows = [completed(n, kind, {"text": "a", "logprobs": [tokens]}) for n, kind in enumerate(["chat", "completion"])]
    first, second = (orjson.loads(line)["response"]["body"] for line in openai_lines.lines(rows))
    chat = ChatCompletion.model_validate(first, strict=True).choices[0].logprobs
    assert chat is not None
    assert chat.content is not None
    assert [(one.token, one.logprob, one.bytes) for one in chat.content] == [("a", -0.25, [97]), ("\ufffd", -1.0, None)]
    assert [(one.token, one.logprob) for one in chat.content[0].top_logprobs] == [("a", -0.25), ("b", -2.5)]
    text = Completion.model_validate(second, strict=True).choices[0].logprobs
    assert text is not None
    assert (text.tokens, text.token_logprobs, text.text_offset) == (["a", "\ufffd"], [-0.25, -1.0], [0, 1])
    assert text.top_logprobs == [{"a": -0.25, "b": -2.5}, {}]


def test_columns_that_were_kept_are_columns_again_in_every_form(tmp_path: Path) -> None:
    """The columns have their own names. If another column has the name, it becomes `metadata.NAME`. No name runs as a formula."""
    kept = {"Price": "9,90", "status": "draft", "=x": "1", "Tags": ["a"]}
    rows = [completed(0, "chat", {"text": "a"}, metadata=kept), completed(1, "chat", {"text": "b"})]
    shown = tables.columns(["chat"], KINDS, list(kept))
    first, second = csv.reader(
        io.StringIO(b"".join(tables.csv_bytes(map(orjson.dumps, rows[:1]), shown)).decode("utf-8-sig"), newline="")
    )
    assert first[:8] == ["row", "custom_id", "kind", "status", "Price", "metadata.status", "'=x", "Tags"]
    assert second[:8] == ["0", "", "chat", "completed", "9,90", "draft", "1", '["a"]']
    tables.write_parquet(map(orjson.dumps, rows), shown, tmp_path / "a.parquet")
    found = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert [(row["Price"], row["metadata.status"], row["Tags"]) for row in found] == [
        ("9,90", "draft", '["a"]'),
        (None, None, None),
    ]
    lines = [orjson.loads(line) for line in openai_lines.lines([*rows, {**failed(2), "metadata": kept}])]
    assert [line.get("metadata") for line in lines] == [kept, None, kept]
    front = yaml.safe_load(markdown.Pages().text(rows[0]).split("---\n")[1])
    assert front["nightpress"]["metadata"] == kept


def test_a_translation_has_its_source_and_languages_beside_the_text() -> None:
    output, _ = converse(
        "translation",
        {"text": "Tea.", "source_language": "en", "target_language": "de"},
        lambda _: "Tee.",
    )
    row = completed(0, "translation", output.model_dump(mode="json"))
    shown = tables.columns(["translation"], KINDS)
    beside = [column for column in shown if column.name.startswith("output.")][:4]
    assert {column.name: value for column, (value,) in zip(beside, tables.values([row], beside), strict=True)} == {
        "output.source_language": "en",
        "output.target_language": "de",
        "output.source": "Tea.",
        "output.text": "Tee.",
    }
    page = markdown.Pages().text(row)
    _, front, body = page.split("---\n")
    assert (
        yaml.safe_load(front)["nightpress"] | {"source_language": "en", "target_language": "de", "source": "Tea."}
        == (yaml.safe_load(front)["nightpress"])
    )
    assert body.strip() == "Tee."


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
    assert markdown.Pages().name(row) == name


def test_two_pages_of_one_slug_are_two_pages_of_a_site() -> None:
    pages = markdown.Pages()
    slugs = []
    for row in (article(1, "Tea"), {**article(2, "Tea"), "output": article(1, "Tea")["output"]}, article(3, "Tea")):
        slugs.append(yaml.safe_load(pages.text(row).split("---\n")[1])["slug"])
    assert slugs == ["a-1", "a-1-2", "a-3"]


@pytest.mark.parametrize("slug", ["../../etc/passwd", ".hidden", "/a/b", "A B", "-a-"])
def test_no_slug_of_a_kind_leaves_the_folder(slug: str) -> None:
    row = completed(1, "ballad", {"title": "Tea", "slug": slug, "text": "a"})
    assert set(markdown.Pages().name(row)) <= set("0123456789-abcdefghijklmnopqrstuvwxyz.")
    assert markdown.Pages().name(row).count(".") == 1
    assert not set(yaml.safe_load(markdown.Pages().text(row).split("---\n")[1])["slug"]) & set("./ ")


TEXT_OF_TWO = base64.b64encode(struct.pack("<2f", 1.5, -2.0)).decode()
VECTORS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"embedding": [1.5, -2.0], "dimensions": 2}, [[1.5, -2.0]]),
    ({"embedding": TEXT_OF_TWO, "dimensions": 2}, [TEXT_OF_TWO]),
    ({"embeddings": [[1.5, -2.0], [0.0, 1.0]], "dimensions": 2}, [[1.5, -2.0], [0.0, 1.0]]),
]


@pytest.mark.parametrize(("output", "vectors"), VECTORS, ids=["numbers", "base64", "several"])
def test_vectors_in_openai_lines(output: dict[str, Any], vectors: list[Any]) -> None:
    (line,) = openai_lines.lines([completed(0, "embedding", output)])
    body = orjson.loads(line)["response"]["body"]
    if all(isinstance(one, list) for one in vectors):  # OpenAI's client decodes base64 before it makes its values
        assert CreateEmbeddingResponse.model_validate(body).usage.total_tokens == USAGE["prompt_tokens"]
    assert body == {
        "object": "list",
        "data": [{"object": "embedding", "index": n, "embedding": one} for n, one in enumerate(vectors)],
        "model": "stub",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_vectors_in_parquet_are_lists_of_floats(tmp_path: Path) -> None:
    """So are those that a row asked for in base64. In a CSV they stay as they were published."""
    rows = [completed(n, "embedding", output) for n, (output, _) in enumerate(VECTORS)] + [failed(3)]
    shown = tables.columns(["embedding"], KINDS)
    tables.write_parquet(map(orjson.dumps, rows), shown, tmp_path / "a.parquet")
    found = parquet.read_table(tmp_path / "a.parquet")
    assert str(found.schema.field("output.embedding").type) == "list<element: float>"
    assert str(found.schema.field("output.embeddings").type) == "list<element: list<element: float>>"
    assert found.column("output.embedding").to_pylist() == [[1.5, -2.0], [1.5, -2.0], None, None]
    assert found.column("output.embeddings").to_pylist() == [None, None, [[1.5, -2.0], [0.0, 1.0]], None]
    table = read_csv(b"".join(tables.csv_bytes(map(orjson.dumps, rows), shown)))
    assert [row["output.embedding"] for row in table] == ["[1.5,-2.0]", TEXT_OF_TWO, "", ""]
