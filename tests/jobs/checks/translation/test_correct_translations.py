"""No check of the kind translation finds anything in these correct translations. Each has a trait that looks like a fault."""

# ruff: noqa: RUF001 - signs of other scripts

import time
from typing import Any

import pytest

from jobs.checks.judge import judge
from jobs.checks.registry import load_checks
from jobs.findings import Finding
from jobs.kinds.translation import TranslationKind


def found(languages: str, source: str, target: str, **request: Any) -> list[Finding]:
    """Return the findings of all checks of the kind."""
    source_language, target_language = languages.split()
    row = {"text": source, "source_language": source_language, "target_language": target_language, **request}
    contract = TranslationKind.contract
    subject = contract.subject("translation", row, {"text": target})
    return judge(subject, [load_checks()[code] for code in contract.checks])


@pytest.mark.parametrize(
    ("languages", "source", "target", "fields"),
    [
        ("en de", "Hello {name}, you have %d new messages.", "Hallo {name}, du hast %d neue Nachrichten.", {}),
        ("en tr", "Get 50% off today.", "Bugün %50 indirim.", {}),
        ("tr en", "Bugün %50 indirim.", "Get 50% off today.", {}),
        ("en fr", "Get 100% sure of it.", "Soyez sûr à 100 %.", {}),
        ("en fr", "Do you like it? Buy it now!", "Ça vous plaît ? Achetez-le maintenant !", {}),
        (
            "en de",
            "The 19th century changed 1,000.5 things on 12/25/2024.",
            "Das 19. Jahrhundert veränderte am 25.12.2024 1.000,5 Dinge.",
            {},
        ),
        ("en fr", "In the 19th century, three men had 5 horses.", "Au XIXe siècle, 3 hommes avaient cinq chevaux.", {}),
        ("en ja", "The meeting starts at 3 pm on March 5, 2024.", "会議は2024年3月5日15時に始まります。", {}),
        ("en zh", "We sold 10,000 books.", "我们卖出了1万本书。", {}),
        ("en zh", "There are three people and 12 dogs.", "有三个人和十二只狗。", {}),
        ("en ar", "You have 3 new messages. Are you ready?", "لديك ٣ رسائل جديدة. هل أنت مستعد؟", {}),
        ("en hi", "The price is 1,000 rupees.", "कीमत १,००० रुपये है।", {}),
        ("en el", "How are you?", "Πώς είσαι;", {}),
        ("en es", "How are you?", "¿Cómo estás?", {}),
        ("en th", "How are you? I am fine.", "คุณเป็นอย่างไรบ้าง ฉันสบายดี", {}),
        ("en ja", "Do you want to save?", "保存しますか。", {}),
        ("en de", "New York Times", "New York Times", {}),
        ("en de", "Online-Shop Status: OK", "Online-Shop Status: OK", {}),
        ("en de", "npm install nightpress", "npm install nightpress", {}),
        ("en ru", "Water the tomatoes in the 1990s.", "Поливайте помидоры в 90-е годы.", {}),
        (
            "en de",
            "Open https://example.com/a?b=1 or write to info@example.com.",
            "Öffnen Sie https://example.com/a?b=1 oder schreiben Sie an info@example.com.",
            {},
        ),
        ("en ja", "See https://example.com/a for more.", "詳しくはhttps://example.com/aをご覧ください。", {}),
        (
            "en de",
            'The <b>red</b> <a href="/x" title="Read more">book</a>.',
            'Das <a href="/x" title="Mehr lesen">Buch</a> ist <b>rot</b>.',
            {},
        ),
        ("en de", "Use <your name> here.", "Verwenden Sie hier <Ihren Namen>.", {}),
        (
            "en de",
            "# Title\n\nUse `npm` and [the docs](https://x.org/a) **now**.\n\n- one thing\n- two things\n",
            "# Titel\n\nNutzen Sie **jetzt** `npm` und [die Doku](https://x.org/a).\n\n- eine Sache\n- zwei Sachen\n",
            {"format": "markdown"},
        ),
        (
            "en ru",
            "{n, plural, one {# file} other {# files}} deleted",
            "{n, plural, one {# файл удалён} few {# файла удалено} many {# файлов удалено} other {# файла удалено}}",
            {},
        ),
        (
            "en ja",
            "{n, plural, one {# file} other {# files}} deleted",
            "{n, plural, other {#個のファイルを削除しました}}",
            {},
        ),
        (
            "en fr",
            "{g, select, male {He} female {She} other {They}} liked it",
            "{g, select, male {Il a} female {Elle a} other {Ils ont}} aimé l''histoire",
            {},
        ),
        ("en de", "Your invoice is ready.", "Ihre Rechnungen sind fertig.", {"glossary": {"invoice": "Rechnung"}}),
        ("en fi", "Open the store.", "Avaa kaupan ovi.", {"glossary": {"store": "kauppa"}}),
        ("en de", "Apple Inc. announced it at 5 a.m.", "Apple kündigte es um 5 Uhr an", {}),
        ("en de", "Terms and conditions apply to all orders.", "Für alle Bestellungen gelten die AGB.", {}),
        ("en zh", "The quick brown fox jumps over the lazy dog and runs away.", "敏捷的棕色狐狸跳过懒狗跑开了。", {}),
        ("zh en", "敏捷的棕色狐狸跳过懒狗跑开了。", "The quick brown fox jumps over the lazy dog and runs away.", {}),
        ("en de", "Let me know if you need help.", "Sagen Sie mir Bescheid, wenn Sie Hilfe brauchen.", {}),
        ("en es", "This means savings for you.", "Esto se traduce en ahorro para usted.", {}),
        ("en de", "“Be bold”", "„Sei mutig“", {}),
        ("en de", "Be bold, she said.", "„Sei mutig“, sagte sie.", {}),
        ("en ru", "Pay by bank transfer: quick and safe.", "Оплатите банковским переводом: быстро и надёжно.", {}),
        ("en it", "Note: the shop is closed.", "Nota: il negozio è chiuso.", {}),
        ("en es", "Translation: how it works.", "Traducción: cómo funciona.", {}),
        ("en de", "We're open 24/7 for you.", "Wir sind rund um die Uhr für Sie da.", {}),
        ("en pt", "About 1.5 million people live here.", "Cerca de 1,5 milhão de pessoas vivem aqui.", {}),
        ("en ko", "He is 25 years old and has 2 kids.", "그는 25살이고 아이가 둘 있습니다.", {}),
        ("en de", "The temperature is -5 °C, i.e. 23 °F.", "Die Temperatur beträgt −5 °C, also 23 °F.", {}),
        ("en fr", "It costs $5 or $1,200.50.", "Cela coûte 5 $ ou 1 200,50 $.", {}),
        ("en fr", "Room 5 200 people", "5e salle, 200 personnes", {}),
        ("en ar", "Call +1 555 123-4567 now!", "اتصل الآن على \u200e+1 555 123-4567!", {}),
        ("de en", "Die 1. Bundesliga hat 18 Vereine.", "The first Bundesliga has 18 clubs.", {}),
        ("en ja", "Version 3.11.2 requires 8 GB.", "バージョン3.11.2には8GBが必要です。", {}),
        ("en de", "%s wrote %s on %s", "%1$s hat am %3$s %2$s geschrieben", {}),
        (
            "en de",
            "Hi {{ user.name }}, ${total} for $t(cart.items) @string/app_name %{count} %(x)s %1$s",
            "Hallo {{user.name}}, ${total} für $t(cart.items) @string/app_name %{count} %(x)s %1$s",
            {},
        ),
        ("en hi", "Hello, {name}! You owe 5 lakh rupees.", "नमस्ते, {name}! आप पर 5,00,000 रुपये बकाया हैं।", {}),
        ("en he", "Read the book at 10:30.", "קרא את הספר ב-10:30.", {}),
        ("en pl", "Version 2 of file 3", "Wersja 2 pliku 3", {}),
        ("en de", "Save 5–10% in 2024/25.", "Sparen Sie 2024/25 5–10 %.", {}),
        ("ja en", "東京タワーは333メートルです。", "Tokyo Tower is 333 meters tall.", {}),
        ("ja en", "第3章 12月25日", "Chapter 3: December 25", {}),
        ("ja en", "\u3000こんにちは。", "Hello.", {}),
        ("zh en", "他下午3点30分到了。", "He arrived at 3:30 p.m.", {}),
        ("ru en", "Он родился 5 марта 1985 г.", "He was born on March 5, 1985.", {}),
        ("en zh", 'Hello: "Hi!"', "你好：“嗨！”", {}),
        ("en ur", "This is a book.", "یہ ایک کتاب ہے۔", {}),
        ("en bn", "This is a book.", "এটি একটি বই।", {}),
        ("en hy", "Is this a book?", "Սա գի՞րք է։", {}),
        ("en de", "Great! 🎉", "Toll! 🎉", {}),
        ("en nl", "Ten years ago we had 1,234 users.", "Tien jaar geleden hadden we 1.234 gebruikers.", {}),
        ("en nl", "10 years ago", "tien jaar geleden", {}),
        ("en sw", "I have 3 cats and 7 dogs.", "Nina paka watatu na mbwa saba.", {}),
        ("en vi", "We have 5 rooms.", "Chúng tôi có năm phòng.", {}),
        ("en de", "I'm fine...", "Mir geht's gut …", {}),
        ("en zh", "I'm fine...", "我很好……", {}),
        ("en de", "Price: ", "Preis: ", {}),
        ("en de", "<p>Hi</p>\n<!-- note -->\n<br/>", "<p>Hallo</p>\n<!-- note -->\n<br/>", {}),
        ("en de", "a < b and c > d", "a < b und c > d", {}),
        ("en de", "Click <0>here</0> <1/>.", "Klicken Sie <0>hier</0> <1/>.", {}),
        ("en es", "Dr. Smith", "Dr. Smith", {}),
        ("en fr", "Emma & Co.", "Emma & Cie", {}),
        ("en de", "Bitcoin & co.: what now", "Bitcoin & Co.: was nun", {}),
        ("en it", "Once upon a time there were 2 brothers.", "C'erano una volta due fratelli.", {}),
        ("en de", "World War II began in 1939.", "Der Zweite Weltkrieg begann 1939.", {}),
        ("en ru", "Windows 11 and iPhone 15 Pro", "Windows 11 и iPhone 15 Pro", {}),
        ("en ar", "Save 20% now on 100 items", "وفّر ٢٠٪ الآن على ١٠٠ منتج", {}),
        ("en fa", "There are 1,000 people.", "۱٬۰۰۰ نفر وجود دارند.", {}),
        ("en de", "The U.S. has 50 states", "Die USA haben 50 Bundesstaaten", {}),
        ("en es", 'He said "yes."', "Dijo «sí».", {}),
        ("en de", "Read this first :)", "Lies das zuerst :)", {}),
        ("en fr", "See :count items at 12:30", "Voir :count articles à 12:30", {}),
        ("en de", "100%% of %s", "100%% von %s", {}),
        ("en fr", "Rock 'n' roll {0}", "Rock 'n' roll {0}", {}),
        ("en fr", "The {0} of the world", "L'{0} du monde", {}),
    ],
)
def test_nothing_is_found(languages: str, source: str, target: str, fields: dict[str, Any]) -> None:
    assert found(languages, source, target, **fields) == []


