"""Imports beside runs: the distances of their devices, and a refusal that says what each holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.cli.imports import print_import, print_recordings
from hwloop.datasets.measurement import Measurement, write_measurement
from hwloop.errors import ConfigError
from hwloop.recordings.comparison import compare_recordings
from hwloop.recordings.recording import Recording, open_recording
from tests.hwloop.recordings.test_of_record import response, run
from tests.hwloop.recordings.test_sweeps import loop
from tests.hwloop.recordings.test_trains import measured


def imported(folder: Path, name: str, measurement: Measurement) -> Recording:
    write_measurement(measurement, folder / name)
    return open_recording(folder / name)


def test_distance_of_trains_is_a_part_of_the_range_of_the_first(tmp_path: Path) -> None:
    first = imported(tmp_path, "a.h5", measured([[10, 20, 30]]))
    second = imported(tmp_path, "b.h5", measured([[12, 22, 36, 40]]))
    (section,) = compare_recordings(first, second)
    of_path, of_change = section.remarks
    rms = 100 * np.sqrt((2**2 + 2**2 + 6**2) / 3) / 20
    assert f"mean trains: {rms:.3g} % of the range" in of_path
    assert "pulses 0 to 2), at most +30 % (pulse 2)" in of_path
    assert f"{100 * np.sqrt(4**2 / 3) / 20:.3g} % of the range" in of_change


def test_an_import_of_the_trains_of_a_run_does_not_differ_from_it(tmp_path: Path) -> None:
    emulated = open_recording(run(tmp_path / "run.h5", response()))
    copied = imported(tmp_path, "copy.h5", emulated.measured["trains"])
    assert (copied.provenance, emulated.provenance) == ("measured, imported", "emulated")
    for section in compare_recordings(copied, emulated):
        assert section.first == section.second
        assert all(" 0 % of the range of the first apart" in remark for remark in section.remarks)
        assert all(one.figures()["ks"] == 0 for one in section.quantities)


def test_recordings_of_other_pulses_are_refused_with_the_pulses_of_both(tmp_path: Path) -> None:
    first = imported(tmp_path, "a.h5", measured([[1, 2, 3]]))
    second = imported(tmp_path, "b.h5", measured([[3, 2, 1]], amplitudes_v=[-1.5]))
    third = imported(tmp_path, "c.h5", loop())
    with pytest.raises(
        ConfigError,
        match=r"trains of 1 V, 1 ms; .*trains of -1.5 V, 1 ms; trains are compared where their pulses are equal",
    ):
        compare_recordings(first, second)
    with pytest.raises(
        ConfigError, match=r"I-V sweeps; .*trains of 1 V, 1 ms; trains are compared"
    ):
        compare_recordings(third, first)


def test_amplitudes_that_differ_by_more_than_rounding_are_other_pulses(tmp_path: Path) -> None:
    first = imported(tmp_path, "a.h5", measured([[1, 2, 3]]))
    close = imported(tmp_path, "b.h5", measured([[1, 2, 3]], amplitudes_v=[1 + 1e-9]))
    apart = imported(tmp_path, "c.h5", measured([[1, 2, 3]], amplitudes_v=[1.001]))
    assert compare_recordings(first, close)
    with pytest.raises(ConfigError, match="nothing to compare"):
        compare_recordings(first, apart)


def test_trains_and_sweeps_are_printed_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, "a.h5", measured([[10, 20, 30], [11, 20, 31]], cells=[0, 1]))
    imported(tmp_path, "b.h5", measured([[12, 22, 36], [12, 23, 39]]))
    imported(tmp_path, "c.h5", loop())
    imported(tmp_path, "d.h5", loop(factor=10))
    print_recordings(tmp_path / "a.h5", tmp_path / "b.h5", tmp_path / "trains")
    print_recordings(tmp_path / "c.h5", tmp_path / "d.h5", tmp_path / "iv")
    said = capsys.readouterr().out
    assert "first: measured, imported" in said
    assert "on/off ratio" in said
    assert "branch 0 to +V: 1.00 decades apart" in said
    drawn = {path.name for path in tmp_path.glob("*/*.png")}
    assert drawn == {"trains.png", "step.png", "after_the_last_pulse.png", "loops.png"}


def test_an_import_is_shown_with_its_source_and_its_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, "a.h5", measured([[10, 20, 30]], cells=[7]))
    print_import(tmp_path / "a.h5")
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "numbers measured, imported" in lines
    assert "source test" in lines
    assert "trains/conductance_s 3 10 µS 30 µS" in lines
    assert "trains/cell 3 7 7" in lines
    assert "on/off ratio 3" in lines
