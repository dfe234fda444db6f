"""Labels: the words that models put before a text to name it (`Title:`), in the languages that models write most.

A family holds the words of many languages for one thing. This module only recognises the words, before a separator or within an
announcement. jobs/writing/evidence.py decides whether they are taken off.
"""

# ruff: noqa: RUF001 - words of other scripts

import re
from functools import cache
from typing import Final

SEPARATOR: Final = r"[:\uff1a\ufe55\u2236]"
"""A colon, or its form in another script."""

_COUNTING: Final = "[ivx]{1,4}|one|two|three|four|five|six|seven|eight|nine|ten"
_NUMBER: Final = rf"(?:#|n[or]\.?|option|number)?\s{{0,5}}(?:\d{{1,3}}|(?:{_COUNTING})\b)[.)]?"
_LETTER: Final = r"(?-i:[A-F])(?!\w)"
"""A letter that counts the options of a label: `Title A:`."""

QUALIFIER: Final = (
    r"(?:meta|seo|article|artikel|blog|post|page|suggested|possible|proposed|final|working|main|catchy|short)"
)
_OF_ARTICLE: Final = (
    r"(?:\s{1,5}(?:of|for|the|this|an?|des|der|den|dieses|eines|f\u00fcr|de|del|du|cet|un|da|do|van|het)){1,3}\s{1,5}(?:l['\u2019])?"
    r"(?:article|artikels?|artikel|beitrags?|post|blog|art\u00edculo|articolo|artigo)"
)

TITLE: Final = (
    rf"(?:option|suggestion|vorschlag|proposition|opción)(?=\s{{0,5}}(?:\d|{_LETTER}))|"
    "title|headline|subject line|subject|topic|titel|schlagzeile|betreff|thema|titre|objet|sujet|título|titular|"
    "asunto|tema|titolo|"
    "oggetto|assunto|onderwerp|rubrik|overskrift|tittel|otsikko|tytuł|nadpis|titlu|cím|başlık|заголовок|"
    "название|τίτλος|"
    "タイトル|題名|表題|件名|标题|標題|主题|主題|题目|題目|제목|العنوان|عنوان|शीर्षक|tiêu đề|judul"
)
HEADING: Final = (
    "headings?|sub-?headings?|section title|h[1-6]|überschrift|zwischenüberschrift|sous-titre|encabezado|"
    "subtítulo|sottotitolo|"
    "section|abschnitt|sección|sezione|seção|outline|gliederung|見出し|セクション|小标题|소제목"
)
SECTION: Final = (
    "section|paragraphs?|article|abschnitt|absatz|artikel|paragraphe|sección|párrafo|artículo|sezione|paragrafo|"
    "articolo|seção|"
    "parágrafo|artigo|alinea|段落|本文|セクション|正文|단락|본문|раздел|абзац"
)
"""Names for an article's section in an announcement. None of these names is taken off as a label."""

TEXT: Final = "text|content|body|output|answer|response|result|markdown|inhalt|texte|contenu|texto|contenido|testo"
"""Keys with which JSON names a text of any kind."""

CHAPTER: Final = (
    "chapter|part|paragraph|kapitel|teil|absatz|chapitre|partie|capítulo|parte|apartado|capitolo|hoofdstuk|deel|"
    "rozdział|"
    "глава|часть|раздел|bölüm"
)
"""These words are labels only with a number: `Chapter 2`."""

STEP: Final = "step|tip|point|item|question|reason|schritt|tipp|punkt|frage|grund|étape|paso|passo|stap|krok|шаг"
"""These words with a number alone are no heading: `Tip #1`."""

