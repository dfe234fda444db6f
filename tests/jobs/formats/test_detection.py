"""Shows jobs/formats/detection.py, source.py, openai_batch.py and parquet.py: files of every format and encoding."""

import codecs
import decimal
import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from jobs.errors import RequestError
from jobs.formats.input_format import InputFormat
from jobs.formats.json_lines import MAX_ROW_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CAFE = "Caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{EURO SIGN}5"
JSONL = json.dumps({"kind": "chat", "prompt": CAFE}, ensure_ascii=False)
CSV = f"kind,prompt\nchat,{CAFE}\n"


def openai(url: str = "/v1/chat/completions", custom_id: str = "a", **body: Any) -> str:
    turns = {"messages": [{"role": "user", "content": CAFE}]} if "chat" in url and "messages" not in body else {}
    return json.dumps(
        {"custom_id": custom_id, "method": "POST", "url": url, "body": {"model": "stub", **turns, **body}}
    )


def parquet_with_twice(name: str) -> bytes:
    target = io.BytesIO()
    columns = [pyarrow.array([text]) for text in ("chat", "a", "b")]
    parquet.write_table(pyarrow.Table.from_arrays(columns, names=["kind", name, name]), target)
    return target.getvalue()


def parquet_of(*rows: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), target)
    return target.getvalue()


def lines(*rows: str, end: str = "\n") -> str:
    return "".join(row + end for row in rows)


OK: list[tuple[int, str, str | None]] = []

