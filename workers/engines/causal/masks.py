"""Masks: which tokens the sampler may choose, for sequences whose answers must satisfy a JSON schema.

A mask follows from the tokens so far, so it can be made as soon as a token is chosen. A thread makes it while the device computes
the next step; the sampler waits for it only if it is not ready when the logits are. Grammars are made by another thread, and a
sequence waits for its grammar before it gets a slot. So neither holds up the other sequences.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

import llguidance
import numpy as np
import torch

from jobs.generation import Constraint
from jobs.logs import logger
from workers.engines.text.answer_start import AnswerStart, Next
from workers.engines.text.grammar import Grammar, Grammars
from workers.engines.text.thinking import Thinking

MAX_THREADS: Final = 8
"""The masks of a step are made by at most this many threads."""

Words = np.ndarray[Any, np.dtype[np.int32]]
"""A mask: a bit for each token, 32 in a word, the lowest bit first. A token may be chosen if its bit is set."""


@dataclass(slots=True, eq=False)
class SchemaMask:
    """The mask of one sequence, and how far its schema constrains it. Only `MaskMaker` changes it.

    Args:
        start: Finds where the answer begins.
        grammar: The grammar, which may still be in the making.
        constraint: How far the schema constrains the text. `none` until the grammar is made, and if it fails later.
        matcher: Follows the answer; None if the schema does not constrain it.
        made: The masks of the step, which may still be in the making; None if any token may come.
        row: The place of this sequence's mask among them.
        begun: Whether `matcher` was made.
    """

    start: AnswerStart
    grammar: "Future[Grammar]"
    constraint: Constraint = "none"
    matcher: llguidance.LLMatcher | None = None
    made: "Future[Sequence[Words | None]] | None" = None
    row: int = 0
    begun: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether the grammar is made."""
        return self.grammar.done()

    def words(self) -> Words | None:
        """Return the mask of the next token; None if any token may come. Waits until the mask is made."""
        return None if self.made is None else self.made.result()[self.row]


@dataclass(frozen=True, slots=True)
class _Work:
    """A mask to make, after the matcher has taken the new tokens of the answer."""

    mask: SchemaMask
    matcher: llguidance.LLMatcher
    next: Next


