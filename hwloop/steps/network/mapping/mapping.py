"""Mapping of signed weights to conductances, and back.

With k the siemens of one unit of weight, w_max the largest magnitude of a layer or of a column, and
the range G_min … G_max:

- ``differential``: two neighbouring columns, G⁺ = G_min + k · max(w, 0) in the even one and
  G⁻ = G_min + k · max(−w, 0) in the odd one, k = (G_max − G_min)/w_max; w = (G⁺ − G⁻)/k;
- ``symmetric``: the same two columns about the middle M = (G_min + G_max)/2, G± = M ± k w/2;
- ``offset``: one column, G = M + k · w with half of that k, beside one more, the last, of cells
  at M; w = (G − G_offset)/k;
- ``direct``: the weights are conductances in siemens from G_min to G_max, one column an output.

Sources: pairs with one side at the floor, eqs. 10 and 11 of J. Souto Garnelo et al., "Neuromorphic
circuit simulation with memristors"; the offset, A. Shafiee et al., ISCA 2016,
doi:10.1145/3007787.3001139.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from hwloop.array.conductance_range import ConductanceRange
from hwloop.errors import ConfigError
from hwloop.messages import first_place
from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PositiveSiemens, Siemens
from hwloop.types import FloatArray

Arrangement = Literal["differential", "symmetric", "offset", "direct"]
Percentile = Annotated[Number, Field(gt=0, le=100)]
_LEAST = 1e-290
"""Least w_max; below it the slope would overflow."""
LevelCount = Annotated[int, Field(strict=True, ge=2)]


class ColumnSettings(Settings):
    """Arrangement of weights in columns.

    ``scale``: one w_max for the layer, or one for each column. ``clip_percentile``: w_max is this
    percentile of the magnitudes, and larger weights are clipped to it and counted. ``levels``:
    number of equally spaced conductances from the smallest to the largest; continuous if left out.
    """

    arrangement: Arrangement = "differential"
    scale: Literal["layer", "column"] = "layer"
    clip_percentile: Percentile = 100.0
    levels: LevelCount | None = None

    @model_validator(mode="after")
    def _nothing_scaled(self) -> ColumnSettings:
        if self.arrangement == "direct" and (self.scale == "column" or self.clip_percentile != 100):
            raise ValueError("direct: conductances are not scaled: no scale, no clip_percentile")
        return self

    def cols(self, outputs: int) -> int:
        """Return the number of columns for a number of outputs."""
        return cols_each(self.arrangement) * outputs + cols_besides(self.arrangement)


class WeightColumns(ColumnSettings):
    """Arrangement with the smallest and the largest conductance, siemens."""

    min_conductance_s: Annotated[Siemens, Field(ge=0)]
    max_conductance_s: PositiveSiemens

    @model_validator(mode="after")
    def _ordered(self) -> WeightColumns:
        if self.min_conductance_s >= self.max_conductance_s:
            raise ValueError(
                f"min_conductance_s {self.min_conductance_s:g} must be below max_conductance_s"
                f" {self.max_conductance_s:g}"
            )
        return self


class OwnOrArrayRange(ColumnSettings):
    """Arrangement whose smallest and largest conductance default to the array's ``range``."""

    min_conductance_s: Annotated[Siemens, Field(ge=0)] | None = None
    max_conductance_s: PositiveSiemens | None = None

    def within(self, span: ConductanceRange | None) -> WeightColumns:
        """Return it with both ends; raise :class:`ConfigError` where neither source gives one."""
        ends = {
            "min_conductance_s": self.min_conductance_s,
            "max_conductance_s": self.max_conductance_s,
        }
        if span is not None:
            for name, of_span in (
                ("min_conductance_s", span.low_conductance_s),
                ("max_conductance_s", span.high_conductance_s),
            ):
                ends[name] = of_span if ends[name] is None else ends[name]
        missing = [name for name, value in ends.items() if value is None]
        if missing:
            raise ConfigError(
                f"give {' and '.join(missing)}, or array.range for all steps", key="mapping"
            )
        return WeightColumns.parse(
            {**self.model_dump(exclude={"min_conductance_s", "max_conductance_s"}), **ends}
        )


