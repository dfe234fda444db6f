"""Words of the model around a text: announcements, quotes around the whole, remarks, offers to help."""

# ruff: noqa: RUF001 - marks of other scripts

import pytest

from jobs.findings import Finding
from tests.support.checking import findings_of, pointed_at, quoted, translated

CODE = "wrapper"


def posted(text: str, **request: object) -> list[Finding]:
    return findings_of(CODE, "social_post", {"topic": "tea", "platform": "x", **request}, {"text": text})


@pytest.mark.parametrize(
    ("languages", "source", "target", "place"),
    [
        (
            "en it",
            "The cat",
            "In Italian, the translation of 'The cat' is 'Il gatto'.",
            "In Italian, the translation of 'The cat' is",
        ),
        ("en it", "The cat", "In Italian, 'The cat' is 'Il gatto'.", "In Italian, 'The cat' is"),
        ("en it", "The cat", '"Il gatto"', '"Il gatto"'),
        ("en fr", "The cat", "« Le chat »", "« Le chat »"),
        ("en ja", "The cat", "「猫」", "「猫」"),
        (
            "en it",
            "The cat sleeps.",
            "Here is the Italian translation: Il gatto dorme.",
            "Here is the Italian translation:",
        ),
        ("en de", "The cat sleeps.", "Übersetzung: Die Katze schläft.", "Übersetzung:"),
        ("en de", "The cat sleeps.", "Hier ist die Übersetzung:\nDie Katze schläft.", "Hier ist die Übersetzung:"),
        ("en hi", "The cat sleeps.", "अनुवाद: बिल्ली सो रही है।", "अनुवाद:"),
        ("en zh", "The cat sleeps.", "以下是翻译：\n猫在睡觉。", "以下是翻译："),
        ("en zh", "The cat sleeps.", "“The cat sleeps”翻译为：“猫在睡觉。”", "翻译为：“"),
        ("en fr", "The cat", "Le chat se traduit par « chat ».", "se traduit par «"),
        ("en es", "Cat", "The Spanish translation of 'Cat' is 'Gato'", "The Spanish translation of 'Cat' is"),
        ("en ru", "Cat", "На русском языке это будет: «Кошка».", "На русском языке это будет:"),
        ("en de", "The cat sleeps.", "Sure! Die Katze schläft.", "Sure!"),
        ("en de", "The cat sleeps.", "German: Die Katze schläft.", "German:"),
        ("en de", "The cat sleeps.", "The cat sleeps. – Die Katze schläft.", "The cat sleeps."),
        ("en hi", "The cat sleeps.", "**बिल्ली सो रही है।**", "**बिल्ली सो रही है।**"),
        ("en el", "The cat sleeps.", "`Η γάτα κοιμάται.`", "`Η γάτα κοιμάται.`"),
        ("en es", "It is late.", "Es tarde.\n\nThis translation keeps the tone.", "This translation keeps the tone."),
        ("en ru", "It is late.", "Уже поздно. Этот перевод точен.", "Этот перевод точен."),
        ("en de", "It is late.", "Es ist spät. Möchten Sie weitere Sätze?", "Möchten Sie weitere Sätze?"),
        ("en de", "It is late.", "Es ist spät. Let me know if you need more!", "Let me know if you need more!"),
        ("en es", "It is late.", "Es tarde. Espero que te ayude.", "Espero que te ayude."),
        ("en fr", "It is late.", "Il est tard. N'hésitez pas à me demander.", "N'hésitez pas à me demander."),
        ("en ru", "It is late.", "Уже поздно. Надеюсь, это поможет!", "Надеюсь, это поможет!"),
        ("en zh", "It is late.", "很晚了。希望这对你有帮助！", "希望这对你有帮助！"),
        ("en ar", "It is late.", "الوقت متأخر. آمل أن يساعدك هذا.", "آمل أن يساعدك هذا."),
        ("en ja", "It is late.", "もう遅いです。\n\n注：この翻訳は丁寧語です。", "注：この翻訳は丁寧語です。"),
        ("en de", "It is late.", "Es ist spät.\n\n(Note: I translated it freely.)", "(Note: I translated it freely.)"),
    ],
)
def test_words_around_a_translation_are_found(languages: str, source: str, target: str, place: str) -> None:
    findings = translated(CODE, source, target, languages)
    assert pointed_at(findings, target) == [place]
    assert findings[0].severity == "fail"


