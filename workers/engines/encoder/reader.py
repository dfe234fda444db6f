"""The reader turns a request into the tokens that an encoder reads, or says why the model cannot take it.

A special token that stands in a text, such as `[SEP]`, is read as ordinary characters. Only the mark of a gap becomes a mask
token.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs.generation import Completion, Encodable, Encoding, Fault, GenerationRequest, Wanted
from workers.engines.encoder.detection import Task
from workers.engines.encoder.sentence_files import SentenceFiles

UNLIMITED: Final = 1_000_000
"""A tokenizer without a limit names one that is larger than this."""

_OFFSET: Final = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer", "xmod", "ibert"}
)
"""The types of networks whose first positions are taken by the padding."""

_CAN: Final[Mapping[Task, tuple[Wanted, ...]]] = {
    "classes": ("classes",),
    "fills": ("fills", "vector"),
    "vectors": ("vector",),
}
_WORDS: Final[Mapping[Wanted, str]] = {
    "classes": "classifies no texts: take a classifier",
    "fills": "fills no gaps: take a model that was trained to",
    "vector": "embeds no texts: take a model that does",
    "nothing": "",
}


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """A request, what it asks, and the tokens that the model reads for it. `classes` are the numbers of the wanted classes."""

    request: GenerationRequest
    asked: Encodable
    tokens: list[int]
    prompt_sha256: str
    classes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads requests for one model.

    Args:
        tokenizer: A tokenizer of transformers.
        task: What the model does.
        files: How it makes vectors.
        vocabulary: The number of tokens of the network.
        size: The numbers of a vector.
        longest: The most tokens of a text; None if there is no limit.
        classes: The names of the classes of a classifier.
    """

    tokenizer: Any
    task: Task
    files: SentenceFiles
    vocabulary: int
    size: int
    longest: int | None = None
    classes: tuple[str, ...] = ()

    @property
    def pad(self) -> int:
        """The token that fills up the shorter texts of a batch."""
        found = self.tokenizer.pad_token_id
        return 0 if found is None else int(found)

    @property
    def mask_token(self) -> int:
        """The token of a gap; -1 if the model has none."""
        found = self.tokenizer.mask_token_id
        return -1 if found is None else int(found)

    def text_of(self, token: int) -> str:
        """Return the text of one token, without white space around it."""
        return str(self.tokenizer.decode([token])).strip()

    def read(self, request: GenerationRequest) -> EncoderInput | Fault | Completion:
        """Return what the model reads for a request. Or a Fault that says why it cannot run, or its completion if it wants
        nothing.
        """
        asked = request.prompt.encodable
        if asked is None:
            return Fault(
                "unsupported_kind", "The model only encodes, and the prompt wants a text: take one that writes."
            )
        if asked.wanted == "nothing":
            return Completion(request.request_id, "", "stop", encoding=Encoding())
        if fault := self._unsupported(request.prompt.adapter, asked):
            return fault
        try:
            return self._encoded(request, asked)
        except Exception as error:  # noqa: BLE001 - a text that breaks the tokenizer must fail alone
            return Fault("generation_failed", f"The text cannot be turned into tokens: {error!r}")

    def _unsupported(self, adapter: str | None, asked: Encodable) -> Fault | None:
        """Return a Fault if a request asks for something that this model cannot do; else None."""
        if adapter is not None:
            return Fault("unknown_adapter", f"The model has no adapter {adapter}.")
        if asked.wanted not in _CAN[self.task]:
            return Fault("unsupported_kind", f"The model {_WORDS[asked.wanted]}.")
        if not asked.text.strip():
            return Fault("empty_prompt", "The text has no words.")
        if asked.dimensions is not None and asked.dimensions > self.size:
            return Fault("out_of_range", f"dimensions is {asked.dimensions}; a vector of the model has {self.size}.")
        return None

    def _encoded(self, request: GenerationRequest, asked: Encodable) -> EncoderInput | Fault:
        classes = tuple(self._class_of(name) for name in asked.classes)
        if -1 in classes:
            missing, known = asked.classes[classes.index(-1)], ", ".join(self.classes)
            message = (
                f"The model has no class {missing!r}: take labels of its own ({known}), or name them in class_names."
            )
            return Fault("out_of_range", message)
        tokens = self._gapped(asked) if asked.wanted == "fills" else self._plain(asked)
        if isinstance(tokens, Fault):
            return tokens
        if fault := self._fault(tokens):
            return fault
        digest = hashlib.sha256(repr(tokens).encode()).hexdigest()
        return EncoderInput(request, asked, tokens, digest, classes)

    def _class_of(self, name: str) -> int:
        """Return the number of a class, by its name or by its name in another case; -1 if the model lacks it."""
        if name in self.classes:
            return self.classes.index(name)
        folded = [one.casefold() for one in self.classes]
        return folded.index(name.casefold()) if folded.count(name.casefold()) == 1 else -1

    def _plain(self, asked: Encodable) -> list[int]:
        prefix = asked.prefix if asked.prefix is not None else self.files.prefix
        text = f"{prefix}{asked.text}" if asked.wanted == "vector" else asked.text
        cut = {"truncation": True, "max_length": self.longest} if asked.truncate and self.longest else {}
        return list(self.tokenizer(text, split_special_tokens=True, verbose=False, **cut)["input_ids"])

    def _gapped(self, asked: Encodable) -> list[int] | Fault:
        """Return the tokens of a text with gaps. Any other special token in the text is a Fault."""
        mask = str(self.tokenizer.mask_token)
        gaps = asked.text.count(asked.mark)
        text = asked.text.replace(asked.mark, mask)
        tokens = list(self.tokenizer(text, verbose=False)["input_ids"])
        special = set(self.tokenizer.all_special_ids) - {self.tokenizer.unk_token_id}
        around = Counter(self.tokenizer("", verbose=False)["input_ids"]) + Counter({self.tokenizer.mask_token_id: gaps})
        found = Counter(token for token in tokens if token in special)
        if found != Counter({token: count for token, count in around.items() if token in special}):
            message = (
                "The text holds the text of a special token of the model: remove it, or write its gaps as the mark."
            )
            return Fault("forged_turn", message)
        return tokens

    def _fault(self, tokens: list[int]) -> Fault | None:
        if not tokens:
            return Fault("empty_prompt", "The text has no tokens.")
        if self.longest is not None and len(tokens) > self.longest:
            message = f"A text of {len(tokens)} tokens is longer than the {self.longest} that the model reads: cut it into parts."
            return Fault("prompt_too_long", message)
        if (largest := max(tokens)) >= self.vocabulary:
            return Fault("token_out_of_range", f"The text holds token {largest}; the model has {self.vocabulary}.")
        return None


def longest_of(tokenizer: Any, config: Any, files: SentenceFiles) -> int | None:
    """Return the most tokens that a model reads, the special ones among them; None if there is no limit."""
    limits = [int(tokenizer.model_max_length)] if tokenizer.model_max_length < UNLIMITED else []
    positions = getattr(config, "max_position_embeddings", None)
    if positions and positions > 0:
        padding = getattr(config, "pad_token_id", None) or 0
        limits.append(int(positions) - (padding + 1 if config.model_type in _OFFSET else 0))
    limits += [files.longest] if files.longest else []
    return min(limits) if limits else None
