"""Measures how well the kind `label` labels sentences: its accuracy, and whether its probabilities can be believed.

    python scripts/bench/labels.py
    python scripts/bench/labels.py --classes 3 --examples 40 --shots 4

The sentences are reviews of films and products that twenty people each rated from -4 to 4, from the source distribution of
`vaderSentiment` 3.3.2 on PyPI (MIT; Hutto and Gilbert 2014). pip downloads it into the cache folder at the first run. A sentence
rated 1 or higher is positive, and one rated -1 or lower is negative. With three classes, one rated between -0.25 and 0.25 is
neutral. Sentences of 4 to 40 words are drawn from a seed. Examples are other sentences than those that are labelled.

The script prints a line for each way to label: the most frequent label for all; the answer that the model writes when it is asked
for a label, in a chat and in the same form as the kind's, greedily (an answer that is none of the labels is wrong); and the kind
itself, without calibration, with content-free calibration, and with examples. ECE is the expected calibration error in 10 bins of
equal width (Guo et al. 2017): the mean distance between the probability of the label and its accuracy. The 90 % after it is an
interval by bootstrap. The last columns are the prompt tokens a row, and the seconds of the line. A line takes less time if an
earlier line had its prompts.
"""

import argparse
import random
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs.catalog import SHIPPED, ModelCard
from jobs.generation import Completion, GenerationRequest, Message, Prompt, SamplingParams
from jobs.kinds.label import Label, LabelKind, LabelRequest
from jobs.writing.templates import Templates
from workers.engines.protocol import Engine
from workers.engines.registry import make_engine

PACKAGE: Final = "vaderSentiment==3.3.2"
WITHIN: Final = "additional_resources/hutto_ICWSM_2014.tar.gz"
FILES: Final = ("amazonReviewSnippets_GroundTruth.txt", "movieReviewSnippets_GroundTruth.txt")
BINS: Final = 10
RESAMPLES: Final = 1_000

Sentence = tuple[str, str]
"""A sentence, and its label."""


@dataclass(frozen=True)
class Prediction:
    """A predicted label, and its probability; None if the way to label gives none."""

    label: str
    probability: float | None = None


def main() -> None:
    """Label the sentences in each way, and print the figures."""
    parser = argparse.ArgumentParser(description="Measure the kind label.")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--classes", type=int, choices=(2, 3), default=2)
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--examples", type=int, default=20)
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/nightpress").expanduser())
    args = parser.parse_args()
    labels = ("positive", "negative", "neutral")[: args.classes]
    found = sentences(args.cache, labels, random.Random(args.seed))
    asked, others = found[: args.sentences], found[args.sentences :]
    examples = [{"text": text, "label": label} for text, label in others[: args.examples]]
    fields: dict[str, Any] = {"labels": labels}
    bench = Bench(make_engine(args.model, SHIPPED.get(args.model, ModelCard()), args.cache), asked, labels)
    counts = Counter(label for _, label in asked)
    print(f"{len(asked)} sentences, {dict(counts)}; {args.examples} examples, {args.shots} of them in the prompt")
    print(f"{'':36}accuracy  macro F1  ECE    90 %             prompt tokens  s")
    (most, _), *_ = counts.most_common(1)
    bench.report("the most frequent label", lambda: ([Prediction(most) for _ in asked], 0))
    bench.report("free text in a chat", lambda: bench.written(chat=True))
    bench.report("free text in the form", lambda: bench.written(chat=False))
    bench.report("label, no calibration", lambda: bench.labelled({**fields, "calibrate": False}))
    bench.report("label, content-free calibration", lambda: bench.labelled(fields))
    with_examples = {**fields, "examples": examples, "shots": args.shots}
    bench.report("label, with the examples", lambda: bench.labelled(with_examples))


def sentences(cache: Path, labels: Sequence[str], chance: random.Random) -> list[Sentence]:
    """Return the sentences with one of the labels, in an order of chance. Those of three classes are of products alone."""
    folder = cache / "vader"
    archive = folder / "vaderSentiment-3.3.2.tar.gz"
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        source = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", PACKAGE]
        subprocess.run([*source, "--dest", str(folder)], check=True)
    found = []
    with (
        tarfile.open(archive) as outer,
        tarfile.open(fileobj=outer.extractfile(f"vaderSentiment-3.3.2/{WITHIN}")) as inner,
    ):
        for name in FILES[: 4 - len(labels)]:
            file = inner.extractfile(f"hutto_ICWSM_2014/{name}")
            for line in file.read().decode(errors="replace").splitlines() if file else ():
                _, rating, text = line.split("\t", 2)
                label = _label(float(rating))
                if label is not None and label in labels and 4 <= len(text.split()) <= 40:
                    found.append((" ".join(text.split()), label))
    chance.shuffle(found)
    return found