_COUNTED: Final = r"第\s{0,5}[\d一二三四五六七八九十]+\s{0,5}[章節节部]|제\s{0,5}\d{1,5}\s{0,5}장"
INTRODUCTION: Final = (
    "introduction|intro|conclusion|einleitung|einführung|fazit|schlussfolgerung|introducción|conclusión|"
    "introduzione|conclusione|"
    "introdução|conclusão|inleiding|conclusie|wstęp|введение|заключение|はじめに|序論|導入|結論|まとめ|おわりに|引言|导言|前言|"
    "结论|結論|总结|서론|결론"
)
DESCRIPTION: Final = (
    "meta-?\\s?description|description|summary|abstract|excerpt|snippet|teaser|meta-?beschreibung|"
    "kurzbeschreibung|beschreibung|"
    "zusammenfassung|méta-?\\s?description|résumé|descripción|resumen|descrizione|riassunto|descrição|resumo|"
    "beschrijving|"
    "samenvatting|opis|описание|açıklama|メタディスクリプション|説明文?|要約|概要|元描述|描述|摘要|설명|요약"
)
POST: Final = (
    "(?:(?:x|twitter|linkedin|facebook|instagram|threads|bluesky|mastodon|social(?: media)?)[ -])?"
    "(?:post|posting|beitrag|caption|publication|légende|publicación|publicação|post-?text)|tweet|toot|"
    "bildunterschrift|leyenda|"
    "didascalia|bericht|投稿文?|ツイート|帖子|文案|贴文|貼文|게시물|게시글|пост"
)
TRANSLATION: Final = (
    "translation|translated text|translated version|text translated|übersetzung|übersetzter text|traduction|traducción|"
    "traduzione|tradução|vertaling|"
    "översättning|oversættelse|oversettelse|käännös|tłumaczenie|překlad|перевод|переклад|çeviri|traducere|"
    "fordítás|μετάφραση|"
    "翻訳文?|訳文|日本語訳|英訳|和訳|訳|翻译|译文|翻譯|譯文|번역문?|ترجمة|الترجمة|תרגום|अनुवाद|bản dịch|terjemahan"
)
LANGUAGE: Final = (
    "english|german|french|spanish|italian|portuguese|dutch|polish|russian|ukrainian|japanese|chinese|korean|"
    "arabic|turkish|swedish|"
    "danish|norwegian|finnish|czech|greek|hebrew|hindi|vietnamese|(?:deutsch|englisch|französisch|spanisch|"
    "italienisch)(?:e[nrs]?)?|"
    "anglaise?|allemande?|française?|espagnole?|inglés|alemán|español|francés|inglesa|alemana|española|francesa|"
    "日本語|英語|中文|英文"
)


@cache
def label(*families: str) -> re.Pattern[str]:
    """Return a pattern that matches a label at the beginning of a text: a word of the families, with its separator.

    The word may have a qualifier, a number, a remark in brackets and emphasis (`**Meta title 2 (short):** `).
    """
    words = "|".join(family for family in families if family != CHAPTER)
    if CHAPTER in families:
        words = rf"{words}|(?:{CHAPTER})(?=\s{{0,5}}{_NUMBER})|{_COUNTED}"
    if TRANSLATION in families:
        words = (
            rf"(?:(?:the|{LANGUAGE})\s{{1,5}}){{0,2}}(?:{words})"
            rf"(?:\s{{1,5}}(?:in|into|to|ins|auf|en|au|al|naar|from|aus)?\s{{0,5}}(?:the\s{{1,5}})?(?:{LANGUAGE}))?"
        )
    return re.compile(
        rf"[*_#\s\[\u3010]{{0,6}}(?:{QUALIFIER}[\s-]{{1,3}}){{0,2}}(?P<word>{words})(?:{_OF_ARTICLE})?(?:\s{{0,5}}(?:{_NUMBER}|{_LETTER}))?"
        rf"(?:\s{{0,5}}\([^()\n]{{1,40}}\))?[\]\u3011]?[*_]{{0,3}}\s{{0,5}}(?:{SEPARATOR}|(?<=\d)\s{{1,5}}[-\u2013\u2014](?=\s))[*_]{{0,3}}\s{{0,5}}",
        re.IGNORECASE,
    )