HOSTILE = [
    "%",
    "{",
    "}",
    "{{",
    "%(",
    "${",
    "<",
    "<a",
    "<!--",
    "</",
    "`",
    "`a",
    "[",
    "](",
    "[a](",
    "1",
    "1,",
    "1.",
    "12/",
    "&a",
    "@",
    "a@",
    "a.b",
    "http://",
    "http://a.",
    "www.",
    "'",
    "'{",
    "{n,plural,other{a}}",
    "{a,plural,other{",
    ".",
    "?",
    "...",
    "I",
    "XIV",
    "一",
    "1万",
    "٣",
    "½",
    "#",
    "**",
    "🎉",
    "ा",
    "%1",
    "%s",
    ":a",
    "$a",
    "&amp;",
    "~~~",
    "<code>",
    "<b>",
]


@pytest.mark.parametrize(
    "sign",
    [*HOSTILE, "\n", "\u3000", "1 ", "1 000 ", "- a\n", "a b ", "Let me know if ", 'Here is the translation of "x" '],
)
def test_a_text_of_one_sign_takes_linear_time(sign: str) -> None:
    text = sign * (10_000 // len(sign))
    before = time.process_time()
    found("en de", text, f"{text}a", format="markdown", glossary={"hello": "hallo welt"}, max_length=10)
    assert time.process_time() - before < 1  # usually a tenth of this limit; a quadratic pattern takes far longer
