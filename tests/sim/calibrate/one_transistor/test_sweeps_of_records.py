"""Sweeps out of records of the step pulse_sweep: those that its rows hold, and the same twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hwloop.datasets.measurement import Measurement, write_measurement
from hwloop.errors import ConfigError
from hwloop.record.reader import Record
from hwloop_sim.calibrate.one_transistor.sweeps import load_sweeps
from hwloop_sim.calibrate.run import calibrate
from tests.sim.calibrate.one_transistor.conftest import Twin
from tests.sim.calibrate.one_transistor.swept_truth import (
    GATE,
    LINE,
    READ_MAP,
    TRUE,
    step,
    sweep,
)


def imported(record_path: Path, label: str, path: Path) -> Path:
    """The sweeps of a step as an imported table, cell by cell and cycle by cycle."""
    lines = []
    with Record(record_path) as record:
        rows = record.results(label)
    for cell in range(rows["after_conductance_s"][0].size):
        for row in np.lexsort((rows["pulse"], rows["cycle"])):
            before_conductance_s, after_conductance_s = (
                rows["before_conductance_s"][row].flat[cell],
                rows["after_conductance_s"][row].flat[cell],
            )
            if np.isfinite(after_conductance_s):
                pulse = (rows[name][row] for name in ("width_s", "amplitude_v", "gate_v"))
                lines.append((cell, *pulse, before_conductance_s, after_conductance_s))
    names = (
        "cell",
        "width_s",
        "amplitude_v",
        "gate_v",
        "before_conductance_s",
        "after_conductance_s",
    )
    columns = dict(zip(names, np.array(lines).T, strict=True))
    made = Measurement(kind="pulse_sweeps", title="made", source="made", columns=columns)
    write_measurement(made, path)
    return path


def same(first: Any, second: Any) -> None:
    for name in (
        "cell",
        "volts",
        "before_conductance_s",
        "after_conductance_s",
        "width_s",
        "held_v",
    ):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_one_record_holds_both_sweeps_as_they_were_measured(both: Path) -> None:
    (gate,), (line,) = load_sweeps([both])
    assert (gate.width_s, gate.held_v, line.held_v) == (2e-7, 2.0, 4.0)
    np.testing.assert_allclose(gate.volts, 1.5 + 0.05 * np.arange(25))
    np.testing.assert_allclose(line.volts, 1.0 + 0.05 * np.arange(29))
    assert gate.before_conductance_s.shape == (24 * 6, 25)
    np.testing.assert_array_equal(gate.cell, np.repeat(np.arange(24), 6))
    with Record(both) as record:
        rows = record.results("line")
    # Cell (2, 3) is the 15th of four rows of six; its sweep 4, pulse 8, at 1.35 V.
    row = (rows["cycle"] == 4) & (rows["pulse"] == 8)
    assert line.volts[7] == pytest.approx(rows["swept_v"][row][0])
    sweep = np.flatnonzero(line.cell == 15)[3]
    assert line.before_conductance_s[sweep, 7] == rows["before_conductance_s"][row][0, 2, 3]
    assert line.after_conductance_s[sweep, 7] == rows["after_conductance_s"][row][0, 2, 3]


def test_two_records_or_a_record_and_a_table_are_as_good_as_one(both: Path, tmp_path: Path) -> None:
    wanted = load_sweeps([both])
    gate = imported(both, "gate", tmp_path / "gate.h5")
    line = imported(both, "line", tmp_path / "line.h5")
    for (one,), (other,) in zip(load_sweeps([line, gate]), wanted, strict=True):
        same(one, other)
    alone = sweep(tmp_path / "alone.h5", step(GATE, "gate"))
    found = load_sweeps([line, alone])
    same(found[0][0], wanted[0][0])  # of the same seed: the very same cells
    same(found[1][0], wanted[1][0])


def test_cells_of_a_population_are_all_different_cells(tmp_path: Path) -> None:
    fewer = {"cycles": 3, "until_conductance_s": 1e-4}
    steps = step(GATE, "gate", **fewer), step(LINE, "line", **fewer)
    path = sweep(tmp_path / "several.h5", *steps, population=3)
    for (sweeps,), label in zip(load_sweeps([path]), ("gate", "line"), strict=True):
        with Record(path) as record:
            pulses = record.results(label, "figures")["pulses"]
        assert (pulses < sweeps.volts.size).any()
        # Sweeps of fewer than five pulses are left out; of each other, each pulse is there.
        by_sweep = np.moveaxis(pulses, 0, -1).reshape(-1)
        long = by_sweep >= 5
        np.testing.assert_array_equal(sweeps.cell, np.repeat(np.arange(72), 3)[long])
        np.testing.assert_array_equal(
            np.isfinite(sweeps.after_conductance_s).sum(axis=1), by_sweep[long]
        )


def test_the_command_makes_a_twin_of_a_record(twin: Twin) -> None:
    assert "144 gate sweeps of 24 cells, 144 source-line sweeps of 24 cells" in twin.shown
    data = yaml.safe_load(twin.file.read_text(encoding="utf-8"))
    assert data["source"] == "record both.h5 (emulated)"
    for name in ("r_series_ohm", "v_transistor_v"):
        error = data["uncertainty"][name]
        assert data["parameters"][name] == pytest.approx(TRUE[name], abs=3 * error)
    # Of the mean of both polarities. 144 · (24 + 28) pairs of reads tell it to two percent, but one
    # R_s stands for cells of 3 % spread, of whose reads near 1/R_s little noise is left.
    assert data["effects"][0]["fraction"] == pytest.approx(0.01 / np.sqrt(2), rel=0.1)


def test_a_record_without_the_step_is_refused_and_the_step_is_named(
    both: Path, tmp_path: Path
) -> None:
    other = sweep(tmp_path / "map.h5", READ_MAP)
    with pytest.raises(ConfigError, match=r"map\.h5: .*none of its steps is pulse_sweep$"):
        calibrate([other], model="one_transistor")
    with pytest.raises(ConfigError, match=r"map\.h5: .*none of its steps is pulse_sweep$"):
        calibrate([both, other], model="one_transistor")
    text = tmp_path / "notes.h5"
    text.write_text("no HDF5", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"notes\.h5: .*the step pulse_sweep such a record$"):
        calibrate([text], model="one_transistor")


def test_a_record_of_one_line_or_of_one_more_often_is_refused(both: Path, tmp_path: Path) -> None:
    few = {"cycles": 3}
    gate = sweep(tmp_path / "gate.h5", step(GATE, "gate", **few))
    with pytest.raises(ConfigError, match=r"gate\.h5: no sweep of the source line"):
        load_sweeps([gate])
    with pytest.raises(ConfigError, match=r"gate\.h5: 2 sweeps of the gate and 1 of the source"):
        load_sweeps([both, gate])
    # Both end before the first pulse: the cells are there already.
    none = sweep(
        tmp_path / "none.h5",
        step(GATE, "gate", until_conductance_s=1e-9),
        step(LINE, "line", until_conductance_s=1e-3),
    )
    with pytest.raises(ConfigError, match=r"none\.h5: no sweep of the gate"):
        load_sweeps([none])
    two = sweep(tmp_path / "two.h5", step(GATE, "gate", cycles=2), step(LINE, "line", **few))
    with pytest.raises(ConfigError, match=r"two\.h5: gate: 0 cells with 3 sweeps or more"):
        load_sweeps([two])


def test_a_conductance_without_a_logarithm_is_refused_with_its_place(tmp_path: Path) -> None:
    noisy = ({"effect": "white_noise", "fraction": 0.0, "amplifier_a": 2e-6},)
    path = sweep(tmp_path / "noisy.h5", step(GATE, "gate", cycles=3), effects=noisy)
    with Record(path) as record:
        rows = record.results("gate")
    row, *place = np.argwhere(rows["before_conductance_s"] <= 0)[0]
    words = (
        rf"noisy\.h5: gate: cell \({place[0]}, {place[1]}\), sweep {int(rows['cycle'][row])},"
        rf" {rows['swept_v'][row]:g} V: before_conductance_s is -.*: expected a value above 0 S"
    )
    with pytest.raises(ConfigError, match=words):
        load_sweeps([path])