@cache
def label_alone(*families: str) -> re.Pattern[str]:
    """Return a pattern that matches a line which is only a label of these families or a number: `Title`, `Part 3:`, `IV.`."""
    words = "|".join((*families, CHAPTER))
    return re.compile(
        rf"\W{{0,10}}(?:{QUALIFIER}[\s-]{{1,3}}){{0,2}}(?:(?:{words})s?(?:{_OF_ARTICLE})?(?:\s{{0,5}}{_NUMBER})?|{_COUNTED}|"
        rf"(?:{STEP})\s{{0,5}}{_NUMBER}|\d{{1,5}}\s{{1,5}}(?:{_UNITS})|"
        r"no\.?\s{0,5}\d{1,5}|nr\.?\s{0,5}\d{1,5}|(?-i:[IVXL]{1,6})|[a-z][.)])\W{0,10}",
        re.IGNORECASE,
    )


_INTERJECTION: Final = (
    "sure(?: thing)?|certainly|of course|okay|ok|absolutely|gladly|great|got it|understood|alright|all right|"
    "no problem|yes|"
    "gerne?|aber gerne?|natürlich|selbstverständlich|na klar|klar|sicher|in ordnung|verstanden|ja|bien sûr|"
    "certainement|avec plaisir|"
    "d['\u2019]accord|entendu|volontiers|oui|claro(?: que sí)?|por supuesto|seguro|con gusto|de acuerdo|"
    "entendido|sí|certo|certamente|"
    "volentieri|va bene|com certeza|com prazer|natuurlijk|zeker|graag|конечно|хорошо|разумеется|oczywiście|"
    "jasne|tabii|elbette|"
    "はい|もちろん(?:です)?|承知(?:いたし|し)ました|かしこまりました|了解(?:です|しました)?|わかりました|好的|当然(?:可以)?|當然(?:可以)?|"
    "没问题|沒問題|네|물론(?:입니다|이죠)?|알겠습니다"
)
INTERJECTION: Final = re.compile(rf"\W{{0,10}}(?:{_INTERJECTION})(?!\w)", re.IGNORECASE)
"""Matches a word such as `Sure` at the beginning of a text, in any of the languages."""

_OPENER: Final = (
    "here(?:['\u2019]s| is| are)|below (?:is|are)|hier (?:ist|sind|kommt|kommen|folgt|is|volgt|zijn)|"
    "nachfolgend|anbei|"
    "im folgenden|voici|voilà|ci-dessous|aquí (?:está|están|tienes?|tienen|va|te dejo)|a continuación,?|ecco|"
    "di seguito|"
    "aqui (?:está|estão|vai)|segue|a seguir|hieronder|вот|oto|poniżej|işte|här (?:är|kommer)|her er|tässä on"
)
_DETERMINER: Final = (
    "a|an|the|your|one|some|\\d+|two|three|four|five|several|d(?:er|ie|as|en|ein|eine|einen)|ein(?:e|en)?|"
    "ihr(?:e|en)?|einige|une?|"
    "les?|la|votre|ton|ta|vos|el|las|los|una|unos|unas|tu|su|il|lo|gli|uno|i|o|os|as|um|uma|seu|sua|de|het|een|"
    "je|uw|en|ett|et"
)
_NO_MODIFIER: Final = (
    "(?:our|latest|new|newest|next|last|first|blog|guest|forum|most|best|old|favou?rite|official|unser\\w*|"
    "neu\\w*|letzt\\w*|nächst\\w*|"
    "notre|nos|nouve\\w*|derni\\w*|nuestr\\w*|nuev\\w*|últim\\w*|nostr\\w*|nuov\\w*|ultim\\w*|noss\\w*|"
    "nov[oa]s?|onze?|nieuw\\w*|"
    "наш\\w*|нов\\w*)\\b"
)
_FOLLOWING: Final = (
    r"(?:for|about|on|to|of|in|with|that|you|under|within|as|based|titled|für|über|zu[mr]?|auf|von|des|der|ins|im|mit|pour|sur|en|de|du|"
    r"des|avec|para|sobre|del|al|con|per|su|di|in|over|voor|van|met|naar|на|для|о)\b"
)
_PLATFORM: Final = "x|twitter|linkedin|facebook|instagram|threads|bluesky|mastodon"
_FOLLOWING_FREE_TEXT: Final = (
    rf"(?:about|on|titled|based|under|within|with|that you|"
    rf"for (?:you|your|the (?:section|article|post)|an? (?:article|post)|{_PLATFORM})|"
    r"(?:of|in) (?:at most|about|around|less|fewer|under|\d|english|german|french|spanish)|"
    rf"über|zu[mr]?|für (?:sie|dich|ihren?|deinen?|euch|{_PLATFORM})|auf deutsch|sur|pour (?:vous|toi|votre|ton|{_PLATFORM})|"
    rf"sobre|para (?:ti|usted|tu|su|{_PLATFORM})|su|per (?:te|lei)|over|voor (?:je|u))\b"
)
"""This is narrower than `_FOLLOWING`, because a post or a section may itself begin like an announcement: `Here is the post of
the day: …`.
"""

