"""This module compiles loops with numba, and converts numbers inside the loops.

numpy has no bfloat16, so a uint16 holds the bits of a bfloat16.
"""

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
from numba import njit

Loops = Callable[..., None]

# LLVM may reorder sums, but must not assume that there are no infinities.
_FAST_MATH: Final = {"reassoc", "contract", "nsz", "arcp", "nnan"}
_OPTIONS: Final = {"fastmath": _FAST_MATH, "nogil": True, "error_model": "numpy"}


def compiled(signature: Any = None) -> Callable[[Loops], Loops]:
    """Return a decorator that compiles loops for the argument types of `signature`; None: for those of the first call.

    numba caches the compiled loops on disk if it finds a writable folder.
    """

    def decorate(loops: Loops) -> Loops:
        try:
            return cast("Loops", njit(signature, **_OPTIONS, cache=True)(loops))
        except RuntimeError:  # neither this folder nor the user's cache folder is writable
            return cast("Loops", njit(signature, **_OPTIONS)(loops))

    return decorate


def compiled_uncached(signature: Any) -> Callable[[Loops], Loops]:
    """Return a decorator like that of `compiled`, but without the disk cache.

    The cache cannot hold loops that call functions made at run time.
    """
    return cast("Callable[[Loops], Loops]", njit(signature, **_OPTIONS))


_inlined: Final = cast(
    "Callable[[Callable[..., Any]], Callable[..., Any]]",
    njit(fastmath=_FAST_MATH, inline="always", error_model="numpy"),
)


@_inlined
def to_float32(number: Any, bf16: Any) -> Any:
    """Return a number of a tensor as float32. If `bf16`, the number is the 16 bits of a bfloat16: the upper half of a float32."""
    if bf16:
        return np.uint32(np.uint32(number) << np.uint32(16)).view(np.float32)
    return np.float32(number)


@_inlined
def exp(x: Any) -> Any:
    """Return e**x, with x clamped to [-87, 87]. This function calls no other, so that loops which use it are vectorised.

    The relative error is below 1e-6 for x in [-1, 1], and below 1e-5 elsewhere.

    e**x is 2**n * e**f with an integer n and f in [0, ln 2). 2**n is a float32 whose exponent bits are set from n. e**f is the
    sum of the first eight terms of its power series.
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
def from_float32(number: Any, bf16: Any) -> Any:
    """Return a float32 as a number of a tensor. If `bf16`, return the bits of the nearest bfloat16, ties to even."""
    if bf16:
        bits = np.float32(number).view(np.uint32)
        return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))
    return np.float32(number)
