"""Finds the gaps of a template that nobody filled in: `[Your Name]`, `{{name}}`, `(max. 60 characters)`, lorem ipsum, TODO.

Links, tasks, footnotes and citations in brackets are not gaps. Neither is text that stands in the request, and a translation may
have as many gaps as its source.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

import regex

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.data import is_data
from jobs.checks.quoting import shortened
from jobs.findings import Severity
from jobs.writing.words.words import primary

_BRACKETS: Final = regex.compile(
    r"(?<![\]\\!\p{Latin}\p{Cyrillic}\p{Greek}\p{N}_])\[(?P<square>[^\[\]\n]{2,80}+)\](?![(\[])"
    r"(?!:[ \t]*+[<#/.\w]\S{0,200}?[/.:#])"
    r"|(?<![\w<])<(?P<angle>[^<>\n=/@:]{3,60}+)>(?!>)|<<(?P<double>[^<>\n]{2,60}+)>>"
    r"|[\u3010\uff3b\u3014](?P<wide>[^\u3010\u3011\uff3b\uff3d\n]{2,60}+)[\u3011\uff3d\u3015]"
    r"|[(\uff08](?P<round>[^()\uff08\uff09\n]{4,80}+)[)\uff09]"
    r"|\{\{\s?(?P<curly>[^{}\n]{1,60}+)\}\}|(?<![\\\w}^_$#{%])\{(?P<brace>[a-zA-Z_][\w .]{1,40}+)\}(?!\})"
    r"|\$\{(?P<shell>[A-Za-z_][\w.]{1,40}+)\}|(?<![\w%])%(?P<percent>[A-Z][A-Z_]{2,30}+)%(?!\w)"
)
_SIGNS: Final = ("[", "<", "{", "(", "%", "\u3010", "\uff3b", "\u3014", "\uff08")
_PARTS: Final = regex.compile(r"[\p{L}\p{M}\p{N}-]++")
_UNITS: Final = (
    r"characters?|chars?|words?|letters?|sentences?|Zeichen|W[öo]rter|Worte|S\u00e4tze|caract\u00e8res|mots|phrases|caracteres|palabras|"
    r"frases|caratteri|parole|frasi|palavras|tekens|woorden|zinnen|znak\u00f3w|s\u0142\u00f3w|символов|знаков|слов|символів|слів|tecken|tegn|ord|"
    r"znaků|slov|karakter|kelime|s\u00f6zc\u00fck|χαρακτήρες|λέξεις|文字|字|語|글자|자|단어|字符|حرف|حرفا|كلمة|अक्षर|शब्द"
)
_COUNT: Final = regex.compile(
    rf"[^\d]{{0,40}}\d{{1,5}}(?:\s?[-\u2013\u2014~]\s?\d{{1,5}})?\s?(?:{_UNITS})(?!\p{{L}}).{{0,20}}", regex.I
)
_MOST: Final = regex.compile(
    r"max|min|limit|up to|at most|at least|no more|exactly|with|höchstens|mindestens|bis zu|jusqu|au plus|máx|mínimo|hasta|"
    r"como m|mass|fino a|até|hoogstens|maks|najwyżej|макс|не более|до |högst|højst|nejvý|en fazla|μέχρι|以内|以內|以下|最多|"
    r"程度|이내|최대|أقصى|अधिक|\d\s?[-\u2013]\s?\d",
    regex.I,
)
"""Matches a word that tells a limit from a plain length: it is in `(max. 60 characters)`, and not in `(1500 words)`."""

_UNIT: Final = regex.compile(rf"(?<!\p{{L}})(?:{_UNITS}|SEO|meta)(?!\p{{L}})", regex.I)
_LATE: Final = regex.compile(r"(?<![\w-])(?:TODO|TBD|FIXME|XXX+|TK TK)(?![\w-])")
_LATE_ANY_CASE: Final = regex.compile(
    r"lorem ipsum(?:,? dolor sit amet)?|dolor sit amet|consectetur adipiscing"
    r"|(?<!\p{L})(?:your|insert) (?:(?:company|brand|product|business|full|first) )?"
    r"(?:name|link|text|title|logo|image|url) here(?!\p{L})"
    r"|(?<![\u4e00-\u9fff\u3007])\u3007\u3007+(?![\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5e74])|\u25cb\u25cb+|\u25b3\u25b3+",
    regex.I,
)
_LATE_WORDS: Final = ("TODO", "TBD", "FIXME", "XXX", "TK TK")
_LATE_SIGNS: Final = ("lorem", "dolor", "consectetur", " here", "\u3007", "\u25cb", "\u25b3")
"""A text without any of these signs has no gap that `_LATE_ANY_CASE` finds. They are found faster than that pattern."""

_NUMERAL: Final = regex.compile(
    r"(?:bowl|olympiad|chapter|kapitel|chapitre|cap\u00edtulo|capitolo|century|act|book|volume|vol\.|part|teil|psalm|article|no\.|size)\s\Z",
    regex.I,
)
_EVERYTHING: Final = frozenset({"es", "pt", "gl", "ast"})
"""Languages in which TODO is an ordinary word, which means everything."""

_TAG_NAMES: Final = (
    "a abbr address article aside audio b blockquote body br button canvas caption center cite code col dd del details div dl dt "
    "em embed fieldset figure font footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li "
    "link main map mark meta nav object ol option p picture pre q s samp script section select small source span strike strong "
    "style sub summary sup svg table tbody td template textarea tfoot th thead time title tr u ul var video wbr"
)
_TAGS: Final = frozenset(_TAG_NAMES.split())


_TEMPLATE: Final = regex.compile(
    r"template|placeholder|fill (?:in|out)|blanks?(?!\p{L})|adapt|sample|boilerplate|prompt(?!ly)|form(?!\p{L})|vorlage|muster|"
    r"platzhalter|formular|ausfüll|modèle|gabarit|formulaire|plantilla|modello|modulo|modelo|formulário|sjabloon|szablon|wzór|"
    r"шаблон|образец|бланк|зразок|mall(?!\p{L})|šablon|vzor|şablon|πρότυπο|υπόδειγμα|テンプレート|雛形|ひな形|模板|模版|范本|範本|"
    r"템플릿|양식|قالب|نموذج|प्रारूप|नमूना|टेम्पलेट",
    regex.IGNORECASE,
)
"""Matches a word with which a prompt asks for a text that has gaps."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    del limits
    asked = subject.asked.casefold()
    for piece in subject.pieces:
        gaps = [
            span for span in _gaps(piece.uncoded, piece.language) if piece.text[slice(*span)].casefold() not in asked
        ]
        if subject.source_language and gaps and len(_spans(subject.source or "")) >= len(gaps):
            continue
        for start, end in gaps:
            gap = piece.text[start:end]
            if _COUNT.fullmatch(gap[1:-1]) and _UNIT.search(asked):
                continue  # the row speaks of lengths
            severity = _in_conversation(piece.text, gap, asked) if subject.holds_prompt else None
            yield Broken(f"{shortened(gap)!r} is left to fill in", gap, None, piece.place(start, end), severity)