@pytest.mark.parametrize(
    ("languages", "source", "target"),
    [
        ("en de", "“Be bold”", "„Sei mutig“"),
        ("en de", "Be bold, she said.", "„Sei mutig“, sagte sie."),
        ("en de", '"A" and "B"', "„A“ und „B“"),
        ("en de", "Let me know if you need help.", "Sagen Sie mir Bescheid, wenn Sie Hilfe brauchen."),
        ("sw de", "Niambie kama unahitaji msaada.", "Lassen Sie mich wissen, ob Sie Hilfe brauchen."),
        ("en es", "This means savings.", "Esto se traduce en ahorro."),
        ("en ru", "Pay by bank transfer: quick.", "Оплатите банковским переводом: быстро."),
        ("en it", "Note: closed.", "Nota: chiuso."),
        ("en es", "Translation: how it works.", "Traducción: cómo funciona."),
        ("en de", "In Italian, “cat” is “gatto”.", "Auf Italienisch heißt „cat“ „gatto“."),
        ("en fr", "Here is the menu: soup.", "Voici le menu : de la soupe."),
        ("en de", "Sure! It works.", "Klar! Es funktioniert."),
        ("en de", "Naturally, it works.", "Natürlich! Es funktioniert."),
        ("en de", "Learn German: it's fun.", "Deutsch: Lernen macht Spaß."),
        ("en de", "I like “The Great Wave”.", "Ich mag „The Great Wave“."),
        ("en de", "The Great Wave", "„The Great Wave“, ein Bild"),
        ("en de", "**Go** now", "**Geh jetzt**"),
        ("en ru", "The transfer is quick.", "Этот перевод быстрый."),
        ("en de", "Sure: it works.", "Sicher: Es funktioniert."),
        ("en ja", "The cat sleeps.", "猫は寝ています。"),
        ("en hi", "I hope you sleep well.", "आशा है कि आप अच्छे से सोए।"),
        ("en ko", "Cats don't sleep.", "고양이는 자지 않는다."),
    ],
)
def test_words_of_the_source_pass(languages: str, source: str, target: str) -> None:
    assert translated(CODE, source, target, languages) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Here's a post for X: Tea is ready!", "Here's a post for X:"),
        ("Sure! Here is your post:\n\nTea is ready!", "Sure! Here is your post:"),
        ("Tweet: Tea is ready!", "Tweet:"),
        ('"Tea is ready! Come in."', '"Tea is ready! Come in."'),
        ("Tea is ready!\n\nLet me know if you'd like any changes.", "Let me know if you'd like any changes."),
        ("Tee ist fertig! Lass mich wissen, ob ich etwas ändern soll.", "Lass mich wissen, ob ich etwas ändern soll."),
        ("Чай готов! Надеюсь, это поможет.", "Надеюсь, это поможет."),
        ("茶准备好了！如果您需要修改，请告诉我。", "如果您需要修改，请告诉我。"),
    ],
)
def test_words_around_a_post_are_found(text: str, place: str) -> None:
    (finding,) = posted(text)
    assert quoted(finding, text) == place


@pytest.mark.parametrize(
    "text",
    [
        "Tea is ready! Let me know in the comments which one you like.",
        "Feel free to reach out, we're open all day.",
        "“Tea is ready,” she said. “Come in.”",
        "Here is the tea of the day: mint.",
        "Sag mir Bescheid, welchen Tee du magst!",
        "お茶が入りました。",
    ],
)
def test_words_of_a_post_pass(text: str) -> None:
    assert posted(text) == []


def test_a_post_may_have_the_words_of_its_request() -> None:
    text = "Let me know if you'd like any changes."
    assert posted(text)
    assert not posted(text, call_to_action="Let me know if you'd like any changes.")
    quotation = "To be or not to be"
    assert posted(f'"{quotation}"')
    assert not posted(f'"{quotation}"', topic=f'The quotation "{quotation}"')
