"""Finds texts in another language than the wanted one, and such sentences if they are long enough to tell their language.

The guess is that of lid.176 (see jobs/checks/reading.py). Code, quotations, links, names and numbers are left out of it. A guess
takes 0.02 ms for a sentence, so a sentence with function words that only the wanted language has is not guessed.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import Final

import regex

from jobs.checks import reading
from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.data import is_data
from jobs.checks.quoting import shortened
from jobs.findings import Severity
from jobs.writing.words.function_words import FUNCTION_WORDS
from jobs.writing.words.words import primary

_ALIKE: Final = (
    "nb no nn da",
    "hr bs sr sh",
    "id ms",
    "zh yue wuu",
    "fil tl",
    "he iw",
)
_MISTAKEN: Final = {"gl": frozenset({"gl", "pt", "es"}), "ast": frozenset({"ast", "es"}), "lb": frozenset({"lb", "de"})}
"""Small language -> the large ones for which the guess takes every sixth of its texts. It takes hardly a text the other way."""

ALIKE: Final = {code: frozenset(group.split()) for group in _ALIKE for code in group.split()} | _MISTAKEN
"""Language -> the languages that count as it, because their texts can hardly be told apart."""

_KNOWN: Final = (
    "af als am an ar arz as ast az azb ba bar be bg bh bn bo bpy br bs ca ce ceb ckb co cs cv cy da de dv el en eo es et eu fa "
    "fi fr fy ga gd gl gu he hi hr hu hy ia id io is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mk ml mn mr ms mt my nb "
    "ne nl nn no oc or os pa pl ps pt qu ro ru sa sah sd sh si sk sl so sq sr su sv sw ta te tg th tl fil tk tr tt ug uk ur uz "
    "vi wa war yi yo yue wuu zh iw"
)
KNOWN: Final = frozenset(_KNOWN.split())
"""Languages that the guess knows. Texts in other languages are not judged."""

_PLAIN: Final = frozenset("en de fr es it pt pl cs sv el tr he vi ro hu fi id".split())  # noqa: SIM905 - a list of languages
"""Languages whose function words tell them from all others that are near to them, also from those without a list here."""

_TIMES: Final = Counter(word for words in FUNCTION_WORDS.values() for word in words)
_OWN: Final = {word: code for code, words in FUNCTION_WORDS.items() for word in words if _TIMES[word] == 1}
"""Function word -> the only language that has it."""

_FEWEST_OWN: Final = 2
"""A sentence with this many different function words of its language, and none of another, is in this language."""

_SCRIPTS: Final = {
    name: regex.compile(rf"\p{{{of}}}")
    for name, of in {
        "latn": "Latin",
        "cyrl": "Cyrillic",
        "grek": "Greek",
        "arab": "Arabic",
        "deva": "Devanagari",
        "hebr": "Hebrew",
    }.items()
}
_FOREIGN: Final = {
    regex.compile(signs): frozenset(languages.split())
    for signs, languages in {
        r"\p{Cyrillic}": "ru uk be bg mk sr hr bs sh kk ky tt mn tg uz az ba cv ce os sah",
        r"\p{Greek}": "el",
        r"\p{Arabic}": "ar arz fa ur ps ckb ug sd ku azb ms pa ks",
        r"\p{Hebrew}": "he iw yi",
        r"\p{Devanagari}": "hi mr ne sa bh mai sd ks",
        r"[\p{Han}\p{Hiragana}\p{Katakana}]": "zh yue wuu ja ko vi",
        r"\p{Hangul}": "ko",
        r"\p{Thai}": "th",
    }.items()
}
"""Pattern of a sign of a script -> the languages written in it. Latin is left out, since any text may have Latin names."""

_BEYOND_LATIN: Final = re.compile("[\u0370-\u1cff\u2e80-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]")
_SYMBOL: Final = regex.compile(r"(?<!\p{L})\p{L}(?!\p{L})")
"""Matches a letter that stands alone, as in a formula."""

_FEWEST_FOREIGN: Final = 4
"""A text with fewer letters of a foreign script than this may be a name."""

_LETTER: Final = regex.compile(r"\p{L}")
_SIMPLIFIED: Final = (
    "们这来国对说时会过发学经当动个问现见间东车马鸟鱼门长书电话语让认识请谢气爱乐买卖头实业产务员场"
    "义为从众优伤传体价儿关兴写农决净减几击刘创别剧办劳势华协单卫历压双变号听启员响图团园处备够奖妇"
)
_TRADITIONAL: Final = (
    "們這來國對說時會過發學經當動個問現見間東車馬鳥魚門長書電話語讓認識請謝氣愛樂買賣頭實業產務員場"
    "義為從眾優傷傳體價兒關興寫農決淨減幾擊劉創別劇辦勞勢華協單衛歷壓雙變號聽啟員響圖團園處備夠獎婦"
)
_BOTH: Final = frozenset(_SIMPLIFIED) & frozenset(_TRADITIONAL)
_HANS: Final = regex.compile(f"[{''.join(sorted(frozenset(_SIMPLIFIED) - _BOTH))}]")
_HANT: Final = regex.compile(f"[{''.join(sorted(frozenset(_TRADITIONAL) - _BOTH))}]")
_TRADITIONAL_REGIONS: Final = frozenset({"tw", "hk", "mo"})
_SIMPLIFIED_REGIONS: Final = frozenset({"cn", "sg", "my"})
_FEWEST_OF_SCRIPT: Final = 3
"""Fewer signs than this of the other Chinese script may be a name."""

_NO_WORDS: Final = regex.compile(
    r"\"[^\"\n]{1,300}+\"|\u201c[^\u201c\u201d\n]{1,300}+\u201d|\u201e[^\u201c-\u201e\n]{1,300}+[\u201c\u201d]"
    r"|\u00ab[^\u00ab\u00bb\n]{1,300}+\u00bb|\u00bb[^\u00ab\u00bb\n]{1,300}+\u00ab|\u300c[^\u300c\u300d\n]{1,300}+\u300d"
    r"|\u300e[^\u300e\u300f\n]{1,300}+\u300f|\u300a[^\u300a\u300b\n]{1,300}+\u300b"
    r"|(?<![\p{L}\p{N}])[\u2018\u201a][^\u2018-\u201a\n]{1,300}+[\u2018\u2019](?!\p{L})"
    r"|\{\{?[^{}\n]{1,100}+\}\}?|%\(\w{1,60}+\)[a-z]|%(?:\d\$)?[sd@]|(?<![\w])[@#][\w.-]++|[*_#|>]++"
    r"|(?<![\w.-])(?:[\w-]{1,63}+\.){1,4}+[a-z]{2,6}+(?:/\S*+)?(?![\w-])"
    r"|\p{N}[\p{N}.,:%/]*+"
)
_NAMES: Final = regex.compile(r"(?<![\p{L}\p{M}\p{N}])\p{Lu}[\p{L}\p{M}\p{N}'\u2019-]*+")
_SPACED_WORD: Final = regex.compile(
    r"[\p{L}\p{M}--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]++"
    r"(?:['\u2019-][\p{L}\p{M}]++)*+",
    regex.V1,
)
_UNSPACED: Final = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_HAN: Final = regex.compile(r"\p{Han}")
_HANGUL: Final = regex.compile(r"\p{Hangul}")
_KANA: Final = regex.compile(r"[\p{Hiragana}\p{Katakana}--[\u30fb\u30fc]]", regex.V1)

_PER_WORD: Final = 2
"""This many letters of a script without spaces count as a word, because a word of Chinese or Japanese has about two."""

_OWN_CHANCE: Final = 0.1
"""A text counts as in the wanted language if that language has at least this score, even if another has a higher one."""

_SURELY_RIGHT: Final = 0.5
"""If the wanted language is the likeliest and has at least this score, the text is right and is not read further."""

_FEWEST_WORDS: Final = 4
"""A sentence with fewer words than this, within a longer text, is not judged: it may be a name or a loan."""

_SCORE_OF_REST: Final = 0.4
"""The guess for a text without its capitalised words needs this score if few words are left."""

_MARKS: Final = " \t\n#*_>|-"

_FEWEST_LETTERS: Final = 12
"""A text with fewer letters than this is not judged: `OK`."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    for piece in subject.pieces:
        if piece.language is None or is_data(piece.text):
            continue
        if script := _other_script(piece.language, piece.prose):
            yield Broken(f"the text is in another script than {script}", None, piece.language, piece.place())
            continue
        wanted = primary(piece.language)
        if wanted not in KNOWN:
            continue
        if _is_foreign(wanted, piece.prose[: reading.MOST_READ]) and not _is_given(subject, piece.text):
            message = f"the text is not in the script of {piece.language!r}"
            yield Broken(message, None, piece.language, piece.place())
            continue
        other = _other_than(wanted, piece.prose, limits, has_parts=len(piece.spans) > 1)
        if other and not _has_right_sentence(piece, wanted) and not _is_given(subject, piece.text):
            yield Broken(f"the text is in {other!r}, not in {piece.language!r}", other, piece.language, piece.place())
        elif len(piece.spans) > 1:
            yield from _sentences(subject, piece, wanted, limits)


