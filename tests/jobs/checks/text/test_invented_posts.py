"""Posts that are made from a text, good and bad, in seven languages: which of their facts does the text not hold?"""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from tests.support.checking import places_of

NURSERY = {
    "en": (
        "Greenleaf Nursery of Kassel sold 1,250 plants in 2025, up 12% on 2024. A tomato plant costs "
        "$4.50. Anna Weber has led the shop since 2019. Find us at https://greenleaf.example/shop, 14 "
        "Mill Street, or follow @greenleafks. Open 9 am to 6 pm."
    ),
    "de": (
        "Die Gärtnerei Grünblatt aus Kassel verkaufte 2025 1.250 Pflanzen, 12 % mehr als 2024. Eine "
        "Tomatenpflanze kostet 4,50 €. Anna Weber leitet den Laden seit 2019. Mühlenstraße 14, 34117 "
        "Kassel, https://gruenblatt.example, @gruenblatt. Geöffnet von 9 bis 18 Uhr."
    ),
    "fr": (
        "La pépinière Vertefeuille de Lyon a vendu 1 250 plants en 2025, soit 12 % de plus qu'en 2024. "
        "Un plant de tomate coûte 4,50 €. Anne Martin dirige la boutique depuis 2019. 14 rue du Moulin, "
        "69002 Lyon, https://vertefeuille.example. Ouvert de 9 h à 18 h."
    ),
    "es": (
        "El vivero Hojaverde de Sevilla vendió 1.250 plantas en 2025, un 12 % más que en 2024. Una "
        "tomatera cuesta 4,50 euros. Ana Ruiz dirige la tienda desde 2019. Calle Molino 14, 41001 "
        "Sevilla. Abierto de 9 a 18 horas."
    ),
    "ru": (
        "Питомник «Зелёный лист» из Казани продал в 2025 году 1250 растений, на 12 % больше, чем в 2024."
        " Рассада томата стоит 150 руб. Магазином руководит Анна Вебер с 2019 года. Улица Мельничная, "
        "14. Открыто с 9 до 18."
    ),
    "ja": (
        "カッセルの園芸店グリーンリーフは2025年に1,250株を販売し、2024年より12％増えました。トマトの苗は450円です。店長は2019年から田中花子さんです。営業時間は9時から18時まで"
        "です。"
    ),
    "hi": (
        "कासेल की ग्रीनलीफ़ नर्सरी ने 2025 में 1,250 पौधे बेचे, 2024 से 12% ज़्यादा। टमाटर का पौधा ₹450 "
        "का है। अन्ना वेबर 2019 से दुकान चलाती हैं।"
    ),
}
"""Language -> a text."""

LIBRARY = {
    "en": (
        "The library lent 1.2 million books. It opens at 18.30, and on Fridays until 6 pm. Twelve "
        "children read fifty books each in Italy. Contact @citylib.example or notacme.com."
    ),
    "de": ("Die Bibliothek verlieh 1,2 Mio. Bücher. Sie öffnet um 18.30 Uhr. Zwölf Kinder lasen je fünfzig Bücher."),
    "fr": (
        "La bibliothèque a prêté 1,2 million de livres. Ouverture à 18 h 30. Douze enfants ont lu "
        "cinquante livres en Italie."
    ),
    "es": ("La biblioteca prestó 1,2 millones de libros. Abre a las 18.30. Doce niños leyeron cincuenta libros."),
    "ru": ("Библиотека выдала 1,2 млн книг. Открытие в 18.30. Двенадцать детей прочли по пятьдесят книг."),
    "ja": ("図書館は120万冊を貸し出しました。開館は18時30分です。"),
}

