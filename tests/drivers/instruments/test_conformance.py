"""Every driver that has a virtual instrument keeps to the rules of its role: one line a driver."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from hwloop_drivers.instruments.serial_board import SerialBoard, SerialBoardSettings
from hwloop_drivers.links.link import Link
from hwloop_drivers.testing import (
    MatrixRig,
    PulseGeneratorTrial,
    SourceMeterTrial,
    Tap,
    check_pulse_generator,
    check_source_meter,
    check_switch_matrix,
)
from tests.drivers.conformance_rigs import Source, matrix_rig
from tests.drivers.instruments.test_matrices import CASES, Case
from tests.drivers.instruments.test_serial_board import SETTINGS, Bench

SOURCE_METERS = [
    (Source("keithley_2400"), SourceMeterTrial()),
    (Source("keithley_2450"), SourceMeterTrial(width_s=5e-3)),
    (Source("keithley_2450", {"language": "tsp"}), SourceMeterTrial()),
    (Source("keithley_2600b", {"model": "2602B"}, "a"), SourceMeterTrial()),
    (Source("keithley_2600b", {"model": "2636B"}, "b"), SourceMeterTrial()),
    (Source("keysight_b2900", {"model": "B2901A"}), SourceMeterTrial()),
    (Source("keysight_b2900", {"model": "B2912A"}, "2"), SourceMeterTrial()),
]
PULSE_GENERATORS = [
    (Source("keysight_33500b", {"model": "33509B"}), PulseGeneratorTrial()),
    (Source("keysight_33500b", {"model": "33522B", "errors": "each"}, "2"), PulseGeneratorTrial()),
    (
        Source("keysight_33500b", {"model": "33622A"}, "1"),
        PulseGeneratorTrial(widths_s=(5e-9, 1e-8, 1.0)),
    ),
    (
        Source("keysight_81160a", {"channels": 1}),
        PulseGeneratorTrial(widths_s=(1.5e-9, 1e-6, 0.05)),
    ),
    (Source("keysight_81160a", {"channels": 2}, "2"), PulseGeneratorTrial(widths_s=(1e-7, 1e-3))),
]


@pytest.mark.parametrize(
    ("source", "trial"), SOURCE_METERS, ids=[source.name for source, _ in SOURCE_METERS]
)
def test_source_meter_keeps_to_the_rules(source: Source, trial: SourceMeterTrial) -> None:
    check_source_meter(source.make, trial)


@pytest.mark.parametrize(
    ("source", "trial"), PULSE_GENERATORS, ids=[source.name for source, _ in PULSE_GENERATORS]
)
def test_pulse_generator_keeps_to_the_rules(source: Source, trial: PulseGeneratorTrial) -> None:
    check_pulse_generator(source.make, trial)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{len(case.settings)}")
def test_switch_matrix_keeps_to_the_rules(case: Case) -> None:
    check_switch_matrix(partial(matrix_rig, case))


def test_serial_board_keeps_to_the_rules() -> None:
    def make(tap: Callable[[Link], Tap]) -> MatrixRig:
        bench = Bench(senses=True)
        settings = SerialBoardSettings.parse({**SETTINGS, "watchdog_s": 10})
        return MatrixRig(
            instrument=SerialBoard(tap(bench.link), settings),
            again=lambda: SerialBoard(bench.link, settings),
            channels=("r1c1", "r1c2", "r2c3"),
            wrong=("r4c1", "r1c5", "", "1A01"),
            closed=bench.closed,
            stick=lambda channel: bench.box.circuit.stick(
                "box", channel, closed=channel in bench.closed()
            ),
            mistake="",
        )

    check_switch_matrix(make)
