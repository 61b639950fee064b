"""Logs of pulses: every subset of columns leads to the numbers written, or to one line."""

from __future__ import annotations

import itertools
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.datasets.importing import Extract
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.options import TableOptions
from hwloop.errors import ConfigError
from hwloop_sim.readers.pulse_logs.steps import PulseRows, steps_of
from hwloop_sim.readers.pulse_logs.table_log import PULSE_LOG


def read(folder: Path, text: str, table: TableOptions | None = None, **options: str) -> Extract:
    path = folder / "log.csv"
    path.write_text(text, encoding="utf-8")
    source = DataFile(path, table)
    assert PULSE_LOG.objection(source) == ""
    return PULSE_LOG.read(source, options)


def objection(folder: Path, text: str) -> str:
    path = folder / "log.csv"
    path.write_text(text, encoding="utf-8")
    return PULSE_LOG.objection(DataFile(path))


def trains(extract: Extract) -> list[tuple[float, list[float], list[float]]]:
    """Cell, amplitudes and microsiemens of each train."""
    columns = extract.columns
    assert extract.kind == "trains"
    return [
        (
            float(columns["cell"][rows][0]),
            columns["amplitude_v"][rows].tolist(),
            np.round(columns["conductance_s"][rows] * 1e6, 9).tolist(),
        )
        for number in np.unique(columns["train"])
        for rows in [columns["train"] == number]
    ]


BOTH_WAYS = """Pulse #,Time (s),Pulse voltage (V),Pulse width (ms),Conductance (uS)
1,0.1,1.5,1,10
2,0.2,1.5,1,12
3,0.3,1.5,1,13
4,0.4,-1.2,2,9
5,0.5,-1.2,2,8
"""


def test_a_train_begins_with_the_value_before_it_and_ends_where_the_polarity_changes(
    tmp_path: Path,
) -> None:
    extract = read(tmp_path, BOTH_WAYS)
    assert trains(extract) == [
        (0, [1.5, 1.5, 1.5], [10, 12, 13]),
        (0, [-1.2, -1.2, -1.2], [13, 9, 8]),
    ]
    np.testing.assert_allclose(extract.columns["width_s"], [1e-3] * 3 + [2e-3] * 3)
    assert any("1 pulse whose state before was not read" in line for line in extract.messages)


def test_a_missing_read_ends_a_train_and_no_value_is_made_up(tmp_path: Path) -> None:
    text = BOTH_WAYS.replace("2,0.2,1.5,1,12", "2,0.2,1.5,1,NaN").replace("4,0.4", "4,0.4")
    assert trains(read(tmp_path, text)) == [(0, [-1.2, -1.2, -1.2], [13, 9, 8])]


def test_growing_amplitudes_stay_with_their_pulses(tmp_path: Path) -> None:
    text = "amplitude (V),width (us),resistance (kOhm)\n1.0,5,100\n1.1,5,50\n1.2,5,25\n"
    extract = read(tmp_path, text)
    assert trains(extract) == [(0, [1.1, 1.1, 1.2], [10, 20, 40])]


def test_rows_without_a_voltage_are_reads(tmp_path: Path) -> None:
    text = (
        "pulse voltage (V),width (ms),conductance (uS)\n"
        "0,,5\n1,1,\n0,,6\n1,1,\n,,7\n,,7.5\n1,1,\n0,,8\n"
    )
    assert trains(read(tmp_path, text)) == [(0, [1, 1, 1, 1], [5, 6, 7, 8])]


def test_rows_at_the_read_voltage_are_reads_and_currents_of_pulses_are_left_out(
    tmp_path: Path,
) -> None:
    text = (
        "voltage (V),width (ms),current (uA)\n"
        "0.1,1,1\n2,1,500\n0.1,1,2\n2,1,500\n-0.1,1,-3\n2,1,500\n0.1,1,4\n"
    )
    for options in ({}, {"read_v": "0.1 V"}):
        found = read(tmp_path, text, **options)
        assert trains(found) == [(0, [2, 2, 2, 2], [10, 20, 30, 40])]
        assert found.found == {"read_v": 0.1}


def test_a_resistance_during_the_pulses_is_no_state_after_them(tmp_path: Path) -> None:
    text = (
        "pulse,voltage (V),width (ms),current (uA),resistance (kOhm)\n"
        "1,0.1,1,1,100\n2,2,1,500,4\n3,0.1,1,2,50\n4,2,1,400,5\n5,0.1,1,4,25\n"
    )
    assert trains(read(tmp_path, text)) == [(0, [2, 2, 2], [10, 20, 40])]
    without_reads = "".join(text.splitlines(keepends=True)[place] for place in (0, 2, 4))
    with pytest.raises(ConfigError, match=r"measured during the pulses, .* --set read_v="):
        read(tmp_path, without_reads)


