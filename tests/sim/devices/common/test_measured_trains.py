"""Tables of pulse trains: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.errors import ConfigError
from hwloop_sim.devices.common.measured_trains import MeasuredTrains


def read(tmp_path: Path, text: str, **keys: object) -> MeasuredTrains:
    (tmp_path / "trains.csv").write_text(text, encoding="utf-8")
    return MeasuredTrains.parse(
        {"amplitude_v": 1, "width_s": 1e-3, "file": "trains.csv", **keys}, folder=tmp_path
    )


def test_columns_are_trains_and_may_differ_in_length(tmp_path: Path) -> None:
    trains = read(tmp_path, "a,b\n1e-6,2e-6\n1.1e-6,2.2e-6\n1.3e-6,\n")
    assert trains.conductance_s == ((1e-6, 1.1e-6, 1.3e-6), (2e-6, 2.2e-6))


def test_currents_and_bare_numbers_become_conductances(tmp_path: Path) -> None:
    assert read(tmp_path, "1e-7\n2e-7\n", read_v="100 mV").conductance_s == ((1e-6, 2e-6),)
    scaled = read(tmp_path, "-1\n1\n", scale_conductance_s="1 uS", offset_conductance_s="2 uS")
    assert scaled.conductance_s[0] == pytest.approx((1e-6, 3e-6))


def test_chosen_columns_are_taken_in_that_order(tmp_path: Path) -> None:
    trains = read(tmp_path, "1,2,3\n4,5,6\n", columns=[2, 0])
    assert trains.conductance_s == ((3, 6), (1, 4))


def test_what_was_read_is_written_out_and_reads_back(tmp_path: Path) -> None:
    trains = read(tmp_path, "1e-6\n2e-6\n")
    assert MeasuredTrains.parse(trains.model_dump(mode="json")) == trains


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        ("1,2\n3,x\n", {}, "row 1, column 1: 'x' is no number"),
        ("1,2\n3,nan\n", {}, "row 1, column 1: 'nan' is no number"),
        ("1,2\n,3\n4,5\n", {}, "column 0 continues after an empty field"),
        ("1\n2\n", {"columns": [1]}, "there is no column 1: it has 1"),
        (
            "1\n2\n",
            {"read_v": 0.1, "scale_conductance_s": 1},
            "give read_v for currents, or scale_conductance_s",
        ),
        ("", {}, "conductance_s"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(
    tmp_path: Path, text: str, keys: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text, **keys)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.csv: cannot be read"):
        MeasuredTrains.parse(
            {"amplitude_v": 1, "width_s": 1, "file": "nowhere.csv"}, folder=tmp_path
        )
