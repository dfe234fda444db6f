"""Measures engines for models made for translation, beside plain `generate` of transformers in file-order batches.

    python scripts/bench/translators/seq2seq.py [--rows 96] [--core 0] [--beams 1] [--turns 1] [--layers 6] [--width 512]
        [--vocabulary 32000] [--engines generate seq2seq]

The model is a Marian of 6 and 6 layers of 512 with random weights, as large as those of OPUS-MT, in float32. The rows have 5
to 400 tokens in random order, and their translations have 0.8 to 1.25 times as many: `max_tokens` and `min_tokens` say how
many. The process is pinned to one core and has one thread. `generate` runs the rows in batches of 16 in the order of the file,
padded to the longest. A batch writes until its longest translation is whole, and no time is spent on looking which rows have
ended. All other names are engines of cards: each gets all rows at once, and steps until all are done.

For each engine a line shows the tokens of text and translation for each second of CPU time, how much that is of the first
engine's, the seconds that passed, and how many translations are the same as the first engine's. In float32 and with the same
search all are, unless two tokens are equally likely but for rounding.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[3]))
os.environ["OMP_NUM_THREADS"] = "1"

from jobs.catalog import ModelCard
from jobs.generation import GenerationRequest, Prompt, SamplingParams, Translatable

WORDS: Final = [f"w{n:04d}" for n in range(1_000)]
BATCH: Final = 16
"""The rows of a batch of `generate`."""


@dataclass(frozen=True)
class Row:
    """A text, and the number of tokens that its translation has."""

    text: str
    output: int


@dataclass(frozen=True)
class Measured:
    """What one run took, in seconds, and the translations by row."""

    cpu_s: float
    wall_s: float
    texts: Sequence[str]


def rows_of(count: int, seed: int) -> list[Row]:
    """Return rows of 5 to 400 tokens in random order."""
    chance = random.Random(seed)
    sizes = [chance.randint(5, 400) for _ in range(count)]
    outputs = [min(480, max(4, round(size * chance.uniform(0.8, 1.25)))) for size in sizes]
    return [
        Row(" ".join(chance.choices(WORDS, k=size - 1)), output) for size, output in zip(sizes, outputs, strict=True)
    ]


def make_model(folder: Path, layers: int, width: int, vocabulary: int) -> Path:
    """Write the model and its tokenizer to a folder, and return the folder. Texts have only the words of its vocabulary."""
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    prefix = str(folder / "source")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS),
        model_prefix=prefix,
        vocab_size=len(WORDS) + 3,
        model_type="word",
        minloglevel=2,
    )
    (folder / "source.model").rename(folder / "source.spm")
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    others = [f"\u2581x{n:05d}" for n in range(vocabulary - len(WORDS) - 3)]
    pieces = ["</s>", "<unk>", *(f"\u2581{word}" for word in WORDS), *others, "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: n for n, piece in enumerate(pieces)}))
    names = {"source_spm": "source.spm", "target_spm": "target.spm", "vocab": "vocab.json"}
    tokenizer = MarianTokenizer(**{name: str(folder / file) for name, file in names.items()})
    torch.manual_seed(0)
    pad = vocabulary - 1
    config = MarianConfig(
        vocab_size=vocabulary,
        decoder_vocab_size=vocabulary,
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        max_position_embeddings=512,
        init_std=0.1,
        decoder_start_token_id=pad,
        pad_token_id=pad,
        eos_token_id=0,
    )
    network = MarianMTModel(config).eval()
    network.generation_config.update(bad_words_ids=[[pad]])
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def run_generate(folder: Path, rows: Sequence[Row], beams: int) -> Measured:
    """Run plain `generate` in file-order batches."""
    import torch
    from transformers import GenerationConfig, MarianMTModel, MarianTokenizer

    torch.set_num_threads(1)
    tokenizer = MarianTokenizer.from_pretrained(folder)
    network = MarianMTModel.from_pretrained(folder, dtype=torch.float32).eval()
    network.generation_config = GenerationConfig()
    pad = network.config.pad_token_id
    texts: list[str] = []
    cpu, wall = time.process_time(), time.monotonic()
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        most = max(row.output for row in batch)
        settings = GenerationConfig(
            do_sample=False,
            num_beams=beams,
            max_new_tokens=most,
            min_new_tokens=most,
            suppress_tokens=[pad],
            eos_token_id=0,
            pad_token_id=pad,
            decoder_start_token_id=pad,
        )
        read = tokenizer([row.text for row in batch], padding=True, return_tensors="pt")
        with torch.inference_mode():
            found = network.generate(**read, generation_config=settings)
        cut = [tokens[1 : 1 + row.output] for tokens, row in zip(found.tolist(), batch, strict=True)]
        texts += [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in cut]
    return Measured(time.process_time() - cpu, time.monotonic() - wall, texts)


def run_engine(name: str, folder: Path, rows: Sequence[Row], card: ModelCard) -> Measured:
    """Run the rows on an engine of ours."""
    from workers.engines.registry import make_engine

    with tempfile.TemporaryDirectory() as cache:
        engine = make_engine(name, card.model_copy(update={"engine": name, "source": str(folder)}), Path(cache))
        cpu, wall = time.process_time(), time.monotonic()
        for number, row in enumerate(rows):
            params = SamplingParams(max_tokens=row.output, min_tokens=row.output, temperature=0.0)
            asked = Translatable(row.text, "en", "fr")
            engine.submit(GenerationRequest(str(number), Prompt(text="x", params=params, translatable=asked)))
        done: dict[str, str] = {}
        while len(done) < len(rows):
            for one in engine.step():
                if one.fault is not None:
                    raise SystemExit(f"{name}: {one.fault.message}")
                done[one.request_id] = one.text
        measured = Measured(
            time.process_time() - cpu, time.monotonic() - wall, [done[str(number)] for number in range(len(rows))]
        )
        engine.close()
    return measured


def main() -> None:
    """Run the engines in turns, and print a line for each."""
    parser = argparse.ArgumentParser(description="Engines for translation, beside plain generate.")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--beams", type=int, default=1)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--dtype", default="float32", help="of the engines; generate runs in float32")
    parser.add_argument("--batch-tokens", type=int, default=None)
    parser.add_argument("--engines", nargs="+", default=["generate", "seq2seq"])
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
    rows = rows_of(args.rows, seed=1)
    tokens = sum(len(row.text.split()) + 1 + row.output for row in rows)
    options: dict[str, Any] = {"beams": args.beams}
    if args.batch_tokens is not None:
        options["batch_tokens"] = args.batch_tokens
    card = ModelCard.model_validate({"dtype": args.dtype, "device": "cpu", "options": options})
    found: dict[str, list[Measured]] = {name: [] for name in args.engines}
    with tempfile.TemporaryDirectory() as scratch:
        folder = make_model(Path(scratch), args.layers, args.width, args.vocabulary)
        for _ in range(args.turns):
            for name in args.engines:
                found[name].append(_runner(name, folder, rows, card, args.beams)())
    first = statistics.median(one.cpu_s for one in found[args.engines[0]])
    for name, runs in found.items():
        cpu_s = statistics.median(one.cpu_s for one in runs)
        same = sum(a == b for a, b in zip(runs[0].texts, found[args.engines[0]][0].texts, strict=True))
        print(
            f"{name:10} {tokens / cpu_s:8.0f} tokens/CPU s  {first / cpu_s:5.2f} of {args.engines[0]}  "
            f"{statistics.median(one.wall_s for one in runs):6.1f} s  {same}/{len(rows)} texts the same"
        )


def _runner(name: str, folder: Path, rows: Sequence[Row], card: ModelCard, beams: int) -> Callable[[], Measured]:
    if name == "generate":
        return lambda: run_generate(folder, rows, beams)
    return lambda: run_engine(name, folder, rows, card)


if __name__ == "__main__":
    main()
