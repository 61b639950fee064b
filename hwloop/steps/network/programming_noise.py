"""Accuracy of a mapped network under programming noise, drawn in software.

Nothing is done to the array, and no device is emulated: each execution draws a conductance for each
programmed cell, and the network is evaluated in NumPy with the resulting weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeInt
from typing_extensions import override

from hwloop.array.conductance_bounds import refuse_unreadable
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.settings.bulk import LabelledData
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, Fraction, PositiveSiemens
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, Step
from hwloop.steps.network.array_product import PlacedNetwork
from hwloop.steps.network.infer import placed_network
from hwloop.steps.network.mapping.mapping import cols_each
from hwloop.steps.network.network import predicted
from hwloop.steps.network.programming_spread import drawn_conductance_s, sigma_conductance_s
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray


class MeasuredSpread(Settings):
    """Spread σ(G) of measured cells, times ``factor``."""

    variability: Literal["iterative", "one_shot"]
    factor: Fraction = 1.0


class EqualSpread(Settings):
    """Spread with the same σ for every cell, in ``points`` equal steps.

    ``low_conductance_s``, ``high_conductance_s``: the first and the last σ.
    """

    variability: Literal["equal"]
    low_conductance_s: PositiveSiemens
    high_conductance_s: PositiveSiemens
    points: Count = 40


class Only(Settings):
    """Restriction of the scatter to the cells of one output of one layer."""

    layer: NonNegativeInt
    output: NonNegativeInt


class ProgrammingNoiseSettings(Settings):
    """Settings of the programming noise: ``executions`` draws for each σ.

    ``largest_conductance_s``: conductances are held between 0 and this. Cells at 0 S are not
    programmed and do not scatter. ``only``: the cells that scatter; all if left out.
    """

    data: LabelledData
    programming: Annotated[MeasuredSpread | EqualSpread, Field(discriminator="variability")]
    executions: Count = 100
    largest_conductance_s: PositiveSiemens
    only: Only | None = None


@dataclass(frozen=True, eq=False)
class ProgrammingNoiseRow(Row):
    """Accuracies of all executions with one σ."""

    sigma_conductance_s: float = column(
        "S", "of every cell, or the mean of measured σ(G) over programmed cells"
    )
    accuracy: FloatArray = column("1", "of each execution; (executions,)")
    mean: float = column("1", "mean accuracy")
    deviation: float = column("1", "standard deviation over executions")
    held: int = column("1", "draws held at 0 or at the largest conductance")
    noiseless: float = column("1", "accuracy of the map without scatter")
    always: float = column("1", "accuracy of always answering the most frequent class")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"sigma (uS)": self.sigma_conductance_s * 1e6, "accuracy": self.mean}


def run(settings: ProgrammingNoiseSettings, array: Array) -> Iterator[Yield]:
    """Draw conductances, evaluate the network, and count right answers, for each σ in turn.

    Raises :class:`StepError` where no network is mapped.
    """
    placed = placed_network(array, step="programming_noise")
    x, y = settings.data.load()
    rows = []
    for equal_conductance_s in _sigmas(settings.programming):
        rows.append(_row(settings, placed, equal_conductance_s, x, y, array.rng))
        yield rows[-1]
    last = rows[-1]
    summary = f"software draw: accuracy {last.mean:.3f} ± {last.deviation:.3f}"
    if len(rows) > 1:
        first = rows[0]
        summary = (
            f"software draw: accuracy {first.mean:.3f} ± {first.deviation:.3f} at"
            f" {first.sigma_conductance_s * 1e6:.3g} µS, {last.mean:.3f} ± {last.deviation:.3f} at"
            f" {last.sigma_conductance_s * 1e6:.3g} µS"
        )
    yield Outcome(True, f"{summary}; {last.noiseless:.3f} without scatter")


def _sigmas(programming: MeasuredSpread | EqualSpread) -> list[float | None]:
    if isinstance(programming, MeasuredSpread):
        return [None]
    return [
        float(s)
        for s in np.linspace(
            programming.low_conductance_s, programming.high_conductance_s, programming.points
        )
    ]


def _row(
    settings: ProgrammingNoiseSettings,
    placed: PlacedNetwork,
    equal_conductance_s: float | None,
    x: FloatArray,
    y: FloatArray,
    rng: np.random.Generator,
) -> ProgrammingNoiseRow:
    deviations = [
        _deviation(settings.programming, one.conductance_s, equal_conductance_s)
        for one in placed.maps
    ]
    noisy = [_noisy(settings.only, placed, layer) for layer in range(len(placed.maps))]
    accuracy, held = [], 0
    for _ in range(settings.executions):
        weights = []
        for one, deviation_conductance_s, mask in zip(placed.maps, deviations, noisy, strict=True):
            drawn, count = drawn_conductance_s(
                one.conductance_s,
                deviation_conductance_s,
                rng,
                largest_conductance_s=settings.largest_conductance_s,
                noisy=mask,
            )
            weights.append(one.weights(drawn))
            held += count
        accuracy.append(_accuracy(placed, weights, x, y))
    programmed = [
        np.broadcast_to(s, one.conductance_s.shape)[one.conductance_s > 0]
        for one, s in zip(placed.maps, deviations, strict=True)
    ]
    return ProgrammingNoiseRow(
        sigma_conductance_s=float(np.concatenate(programmed).mean()),
        accuracy=np.array(accuracy),
        mean=float(np.mean(accuracy)),
        deviation=float(np.std(accuracy)),
        held=held,
        noiseless=_accuracy(placed, [one.weights() for one in placed.maps], x, y),
        always=float(np.unique(y, return_counts=True)[1].max() / len(y)),
    )


def _deviation(
    programming: MeasuredSpread | EqualSpread,
    conductance_s: FloatArray,
    equal_conductance_s: float | None,
) -> FloatArray:
    if isinstance(programming, MeasuredSpread):
        return sigma_conductance_s(
            conductance_s, programming.variability, factor=programming.factor
        )
    return np.asarray(equal_conductance_s, dtype=np.float64)


def _noisy(only: Only | None, placed: PlacedNetwork, layer: int) -> BoolArray | None:
    if only is None:
        return None
    mapped = placed.maps[layer]
    if only.layer >= len(placed.maps):
        raise ConfigError(f"layer {only.layer}: the network has {len(placed.maps)}", key="only")
    mask = np.zeros(mapped.conductance_s.shape, dtype=np.bool_)
    if layer == only.layer:
        if only.output >= len(mapped.slope_conductance_s):
            raise ConfigError(
                f"output {only.output} of {len(mapped.slope_conductance_s)}", key="only"
            )
        each = cols_each(mapped.arrangement)
        mask[:, each * only.output : each * (only.output + 1)] = True
    return mask


def _accuracy(
    placed: PlacedNetwork, weights: list[FloatArray], x: FloatArray, y: FloatArray
) -> float:
    outputs = placed.network.forward(x, lambda layer, inputs: inputs @ weights[layer])
    return float(np.mean(predicted(outputs) == y))


def plan(settings: ProgrammingNoiseSettings, array: ArraySettings) -> Plan:
    """Return the empty plan: nothing is done to the array.

    Raises :class:`ConfigError` for data that cannot be read, and for a conductance that no read
    could show.
    """
    refuse_unreadable(settings.largest_conductance_s, array, key="largest_conductance_s")
    settings.data.load()
    return Plan([], rows=len(_sigmas(settings.programming)))


PROGRAMMING_NOISE = Step(
    name="programming_noise",
    summary="Accuracy of a mapped network under programming scatter, drawn in software",
    settings=ProgrammingNoiseSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.networks:noise",
)
