"""Doubled words are found in six languages, except where a language or a name doubles words."""

import pytest

from tests.support.checking import findings_of, quoted


@pytest.mark.parametrize(
    ("language", "text", "doubled"),
    [
        ("en", "Water the the tomatoes in the morning.", "the the"),
        ("en", "Water The the tomatoes in the morning.", "The the"),
        ("de", "Wir gießen und und ernten.", "und und"),
        ("fr", "Il faut arroser les les tomates.", "les les"),
        ("ru", "Мы поливаем и и собираем.", "и и"),
        ("el", "Ποτίζουμε και και μαζεύουμε.", "και και"),
        ("en", "It's it's late.", "It's it's"),
    ],
)
def test_a_word_that_stands_twice_is_found(language: str, text: str, doubled: str) -> None:
    (finding,) = findings_of("doubled_word", "translation", {"target_language": language}, {"text": text})
    assert quoted(finding, {"text": text}) == doubled


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "She had had enough."),
        ("en", "Duran Duran play in Baden Baden."),
        ("fr", "Nous nous levons."),
        ("de", "Die Leute, die die Tomaten gießen."),
        ("id", "Anak-anak dan buku buku itu."),
        ("en", "One tomato. Tomato soup."),
        ("en", "10 10 10"),
        ("en", "the\nthe"),
        ("en", "bathe the cat"),
        ("en", "well-known known facts"),
    ],
)
def test_what_may_stand_twice_passes(language: str, text: str) -> None:
    assert not findings_of("doubled_word", "translation", {"target_language": language}, {"text": text})


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Use `the the` in code."),
        ("en", "```\nthe the\n```"),
        ("en", "the, the"),
        ("en", "@anna anna"),
        ("en", "know well-known known"),
        ("ko", "아주 아주 좋아요."),
        ("ru", "Это очень очень хорошо."),
        ("el", "Πήγαινε σιγά σιγά."),
        ("he", "לאט לאט."),
        ("tr", "Yavaş yavaş gel."),
        ("ar", "رويدا رويدا"),
        (None, "Chop chop!"),
        ("en", "I know that that is so."),
        ("en", "He gave her her book."),
        ("en", "Our ferry goes to Pago Pago."),
        ("en", "FERRIES TO PAGO PAGO AND BORA BORA"),
        ("en", "Fried mahi mahi, please please come."),
        ("fr", "C'est très très bon, oui oui."),
        ("fr", "C'est bien bien mieux."),
        ("de", "Das ist ganz ganz weit weit weg, ja ja."),
        ("es", "Es mucho mucho mejor, sí sí."),
        ("it", "Così così, tanto tanto tempo fa."),
        ("pt", "É muito muito bom."),
        ("nl", "Als er er een is, is het heel heel goed."),
        ("sv", "Är det det du vill?"),
        ("da", "Er det det, du vil?"),
        ("ru", "Это было давно давно."),
        ("ms", "Kanak kanak itu bermain."),
        ("fil", "Araw araw kaming nagdidilig."),
        ("tl", "Gabi gabi kaming nagdidilig."),
        ("en", "Bus 7 7 and 10.5 10.5"),
    ],
)
def test_other_doubles_pass(language: str | None, text: str) -> None:
    assert not findings_of("doubled_word", "translation", {"target_language": language}, {"text": text})


def test_a_double_of_the_request_passes() -> None:
    row = {"target_language": "en", "text": "Wir hören Talk talk."}
    assert not findings_of("doubled_word", "translation", row, {"text": "We hear Talk talk."})


@pytest.mark.parametrize(
    ("language", "text", "doubled"),
    [
        ("ar", "نسقي في في الصباح", "في في"),
        ("pl", "Podlewamy i i zbieramy.", "i i"),
        ("en", "**Water the the** tomatoes.", "the the"),
        ("en", "the\u00a0the", "the\u00a0the"),
        ("de", "Straße STRASSE", "Straße STRASSE"),
        ("de", "Das ist er er gewesen.", "er er"),
        ("fr", "Il est est parti.", "est est"),
        ("de", "Gib ihr her her.", "her her"),
        ("en", "You can can them.", "can can"),
        ("it", "È la la casa.", "la la"),
        ("en", "THE THE FERRY", "THE THE"),
    ],
)
def test_more_doubles_are_found(language: str, text: str, doubled: str) -> None:
    (finding,) = findings_of("doubled_word", "translation", {"target_language": language}, {"text": text})
    assert quoted(finding, {"text": text}) == doubled


@pytest.mark.parametrize("sign", ["a", "a ", "the the ", " ", "字", "a-"])
def test_a_text_of_one_sign_takes_little_time(sign: str) -> None:
    findings_of("doubled_word", "translation", {"target_language": "en"}, {"text": (sign * 100_000)[:100_000]})
