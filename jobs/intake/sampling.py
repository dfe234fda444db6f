"""Chooses, while an input is read, the rows by which its batch may be quoted (rule 49 of jobs/PROTOCOL.md).

A row belongs to the stratum of its kind, its model and the template of its first prompt. Of each stratum the rows with the lowest
hashes are kept. The hash is of the row's number alone, so the first n of them are a random sample of the stratum for every n, the
same file gives the same sample, and memory stays bounded (this is bottom-k sampling, Cohen and Kaplan 2007).
"""

import hashlib
import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs.batches.output_rows import short_template
from jobs.batches.quotes.sample import Sample, SampleStratum
from jobs.batches.request_row import RowRequest
from jobs.errors import RowError
from jobs.kinds.first_prompts import MostTokens, first_prompts, most_tokens
from jobs.kinds.kind import Kind
from jobs.planning.quotes import MOST_ROWS, Key, most_sampled
from jobs.settings import Settings


@dataclass
class _Stratum:
    """The rows of one key as they are read. `kept` is a heap of (negative hash, row, offset, length): the highest hash first."""

    lane: str
    rows: int = 0
    most: MostTokens = field(default_factory=MostTokens)
    kept: list[tuple[int, int, int, int]] = field(default_factory=list)


class Sampler:
    """Takes the accepted rows of one input, one after another, and keeps those that may be drawn."""

    def __init__(self, kinds: Mapping[str, Kind], settings: Settings) -> None:
        self._kinds = kinds
        self._catalog = settings.catalog
        self._strata: dict[Key, _Stratum] = {}

    def add(self, request: RowRequest, lane: str, offset: int, length: int) -> None:
        """Take a row, whose line has this place in the input of its lane."""
        template, most = self._looked_at(request)
        stratum = self._strata.setdefault(Key(request.kind, request.model, template), _Stratum(lane))
        stratum.rows += 1
        stratum.most = MostTokens(
            stratum.most.prompt + most.prompt,
            stratum.most.completion + most.completion,
            stratum.most.thoughts + most.thoughts,
        )
        entry = (-_hash(request.row), request.row, offset, length)
        if len(stratum.kept) < MOST_ROWS:
            heapq.heappush(stratum.kept, entry)
        else:
            heapq.heappushpop(stratum.kept, entry)

    def sample(self, batch_id: str) -> Sample:
        """Return the sample of the batch, with places as they were given."""
        strata = tuple(_as_stored(key, one) for key, one in sorted(self._strata.items()))
        return Sample(batch_id=batch_id, most_rows=most_sampled(one.rows for one in strata), strata=strata)

    def _looked_at(self, request: RowRequest) -> tuple[str, MostTokens]:
        """Return a row's template and the most that it takes. A row whose prompts cannot be made will fail, and takes nothing."""
        kind = self._kinds[request.kind]
        try:
            prompts = first_prompts(request, kind)
        except RowError:
            return "", MostTokens()
        template = short_template(prompts[0].template_sha256) if prompts else ""
        return template, most_tokens(request, kind, prompts, self._catalog[request.model])


def _hash(row: int) -> int:
    return int.from_bytes(hashlib.blake2b(str(row).encode(), digest_size=8).digest())


def _as_stored(key: Key, stratum: _Stratum) -> SampleStratum:
    drawn = sorted(stratum.kept, reverse=True)  # the lowest hash first
    return SampleStratum(
        kind=key.kind,
        model=key.model,
        template=key.template,
        lane=stratum.lane,
        rows=stratum.rows,
        prompt_tokens=stratum.most.prompt,
        completion_tokens=stratum.most.completion,
        thought_tokens=stratum.most.thoughts,
        drawn=tuple((row, offset, length) for _, row, offset, length in drawn),
    )