class MaskMaker:
    """Makes the masks of an engine's sequences. Its threads run on all cores that the process had when it was made.

    Args:
        grammars: Makes the grammars of the engine's model.
    """

    def __init__(self, grammars: Grammars) -> None:
        self._grammars = grammars
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        self._threads = max(1, min(MAX_THREADS, (len(cores) or os.cpu_count() or 1) // 2))
        self._executor: llguidance.LLExecutor | None = None

        def unpin() -> None:
            # the thread that steps the engine may be pinned to one core, and a thread that it starts would share it
            if cores:
                os.sched_setaffinity(0, cores)

        self._compiling = ThreadPoolExecutor(1, "grammars", initializer=unpin)
        self._masking = ThreadPoolExecutor(1, "masks", initializer=unpin)

    def begin(self, schema: Mapping[str, Any], thinking: Thinking | None) -> SchemaMask:
        """Return the mask of a new sequence, whose grammar is made in the background."""
        return SchemaMask(AnswerStart(thinking), self._compiling.submit(self._grammars.of, schema))

    def wait_for(self, masks: Iterable[SchemaMask], timeout_s: float) -> None:
        """Wait until one of the grammars is made, for at most `timeout_s` seconds."""
        wait([mask.grammar for mask in masks], timeout_s, return_when="FIRST_COMPLETED")

    def follow(self, outputs: Iterable[tuple[SchemaMask, list[int]]]) -> None:
        """Begin to make the masks for the next token of sequences that have these tokens of output. Call it after every token,
        and once before the first.
        """
        work: list[_Work] = []
        for mask, output in outputs:
            matcher = self._matcher_of(mask)
            if matcher is None:
                mask.made = None
                continue
            work.append(_Work(mask, matcher, mask.start.look(output)))
        if not work:
            return
        made = self._masking.submit(self._make, work)
        for row, one in enumerate(work):
            one.mask.made, one.mask.row = made, row

    def close(self) -> None:
        """End the threads after what they are doing."""
        self._compiling.shutdown(wait=False, cancel_futures=True)
        self._masking.shutdown(wait=False, cancel_futures=True)

    def _matcher_of(self, mask: SchemaMask) -> llguidance.LLMatcher | None:
        """Return the matcher of a sequence; None if its schema does not constrain it."""
        if not mask.begun:
            mask.begun = True
            grammar = mask.grammar.result()
            mask.constraint, mask.matcher = grammar.constraint, grammar.matcher()
            if mask.matcher is None:
                logger().warning("engine.unconstrained", reason=grammar.reason)
        return mask.matcher

    def _make(self, work: Sequence[_Work]) -> Sequence[Words | None]:
        """Return the mask of each sequence; None for a sequence that may have any token."""
        size = self._grammars.words
        made: list[Words | None] = [None] * len(work)
        block = np.zeros((len(work), size), np.int32)
        constrained = []
        for row, one in enumerate(work):
            if one.next.answers and self._has_taken(one):
                constrained.append(row)
                made[row] = block[row]
            elif one.next.marks and not one.next.answers:
                made[row] = block[row]
        self._fill([(work[row].matcher, row) for row in constrained], block)
        for row in constrained:
            if work[row].matcher.is_error() or not block[row].any():
                _lose(work[row])
                made[row] = None
        for row, one in enumerate(work):
            for token in one.next.marks if made[row] is not None else ():
                block[row, token // 32] |= np.uint32(1 << token % 32).astype(np.int32)
        return made

    def _has_taken(self, work: _Work) -> bool:
        """Give the matcher the new tokens of the answer. Returns whether the schema allows them."""
        tokens = list(work.next.tokens) or (self._grammars.tokens(work.next.text) if work.next.text else [])
        if work.matcher.is_error() or work.mask.matcher is None:
            return False
        if not tokens or work.matcher.is_stopped() or work.matcher.consume_tokens(tokens):
            return True
        _lose(work)
        return False

    def _fill(self, rows: list[tuple[llguidance.LLMatcher, int]], block: np.ndarray[Any, np.dtype[np.int32]]) -> None:
        row_bytes = block.shape[1] * 4
        if len(rows) == 1 or self._threads == 1:
            for matcher, row in rows:
                matcher.unsafe_compute_mask_ptr(block.ctypes.data + row * row_bytes, row_bytes)
        elif rows:
            if self._executor is None:
                self._executor = llguidance.LLExecutor(self._threads)
            self._executor.unsafe_compute_mask_ptr(rows, block.ctypes.data, row_bytes, len(block))


def _lose(work: _Work) -> None:
    """Let the rest of a text be free, since its grammar has failed. The answer is validated in any case."""
    work.mask.constraint, work.mask.matcher = "none", None
    logger().warning("engine.unconstrained", reason=f"the grammar failed: {work.matcher.stop_reason()}")


def apply_masks(logits: torch.Tensor, masks: Sequence[SchemaMask | None]) -> None:
    """Set the logits [sequences, vocabulary] of all tokens that the masks do not allow to -inf, in place.

    `masks` has an entry for each sequence: its mask, or None. The bits of a mask are read on the device of the logits.
    """
    found = [(row, words) for row, mask in enumerate(masks) if mask is not None and (words := mask.words()) is not None]
    if not found:
        return
    rows, packed = [row for row, _ in found], np.stack([words for _, words in found])
    banned = _banned(packed, logits.shape[1], logits.device)
    if len(rows) == len(logits):
        logits.masked_fill_(banned, -torch.inf)
        return
    places = torch.tensor(rows, device=logits.device)
    logits[places] = logits[places].masked_fill_(banned, -torch.inf)


def _banned(packed: np.ndarray[Any, np.dtype[np.int32]], vocabulary: int, device: torch.device) -> torch.Tensor:
    """Return whether each token is not allowed, as [sequences, vocabulary]."""
    if device.type == "cpu":
        bits = np.unpackbits(packed.view(np.uint8), axis=1, bitorder="little")[:, :vocabulary]
        return torch.from_numpy(np.logical_not(bits))
    words = torch.from_numpy(packed).to(device)
    bits_of_words = words[:, :, None] >> torch.arange(32, dtype=torch.int32, device=device)
    return (bits_of_words & 1).eq(0).flatten(1)[:, :vocabulary]
