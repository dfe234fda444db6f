"""Shows jobs/kinds/embedding.py: what a row takes, what it asks an encoder, and how its vectors are published."""

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from jobs.errors import CheckFailed
from jobs.generation import Completion, Encodable, Encoding, Prompt
from jobs.kinds.embedding import Embedding, EmbeddingKind, EmbeddingRequest
from jobs.writing.templates import Templates

KIND = EmbeddingKind(Templates())
THIRD = struct.unpack("<f", struct.pack("<f", 1 / 3))[0]


def embedded(request: Mapping[str, Any], vectors: Mapping[str, Sequence[float]]) -> tuple[Embedding, list[Prompt]]:
    """Return the output of a row, and its prompts. `vectors` has the vector of each text."""
    conversation = KIND.compose(EmbeddingRequest.model_validate(request))
    prompts = list(next(conversation))
    answers = [
        Completion(one.label, "", "stop", encoding=Encoding(vector=struct.pack(f"<{len(found)}f", *found)))
        for one in prompts
        for found in [vectors[one.text]]
    ]
    with pytest.raises(StopIteration) as stop:
        conversation.send(answers)
    return stop.value.value, prompts


def test_a_text_has_one_vector() -> None:
    """Its numbers are read back from JSON as the very 32-bit floats that the model gave."""
    output, (prompt,) = embedded({"text": "Tea"}, {"Tea": [1 / 3, -2e-9, 3.0]})
    values = output.model_dump(mode="json")
    assert values.keys() == {"embedding", "dimensions"}
    read = orjson.loads(orjson.dumps(values))["embedding"]
    assert struct.pack("<3f", *read) == struct.pack("<3f", 1 / 3, -2e-9, 3.0)
    assert len(orjson.dumps(values["embedding"][0])) <= 12
    assert prompt.encodable == Encodable("Tea", "vector")
    assert prompt.is_only_for_encoders


def test_several_texts_have_their_vectors_in_order() -> None:
    """A text that stands twice is asked for once."""
    vectors = {"Tea": [1.0, 0.0], "Milk": [0.0, 2.0]}
    output, prompts = embedded({"texts": ["Milk", "Tea", "Milk"]}, vectors)
    assert output.model_dump(mode="json") == {"embeddings": [[0.0, 2.0], [1.0, 0.0], [0.0, 2.0]], "dimensions": 2}
    assert [(one.label, one.text) for one in prompts] == [("text 1", "Milk"), ("text 2", "Tea")]
    single, _ = embedded({"texts": ["Tea"]}, vectors)
    assert single.model_dump(mode="json") == {"embeddings": [[1.0, 0.0]], "dimensions": 2}


def test_base64_is_the_bytes_of_the_floats() -> None:
    output, _ = embedded({"text": "Tea", "encoding": "base64"}, {"Tea": [1 / 3, 2.0]})
    assert isinstance(output.embedding, str)
    assert struct.unpack("<2f", base64.b64decode(output.embedding)) == (THIRD, 2.0)


def test_what_a_row_wants_is_asked() -> None:
    wanted = {"prefix": "query: ", "dimensions": 2, "pooling": "cls", "normalize": True, "truncate": True}
    _, (prompt,) = embedded({"text": "Tea", **wanted}, {"Tea": [1.0, 2.0]})
    assert prompt.encodable == Encodable("Tea", "vector", **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("vector", [(0.0, 0.0), (float("nan"), 1.0), (float("inf"), 1.0)])
def test_a_vector_with_which_nothing_can_be_compared_fails(vector: Sequence[float]) -> None:
    with pytest.raises(CheckFailed) as raised:
        embedded({"text": "Tea"}, {"Tea": vector})
    assert raised.value.code == "vector_unusable"


def test_an_engine_without_vectors_fails_the_row() -> None:
    conversation = KIND.compose(EmbeddingRequest(text="Tea"))
    (prompt,) = next(conversation)
    with pytest.raises(CheckFailed) as raised:
        conversation.send([Completion(prompt.label, "Tea is", "stop")])
    assert raised.value.code == "unsupported_kind"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({}, id="no text"),
        pytest.param({"text": "a", "texts": ["b"]}, id="both"),
        pytest.param({"texts": []}, id="none"),
        pytest.param({"texts": [" "]}, id="blank"),
        pytest.param({"text": "a", "dimensions": 0}, id="no dimensions"),
        pytest.param({"text": "a", "pooling": "sum"}, id="pooling"),
    ],
)
def test_requests_that_are_refused(request_: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EmbeddingRequest.model_validate(request_)
