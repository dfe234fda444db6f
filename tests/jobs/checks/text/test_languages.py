"""The language check is right for almost all of 600 texts in twelve languages, and finds a foreign sentence among others."""

# ruff: noqa: RUF001 - signs of other scripts

from pathlib import Path

import pytest

from jobs.checks.check import Piece, Subject
from jobs.checks.judge import judge
from jobs.checks.text.languages import CHECKS
from tests.support.checking import findings_of, quoted

SENTENCES = [
    line.split("\t")
    for line in Path(__file__).with_name("sentences.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
LANGUAGES = sorted({language for language, _ in SENTENCES})
ENGLISH = "Let me know if you need any further changes to this text."
GERMAN = "Gießen Sie die Tomaten am besten sehr früh am Morgen. Die Blätter trocknen dann bis zum Mittag."


def found(language: str, text: str, **limits: object) -> list[str]:
    output = {"text": text}
    return [
        quoted(one, output) for one in findings_of("wrong_language", "translation", request(language), output, **limits)
    ]


def is_wrong(language: str, text: str) -> bool:
    piece = Piece("text", text, "plain", language)
    return bool(judge(Subject("chat", {}, {"text": text}, [piece], language), CHECKS))


def request(language: str) -> dict[str, str]:
    return {"target_language": language, "source_language": "cy", "text": "Helo"}


def test_the_check_is_right_for_almost_all_of_600_texts() -> None:
    assert len(SENTENCES) == 600
    assert len(LANGUAGES) == 12
    false_alarms = [text for language, text in SENTENCES if is_wrong(language, text)]
    others = [
        (text, LANGUAGES[(LANGUAGES.index(language) + 1 + n % 11) % 12]) for n, (language, text) in enumerate(SENTENCES)
    ]
    missed = [text for text, other in others if not is_wrong(other, text)]
    assert len(false_alarms) <= 6, false_alarms  # 1 %
    assert len(false_alarms) + len(missed) <= 18, missed  # 98.5 % of 1,200


@pytest.mark.parametrize(
    ("language", "text", "foreign"),
    [
        ("de", f"{GERMAN} {ENGLISH}", ENGLISH),
        ("de", f"{GERMAN}\n\n{ENGLISH} {ENGLISH}", f"{ENGLISH} {ENGLISH}"),
        ("de", f"{ENGLISH} {GERMAN}", ENGLISH),
        ("de", f"{GERMAN} {ENGLISH} {GERMAN}", ENGLISH),
        ("ru", f"Поливайте помидоры утром. Листья высохнут к полудню. {ENGLISH}", ENGLISH),
        ("ja", f"トマトは朝に水をやります。葉は昼までに乾きます。 {ENGLISH}", ENGLISH),
        ("ar", f"اسق الطماطم في الصباح الباكر. تجف الأوراق قبل الظهر.\n{ENGLISH}", ENGLISH),
        ("el", f"Ποτίστε τις ντομάτες νωρίς το πρωί. {ENGLISH}", ENGLISH),
        ("hi", f"टमाटर को सुबह जल्दी पानी देना चाहिए। {ENGLISH}", ENGLISH),
        ("en", f"Water the tomatoes early in the morning. {GERMAN}", GERMAN),
        ("fr", f"Arrosez les tomates tôt le matin, avant la chaleur. {GERMAN}", GERMAN),
    ],
)
def test_sentences_in_another_language_are_found_at_their_place(language: str, text: str, foreign: str) -> None:
    assert found(language, text) == [foreign]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", ENGLISH),
        ("de-AT", ENGLISH),
        ("zh-Hans", "請在早上給番茄澆水，這樣葉子在中午之前就會乾，對它們來說是好事。"),
        ("zh-CN", "請在早上給番茄澆水，這樣葉子在中午之前就會乾，對它們來說是好事。"),
        ("zh-TW", "请在早上给番茄浇水，这样叶子在中午之前就会干，对它们来说是好事。"),
        ("sr-Latn", "Залијте парадајз рано ујутру, пре него што постане вруће."),
        ("sr-Cyrl", "Zalijte paradajz rano ujutru, pre nego što postane vruće."),
        ("ja", "请在早上给番茄浇水，这样叶子在中午之前就会干，对它们来说是好事。"),
        ("zh", "トマトは朝に水をやると、葉が昼までに乾くので良いでしょう。"),
        ("ko", "トマトは朝に水をやると、葉が昼までに乾くので良いでしょう。"),
        ("uk", "Поливайте помидоры рано утром, чтобы листья высохли к полудню."),
        ("en", "Il faut arroser les tomates."),
        ("de", "Сохранить"),
        ("ru", "Αποθήκευση"),
        ("en", "保存变更吗"),
        ("ja", "Сохранить всё"),
        ("ar", "שמור הכול"),
        ("fr", "저장하기"),
    ],
)
def test_a_text_in_another_language_or_script_is_found(language: str, text: str) -> None:
    assert found(language, text) == [text]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", GERMAN),
        ("pt-BR", "Regue os tomates de manhã cedo, antes que fique quente demais."),
        ("pt-PT", "Regue os tomates de manhã cedo, antes que fique quente demais."),
        ("zh", "請在早上給番茄澆水，這樣葉子在中午之前就會乾，對它們來說是好事。"),
        ("zh-TW", "請在早上給番茄澆水，這樣葉子在中午之前就會乾，對它們來說是好事。"),
        ("zh-CN", "请在早上给番茄浇水，这样叶子在中午之前就会干，对它们来说是好事。"),
        ("nb", "Vand tomaterne tidligt om morgenen, før det bliver for varmt i haven."),
        ("da", "Vann tomatene tidlig om morgenen, før det blir for varmt i hagen."),
        ("nn", "Vatn tomatane tidleg om morgonen, før det blir for varmt i hagen."),
        ("hr", "Залијте парадајз рано ујутру, пре него што постане вруће."),
        ("sr-Latn", "Zalijte paradajz rano ujutru, pre nego što postane vruće."),
        ("gl", "Rega os tomates pola mañá cedo, antes de que vaia demasiada calor."),
        ("id", "Siram tomato pada awal pagi sebelum cuaca menjadi terlalu panas."),
        ("ms", "Siramlah tomat pada pagi hari sebelum cuaca menjadi terlalu panas."),
        ("de", "OK"),
        ("de", "Das Wort «Сохранить» steht auf der Taste."),
        ("sr", "Сачувај измене"),
        ("ru", "Wi-Fi"),
        ("ja", "iPhone"),
        ("ko", "漢字文化圈"),
        ("de", "日本"),
        ("en", "π ≈ 3.14, α, β, γ, δ"),
        ("de", "Pizza Margherita, Spaghetti alla Carbonara e Tiramisù. Das alles gibt es bei uns jeden Tag."),
        ("en", "Maria Rossi, Giovanni Bianchi, Luca Ferrari, Anna Esposito and Marco Romano"),
        ("de", 'Er sagte: "I have a dream that one day this nation will rise up." Das war im Jahr 1963.'),
        (
            "de",
            'Motto: "it is a far better thing that we do than we have ever done with all of our friends"',
        ),
        ("fr", "Elle a dit « I have a dream that one day this nation will rise up » devant la foule entière."),
        ("ja", "彼は「I have a dream that one day this nation will rise up」と言いました。"),
        ("ru", "Запустите команду `pip install the package that you want to use here` в терминале."),
        (
            "de",
            "```\nthis is the code that you want to run in the terminal now\n```\nDas ist der Befehl für das Terminal.",
        ),
        ("ja", "iPhone 17 Pro MaxとGoogle Pixelを比べました。"),
        ("de", "12 345 678 90 12 34 56 78 90"),
        ("en", '{"name": "Der Titel ist das, was man zuerst liest", "text": "Und dann kommt der Rest davon"}'),
        ("tlh", ENGLISH),
        ("ru", "https://example.com/this-is-the-page-that-you-want-to-read-now-and-then"),
        ("de", "Unser Slogan lautet: Just do it! Kommen Sie heute noch in unser Geschäft in Kassel."),
    ],
)
def test_a_text_in_the_language_asked_for_passes(language: str, text: str) -> None:
    assert found(language, text) == []