TAKEN = [
    # JSON Lines
    pytest.param(JSONL.encode(), 1, OK, id="jsonl"),
    pytest.param(lines(JSONL, JSONL, end="\r\n").encode(), 2, OK, id="jsonl crlf"),
    pytest.param(codecs.BOM_UTF8 + JSONL.encode(), 1, OK, id="jsonl bom"),
    pytest.param(JSONL.encode("utf-16"), 1, OK, id="jsonl utf-16 with its mark"),
    pytest.param(codecs.BOM_UTF16_BE + JSONL.encode("utf-16-be"), 1, OK, id="jsonl utf-16 big endian"),
    pytest.param(lines("", "  ", JSONL, "").encode(), 1, OK, id="jsonl blank lines"),
    pytest.param(
        json.dumps({"kind": "chat", "prompt": CAFE}).encode("utf-16-le"), 1, OK, id="jsonl utf-16 without a mark"
    ),
    pytest.param(gzip.compress(JSONL.encode()), 1, OK, id="jsonl gzip"),
    pytest.param(zstd.compress(JSONL.encode()), 1, OK, id="jsonl zstd"),
    pytest.param(gzip.compress(zstd.compress(JSONL.encode())), 1, OK, id="zstd within gzip"),
    pytest.param(gzip.compress(lines(JSONL).encode()) * 2, 2, OK, id="gzip of two members"),
    pytest.param(zstd.compress(lines(JSONL).encode()) * 2, 2, OK, id="zstd of two frames"),
    pytest.param(gzip.compress(JSONL.encode("utf-16")), 1, OK, id="utf-16 within gzip"),
    pytest.param(lines(JSONL, "{").encode(), 2, [(2, "not_json", None)], id="jsonl cut off"),
    pytest.param(lines("{", JSONL).encode(), 2, [(1, "not_json", None)], id="jsonl bad first line"),
    pytest.param(lines("[1]", JSONL).encode(), 2, [(1, "not_an_object", None)], id="jsonl array"),
    pytest.param(lines(JSONL).encode() + b'{"a": "\xe9"}', 2, [(2, "not_utf8", None)], id="jsonl cp1252 row"),
    pytest.param(
        lines("{}", JSONL).encode("utf-16-le")[:-1],
        2,
        [(1, "unknown_kind", "kind"), (2, "not_utf8", None)],
        id="jsonl utf-16 cut in a character",
    ),
    pytest.param(
        b'{"kind": "chat", "prompt": "' + b"x" * MAX_ROW_BYTES + b'"}', 1, [(1, "row_too_large", None)], id="jsonl huge"
    ),
    pytest.param(lines(JSONL, JSONL, end="\r").encode(), 2, OK, id="jsonl carriage returns alone"),
    pytest.param(f"[{JSONL},\n{JSONL}]".encode(), 2, OK, id="json array"),
    pytest.param(f"[{JSONL}, {JSONL}]".encode("utf-16"), 2, OK, id="json array utf-16"),
    pytest.param(
        gzip.compress(json.dumps([json.loads(JSONL)] * 2, indent=2).encode()), 2, OK, id="json array indented"
    ),
    pytest.param(
        f'[{JSONL},\n{{"a" 1}},\n7]'.encode(),
        3,
        [(2, "not_json", None), (3, "not_an_object", None)],
        id="json array faults",
    ),
    pytest.param(
        lines(*[json.dumps(json.loads(JSONL), indent=2, ensure_ascii=False)] * 2).encode(), 2, OK, id="json over lines"
    ),
    pytest.param(
        codecs.BOM_UTF8 + lines(JSONL).encode() + codecs.BOM_UTF8 + JSONL.encode(), 2, OK, id="jsonl put together"
    ),
    pytest.param(JSONL.encode() + codecs.BOM_UTF8 + JSONL.encode(), 2, OK, id="jsonl put together without a line end"),
    pytest.param(f"[{openai()},{openai(custom_id='b')}]".encode(), 2, OK, id="openai in an array"),
    # CSV
    pytest.param(CSV.encode(), 1, OK, id="csv"),
    pytest.param(CSV.encode("utf-8-sig"), 1, OK, id="csv bom"),
    pytest.param(CSV.encode("cp1252"), 1, OK, id="csv cp1252"),
    pytest.param(CSV.encode("utf-16"), 1, OK, id="csv utf-16"),
    pytest.param(CSV.encode("utf-16-be"), 1, OK, id="csv utf-16 big endian without a mark"),
    pytest.param(CSV.replace("\n", "\r\n").encode(), 1, OK, id="csv crlf"),
    pytest.param(CSV.replace(",", ";").encode(), 1, OK, id="csv semicolons"),
    pytest.param(CSV.replace(",", "\t").encode(), 1, OK, id="csv tabs"),
    pytest.param(CSV.replace(",", "|").encode(), 1, OK, id="csv bars"),
    pytest.param(CSV.encode("utf-8-sig") * 2, 2, OK, id="csv put together"),
    pytest.param(CSV.encode("utf-16") * 2, 2, OK, id="csv put together utf-16"),
    pytest.param(b"Topics of May\n\n" + CSV.encode(), 1, OK, id="csv title above the header"),
    pytest.param(
        f"sep=;\r\nkind;prompt\r\nchat;{CAFE}\r\n".encode("cp1252"), 1, OK, id="csv of excel with its first line"
    ),
    pytest.param(f'"kind","prompt"\n"chat","{CAFE}"\n'.encode(), 1, OK, id="csv all quoted"),
    pytest.param(f"Kind, Prompt\nchat,{CAFE}\n".encode(), 1, OK, id="csv header in capitals, with spaces"),
    pytest.param(f"kind,prompt,,\nchat,{CAFE},,\n,,,\n".encode(), 1, OK, id="csv empty columns and rows"),
    pytest.param(f"\n\nkind,prompt\n\nchat,{CAFE}\n\n".encode(), 1, OK, id="csv blank lines"),
    pytest.param(CSV.encode().rstrip(), 1, OK, id="csv without a last newline"),
    pytest.param(gzip.compress(CSV.encode("cp1252")), 1, OK, id="csv cp1252 gzip"),
    pytest.param(zstd.compress(CSV.replace(",", "\t").encode("utf-16")), 1, OK, id="csv tabs utf-16 zstd"),
    pytest.param(
        f'kind,prompt\nchat,"{CAFE}'.encode(), 1, [(2, "not_csv", None)], id="csv quote never closed at the end"
    ),
    pytest.param(
        f'kind,prompt\nchat,"oh\nchat,"{CAFE}"\n'.encode(), 2, [(2, "not_csv", None)], id="csv quote never closed"
    ),
    pytest.param(f"kind,prompt\nchat,a,b\nchat,{CAFE}\n".encode(), 2, [(2, "not_csv", None)], id="csv too many cells"),
    pytest.param(f"kind,prompt\nchat\nchat,{CAFE}\n".encode(), 2, [(2, "missing_field", None)], id="csv too few cells"),
    pytest.param(
        f"kind,prompt,colour\nchat,{CAFE},\nchat,a,red\n".encode(),
        2,
        [(3, "unknown_field", "colour")],
        id="csv unknown column",
    ),
    pytest.param(
        f"kind,prompt,seed\nchat,{CAFE},1\nchat,a,x\n".encode(), 2, [(3, "wrong_type", "seed")], id="csv no number"
    ),
    pytest.param(
        f"kind,prompt\nchat,{CAFE}\nsonnet,a\n".encode(), 2, [(3, "unknown_kind", "kind")], id="csv unknown kind"
    ),
    pytest.param(
        f"kind,prompt,model\nchat,{CAFE},\nchat,a,gpt\n".encode(), 2, [(3, "unknown_model", "model")], id="csv model"
    ),
    pytest.param(
        f"custom_id,kind,prompt\na,chat,{CAFE}\na,chat,b\n".encode(),
        2,
        [(3, "duplicate_custom_id", "custom_id")],
        id="csv duplicate",
    ),
    pytest.param(
        f"kind,prompt\nchat,{CAFE}\nchat,".encode() + b"\xff\xfe\n", 2, [(3, "not_utf8", None)], id="csv not utf-8"
    ),
    pytest.param(
        b"kind,prompt\nchat,\x81\nchat," + CAFE.encode("cp1252"), 2, [(2, "not_utf8", None)], id="csv not cp1252"
    ),
    pytest.param(
        f"kind,prompt\nchat,{'x' * MAX_ROW_BYTES}\nchat,{CAFE}\n".encode(),
        2,
        [(2, "row_too_large", None)],
        id="csv huge",
    ),
    pytest.param(CSV.replace("\n", "\r").encode(), 1, OK, id="csv carriage returns alone"),
    pytest.param(f'kind,prompt,temperature\nchat,{CAFE},"0,7"\n'.encode(), 1, OK, id="csv decimal comma in quotes"),
    pytest.param(f"kind;prompt;temperature\nchat;{CAFE};0,7\n".encode(), 1, OK, id="csv decimal comma"),
    pytest.param(f"kind;prompt;temperature\nchat;{CAFE};1,000\n".encode(), 1, OK, id="csv one, by its limits"),
    pytest.param(
        f"kind;prompt;max_tokens\nchat;{CAFE};60\nchat;a;1.000\n".encode(),
        2,
        [(3, "wrong_type", "max_tokens")],
        id="csv one or a thousand",
    ),
    pytest.param(f"kind;prompt;max_tokens\nchat;{CAFE};1'000\n".encode(), 1, OK, id="csv a thousand"),
    pytest.param(
        f"kind,prompt,seed\nchat,{CAFE},1\nchat,a,-1\n".encode(), 2, [(3, "out_of_range", "seed")], id="csv negative"
    ),
    pytest.param(
        f"kind,prompt,stop\nchat,{CAFE},a|b\nchat,a,{'|'.join('x' * 99)}\n".encode(),
        2,
        [(3, "out_of_range", "stop")],
        id="csv list too long",
    ),
    pytest.param(
        f'kind,prompt,metadata\nchat,{CAFE},"{{""a"": 1}}"\nchat,a,b\n'.encode(),
        2,
        [(3, "wrong_type", "metadata")],
        id="csv no object",
    ),
    pytest.param(
        f"kind,prompt,\nchat,a,b\nchat,{CAFE},\n".encode(),
        2,
        [(2, "unknown_field", "Unnamed: 2")],
        id="csv nameless column",
    ),
    # OpenAI batch
    pytest.param(openai().encode(), 1, OK, id="openai chat"),
    pytest.param(openai("/v1/completions", prompt=CAFE).encode(), 1, OK, id="openai completion"),
    pytest.param(openai("/v1/completions", prompt=[CAFE]).encode(), 1, OK, id="openai one prompt in a list"),
    pytest.param(gzip.compress(lines(openai(), openai(custom_id="b"), end="\r\n").encode()), 2, OK, id="openai gzip"),
    pytest.param(openai(stream=False, n=1, user="u", tools=[]).encode(), 1, OK, id="openai without effect"),
    pytest.param(openai(max_completion_tokens=5, stop="x").encode(), 1, OK, id="openai newer names"),
    pytest.param(
        lines(openai(), openai(custom_id="b", stream=True)).encode(),
        2,
        [(2, "unsupported_parameter", "body.stream")],
        id="openai stream",
    ),
    pytest.param(lines(openai(), openai("/v1/rerank", "b")).encode(), 2, [(2, "unknown_url", "url")], id="openai url"),
    pytest.param(
        lines(openai(), openai(custom_id="b", model="gpt")).encode(),
        2,
        [(2, "unknown_model", "body.model")],
        id="openai model",
    ),
    pytest.param(
        lines(openai(), openai()).encode(), 2, [(2, "duplicate_custom_id", "custom_id")], id="openai duplicate"
    ),
    pytest.param(
        lines(openai(), openai(custom_id="b", tools=[{}])).encode(),
        2,
        [(2, "unsupported_parameter", "body.tools")],
        id="openai tools",
    ),
    pytest.param(
        lines(openai(), openai(custom_id="b", temperature=3)).encode(),
        2,
        [(2, "out_of_range", "body.temperature")],
        id="openai too hot",
    ),
    pytest.param(
        lines(openai(), openai(custom_id="b", max_completion_tokens=0)).encode(),
        2,
        [(2, "out_of_range", "body.max_completion_tokens")],
        id="openai limit by its newer name",
    ),
    pytest.param(
        lines(openai(), openai(custom_id="b", messages=[])).encode(),
        2,
        [(2, "out_of_range", "body.messages")],
        id="openai no turns",
    ),
    pytest.param(
        lines(
            openai(), openai(custom_id="b", messages=[{"role": "user", "content": [{"type": "image_url"}]}])
        ).encode(),
        2,
        [(2, "unsupported_parameter", "body.messages.0.content.0")],
        id="openai image",
    ),
    pytest.param(
        lines(openai(), '{"custom_id": "b", "url": "/v1/completions"}').encode(),
        2,
        [(2, "missing_field", "body")],
        id="openai no body",
    ),
    pytest.param(
        lines(openai(), '{"custom_id": "b", "url": "/v1/completions", "body": []}').encode(),
        2,
        [(2, "wrong_type", "body")],
        id="openai body is no object",
    ),
    pytest.param(
        lines(openai(), '{"custom_id": "b", "url": ["/v1/completions"], "body": {}}').encode(),
        2,
        [(2, "wrong_type", "url")],
        id="openai url is no text",
    ),
    pytest.param(
        lines(openai(), openai("/v1/completions", "b", prompt=["a", "b"])).encode(),
        2,
        [(2, "unsupported_parameter", "body.prompt")],
        id="openai two prompts",
    ),
    # Parquet
    pytest.param(parquet_of({"kind": "chat", "prompt": CAFE}), 1, OK, id="parquet"),
    pytest.param(
        parquet_of({"kind": "chat", "prompt": CAFE, "seed": 1}, {"kind": "chat", "prompt": "a", "seed": None}),
        2,
        OK,
        id="parquet nulls",
    ),
    pytest.param(
        parquet_of({"kind": "chat", "prompt": CAFE, "seed": decimal.Decimal(10**30)}),
        1,
        [(1, "out_of_range", "seed")],
        id="parquet beyond 64 bits",
    ),
    pytest.param(
        parquet_of({"kind": "chat", "prompt": CAFE, "seed": "x"}), 1, [(1, "wrong_type", "seed")], id="parquet type"
    ),
]


