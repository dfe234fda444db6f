"""A text as a vector, or several texts as one vector each, by a model that encodes.

The numbers of a vector are 32-bit floats. As JSON numbers they have nine digits, from which each is read back exactly; in base64
they are the bytes themselves, as in OpenAI's API.
"""

import base64
import math
import struct
from collections.abc import Generator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from jobs.checks.contract import Contract
from jobs.errors import CheckFailed
from jobs.generation import Completion, Encodable, Pooling, Prompt
from jobs.writing.fields import Text
from jobs.writing.templates import Templates

BYTES_A_TOKEN: Final = 4
FLOAT_BYTES: Final = 4

Vector = tuple[float, ...] | str
"""A vector as JSON numbers, or as base64 of its 32-bit floats, little-endian."""


class EmbeddingRequest(BaseModel):
    """A text, or several."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    uses_chat_template: ClassVar[bool] = False
    takes_encoder: ClassVar[bool] = True
    needs_encoder: ClassVar[bool] = True

    text: Text | None = Field(default=None, max_length=500_000, description="The text.")
    texts: tuple[Annotated[Text, StringConstraints(max_length=500_000)], ...] | None = Field(
        default=None,
        min_length=1,
        max_length=2_048,
        description="Several texts, in place of text; the row has a vector for each.",
    )
    prefix: str | None = Field(
        default=None,
        max_length=10_000,
        description="A text to put before each text, such as `query: `, as the model's card asks for it. None: the model's own, "
        "if its files name one.",
    )
    dimensions: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="A vector keeps this many of its first numbers, and gets the length 1 again. None: all.",
    )
    encoding: Literal["float", "base64"] = Field(
        default="float", description="float for numbers; base64 for the bytes of 32-bit floats."
    )
    pooling: Pooling | None = Field(
        default=None,
        description="How the vectors of the tokens become one: mean, cls (the first), max or last. None: the model's own way.",
    )
    normalize: bool | None = Field(
        default=None, description="Whether a vector gets the length 1. None: as the model's files say."
    )
    truncate: bool = Field(
        default=False, description="Whether a text that is too long for the model is cut; else its row fails."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give text or texts, and not both")
        return self

    @property
    def all_texts(self) -> Sequence[str]:
        """The texts of which vectors are wanted."""
        return self.texts or (self.text or "",)


class Embedding(BaseModel):
    """The vector of a text, or the vectors of several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding: Vector | None = Field(
        default=None,
        exclude_if=lambda vector: vector is None,
        description="The vector of the text: a list of numbers, or base64.",
    )
    embeddings: tuple[Vector, ...] | None = Field(
        default=None,
        exclude_if=lambda vectors: vectors is None,
        description="The vectors of the texts, in their order, if the row has several.",
    )
    dimensions: int = Field(ge=1, description="How many numbers a vector has.")


class EmbeddingKind:
    """The kind `embedding`."""

    name = "embedding"
    request_type = EmbeddingRequest
    output_type = Embedding
    contract = Contract(writes=False)
    example: Mapping[str, Any] = {"text": "The soup was cold, and nobody said sorry.", "encoding": "base64"}

    def __init__(self, templates: Templates) -> None:
        del templates  # a model that encodes reads the text alone

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], Embedding]:
        """Ask for the vector of each different text, and return those of all. Raises CheckFailed for an unusable vector."""
        if not isinstance(request, EmbeddingRequest):
            raise TypeError(type(request))
        texts = list(dict.fromkeys(request.all_texts))
        answers = yield [_prompt(request, text, n) for n, text in enumerate(texts, 1)]
        found = {text: _numbers(answer) for text, answer in zip(texts, answers, strict=True)}
        vectors = tuple(_written(found[text], request.encoding) for text in request.all_texts)
        size = len(found[texts[0]]) // FLOAT_BYTES
        if request.texts is None:
            return Embedding(embedding=vectors[0], dimensions=size)
        return Embedding(embeddings=vectors, dimensions=size)

    def expected_tokens(self, request: BaseModel) -> int:
        """Return about how many tokens the model reads. It writes none."""
        texts = request.all_texts if isinstance(request, EmbeddingRequest) else ()
        return max(1, sum(len(text.encode()) for text in texts) // BYTES_A_TOKEN)


def _prompt(request: EmbeddingRequest, text: str, n: int) -> Prompt:
    asked = Encodable(
        text,
        "vector",
        prefix=request.prefix,
        pooling=request.pooling,
        normalize=request.normalize,
        dimensions=request.dimensions,
        truncate=request.truncate,
    )
    return Prompt(text=text, label="text" if request.texts is None else f"text {n}", encodable=asked)


def _numbers(answer: Completion) -> bytes:
    """Return the bytes of a vector. Raises CheckFailed if there is none, or if nothing can be compared with it."""
    vector = answer.encoding.vector if answer.encoding else b""
    if not vector:
        raise CheckFailed("unsupported_kind", "the engine gives no vectors: take a model that embeds")
    numbers = memoryview(vector).cast("f")
    if not any(numbers) or not all(map(math.isfinite, numbers)):
        raise CheckFailed("vector_unusable", "the vector is all zeros, or holds a number that is not finite")
    return vector


def _written(vector: bytes, encoding: str) -> Vector:
    if encoding == "base64":
        return base64.b64encode(vector).decode()
    return tuple(float(f"{number:.9g}") for (number,) in struct.iter_unpack("<f", vector))