def _is_foreign(wanted: str, text: str) -> bool:
    """Whether nearly all letters are of a script in which the language is not written. This is sure even for one word."""
    if text.isascii() or _BEYOND_LATIN.search(text) is None:
        return False
    text = _SYMBOL.sub(" ", _NO_WORDS.sub(" ", text))
    letters = len(_LETTER.findall(text))
    return letters >= _FEWEST_FOREIGN and any(
        wanted not in languages and len(script.findall(text)) * 10 > letters * 9
        for script, languages in _FOREIGN.items()
    )


def _has_right_sentence(piece: Piece, wanted: str) -> bool:
    right = ALIKE.get(wanted, frozenset({wanted}))
    sentences = (piece.prose[start:end] for start, end in piece.spans)
    return any(
        _is_among(right, reading.languages_of(sentence, 1), _SURELY_RIGHT)
        for sentence in sentences
        if len(sentence) >= _FEWEST_LETTERS
    )


def _sentences(subject: Subject, piece: Piece, wanted: str, limits: Limits) -> Iterator[Broken]:
    """Yield each run of sentences in another language."""
    runs: list[tuple[int, int, str]] = []
    follows = False
    for start, end in piece.spans:
        other = _other_than(wanted, piece.prose[start:end], limits, is_part=True)
        if other is None or _is_given(subject, piece.text[start:end]):
            follows = False
            continue
        if follows and runs[-1][2] == other:
            runs[-1] = (runs[-1][0], end, other)
        else:
            runs.append((start, end, other))
        follows = True
    for start, end, other in runs:
        words = shortened(piece.text[start:end])
        yield Broken(
            f"{words!r} is in {other!r}, not in {piece.language!r}", other, piece.language, piece.place(start, end)
        )


