"""Counter-based random numbers, as compiled functions.

Philox4×32-10 (J. K. Salmon et al., SC 2011, doi:10.1145/2063384.2063405): number i of a draw
depends on the key, the draw's count and i alone, so that neither the number of threads nor the
order in which they work changes a value. They become normal ones by the inverse of the normal
distribution in single precision (M. Giles, GPU Computing Gems, 2011, ch. 10): relative error below
3e-7, tails to 6.2 standard deviations.

Import this module where it is used: it loads numba. A change here does not renew what numba cached
of ``kernels``: touch that file too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numba
import numpy as np


@dataclass
class Draws:
    """A stream of counter-based random numbers: a key, and the number of draws made.

    Each :meth:`next` is one draw of any length; two streams with different keys are independent.
    """

    key: int
    count: int = field(default=0)

    @classmethod
    def spawn(cls, rng: np.random.Generator) -> Draws:
        """Make a stream with a key of its own, taken from ``rng``."""
        return cls(int(rng.integers(0, 2**63)))

    def next(self) -> tuple[np.uint64, np.uint64]:
        """Return (key, number of the draw), and count it."""
        self.count += 1
        return np.uint64(self.key), np.uint64(self.count)


@dataclass(frozen=True)
class StepScatter:
    """A normal factor on every step, 1 + ``sigma`` · ξ."""

    sigma: float
    draws: Draws


@numba.njit(inline="always")
def philox(counter: np.uint64, draw: np.uint64, key: np.uint64):
    """Compute four random uint32 of Philox4×32-10."""
    mask = np.uint64(0xFFFFFFFF)
    low = np.uint64(32)
    c0, c1 = counter & mask, counter >> low
    c2, c3 = draw & mask, draw >> low
    k0, k1 = key & mask, key >> low
    for _ in range(10):
        product0 = np.uint64(0xD2511F53) * c0
        product1 = np.uint64(0xCD9E8D57) * c2
        c0, c2 = (product1 >> low) ^ c1 ^ k0, (product0 >> low) ^ c3 ^ k1
        c1, c3 = product1 & mask, product0 & mask
        k0 = (k0 + np.uint64(0x9E3779B9)) & mask
        k1 = (k1 + np.uint64(0xBB67AE85)) & mask
    return c0, c1, c2, c3


@numba.njit(inline="always", fastmath={"contract", "nsz", "arcp"})
def _normal(x, w):
    """Compute the normal number of the probability (1 + x)/2, with w = −ln(1 − x²)."""
    centre = w - np.float32(2.5)
    y = np.float32(2.81022636e-08)
    y = np.float32(3.43273939e-07) + y * centre
    y = np.float32(-3.5233877e-06) + y * centre
    y = np.float32(-4.39150654e-06) + y * centre
    y = np.float32(0.00021858087) + y * centre
    y = np.float32(-0.00125372503) + y * centre
    y = np.float32(-0.00417768164) + y * centre
    y = np.float32(0.246640727) + y * centre
    y = np.float32(1.50140941) + y * centre
    tail = np.sqrt(w) - np.float32(3.0)
    z = np.float32(-0.000200214257)
    z = np.float32(0.000100950558) + z * tail
    z = np.float32(0.00134934322) + z * tail
    z = np.float32(-0.00367342844) + z * tail
    z = np.float32(0.00573950773) + z * tail
    z = np.float32(-0.0076224613) + z * tail
    z = np.float32(0.00943887047) + z * tail
    z = np.float32(1.00167406) + z * tail
    z = np.float32(2.83297682) + z * tail
    return np.float32(1.4142135623730951) * x * (y if w < np.float32(5.0) else z)


@numba.njit(inline="always", fastmath={"contract", "nsz", "arcp"})
def _log(mantissa, exponent):
    """Compute ln(mantissa · 2^exponent), mantissa in [1, 2): Cephes' logf, without branches."""
    high = mantissa > np.float32(1.41421356)
    x = (np.float32(0.5) * mantissa if high else mantissa) - np.float32(1.0)
    e = exponent + (np.float32(1.0) if high else np.float32(0.0))
    y = np.float32(7.0376836292e-2)
    y = y * x - np.float32(1.1514610310e-1)
    y = y * x + np.float32(1.1676998740e-1)
    y = y * x - np.float32(1.2420140846e-1)
    y = y * x + np.float32(1.4249322787e-1)
    y = y * x - np.float32(1.6668057665e-1)
    y = y * x + np.float32(2.0000714765e-1)
    y = y * x - np.float32(2.4999993993e-1)
    y = y * x + np.float32(3.3333331174e-1)
    square = x * x
    y = y * x * square + e * np.float32(-2.12194440e-4) - np.float32(0.5) * square
    return x + y + e * np.float32(0.693359375)


@numba.njit(inline="always")
def fill_normals(normals, block, draw, key):
    """Fill in the normal numbers of one block of a draw, all blocks of this size."""
    fill_normals_from(normals, np.uint64(block) * np.uint64(normals.size // 4), draw, key)


@numba.njit(inline="always")
def fill_normals_from(normals, first, draw, key):
    """Fill in the normal numbers of counters from ``first``; loops become vector instructions.

    Each counter gives four numbers; the size must be a multiple of four.
    """
    size = normals.size
    quarter = size // 4
    bits = np.empty(size, np.uint32)
    for i in range(quarter):
        a, b, c, d = philox(first + np.uint64(i), draw, key)
        bits[i] = a
        bits[i + quarter] = b
        bits[i + 2 * quarter] = c
        bits[i + 3 * quarter] = d
    _from_bits(normals, bits)


@numba.njit(inline="always")
def fill_normals_at(normals, places, size, block, draw, key):
    """Fill in those normal numbers of a block that stand at ``places``, the same to the last bit.

    ``size``: of the block. Only as many are computed as there are places.
    """
    quarter = size // 4
    first = np.uint64(block) * np.uint64(quarter)
    bits = np.empty(places.size, np.uint32)
    for i in range(places.size):
        a, b, c, d = philox(first + np.uint64(places[i] % quarter), draw, key)
        word = places[i] // quarter
        low, high = (a if word == 0 else b), (c if word == 2 else d)
        bits[i] = low if word < 2 else high
    _from_bits(normals[: places.size], bits)


@numba.njit(inline="always")
def _from_bits(normals, bits):
    """Turn random bits into normal numbers; loops become vector instructions."""
    size = normals.size
    odd = np.empty(size, np.float32)
    inside = np.empty(size, np.float32)
    for i in range(size):
        # 1 − x² = 4 p q, both from integers: exact in the tails, where 1 − x² rounds away.
        p = np.float32(bits[i]) * np.float32(2.0**-32) + np.float32(2.0**-33)
        q = np.float32(~bits[i]) * np.float32(2.0**-32) + np.float32(2.0**-33)
        odd[i] = p - q
        inside[i] = min(np.float32(4.0) * p * q, np.float32(1.0))
    raw = inside.view(np.int32)
    for i in range(size):
        exponent = np.float32((raw[i] >> np.int32(23)) - np.int32(127))
        raw[i] = (raw[i] & np.int32(0x7FFFFF)) | np.int32(0x3F800000)
        normals[i] = exponent
    for i in range(size):
        w = max(-_log(inside[i], normals[i]), np.float32(0.0))
        normals[i] = _normal(odd[i], w)
