"""Shows jobs/languages/models.py: what the name of a model tells of its languages."""

import subprocess
import sys

import pytest

from jobs.catalog import Family, ModelCard
from jobs.languages.models import languages_of, languages_of_card


def refused(name: str, source: str, target: str, family: Family | None = None) -> dict[str, str]:
    """The fields that are refused, and the message of each."""
    found = languages_of(name, family)
    assert found is not None
    return {field: str(error) for field, error in found.refused(source, target)}


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("Helsinki-NLP/opus-mt-en-de", "en", "de"),
        ("Helsinki-NLP/opus-mt-en-de", "en-GB", "de-AT"),
        ("/models/opus-mt-en-de/", "en", "de"),
        ("Xenova/opus-mt-fr-en", "fr-CA", "en"),
        ("someone/opus-mt-en-de-finetuned-bank", "en", "de"),
        ("Helsinki-NLP/opus-mt-tc-big-en-pt", "en", "pt-BR"),
        ("Helsinki-NLP/opus-mt-tc-base-uk-hu", "uk", "hu"),
        ("Helsinki-NLP/opus-mt_tiny_eng-spa", "en", "es-MX"),
        ("Helsinki-NLP/opus-mt-en-zh", "en", "zh-TW"),
        ("Helsinki-NLP/opus-mt-en-zh", "en", "yue"),
        ("Helsinki-NLP/opus-mt-en-jap", "en", "ja"),
        ("Helsinki-NLP/opus-mt-en-ar", "en", "arz"),
        ("Helsinki-NLP/opus-mt-tc-big-sh-en", "hr", "en"),
        ("Helsinki-NLP/opus-mt-tc-big-sh-en", "sr-Cyrl", "en"),
        ("Helsinki-NLP/opus-mt-no-de", "nn", "de"),
        ("Helsinki-NLP/opus-mt-en-ROMANCE", "en", "it"),
        ("Helsinki-NLP/opus-mt-mul-en", "ta", "en"),
        ("Helsinki-NLP/opus-mt-tc-bible-big-deu_eng_fra_por_spa-mul", "fr", "ja"),
        ("facebook/nllb-200-distilled-600M", "kas-Deva", "ckb"),
        ("facebook/mbart-large-50-many-to-many-mmt", "fr", "hi"),
        ("facebook/mbart-large-50-one-to-many-mmt", "en", "hi"),
        ("facebook/mbart-large-50-many-to-one-mmt", "hi", "en"),
        ("facebook/mbart-large-en-ro", "en", "ro"),
        ("facebook/m2m100_418M", "fr", "br"),
        ("facebook/wmt21-dense-24-wide-en-x", "en", "ha"),
        ("google/madlad400-3b-mt", "en", "fr-CA"),
        ("google-t5/t5-small", "en", "ro"),
        ("google/flan-t5-base", "de", "en"),
    ],
)
def test_a_model_takes_its_languages(name: str, source: str, target: str) -> None:
    assert refused(name, source, target) == {}


@pytest.mark.parametrize(
    ("name", "source", "target", "field", "message"),
    [
        ("Helsinki-NLP/opus-mt-en-de", "fr", "de", "source_language", "cannot read fr, only en: take one that it has"),
        ("Helsinki-NLP/opus-mt-en-de", "en", "fr", "target_language", "cannot write fr, only de: take one that it has"),
        ("Helsinki-NLP/opus-mt-de-ZH", "en", "zh", "source_language", "cannot read en, only de"),
        ("Helsinki-NLP/opus-mt-en-ROMANCE", "de", "it", "source_language", "cannot read de, only en"),
        ("Helsinki-NLP/opus-mt-mul-en", "ta", "de", "target_language", "cannot write de, only en"),
        (
            "Helsinki-NLP/opus-mt-tc-bible-big-deu_eng_fra_por_spa-mul",
            "it",
            "ja",
            "source_language",
            "cannot read it, only de, en, fr, pt, es",
        ),
        (
            "facebook/nllb-200-3.3B",
            "en",
            "sr-Latn",
            "target_language",
            "the nearest that it has: sr-Cyrl, bs, hr: take",
        ),
        (
            "facebook/nllb-200-3.3B",
            "en",
            "xx",
            "target_language",
            "cannot write xx (which is no registered language): ",
        ),
        ("facebook/mbart-large-50-one-to-many-mmt", "fr", "hi", "source_language", "cannot read fr, only en"),
        ("facebook/mbart-large-50-many-to-one-mmt", "fr", "hi", "target_language", "cannot write hi, only en"),
        ("facebook/wmt21-dense-24-wide-x-en", "en", "ha", "target_language", "cannot write ha, only en"),
        ("facebook/m2m100_1.2B", "en", "zh-TW", "target_language", "the nearest that it has: zh-Hans: take"),
        ("google/madlad400-10b-mt", "en", "xx", "target_language", "cannot write xx"),
        ("t5-base", "de", "fr", "source_language", "cannot read de, only en"),
        ("t5-base", "en", "es", "target_language", "cannot write es, only de, fr, ro"),
        ("google/flan-t5-small", "en", "ja", "target_language", "cannot write ja, only en, de, fr, ro, fi, es"),
    ],
)
def test_a_model_refuses_other_languages(name: str, source: str, target: str, field: str, message: str) -> None:
    found = refused(name, source, target)
    assert list(found) == [field]
    assert found[field].startswith(f"{name} cannot ")
    assert message in found[field]


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", None),
        ("google/madlad400-8b-lm", None),  # it writes texts
        ("/models/mine", None),
        ("/models/mine", "marian"),
        ("someone/t5-small-english-japanese", None),
        ("someone/t5-small-english-japanese", "t5"),
        ("google/mt5-small", "t5"),
        ("google/madlad400-3b-mt", "nllb"),
    ],
)
def test_of_some_models_the_vocabulary_alone_tells(name: str, family: Family | None) -> None:
    assert languages_of(name, family) is None


def test_the_family_of_the_card_tells_what_the_name_does_not() -> None:
    assert refused("/models/mine", "en", "sr-Latn", "nllb").keys() == {"target_language"}
    assert refused("/models/mine", "en", "sr-Latn", "m2m100").keys() == {"target_language"}


def test_a_model_that_writes_texts_takes_every_language() -> None:
    assert languages_of_card(ModelCard(engine="causal", source="someone/nllb-chat")) is None
    assert languages_of_card(ModelCard(engine="stub", family="nllb")) is not None


def test_a_language_that_the_card_gives_a_code_is_taken() -> None:
    card = ModelCard(engine="stub", family="nllb", options={"languages": {"gsw": "deu_Latn"}})
    found = languages_of_card(card)
    assert found is not None
    assert [field for field, _ in found.refused("en", "gsw")] == []
    assert [field for field, _ in found.refused("en", "sr-Latn")] == ["target_language"]


def test_of_a_model_that_writes_texts_no_library_is_asked() -> None:
    """Intake asks for every row, also of batches without translations."""
    code = (
        "import sys; from jobs.languages.models import languages_of; languages_of('HuggingFaceTB/SmolLM2-135M-Instruct');"
        "sys.exit('langcodes' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