def _other_than(
    wanted: str, text: str, limits: Limits, *, has_parts: bool = False, is_part: bool = False
) -> str | None:
    """Return the language of a text if it is surely not the wanted one; otherwise None.

    `is_part` says that the text is a sentence of a longer one, `has_parts` that its sentences are judged too.

    The text is read twice: whole, and without capitalised words, which may be names.
    """
    if (is_part or has_parts) and _is_plain(wanted, text[: reading.MOST_READ]):
        return None
    right = ALIKE.get(wanted, frozenset({wanted}))
    if _is_among(right, reading.languages_of(text, 1), _SURELY_RIGHT):
        return None  # most sentences end here, after one quick guess
    text = _NO_WORDS.sub(" ", text)
    if reading.is_in_capitals(text):
        text = text.lower()  # its words are no names
    other = _guess(wanted, text, limits["min_words"], limits["min_score"], _FEWEST_WORDS if is_part else 0)
    if other is None or (lower := _NAMES.sub(" ", text)) == text:
        return other
    return _guess(wanted, lower, limits["min_words"], _SCORE_OF_REST, _FEWEST_WORDS)


def _is_plain(wanted: str, text: str) -> bool:
    """Whether the function words of a sentence show that it is in the wanted language."""
    if wanted not in _PLAIN:
        return False
    own = _OWN.keys() & text.lower().split()
    return len(own) >= _FEWEST_OWN and all(_OWN[word] == wanted for word in own)


