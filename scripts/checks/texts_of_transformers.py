"""Checks that our engine writes the same texts in slots as `generate` of transformers does for each prompt alone.

    python scripts/checks/texts_of_transformers.py --prompts 300
    python scripts/checks/texts_of_transformers.py --model my-model --prompts 50

Decoding is greedy, in fp32. The seed decides the prompts, their order and lengths, which prompts run at the same time, the number
of slots, and whether prefixes are shared. If a text differs, the script computes in fp64 the logits at the first token that
differs. If the two best logits differ by less than 1e-4, the difference is a tie: rounding may choose either token. The script
prints each difference, and the counts. The exit status is 1 if a difference is not a tie.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from jobs import settings
from jobs.generation import Completion, GenerationRequest, Prompt, SamplingParams
from workers.commands.work import known
from workers.engines.causal.loading import CausalOptions, build_engine, load_model
from workers.engines.causal.model import CausalModel
from workers.engines.causal.slot_engine import SlotEngine
from workers.engines.device.placement import Placement
from workers.engines.weights import resolve

CPU: Final = Placement(torch.device("cpu"), torch.float32, "cpu")
BEGINNINGS: Final = (
    "You write short texts for a shop. Be friendly and clear, name the product, and end with an invitation. ",
    "Translate the following sentence into plain English, and keep names and numbers as they are: ",
    "",
)
WORDS: Final = """
garden river winter letter window market bridge morning paper silver orange yellow little friend summer house street music
flower water bread light stone happy quiet simple strong early gentle write about name give seven 1984 Paris quickly
"""
TIE: Final = 1e-4
"""Two logits that differ by less than this in fp64 are a tie."""


def requests_of(n: int, some: random.Random) -> list[GenerationRequest]:
    """Return `n` requests with limits of 1 to 48 new tokens. Some of the prompts share a beginning of BEGINNINGS."""
    vocabulary = WORDS.split()
    found = []
    for number in range(n):
        text = some.choice(BEGINNINGS) + " ".join(some.choice(vocabulary) for _ in range(some.randint(1, 40)))
        params = SamplingParams(temperature=0.0, max_tokens=some.randint(1, 48), seed=1)
        found.append(GenerationRequest(str(number), Prompt(text=text, params=params)))
    return found


def alone(model: CausalModel, request: GenerationRequest) -> list[int]:
    """Return the new tokens that `generate` of transformers writes for a prompt."""
    ids = torch.tensor([model.encoder.tokenizer(request.prompt.text)["input_ids"]])
    out = model.network.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=request.prompt.params.max_tokens,
        eos_token_id=list(model.eos),
        pad_token_id=model.eos[0],
    )
    new: list[int] = out[0, ids.shape[1] :].tolist()
    return new


def together(engine: Any, requests: Sequence[GenerationRequest]) -> dict[str, Completion]:
    """Run all requests on the engine at the same time. Returns each request's completion, by the request's id."""
    for request in requests:
        engine.submit(request)
    done: list[Completion] = []
    while len(done) < len(requests):
        done += engine.step()
    return {one.request_id: one for one in done}


def is_tie(folder: Path, model: CausalModel, request: GenerationRequest, expected: list[int], got: str) -> bool:
    """Whether the two best logits differ by less than TIE in fp64 at the first token where the texts differ."""
    precise = load_model(folder, Placement(torch.device("cpu"), torch.float64, "cpu"))
    prompt = model.encoder.tokenizer(request.prompt.text)["input_ids"]
    for size in range(1, len(expected) + 1):
        if not got.startswith(model.encoder.decode(expected[:size])):
            with torch.inference_mode():
                ids = torch.tensor([[*prompt, *expected[: size - 1]]])
                best = precise.network(input_ids=ids).logits[0, -1].topk(2).values
            return float(best[0] - best[1]) < TIE
    return False


def main() -> int:
    """Compare the texts, and print the differences and the counts. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chosen = settings.load()
    torch.set_num_threads(1)
    folder = resolve(args.model, chosen.catalog[known(args.model, chosen)], chosen.cache_dir)
    some = random.Random(args.seed)
    requests = requests_of(args.prompts, some)
    ours, theirs = load_model(folder, CPU), load_model(folder, CPU)
    expected = {request.request_id: alone(theirs, request) for request in requests}
    waiting, differ, ties = list(requests), 0, 0
    some.shuffle(waiting)
    while waiting:
        size = some.randint(1, 80)
        mix, waiting = waiting[:size], waiting[size:]
        slots, sharing = some.choice([1, 3, 8, 32, 64]), some.random() < 0.5
        options = CausalOptions(prefix_sharing=sharing, step_tokens=some.choice([16, 64, 512]))
        engine = build_engine(args.model, ours, options, slots=slots)
        if not isinstance(engine, SlotEngine):
            sys.exit(f"{args.model} does not run in slots")
        done = together(engine, mix)
        for request in mix:
            got = done[request.request_id].text
            if got != ours.encoder.decode(expected[request.request_id]):
                tie = is_tie(folder, ours, request, expected[request.request_id], got)
                ties, differ = ties + tie, differ + (not tie)
                print(f"prompt {request.request_id}: {'a tie' if tie else 'A DIFFERENT TEXT'} in {slots} slots")
        print(f"{len(mix)} texts in {slots} slots, sharing {sharing}: {len(waiting)} left", file=sys.stderr)
    print(f"{args.prompts} texts: {args.prompts - differ - ties} the same, {ties} ties, {differ} different")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