def _in_conversation(text: str, gap: str, asked: str) -> Severity:
    """Return the severity of a gap in an answer to a prompt, which may have asked for a template, for code, or for notes."""
    in_brackets = gap[0] in "[(\u3010\uff3b\u3014\uff08"
    return Severity.REVIEW if in_brackets and not is_data(text) and not _TEMPLATE.search(asked) else Severity.NOTE


def _spans(text: str) -> list[tuple[int, int]]:
    return list(_gaps(text, None))


def _gaps(text: str, language: str | None) -> Iterator[tuple[int, int]]:
    if any(sign in text for sign in _SIGNS):
        for found in _BRACKETS.finditer(text):
            if _is_gap(str(found.lastgroup), found[found.lastgroup or 0]):
                yield found.span()
    folded = text.lower()
    for found in _LATE_ANY_CASE.finditer(text) if any(sign in folded for sign in _LATE_SIGNS) else ():
        if text[found.start() - 1 : found.start()] not in ("[", "(", "<", "{"):
            yield found.span()
    for found in _LATE.finditer(text) if any(sign in text for sign in _LATE_WORDS) else ():
        word = found[0]
        if word == "TODO" and primary(language) in _EVERYTHING:
            continue
        if word.startswith("XXX") and _NUMERAL.search(text[max(0, found.start() - 20) : found.start()]):
            continue
        yield found.span()


