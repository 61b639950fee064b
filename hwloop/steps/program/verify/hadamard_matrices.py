"""Hadamard matrices and their S-matrices, the patterns that cells are weighed by.

Orders: powers of 2 (Sylvester), q + 1 for a prime q of 3 modulo 4 and 2 (q + 1) for one of 1 modulo
4 (R. E. A. C. Paley, J. Math. Phys. 12, 311 (1933)), and these times powers of 2. Up to 1,000
neighbouring orders are at most 12 apart. S-matrices: M. Harwit and N. J. A. Sloane, Hadamard
Transform Optics (Academic Press, 1979).
"""

from __future__ import annotations

from functools import cache
from itertools import count

import numpy as np

from hwloop.types import FloatArray


@cache
def hadamard(least: int) -> FloatArray:
    """Return the smallest matrix that is known here of an order of at least ``least``.

    (order, order), ±1, read-only; its columns are orthogonal, and its first row and column all 1.
    """
    found = next(matrix for order in count(least) if (matrix := _of_order(order)) is not None)
    found = found * found[:, :1]
    found = found * found[:1]
    found.setflags(write=False)
    return found


def signed_patterns(cells: int) -> tuple[FloatArray, FloatArray]:
    """Return patterns of ±1 over cells, (patterns, cells), and the matrix that decodes.

    No column is constant, so an offset of the meter, or the part of a current that does not change
    sign with the voltage, falls out. The signs of the cells follow the Rudin-Shapiro sequence: of
    equal cells no pattern adds all currents.
    """
    matrix = hadamard(cells + 1)[:, 1 : cells + 1] * _rudin_shapiro(cells)
    return matrix, matrix.T / len(matrix)


def unsigned_patterns(cells: int) -> tuple[FloatArray, FloatArray]:
    """Return patterns of 0 and 1 over cells, (patterns, cells), and the matrix that decodes.

    Rows of an S-matrix: half of its entries are 1. Its inverse is 2 (2 Sᵀ − 1) / (order + 1).
    """
    matrix = (1 - hadamard(cells + 1)[1:, 1:]) / 2
    decoding = 2 * (2 * matrix.T - 1) / (len(matrix) + 1)
    return matrix[:, :cells], decoding[:cells]


def _of_order(order: int) -> FloatArray | None:
    if order in (1, 2):
        return np.ones((1, 1)) if order == 1 else np.array([[1.0, 1.0], [1.0, -1.0]])
    if order % 4:
        return None
    if _is_prime(order - 1):
        return _paley_of_3_modulo_4(order - 1)
    if _is_prime(order // 2 - 1) and order // 2 % 4 == 2:
        return _paley_of_1_modulo_4(order // 2 - 1)
    half = _of_order(order // 2)
    return None if half is None else np.kron(np.array([[1.0, 1.0], [1.0, -1.0]]), half)


def _paley_of_3_modulo_4(prime: int) -> FloatArray:
    skew = np.zeros((prime + 1, prime + 1))
    skew[0, 1:], skew[1:, 0] = 1, -1
    skew[1:, 1:] = _jacobsthal(prime)
    return skew + np.eye(prime + 1)


def _paley_of_1_modulo_4(prime: int) -> FloatArray:
    conference = np.zeros((prime + 1, prime + 1))
    conference[0, 1:] = conference[1:, 0] = 1
    conference[1:, 1:] = _jacobsthal(prime)
    on_diagonal = np.kron(np.eye(prime + 1), [[1.0, -1.0], [-1.0, -1.0]])
    whole: FloatArray = np.kron(conference, [[1.0, 1.0], [1.0, -1.0]]) + on_diagonal
    return whole


def _jacobsthal(prime: int) -> FloatArray:
    """Return (prime, prime): 1 where row − column is a square modulo the prime, else −1, or 0."""
    character = np.full(prime, -1.0)
    numbers = np.arange(prime)
    character[numbers**2 % prime] = 1
    character[0] = 0
    found: FloatArray = character[(numbers[:, None] - numbers) % prime]
    return found


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _rudin_shapiro(length: int) -> FloatArray:
    """Return ±1: −1 where a number has an odd count of neighbouring ones in binary."""
    return np.array([(-1.0) ** (n & n >> 1).bit_count() for n in range(length)])
