"""Shows jobs/languages/names.py: the English name of a language for a prompt."""

import subprocess
import sys

import pytest

from jobs.languages.families import VOCABULARIES, Vocabulary, codes_of
from jobs.languages.names import language_name


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("de", "German"),
        ("DE", "German"),
        ("nb", "Norwegian Bokmål"),
        ("nn", "Norwegian Nynorsk"),
        ("bn", "Bengali"),
        ("pt-BR", "Brazilian Portuguese"),
        ("pt-PT", "European Portuguese"),
        ("es-419", "Latin American Spanish"),
        ("en-GB", "British English"),
        ("fr-BE", "French (Belgium)"),
        ("zh-Hant", "Traditional Chinese"),
        ("zh-CN", "Simplified Chinese (China)"),
        ("zh-HK", "Traditional Chinese (Hong Kong)"),
        ("zh-Hant-TW", "Traditional Chinese (Taiwan)"),
        ("sr-Latn", "Serbian (Latin script)"),
        ("sr-ME", "Serbian (Latin script, Montenegro)"),
        ("pa-PK", "Punjabi (Arabic script, Pakistan)"),
        ("hi-Latn", "Hindi (Latin script)"),
        ("fa-AF", "Dari"),
        ("iw", "Hebrew"),
        ("zh-yue", "Cantonese"),
        ("ca-valencia", "Catalan (Valencian)"),
        ("en-001", "English"),
        ("en-x-us", "English"),
        ("quy", "Ayacucho Quechua"),
        ("swh", "Swahili"),
        ("tlh", "Klingon"),
        ("xx", "xx"),
        ("qaa", "qaa"),
        ("not a tag", "not a tag"),
    ],
)
def test_a_language_is_named_for_a_model(tag: str, name: str) -> None:
    assert language_name(tag) == name


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_every_language_of_a_translation_model_has_a_name(vocabulary: Vocabulary) -> None:
    tags = codes_of(vocabulary).tags.values()
    assert [tag for tag in tags if language_name(tag) == tag] == []


def test_a_common_language_loads_no_library() -> None:
    code = (
        "import sys; from jobs.languages.names import language_name; from jobs.languages.tags import same_language;"
        "language_name('de'); same_language('en', 'de'); sys.exit(bool({'langcodes', 'babel'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