def cols_each(arrangement: Arrangement) -> int:
    """Return the number of columns of one output."""
    return 2 if arrangement in ("differential", "symmetric") else 1


def cols_besides(arrangement: Arrangement) -> int:
    """Return the number of columns shared by all outputs of a block, which follow theirs."""
    return 1 if arrangement == "offset" else 0


@dataclass(frozen=True, eq=False)
class WeightMap:
    """Conductances of weights, (rows, cols) siemens, and the slopes to convert them back.

    ``slope_conductance_s``: siemens of one unit of weight, (outputs,). ``clipped``: number of
    weights beyond w_max, ``largest_clipped`` the largest of them.
    """

    arrangement: Arrangement
    conductance_s: FloatArray
    slope_conductance_s: FloatArray
    clipped: int = 0
    largest_clipped: float = 0.0

    def sums(self, current_a: FloatArray) -> FloatArray:
        """Return Σ V w of each output, volts, from amperes (..., cols); NaN where one is NaN."""
        return differences(current_a, self.arrangement) / self.slope_conductance_s

    def weights(self, conductance_s: FloatArray | None = None) -> FloatArray:
        """Return weights (..., rows, outputs) of siemens (..., rows, cols), by default its own."""
        return self.sums(self.conductance_s if conductance_s is None else conductance_s)


def differences(columns: FloatArray, arrangement: Arrangement) -> FloatArray:
    """Return the signed sums (..., outputs) of columns (..., cols).

    The difference of each pair, or from the offset column; a direct column unchanged.
    """
    if arrangement == "direct":
        return columns
    if arrangement == "offset":
        return columns[..., :-1] - columns[..., -1:]
    return columns[..., 0::2] - columns[..., 1::2]


def map_weights(weights: FloatArray, columns: WeightColumns) -> WeightMap:
    """Map weights (rows, outputs) to conductances (rows, cols); see the head of the module.

    Raises :class:`ConfigError` naming the first weight that is not finite, or with ``direct``
    outside the range.
    """
    refuse_unfinite(weights)
    if columns.arrangement == "direct":
        _refuse_outside(weights, columns)
        conductance_s = _on_levels(np.array(weights, np.float64), columns)
        return WeightMap("direct", conductance_s, np.ones(weights.shape[1]))
    largest = _largest(weights, columns)
    beyond = np.abs(weights) > largest
    inside = np.clip(weights, -largest, largest)
    window_conductance_s = columns.max_conductance_s - columns.min_conductance_s
    full_conductance_s = (
        window_conductance_s / 2 if columns.arrangement == "offset" else window_conductance_s
    )
    slope_conductance_s = full_conductance_s / largest
    conductance_s = _on_levels(_placed(inside * slope_conductance_s, columns), columns)
    return WeightMap(
        columns.arrangement,
        conductance_s,
        slope_conductance_s,
        int(beyond.sum()),
        float(np.abs(weights[beyond]).max(initial=0.0)),
    )


def _on_levels(conductance_s: FloatArray, columns: WeightColumns) -> FloatArray:
    if columns.levels is None:
        return conductance_s
    step_conductance_s = (columns.max_conductance_s - columns.min_conductance_s) / (
        columns.levels - 1
    )
    return columns.min_conductance_s + step_conductance_s * np.round(
        (conductance_s - columns.min_conductance_s) / step_conductance_s
    )


