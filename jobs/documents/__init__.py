"""Reads documents and catalogues as segments to translate, and writes the same file again with the translations in their places.

No renderer gives back the file that its parser read. So a format does not render: it cuts the source into pieces by the positions
of a parser. A piece is either text that stays as it is, or a *slot* that holds one or more segments. Joined, the pieces are the
source again, and a translated file differs from it in the slots of translated segments alone.

- `document.py`: segments, slots, and the protocol of a format
- `source.py`: an open file as text, in the encoding that it has
- `rebuilding.py`: the segments of a file, and the file with translations
- `registry.py`: which format a file has
- `pages/`: Markdown and HTML
- `message.py`: the slot of a message, as most catalogues have it
- `catalogues/`: messages of programs
- `tables/`: string tables, which hold all languages in one file
- `exchange/`: XLIFF and subtitles, which translators send each other

What a translation keeps as it is, and how it is masked for a model, is in `jobs/marks/`.
"""
