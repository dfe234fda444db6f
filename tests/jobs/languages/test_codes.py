"""Shows jobs/languages/codes.py and families.py: which code stands for a tag in each family, and what is nearest if none does."""

import pytest

from jobs.errors import LanguageUnsupported
from jobs.languages.codes import Codes
from jobs.languages.families import VOCABULARIES, Vocabulary, code_of, codes_of


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_the_tag_of_a_code_leads_to_the_code(vocabulary: Vocabulary) -> None:
    codes = codes_of(vocabulary)
    assert {code: codes.find(tag) for code, tag in codes.tags.items()} == {code: code for code in codes}


@pytest.mark.parametrize(
    ("tag", "nearest"),
    [
        ("sr-Latn", ("sr-Cyrl", "bs", "hr")),
        ("sr-ME", ("sr-Cyrl", "bs", "hr")),  # by CLDR, Serbian in Montenegro is written in Latin script
        ("uz-Cyrl", ("uz-Latn",)),
        ("pa-PK", ("pa-Guru",)),
        ("gsw", ("de",)),
        ("xx", ()),
    ],
)
def test_a_language_that_a_family_lacks_is_refused_with_the_nearest(tag: str, nearest: tuple[str, ...]) -> None:
    with pytest.raises(LanguageUnsupported, match=rf"^nllb has no {tag}\b") as refused:
        code_of("nllb", tag)
    assert refused.value.nearest[: len(nearest)] == nearest
    assert len(refused.value.nearest) <= 3


def test_an_unregistered_language_is_called_so() -> None:
    with pytest.raises(LanguageUnsupported, match="no xx \\(which is no registered language\\): take"):
        code_of("nllb", "xx")


def test_a_code_with_a_region_is_taken_for_this_region_alone() -> None:
    codes = Codes("x", ["fr", "fr_CA", "tly_IR", "zh_TW", "zh_CN"])
    assert [codes.find(tag) for tag in ("fr", "fr-CA", "fr-BE", "tly", "zh", "zh-HK", "zh-SG")] == [
        "fr", "fr_CA", "fr", "tly_IR", "zh_CN", "zh_TW", "zh_CN",
    ]  # fmt: skip
