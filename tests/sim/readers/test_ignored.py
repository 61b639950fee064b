"""A column that says which rows belong together is used, or the file is refused with its name.

Right values: counted by hand in the rows of each table.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import Extract, import_measurement
from hwloop.datasets.tables.data_file import DataFile
from hwloop.errors import ConfigError
from hwloop_sim.readers.train_columns import TRAIN_COLUMNS

PULSE = {"amplitude_v": "1 V", "width_s": "1 ms"}


def imported(folder: Path, text: str, reader: str | None = None, **given: str) -> Extract:
    path = folder / "file.csv"
    path.write_text(text, encoding="utf-8")
    found = import_measurement(path, reader=reader, given={"source": "lab book", **given})
    measurement = found.measurement
    return Extract(measurement.kind, measurement.columns, {}, found.messages)


@pytest.mark.parametrize(
    ("text", "column", "given"),
    [
        ("Train,Pulse,G (uS)\n1,0,5\n1,1,6\n1,2,7\n2,0,5\n2,1,6\n2,2,7\n", "Train", PULSE),
        ("Cell,Pulse,G (uS)\n1,0,5\n1,1,6\n1,2,7\n2,0,5\n2,1,6\n2,2,7\n", "Cell", PULSE),
        ("Pulse,G (uS)\n0,5\n1,6\n2,7\n0,5\n1,6\n2,7\n", "Pulse begins again", PULSE),
        ("Polarity,Pulse,G (uS)\n1,1,6\n1,2,7\n-1,3,6\n-1,4,5\n", "Polarity", PULSE),
        ("Pulse,LTP (uS),LTD (uS)\n1,5,9\n2,6,8\n3,7,7\n", "ltp, ltd", PULSE),
        ("Pulse,Potentiation (uS),Depression (uS)\n1,5,9\n2,6,8\n3,7,7\n", "depression", PULSE),
        ("Pulse,G @1V (uS),G @2V (uS)\n1,5,9\n2,6,8\n3,7,7\n", "1v, 2v", PULSE),
        ("WL,BL,Voltage (V),Width (us),G (uS)\n0,0,1,9,5\n0,1,1,9,6\n0,0,1,9,7\n", "BL", {}),
        (
            "Type,Pulse,Voltage (V),Width (us),G (uS)\nSET,1,1,9,5\nSET,2,1,9,6\nRESET,3,1,9,5\n",
            "'RESET'",
            {},
        ),
        (
            "Pulses,Voltage (V),Width (us),G (uS)\n10,1,9,5\n10,1,9,6\n10,1,9,7\n",
            "Pulses is 10 in every row",
            {},
        ),
        ("VG (V),VDS (V),IDS (A)\n0,0,0\n0,1,1e-6\n1,0,0\n1,1,2e-6\n", "VG", {}),
        (
            "T (C),V (V),I (A)\n25,0,0\n25,1,1e-6\n25,0,0\n85,0,0\n85,1,2e-6\n85,0,0\n",
            "line 5: T .C. changes to 85",
            {},
        ),
        ("Cell,Time (s),G (uS)\n-1,0,5\n-1,1,6\n-1,2,5\n", "Cell -1", {}),
        ("Cell;V (V);I (A)\n0,1;0;0\n0,1;1;2\n0,10;0;0\n0,10;1;3\n", "Cell 0.1", {}),
    ],
)
def test_column_that_divides_the_rows_and_is_not_used_is_refused_by_name(
    text: str, column: str, given: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=column) as found:
        imported(tmp_path, text, **given)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        (
            "row,col,Voltage (V),Width (us),G (uS)\n"
            "0,0,1,9,5\n1,0,1,9,6\n0,0,1,9,7\n0,1,1,9,8\n1,0,1,9,9\n0,1,1,9,8\n",
            {(5, 7): 0, (6, 9): 1, (8, 8): 2},
        ),
        (
            "Chip,Cell,Voltage (V),Width (us),G (uS)\n1,0,1,9,5\n1,0,1,9,6\n2,0,1,9,7\n2,0,1,9,8\n",
            {(5, 6): 0, (7, 8): 1},
        ),
        (
            "sample,Voltage (V),Width (us),G (uS)\n3,1,9,5\n3,1,9,6\n4,1,9,7\n4,1,9,8\n",
            {(5, 6): 3, (7, 8): 4},
        ),
        (
            "row,Voltage (V),Width (us),G (uS)\n1,1,9,5\n2,1,9,6\n3,1,9,7\n",
            {(5, 6, 7): 0},
        ),
    ],
)
def test_row_and_column_are_the_address_of_a_cell_and_a_counter_of_rows_is_none(
    text: str, cells: dict[tuple[int, ...], int], tmp_path: Path
) -> None:
    columns = imported(tmp_path, text).columns
    found = {
        tuple(np.round(columns["conductance_s"][columns["cell"] == one] * 1e6).tolist()): int(one)
        for one in np.unique(columns["cell"])
    }
    assert found == cells


@pytest.mark.parametrize("name", ["", " "])
def test_a_row_without_the_name_of_its_cell_is_refused_with_its_line(
    name: str, tmp_path: Path
) -> None:
    text = f"Cell,Pulse voltage (V),Width (us),G (uS)\nA,1,9,5\nA,1,9,6\n{name},1,9,7\nB,1,9,8\n"
    with pytest.raises(
        ConfigError, match="line 4: no name in Cell: expected the cell of every row"
    ):
        imported(tmp_path, text)


@pytest.mark.parametrize(
    "names", ["Word,Bit", "sample,n", "Device_ID,n", "Sample name,n", "Wordline,Bitline"]
)
def test_however_a_cell_is_named_its_rows_are_not_merged_with_others(
    names: str, tmp_path: Path
) -> None:
    named = "name" in names or "ID" in names
    first, second = ("A7", "A8") if named else ("1", "2")
    rows = "".join(
        f"{cell},3,1,9,{g}\n"
        for cell, states in ((first, (5, 6)), (second, (7, 8)))
        for g in states
    )
    columns = imported(tmp_path, f"{names},Voltage (V),Width (us),G (uS)\n" + rows).columns
    assert np.unique(columns["cell"]).size == 2
    np.testing.assert_allclose(columns["conductance_s"] * 1e6, [5, 6, 7, 8])


def test_a_temperature_that_was_measured_divides_nothing(tmp_path: Path) -> None:
    text = "Temperature (K),V (V),I (A)\n300.1,0,0\n300.2,1,1e-6\n300.2,0,0\n300.1,1,1e-6\n"
    assert imported(tmp_path, text).columns["voltage_v"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_an_index_without_a_name_that_begins_again_begins_a_sweep(
    name: str, tmp_path: Path
) -> None:
    text = f"{name},V (V),I (A)\n0,0,0\n1,1,1e-6\n2,0,0\n0,0,0\n1,1,2e-6\n"
    columns = imported(tmp_path, text).columns
    assert columns["sweep"].tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("delta_t (s),G before (S),G after (S)", "states before and after a pulse"),
        ("pulse,R pre (ohm),R post (ohm)", "states before and after a pulse"),
        ("cycle,HRS1 (ohm),LRS1 (ohm)", "after SET and after RESET"),
        ("pulse,I (A),G (S)", "of several quantities"),
    ],
)
def test_columns_that_are_no_trains_side_by_side_are_not_taken_for_them(
    names: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.csv"
    path.write_text(names + "\n1,2e-5,1e-5\n2,3e-5,2e-5\n3,4e-5,3e-5\n")
    assert words in TRAIN_COLUMNS.objection(DataFile(path))


def test_sweeps_and_cells_of_a_file_stay_apart(tmp_path: Path) -> None:
    text = "Device,Sweep,V (V),I (A)\nA,1,0,0\nA,1,1,1e-6\nA,2,0,0\nB,1,1,2e-6\nB,1,0,0\n"
    columns = imported(tmp_path, text).columns
    assert columns["cell"].tolist() == [0, 0, 0, 1, 1]
    assert columns["sweep"].tolist() == [1, 1, 2, 1, 1]


def test_cells_named_in_text_stay_apart_in_reads_and_cycles(tmp_path: Path) -> None:
    reads = imported(tmp_path, "DUT,Time (s),G (uS)\nA1,0,5\nB1,0,6\nA1,9,5\nB1,9,6\n")
    assert reads.columns["cell"].tolist() == [0, 1, 0, 1]
    cycles = imported(tmp_path, "Device,Cycle,LRS (ohm),HRS (ohm)\nA,1,5,50\nB,1,6,60\n")
    assert cycles.columns["cell"].tolist() == [0, 1]


def test_polarity_that_the_signs_of_the_voltages_repeat_is_left_out(tmp_path: Path) -> None:
    text = (
        "Type,Pulse,Voltage (V),Width (us),G (uS)\nSET,1,1,9,5\nSET,2,1,9,6\nSET,3,1,9,7\n"
        "RESET,4,-1,9,6\nRESET,5,-1,9,5\n"
    )
    found = imported(tmp_path, text)
    assert np.unique(found.columns["train"]).size == 2
    assert "columns left out: Type" in found.messages


def test_counter_that_begins_again_in_each_cell_is_left_out(tmp_path: Path) -> None:
    text = "Cell,Point,Time (s),G (uS)\n0,1,0,5\n0,2,1,5\n1,1,0,6\n1,2,1,6\n"
    assert imported(tmp_path, text).columns["cell"].tolist() == [0, 0, 1, 1]