def test_a_paragraph_in_another_language_is_found_deep_in_a_long_text() -> None:
    """Sentences are judged one by one, so the length of the rest does not hide a paragraph."""
    long = "\n\n".join([GERMAN] * 60)
    assert found("de", f"{long}\n\n{ENGLISH} {ENGLISH}\n\n{long}") == [f"{ENGLISH} {ENGLISH}"]
    assert found("en", "\n\n".join([ENGLISH] * 60 + [GERMAN] + [ENGLISH] * 60)) == [GERMAN]


@pytest.mark.parametrize(
    ("language", "text", "foreign"),
    [
        ("en", "The rest of the text, which is in English. Ze moeten de planten met water en met zon verzorgen.", "nl"),
        (
            "es",
            "El tomate es muy bueno para la ensalada. Os tomates não são muito bons com sal e com uma pimenta.",
            "pt",
        ),
        ("de", "Das ist nicht der Weg. Vi skal ikke gå den vej, for der er ikke mere vand i søen.", "da"),
    ],
)
def test_function_words_that_languages_share_do_not_hide_a_sentence(language: str, text: str, foreign: str) -> None:
    output = {"text": text}
    row = request(language)
    assert [one.measured for one in findings_of("wrong_language", "translation", row, output)] == [foreign]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "PLEASE TURN OFF ALL OF THE LIGHTS BEFORE YOU LEAVE THE BUILDING"),
        ("de", "BITTE DIE TÜR SCHLIESSEN, WENN SIE GEHEN"),
    ],
)
def test_capitals_are_read_as_small_letters(language: str, text: str) -> None:
    assert found(language, text) == []
    assert found("ja", text) == [text]


def test_what_the_request_holds_may_be_in_another_language() -> None:
    row = {
        "topic": "Unser Laden",
        "outline": ["Say it with flowers and with all of your heart today"],
        "language": "de",
    }
    body = f"## {row['outline'][0]}\n\n{GERMAN}"
    output = {"title": "Blumen", "body_markdown": body, "meta_description": "Blumen aus Kassel."}
    assert not findings_of("wrong_language", "article", row, output)
    assert findings_of("wrong_language", "article", row | {"outline": None}, output)


@pytest.mark.parametrize(("words", "wrong"), [(9, True), (10, True), (11, False)])
def test_a_text_of_the_fewest_words_is_judged_whatever_the_score(words: int, wrong: bool) -> None:
    text = "So eine Liste mit zehn sehr kurzen Wörtern für dich"
    assert bool(found("en", text, min_words=words, min_score=1.1)) is wrong


@pytest.mark.parametrize(("score", "wrong"), [(0.5, True), (1.1, False)])
def test_a_short_text_is_judged_from_the_score_on(score: float, wrong: bool) -> None:
    assert bool(found("en", "Il faut arroser les tomates.", min_score=score)) is wrong


@pytest.mark.parametrize("sign", ["a", " ", "字", "か", "\n", "A ", "😀", "\u200d", '"', "{"])
def test_a_text_of_one_sign_is_judged_in_time(sign: str) -> None:
    found("de", (sign * 100_000)[:100_000])
