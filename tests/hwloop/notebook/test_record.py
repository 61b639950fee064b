"""Records as xarray, pandas, figures and a table of what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import hwloop
from hwloop.errors import RecordError
from hwloop.notebook import labelled

FILE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
STEP = "train_manhattan"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record of five updates of two arrays."""
    out = tmp_path_factory.mktemp("notebook") / "a.h5"
    overrides = {f"steps.{STEP}.settings.max_updates": 5}
    return hwloop.run(FILE, seed=2, population=2, out=out, overrides=overrides).path


@pytest.fixture
def record(path: Path) -> Iterator[hwloop.Record]:
    with hwloop.Record(path) as opened:
        yield opened


def test_xarray_has_the_numbers_with_units_and_the_cells_as_dimensions(
    record: hwloop.Record,
) -> None:
    tree = record.to_xarray()
    initial = tree["array/initial_conductance_s"]
    assert initial.dims == ("array_0", "array_row", "array_column")
    assert initial.attrs["units"] == "S"
    np.testing.assert_array_equal(initial, record.array("initial_conductance_s"))
    rows = tree[f"results/{STEP}"]
    assert rows["conductance_s"].dims == ("row", "array_0", "array_row", "array_column")
    assert rows.attrs["message"] == record.outcome(STEP)[1]
    for table in record.tables(STEP):
        node = tree[f"results/{STEP}/{table}" if table else f"results/{STEP}"]
        columns, units = record.results(STEP, table), record.units(STEP, table)
        assert set(node.data_vars) == set(columns)
        for name, values in columns.items():
            np.testing.assert_array_equal(node[name], values)
            assert node[name].attrs["units"] == units[name]
            assert node[name].attrs["long_name"] == record.meanings(STEP, table)[name]
    assert tree.attrs["seed"] == 2


def test_axes_that_are_no_cells_are_named_after_their_column() -> None:
    named = labelled.dimensions
    assert named("x", (4, 4), (4, 4)) == ("array_row", "array_column")
    assert named("x", (4, 4), (3, 4, 4)) == ("array_row", "array_column")
    assert named("x", (3, 4, 4), (3, 4, 4)) == ("array_0", "array_row", "array_column")
    assert named("x", (6, 2), (4, 4)) == ("x_0", "x_1")
    assert named("x", (4,), (4, 4)) == ("x_0",)
    assert named("x", (), (4, 4)) == ()


def test_pandas_has_a_row_for_each_row(record: hwloop.Record) -> None:
    frame = record.to_pandas(STEP)
    columns = record.results(STEP)
    assert list(frame.columns) == list(columns)
    assert len(frame) == len(columns["epoch"])
    assert frame["epoch"].tolist() == columns["epoch"].tolist()
    np.testing.assert_array_equal(np.stack(frame["conductance_s"]), columns["conductance_s"])
    assert frame.attrs["units"]["conductance_s"] == "S"


def test_a_table_or_figure_that_is_not_there_is_named_with_those_that_are(
    record: hwloop.Record,
) -> None:
    with pytest.raises(RecordError, match=r"no table train_manhatan.*did you mean"):
        record.to_pandas("train_manhatan")
    with pytest.raises(RecordError, match=r"no figure 'weight'.*did you mean 'weights'"):
        record.figure("weight")


def test_a_figure_is_that_of_the_report(record: hwloop.Record) -> None:
    figure = record.figure("final_conductance")
    assert figure.axes
    assert record.figure(f"{STEP}-weights").axes
    assert record.figure().axes


def test_a_notebook_shows_outcome_status_and_columns(record: hwloop.Record) -> None:
    shown = record._repr_html_()
    assert "conductance_s (S)" in shown
    assert "completed" in shown
    assert "2 × 4 × 4" in shown
    assert "<Record manhattan_4x4, completed," in repr(record)


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    record: hwloop.Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(labelled, "import_module", missing)
    with pytest.raises(RecordError, match=r"xarray is not installed: pip install 'hwloop\[note"):
        record.to_xarray()
