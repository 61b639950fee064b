"""HDF5 datasets become columns by what their attributes say, and never by what is no number."""

from __future__ import annotations

import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.options import TableOptions
from hwloop.errors import ConfigError

TIMES = np.arange(5.0)


@pytest.mark.parametrize("engine", ["scipy", "h5netcdf"])
def test_packed_netcdf_gives_the_numbers_that_xarray_gives(engine: str, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    path = tmp_path / "n.nc"
    data = xarray.Dataset(
        {
            "conductance": ("t", [1.25, 2.5, np.nan, 4.0, 5.0], {"units": "uS"}),
            "done": ("t", TIMES > 2),
        },
        coords={"t": ("t", TIMES, {"units": "ms"})},
    )
    packing = {"dtype": "int16", "scale_factor": 0.25, "add_offset": 1.0, "_FillValue": -999}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.to_netcdf(path, engine=engine, encoding={"conductance": packing})
        expected = xarray.open_dataset(path, engine=engine).load()["conductance"].values
    found = DataFile(path).table
    (state,) = found.of_role("conductance_s")
    np.testing.assert_array_equal(state.values, expected)
    assert (state.missing, state.unit.symbol if state.unit else "") == (1, "uS")
    assert "conductance: times 0.25, plus 1, 1 fill value missing" in found.recognised
    assert "done (truth values)" in found.notes[0]


def test_arrays_of_one_name_in_two_folders_keep_their_own_units(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "h.h5", "w") as file:
        for run, unit in (("a", "uA"), ("b", "mA")):
            file[f"{run}/i"], file[f"{run}/t"] = TIMES, TIMES
            file[f"{run}/i"].attrs["units"] = unit
    for run, factor in (("a", 1e-6), ("b", 1e-3)):
        (current,) = DataFile(tmp_path / "h.h5", TableOptions(table=run)).table.of_role("current_a")
        np.testing.assert_allclose(current.in_si(), TIMES * factor, rtol=1e-15)


@pytest.mark.parametrize(
    "attributes",
    [
        {"units": ["ms", "nA"]},
        {"units": "ms, nA"},
        {"time_units": "ms", "i_unit": "nA"},
        {"FIELD_0_UNITS": "ms", "FIELD_1_UNITS": "nA"},
    ],
)
def test_fields_of_records_have_units_of_their_own(
    attributes: dict[str, object], tmp_path: Path
) -> None:
    rows = np.array(list(zip(TIMES, TIMES + 1, strict=True)), [("time", "f8"), ("i", "f8")])
    with h5py.File(tmp_path / "h.h5", "w") as file:
        file["log"] = rows
        file["log"].attrs.update(attributes)
    table = DataFile(tmp_path / "h.h5").table
    (time,), (current,) = table.of_role("time_s"), table.of_role("current_a")
    np.testing.assert_allclose(time.in_si(), TIMES / 1e3, rtol=1e-15)
    np.testing.assert_allclose(current.in_si(), (TIMES + 1) / 1e9, rtol=1e-15)


def test_one_unit_for_several_fields_of_records_is_of_none_of_them(tmp_path: Path) -> None:
    rows = np.array([(1.0, 2.0), (3.0, 4.0)], [("t", "f8"), ("i", "f8")])
    with h5py.File(tmp_path / "h.h5", "w") as file:
        file["log"] = rows
        file["log"].attrs["units"] = "uA"
    assert all(column.unit_is_unknown for column in DataFile(tmp_path / "h.h5").table.columns)


@pytest.mark.parametrize(
    ("attributes", "values", "reason"),
    [
        ({}, TIMES > 1, "truth values"),
        ({"MATLAB_class": np.bytes_("logical")}, np.uint8([0, 1, 1]), "truth values"),
        ({"MATLAB_class": np.bytes_("char")}, np.uint16([65, 66]), "char"),
        ({"MATLAB_empty": 1, "MATLAB_class": np.bytes_("double")}, np.uint64([0, 0]), "empty"),
        ({"flag_meanings": "off on"}, np.int8([0, 1, 1]), "codes"),
    ],
)
def test_what_is_no_number_is_no_column_and_is_said(
    attributes: dict[str, object], values: np.ndarray, reason: str, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "h.h5", "w") as file:
        file["x"] = values
        file["x"].attrs.update(attributes)
    with pytest.raises(
        ConfigError, match=rf"holds no columns of numbers; left out: x \({reason}\)"
    ):
        _ = DataFile(tmp_path / "h.h5").table


def test_a_dimension_without_a_variable_is_no_column_of_zeros(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "h.nc", "w") as file:
        file["time"] = np.zeros(5, np.float32)
        file["time"].attrs["NAME"] = np.bytes_(
            "This is a netCDF dimension but not a netCDF variable.         5"
        )
        file["g_uS"] = TIMES + 1
    assert [column.name for column in DataFile(tmp_path / "h.nc").table.columns] == ["g_uS"]


def test_cells_that_hold_the_fill_of_their_dataset_are_missing(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "h.h5", "w") as file:
        file.create_dataset("g_uS", (4,), "f8", fillvalue=-1.0)[:2] = [3.0, 4.0]
    (column,) = DataFile(tmp_path / "h.h5").table.columns
    np.testing.assert_array_equal(column.values, [3.0, 4.0, np.nan, np.nan])


def test_an_array_whose_longer_name_says_a_deviation_is_no_state(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "h.h5", "w") as file:
        file["g_2"] = TIMES
        file["g_2"].attrs.update({"units": "uS", "long_name": "standard deviation of g"})
    (column,) = DataFile(tmp_path / "h.h5").table.columns
    assert (column.role, column.derived) == ("", True)