_PRONOUN: Final = (
    "here (?:it is|they are|you go|you are)|hier (?:ist|sind) (?:er|sie|es)|bitte(?: sehr| schön)|(?:le|la|"
    "les) voici|"
    "aquí (?:lo|la|los|las) tienes?|ecco(?:lo|la|li|le)|hier is (?:het|hij|ze)|どうぞ"
)


@cache
def announcement(*families: str) -> re.Pattern[str]:
    """Return a pattern that matches an announcement at the beginning of a text: `Sure! Here is a short title for you:`.

    The match has these groups. `interjection`: it opens with a word such as `Sure`. `named`: it has a word of the families.
    `pronoun`: it only says `Here it is`. `sentence`: it ends with the mark of a sentence. `line`: a new line follows. The
    pattern also matches a separator alone, with none of the first three groups.
    """
    words = "|".join(families)
    following = _FOLLOWING_FREE_TEXT if POST in families or SECTION in families else _FOLLOWING
    named = (
        rf"(?:{_OPENER})\s{{1,5}}(?:(?:{_DETERMINER})\s{{1,5}}|l['\u2019])?(?:(?!{_NO_MODIFIER})[^\s:.!\n]{{1,20}}\s{{1,5}}){{0,3}}?"
        rf"(?P<word>{words})(?:s|en|n|e)?\b(?:\s{{1,5}}{following}[^:\n\uff1a]{{0,80}}?|\s{{0,5}}[\"\u201c\u201e\u00ab(][^:\n\uff1a]{{0,80}}?)?"
    )
    named_first = (
        rf"(?:the|die|der|das|la|le|el|il|a|o|de)\s{{1,5}}(?:{words})(?:\s{{1,5}}{following}[^:\n\uff1a]{{0,60}}?)?\s{{1,5}}"
        r"(?:is|are|reads|lautet|lauten|ist|est|es|è|é|would be)(?:\s{1,5}(?:as follows|wie folgt|la suivante|la siguiente))?"
    )
    eastern = (
        r"(?:以下|下記|下面|こちら|次|这里?|這裡?|다음|아래)(?:は|が|に|の|是|为|為|就是|은|는)(?!当|弊|私|我们|我們)"
        rf"[^:\uff1a\u3002\n]{{0,40}}?(?:{words})[^:\uff1a\u3002\n]{{0,20}}?"
    )
    return re.compile(
        rf"[*_#\s\u00a1]{{0,6}}(?P<interjection>(?:(?:{_INTERJECTION})\s{{0,5}}[!.,\uff01\u3002\u3001\uff0c\u2026]{{0,5}}\s{{0,5}}){{1,2}})?"
        rf"(?:(?P<named>{named}|{named_first}|{eastern})|(?P<pronoun>{_PRONOUN}))?"
        rf"(?P<mark>[*_]{{0,3}}\s{{0,5}}{SEPARATOR}[*_]{{0,3}}|(?P<sentence>[.!\uff01\u3002][*_]{{0,3}}(?=[ \t]*\n)))"
        rf"(?:(?P<line>[ \t]*\n\s{{0,5}})|[ \t]*)",
        re.IGNORECASE,
    )


