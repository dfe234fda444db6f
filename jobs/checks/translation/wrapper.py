"""Finds words that the model put around a text: announcements, quotes around the whole text, remarks on the translation, offers
of help.

The source, or the request of a post, may have such words too: then they are content. jobs/writing/labels.py has the words for
labels and announcements, and jobs/writing/evidence.py decides whether they are content.
"""

# ruff: noqa: RUF001 - words of other scripts

from collections.abc import Iterator
from typing import Final

import regex

from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.translation.lines import shown
from jobs.findings import Severity
from jobs.writing.evidence import QUOTE_PAIRS, Brief, Evidence, Original, sentence_count
from jobs.writing.labels import INTERJECTION, LANGUAGE, POST, TRANSLATING, TRANSLATION, announcement, label

_QUOTE: Final = "[\"'“”„«»「『‘’‚`*]"
_IN: Final = "in|into|auf|ins|en|au|em|na|på|по|на|in het|in lingua"
_LANGUAGES: Final = (
    rf"{LANGUAGE}|italiano|spagnolo|tedesco|inglese|francese|portoghese|portugu[eê]s|italien(?:ne)?|russe|русский|"
    rf"русском|немецком|английском|"
    "французском|испанском|hindi|deutsch|español|castellano|allemand|espagnol"
)
_SPOKEN: Final = regex.compile(
    rf"^\W{{0,6}}(?:{_IN})\s{{1,3}}(?:the\s{{1,3}})?(?:{_LANGUAGES})(?:\s{{1,3}}(?:language|"
    rf"sprache))?\s{{0,3}}[,:]?\s{{0,3}}"
    rf"(?:(?:the|this|that|your|it|you|we|la|le|die|der|das|el|il|o|a)\s[^\n]{{0,200}}?\b(?:translat\w{0, 9}|is\b|"
    rf"would be|means|says?\b|übersetz|lautet|heißt|se dit|"
    rf"se dice|si dice|diz-se|tradu[czç]\w{0, 9})|[^\n:.]{{0,60}}[:：]\s{{0,2}}(?={_QUOTE})|"
    rf"{_QUOTE}[^\n]{{1,200}}?{_QUOTE}\s{{0,3}}(?:is|means|translates|heißt|ist|se dit|est|se dice|es|si dice|è)\b)",
    regex.IGNORECASE,
)
"""Matches `In Italian, the translation of "cat" is "gatto"`."""

_NAMED: Final = regex.compile(rf"^[*_\s\[(]{{0,6}}(?:{_LANGUAGES})[\])*_]{{0,4}}\s?[:：]", regex.IGNORECASE)
"""Matches a language as a label: `German: …`."""

_TRANSLATED: Final = regex.compile(
    rf"\b(?:translat(?:es|ed)\s(?:in)?to|(?:can be|is) translated (?:as|to|into)|(?:lässt sich|wird|"
    rf"kann)[^.\n]{{0,60}} übersetzen|wird[^.\n]{{0,40}} mit {_QUOTE}|"
    rf"se tradui(?:t|rait) par|se traduce como|si traduce (?:con|come)|traduz-se (?:como|por)|переводится как|"
    rf"翻译(?:为|成|是)|と訳(?:され|せ|し)|로 번역)"
    rf"(?:\s(?:{_LANGUAGES})(?:\sas)?)?\s{{0,2}}[:：,]?\s{{0,2}}(?:{_QUOTE}|as follows)|"
    rf"\b(?:the|la|le|die|a|il|el)\s(?:(?:{_LANGUAGES})\s)?(?:translation|traducción|traduction|traduzione|tradução|"
    rf"übersetzung)\s(?:of|for|de|du|di|da|von|des|für)\s"
    rf"{_QUOTE}[^\n]{{1,300}}?{_QUOTE}[^\n]{{0,40}}?\b(?:is|ist|lautet|es|est|è|é|would be)\b"
    r"|번역해 ?드리겠|翻訳(?:いた)?します|[为為]您翻[译譯]",
    regex.IGNORECASE,
)
"""Matches words that give a translation as a dictionary does."""

