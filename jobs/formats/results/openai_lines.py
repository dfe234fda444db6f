"""Results as OpenAI's batch API gives them: a line for each row, with a response or an error.

The response of a `chat` is a `chat.completion`; that of a `completion` is a `text_completion`; that of an `embedding` is a `list`
of vectors; that of any other kind is a `chat.completion` whose content is the output as JSON. No two lines of a batch have the
same custom_id. A row without a custom_id gets the custom_id `<batch>-<row>`. So does a refused row if another row has its
custom_id. A row's metadata stands beside its response. Format: https://platform.openai.com/docs/api-reference/batch/request-output
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

import orjson

CODES: Final = {
    "cancelled": "batch_cancelled",
    "expired": "batch_expired",
    "unknown_model": "model_not_found",
}
"""Our codes -> those that OpenAI's clients know."""


def lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield one line of JSON for each row."""
    for row in rows:
        yield orjson.dumps(_line(row), option=orjson.OPT_APPEND_NEWLINE)


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    id_ = f"{row['batch_id']}-{row['row']}"
    error = row.get("error")
    # The id of a batch is made of all of its rows, so no custom_id of these rows can hold the id.
    of_another = error and (error["code"] == "duplicate_custom_id" or error.get("custom_id_of_line"))
    custom_id = id_ if of_another else row.get("custom_id") or id_
    if error:
        details = {"code": CODES.get(error["code"], error["code"]), "message": error["message"]}
        place = {"line": error.get("line"), "param": error.get("field")}
        return {"id": id_, "custom_id": custom_id, "response": None, "error": {**details, **place}, **_metadata(row)}
    body = _vectors(row) if row["kind"] == "embedding" else _body(id_, row)
    response = {"status_code": 200, "request_id": id_, "body": body}
    return {"id": id_, "custom_id": custom_id, "response": response, "error": None, **_metadata(row)}


def _metadata(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"metadata": row["metadata"]} if row.get("metadata") else {}


def _body(id_: str, row: Mapping[str, Any]) -> dict[str, Any]:
    reason = "length" if row.get("finish_reason") == "length" else "stop"
    is_text = row["kind"] == "completion"
    texts = _texts(row)
    choices = [
        {"index": n, "finish_reason": reason, "logprobs": _logprobs(row, n)}
        | ({"text": text} if is_text else {"message": _message(row, n, text)})
        for n, text in enumerate(texts)
    ]
    usage = row["usage"]
    return {
        "id": id_,
        "object": "text_completion" if is_text else "chat.completion",
        "created": int(datetime.fromisoformat(row["finished_at"]).timestamp()) if row.get("finished_at") else 0,
        "model": row["model"],
        "choices": choices,
        "usage": {
            "prompt_tokens": usage["prompt_tokens"],
            "completion_tokens": usage["completion_tokens"],
            "total_tokens": usage["prompt_tokens"] + usage["completion_tokens"],
            "prompt_tokens_details": {"cached_tokens": usage["cached_prompt_tokens"]},
            "completion_tokens_details": {"reasoning_tokens": row.get("reasoning_tokens") or 0},
        },
        "system_fingerprint": row.get("model_revision"),
    }


def _vectors(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an `embedding`. Its vectors are numbers or base64, as the row asked for them."""
    output, tokens = row["output"], row["usage"]["prompt_tokens"]
    vectors = output["embeddings"] if "embeddings" in output else [output["embedding"]]
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)],
        "model": row["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _message(row: Mapping[str, Any], n: int, text: str) -> dict[str, Any]:
    """Return the n-th answer as a message. Published thoughts are its `reasoning`, as in vLLM."""
    message = {"role": "assistant", "content": text, "refusal": None}
    thoughts = row["output"].get("reasoning") if row["kind"] == "chat" else None
    return {**message, "reasoning": thoughts[n]} if thoughts else message


def _logprobs(row: Mapping[str, Any], n: int) -> dict[str, Any] | None:
    """Return the log probabilities of the n-th answer, in the form of the kind's endpoint; None if there are none."""
    tokens = row["output"].get("logprobs") if row["kind"] in ("chat", "completion") else None
    if not tokens:
        return None
    if row["kind"] == "chat":
        content = [{**_token(one), "top_logprobs": [_token(other) for other in one["top"]]} for one in tokens[n]]
        return {"content": content, "refusal": None}
    starts = accumulate((len(one["token"]) for one in tokens[n]), initial=0)
    return {
        "tokens": [one["token"] for one in tokens[n]],
        "token_logprobs": [one["logprob"] for one in tokens[n]],
        "top_logprobs": [{other["token"]: other["logprob"] for other in one["top"]} for one in tokens[n]],
        "text_offset": list(starts)[:-1],
    }


def _token(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return a token in OpenAI's form. If the token begins or ends in the middle of a character, `bytes` is None (not known)."""
    token = one["token"]
    return {
        "token": token,
        "logprob": one["logprob"],
        "bytes": None if "\ufffd" in token else list(token.encode()),
    }


def _texts(row: Mapping[str, Any]) -> Sequence[str]:
    output = row["output"]
    if row["kind"] in ("chat", "completion"):
        return output.get("choices") or [output["text"]]
    return [orjson.dumps(output).decode()]
