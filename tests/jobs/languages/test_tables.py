"""Shows the tables of jobs/languages: 332 tags reach their codes, or have none, in each family, and the tables are those of the
tokenizers.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
from langcodes import Language

from jobs.languages.codes import Codes
from jobs.languages.defaults import DEFAULTS
from jobs.languages.families import VOCABULARIES, Vocabulary, codes_of, codes_of_model
from jobs.languages.tables import M2M100, MADLAD, MBART, MBART50, NLLB, WMT21

TAGS: Final = [line.split() for line in Path(__file__).with_name("tags.txt").read_text().splitlines()[1:]]


@pytest.mark.parametrize(("place", "vocabulary"), [(1, "nllb"), (2, "m2m100"), (3, "mbart50"), (4, "madlad")])
def test_every_tag_reaches_its_code_or_has_none(place: int, vocabulary: Vocabulary) -> None:
    codes = codes_of(vocabulary)
    assert {row[0]: codes.find(row[0]) or "-" for row in TAGS} == {row[0]: row[place] for row in TAGS}


def test_the_list_has_every_tag_once() -> None:
    assert len({row[0] for row in TAGS}) == len(TAGS) > 300


@pytest.mark.parametrize(("small", "large"), [("mbart", "mbart50"), ("wmt21", "m2m100")])
def test_a_part_of_a_vocabulary_knows_its_tags_as_the_whole_does(small: Vocabulary, large: Vocabulary) -> None:
    for tag, *_ in TAGS:
        wanted = codes_of(large).find(tag)
        assert codes_of(small).find(tag) == (wanted if wanted in codes_of(small) else None), tag


@pytest.mark.parametrize(
    ("module", "name", "table"),
    [
        ("nllb.tokenization_nllb", None, NLLB),
        ("m2m_100.tokenization_m2m_100", "m2m100", M2M100),
        ("m2m_100.tokenization_m2m_100", "wmt21", WMT21),
        ("mbart.tokenization_mbart", None, MBART),
        ("mbart50.tokenization_mbart50", None, MBART50),
    ],
)
def test_a_table_is_that_of_the_tokenizer(module: str, name: str | None, table: tuple[str, ...]) -> None:
    pytest.importorskip("transformers", reason="the tables are compared with the tokenizers of transformers")
    known: Any = import_module(f"transformers.models.{module}").FAIRSEQ_LANGUAGE_CODES
    assert table == tuple(known if name is None else known[name])


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_a_code_has_a_registered_tag_of_its_own(vocabulary: Vocabulary) -> None:
    tags = codes_of(vocabulary).tags
    assert [tag for tag in tags.values() if not Language.get(tag).is_valid()] == []
    assert len(set(tags.values())) == len(tags)


def test_a_default_is_of_registered_languages_and_has_a_reason() -> None:
    for one in DEFAULTS:
        assert Language.get(one.tag).is_valid(), one
        assert Language.get(one.code).is_valid(), one
        assert one.reason.endswith((".", ".)")), one
    assert len({one.tag for one in DEFAULTS}) == len(DEFAULTS)


OPUS: Final = """
por pob fra fr_BE cmn cmn_Hans cmn_Hant yue_Hant srp_Cyrl srp_Latn nob nno aze_Latn uzb_Cyrl jpn_Hani ara arz tgl ell
"""


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("pt", "por"),
        ("pt-PT", "por"),
        ("pt-BR", "pob"),
        ("fr", "fra"),
        ("fr-BE", "fr_BE"),
        ("fr-CA", "fra"),
        ("zh", "cmn_Hans"),
        ("zh-TW", "cmn_Hant"),
        ("yue", "yue_Hant"),
        ("sr", "srp_Cyrl"),
        ("sr-Latn", "srp_Latn"),
        ("sr-ME", "srp_Latn"),
        ("no", "nob"),
        ("nn", "nno"),
        ("az", "aze_Latn"),
        ("uz", "uzb_Cyrl"),  # a tag without a script means the only one there is
        ("uz-Latn", None),
        ("ja", "jpn_Hani"),
        ("ar-EG", "ara"),
        ("arz", "arz"),
        ("fil", "tgl"),
        ("de", None),
    ],
)
def test_a_model_of_marian_has_the_codes_of_its_own_vocabulary(tag: str, code: str | None) -> None:
    assert codes_of_model("x", "marian", OPUS.split()).find(tag) == code


def test_tokens_that_name_no_language_are_left_out() -> None:
    others = ["Latn", "Hant", "CA", "translate", "zxx_xx_dtynoise", "en_xx_simple", "back_translated", ""]
    codes = codes_of_model("madlad", "t5", [*MADLAD, *others])
    assert list(codes) == list(MADLAD)


def test_codes_of_the_card_go_before_all_others() -> None:
    codes = codes_of_model("x", "nllb", ["eng_Latn", "deu_Latn", "lat_Latn"], {"gsw": "deu_Latn", "EN-gb": "lat_Latn"})
    assert [codes.find(tag) for tag in ("gsw", "en-GB", "en", "bar")] == ["deu_Latn", "lat_Latn", "eng_Latn", None]


def test_codes_are_a_collection() -> None:
    codes = Codes("x", ["fr", "de_DE"], {"de_DE": "de"})
    assert (list(codes), len(codes), "fr" in codes, "de" in codes) == (["fr", "de_DE"], 2, True, False)
