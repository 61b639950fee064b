"""The report of an imported file: source, figures and columns of every kind on one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.measurement import LAYOUTS, Kind, Measurement, write_measurement
from hwloop.errors import RecordError
from hwloop.report.imported import write_import_report

FIGURES = {
    "trains": {"trains.png"},
    "iv": {"loops.png", "switching_voltages.png"},
    "pulse_sweeps": {"pulses.png"},
    "programming": {"programmed.png"},
    "reads": {"reads.png"},
    "cycling": {"cycles.png", "states.png"},
}


def of_kind(kind: Kind) -> Measurement:
    """Two cells of any kind with thirty rows each; the voltages are those of two sweeps."""
    rng = np.random.default_rng(1)
    rows = 60
    columns = {
        name: rng.uniform(1e-6, 1e-5, rows) if name.endswith("_s") else np.ones(rows)
        for name in LAYOUTS[kind].columns
    }
    columns["cell"] = np.repeat([0.0, 1.0], rows // 2)
    volts = np.concatenate([np.arange(1, 9), np.arange(7, -8, -1), np.arange(-6, 1)]) / 10.0
    if kind == "trains":
        columns |= {"train": columns["cell"], "pulse": np.tile(np.arange(30.0), 2)}
    if kind == "iv":
        on = np.r_[np.full(8, 0.2), np.full(15, 1.0), np.full(7, 0.2)]
        columns |= {"sweep": columns["cell"], "voltage_v": np.tile(volts, 2)}
        columns["current_a"] = np.tile(1e-5 * on * volts, 2)
    return Measurement(kind=kind, title=f"some <{kind}>", source="lab book 3", columns=columns)


@pytest.mark.parametrize("kind", list(LAYOUTS))
def test_page_of_every_kind_holds_its_source_and_its_figures(kind: Kind, tmp_path: Path) -> None:
    write_measurement(of_kind(kind), tmp_path / "data.h5")
    written = write_import_report(tmp_path / "data.h5", None)
    assert written.html == tmp_path / "data-report.html"
    assert {path.name for path in written.figures} == FIGURES[kind]
    text = written.html.read_text("utf-8")
    assert "lab book 3" in text
    assert f"some &lt;{kind}&gt;: measured, imported" in text
    assert text.count("data:image/png") == len(FIGURES[kind])
    assert 'src="http' not in text


def test_a_report_is_replaced_only_when_asked(tmp_path: Path) -> None:
    write_measurement(of_kind("reads"), tmp_path / "data.h5")
    write_import_report(tmp_path / "data.h5", None)
    with pytest.raises(RecordError, match="--overwrite"):
        write_import_report(tmp_path / "data.h5", None)
    write_import_report(tmp_path / "data.h5", None, overwrite=True)