SPEAKS_OF_LANGUAGE: Final = re.compile(rf"(?<!\w)(?:{LANGUAGE})(?!\w)", re.IGNORECASE)
OPENS: Final = re.compile(rf"\W{{0,10}}(?:{_OPENER})(?!\w)", re.IGNORECASE)
"""Matches the opening of an announcement, such as `Here is`."""

ANNOUNCES: Final = re.compile(
    rf"^\W{{0,10}}(?:{_OPENER})\s[^:\uff1a\n]{{0,100}}{SEPARATOR}", re.IGNORECASE | re.MULTILINE
)
"""Matches a line of a request or source that announces something itself: `Here is our motto: …`."""

TRANSLATING: Final = re.compile(
    r"translat|übersetz|tradu[cizç]|vertal|översätt|oversætt|oversett|перев[оеё]|tłumacz|přelož|çevir|翻訳|訳|翻译|翻譯|번역|ترجم",
    re.IGNORECASE,
)
"""Matches a word for translating: a text that has one, and whose source has none, speaks of the translation."""

REMARK: Final = re.compile(
    r"\W{0,10}(?:note|notes|remark|comment|explanation|anmerkung|hinweis|bemerkung|erklärung|erläuterung|remarque|nota|observación|"
    r"observação|explicación|osservazione|opmerking|uwaga|примечание|poznámka|not|注意?|注記|補足|備考|説明|说明|주)(?!\w)",
    re.IGNORECASE,
)
"""Matches the beginning of a remark on a text, and the beginning of a source's own note."""

_UNITS: Final = (
    "words?|characters?|letters?|sentences?|lines?|zeichen|wörtern?|worten?|sätzen?|zeilen?|mots|caractères|"
    "phrases?|palabras|caracteres|"
    "frases?|parole|caratteri|frasi|palavras|woorden|tekens|zinnen|слов|символов"
)
_TASKS: Final = f"{TITLE}|{HEADING}|{DESCRIPTION}|{POST}|article|artikel|artículo|articolo|artigo|sentence|satz"
COUNT: Final = re.compile(
    rf"\s{{0,5}}[\[(]\s{{0,5}}(?:about\s{{1,5}}|~\s{{0,5}})?\d{{1,5}}\s{{0,5}}(?:{_UNITS}|文字|字|글자|자)"
    r"\s{0,5}[\])]\W{0,10}$",
    re.IGNORECASE,
)
"""Matches a count at the end of a text: `(58 characters)`."""

INSTRUCTION: Final = re.compile(
    r"\W{0,10}(?:please\s{1,5})?(?:write|create|generate|compose|craft|provide|give|suggest|summari[sz]e|keep|make|schreiben?|verfassen?|erstellen?|"
    r"formulieren?|écri(?:s|vez)|rédige[zr]?|crée[zr]?|donne[zr]?|résume[zr]?|escrib[ae]n?|redact[ae]|cre[ae]|resum[ae]|scrivi|crea|"
    r"escrev[ae]|schrijf|maak|напиши(?:те)?|создай(?:те)?)\b[^\n]{0,120}?"
    rf"\b(?:{_TASKS})\b[^\n]{{0,120}}?\b(?:\d{{1,5}}|one|two|three|ten|einer?|einem|zehn|une?|dix|una?|diez)[\s-]{{1,3}}(?:{_UNITS})\b"
    r"|[^\n]{0,60}\d{1,5}\s{0,5}(?:文字|字|글자|자)[^\n]{0,60}(?:書いて|作成|ください|写|生成|请|請|작성)",
    re.IGNORECASE,
)
"""Matches a line that asks for a text and says how long it may be: `Write a title of at most 60 characters`."""
