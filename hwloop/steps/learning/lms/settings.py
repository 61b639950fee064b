"""Settings of an array that is programmed by least mean squares and read out by spikes."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, model_validator

from hwloop.array.blocks import Keep
from hwloop.array.conductance_range import ConductanceRange
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.messages import first_place
from hwloop.settings.bulk import LabelledData
from hwloop.settings.model import Settings
from hwloop.settings.tables import NumberTable
from hwloop.settings.units import Count, Fraction, Number, PositiveSecond, PositiveVolt
from hwloop.steps.common.pulses import Pulse
from hwloop.types import FloatArray


class ProportionalPulse(Settings):
    """Pulse whose amplitude is in proportion to an update Δw: V = ±(threshold + slope · |Δw|).

    ``threshold_v``: below which a cell does not move. ``slope_v``: beyond it for an update over the
    whole range. ``width_s``: of every pulse.
    """

    threshold_v: PositiveVolt
    slope_v: PositiveVolt
    width_s: PositiveSecond

    def amplitude_v(self, update: FloatArray) -> FloatArray:
        """Return the amplitude of an update of weights, volts; 0 where there is none."""
        magnitude_v = self.threshold_v + self.slope_v * np.abs(update)
        return np.where(update == 0, 0.0, np.sign(update) * magnitude_v)


class Erase(Pulse):
    """Pulses that take every cell to its low conductance; ``count``: of them."""

    count: Count = 1


class SpikingReadout(Settings):
    """Classification of ``data`` by counted output pulses.

    ``time_steps``: in each of which a row has a pulse or none; a grey level g has g · time_steps
    pulses, evenly spread. ``charge``: at which a column fires, in units of a cell at the top of its
    range in one time step. ``record``: what a record keeps of each multiplication.
    """

    data: LabelledData
    time_steps: Annotated[Count, Field(le=10_000)] = 16
    charge: Annotated[Number, Field(gt=0)] = 1.0
    record: Keep = "answers"


class ProgramLmsSettings(Settings):
    """Settings of the programming.

    Targets are weights from 0 to 1, (rows, cols): written out as ``targets``, or of ``data`` with a
    column for each class: its ``first`` image, or the ``mean`` of its images; with ``equal_norm``
    every column is scaled to the length of the shortest, so that none answers most by its ink.
    ``rate``: μ of Δw = μ · (target − read). ``stop_error``: end, the mean of |target − read| over
    the cells. ``erase``: first; left out, the array is taken as it is. ``final_reads``: that are
    averaged after the last update.
    """

    range: ConductanceRange
    targets: NumberTable | None = None
    data: LabelledData | None = None
    of_class: Literal["first", "mean"] = "mean"
    equal_norm: bool = False
    erase: Erase | None = None
    pulse: ProportionalPulse
    rate: Annotated[Number, Field(gt=0, lt=2)] = 0.5
    stop_error: Annotated[Fraction, Field(gt=0)] = 1e-5
    max_updates: NonNegativeInt = 100
    final_reads: Count = 1
    readout: SpikingReadout | None = None

    @model_validator(mode="after")
    def _one_source(self) -> ProgramLmsSettings:
        if (self.targets is None) == (self.data is None):
            raise ValueError("give one of targets and data")
        if self.data is None and self.equal_norm:
            raise ValueError("equal_norm needs data")
        return self

    def wanted(self, array: ArraySettings) -> FloatArray:
        """Return the target weights, (rows, cols); raises :class:`ConfigError` where unusable."""
        if self.data is not None:
            target = self._templates(array)
        else:
            target = np.array(self.targets, dtype=np.float64)
        key = "targets" if self.data is None else "data"
        if target.shape != (array.rows, array.cols):
            raise ConfigError(
                f"targets have shape {target.shape}, the array {(array.rows, array.cols)}", key=key
            )
        outside = ~((target >= 0) & (target <= 1))
        if outside.any():
            place = first_place(outside)
            raise ConfigError(
                f"the target at {place} is {target[place]:g}; a weight is from 0 to 1", key=key
            )
        return target

    def _templates(self, array: ArraySettings) -> FloatArray:
        if self.data is None:
            raise ConfigError("there are no images", key="data")
        inputs, classes = self.data.load()
        inputs = inputs.reshape(len(inputs), -1)
        columns = []
        for number in range(array.cols):
            own = inputs[classes == number]
            if not len(own):
                raise ConfigError(f"there is no sample of class {number}", key="data.classes")
            columns.append(own[0] if self.of_class == "first" else own.mean(axis=0))
        target = np.stack(columns, axis=-1)
        if self.equal_norm:
            norms = np.linalg.norm(target, axis=0)
            if not norms.all():
                empty = int(np.argmin(norms))
                raise ConfigError(f"class {empty} has only zeros: it has no length", key="data")
            target = target * (norms.min() / norms)
        return np.asarray(target)