def _is_gap(form: str, inner: str) -> bool:
    if form in ("curly", "brace", "shell", "percent"):
        return any(map(str.isalpha, inner))
    if _COUNT.fullmatch(inner) and form != "angle":
        return _MOST.search(inner) is not None
    words = [word.casefold() for word in _PARTS.findall(inner.replace("_", " "))]
    if not words or (form == "angle" and words[0] in _TAGS):
        return False
    if form == "round":
        return _UNSPACED_HERE.search(inner) is not None or (_fills_in(words) and not _names().isdisjoint(words))
    return _UNSPACED.search(inner) is not None or _fills_in(words) or _names_a_thing(words)


def _fills_in(words: Sequence[str]) -> bool:
    """Whether the words in brackets tell someone to fill in, as in `[Insert link]`."""
    families = _families()
    if any(families.get(word) == "insert" for word in words):
        return len(words) > 1 or words[0] in ("placeholder", "platzhalter")
    return families.get(words[0]) == "fill" and any(families.get(word) == "noun" for word in words[1:])


def _names_a_thing(words: Sequence[str]) -> bool:
    """Whether the words in brackets are a thing that a template leaves open, as in `[Your favourite city]` or `[Date]`.

    `[The company]` begins with an article, as an editor's own words in a quotation do.
    """
    families = _families()
    if len(words) > 2 and families.get(words[0]) == "filler" and families.get(words[1]) == "your":
        words = words[1:]  # il tuo nome
    if families.get(words[0]) == "your":
        return len(words) > 1
    kinds = {families.get(word) for word in words}
    return "noun" in kinds and kinds <= {"noun", "filler", "your"} and families.get(words[0]) != "filler"


_UNSPACED_HERE: Final = regex.compile(r"ここに|を挿入|此处|此處|在此|插入(?:链接|連結|名称|名稱|图片|圖片)|여기에|삽입")
"""Matches words that tell someone to fill in, in Chinese, Japanese or Korean, also in round brackets."""

_UNSPACED: Final = regex.compile(
    rf"{_UNSPACED_HERE.pattern}|あなたの|お名前|御名前|氏名|会社名|貴社名|商品名|店名|を入力|を記入|日付|リンク先|您的|你的|姓名|公司名|产品名|產品名|插入|"
    r"填写|填寫|请输入|請輸入|链接|連結|日期|이름|회사명|제품명|입력|귀하의|날짜"
)
"""Matches a word that shows that square brackets hold a gap, in Chinese, Japanese or Korean."""


@cache
def _names() -> frozenset[str]:
    return frozenset(word for word, family in _families().items() if family == "noun") | {
        "here",
        "hier",
        "ici",
        "aquí",
        "qui",
    }


@cache
def _families() -> Mapping[str, str]:
    """Return word -> its family in gap_words.txt."""
    text = files("jobs.checks.text").joinpath("gap_words.txt").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            family, _, words = line.partition(":")
            for word in words.split():
                found.setdefault(word.casefold(), family)
    return found


CHECKS: Final = (
    Check(
        "gap",
        Severity.FAIL,
        "A gap of a template was not filled in, such as [Your Name] or lorem ipsum. In a kind whose rows hold the whole prompt, "
        "a gap in brackets is for review, and only a note if the prompt asks for a template; other gaps are notes there.",
        _find,
        general=True,
    ),
)
