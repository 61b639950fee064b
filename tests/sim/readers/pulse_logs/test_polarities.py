"""A column of polarities signs unsigned amplitudes; what contradicts it is refused with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import import_measurement
from hwloop.datasets.measurement import Measurement
from hwloop.errors import ConfigError


def imported(folder: Path, rows: list[str], name: str = "polarity") -> Measurement:
    path = folder / "log.csv"
    path.write_text(f"pulse,{name},amplitude (V),width (s),G (uS)\n" + "\n".join(rows) + "\n")
    return import_measurement(path, reader=None, given={"source": "lab book"}).measurement


def rows_of(up: str, down: str, volts: str = "1.5", down_volts: str = "1.5") -> list[str]:
    ups = [f"{n},{up},{volts},1e-3,{10 + n}" for n in range(4)]
    return ups + [f"{n},{down},{down_volts},1e-3,{20 - n}" for n in range(4, 8)]


@pytest.mark.parametrize(
    ("up", "down"), [("pos", "neg"), ("positive", "negative"), ("P", "N"), ("1", "-1"), ("+", "-")]
)
def test_polarities_give_signs_to_amplitudes_that_have_none(
    up: str, down: str, tmp_path: Path
) -> None:
    columns = imported(tmp_path, rows_of(up, down)).columns
    first, second = (columns["amplitude_v"][columns["train"] == n] for n in (0, 1))
    assert first.tolist() == [1.5] * 4
    assert second.tolist() == [-1.5] * 5


def test_polarities_that_agree_with_signed_amplitudes_change_nothing(tmp_path: Path) -> None:
    columns = imported(tmp_path, rows_of("pos", "neg", "1.5", "-1.5"), "Pulse polarity").columns
    assert np.unique(columns["amplitude_v"]).tolist() == [-1.5, 1.5]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (rows_of("neg", "neg", "1.5", "-1.5"), "line 2: .* of 1.5 V with the polarity -"),
        (rows_of("pos", "pos", "1.5", "-1.5"), "line 6: .* of -1.5 V with the polarity [+]"),
        (rows_of("1", "0"), "line 6: no polarity of a pulse of 1.5 V"),
    ],
)
def test_polarities_that_contradict_the_amplitudes_are_refused_with_the_line(
    rows: list[str], line: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=line):
        imported(tmp_path, rows)


def test_a_column_of_set_and_reset_says_no_sign_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="changes to 'RESET'"):
        imported(tmp_path, rows_of("SET", "RESET"))