@pytest.mark.parametrize(
    ("header", "rows", "options"),
    [
        ("amplitude (V),read voltage (V),current (uA)", ["1,-0.2,-2", "1,-0.2,-4"], {}),
        ("amplitude (V),current (uA)", ["1,2", "1,4"], {"read_v": "0.2 V"}),
        ("amplitude (V),current (uA)", ["1,-2", "1,-4"], {"read_v": "-0.2 V"}),
    ],
)
def test_a_current_over_its_read_voltage_is_the_state_whatever_the_sign(
    tmp_path: Path, header: str, rows: list[str], options: dict[str, str]
) -> None:
    text = "\n".join([header, *rows, ""])
    assert trains(read(tmp_path, text, width_s="1 ms", **options)) == [(0, [1, 1], [10, 20])]


def test_a_current_against_its_read_voltage_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"line 3: .*expected a value above 0"):
        read(tmp_path, "amplitude (V),current (uA)\n1,2\n1,-4\n", width_s="1 ms", read_v="0.2 V")


def test_several_cells_are_apart_however_their_rows_are_mixed(tmp_path: Path) -> None:
    text = (
        "number,cell,amplitude (V),width (ms),conductance (uS)\n"
        "1,A1,1,1,10\n2,B2,1,1,50\n3,A1,1,1,11\n4,B2,1,1,51\n5,A1,1,1,12\n6,B2,1,1,52\n"
    )
    extract = read(tmp_path, text, TableOptions(columns=(("pulse", "number"),)))
    assert trains(extract) == [(0, [1, 1, 1], [10, 11, 12]), (1, [1, 1, 1], [50, 51, 52])]
    assert any("A1 is 0, B2 is 1" in line for line in extract.messages)


def test_a_count_that_begins_again_begins_a_train_without_the_value_before(tmp_path: Path) -> None:
    text = (
        "pulse,amplitude (V),width (ms),conductance (uS)\n"
        "0,1,1,10\n1,1,1,11\n2,1,1,12\n0,1,1,10.5\n1,1,1,11.5\n2,1,1,12.5\n"
    )
    assert trains(read(tmp_path, text)) == [
        (0, [1, 1, 1], [10, 11, 12]),
        (0, [1, 1, 1], [10.5, 11.5, 12.5]),
    ]


def test_reads_after_every_tenth_pulse_are_no_train(tmp_path: Path) -> None:
    text = "pulse,amplitude (V),width (ms),conductance (uS)\n10,1,1,10\n20,1,1,11\n30,1,1,12\n"
    with pytest.raises(ConfigError, match="10 pulses stand between one read and the next"):
        read(tmp_path, text)


def test_pulses_that_alternate_are_cycles_of_set_and_reset(tmp_path: Path) -> None:
    text = (
        "amplitude (V),width (us),resistance (kOhm)\n"
        "-1.5,1,100\n1.2,1,10\n-1.5,1,90\n1.2,1,11\n-1.5,1,95\n1.2,1,12\n"
    )
    extract = read(tmp_path, text)
    assert extract.kind == "cycling"
    np.testing.assert_allclose(extract.columns["set_conductance_s"], [1 / 10e3, 1 / 11e3])
    np.testing.assert_allclose(extract.columns["reset_conductance_s"], [1 / 90e3, 1 / 95e3])


def test_a_gate_that_varies_makes_a_sweep_of_pulses(tmp_path: Path) -> None:
    text = (
        "gate voltage (V),pulse voltage (V),width (ns),conductance (uS)\n"
        "0.5,2,200,10\n0.6,2,200,11\n0.7,2,200,15\n"
    )
    extract = read(tmp_path, text)
    assert extract.kind == "pulse_sweeps"
    np.testing.assert_array_equal(extract.columns["gate_v"], [0.6, 0.7])
    np.testing.assert_allclose(extract.columns["before_conductance_s"], [10e-6, 11e-6])
    np.testing.assert_allclose(extract.columns["after_conductance_s"], [11e-6, 15e-6])


def test_what_is_missing_is_asked_for_by_the_name_of_its_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set width_s="):
        read(tmp_path, "amplitude (V),conductance (uS)\n1,10\n1,11\n")
    with pytest.raises(ConfigError, match=r"--unit conductance_s="):
        read(tmp_path, "amplitude (V),width (ms),conductance\n1,1,10\n1,1,11\n")
    assert "--column amplitude_v='V (V)'" in objection(tmp_path, "V (V),G (uS)\n1,10\n1,11\n")
    assert "2 columns of conductance_s" in objection(
        tmp_path, "amplitude (V),G1 (S),G2 (S)\n1,1,1\n"
    )