@pytest.mark.parametrize(("data", "rows", "faults"), TAKEN)
def test_a_file_becomes_rows_and_faults(take: Callable[..., Any], data: bytes, rows: int, faults: Any) -> None:
    taken = take(data)
    assert (taken.accepted.batch.rows, taken.accepted.batch.refused) == (rows, len(faults))
    assert taken.faults == [(line, code, field) for line, code, field in faults]
    assert len(taken.rows) == rows - len(faults)
    if taken.rows:
        assert any(CAFE in json.dumps(request, ensure_ascii=False) for request in taken.requests)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "no rows", id="empty"),
        pytest.param(b"\n \n", "no rows", id="blank"),
        pytest.param(b"kind,prompt\n", "no rows", id="only a header"),
        pytest.param(b"Dear all,\nhere are the topics\n", "has no name of a field", id="prose"),
        pytest.param(b"kind,prompt,prompt\nchat,a,b\n", "'prompt' twice", id="a column twice"),
        pytest.param(b"kind:prompt\nchat:a\n", "has no name of a field between commas", id="another delimiter"),
        pytest.param(b'kind,"prom\npt"\nchat,a\n', "opens a quote", id="a column of two lines"),
        pytest.param(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(99), "save its sheet as CSV", id="an old workbook"),
        pytest.param(b"BZh91AY&SY" + bytes(99), "use gzip or zstd", id="bzip2"),
        pytest.param(b"\xfd7zXZ\0" + bytes(99), "use gzip or zstd", id="xz"),
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is an image", id="an image"),
        pytest.param(b"PK\x03\x04" + bytes(100), "save its sheet as CSV", id="a workbook"),
        pytest.param(b"%PDF-1.7\n", "is a PDF document: export its table as CSV", id="pdf"),
        pytest.param(b"{\\rtf1 x}", "in RTF: save its table as CSV", id="rtf"),
        pytest.param(b"\n<!DOCTYPE html><html>", "is a web page: save its sheet as CSV", id="a web page"),
        pytest.param(b"<table><tr><td>kind</td>", "is a web page", id="a table of a web page, named xls"),
        pytest.param(b"<?xml version='1.0'?><rows/>", "is XML: convert it", id="xml"),
        pytest.param(b'# de\nmsgid ""\nmsgstr ""\n"Language: de\\n"\n', "is a gettext catalog", id="po"),
        pytest.param(b"rows.csv" + bytes(249) + b"ustar\0" + bytes(250), "is a tar archive: unpack it", id="tar"),
        pytest.param(b"\x07\x01" + bytes(300), "is a binary file, and no text", id="binary"),
        pytest.param(b"SQLite format 3\0" + bytes(84), "is an SQLite database", id="a database"),
        pytest.param(b"[]", "no rows", id="an empty array"),
        pytest.param(
            f"[{JSONL}, {JSONL}".encode(), "array is never closed: the file is cut off", id="an array cut off"
        ),
        pytest.param(gzip.compress(lines(JSONL, JSONL).encode())[:-9], "cut off", id="gzip cut off"),
        pytest.param(zstd.compress(lines(JSONL, JSONL).encode())[:-4], "cut off", id="zstd cut off"),
        pytest.param(gzip.compress(JSONL.encode())[:20] + b"\xff" * 30, "damaged", id="gzip damaged"),
        pytest.param(b"PAR1" + bytes(50), "Parquet", id="parquet damaged"),
        pytest.param(parquet_with_twice("prompt"), "has the column 'prompt' twice", id="parquet, a column twice"),
    ],
)
def test_a_file_that_is_bad_as_a_whole_is_refused(
    take: Callable[..., Any], tmp_path: Path, data: bytes, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        take(data)
    assert not list(tmp_path.rglob("batch.json"))


def test_the_format_can_be_given(take: Callable[..., Any]) -> None:
    row = openai(messages=[{"role": "user", "content": "a"}]).encode()
    assert take(row).requests == [{"messages": [{"role": "user", "content": "a"}]}]
    assert take(row, form=InputFormat.JSONL).faults == [(1, "unknown_kind", "kind")]


@pytest.mark.parametrize(
    ("url", "body", "asked"),
    [
        pytest.param("/v1/chat/completions", {"logprobs": True, "top_logprobs": 3}, 3, id="chat"),
        pytest.param("/v1/chat/completions", {"logprobs": True}, 0, id="chat, chosen alone"),
        pytest.param("/v1/chat/completions", {"logprobs": False, "top_logprobs": 0}, None, id="chat, none"),
        pytest.param("/v1/completions", {"logprobs": 2}, 2, id="completion"),
        pytest.param("/v1/completions", {"logprobs": 0}, 0, id="completion, chosen alone"),
    ],
)
def test_log_probabilities_are_asked_for(
    take: Callable[..., Any], url: str, body: dict[str, Any], asked: int | None
) -> None:
    text = {"prompt": "a"} if url == "/v1/completions" else {"messages": [{"role": "user", "content": "a"}]}
    assert take(openai(url, **text, **body).encode()).requests[0].get("logprobs") == asked


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        pytest.param({"top_logprobs": 3}, "out_of_range", "body.top_logprobs", id="without logprobs"),
        pytest.param({"logprobs": True, "top_logprobs": 21}, "out_of_range", "body.top_logprobs", id="too many"),
        pytest.param({"logprobs": 3}, "wrong_type", "body.logprobs", id="a number in a chat"),
    ],
)
def test_a_wrong_request_for_log_probabilities_is_a_fault(
    take: Callable[..., Any], body: dict[str, Any], code: str, field: str
) -> None:
    assert take(openai(**body).encode()).faults == [(1, code, field)]


def test_a_batch_file_with_a_long_first_line_is_detected(take: Callable[..., Any]) -> None:
    long = openai(messages=[{"role": "user", "content": "a" * 200_000}])
    assert take(long.encode()).faults == []


def test_a_refused_line_of_a_batch_file_keeps_its_custom_id(take: Callable[..., Any]) -> None:
    refused = [
        openai("/v1/rerank", "url"),
        openai(custom_id="stream", stream=True),
        openai(custom_id="n" * 257, n=0),
    ]
    faults = take(lines(openai(), *refused).encode()).accepted.faults
    assert [fault.custom_id for fault in faults] == ["url", "stream", None]
