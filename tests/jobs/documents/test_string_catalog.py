"""Shows string catalogues of Xcode: all languages in one file, forms by number and device, and substitutions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents.catalogues.string_catalog import StringCatalogFormat
from jobs.documents.document import State
from jobs.documents.source import Options
from jobs.errors import DocumentError
from tests.support.documents.reading import read, translated

FORM = StringCatalogFormat()
CATALOG = """{
  "sourceLanguage" : "en",
  "strings" : {
    "" : {

    },
    "%lld files" : {
      "comment" : "A count",
      "localizations" : {
        "en" : {
          "variations" : {
            "plural" : {
              "one" : {
                "stringUnit" : {
                  "state" : "translated",
                  "value" : "%lld file"
                }
              },
              "other" : {
                "stringUnit" : {
                  "state" : "translated",
                  "value" : "%lld files"
                }
              }
            }
          }
        }
      }
    },
    "Brand" : {
      "shouldTranslate" : false
    },
    "Gone" : {
      "extractionState" : "stale"
    },
    "Hello" : {

    },
    "Open %@" : {
      "localizations" : {
        "de" : {
          "stringUnit" : {
            "state" : "needs_review",
            "value" : "Öffne %@"
          }
        },
        "fr" : {
          "stringUnit" : {
            "state" : "translated",
            "value" : "Ouvrir %@"
          }
        }
      }
    }
  },
  "version" : "1.0"
}"""
OPTIONS = Options(source_language="en", target_languages=("fr", "de", "pl"))


def test_the_strings_of_a_catalogue() -> None:
    found = [(one.id, one.language, one.text, one.state, one.target) for one in read(FORM, CATALOG, OPTIONS)]
    assert [one for one in found if one[1] == "de"] == [
        ("%lld files[plural one]", "de", "%lld file", State.NEW, ""),
        ("%lld files[plural other]", "de", "%lld files", State.NEW, ""),
        ("Hello", "de", "Hello", State.NEW, ""),
        ("Open %@", "de", "Open %@", State.FUZZY, "Öffne %@"),
    ]
    assert [one[0] for one in found if one[1] == "pl"][:4] == [
        f"%lld files[plural {form}]" for form in ("one", "few", "many", "other")
    ]
    assert ("Open %@", "fr", "Open %@", State.DONE, "Ouvrir %@") in found
    assert read(FORM, CATALOG, OPTIONS)[0].context == "A count; for the numbers 0, 1"


def test_only_what_changed_is_written() -> None:
    assert translated(FORM, CATALOG, {}, OPTIONS).decode() == CATALOG
    new = {("Open %@", "de"): "%@ öffnen", ("Open %@", "pl"): "Otwórz %@", ("Hello", "fr"): "Bonjour / salut"}
    made = translated(FORM, CATALOG, new, OPTIONS).decode()
    unit = '{\n%s"stringUnit" : {\n%s  "state" : "translated",\n%s  "value" : "%s"\n%s}\n%s}'
    pad, outer = " " * 10, " " * 8
    hello = unit % (pad, pad, pad, "Bonjour / salut", pad, outer)
    french = f'{{\n      "localizations" : {{\n        "fr" : {hello}\n      }}\n    }}'
    polish = f'"pl" : {unit % (pad, pad, pad, "Otwórz %@", pad, outer)}'
    assert made == (
        CATALOG.replace('"needs_review"', '"translated"')
        .replace("Öffne %@", "%@ öffnen")
        .replace('"Hello" : {\n\n    }', f'"Hello" : {french}')
        .replace('Ouvrir %@"\n          }\n        }', f'Ouvrir %@"\n          }}\n        }},\n        {polish}')
    )
    found = {one.key: one for one in read(FORM, made, OPTIONS)}
    assert {key: (found[key].target, found[key].state) for key in new} == {
        key: (text, State.DONE) for key, text in new.items()
    }


def test_the_forms_of_a_language() -> None:
    new = {("%lld files[plural few]", "pl"): "%lld pliki", ("%lld files[plural one]", "pl"): "%lld plik"}
    made = translated(FORM, CATALOG, new, OPTIONS).decode()
    forms = json.loads(made)["strings"]["%lld files"]["localizations"]["pl"]["variations"]["plural"]
    assert {name: tuple(one["stringUnit"].values()) for name, one in forms.items()} == {
        "few": ("translated", "%lld pliki"),
        "many": ("new", "%lld files"),
        "one": ("translated", "%lld plik"),
        "other": ("new", "%lld files"),
    }
    again = translated(FORM, made, {("%lld files[plural many]", "pl"): "%lld plików"}, OPTIONS).decode()
    assert again == made.replace(
        '"new",\n                  "value" : "%lld files"',
        '"translated",\n                  "value" : "%lld plików"',
        1,
    )


VARIED = {
    "sourceLanguage": "en",
    "strings": {
        "tap": {
            "localizations": {
                "en": {
                    "variations": {
                        "device": {
                            "mac": {"stringUnit": {"state": "translated", "value": "Click"}},
                            "other": {"variations": {"plural": {"other": {"stringUnit": {"value": "Tap %lld times"}}}}},
                        }
                    }
                },
                "fr": {"stringUnit": {"state": "translated", "value": "Touchez"}},
            }
        },
        "n": {
            "localizations": {
                "en": {
                    "stringUnit": {"state": "translated", "value": "%#@files@ in %2$#@folders@ left"},
                    "substitutions": {
                        "files": {
                            "argNum": 1,
                            "formatSpecifier": "lld",
                            "variations": {
                                "plural": {
                                    "one": {"stringUnit": {"value": "%arg file"}},
                                    "other": {"stringUnit": {"value": "%arg files"}},
                                }
                            },
                        }
                    },
                }
            }
        },
    },
}


def test_devices_and_substitutions() -> None:
    data = json.dumps(VARIED)
    found = read(FORM, data, Options(target_languages=("ja",)))
    assert [(one.id, [mark.text for mark in one.marks]) for one in found] == [
        ("tap[device mac]", []),
        ("tap[device other, plural other]", ["%lld"]),
        ("n", ["%#@files@", "%2$#@folders@"]),
        ("n[files, plural other]", ["%arg"]),
    ]
    new = {"n": "%2$#@folders@に%#@files@", "n[files, plural other]": "%arg個", "tap[device mac]": "クリック"}
    made = translated(FORM, data, {(key, "ja"): text for key, text in new.items()}, Options(target_languages=("ja",)))
    japanese = json.loads(made)["strings"]["n"]["localizations"]["ja"]
    assert japanese == {
        "stringUnit": {"state": "translated", "value": "%2$#@folders@に%#@files@"},
        "substitutions": {
            "files": {
                "argNum": 1,
                "formatSpecifier": "lld",
                "variations": {"plural": {"other": {"stringUnit": {"state": "translated", "value": "%arg個"}}}},
            }
        },
    }
    assert b"\n" not in made
    assert {one.state for one in read(FORM, made, Options(target_languages=("ja",)))} == {State.DONE, State.NEW}


def test_one_text_for_all_forms_is_done() -> None:
    options = Options(target_languages=("fr",))
    data = json.dumps(VARIED)
    done = [one for one in read(FORM, data, options) if one.id.startswith("tap")]
    assert {(one.state, one.target) for one in done} == {(State.DONE, "Touchez")}
    made = translated(FORM, data, {done[0].key: "Cliquez"}, options)
    french = json.loads(made)["strings"]["tap"]["localizations"]["fr"]
    assert french["variations"]["device"]["mac"]["stringUnit"]["value"] == "Cliquez"
    assert "stringUnit" not in french


def test_a_language_is_found_however_it_is_written() -> None:
    data = CATALOG.replace('"fr" :', '"fr_CA" :')
    options = Options(target_languages=("fr-CA",))
    made = translated(FORM, data, {"Open %@": "Ouvre %@"}, options).decode()
    assert made == data.replace("Ouvrir", "Ouvre")
    assert not read(FORM, CATALOG, Options(target_languages=("en",)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{", "line 1: it is not valid JSON: the end is missing"),
        ("[]", "it has no sourceLanguage or no strings: give a string catalogue of Xcode"),
        ('{"sourceLanguage": "en"}', "it has no sourceLanguage or no strings"),
        ('{"sourceLanguage": "en", "strings": {"a":' + '{"b":' * 300, "nested more than 200 deep"),
    ],
)
def test_bad_catalogues_are_refused_with_a_sentence(data: str, said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read(FORM, data, OPTIONS)
    assert said in str(refused.value)
    odd = '{"sourceLanguage": "en", "strings": {"a": 1, "b": {"localizations": 2}, "c": {"localizations": {"fr": []}}}}'
    assert [one.id for one in read(FORM, odd, Options(target_languages=("fr",)))] == ["b", "c"]


WORDS = st.text(st.sampled_from('aé"\\/\n😀 {%'), min_size=1, max_size=5).filter(lambda one: bool(one.strip()))


@given(
    keys=st.lists(WORDS.map(lambda one: f"x{one}"), unique=True, max_size=4),
    text=WORDS,
    indent=st.sampled_from([None, 2, 4]),
)
def test_what_is_written_reads_back(keys: list[str], text: str, indent: int | None) -> None:
    made: dict[str, object] = {
        key: {"localizations": {"es": {"stringUnit": {"state": "new", "value": ""}}}} for key in keys
    }
    data = json.dumps({"sourceLanguage": "en", "strings": made, "version": "1.0"}, indent=indent, ensure_ascii=False)
    options = Options(target_languages=("de", "es", "fr"))
    new = {one.key: f"{text}{''.join(mark.text for mark in one.marks)}" for one in read(FORM, data, options)}
    after = translated(FORM, data, new, options)
    assert {one.key: one.target for one in read(FORM, after, options)} == new
    for key in keys:
        assert list(json.loads(after)["strings"][key]["localizations"]) == ["de", "es", "fr"]
