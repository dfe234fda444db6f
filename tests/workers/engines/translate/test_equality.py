"""Shows that the translate engine in float32 writes what `generate` of transformers writes for each text alone.

Two kinds of rows may differ, and are named. *Ties*: two tokens or translations whose log probabilities are nearly equal, so that
rounding decides. *Empty translations*: where the language is a forced first token, `generate` may count the translation that ends
right after it among its beams, and CTranslate2 does so only if it is the likeliest.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from jobs.catalog import ModelCard
from jobs.generation import GenerationRequest
from tests.support.models import small_translators
from tests.workers.engines.translate.small_engines import completions, engine_of, mixed_requests
from workers.engines.families.codec import Codec
from workers.engines.families.family import TranslationInput
from workers.engines.translate.loading import load_exact

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("ctranslate2", reason="the extra `translate` is not installed")

ROWS = 24
TIE = 1e-4
"""Translations whose log probabilities per token differ by less than this count as ties."""


@dataclass
class Reference:
    """What `generate` writes for one text: its translations, best first, and their log probabilities per token.

    `may_be_empty` is whether its search found a translation that ends right after the forced token, and is not the likeliest.
    """

    translations: list[list[int]]
    scores: list[float]
    may_be_empty: bool = False

    def is_tie(self) -> bool:
        return any(abs(self.scores[0] - score) < TIE for score in self.scores[1:])


class Generate:
    """Runs `generate` on one text at a time."""

    def __init__(self, folder: Path) -> None:
        from transformers import GenerationConfig

        self.network = load_exact("small", folder, ModelCard())
        self.never = self.network.generation_config.bad_words_ids
        self.network.generation_config = GenerationConfig()

    def __call__(self, codec: Codec, source: TranslationInput, beams: int) -> Reference:
        import torch
        from transformers import GenerationConfig

        forced = len(source.forced)
        config = GenerationConfig(
            do_sample=False,
            num_beams=beams,
            num_return_sequences=beams,
            early_stopping=beams > 1,
            max_new_tokens=forced + source.request.prompt.params.max_tokens,
            min_new_tokens=(forced + source.request.prompt.params.min_tokens) or None,
            forced_bos_token_id=source.forced[0] if source.forced else None,
            decoder_start_token_id=source.start,
            eos_token_id=codec.eos,
            pad_token_id=codec.pad,
            bad_words_ids=self.never,
            return_dict_in_generate=True,
            output_scores=True,
        )
        found: Any = self.network.generate(input_ids=torch.tensor([source.tokens]), generation_config=config)
        written = [tokens[1 + forced :] for tokens in found.sequences.tolist()]
        whole = [tokens[: tokens.index(codec.eos) + 1] if codec.eos in tokens else tokens for tokens in written]
        if beams > 1:
            first = found.scores[forced][0]
            better = int((first > first[codec.eos]).sum())
            return Reference(whole, found.sequences_scores.tolist(), bool(forced) and 0 < better < beams)
        tops = [step[0].topk(2).values for step in found.scores[forced:]]
        gap = min((float(top[0] - top[1]) for top in tops), default=1.0)
        return Reference(whole, [0.0, -gap])


@pytest.fixture(scope="module", params=sorted(small_translators.MODELS))
def folder(request: pytest.FixtureRequest, folder_of: Callable[[str], Path]) -> Path:
    return folder_of(request.param)


@pytest.mark.parametrize("beams", [1, 4])
def test_a_translation_is_that_of_generate(beams: int, folder: Path, cache_dir: Path) -> None:
    generate, engine = Generate(folder), engine_of(folder, cache_dir, beams=beams)
    codec = engine._model.codec
    requests = mixed_requests(ROWS)
    done = completions(engine, requests)
    equal, ties, empty = 0, [], []
    for request in requests:
        source = codec.encode(request)
        assert isinstance(source, TranslationInput)
        reference, found = generate(codec, source, beams), done[request.request_id]
        best = reference.translations[0]
        if (found.text, found.completion_tokens) == (codec.decode(best), len(best)):
            assert found.finish_reason == ("stop" if best[-1] == codec.eos else "length")
            equal += 1
        elif reference.is_tie():
            ties.append(request.request_id)
        else:
            assert reference.may_be_empty, (request.request_id, reference)
            empty.append(request.request_id)
    assert equal >= ROWS - 2, f"equal {equal}, ties {ties}, empty translations {empty}"
    engine.close()


def test_alternatives_are_the_next_best_translations_of_generate(tmp_path: Path, cache_dir: Path) -> None:
    folder = small_translators.make("stopping", tmp_path / "stopping", seed=1)
    generate, engine = Generate(folder), engine_of(folder, cache_dir, beams=4)
    codec = engine._model.codec
    wanted = (3, 1, 2, 9)
    requests = [with_alternatives(one, wanted[n % 4]) for n, one in enumerate(mixed_requests(ROWS, max_tokens=60))]
    done = completions(engine, requests)
    equal = 0
    for n, request in enumerate(requests):
        source = codec.encode(request)
        assert isinstance(source, TranslationInput)
        best, *others = generate(codec, source, 4).translations
        texts = [codec.decode(tokens) for tokens in others if tokens[-1] == codec.eos]
        different = [text for text in dict.fromkeys(texts) if text != codec.decode(best)]
        found = done[request.request_id]
        assert len(found.alternatives) <= wanted[n % 4]
        assert found.text not in found.alternatives
        equal += list(found.alternatives) == different[: wanted[n % 4]]
    assert equal >= ROWS - 2, equal
    assert sum(len(one.alternatives) for one in done.values()) >= ROWS / 2, "most translations are whole"
    engine.close()


def with_alternatives(request: GenerationRequest, count: int) -> GenerationRequest:
    asked = request.prompt.translatable
    assert asked is not None
    return replace(request, prompt=replace(request.prompt, translatable=replace(asked, alternatives=count)))


@pytest.mark.parametrize("dtype", ["int8", "int8_float32"])
def test_int8_agrees_with_float32_for_the_most_part(dtype: str, folder: Path, cache_dir: Path) -> None:
    """The first token is the same for a third of the texts or more, though such small models have random weights."""
    exact, rounded = (engine_of(folder, cache_dir, dtype=one) for one in ("float32", dtype))
    assert exact._model.translator.compute_type == "float32"
    assert rounded._model.translator.compute_type == "int8_float32"
    requests = mixed_requests(ROWS, max_tokens=1)
    agreed = [completions(one, requests) for one in (exact, rounded)]
    assert sum(agreed[0][one.request_id].text == agreed[1][one.request_id].text for one in requests) >= ROWS / 3
    exact.close()
    rounded.close()