POSTS = [
    (NURSERY["en"], "Big news from Greenleaf! We sold 1,250 plants last year, up 12%. Thank you, Kassel!", []),
    (
        NURSERY["en"],
        "Tomato plants for just $4.50? Yes, at Greenleaf Nursery, 14 Mill Street. Anna and her team can't wait to see you!",
        [],
    ),
    (NURSERY["en"], "Over 1,200 plants found a home in 2025.", ["1,200"]),
    (NURSERY["en"], "Twelve percent more plants than last year - that's what Anna Weber's team achieved!", []),
    (NURSERY["en"], "Greenleaf sold 2,500 plants, and Peter Miller is proud.", ["2,500", "Peter", "Miller"]),
    (
        NURSERY["en"],
        "Only $3.99 at greenleaf-shop.com! Follow @greenleaf",
        ["$3.99", "greenleaf-shop.com", "@greenleaf"],
    ),
    (NURSERY["en"], "Visit us at 22 Mill Street in Berlin.", ["22", "Berlin"]),
    (NURSERY["en"], "We're open 9am-6pm. Come by! In 2025 we sold over a thousand plants.", []),
    (NURSERY["en"], "Meet Anna Weber, who has been running Greenleaf for 6 years.", []),
    (NURSERY["en"], "Did you know? Greenleaf sold 1.25K plants in 2025!", []),
    (NURSERY["en"], "Call us on +1 555 123 4567 today", ["+1 555 123 4567"]),
    (NURSERY["en"], "Write to hello@greenleaf.example", ["hello@greenleaf.example"]),
    (NURSERY["de"], "Grünblatt hat 2025 1250 Pflanzen verkauft – 12 Prozent mehr! Danke, Kassel!", []),
    (NURSERY["de"], "Tomatenpflanzen für 4,50 Euro bei Grünblatt in der Mühlenstraße 14.", []),
    (NURSERY["de"], "Nur 3,99 € bis zum 24. Dezember!", ["3,99 €", "24"]),
    (NURSERY["de"], "Geöffnet von 8 bis 20 Uhr. Besuchen Sie uns in der Hauptstraße 22!", ["20", "22"]),
    (NURSERY["de"], "Mehr als 1.300 Pflanzen in einem Jahr", ["1.300"]),
    (NURSERY["fr"], "Vertefeuille a vendu 1250 plants en 2025, +12 % ! Merci Lyon !", []),
    (
        NURSERY["fr"],
        "Un plant à 4,50 euros chez Vertefeuille, au 14 rue du Moulin. L'équipe d'Anne Martin vous attend.",
        [],
    ),
    (
        NURSERY["fr"],
        "Rendez-vous chez Vertefeuille à Marseille, avec Paul Durand : 30 % de remise !",
        ["Marseille", "Paul", "Durand", "30"],
    ),
    (NURSERY["fr"], "Ouvert de 9h à 18h. Venez voir Anne !", []),
    (NURSERY["es"], "¡Hojaverde vendió 1250 plantas en 2025! Un 12% más. Gracias, Sevilla.", []),
    (NURSERY["es"], "Ven a conocer a Carmen López en Hojaverde: tomateras a 3,50 €.", ["Carmen", "López", "3,50 €"]),
    (NURSERY["es"], "Ana Ruiz y su equipo te esperan en la calle Molino, 14, de 9 a 18 h.", []),
    (NURSERY["ru"], "«Зелёный лист» продал 1 250 растений в 2025 году — на 12% больше! Спасибо, Казань!", []),
    (NURSERY["ru"], "Рассада всего за 99 рублей! Спросите Ивана Петрова.", ["99 рублей", "Ивана", "Петрова"]),
    (NURSERY["ru"], "Анна Вебер ждёт вас на улице Мельничной, 14, с 9 до 18!", []),
    (NURSERY["ja"], "グリーンリーフでは2025年に1250株を販売しました。トマトの苗は450円です！", []),
    (NURSERY["ja"], "今ならトマトの苗が300円！15％オフです。", ["300円", "15"]),
    (NURSERY["ja"], "昨年は１，２５０株を販売しました。", []),
    (NURSERY["hi"], "ग्रीनलीफ़ ने 2025 में 1250 पौधे बेचे। टमाटर का पौधा सिर्फ़ ₹450!", []),
    (NURSERY["hi"], "अब सिर्फ़ ₹299 में! 20% की छूट।", ["₹299", "20"]),
    (NURSERY["hi"], "हमने १२५० पौधे बेचे।", []),
    (LIBRARY["en"], "1,200,000 books lent! Opens 18:30, Fridays till 18:00. 12 Italian kids read 50 books.", []),
    (LIBRARY["en"], "1.3 million books lent!", ["1.3"]),
    (LIBRARY["en"], "See acme.com", ["acme.com"]),
    (LIBRARY["en"], "Follow @citylib", ["@citylib"]),
    (LIBRARY["en"], "Meet Peter Miller!", []),
    (LIBRARY["de"], "1.200.000 Bücher verliehen! Ab 18:30 Uhr. 12 Kinder, 50 Bücher.", []),
    (LIBRARY["de"], "1,3 Mio. Bücher", ["1,3"]),
    (LIBRARY["fr"], "1 200 000 livres prêtés ! Dès 18h30. 12 enfants, 50 livres.", []),
    (LIBRARY["fr"], "Demandez Paul Durand !", ["Paul", "Durand"]),
    (LIBRARY["es"], "1.200.000 libros. A las 18:30. 12 niños, 50 libros.", []),
    (LIBRARY["es"], "Hablamos con Pedro García.", ["Pedro", "García"]),
    (LIBRARY["ru"], "1 200 000 книг! В 18:30. 12 детей, 50 книг.", []),
    (LIBRARY["ja"], "1,200,000冊を貸し出しました。18:30開館。", []),
    (LIBRARY["ja"], "130万冊を貸し出し！", ["130"]),
]
"""A text, a post that is made from it, and what the text does not hold."""


