"""Measures how wide a text is on a page of search results, in characters and in pixels."""

import unicodedata
from typing import Final

from jobs.writing.characters import clusters

_WIDE: Final = "WF"

# Widths of Arial (and Helvetica) in thousandths of the size of the font.
_WIDTHS: Final = {
    width: frozenset(signs)
    for width, signs in {
        191: "'",
        222: "ijl",
        260: "|",
        278: " !,./:;I[\\]ft",
        333: "()-`r",
        334: "{}",
        355: '"',
        389: "*",
        469: "^",
        500: "Jckcsvxyz",
        556: "#$0123456789?L_abdeghnopqu",
        584: "+<=>~",
        611: "FTZ",
        667: "&ABEKPSVXY",
        722: "CDHNRUw",
        778: "GOQ",
        833: "Mm",
        889: "%",
        944: "W",
        1015: "@",
    }.items()
}
_WIDTH_OF: Final = {sign: width for width, signs in _WIDTHS.items() for sign in signs}
_OTHER_WIDTH: Final = 556
_FONT_SIZE: Final = 20


def shown_length(text: str) -> int:
    """Count the characters as a reader sees them. An ideograph or any other sign of double width counts as two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(cluster[0]) in _WIDE else 1 for cluster in clusters(text))


def pixels(text: str) -> int:
    """Return about how wide a text is in Arial of 20 pixels. A letter of another script counts as an average one."""
    total = 0
    for sign in unicodedata.normalize("NFD", text):
        if unicodedata.east_asian_width(sign) in _WIDE:
            total += 1000
        elif not unicodedata.category(sign).startswith("M"):
            total += _WIDTH_OF.get(sign, _OTHER_WIDTH)
    return round(total * _FONT_SIZE / 1000)
