"""Measures the engine `translate` beside plain `generate` of transformers, and beside CTranslate2 called by hand.

    python scripts/bench/translators/translate.py [--rows 48] [--core 0] [--turns 2] [--skip generate] [--vocabulary 32000]

Model and rows are those of `scripts/bench/translators/seq2seq.py`: a Marian of 6 and 6 layers of 512 with random weights,
and rows of 5 to 400 tokens in random order. `generate` runs in float32, in batches of 16 in the order of the file.
CTranslate2 by hand runs the converted model of the engine: one call of `translate_batch` over all rows, which sorts them by
length, with the best of several sizes of batches, and with a callback that stops each row at its own length. Texts are
turned into tokens and back within the time of each contender. The contenders take turns, so that a machine that gets slower
slows down all of them. One line for each: tokens of text and translation for each second of CPU time, and ratios.

At the end stands how far int8 agrees with float32: the share of positions at which the likeliest token is the same after the
same tokens, and the share of whole texts that are equal.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[3]))
os.environ["OMP_NUM_THREADS"] = "1"

from jobs.catalog import ModelCard
from jobs.generation import GenerationRequest, Prompt, SamplingParams, Translatable
from scripts.bench.translators.seq2seq import Measured, Row, make_model, rows_of, run_generate

SIZES: Final = ((32, "examples"), (64, "examples"), (8_192, "tokens"), (16_384, "tokens"))
"""The sizes of batches that are tried by hand."""


class Bench:
    """The contenders over one model, which is converted once."""

    def __init__(self, folder: Path, cache: Path, rows: Sequence[Row]) -> None:
        from workers.engines.registry import make_engine

        cards = {
            name: ModelCard.model_validate(
                {"engine": "translate", "source": str(folder), "device": "cpu", "dtype": name}
            )
            for name in ("float32", "int8")
        }
        self.folder, self.rows = folder, rows
        self.engines: dict[str, Any] = {name: make_engine(name, card, cache) for name, card in cards.items()}
        self.requests = [_request(str(number), row) for number, row in enumerate(rows)]
        self.best: tuple[int, str] = SIZES[0]

    def generate(self) -> Measured:
        """Run plain `generate`."""
        return run_generate(self.folder, self.rows, 1)

    def ours(self, dtype: str) -> Measured:
        """Run the engine: all rows at once."""
        engine = self.engines[dtype]
        done: dict[str, str] = {}
        cpu, wall = time.process_time(), time.monotonic()
        for request in self.requests:
            engine.submit(request)
        while len(done) < len(self.rows):
            done |= {one.request_id: one.text for one in engine.step()}
        return _measured(cpu, wall, [done[one.request_id] for one in self.requests])

    def by_hand(self, dtype: str, size: tuple[int, str] | None = None) -> Measured:
        """Call CTranslate2 on the same converted model, with the same tokens for each text."""
        model, (most, kind) = self.engines[dtype]._model, size or self.best  # noqa: SLF001
        cpu, wall = time.process_time(), time.monotonic()
        sources = [model.codec.encode(one) for one in self.requests]
        limits = [row.output for row in self.rows]
        found = model.translator.translate_batch(
            [[str(token) for token in one.tokens] for one in sources],
            [[str(one.start), *map(str, one.forced)] for one in sources],
            max_batch_size=most,
            batch_type=kind,
            beam_size=1,
            max_input_length=0,
            min_decoding_length=min(limits),
            max_decoding_length=max(limits),
            suppress_sequences=[[str(token)] for token in model.suppressed],
            callback=lambda step: step.step + 1 >= limits[step.batch_id],
        )
        texts = [model.codec.decode([int(token) for token in one.hypotheses[0]]) for one in found]
        return _measured(cpu, wall, texts)

    def tune(self) -> None:
        """Take the size of batches with which CTranslate2 by hand is fastest."""
        self.best = min(SIZES, key=lambda size: self.by_hand("int8", size).cpu_s)

    def agreement(self, rows: int = 16, tokens: int = 60) -> float:
        """Return the share of positions at which int8 and float32 have the same likeliest token after the same tokens."""
        import numpy as np

        same = total = 0
        exact, rounded = (self.engines[name]._model for name in ("float32", "int8"))  # noqa: SLF001
        for request in self.requests[:rows]:
            source = exact.codec.encode(request)
            read = [[str(token) for token in source.tokens]]
            options = {
                "beam_size": 1,
                "max_input_length": 0,
                "max_decoding_length": tokens,
                "return_logits_vocab": True,
            }
            given = exact.translator.translate_batch(read, [[str(source.start)]], **options)[0]
            prefix = [str(source.start), *given.hypotheses[0]]
            other = rounded.translator.translate_batch(read, [prefix], **options)[0]
            for ours, theirs in zip(given.logits[0], other.logits[0], strict=False):
                same += int(np.argmax(np.asarray(ours)) == np.argmax(np.asarray(theirs)))
                total += 1
        return same / total


def _request(name: str, row: Row) -> GenerationRequest:
    params = SamplingParams(max_tokens=row.output, min_tokens=row.output, temperature=0.0)
    return GenerationRequest(name, Prompt(params=params, translatable=Translatable(row.text, "en", "fr")))


def _measured(cpu: float, wall: float, texts: Sequence[str]) -> Measured:
    return Measured(time.process_time() - cpu, time.monotonic() - wall, texts)


def main() -> None:
    """Run the contenders in turns, and print a line for each."""
    parser = argparse.ArgumentParser(description="The engine translate, beside generate and CTranslate2 by hand.")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--skip", nargs="*", default=[])
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
    rows = rows_of(args.rows, seed=1)
    tokens = sum(len(row.text.split()) + 1 + row.output for row in rows)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "model")
        folder.mkdir()
        bench = Bench(make_model(folder, 6, 512, args.vocabulary), Path(scratch, "cache"), rows)
        bench.tune()
        contenders: dict[str, Callable[[], Measured]] = {
            "generate float32": bench.generate,
            "translate float32": lambda: bench.ours("float32"),
            "by hand float32": lambda: bench.by_hand("float32"),
            "translate int8": lambda: bench.ours("int8"),
            "by hand int8": lambda: bench.by_hand("int8"),
        }
        contenders = {name: run for name, run in contenders.items() if name.partition(" ")[0] not in args.skip}
        runs: dict[str, list[Measured]] = {name: [] for name in contenders}
        for turn in range(args.turns):
            for name in list(contenders) if turn % 2 == 0 else list(contenders)[::-1]:
                runs[name].append(contenders[name]())
        same = bench.agreement()
    median = {name: statistics.median(one.cpu_s for one in found) for name, found in runs.items()}
    first = next(iter(median))
    for name, cpu_s in median.items():
        texts = runs[name][0].texts
        equal = sum(a == b for a, b in zip(texts, runs[first][0].texts, strict=True))
        ratio = f"{median[first] / cpu_s:5.2f} of {first}"
        print(f"{name:18} {tokens / cpu_s:6.0f} tokens/CPU s  {ratio}  {equal}/{len(rows)} texts as there")
    for dtype in ("float32", "int8"):
        ratios = [b.cpu_s / a.cpu_s for a, b in zip(runs[f"translate {dtype}"], runs[f"by hand {dtype}"], strict=True)]
        print(f"{dtype}: the engine has {statistics.median(ratios):.3f} of the speed by hand (batches of {bench.best})")
    whole = [a == b for a, b in zip(*(runs[f"translate {one}"][0].texts for one in ("float32", "int8")), strict=True)]
    print(
        f"int8 beside float32: {same:.4f} of the likeliest tokens and {sum(whole)}/{len(whole)} whole texts are the same"
    )


if __name__ == "__main__":
    main()
