"""Loops over numbers that numba compiles, and the numbers of the cache in them: bfloat16 as the halves of float32."""

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
from numba import njit

Loops = Callable[..., None]

# Sums may be taken in any order, but infinities must stay what they are.
_LOOSE: Final = {"reassoc", "contract", "nsz", "arcp", "nnan"}
_OPTIONS: Final = {"fastmath": _LOOSE, "nogil": True, "error_model": "numpy"}


def compiled(signature: Any = None) -> Callable[[Loops], Loops]:
    """Compiles loops of the given types, once: they are found in a cache then, where any folder can be written to."""

    def compile_it(loops: Loops) -> Loops:
        try:
            return cast("Loops", njit(signature, **_OPTIONS, cache=True)(loops))
        except RuntimeError:  # neither this folder nor the user's can be written to
            return cast("Loops", njit(signature, **_OPTIONS)(loops))

    return compile_it


def compiled_here(signature: Any) -> Callable[[Loops], Loops]:
    """The same of loops that call such as no cache can find again."""
    return cast("Callable[[Loops], Loops]", njit(signature, **_OPTIONS))


_inlined: Final = cast(
    "Callable[[Callable[..., Any]], Callable[..., Any]]", njit(fastmath=_LOOSE, inline="always", error_model="numpy")
)


@_inlined
def wide(number: Any, halves: Any) -> Any:
    """The float32 of a number of the cache. A bfloat16 is the upper half of the float32 that it stands for."""
    if halves:
        return np.uint32(np.uint32(number) << np.uint32(16)).view(np.float32)
    return np.float32(number)


@_inlined
def exp(x: Any) -> Any:
    """e**x for x in [-87, 87], beyond which it stays what it is there; without calls, so that it is vectorised.

    Within a part in a million for x in [-1, 1], and in a hundred thousand elsewhere.

    2**n is made of its bits, and 2**f, f in [0, 1), by a polynomial (the first terms of its series, the last one fitted).
    """
    z = min(max(x, np.float32(-87.0)), np.float32(87.0)) * np.float32(1.4426950408889634)
    n = np.floor(z)
    f = (z - n) * np.float32(0.6931471805599453)
    p = np.float32(1.0 / 5040.0)
    p = p * f + np.float32(1.0 / 720.0)
    p = p * f + np.float32(1.0 / 120.0)
    p = p * f + np.float32(1.0 / 24.0)
    p = p * f + np.float32(1.0 / 6.0)
    p = p * f + np.float32(0.5)
    p = p * f + np.float32(1.0)
    p = p * f + np.float32(1.0)
    return p * np.uint32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@_inlined
def narrow(number: Any, halves: Any) -> Any:
    """A float32 as a number of the cache. A bfloat16 is the nearest one, of two the even one."""
    if halves:
        bits = np.float32(number).view(np.uint32)
        return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))
    return np.float32(number)
