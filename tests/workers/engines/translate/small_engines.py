"""Builds translate engines over small random models, and the requests for them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jobs.catalog import ModelCard
from jobs.generation import Completion, GenerationRequest, Prompt, SamplingParams, Translatable
from tests.support.models.small_translators import PAIR, text_of
from workers.engines.families.family import TranslationInput
from workers.engines.protocol import Engine
from workers.engines.translate.engine import TranslateEngine
from workers.engines.translate.loading import load_engine


def engine_of(
    folder: Path, cache_dir: Path, *, slots: int = 8, dtype: Any = "float32", **options: Any
) -> TranslateEngine:
    card = ModelCard(source=str(folder), device="cpu", dtype=dtype, options=options)
    return load_engine("small", card, lambda: folder, f"revision of {folder.name}", cache_dir, slots=slots)


def request_of(
    name: str, text: str = "press save to keep your changes", *, target: str = PAIR[1], **params: Any
) -> GenerationRequest:
    given: Mapping[str, Any] = {"max_tokens": 24, "temperature": 0.0, "seed": 7, **params}
    prompt = Prompt(params=SamplingParams(**given), translatable=Translatable(text, PAIR[0], target))
    return GenerationRequest(name, prompt)


def read(engine: TranslateEngine, request: GenerationRequest) -> TranslationInput:
    """Return what the engine's model reads for a request."""
    source = engine._model.codec.encode(request)
    assert isinstance(source, TranslationInput)
    return source


def mixed_requests(count: int, **params: Any) -> list[GenerationRequest]:
    """Return requests with texts of 1 to 17 words, and limits of 5 to 40 tokens."""
    limits = (40, 5, 23, 12)
    return [
        request_of(f"r{n}", text_of(1 + (7 * n) % 17, n), **{"max_tokens": limits[n % 4], "seed": n, **params})
        for n in range(count)
    ]


def completions(engine: Engine, requests: Iterable[GenerationRequest], steps: int = 4_000) -> dict[str, Completion]:
    """Submit the requests, step until all have ended, and check that each has one completion."""
    wanted: list[str] = []
    done: list[Completion] = []
    for request in requests:
        engine.submit(request)
        wanted.append(request.request_id)
    for _ in range(steps):
        if len(done) >= len(wanted):
            break
        done += engine.step()
    assert sorted(one.request_id for one in done) == sorted(wanted)
    return {one.request_id: one for one in done}
