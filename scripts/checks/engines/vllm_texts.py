"""Compares the greedy texts of the engine vllm with those of `causal` and of transformers' `generate`, in float32 on a CPU.

    ENVIRONMENT/bin/python scripts/checks/engines/vllm_texts.py --source FOLDER [--prompts 100] [--tokens 32]

It runs in vLLM's environment, which `nightpress models env vllm` makes. Two texts may part at a *tie*: a place where the model
gives two tokens nearly the same logit, so that the order of a sum decides. The script lists each place where texts part, with
the distance of the two logits by transformers, and ends with status 1 if one is more than --tie.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.catalog import ModelCard
from jobs.generation import GenerationRequest, Message, Prompt, SamplingParams
from workers.engines.registry import make_engine

TASKS = (
    "Write a line about",
    "Name three facts on",
    "Explain in one sentence",
    "Make a slogan for",
    "Ask a question about",
)
THINGS = """
tea, rain in March, a bakery, old bicycles, the moon, a garden shed, slow trains, wool, a lighthouse, bees, cheap flights,
night shifts, maps, salt, a small museum, winter tyres, pencils, a village fair, soup, clocks
"""


def prompts(n: int) -> list[str]:
    """Return `n` different prompts, always the same ones."""
    found = [f"{task} {' '.join(thing.split())}." for task in TASKS for thing in THINGS.split(",")]
    random.Random(7).shuffle(found)
    return found[:n]


def texts_of(engine: str, source: str, asked: Sequence[str], tokens: int) -> dict[int, tuple[int, ...]]:
    """Return the tokens that an engine writes for each prompt, all prompts together."""
    options: dict[str, Any] = {"cache_bytes": 1 << 30, **({"context": 512} if engine == "vllm" else {})}
    card = ModelCard(engine=engine, source=source, dtype="float32", device="cpu", slots=32, options=options)
    with tempfile.TemporaryDirectory() as cache:
        made = make_engine("m", card, Path(cache))
    params = SamplingParams(max_tokens=tokens, temperature=0.0, logprobs=0, seed=1)
    for n, text in enumerate(asked):
        made.submit(GenerationRequest(str(n), Prompt(messages=(Message("user", text),), params=params)))
    done: dict[int, tuple[int, ...]] = {}
    while len(done) < len(asked):
        done |= {int(one.request_id): tuple(token.token_id for token in one.logprobs) for one in made.step()}
    return done


def texts_of_generate(network: Any, encoder: Any, asked: Sequence[str], tokens: int) -> dict[int, tuple[int, ...]]:
    """Return the tokens that `generate` writes for each prompt, one prompt at a time."""
    import torch

    found = {}
    for n, text in enumerate(asked):
        prompt = torch.tensor([prompt_tokens(encoder, text)])
        with torch.inference_mode():
            whole = network.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=tokens, do_sample=False
            )
        found[n] = tuple(whole[0, prompt.shape[1] :].tolist())
    return found


def prompt_tokens(encoder: Any, text: str) -> list[int]:
    """Return the tokens of a prompt."""
    return list(encoder.encode(GenerationRequest("p", Prompt(messages=(Message("user", text),)))).tokens)


def distance(network: Any, prompt: Sequence[int], one: Sequence[int], other: Sequence[int]) -> tuple[int, float]:
    """Return where two texts part, and the distance of the logits of the two tokens there."""
    import torch

    place = next(
        (n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )
    if place >= min(len(one), len(other)):
        return place, float("inf")
    with torch.inference_mode():
        logits = network(torch.tensor([[*prompt, *one[:place]]])).logits[0, -1]
    return place, float((logits[one[place]] - logits[other[place]]).abs())


def compare(
    names: Sequence[str],
    found: Mapping[str, Mapping[int, tuple[int, ...]]],
    network: Any,
    encoder: Any,
    asked: Sequence[str],
) -> float:
    """Print how many texts of two engines are equal, and where the others part. Returns the largest distance at such a place."""
    first, second = names
    parted = [n for n in range(len(asked)) if found[first][n] != found[second][n]]
    print(f"{first} and {second}: {len(asked) - len(parted)} of {len(asked)} texts are equal")
    most = 0.0
    for n in parted:
        place, far = distance(network, prompt_tokens(encoder, asked[n]), found[first][n], found[second][n])
        print(f"  prompt {n} parts at token {place}: the logits are {far:.2g} apart")
        most = max(most, far)
    return most


def main() -> None:
    """Compare the texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, help="a folder with a model in safetensors")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--tie", type=float, default=1e-3, help="the largest distance of two logits that is a tie")
    args = parser.parse_args()
    asked = prompts(args.prompts)
    found = {
        "vllm": texts_of("vllm", args.source, asked, args.tokens)
    }  # first: Numba must not be loaded before vLLM's engine
    print("vllm has written", flush=True)
    found["causal"] = texts_of("causal", args.source, asked, args.tokens)
    print("causal has written", flush=True)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from workers.engines.text.encoding import Encoder

    tokenizer = AutoTokenizer.from_pretrained(args.source, local_files_only=True)
    network = AutoModelForCausalLM.from_pretrained(args.source, local_files_only=True, dtype=torch.float32).eval()
    encoder = Encoder(tokenizer, sys.maxsize, None)
    found["generate"] = texts_of_generate(network, encoder, asked, args.tokens)
    pairs = (("vllm", "generate"), ("vllm", "causal"), ("causal", "generate"))
    worst = max(compare(pair, found, network, encoder, asked) for pair in pairs)
    sys.exit(1 if worst > args.tie else 0)


if __name__ == "__main__":
    main()