_OFFERS: Final = (
    r"(?:please\s)?let me know if|(?:please\s)?feel free to (?:ask|let me|reach)|i hope (?:this|that|it) helps|"
    r"hope this helps|is there anything else|"
    r"(?:would|do) you (?:like|want) me to|if you (?:need|want|would like|have) (?:any|me|more|further|another)|"
    r"i(?:'d|\u2019d| would) be happy to|i can also|"
    r"möchten sie (?:weitere|noch)|lassen sie (?:es )?mich (?:gerne )?wissen|lass (?:es )?mich wissen|"
    r"sag(?:en sie)? mir bescheid|"
    r"ich hoffe,? (?:das|dies) hilft|(?:kann|soll) ich (?:ihnen|dir|noch)|"
    r"gerne helfe ich|wenn (?:sie|du) (?:weitere|noch)|n['\u2019]h[ée]site(?:z|s)? pas à (?:me|nous|demander)|"
    r"j['\u2019]espère que (?:cela|ça|ceci)|faites-moi savoir|"
    r"dites-moi si|souhaitez-vous que je|av[íi]s(?:a|eme|ame) si|hágame saber|hazme saber|espero que (?:esto|isto|te|le|"
    r"isso|ajude|sirva)|no dudes? en|no dude en|"
    r"¿(?:te|le) gustaría que|fammi sapere|fatemi sapere|mi faccia sapere|spero che (?:questo|ti|sia|possa)|"
    r"non esit(?:are|i) a|me avise|avise-me|"
    r"não hesite|fique à vontade|laat het me weten|ik hoop dat dit|aarzel niet|дайте (?:мне )?знать|сообщите мне|"
    r"надеюсь,? это|если (?:вам|у вас) (?:нужн|есть|понадоб)|"
    r"обращайтесь|daj(?:cie)? mi znać|mam nadzieję|proszę dać znać|bana bildir|umarım|yardımcı olabil|希望(?:这|這|"
    r"对|對)|如果(?:您|你)(?:需要|还|還|有)|(?:请|請)(?:随时|隨時|告诉我|告訴我)|"
    r"お役に立て|他に(?:何か|ご)|お気軽に|必要であれば|도움이 (?:되|필요)|필요하시면|말씀해 주세요|أخبرني|أتمنى أن|"
    r"آمل أن|لا تتردد|मुझे बताएं|मुझे बताइए|आशा है|ενημερώστε με|ελπίζω"
)
_OFFER: Final = regex.compile(rf"(?:^|(?<=[.!?。！？\n]))\W{{0,6}}(?:{_OFFERS})", regex.IGNORECASE | regex.MULTILINE)
"""Matches the beginning of a sentence that offers help, or hopes to have helped."""

_OF_TEXT: Final = regex.compile(
    r"chang|adjust|edit|revis|modif|tweak|another version|shorter|longer|different (?:tone|version|style)|"
    r"further assistance|anything else|rewrite|"
    r"this helps|post\b|caption|translat|änder|anpass|version|anders|hilft|beitrag|correg|cambi|ajust|ayuda|"
    r"otra versión|traduc|aide|autre|variante|traduis|"
    r"помо|изменен|вариант|帮助|修改|調整|修正|変更|수정|تعديل|مساعدة|मदद|बदल",
    regex.IGNORECASE,
)
"""Matches words with which an offer refers to the text. Without them, `Let me know in the comments` is part of a post."""

_REMARK: Final = regex.compile(
    r"(?:^|\n)\s{0,5}[(\[*_]{0,3}(?:note|please note|translator['\u2019]s note|anmerkung|hinweis|remarque|"
    r"note du traducteur|nota|observação|opmerking|uwaga|примечание|"
    r"注|注意|訳注|译注|참고|ملاحظة|टिप्पणी|नोट)[*_]{0,3}\s{0,2}[:：][^\n]{0,400}?"
    r"(?:translat|übersetz|tradu[cçi]|vertal|tłumacz|перев|翻译|翻譯|訳|번역|ترجم|अनुवाद)[^\n]{0,400}",
    regex.IGNORECASE,
)
_THIS: Final = regex.compile(
    r"\b(?:this|the|my|your|diese|meine|die|cette|ma|la|esta|mi|questa|mia|esta|a|deze|ten|этот|данный|bu)"
    r"\s(?:\w{1,20}\s)?(?:translation|übersetzung|traduction|traducción|traduzione|tradução|vertaling|tłumaczenie|"
    r"перевод|çeviri)\b|"
    r"(?:这个|此|该|以上|上述)(?:翻译|译文)|(?:この|以上の|上記の)(?:翻訳|訳文)|이 번역|هذه الترجمة|यह अनुवाद",
    regex.IGNORECASE,
)
"""Matches words for `this translation`."""

