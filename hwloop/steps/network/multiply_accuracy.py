"""Multiplication of random vectors by the array, compared with the read-back conductances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwloop.array.operations import VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.errors import StepError
from hwloop.settings.model import Settings
from hwloop.settings.units import Count
from hwloop.steps.array import Array
from hwloop.steps.common.cells import conductance_s, planned_read
from hwloop.steps.common.summaries import median_text
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.network.array_product import effective_bits
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray


class MultiplyTestSettings(Settings):
    """Settings of a multiplication test.

    ``vectors``: number of vectors of row voltages, uniform from −``read_v`` to ``read_v`` of the
    array; with ``positive`` from 0 to ``read_v``, of its sign.
    """

    vectors: Count = 100
    positive: bool = False


@dataclass(frozen=True, eq=False)
class MultiplyTestRow(Row):
    """Currents of all vectors, and error and effective bits of each column."""

    current_a: FloatArray = column("A", "column currents; (..., vectors, cols)")
    expected_a: FloatArray = column("A", "of the read-back conductances; (..., vectors, cols)")
    rms_error_a: FloatArray = column("A", "rms difference of each column; (..., cols)")
    bits: FloatArray = column("1", "effective bits of each column; inf: no error; (..., cols)")


def run(settings: MultiplyTestSettings, array: Array) -> Iterator[Yield]:
    """Read every cell, multiply the vectors, and compare with the exact products.

    Raises :class:`StepError` if no column current could be measured.
    """
    shape = array.geometry.shape
    read_conductance_s = conductance_s(array, np.ones(shape, dtype=np.bool_), step="multiply_test")
    read_v = array.settings.read.read_v
    from_v = 0.0 if settings.positive else -read_v
    low_v, high_v = sorted((from_v, read_v))
    voltage_v = array.rng.uniform(low_v, high_v, size=(settings.vectors, shape[0]))
    current_a = array.backend.multiply(VectorBatch(voltage_v)).current_a
    expected_a = voltage_v @ read_conductance_s
    failed = np.isnan(current_a)
    if failed.all():
        raise StepError(
            "multiply_test: no column current could be measured (over-range or compliance):"
            " raise limits.current_a or lower read.read_v"
        )
    with np.errstate(invalid="ignore"):
        row = MultiplyTestRow(
            current_a=current_a,
            expected_a=expected_a,
            rms_error_a=np.sqrt(np.mean(np.square(current_a - expected_a), axis=-2)),
            bits=effective_bits(current_a, expected_a),
        )
    yield row
    columns = sorted({int(place[-1]) for place in np.argwhere(failed)})
    summary = f"effective bits of a column: {median_text(row.bits, '')}"
    if columns:
        named = ", ".join(map(str, columns[:3]))
        summary += f"; {int(failed.sum())} currents could not be measured, in columns {named}"
    elif np.isposinf(row.bits).all():
        summary = "no error in any column"
    yield Outcome(not columns, summary)


def plan(settings: MultiplyTestSettings, array: ArraySettings) -> Plan:
    """Return the plan: one read of the array, and the vectors at their largest voltage."""
    vector = VectorBatch(np.full((settings.vectors, array.rows), array.read.read_v))
    return Plan([planned_read(array, None, 1), PlannedOperation(vector, 1)], rows=1)


MULTIPLY_TEST = Step(
    name="multiply_test",
    summary="Error of the array's multiplication, in bits of each column",
    settings=MultiplyTestSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.networks:multiplication",
)
