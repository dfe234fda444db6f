"""Function words: articles, prepositions, conjunctions and the like, by language. A title does not end in one.

Only words that join the words after them are listed, so that no title loses a last word that it may end in. A word that may also
end a sentence, such as the `in` of `they moved in`, is listed too, since a title is complete without it.
"""

# ruff: noqa: RUF001 - words of other scripts

from collections.abc import Mapping
from typing import Final

from jobs.writing.words.words import primary

_LISTS: Final[Mapping[str, str]] = {
    "en": "a an the and or but nor of in on at to for from with without by as into onto over under about between through "
    "during before after against until than that which who whose whom this these those my your our their his her its is are was "
    "were be been being am has have had do does did will would can could should may might must if when while because so how "
    "what why where not very more most only also such some any each every no it we you they he she i",
    "de": "der die das den dem des ein eine einen einem einer eines und oder aber denn von vom zu zum zur in im ins an am "
    "auf aus bei beim mit nach seit für gegen ohne um über unter vor hinter neben zwischen durch bis als wie dass weil wenn "
    "ob ist sind war wird werden hat haben kann können sich ihr ihre ihren sein seine mein meine dein deine unser unsere "
    "kein keine nicht sehr mehr so dieser diese dieses diesem diesen obwohl falls sobald solange sondern damit wegen "
    "trotz jede jeder jedes man er sie es wir ich",
    "fr": "le la les l un une des du de d au aux et ou mais donc or ni car à en dans sur sous par pour avec sans chez vers "
    "entre depuis pendant avant après contre que qu qui dont où quand comme si ce cet cette ces mon ma mes ton ta tes son sa "
    "ses notre nos votre vos leur leurs est sont était être a ont ne pas plus très se il elle ils elles on nous vous je tu",
    "es": "el la los las un una unos unas y e o u pero ni de del a al en con sin por para sobre entre desde hasta hacia "
    "según durante tras que cual cuyo donde cuando como si este esta estos estas ese esa su sus mi mis tu tus nuestro "
    "nuestra es son era fue ser ha han no muy más se le les lo",
    "it": "il lo la i gli le l un uno una e ed o ma né di del dello della dei degli delle a ad al allo alla ai agli alle da "
    "dal dallo dalla dai dagli dalle in nel nello nella nei negli nelle con su sul sullo sulla sui sugli sulle per tra fra "
    "che cui chi dove quando come se questo questa questi queste suo sua suoi sue è sono era ha hanno non molto più si",
    "pt": "o a os as um uma uns umas e ou mas nem de do da dos das em no na nos nas a ao aos à às com sem por pelo pela "
    "pelos pelas para sobre entre desde até que qual onde quando como se este esta estes estas esse essa seu sua seus suas "
    "é são era foi ser tem têm não muito mais",
    "nl": "de het een en of maar want van in op aan te tot voor met zonder bij uit over onder door naar om tussen na tegen "
    "als dat die dit deze wie wat waar hoe wanneer omdat is zijn was wordt worden heeft hebben kan niet zeer meer je uw "
    "hun haar zijn ons onze mijn er",
    "sv": "en ett den det de och eller men av i på till för från med utan vid om som att när där hur är var har kan inte "
    "mycket mer din ditt dina sin sitt sina vår vårt våra deras under över genom mellan",
    "da": "en et den det de og eller men af i på til for fra med uden ved om som at når hvor hvordan er var har kan ikke "
    "meget mere din dit dine sin sit sine vores deres under over gennem mellem",
    "nb": "en et ei den det de og eller men av i på til for fra med uten ved om som at når hvor hvordan er var har kan "
    "ikke veldig mer din ditt dine sin sitt sine vår vårt våre deres under over gjennom mellom",
    "pl": "i oraz a ale lub albo czy ani w we z ze na do od dla o u po przez przy pod nad przed za między bez ku że żeby "
    "gdy kiedy jak jako który która które co się jest są był nie bardzo bardziej twój twoja twoje swój swoje ich jego jej",
    "cs": "a i ale nebo či ani v ve z ze na do od pro o u po přes při pod nad před za mezi bez k ke s se že aby když jak "
    "jako který která které co je jsou byl si ne velmi více váš vaše svůj své jejich jeho její",
    "ru": "и а но или либо ни в во на с со из изо от до для о об у по при под над перед за между без к ко через про что "
    "чтобы когда как если который которая которое которые где это эта этот эти ваш ваша ваши свой свои их его её не очень "
    "более самый самые",
    "uk": "і й та а але або чи ні в у на з із зі від до для о об по при під над перед за між без к через про що щоб коли "
    "як якщо який яка яке які де це ця цей ці ваш ваша ваші свій свої їх його її не дуже більш",
    "el": "ο η το οι τα του της των τον την τους τις ένας μια μία ένα και ή αλλά ούτε σε στο στη στην στον στα στους στις "
    "από για με χωρίς προς κατά μετά πριν ως σαν ότι πως που όταν όπως αν να θα είναι ήταν δεν μην πολύ πιο τους",
    "ar": "و أو ثم لكن في من إلى على عن مع بدون بين حتى منذ خلال عند بعد قبل أن إن التي الذي الذين هذا هذه ذلك تلك كل "
    "لا ما لم لن قد هل كيف هو هي",
    "he": "של את על אל עם בין או אבל כי אם כמו כדי זה זו אלה הוא היא לא כל עד מן אשר",
    "hi": "का की के को में से पर तक और या लेकिन कि जो यह वह ये वे एक इस उस अपने अपनी अपना है हैं था थे थी के लिए भी ही न नहीं",
    "tr": "ve veya ya ile için gibi kadar ama fakat bir bu şu o ki da de çok daha en",
    "id": "dan atau tetapi di ke dari pada untuk dengan tanpa oleh yang ini itu adalah akan dapat bisa tidak sangat lebih "
    "sebuah seorang para dalam antara sebagai agar karena",
    "vi": "và hoặc nhưng của ở trong trên dưới với cho từ đến để về bằng do vì khi nếu như là một những các này đó không "
    "rất hơn",
    "ro": "și sau dar nici de din la în pe cu fără pentru prin despre între spre până un o unei unui niște ca că să care "
    "când cum dacă este sunt era nu foarte mai al ai ale lui",
    "hu": "a az egy és vagy de hogy ha mint is nem nagyon",
    "fi": "ja tai mutta sekä että jos kun kuin on ovat oli ei hyvin",
}
_SAME_AS: Final = {"no": "nb", "nn": "nb", "sk": "cs", "be": "ru", "bg": "ru", "ms": "id", "ca": "es", "gl": "pt"}
_ELIDED: Final = ("'", "\u2019")
FUNCTION_WORDS: Final[Mapping[str, frozenset[str]]] = {code: frozenset(text.split()) for code, text in _LISTS.items()}


def function_words(language: str | None) -> frozenset[str]:
    """Return the function words of a language in lower case; none if they are not known."""
    code = primary(language)
    return FUNCTION_WORDS.get(_SAME_AS.get(code, code), frozenset())


def is_function_word(word: str, language: str | None) -> bool:
    """Whether a word, without signs around it, is a function word: `the`, `and`, `l'`."""
    return word.lower() in function_words(language) or word.endswith(_ELIDED)