def _label(rating: float) -> str | None:
    if abs(rating) >= 1:
        return "positive" if rating > 0 else "negative"
    return "neutral" if abs(rating) <= 0.25 else None


class Bench:
    """Labels sentences with an engine, in several ways."""

    def __init__(self, engine: Engine, asked: Sequence[Sentence], labels: Sequence[str]) -> None:
        self._engine = engine
        self._asked = asked
        self._labels = labels

    def report(self, name: str, predict: Any) -> None:
        """Print the figures of one way to label."""
        began = time.monotonic()
        predictions, tokens = predict()
        spent = time.monotonic() - began
        pairs = [(one, label) for one, (_, label) in zip(predictions, self._asked, strict=True)]
        error = interval = ""
        if all(one.probability is not None for one in predictions):
            chance = random.Random(1)
            drawn = sorted(ece(chance.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
            error = f"{ece(pairs):.3f}"
            interval = f"{drawn[RESAMPLES // 20]:.3f} to {drawn[-RESAMPLES // 20]:.3f}"
        figures = f"{accuracy(pairs):.3f}     {macro_f1(pairs, self._labels):.3f}     {error:6} {interval:16}"
        print(f"{name:36}{figures} {tokens / len(pairs):9.0f}      {spent:.0f}", flush=True)

    def labelled(self, fields: Mapping[str, Any]) -> tuple[list[Prediction], int]:
        """Return the labels of the kind `label`, and the number of prompt tokens."""
        kind = LabelKind(Templates())
        conversations = [kind.compose(LabelRequest.model_validate({**fields, "text": text})) for text, _ in self._asked]
        prompts = [next(one) for one in conversations]
        answers = self._complete([prompt for several in prompts for prompt in several])
        found, tokens = [], sum(one.prompt_tokens for one in answers)
        for conversation, several in zip(conversations, prompts, strict=True):
            mine, answers = answers[: len(several)], answers[len(several) :]
            try:
                conversation.send(mine)
            except StopIteration as stop:
                output: Label = stop.value
                found.append(Prediction(output.label, output.probabilities[output.label]))
        return found, tokens

    def written(self, *, chat: bool) -> tuple[list[Prediction], int]:
        """Return the labels that the model writes if it is asked for one, and the number of prompt tokens."""
        choices = ", ".join(self._labels)
        params = SamplingParams(max_tokens=8, temperature=0.0, seed=1, stop=() if chat else ("\n",))
        prompts = [
            Prompt(
                messages=(
                    Message("user", f"What is the sentiment of this text? Answer with one of: {choices}.\n\n{text}"),
                ),
                params=params,
            )
            if chat
            else Prompt(text=f"Text: {text}\nSentiment:", params=params)
            for text, _ in self._asked
        ]
        answers = self._complete(prompts)
        return [Prediction(self._label_in(one.text)) for one in answers], sum(one.prompt_tokens for one in answers)

    def _label_in(self, text: str) -> str:
        """Return the label that a text names first; an empty text if it names none."""
        named = [(text.lower().find(label), label) for label in self._labels if label in text.lower()]
        return min(named)[1] if named else ""

    def _complete(self, prompts: Sequence[Prompt]) -> list[Completion]:
        for n, prompt in enumerate(prompts):
            self._engine.submit(GenerationRequest(str(n), prompt))
        found: dict[str, Completion] = {}
        while len(found) < len(prompts):
            found.update({one.request_id: one for one in self._engine.step()})
        if faults := {one.fault.message for one in found.values() if one.fault}:
            sys.exit(f"the engine failed: {faults}")
        return [found[str(n)] for n in range(len(prompts))]


Pairs = Sequence[tuple[Prediction, str]]


def accuracy(pairs: Pairs) -> float:
    """Return the share of right predictions."""
    return sum(one.label == label for one, label in pairs) / len(pairs)


def macro_f1(pairs: Pairs, labels: Sequence[str]) -> float:
    """Return the mean over the labels of the harmonic mean of precision and recall."""
    found = []
    for label in labels:
        right = sum(one.label == known == label for one, known in pairs)
        named = sum((one.label == label) + (known == label) for one, known in pairs)
        found.append(2 * right / named if named else 0.0)
    return sum(found) / len(found)


def ece(pairs: Pairs) -> float:
    """Return the expected calibration error."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for one, known in pairs:
        probability = one.probability or 0.0
        bins.setdefault(min(BINS - 1, int(probability * BINS)), []).append((probability, one.label == known))
    gaps = (abs(sum(probability - right for probability, right in several)) for several in bins.values())
    return sum(gaps) / len(pairs)


if __name__ == "__main__":
    main()
