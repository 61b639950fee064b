"""Device statistics: device-to-device and cycle-to-cycle spread of both states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from hwloop.array.settings import ArraySettings
from hwloop.errors import StepError
from hwloop.settings.units import format_quantity
from hwloop.steps.array import Array
from hwloop.steps.characterise.cycling import TwoStates, cycle_group
from hwloop.steps.common.cells import filled, groups, planned_read
from hwloop.steps.common.pulses import planned_pulse
from hwloop.steps.common.summaries import cycle_and_device_spread
from hwloop.steps.contract import Plan, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray


class DeviceStatisticsSettings(TwoStates):
    """Settings of the device statistics: a cycle between two states, and how many ``cycles``."""

    cycles: int = Field(strict=True, ge=2)


@dataclass(frozen=True, eq=False)
class StateFigures(Row):
    """Lognormal spread of one state over cells and over cycles."""

    table: ClassVar[str] = "figures"

    state: int = column("1", "1 high, -1 low")
    cell_median_conductance_s: FloatArray = column(
        "S", "exp of the mean of ln G of a cell; (..., rows, cols)"
    )
    cell_sigma: FloatArray = column("1", "standard deviation of ln G of a cell over the cycles")
    cycle_to_cycle: FloatArray = column("1", "root mean square of that over the cells; (...)")
    device_to_device: FloatArray = column(
        "1", "standard deviation over cells of the mean ln G, less what the cycles add; (...)"
    )


def run(settings: DeviceStatisticsSettings, array: Array) -> Iterator[Yield]:
    """Cycle each group of cells, read both states, and yield their spread.

    Raises :class:`hwloop.errors.StepError` where a read failed or a conductance is not positive.
    """
    shape = (2, settings.cycles, *array.population, *array.geometry.shape)
    seen = np.full(shape, np.nan)
    for group, mask in enumerate(groups(array, settings.cells)):
        for row in cycle_group(
            settings,
            array,
            mask,
            group=group,
            cycles=settings.cycles,
            read_at=range(1, settings.cycles + 1),
            step="device_statistics",
        ):
            for index, at_conductance_s in enumerate(
                (row.high_conductance_s, row.low_conductance_s)
            ):
                seen[index, row.cycle - 1] = filled(
                    seen[index, row.cycle - 1], at_conductance_s, mask
                )
            yield row
    rows = [state_figures(state, seen[(1 - state) // 2]) for state in (1, -1)]
    yield from rows
    yield Outcome(True, "; ".join(_summary(row) for row in rows))


def state_figures(state: int, seen_conductance_s: FloatArray) -> StateFigures:
    """Compute the lognormal spread of one state.

    ``seen_conductance_s``: (cycles, ..., rows, cols), siemens.
    """
    if (seen_conductance_s <= 0).any():
        raise StepError(
            f"device_statistics: a conductance of {np.nanmin(seen_conductance_s):g} S has no"
            " logarithm:"
            " read at a higher voltage, or leave its cell out"
        )
    ln = np.log(seen_conductance_s)
    mean, sigma = ln.mean(axis=0), ln.std(axis=0, ddof=1)
    of_cycles, of_devices = cycle_and_device_spread(mean, sigma, np.array(len(ln)))
    return StateFigures(
        state=state,
        cell_median_conductance_s=np.exp(mean),
        cell_sigma=sigma,
        cycle_to_cycle=of_cycles,
        device_to_device=of_devices,
    )


def _summary(row: StateFigures) -> str:
    middle_conductance_s = float(np.nanmedian(row.cell_median_conductance_s))
    return (
        f"{'high' if row.state > 0 else 'low'} median"
        f" {format_quantity(middle_conductance_s, 'S', digits=3)},"
        f" sigma of ln G {float(np.mean(row.device_to_device)):.3g} from device to device,"
        f" {float(np.mean(row.cycle_to_cycle)):.3g} from cycle to cycle"
    )


def plan(settings: DeviceStatisticsSettings, array: ArraySettings) -> Plan:
    """Return the plan: every cycle, with two reads."""
    operations = [planned_read(array, settings.cells, 2 * settings.cycles)]
    operations += [
        planned_pulse(array, settings.cells, pulse, settings.cycles, count=settings.pulses)
        for pulse in (settings.up, settings.down)
    ]
    return Plan(operations, rows=settings.cycles, by_group=True)


DEVICE_STATISTICS = Step(
    name="device_statistics",
    summary="Lognormal spread of both states from device to device and from cycle to cycle",
    settings=DeviceStatisticsSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.device_statistics:figures",
    measured="hwloop.recordings.of_steps:cycles",
)