_BEFORE_SENTENCE: Final = regex.compile(r"[.!?。！？\n]")


_OPENING: Final = regex.compile(r"\W{0,10}\w{1,20}(?:\s\w{1,20})?[,!:.，！、。]")
"""Matches one or two words before a mark at the beginning of a source, such as `Yes,`, which look like an answer."""

_SPEAKS: Final = regex.compile(rf"{TRANSLATING.pattern}|अनुवाद|μεταφρ|תרג", regex.IGNORECASE)
_NAMES_LANGUAGE: Final = regex.compile(rf"(?<!\w)(?:{_LANGUAGES})(?!\w)", regex.IGNORECASE)

TAIL: Final = 600
"""An offer is looked for in this many characters at the end of a text."""

SHORTEST_SOURCE: Final = 12
FEWEST_WORDS: Final = 5
"""A source of fewer characters, or of fewer words and no end mark, may be a name, which a translation repeats."""

MOST_QUOTED: Final = 5_000
"""Quotes around a text of more characters than this are not looked for."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if not subject.pieces:
        return
    piece = subject.pieces[0]
    if (source := subject.source) is not None and subject.source_language is not None:
        announced = list(_announced(piece, Original(source), (TRANSLATION,))) or list(_answered(piece, source))
        yield from announced or _spoken(piece, source)
        yield from _quoted(piece, Original(source))
        yield from _offers_of_translation(piece, source)
        yield from _with_source(piece, source)
    else:
        brief = Brief(subject.asked)
        yield from _announced(piece, brief, (POST,))
        yield from _quoted(piece, brief)
        yield from _offers_of_post(piece, subject.asked)


def _announced(piece: Piece, evidence: Evidence, families: tuple[str, ...]) -> Iterator[Broken]:
    """Yield the words such as `Sure!`, the announcement or the label at the beginning of a text."""
    for pattern in (announcement(*families), label(*families)):
        found = pattern.match(piece.text, 0, 400)
        if found is None:
            continue
        groups, rest = found.groupdict(), piece.text[found.end() :]
        answers = groups.get("interjection") and groups.get("pronoun")
        if "named" in groups and not (groups["named"] or answers):
            continue
        taken = found[0] if "named" in groups else groups["word"]
        if any(map(str.isalnum, rest)) and not evidence.explains(taken, rest, "|".join(families)):
            start, end = _trimmed(piece.text, found.start(), found.end())
            yield Broken(f"{shown(piece.text[start:end])} announces the text", where=piece.place(start, end))
            return


def _answered(piece: Piece, source: str) -> Iterator[Broken]:
    """Yield a word such as `Sure!` at the beginning of a translation that has more sentences than its source."""
    found = INTERJECTION.match(piece.text, 0, 100)
    if found is None or piece.text[found.end() : found.end() + 1] not in ("!", ".", "！", "。"):
        return
    if not _OPENING.match(source) and sentence_count(piece.text[: TAIL * 2]) > sentence_count(source[: TAIL * 2]):
        start, end = _trimmed(piece.text, found.start(), found.end() + 1)
        yield Broken(f"{shown(piece.text[start:end])} answers the request", where=piece.place(start, end))


def _spoken(piece: Piece, source: str) -> Iterator[Broken]:
    """Yield words such as `"cat" translates to`, as in a dictionary, or a remark on the translation."""
    head = piece.text[:1_000]
    tail = piece.text[-2_000:]
    for pattern, text in ((_SPOKEN, head), (_NAMED, head), (_TRANSLATED, head), (_REMARK, tail), (_THIS, tail)):
        found = pattern.search(text)
        if found is None or pattern.search(source) or _speaks_alike(source, pattern):
            continue
        if pattern is not _THIS or sentence_count(tail) > sentence_count(source[-2_000:]):
            offset = len(piece.text) - len(text) if text is tail else 0
            span = _sentence(text, found) if pattern is _THIS else found.span()
            start, end = _trimmed(piece.text, offset + span[0], offset + span[1])
            yield Broken(f"{shown(piece.text[start:end])} speaks of the translation", where=piece.place(start, end))
            return


def _sentence(text: str, found: regex.Match[str]) -> tuple[int, int]:
    """Return the place of a match, extended to the beginning of its sentence and the end of its line."""
    ends = [mark.end() for mark in _BEFORE_SENTENCE.finditer(text, 0, found.start())]
    line_end = text.find("\n", found.end())
    return ends[-1] if ends else 0, len(text) if line_end < 0 else line_end


def _speaks_alike(source: str, pattern: regex.Pattern[str]) -> bool:
    """Whether the source speaks of translating, or names a language if the pattern looks for one."""
    if _SPEAKS.search(source):
        return True
    return pattern in (_SPOKEN, _NAMED) and _NAMES_LANGUAGE.search(source) is not None


def _quoted(piece: Piece, evidence: Evidence) -> Iterator[Broken]:
    """Yield quotes, emphasis or code marks around a whole text."""
    text = piece.text.strip()
    for mark in ("**", "`"):
        inner = text[len(mark) : -len(mark)]
        is_around = len(inner) > 1 and text.startswith(mark) and text.endswith(mark) and mark not in inner
        if is_around and not evidence.explains_emphasis(mark):
            yield Broken(f"the marks {mark}…{mark} stand around the whole text", where=piece.place())
    if not 2 < len(text) <= MOST_QUOTED or text[-1] not in QUOTE_PAIRS.get(text[0], ""):
        return
    inner = text[1:-1]
    if (
        text[0] not in inner
        and text[-1] not in inner.replace("'", "").replace("\u2019", "")
        and not evidence.explains_quotes(inner)
    ):
        start = len(piece.text) - len(piece.text.lstrip())
        yield Broken(
            f"the quotes {text[0]}…{text[-1]} stand around the whole text", where=piece.place(start, start + len(text))
        )


def _with_source(piece: Piece, source: str) -> Iterator[Broken]:
    """Yield the source if the output repeats it beside the translation."""
    given = source.strip()
    is_sentence = given.endswith((".", "!", "?")) or len(given.split()) >= FEWEST_WORDS
    start = piece.text.find(given) if len(given) >= SHORTEST_SOURCE and is_sentence else -1
    if start >= 0 and sum(map(str.isalpha, piece.text)) > 1.4 * sum(map(str.isalpha, given)):
        where = piece.place(start, start + len(given))
        yield Broken(f"{shown(given)} is the source and stands beside its translation", where=where)


def _offers_of_translation(piece: Piece, source: str) -> Iterator[Broken]:
    found = _last_offer(piece.text)
    if found is None or _OFFER.search(source[-TAIL * 2 :]):
        return
    if sentence_count(piece.text[-TAIL * 2 :]) > sentence_count(source[-TAIL * 2 :]):
        yield _offer(piece, found)


def _offers_of_post(piece: Piece, asked: str) -> Iterator[Broken]:
    found = _last_offer(piece.text)
    if found is not None and _OF_TEXT.search(piece.text, found[0]) and not _OFFER.search(asked):
        yield _offer(piece, found)


def _last_offer(text: str) -> tuple[int, int] | None:
    """Return the position where the last offer of help at the end of a text begins, and where its line ends."""
    offset = max(0, len(text) - TAIL)
    matches = list(_OFFER.finditer(text, offset))
    if not matches:
        return None
    start = matches[-1].start()
    line_end = text.find("\n", matches[-1].end())
    return _trimmed(text, start, len(text) if line_end < 0 else line_end)


def _offer(piece: Piece, place: tuple[int, int]) -> Broken:
    return Broken(
        f"{shown(piece.text[slice(*place)])} offers help and is no part of the text", where=piece.place(*place)
    )


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


CHECKS: Final = (
    Check(
        "wrapper",
        Severity.FAIL,
        "No words of the model stand around the text: announcements, quotes around the whole, remarks, offers to help.",
        _find,
    ),
)
