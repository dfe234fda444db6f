"""Defaults: the languages that stand for one another where a family of models has only one of them, each with its reason.

Most are macrolanguages of ISO 639-3: a tag such as `ar` covers many languages, and a family may have only its usual member
(`arb`), or the other way round. Regions and scripts that decide between two codes stand here too. Everything else follows from
the tag itself and from the likely subtags of CLDR.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Default:
    """Takes `code` for `tag` if a family lacks `tag`. If `both` is true, it takes `tag` for `code` too.

    Args:
        tag: A language, or a language with a script or a region, as CLDR has it.
        code: The language that is taken for it.
        reason: Why, as a sentence.
        both: Whether the two are so nearly one language that each stands for the other.
    """

    tag: str
    code: str
    reason: str
    both: bool = True


DEFAULTS: Final = (
    Default(
        "ar",
        "arb",
        "Without more, Arabic is Modern Standard Arabic, in every country; dialects have tags of their own.",
    ),
    Default("ay", "ayr", "Central Aymara has most speakers of Aymara."),
    Default("az", "azj", "North Azerbaijani is the language of Azerbaijan, in Latin script."),
    Default("az-Arab", "azb", "Azerbaijani in Arabic script is South Azerbaijani, the language of Iran."),
    Default(
        "ber", "tzm-Tfng", "The tag of all Berber languages; Tamazight in Tifinagh is the written standard.", both=False
    ),
    Default("ber-Latn", "kab", "Most texts in a Berber language in Latin script are Kabyle.", both=False),
    Default("bh", "bho", "The tag of the Bihari languages; Bhojpuri has most speakers.", both=False),
    Default("bik", "bcl", "Central Bikol is the standard of the Bikol languages."),
    Default("din", "dik", "Southwestern Dinka is the Dinka that NLLB has."),
    Default("et", "ekk", "Standard Estonian; the other member, Võro, has a tag of its own."),
    Default("fa", "pes", "Without a region, Persian is that of Iran; written Dari is its nearest kin."),
    Default("prs", "fa", "Dari and the Persian of Iran share their written standard.", both=False),
    Default("ff", "fuv", "Nigerian Fulfulde is the Fulah that has most speakers."),
    Default("gn", "gug", "Paraguayan Guaraní is the official language of Paraguay."),
    Default("kok", "gom", "Goan Konkani is the Konkani with a written standard."),
    Default("ku", "kmr", "Without a script, Kurdish is Kurmanji in Latin script (CLDR)."),
    Default("ku-Arab", "ckb", "Kurdish in Arabic script is mostly Sorani, the official language in Iraq."),
    Default("ku-IQ", "ckb", "The Kurdish of Iraq is mostly Sorani, the official one there.", both=False),
    Default("ku-IR", "ckb", "The Kurdish of Iran is mostly Sorani.", both=False),
    Default("kr", "knc", "Central Kanuri has most speakers of Kanuri."),
    Default("lv", "lvs", "Standard Latvian; the other member, Latgalian, has a tag of its own (ltg)."),
    Default("mg", "plt", "Plateau Malagasy is the standard language of Madagascar."),
    Default("mn", "khk", "Halh Mongolian in Cyrillic is the standard of Mongolia."),
    Default(
        "ms",
        "zsm",
        "Standard Malay is the language of Malaysia, Brunei and Singapore; Indonesian has a tag of its own.",
    ),
    Default("ne", "npi", "Nepali proper; the other member, Dotyali, has a tag of its own."),
    Default("no", "nb", "Norwegian without a form is mostly Bokmål, in use and in the corpora of the models."),
    Default("om", "gaz", "West Central Oromo is the basis of the written standard."),
    Default("or", "ory", "Odia proper; the other members are small."),
    Default(
        "ps", "pbt", "Southern Pashto, of Kandahar, is the Pashto that NLLB has; the written language is much the same."
    ),
    Default(
        "qu",
        "quy",
        "Ayacucho Quechua is the Quechua that NLLB has; it is close to that of Cusco, which has most speakers.",
    ),
    Default(
        "quz", "quy", "Cusco and Ayacucho Quechua are both Southern Quechua, with one written standard.", both=False
    ),
    Default(
        "sq",
        "als",
        "Standard Albanian is made on Tosk. (In the tags of Wikipedia, als is Alemannic; in BCP 47 that is gsw.)",
    ),
    Default("sw", "swh", "Swahili proper, of Kenya and Tanzania; that of Congo (sw-CD) shares its written standard."),
    Default("tw", "ak", "Twi is the Akan that has most speakers and texts.", both=False),
    Default("uz", "uzn", "Northern Uzbek is the language of Uzbekistan, in Latin script."),
    Default("uz-Arab", "uzs", "Uzbek in Arabic script is Southern Uzbek, of Afghanistan."),
    Default("yi", "ydd", "Eastern Yiddish is the Yiddish of today."),
    Default(
        "zgh",
        "tzm-Tfng",
        "The texts that NLLB has under the code of Central Atlas Tamazight are in Tifinagh, as those of Morocco's standard.",
    ),
    Default("zh", "cmn", "Without more, Chinese is written Mandarin; the script decides between its codes."),
    Default("zza", "diq", "The Wikipedia in Zaza is in Southern Zaza."),
)

PARTNERS: Final[Mapping[str, tuple[str, ...]]] = {
    tag: tuple(
        dict.fromkeys(
            [one.code for one in DEFAULTS if one.tag == tag]
            + [one.tag for one in DEFAULTS if one.both and one.code == tag]
        )
    )
    for tag in {tag for one in DEFAULTS for tag in ((one.tag, one.code) if one.both else (one.tag,))}
}
"""Language, or language and script -> what may stand for it, the nearest first."""
