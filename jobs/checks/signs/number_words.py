"""Words for numbers in the most translated languages. A number that became a word is then not reported as lost.

A language has two patterns: words for 3 to 19 (and for parts and dozens), and words for tens, hundreds and thousands. A word is
found by its beginning, so inflected forms and ordinals count too. The patterns need not be exact, since a word only explains why
a figure is missing.
"""

# ruff: noqa: RUF001 - words of other scripts

from functools import cache
from typing import Final

import regex

from jobs.writing.words.words import primary

WORDS: Final = {
    "en": (
        (
            r"three|third|thrice|tripl|four|five|fif|six|seven|eight|nine|ninth|ten(?:th|s)?\b|eleven|twel|dozen|"
            r"thirteen|quarter|noon|midday|midnight|fortnight|decade"
        ),
        (
            r"twent|thirt|fort[yi]|fift[yi]|sixt[yi]|sevent[yi]|eight[yi]|ninet[yi]|hundred|thousand|million|billion|"
            r"trillion|dozen|centur|decade"
        ),
    ),
    "de": (
        (
            r"drei|dritt|vier|fünf|sechs|sieb(?:en|t|zehn)|acht\b|achte[nrsm]?\b|achtzehn|neun|zehn|elf\b|elft|zwölf|"
            r"dutzend|halb|viertel|mittag|mitternacht"
        ),
        (
            "zwanzig|dreißig|vierzig|fünfzig|sechzig|siebzig|achtzig|neunzig|hundert|tausend|million|milliard|"
            "jahrhundert|jahrzehnt"
            r"|\w{1,6}und(?:zwanzig|dreißig|vierzig|fünfzig|sechzig|siebzig|achtzig|neunzig)|(?:zwei|drei|vier|fünf|"
            r"sechs|sieben|acht|neun)(?:hundert|tausend)"
        ),
    ),
    "fr": (
        (
            r"trois|tiers|tripl|quat|quart|cinq|six|sept\b|septi|huit|neuf|neuvi|dix|onz|douz|treiz|quinz|seiz|midi\b|"
            r"minuit"
        ),
        (
            r"vingt|trent|quarant|cinquant|soixant|septant|nonant|quatre-vingt|cents?\b|centain|centi|mille|million|"
            r"milliard|siècle"
        ),
    ),
    "es": (
        (
            r"tres\b|terc[ei]|tripl|cuatr|cuart|cinc|quint|seis\b|sext[oa]|siete|sépti|ocho|octav|nueve|noven|diez|décim|"
            r"once\b|doce|docena|trece|catorce|quince|mediod|mediano"
        ),
        (
            r"veint|treint|cuarent|cincuent|sesent|setent|ochent|novent|cien\b|cient[oa]|centenar|doscient|trescient|"
            r"quinient|mil\b|miles\b|millar|mill[oó]n|siglo"
        ),
    ),
    "it": (
        (
            r"tre\b|terz|tripl|quattr|quart|cinque|quint|sei\b|sest[oaie]\b|sette\b|settim[oaie]\b|otto|ottav|nove\b|"
            r"nono|dieci|decim|undic|dodic|dozzin|tredic|quindic|mezzogiorno|mezzanotte"
        ),
        (
            r"vent[iu]|trent|quarant|cinquant|sessant|settant|ottant|novant|cento|centina|duecent|trecent|mille|mila|"
            r"\w{2,8}mila\b|milion|miliard|secol"
        ),
    ),
    "pt": (
        (
            "três|terc|tripl|quatr|quart|cinc|quint|seis|sext|sete\\b|sétim|oito|oitav|nove\\b|nono|dez\\b|décim|onze|"
            "doze|dúzia|treze|quatorze|catorze|quinze|meio-dia|meia-noite"
        ),
        (
            "vint|trint|quarent|cinquent|sessent|setent|oitent|novent|cem\\b|cento\\b|centen|duzent|trezent|quinhent|"
            "mil\\b|milh(?:ão|ões|ar)|sécul"
        ),
    ),
    "nl": (
        (
            r"drie|derd|vier|vijf|zes|zeven|acht\b|achtste|achttien|negen|tien|elf\b|elfde|twaalf|dozijn|half|kwart|"
            r"dertien|veertien"
        ),
        (
            r"twintig|dertig|veertig|vijftig|zestig|zeventig|tachtig|negentig|honderd|duizend|miljoen|miljard|eeuw|"
            r"\w{1,6}(?:en|ën)(?:twintig|dertig|veertig|vijftig|zestig|zeventig|tachtig|negentig)|(?:twee|drie|vier|"
            r"vijf|zes|zeven|acht|negen)(?:honderd|duizend)"
        ),
    ),
    "sv": (
        (
            r"tre\b|tredj|fyra|fjärd|fem\b|femt|sex|sju|sjät|åtta|åtton|nio|nion|tio\b|tion|elva|elft|tolv|tolft|dussin|"
            r"halv|kvart"
        ),
        "tjugo|trettio|fyrtio|femtio|sextio|sjuttio|åttio|nittio|hundra|tusen|miljon|miljard|århundr",
    ),
    "da": (
        (
            "tre\\b|tredj|fire|fjerd|fem\\b|femt|seks|sjet|syv|otte|ni\\b|niend|ti\\b|tiend|elleve|ellev|tolv|dusin|"
            "halv|kvart"
        ),
        "tyve|tredive|fyrre|halvtreds|tres\\b|halvfjerds|firs|halvfems|hundred|tusind|million|milliard|århundred",
    ),
    "nb": (
        (
            "tre\\b|tredj|fire|fjerd|fem\\b|femt|seks|sjett|sju|syv|åtte|ni\\b|niend|ti\\b|tiend|elleve|ellev|tolv|"
            "dusin|halv|kvart"
        ),
        "tjue|tretti|førti|femti|seksti|sytti|åtti|nitti|hundre|tusen|million|milliard|århundre",
    ),
    "fi": (
        "kolm|neljä|neljän|neljä|viisi|viid|viit|kuusi|kuud|kuut|seitsem|kahdeks|yhdeks|kymmen|tusina|puol",
        "kaksikymmen|kolmekymmen|neljäkymmen|viisikymmen|sata|sada|tuhan|tuhat|miljoon|miljard|vuosisa",
    ),
    "pl": (
        (
            "trzy|trzech|trzem|trzeci|czter|czwart|pięć|pięci|piąt|sześć|sześci|szóst|siedem|siedmi|siódm|osiem|ośmi|"
            "ósm|dziewięć|dziewięci|"
            "dziewiąt|dziesięć|dziesięci|dziesiąt|jedena|dwana|tuzin"
        ),
        (
            "dwadzie|trzydzie|czterdzie|pięćdzie|sześćdzie|siedemdzie|osiemdzie|dziewięćdzie|sto\\b|stu\\b|setk|"
            "dwieście|trzysta|tysi|milion|miliard|wiek(?:u|i|ów)?\\b"
        ),
    ),
    "cs": (
        "tři|třech|třem|třet|čtyř|čtvrt|pět|pěti|pát|šest|sedm|osm|devět|devít|deset|desít|jedenáct|dvanáct|tucet",
        (
            "dvacet|dvacát|třicet|čtyřicet|padesát|šedesát|sedmdesát|osmdesát|devadesát|sto\\b|set\\b|stovk|tisíc|"
            "milion|miliard|stolet"
        ),
    ),
    "ru": (
        (
            r"три\b|трижды|тринадц|трёх|трех|трём|трем\b|трет[ьи]|трое|четыр|четвер|четвёр|пят|шест|сем(?:ь|и|ью)\b|"
            r"семнадц|седьм|восем|восьм|девят|десят|одиннадцат|двенадцат|дюжин|полдень|полноч"
        ),
        (
            "двадцат|тридцат|сорок|пятьдесят|шестьдесят|семьдесят|восемьдесят|девяност|сто\\b|ста\\b|сот(?:ен|ня|ни|"
            "ню)?\\b|двест|трист|тысяч|миллион|миллиард|век(?:а|е|ов|у)?\\b|столет"
        ),
    ),
    "uk": (
        (
            r"три\b|тричі|тринадц|трьох|трьом|трет[іья]|чотир|четвер|п['’ʼ]ят|шіст|шест|сім\b|сімнадц|сьом|вісім|восьм|"
            r"дев['’ʼ]ят|десят|одинадцят|дванадцят|дюжин"
        ),
        (
            "двадцят|тридцят|сорок|п['’ʼ]ятдесят|шістдесят|сімдесят|вісімдесят|дев['’ʼ]яност|сто\\b|ста\\b|сот(?:ень|ня|"
            "ні|ню)?\\b|тисяч|мільйон|мільярд|століт"
        ),
    ),
    "el": (
        (
            "τρεις|τρία|τριών|τρίτ|τέσσερ|τεσσάρ|τέταρτ|πέντε|πέμπτ|έξι\\b|έκτ[οηα]ς?\\b|επτά|εφτά|έβδομ|οκτώ|οχτώ|όγδο|"
            "εννέα|εννιά|ένατ|δέκα|δέκατ|έντεκα|δώδεκα"
        ),
        (
            "είκοσι|τριάντα|σαράντα|πενήντα|εξήντα|εβδομήντα|ογδόντα|ενενήντα|εκατό|διακόσι|τριακόσι|χίλι|χιλιάδ|"
            "εκατομμύρι|δισεκατομμύρι|αιώνα"
        ),
    ),
    "tr": (
        (
            r"üç|dört|dörd|beş|altı\b|altıncı|yedi|sekiz|dokuz|on\b|onuncu|on(?:bir|iki|üç|dört|beş|altı|yedi|sekiz|"
            r"dokuz)|düzine|yarım|çeyrek"
        ),
        "yirmi|otuz|kırk|elli|altmış|yetmiş|seksen|doksan|yüz|bin\\b|binlerce|milyon|milyar|yüzyıl",
    ),
    "ar": (
        (
            "(?:[وبلف]|ال)?(?:ثلاث|ثالث|أربع|رابع|خمس|خامس|ست[ةّ]?\\b|سادس|سبع|سابع|ثمان|ثامن|تسع|تاسع|عشر|عاشر|أحد عشر|"
            "اثن)"
        ),
        (
            "(?:[وبلف]|ال)?(?:عشرون|عشرين|ثلاثون|ثلاثين|أربعين|أربعون|خمسين|خمسون|ستين|ستون|سبعين|سبعون|ثمانين|ثمانون|"
            "تسعين|تسعون|مئة|مائة|مئات|مئت|ألف|آلاف|مليون|ملايين|مليار|قرن)"
        ),
    ),
    "he": (
        "[והבלמ]{0,2}(?:שלוש|שליש|ארבע|רביע|חמש|חמיש|חמיש|שש|שיש|שבע|שביע|שמונ|שמינ|תשע|תשיע|עשר|עשיר|אחד עשר|תריסר)",
        (
            "[והבלמ]{0,2}(?:עשרים|שלושים|ארבעים|חמישים|שישים|שבעים|שמונים|תשעים|מאה|מאות|מאתיים|אלף|אלפים|אלפי|מיליון|"
            "מיליארד)"
        ),
    ),
    "hi": (
        "तीन|तीसर|चार|चौथ|पाँच|पांच|पाँचव|पांचव|छह|छः|छ:|छठ|सात|आठ|नौ\\b|दस\\b|ग्यारह|बारह|तेरह|दर्जन|आधा|आधे",
        "बीस|तीस|चालीस|पचास|साठ|सत्तर|अस्सी|नब्बे|सौ\\b|हज़ार|हजार|लाख|करोड़|मिलियन|अरब|सदी|शताब्दी",
    ),
    "ko": (
        (
            r"(?<!\p{L})(?:세|네|석|넉|열)\s|셋|넷|다섯|여섯|일곱|여덟|아홉|열(?=한|두|세|네|다섯|여섯|일곱|여덟|아홉)|"
            r"정오|자정"
        ),
        r"스물|스무|서른|마흔|쉰|예순|일흔|여든|아흔|[백천만](?=\s|명|개|년)|수백|수천|수만|이십|삼십|사십|오십|세기",
    ),
    "ja": ("みっつ|三つ|よっつ|いつつ|むっつ|ななつ|やっつ|ここのつ|とお|半", "二十歳|はたち"),
    "id": (
        (
            "tiga|ketiga|empat|keempat|lima|kelima|enam|keenam|tujuh|ketujuh|delapan|sembilan|sepuluh|sebelas|dua belas|"
            "selusin"
        ),
        "puluh|ratus|seratus|ribu|seribu|juta|miliar|abad",
    ),
    "vi": ("ba\\b|bốn|tư\\b|năm|sáu|bảy|tám|chín|mười|tá\\b", "mươi|trăm|nghìn|ngàn|vạn|triệu|tỷ|tỉ|thế kỷ"),
    "hu": (
        r"három|harmad|hárm|négy|negyed|öt\b|ötöd|hat\b|hatod|hét\b|heted|nyolc|kilenc|tíz|tize|tucat|fél",
        "húsz|husz|harminc|negyven|ötven|hatvan|hetven|nyolcvan|kilencven|száz|ezer|millió|milliárd|század",
    ),
    "ro": (
        "trei|treia|treilea|patru|patra|patrulea|cinci|șase|șapte|opt\\b|optul|nouă|zece|unsprezece|doisprezece|duzin",
        (
            "douăzeci|treizeci|patruzeci|cincizeci|șaizeci|șaptezeci|optzeci|nouăzeci|sut[ăe]|mie\\b|mii\\b|milio|"
            "miliard|secol"
        ),
    ),
}
"""Language -> a pattern of the words for 3 to 19, and a pattern of the words for tens, hundreds and thousands."""

_SAME: Final = {"no": "nb", "nn": "nb", "ms": "id"}
_UNSPACED: Final = frozenset(("ja", "ko"))


@cache
def number_words(language: str | None) -> tuple[regex.Pattern[str], regex.Pattern[str]] | None:
    """Return a language's patterns of the words for small and for large numbers; None if they are not known here."""
    code = primary(language)
    if (found := WORDS.get(_SAME.get(code, code))) is None:
        return None
    before = "" if code in _UNSPACED else r"(?<![\w'’])(?:[ldLD]['’])?"
    small, large = (regex.compile(f"{before}(?:{words})", regex.IGNORECASE) for words in found)
    return small, large
