"""Products of row vectors with the cells, and the noise that reading adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray
from hwloop_sim.cells.device import ConductingCells
from hwloop_sim.cells.effect import ReadNoise
from hwloop_sim.emulator.lines import ArrayLines


@dataclass(frozen=True, eq=False)
class Product:
    """Column currents, (..., batch, cols), amperes, and the variances of their noise.

    ``squares_a2``: Σ V² G², for a noise that is a fraction of each cell's current. ``variances``:
    of each :class:`ReadNoise`, in its unit.
    """

    current_a: FloatArray
    squares_a2: FloatArray | None
    variances: tuple[NDArray[np.floating], ...]


class Products:
    """Multiplication with noise; the variances of unchanged conductances are kept.

    ``fraction``: noise of each cell's current as a fraction of it, drawn from ``rng``; ``noises``
    have generators of their own.
    """

    def __init__(
        self,
        lines: ArrayLines,
        noises: Sequence[ReadNoise],
        *,
        fraction: float,
        rng: np.random.Generator,
    ) -> None:
        self._lines = lines
        self._noises = noises
        self._fraction = fraction
        self._rng = rng
        self._known_conductance_s: FloatArray | None = None
        self._variance: list[tuple[NDArray[np.float32], float]] = []

    def of(
        self, cells: ConductingCells, voltage_v: FloatArray, rows: slice, *, unit_v: float
    ) -> Product:
        """Compute the product of these rows; ``unit_v``: the largest voltage of all vectors.

        The noise is that of the cells at the voltages of the rows, without wires.
        """
        conductance_s = cells.conductance_s
        self._know(conductance_s)
        part_v = voltage_v[..., rows]
        part_conductance_s = conductance_s[..., rows, :]
        squares_a2 = np.square(part_v) @ np.square(part_conductance_s) if self._fraction else None
        current_a = self._lines.multiply(cells, part_v, rows)
        variances = tuple(
            self._variances(variance[..., rows, :], part_v, unit_v, current_a.shape)
            for variance, _ in self._variance
        )
        return Product(current_a, squares_a2, variances)

    def noisy(self, product: Product, *, unit_v: float) -> FloatArray:
        """Return the currents with a draw of every noise, amperes."""
        current_a = product.current_a
        if product.squares_a2 is not None:
            noise = self._rng.normal(size=current_a.shape)
            current_a = current_a + self._fraction * np.sqrt(product.squares_a2) * noise
        units = (unit_v**2 * unit_conductance_s2 for _, unit_conductance_s2 in self._variance)
        for noise_, variance, unit_a2 in zip(self._noises, product.variances, units, strict=True):
            noise_.add(current_a, variance, unit_a2=unit_a2, reads=1)
        return current_a

    def _variances(
        self,
        variance: NDArray[np.float32],
        voltage_v: FloatArray,
        unit_v: float,
        shape: tuple[int, ...],
    ) -> NDArray[np.float32]:
        """Return Σ V² σ² in units of the largest of each.

        In single precision, which is ample for a variance and twice as fast, and ends at 1e-38.
        """
        if not variance.any():
            return np.zeros(shape, np.float32)
        shares = np.square(voltage_v / unit_v).astype(np.float32)
        return shares @ variance

    def _know(self, conductance_s: FloatArray) -> None:
        if conductance_s is self._known_conductance_s:
            return
        self._known_conductance_s = conductance_s
        self._variance = []
        for noise in self._noises:
            conductance_variance_s2 = noise.conductance_variance_s2(conductance_s)
            unit_conductance_s2 = float(conductance_variance_s2.max()) or 1.0
            self._variance.append(
                (
                    (conductance_variance_s2 / unit_conductance_s2).astype(np.float32),
                    unit_conductance_s2,
                )
            )


def joined(products: Sequence[Product]) -> Product:
    """Join the products of consecutive vectors into one."""
    first = products[0]
    if len(products) == 1:
        return first
    squares = [part.squares_a2 for part in products if part.squares_a2 is not None]
    return Product(
        np.concatenate([part.current_a for part in products], axis=-2),
        np.concatenate(squares, axis=-2) if squares else None,
        tuple(
            np.concatenate([part.variances[index] for part in products], axis=-2)
            for index in range(len(first.variances))
        ),
    )
