"""Attributes of netCDF variables give the numbers that the netCDF Users Guide says."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.datasets.tables.formats.packed_values import unpacked
from hwloop.errors import ConfigError

NAN = np.nan


@pytest.mark.parametrize(
    ("raw", "attributes", "values"),
    [
        # "unpacked = packed * scale_factor + add_offset"
        (np.int16([0, 4, -4]), {"scale_factor": 0.25, "add_offset": 1.0}, [1.0, 2.0, 0.0]),
        (np.int16([1, -999]), {"_FillValue": np.int16(-999)}, [1, NAN]),
        (np.int16([1, -999]), {"missing_value": np.int16([-999, -998])}, [1, NAN]),
        # the fill value is one of the packed data
        (np.int16([1, 5]), {"_FillValue": np.int16([5]), "scale_factor": 5.0}, [5, NAN]),
        (np.float32([1, 1e-20]), {"_FillValue": 1e-20}, [1, NAN]),
        # "unsigned integer data": -1 of a byte is 255
        (np.int8([1, -1]), {"_Unsigned": "true"}, [1, 255]),
        (np.int8([1, -1]), {"_Unsigned": b"true", "_FillValue": np.int8(-1)}, [1, NAN]),
        (np.uint8([1, 255]), {"_Unsigned": "false"}, [1, -1]),
        (np.float64([1, 2, 3]), {"valid_min": 2.0}, [NAN, 2, 3]),
        (np.float64([1, 2, 3]), {"valid_max": 2.0}, [1, 2, NAN]),
        (np.float64([1, 2, 3]), {"valid_range": [2.0, 2.5]}, [NAN, 2, NAN]),
        # in units of the packed data if of its type, else of the unpacked data
        (np.int16([1, 2]), {"valid_max": np.int16(1), "scale_factor": 10.0}, [10, NAN]),
        (np.int16([1, 2]), {"valid_max": 10.0, "scale_factor": 10.0}, [10, NAN]),
        (np.int16([1, 2]), {"valid_max": 20.0, "scale_factor": 10.0}, [10, 20]),
    ],
)
def test_attributes_scale_values_and_make_gaps_of_what_is_none(
    raw: np.ndarray, attributes: dict[str, object], values: list[float]
) -> None:
    found, _ = unpacked("x", raw, attributes, is_netcdf=False)
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("raw", "fill"),
    [
        (np.int16([7, -32767]), "NC_FILL_SHORT"),
        (np.int32([7, -2147483647]), "NC_FILL_INT"),
        (np.float32([7, 9.96921e36]), "NC_FILL_FLOAT"),
        (np.array([7, 9.969209968386869e36], ">f8"), "NC_FILL_DOUBLE"),
    ],
)
def test_cells_of_netcdf_that_were_never_written_are_missing(raw: np.ndarray, fill: str) -> None:
    np.testing.assert_array_equal(unpacked(fill, raw, {}, is_netcdf=True)[0], [7, NAN])
    assert unpacked(fill, raw, {}, is_netcdf=False)[0][1] == raw[1]


def test_a_byte_has_no_default_fill() -> None:
    np.testing.assert_array_equal(unpacked("x", np.int8([-127]), {}, is_netcdf=True)[0], [-127])


def test_what_was_done_is_said_with_counts() -> None:
    attributes = {"scale_factor": 0.5, "_FillValue": np.int16(9), "valid_min": np.int16(0)}
    _, said = unpacked("x", np.int16([9, 9, -1, 4]), attributes, is_netcdf=False)
    assert said == "times 0.5, 2 fill values missing, 1 outside its valid range missing"


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"scale_factor": "ten"}, "attribute scale_factor is 'ten': expected a number"),
        ({"add_offset": [1.0, 2.0]}, "expected one number"),
        ({"valid_range": [1.0]}, "attribute valid_range has 1 values: expected two"),
    ],
)
def test_an_attribute_that_is_no_number_is_refused(
    attributes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        unpacked("x", np.int16([1]), attributes, is_netcdf=False)