def _refuse_outside(weights_conductance_s: FloatArray, columns: WeightColumns) -> None:
    outside = (weights_conductance_s < columns.min_conductance_s) | (
        weights_conductance_s > columns.max_conductance_s
    )
    if outside.any():
        place = first_place(outside)
        raise ConfigError(
            f"direct: weight {place} is {weights_conductance_s[place]:g} S, outside"
            f" min_conductance_s {columns.min_conductance_s:g} to"
            f" max_conductance_s {columns.max_conductance_s:g} ({outside.sum()} of"
            f" {weights_conductance_s.size} are)"
        )


def with_small_weights(mapped: WeightMap, small: FloatArray) -> WeightMap:
    """Return the map with weights (rows, outputs) added, in its own slopes.

    For weights that were 0: elsewhere a pair could leave the range of its conductances.
    """
    signed_conductance_s = small * mapped.slope_conductance_s
    added_conductance_s = np.zeros_like(mapped.conductance_s)
    match mapped.arrangement:
        case "differential":
            added_conductance_s[:, 0::2], added_conductance_s[:, 1::2] = (
                np.maximum(signed_conductance_s, 0),
                np.maximum(-signed_conductance_s, 0),
            )
        case "symmetric":
            added_conductance_s[:, 0::2], added_conductance_s[:, 1::2] = (
                signed_conductance_s / 2,
                -signed_conductance_s / 2,
            )
        case _:
            added_conductance_s[:, : signed_conductance_s.shape[1]] = signed_conductance_s
    return replace(mapped, conductance_s=mapped.conductance_s + added_conductance_s)


def refuse_unfinite(weights: FloatArray, name: str = "weight") -> None:
    """Raise :class:`ConfigError` with place and value of the first entry that is not finite."""
    wrong = ~np.isfinite(weights)
    if wrong.any():
        place = first_place(wrong)
        raise ConfigError(
            f"{name} {place} is {weights[place]}: every one must be finite"
            f" ({wrong.sum()} of {weights.size} are not)"
        )


def _largest(weights: FloatArray, columns: WeightColumns) -> FloatArray:
    """Return w_max of each output, (outputs,), 1 where all weights are 0."""
    outputs = weights.shape[1]
    if not weights.size:
        return np.ones(outputs)
    axis = 0 if columns.scale == "column" else None
    found = np.percentile(np.abs(weights), columns.clip_percentile, axis=axis)
    if columns.clip_percentile == 100:  # exact, where interpolation might round
        found = np.abs(weights).max(axis=axis)
    largest = np.array(np.broadcast_to(found, (outputs,)), dtype=np.float64)
    held = np.abs(weights).max(axis=0)
    lost = np.flatnonzero((largest < _LEAST) & (held > 0))
    if lost.size:
        raise ConfigError(
            f"output {lost[0]}: percentile {columns.clip_percentile:g} of the magnitudes is"
            f" {largest[lost[0]]:g}: nothing would be left of weights up to {held[lost[0]]:g}"
        )
    largest[largest == 0] = 1.0
    return largest


def _placed(signed_conductance_s: FloatArray, columns: WeightColumns) -> FloatArray:
    """Return the conductances (rows, cols) of k w (rows, outputs)."""
    middle_conductance_s = (columns.min_conductance_s + columns.max_conductance_s) / 2
    rows = signed_conductance_s.shape[0]
    match columns.arrangement:
        case "differential":
            pairs = np.stack(
                [np.maximum(signed_conductance_s, 0.0), np.maximum(-signed_conductance_s, 0.0)],
                axis=-1,
            )
            placed: FloatArray = columns.min_conductance_s + pairs.reshape(rows, -1)
        case "symmetric":
            pairs = np.stack([signed_conductance_s, -signed_conductance_s], axis=-1) / 2
            placed = middle_conductance_s + pairs.reshape(rows, -1)
        case _:  # offset
            placed = middle_conductance_s + np.concatenate(
                [signed_conductance_s, np.zeros((rows, 1))], axis=-1
            )
    # Rounding may exceed an end of the range; a limit would then refuse the target.
    return np.clip(placed, columns.min_conductance_s, columns.max_conductance_s)
