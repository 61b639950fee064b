"""Reads among pulses: rows at a read voltage are no pulses, and what may be either is asked.

Right values: states and amplitudes that the tests write into the tables themselves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import Imported, import_measurement
from hwloop.errors import ConfigError
from hwloop_sim.readers.pulse_logs.read_rows import level_between_pulses

STATES_US = [10.0, 12.0, 14.0, 13.0, 11.0]
PULSES_V = [1.0, 1.0, 1.0, -1.2, -1.2]
WIDTH = {"width_s": "1 ms"}


def imported(folder: Path, text: str, **given: str) -> Imported:
    path = folder / "log.csv"
    path.write_text(text, encoding="utf-8")
    return import_measurement(path, reader=None, given={"source": "lab book", **given})


def program_then_read(read_v: float, *, pulse_current: str = "3e-4") -> str:
    rows = [
        f"{volts},{pulse_current}\n{read_v},{state_us * 1e-6 * read_v:.6e}\n"
        for volts, state_us in zip(PULSES_V, STATES_US, strict=True)
    ]
    return "Voltage (V),Current (A)\n" + "".join(rows)


@pytest.mark.parametrize("read_v", [0.1, -0.1, 0.3])
@pytest.mark.parametrize("pulse_current", ["3e-4", "", "9.9e37", "#REF!"])
def test_rows_at_a_read_voltage_between_pulses_are_reads_of_either_sign(
    read_v: float, pulse_current: str, tmp_path: Path
) -> None:
    text = program_then_read(read_v, pulse_current=pulse_current)
    found = imported(tmp_path, text, **WIDTH).measurement
    assert found.conditions.read_v == pytest.approx(read_v)
    columns = found.columns
    up, down = (columns["train"] == number for number in (0, 1))
    np.testing.assert_allclose(columns["conductance_s"][up] * 1e6, [10, 12, 14])
    np.testing.assert_allclose(columns["conductance_s"][down] * 1e6, [14, 13, 11])
    assert np.unique(columns["amplitude_v"]).tolist() == [-1.2, 1.0]


def test_reads_between_sets_and_resets_make_cycles_with_their_read_voltage(tmp_path: Path) -> None:
    text = "Pulse V (V),Width (us),R (ohm)\n" + 3 * "1.5,1,\n0.2,1,5000\n-1.5,1,\n0.2,1,1e5\n"
    found = imported(tmp_path, text).measurement
    assert found.kind == "cycling"
    assert found.conditions.read_v == 0.2
    np.testing.assert_allclose(found.columns["set_conductance_s"], 1 / 5000)
    np.testing.assert_allclose(found.columns["reset_conductance_s"], 1e-5)


@pytest.mark.parametrize(
    ("volts", "why"),
    [
        ([1, -0.2], "the only pulses of this polarity"),
        ([1, 0.5], "more than a third of the smallest other, 1 V"),
        ([1, 0.1, 0.1, 0.1, 0.1], "up to 4 in a row"),
        ([1, 1.5, 0.1], "with different rows between them"),
    ],
)
def test_levels_that_may_be_reads_or_pulses_ask_for_the_read_voltage_in_one_line(
    volts: list[float], why: str, tmp_path: Path
) -> None:
    rows = "".join(f"{v},1,{10 + place}\n" for place, v in enumerate(4 * volts))
    text = "Pulse V (V),Width (us),G (uS)\n" + rows
    with pytest.raises(ConfigError, match=why) as found:
        imported(tmp_path, text)
    assert "--set read_v=" in str(found.value)
    assert "\n" not in str(found.value)


def test_the_read_voltage_given_decides_which_rows_are_reads(tmp_path: Path) -> None:
    text = "Pulse V (V),Width (us),G (uS)\n" + 4 * "1,1,10\n-0.2,1,11\n"
    reads = imported(tmp_path, text, read_v="-0.2 V").measurement
    assert (reads.kind, np.unique(reads.columns["amplitude_v"]).tolist()) == ("trains", [1.0])
    pulses = imported(tmp_path, text, read_v="0.05 V").measurement
    assert (pulses.kind, pulses.conditions.read_v) == ("cycling", 0.05)


@pytest.mark.parametrize(
    "volts",
    [
        3 * [0.2, 0.4, 0.6, 0.8, 1.0],  # a staircase
        3 * [0.5, 1.0, 0.0, -0.5, -1.0, 0.0],  # a coarse sweep through 0 V
        6 * [1.0, -0.8],  # SET and RESET
        [0.1] + 6 * [1.0],  # one read before the pulses is no return
        6 * [0.1],
        [],
    ],
)
def test_pulses_and_sweeps_without_reads_have_no_read_level(volts: list[float]) -> None:
    assert level_between_pulses(np.array(volts)) is None


def test_the_cells_of_a_log_return_to_the_read_voltage_apart(tmp_path: Path) -> None:
    rows = []
    for place in range(4):  # two cells in turn: pulses of both, then reads of both
        rows += [f"A,1,1,\nB,1,1,\nA,0.1,1,{10 + place}\nB,0.1,1,{50 + place}\n"]
    text = "cell,Pulse V (V),Width (us),G (uS)\n" + "".join(rows)
    columns = imported(tmp_path, text).measurement.columns
    for cell, first in ((0, 10), (1, 50)):
        seen = columns["conductance_s"][columns["cell"] == cell] * 1e6
        np.testing.assert_allclose(seen, [first, first + 1, first + 2, first + 3])
