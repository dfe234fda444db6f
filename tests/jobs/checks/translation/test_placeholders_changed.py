"""Placeholders: lost, changed, added and reordered ones in many formats, and percentages and prices that are not placeholders."""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from tests.support.checking import pointed_at, translated

CODE = "placeholders_changed"


@pytest.mark.parametrize(
    ("languages", "source", "target", "places"),
    [
        pytest.param("en de", "Hello {name}!", "Hallo {Name}!", ["", "{Name}"], id="brace-translated"),
        pytest.param("en ar", "Hello {name}!", "مرحبا!", [""], id="brace-lost"),
        pytest.param("en ja", "{0} of {1}", "{1}件", [""], id="number-lost"),
        pytest.param("en zh", "Hi {name}", "你好｛name｝", [""], id="full-width-braces"),
        pytest.param("en ar", "{0} files", "{٠} ملفات", ["", "{٠}"], id="arabic-digit"),
        pytest.param("en ru", "{} of {}", "{} из", [""], id="anonymous-lost"),
        pytest.param("en de", "{price:.2f} EUR", "{price:.1f} EUR", ["", "{price:.1f}"], id="format-changed"),
        pytest.param("en de", "%s has %d", "%d hat %s", ["%d"], id="printf-order"),
        pytest.param("en de", "%1$s left", "%1$d weg", ["", "%1$d"], id="printf-type"),
        pytest.param("en hi", "Hi %(user)s", "नमस्ते %(उपयोगकर्ता)s", ["", "%(उपयोगकर्ता)s"], id="python-named"),
        pytest.param("en de", "100%% of %s", "100% von %s", [""], id="escaped-percent"),
        pytest.param("en de", "Hello", "Hallo %s", ["%s"], id="printf-added"),
        pytest.param("en de", "%s wrote %s", "%1$s schrieb %1$s", ["", "%1$s", "%1$s"], id="renumbered-wrongly"),
        pytest.param("en zh", "%{x} items", "%{x}个%{x}", ["%{x}"], id="ruby-twice"),
        pytest.param(
            "en ru", "{{ user }} came", "{{ пользователь }} пришёл", ["", "{{ пользователь }}"], id="mustache"
        ),
        pytest.param("en ru", "${total} rub", "{total} руб", ["", "{total}"], id="dollar-lost"),
        pytest.param("en es", "Hi $t(key)", "Hola $t(clave)", ["", "$t(clave)"], id="i18next"),
        pytest.param("en es", "%1 of %2", "%1 de", [""], id="qt"),
        pytest.param("en el", "Open @string/app_name", "Άνοιγμα", [""], id="android"),
        pytest.param("en es", "Hi :name", "Hola :nombre", [""], id="laravel"),
        pytest.param("en fr", "Hi %name%", "Salut %nom%", [""], id="symfony"),
        pytest.param("en fr", "Hi $name", "Salut $nom", [""], id="shell"),
        pytest.param("en de", "About &brandShortName;", "Über", [""], id="entity-of-a-document"),
        pytest.param("en ko", "{% if x %}A{% endif %}", "{% if x %}가", [""], id="jinja"),
    ],
)
def test_a_changed_placeholder_is_found(languages: str, source: str, target: str, places: list[str]) -> None:
    findings = translated(CODE, source, target, languages)
    assert pointed_at(findings, target) == places
    assert all(finding.severity == "fail" for finding in findings)


@pytest.mark.parametrize(
    ("languages", "source", "target"),
    [
        pytest.param("en de", "Hello {name}, %d new.", "Hallo {name}, %d neu.", id="kept"),
        pytest.param("en ja", "{0} of {1}", "{1}件中{0}件", id="numbered-moved"),
        pytest.param("en de", "%s wrote %s on %d", "%1$s hat am %3$d %2$s geschrieben", id="renumbered"),
        pytest.param("en de", "%1$s and %2$s", "%2$s und %1$s", id="numbered-reordered"),
        pytest.param("en tr", "Get 50% off today.", "Bugün %50 indirim.", id="percent-before-the-number"),
        pytest.param("tr en", "%1 indirim.", "1% off.", id="percent-from-turkish"),
        pytest.param("eu en", "%5 eta %10", "5% and 10%", id="percent-from-basque"),
        pytest.param("en fr", "100% sure", "sûr à 100 %", id="percent-and-a-word"),
        pytest.param("en fr", "100%de", "100 % de", id="percent-before-letters"),
        pytest.param("en fr", "It costs $5.", "Cela coûte 5 $.", id="price"),
        pytest.param("en ru", "{{ name }}", "{{name}}", id="space-in-mustache"),
        pytest.param("en zh", "%dpx and %ss", "%dpx和%s秒s", id="unit-behind-printf"),
        pytest.param("en zh", "%1 files", "%1个文件", id="qt-before-an-ideograph"),
        pytest.param("en de", "%Y-%m-%d", "%d.%m.%Y", id="date-format"),
        pytest.param("en de", "Tom &amp; Eva &nbsp;", "Tom und Eva", id="entity-of-html"),
        pytest.param("en hi", "At 12:30 :)", "12:30 बजे :)", id="time-and-smiley"),
        pytest.param("en de", "No marks", "Keine: die", id="nothing"),
        pytest.param("en fr", "the {0} of 'x'", "l'{0} de 'x'", id="apostrophe-outside-icu"),
        pytest.param("en he", "Hi {name} and {name}", "שלום {name} ו{name}", id="twice"),
    ],
)
def test_what_is_kept_or_no_placeholder_passes(languages: str, source: str, target: str) -> None:
    assert translated(CODE, source, target, languages) == []


def test_a_lost_one_of_several_is_counted() -> None:
    (finding,) = translated(CODE, "{x} {x} {x}", "{x}")
    assert (finding.measured, finding.limit) == (1, 3)
    assert "(1 of 3)" in finding.message


FILES = "{n, plural, one {# file of {total}} other {# files of {total}}}"


@pytest.mark.parametrize(
    ("languages", "source", "target", "message"),
    [
        ("en de", FILES, "{n, plural, one {# Datei} other {# Dateien}}", "'total' of the source is missing"),
        ("en de", FILES, FILES.replace("n,", "m,"), "'n' of the source is missing"),
        ("en fr", FILES, "{n, plural, one {# d'{total}'} other {#}}", "an apostrophe before a brace"),
        ("en ru", "{n, plural, other {#}} {d, date}", "{n, plural, other {#}} {d, time}", "a time; in the source"),
        (
            "en fr",
            "{g, select, male {He} other {They}}",
            "{g, select, masculin {Il} other {Ils}}",
            "the keywords masculin, other; the source has male, other",
        ),
    ],
)
def test_a_changed_argument_of_an_icu_message_is_found(languages: str, source: str, target: str, message: str) -> None:
    assert any(message in finding.message for finding in translated(CODE, source, target, languages))


def test_the_forms_of_an_icu_message_may_differ_in_number() -> None:
    target = "{n, plural, one {# из {total}} few {# из {total}} many {# из {total}} other {# из {total}}}"
    assert translated(CODE, FILES, target, "en ru") == []
    assert translated(CODE, FILES, "{n, plural, other {{total}件中#件}}", "en ja") == []