@given(
    st.lists(
        st.tuples(st.sampled_from([-2.0, 0.0, 1.0]), st.sampled_from([np.nan, 1.0])),
        min_size=1,
        max_size=30,
    )
)
def test_every_step_has_just_one_pulse_between_its_two_values(
    rows: list[tuple[float, float]],
) -> None:
    amplitude_v, scale = np.array(rows).T
    zeros = np.zeros(amplitude_v.size)
    steps = steps_of(
        PulseRows(
            cell=zeros,
            amplitude_v=amplitude_v,
            width_s=zeros + 1e-3,
            gate_v=zeros,
            conductance_s=scale * np.arange(1, amplitude_v.size + 1),
            number=zeros,
            part=zeros,
            cycle=zeros,
        )
    )
    valued = np.flatnonzero(np.isfinite(scale))
    expected = [
        (a, b)
        for a, b in itertools.pairwise(valued)
        if np.count_nonzero(amplitude_v[a + 1 : b + 1]) == 1
    ]
    assert list(zip(steps.before, steps.after, strict=True)) == expected
    assert all(amplitude_v[row] for row in steps.pulse_row)
    joined = np.concatenate([*steps.runs, np.empty(0, int)]).astype(int)
    assert joined.tolist() == list(range(len(expected)))
    for run in steps.runs:
        assert len(set(np.sign(amplitude_v[steps.pulse_row[run]]))) == 1


CYCLES = "1.5,1,5000\n-1.5,1,100000\n1.5,1,5100\n-1.5,1,110000\n1.5,1,5200\n-1.5,1,120000\n"


@pytest.mark.parametrize(("counted", "count"), [(False, 3), (True, 3), (False, 2), (True, 2)])
def test_cycles_of_one_set_and_one_reset_are_all_kept(
    counted: bool, count: int, tmp_path: Path
) -> None:
    rows = CYCLES.splitlines()[: 2 * count]
    text = "Pulse voltage (V),Width (us),R (ohm)\n" + "\n".join(rows) + "\n"
    if counted:
        numbered = [f"{7 + place // 2},{row}" for place, row in enumerate(rows)]
        text = "cycle,Pulse voltage (V),Width (us),R (ohm)\n" + "\n".join(numbered) + "\n"
    found = read(tmp_path, text)
    assert found.kind == "cycling"
    first = 7 if counted else 1
    assert found.columns["cycle"].tolist() == list(range(first, first + count))
    expected = [5000, 5100, 5200][:count]
    np.testing.assert_allclose(1 / found.columns["set_conductance_s"], expected)
    expected = [100000, 110000, 120000][:count]
    np.testing.assert_allclose(1 / found.columns["reset_conductance_s"], expected)
    assert f"no value was left out: all {2 * count} are used" in found.messages


@given(st.lists(st.sampled_from([-1.5, -1.0, 0.0, 1.0, 1.5]), min_size=3, max_size=25))
def test_values_read_are_those_used_and_those_named_as_left_out(volts: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = [f"{v},1,{10 + place}" for place, v in enumerate(volts)]
        text = "Pulse voltage (V),Width (us),G (uS)\n" + "\n".join(rows) + "\n"
        try:
            found = read(Path(folder), text)
        except ConfigError:
            return
    states = [column for name, column in found.columns.items() if name.endswith("conductance_s")]
    used = np.unique(np.round(np.concatenate(states) * 1e6)).size
    words = " ".join(found.messages)
    match = re.search(r"(\d+) of (\d+) values left out", words)
    left = int(match[1]) if match else 0
    assert used + left == len(volts)
    assert match is not None or f"all {len(volts)} are used" in words


HIGH = """pulse_v,pulse_width (us),conductance (nS)
60,1,10
65,1,11
-70,1,9
-75,1,8
"""


def test_pulses_above_50_v_are_taken_where_their_unit_is_stated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pulse_v 60 V: .* 50 V: .* --unit amplitude_v=V"):
        read(tmp_path, HIGH)
    stated = read(tmp_path, HIGH.replace("pulse_v", "pulse voltage (V)"))
    assert {v for _, volts, _ in trains(stated) for v in volts} == {65, -70, -75}
    with pytest.raises(ConfigError, match="60000 V: expected at most 1100 V"):
        read(tmp_path, HIGH.replace("pulse_v", "pulse voltage (kV)"))