@pytest.mark.parametrize(("source", "post", "facts"), POSTS)
def test_what_a_post_adds_to_its_text_is_found_and_nothing_else(source: str, post: str, facts: list[str]) -> None:
    for request in ({"source_text": source, "platform": "linkedin"}, {"source_text": source, "platform": "x"}):
        assert sorted(places_of("invented", post, "social_post", request)) == sorted(facts)


def test_the_posts_are_many() -> None:
    assert len(POSTS) >= 40
    assert sum(bool(facts) for _, _, facts in POSTS) >= 15
    assert sum(not facts for _, _, facts in POSTS) >= 20


@pytest.mark.parametrize("given", ["@greenleafks", "my@greenleaf", "@greenleaf.example"])
def test_a_part_of_a_handle_is_another_handle(given: str) -> None:
    row = {"source_text": f"Follow {given} now.", "platform": "x"}
    assert places_of("invented", "Follow @greenleaf now.", "social_post", row) == ["@greenleaf"]


@pytest.mark.parametrize("given", ["notacme.com", "acme.com.example", "my-acme.com", "shop.acme.com"])
def test_a_part_of_a_host_is_another_host(given: str) -> None:
    row = {"source_text": f"See {given} now.", "platform": "x"}
    assert places_of("invented", "See acme.com now.", "social_post", row) == ["acme.com"]
    assert places_of("invented", f"See {given} now.", "social_post", row) == []


@pytest.mark.parametrize(
    ("source", "post", "facts"),
    [
        ("They sold 3k cakes.", "They sold 3,000 cakes.", []),
        ("They sold 3k cakes.", "They sold 30,000 cakes.", ["30,000"]),
        ("Sie verkauften 2,5 Mrd. Stück.", "Sie verkauften 2.500.000.000 Stück.", []),
        ("売上は3億円でした。", "売上は300,000,000円でした。", []),
        ("売上は3億円でした。", "売上は400,000,000円でした。", ["400,000,000円"]),
        ("यह 2 करोड़ लोगों तक पहुँचा।", "यह 20000000 लोगों तक पहुँचा।", []),
        ("Open until 6:45 pm.", "Open until 18:45.", []),
        ("Open until 18:45.", "Open until 6:45 pm.", []),
        ("Open until 6:45 pm.", "Open until 19:45.", ["19"]),
        ("Seit zwölf Jahren.", "Seit 12 Jahren.", []),
        ("Seit vielen Jahren.", "Seit 12 Jahren.", ["12"]),
        ("A thread of 2 posts.", "It is (11/12) here.", ["11", "12"]),
    ],
)
def test_other_forms_of_a_number_of_the_text_pass(source: str, post: str, facts: list[str]) -> None:
    assert places_of("invented", post, "social_post", {"source_text": source, "platform": "x"}) == facts


def test_the_number_of_a_post_of_a_thread_is_no_fact() -> None:
    row = {"source_text": "Bread is ready.", "platform": "x", "thread": 12, "thread_numbers": True}
    assert places_of("invented", "Bread is ready. (11/12)", "social_post", row) == []
    assert places_of("invented", "Bread is ready. (12/12)\n\nCome!", "social_post", row) == []
