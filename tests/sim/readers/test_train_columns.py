"""Trains side by side are columns of states by their names or by the user, never what only fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import Imported, import_measurement
from hwloop.errors import ConfigError

GIVEN = {"source": "lab book", "amplitude_v": "1 V", "width_s": "1 ms"}
ROWS = "1,10,5\n2,11,6\n3,12,7\n"


def taken(folder: Path, names: str, **given: str) -> Imported:
    path = folder / "trains.csv"
    path.write_text(f"{names}\n{ROWS}", encoding="utf-8")
    return import_measurement(path, reader=None, given=GIVEN | given)


@pytest.mark.parametrize(
    "names", ["n,train 1,train 2", "n,dev_a,dev_b", "n,A1,A2", "n,up (uS),down (uS)", "Pulse #,x,x"]
)
def test_columns_that_differ_in_a_number_or_a_letter_are_trains(names: str, tmp_path: Path) -> None:
    more = {} if "uS" in names else {"unit": "uS"}
    columns = taken(tmp_path, names, **more).measurement.columns
    np.testing.assert_array_equal(columns["train"], [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(columns["conductance_s"] * 1e6, [10, 11, 12, 5, 6, 7])


@pytest.mark.parametrize("names", ["n,C1 (uS),C2 (uS)", "n,C 1 (uS),C 2 (uS)"])
def test_a_cell_or_a_cycle_with_a_unit_of_conductance_is_no_capacitance(
    names: str, tmp_path: Path
) -> None:
    columns = taken(tmp_path, names).measurement.columns
    np.testing.assert_allclose(columns["conductance_s"] * 1e6, [10, 11, 12, 5, 6, 7])


@pytest.mark.parametrize("summary", ["Average (uS)", "Median (uS)", "G mean (uS)", "Sum (uS)"])
def test_a_summary_beside_trains_is_asked_for(summary: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="may be computed from the columns beside"):
        taken(tmp_path, f"n,G cell (uS),{summary}")
    chosen = taken(tmp_path, f"n,G cell (uS),{summary}", columns="G cell (uS)")
    np.testing.assert_allclose(chosen.measurement.columns["conductance_s"] * 1e6, [10, 11, 12])


@pytest.mark.parametrize("spread", ["95% CI (uS)", "IQR (uS)", "G confidence (uS)"])
def test_an_interval_of_confidence_is_no_train(spread: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        taken(tmp_path, f"n,{spread},IQR 2 (uS)")


@pytest.mark.parametrize("names", ["n,up,down", "n,alpha,beta", "Pulse #,G1,noise level 2"])
def test_columns_under_unlike_names_that_say_nothing_are_asked_for(
    names: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"--set columns=|--column") as refused:
        taken(tmp_path, names, unit="uS")
    assert names.split(",")[1] in str(refused.value)


def test_columns_under_unlike_names_are_taken_where_the_user_names_them(tmp_path: Path) -> None:
    imported = taken(tmp_path, "n,up,down", unit="uS", columns="down")
    np.testing.assert_allclose(imported.measurement.columns["conductance_s"], [5e-6, 6e-6, 7e-6])
    assert "1 train of 3 values in uS, to siemens" in imported.messages
    assert imported.messages[-1] == "all 3 values of these columns are used"


@pytest.mark.parametrize(
    "names",
    [
        "n,G (uS),G std (uS)",
        "n,G (uS),uncertainty (uS)",
        "n,R (ohm),dR (ohm)",
        "n,Zreal (ohm),Zimag (ohm)",
        "n,ratio 1,ratio 2",
        "n,sd1,sd2",
        "n,G before (uS),G after (uS)",
        "n,initial (uS),final (uS)",
        "cycle,pulse,index",
    ],
)
def test_errors_ratios_ends_and_counters_are_no_trains(names: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not recognised by any reader"):
        taken(tmp_path, names)
