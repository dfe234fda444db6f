"""Gaps of templates that nobody filled in, in many languages, and brackets that are no gaps."""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from tests.support.checking import findings_with, places_of

ARTICLE = {"topic": "Tomatoes", "language": "en"}


def gaps(text: str, **request: object) -> list[str]:
    return places_of("gap", text, "article", ARTICLE | request)


@pytest.mark.parametrize(
    "gap",
    [
        "[Your Name]",
        "[your favourite city]",
        "[Insert link]",
        "[insert a catchy phrase about shoes here]",
        "[Company Name]",
        "[COMPANY]",
        "[product_name]",
        "[Date]",
        "[Name of the recipient]",
        "[Add your email address]",
        "[50-60 characters]",
        "(with 10 characters max.)",
        "(max. 160 characters)",
        "(insert link here)",
        "{{name}}",
        "{{ first_name }}",
        "{name}",
        "${name}",
        "%NAME%",
        "<product name>",
        "<your name>",
        "<insert link>",
        "<<Name>>",
        "lorem ipsum dolor sit amet",
        "Lorem ipsum",
        "TODO",
        "XXX",
        "TBD",
        "FIXME",
        "Your Company Name Here",
        "[Ihr Name]",
        "[Ihren Firmennamen hier einfügen]",
        "[Name der Firma]",
        "[Link einfügen]",
        "(höchstens 60 Zeichen)",
        "[Votre nom]",
        "[Nom de l'entreprise]",
        "[Insérez le lien ici]",
        "[Tu nombre]",
        "[Nombre de la empresa]",
        "[Insertar enlace]",
        "[Il tuo nome]",
        "[Nome azienda]",
        "[Inserisci qui il link]",
        "[Seu nome]",
        "[Inserir link]",
        "[Uw naam]",
        "[Bedrijfsnaam]",
        "[Twoje imię]",
        "[Nazwa firmy]",
        "[Ваше имя]",
        "[Название компании]",
        "[вставьте ссылку]",
        "[Ditt namn]",
        "[Adınız]",
        "[όνομα εταιρείας]",
        "[あなたの名前]",
        "【会社名】",
        "（ここにリンクを挿入）",
        "〇〇",
        "[您的姓名]",
        "【插入链接】",
        "[이름]",
        "[اسمك]",
        "[أدخل الرابط هنا]",
        "[आपका नाम]",
        "[कंपनी का नाम]",
    ],
)
def test_a_gap_is_found_at_its_place(gap: str) -> None:
    assert gaps(f"Well: {gap} – so.") == [gap]


@pytest.mark.parametrize(
    "text",
    [
        "See [the name](https://example.com/a).",
        "See [your name](https://example.com/a 'Title') and ![link](a.png).",
        "See [name][1].\n\n[1]: https://example.com/a",
        "[Link]: https://example.com/a",
        "- [ ] Water\n- [x] Mulch",
        "A fact.[1] Another.[^2] And [12, 13].",
        "[^2]: The name of the book.",
        "As shown [Smith 2020; Weber et al., 2021].",
        "He said [sic] that it [the company] grew [...] and […] fell.",
        "[The company] grew.",
        "[He] left. [laughs] [edit] [citation needed] [PDF] [USA]",
        "The interval [0, 1] and the set {1, 2} and {x}.",
        "\\frac{name}{date} and x_{max} and ^{text}",
        "Use `[Your Name]` as a gap.",
        "```\nDear {{name}}, <your name>\n```",
        "<b>Bold</b> <time>10:00</time> <title>Tomatoes</title> <br/>",
        "<https://example.com/name> and <anna@example.com>",
        "a < b and c > d; if name < 3 and date > 5",
        "vector<name> and List<String>",
        "(the price of a link)",
        "(your name will stand here)",
        "(insert the key first)",
        "A story (1500 words) and a bible (783,137 words).",
        "Super Bowl XXX was played in 1996.",
        "Size XXXL and xxx.",
        "todo lists help. Todo list.",
        "二〇〇八年",
        "【入力方法】を見る（日付）",
        "[Enter] [Ctrl] [Home]",
        "50 % and 100%A",
        '{"name": "Anna", "city": "Kassel"}',
        "CSS: .a {color: red}",
        "#[derive(Debug)] and arr[name]",
        "[ihr] Kommt",
        "Ihr Name ist Anna.",
        "Lorem Street, Ipsum Road",
        "",
    ],
)
def test_what_only_looks_like_a_gap_passes(text: str) -> None:
    assert gaps(text) == []


@pytest.mark.parametrize("language", ["es", "pt-BR"])
def test_everything_is_no_gap_where_it_is_a_word(language: str) -> None:
    assert gaps("TODO EN UNO", language=language) == []
    assert gaps("TODO [nome]", language=language) == ["[nome]"]


def test_what_stands_in_the_request_passes() -> None:
    text = "Dear [Your Name], this is lorem ipsum."
    assert places_of("gap", text, request={"prompt": "Write to [Your Name] about Lorem Ipsum."}) == []
    assert places_of("gap", text, request={"prompt": "Write."}) == ["[Your Name]", "lorem ipsum"]


def test_lengths_pass_where_the_row_speaks_of_lengths() -> None:
    assert gaps("A title (max. 60 characters) helps.", topic="SEO titles") == []
    assert gaps("A title (max. 60 characters) helps.", topic="Titles of 60 characters") == []


@pytest.mark.parametrize(("source", "found"), [("Dear [Your Name], hi.", False), ("Dear Anna, hi.", True)])
def test_a_translation_may_have_the_gaps_of_its_source(source: str, found: bool) -> None:
    row = {"source_language": "en", "target_language": "de", "text": source}
    assert bool(findings_with("gap", "translation", row, "Hallo [Ihr Name], hi.")) is found


@pytest.mark.parametrize(
    "sign", ["[", "<", "{", "{{", "(", "[a", "【", "%A", "[your ", "<your ", "[a]", "XXX ", "〇", "your "]
)
def test_a_text_of_one_sign_takes_little_time(sign: str) -> None:
    gaps((sign * 100_000)[:100_000])
