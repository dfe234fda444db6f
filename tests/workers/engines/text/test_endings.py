"""Shows workers/engines/text/endings.py: what ends a completion, and where a stop text cuts it."""

from typing import Any

import pytest

from jobs.generation import SamplingParams
from workers.engines.text.endings import TAIL_TOKENS, Ending, ending_of

EOS = 0


def decode(tokens: list[int]) -> str:
    return "".join(chr(96 + token) for token in tokens if token != EOS)


def ended(tokens: list[int], *, cancelled: bool = False, **params: Any) -> Ending | None:
    return ending_of(tokens, SamplingParams(**params), eos=(EOS,), decode=decode, cancelled=cancelled)


@pytest.mark.parametrize(
    ("tokens", "params", "ending"),
    [
        pytest.param([1, 2], {}, None, id="goes on"),
        pytest.param([1, 2, EOS], {}, Ending("stop", "ab", 3), id="an end token"),
        pytest.param([1, EOS], {"min_tokens": 3}, None, id="an end token before min_tokens"),
        pytest.param([1, 2], {"stop_token_ids": (2, 5)}, Ending("stop", "ab", 2), id="a stop token"),
        pytest.param([1, 2], {"stop_token_ids": (2,), "min_tokens": 3}, None, id="a stop token before min_tokens"),
        pytest.param([1, 2], {"max_tokens": 2}, Ending("length", "ab", 2), id="max_tokens"),
        pytest.param([1, 2], {"cancelled": True}, Ending("cancelled", "ab", 2), id="cancelled"),
        pytest.param([1, EOS], {"cancelled": True}, Ending("stop", "a", 2), id="cancelled at its end token"),
        pytest.param([1, 2, 3], {"stop": ("bc",)}, Ending("stop", "a", 3), id="a stop text across tokens"),
        pytest.param([1, 2, 3], {"stop": ("c", "ab")}, Ending("stop", "", 3), id="the first of two stop texts"),
        pytest.param([1, 2], {"stop": ("b",), "max_tokens": 2}, Ending("stop", "a", 2), id="a stop text at max_tokens"),
        pytest.param([1, 2], {"stop": ("a",), "min_tokens": 2}, None, id="a stop text before min_tokens"),
        pytest.param([1, 1], {"stop": ("a",), "min_tokens": 2}, Ending("stop", "a", 2), id="a stop text at min_tokens"),
    ],
)
def test_a_completion_ends(tokens: list[int], params: dict[str, Any], ending: Ending | None) -> None:
    assert ended(tokens, **params) == ending


def test_only_the_end_of_a_long_text_is_decoded_at_each_token() -> None:
    """The whole text is decoded only at its end."""
    sizes: list[int] = []

    def counted(tokens: list[int]) -> str:
        sizes.append(len(tokens))
        return decode(tokens)

    long, tail = [1] * 100, TAIL_TOKENS + 4 * 2
    params = SamplingParams(stop=("bc",))
    assert ending_of(long, params, eos=(EOS,), decode=counted) is None
    assert sizes == [tail]
    assert ending_of([*long, 2, 3], params, eos=(EOS,), decode=counted) == Ending("stop", "a" * 100, 102)