def _guess(wanted: str, text: str, min_words: float, min_score: float, fewest: int) -> str | None:
    letters = len(_LETTER.findall(text))
    unspaced = len(_UNSPACED.findall(text))
    words = len(_SPACED_WORD.findall(text)) + unspaced // _PER_WORD
    if letters + unspaced * 2 < _FEWEST_LETTERS or words < fewest:
        return None
    guesses = reading.languages_of(text)
    if not guesses:
        return None
    likeliest, score = guesses[0]
    if words < min_words and score < min_score:
        return None
    if _is_among(ALIKE.get(wanted, frozenset({wanted})), guesses, _OWN_CHANCE):
        return None
    return None if _is_right_by_script(wanted, text, letters) else likeliest


def _is_among(languages: Set[str], guesses: Sequence[tuple[str, float]], least: float) -> bool:
    return any(language in languages and chance >= least for language, chance in guesses)


def _is_right_by_script(wanted: str, text: str, letters: int) -> bool:
    """Whether the letters alone show the language: kana for Japanese, ideographs without kana for Chinese, Hangul for Korean."""
    kana = len(_KANA.findall(text))
    if wanted == "ja":
        return kana * 10 >= letters
    if wanted in ("zh", "yue", "wuu"):
        return kana * 20 < letters and len(_HAN.findall(text)) * 2 > letters
    return wanted == "ko" and len(_HANGUL.findall(text)) * 2 > letters


def _other_script(language: str, text: str) -> str | None:
    """Return the name of the script that a tag asks for (`sr-Latn`, `zh-TW`) if most of the text is in another one."""
    subtags = language.lower().split("-")
    if subtags[0] in ("zh", "yue"):
        hant = "hant" in subtags or not _TRADITIONAL_REGIONS.isdisjoint(subtags)
        hans = "hans" in subtags or not _SIMPLIFIED_REGIONS.isdisjoint(subtags)
        wrong, right = (_HANS, _HANT) if hant else (_HANT, _HANS)
        found = len(wrong.findall(text)) if hant or hans else 0
        return (
            None
            if found < _FEWEST_OF_SCRIPT or found <= len(right.findall(text)) * 2
            else ("traditional" if hant else "simplified") + " Chinese"
        )
    name = next((one for one in subtags[1:] if one in _SCRIPTS), None)
    if name is None:
        return None
    letters = len(_LETTER.findall(text))
    return name.title() if letters >= _FEWEST_LETTERS and len(_SCRIPTS[name].findall(text)) * 2 < letters else None


def _is_given(subject: Subject, text: str) -> bool:
    """Whether the words stand in the request, so that the row asked for them. A text to be translated does not count."""
    return subject.source_language is None and text.strip(_MARKS) in subject.asked


CHECKS: Final = (
    Check(
        "wrong_language",
        Severity.FAIL,
        "A text or a sentence is in another language or script than the one asked for.",
        _find,
        {"min_words": reading.SURE_WORDS, "min_score": reading.SURE_SCORE},
        general=True,
    ),
)
