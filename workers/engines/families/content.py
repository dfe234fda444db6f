"""Content is the text that a user wants translated. It is encoded so that it holds no control token.

Control tokens are the special tokens of a tokenizer and its tokens for languages. A tokenizer of transformers turns the text of
such a token, such as `</s>`, `fr_XX` or `>>fra<<`, into the token itself wherever a user writes it: the model would end the text
there, or translate into another language.
"""

from collections.abc import Iterable
from typing import Any

from workers.engines.text.control import ControlTexts, Forged


class Content:
    """Encodes content for one tokenizer, and decodes what the model writes.

    Args:
        tokenizer: A tokenizer of transformers.
        language_tokens: Its tokens for languages.
    """

    def __init__(self, tokenizer: Any, language_tokens: Iterable[int]) -> None:
        self._tokenizer = tokenizer
        languages = set(language_tokens)
        special = languages | set(tokenizer.all_special_ids)
        special |= {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
        self.control = frozenset(special - {tokenizer.unk_token_id})
        self._named = frozenset(tokenizer.get_vocab().values())
        self._sentencepiece: Any = getattr(tokenizer, "spm_source", None) or getattr(tokenizer, "sp_model", None)
        # a decoder of Marian may take the pieces of the source language, unless it is told not to
        self._options = {"use_source_tokenizer": False} if hasattr(tokenizer, "spm_target") else {}
        self._space: int | None = tokenizer.get_vocab().get("\u2581")
        self._texts = None if self._sentencepiece else ControlTexts(_Marked(tokenizer, languages), "", ())

    def encode(self, text: str) -> list[int]:
        """Return the tokens of content, without those that the model reads around it.

        Raises:
            Forged: The text holds the text of a control token, and the tokenizer cannot write it as ordinary characters.
        """
        if self._texts is not None:
            return self._without_control(self._texts, text)
        tokens: list[int] = []
        for piece in self._sentencepiece.encode(text, out_type=str):
            token = self._token(piece)
            tokens += [token] if token not in self.control else self._spelled(piece)
        return tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens. Control tokens have no text, and those of the network that the tokenizer does not name."""
        kept = [token for token in tokens if token in self._named and token not in self.control]
        found = self._tokenizer.decode(
            kept, skip_special_tokens=True, clean_up_tokenization_spaces=False, **self._options
        )
        return str(found)

    def shown(self, token: int) -> str:
        """Return the text of one token. A control token is shown by its name."""
        return str(self._tokenizer.decode([token], skip_special_tokens=False, **self._options))

    def _without_control(self, texts: ControlTexts, text: str) -> list[int]:
        """Return the tokens of content. The texts of control tokens in it are spelled out.

        A piece of SentencePiece begins with the space before it, so the space before a text that is spelled out is a token of its
        own.
        """
        if not (spans := texts.spans(text)):
            return self._plain(text)
        tokens: list[int] = []
        place = 0
        for start, end in [*spans, (len(text), len(text))]:
            clean = text[place:start]
            if words := clean.strip():
                joins = place > 0 and not clean[0].isspace()
                tokens += texts.following(words) if joins else self._plain(words)
            if start < end:
                tokens += [self._space] if self._space is not None and (not start or clean[-1:].isspace()) else []
                tokens += texts.content(text[start:end])
            place = end
        if self.control.intersection(tokens):
            raise Forged(text)
        return tokens

    def _plain(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _token(self, piece: str) -> int:
        """Return the token of a piece of SentencePiece. A piece that the vocabulary lacks becomes the unknown token."""
        found = self._tokenizer.encoder.get(piece)
        return int(self._tokenizer.unk_token_id if found is None else found)

    def _spelled(self, piece: str) -> list[int]:
        """Return the tokens of the single characters of a piece.

        Raises:
            Forged: One of them is a control token, or is not in the vocabulary.
        """
        tokens = [self._token(character) for character in piece]
        if self.control.intersection(tokens) or self._tokenizer.unk_token_id in tokens:
            raise Forged(piece)
        return tokens


class _Marked:
    """A tokenizer whose tokens for languages count as special."""

    def __init__(self, tokenizer: Any, language_tokens: Iterable[int]) -> None:
        self._tokenizer = tokenizer
        ids = dict.fromkeys([*tokenizer.all_special_ids, *sorted(language_tokens)])
        self.all_special_ids = list(ids)
        self.all_special_tokens = [tokenizer.convert_ids_to_tokens(token) for token in ids]

    def __call__(self, text: str, **options: Any) -> Any:
        return self._tokenizer(text, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)
