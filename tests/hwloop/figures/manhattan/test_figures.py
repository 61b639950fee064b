"""The figures of a Manhattan training hold what the record holds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.execution.observer import Quiet
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.figures.manhattan.array import error_figure, final_figure
from hwloop.figures.manhattan.data import Training, read_training
from hwloop.figures.manhattan.figures import figures
from hwloop.figures.manhattan.settings import diagnose, settings_figure
from hwloop.plotting.style import NamedFigure
from hwloop.procedure.procedure import from_data, load_procedure
from hwloop.record.reader import Record
from hwloop.settings.yaml import parse_yaml
from hwloop.steps.rows import Row

PROCEDURE = Path(__file__).parents[4] / "procedures" / "manhattan_4x4.yaml"
LABEL = "train_manhattan"


def trained(folder: Path, *, seed: int = 22, population: int | None = None, **changes: Any) -> Path:
    data = parse_yaml(PROCEDURE.read_text(encoding="utf-8"))
    settings = data["steps"][0]["settings"]
    for key in ("rows", "cols"):
        data["array"][key] = changes.pop(key, data["array"][key])
    settings.update(changes)
    path = folder / "run.h5"
    procedure = from_data(data, folder=PROCEDURE.parent)
    run_procedure(procedure, RunOptions("sim", path, population=population, seed=seed))
    return path


def drawn(path: Path) -> dict[str, NamedFigure]:
    with Record(path) as record:
        return {figure.name: figure for figure in figures(record, LABEL)}


def training_of(path: Path) -> Training:
    with Record(path) as record:
        training = read_training(record, LABEL)
    assert training is not None
    return training


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("many"), population=120)


class Killed(Quiet):
    """Copies the record as it stands after some rows: what a kill would have left."""

    def __init__(self, source: Path, copy: Path, rows: int) -> None:
        self._source, self._copy, self._left = source, copy, rows

    def row(self, _label: str, _row: Row) -> None:
        self._left -= 1
        if self._left == 0:
            shutil.copy(self._source, self._copy)

    def step_began(self, _prepared: object) -> None:
        if self._left == 0:
            shutil.copy(self._source, self._copy)


def killed(folder: Path, rows: int, population: int | None = None) -> Path:
    source, copy = folder / "run.h5", folder / "killed.h5"
    options = RunOptions("sim", source, population=population, seed=2)
    run_procedure(load_procedure(PROCEDURE), options, Killed(source, copy, rows))
    return copy


def test_each_cell_has_a_panel_with_its_conductance_over_the_epochs(one: Path) -> None:
    panels = drawn(one)["conductances"].figure.axes
    with Record(one) as record:
        conductance_s = record.results(LABEL)["conductance_s"]
    assert len(panels) == 16
    for index, axes in enumerate(panels):
        (line,) = axes.get_lines()
        expected_conductance_us = 1e6 * conductance_s[:, index // 4, index % 4]
        np.testing.assert_allclose(line.get_ydata(), expected_conductance_us, rtol=1e-12)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 24))


def test_panels_are_named_by_row_neuron_and_sign(one: Path) -> None:
    titles = [axes.get_title("left") for axes in drawn(one)["conductances"].figure.axes]
    assert titles[0] == "row 0, G⁺ of neuron 0"
    assert titles[7] == "row 1, G⁻ of neuron 1"


def test_activation_panels_show_bits_output_and_target(one: Path) -> None:
    panels = drawn(one)["activations"].figure.axes
    titles = [axes.get_title() for axes in panels]
    assert titles[:3] == ["0001 → 0", "0010 → 1", "0110 → 1"]
    assert titles[6:9] == ["0001 → 1", "0010 → 0", "0110 → 0"]
    targets = [axes.get_lines()[0].get_ydata()[0] for axes in panels]
    assert targets == [-0.8, 0.8, 0.8, -0.8, -0.8, 0.8, 0.8, -0.8, -0.8, 0.8, 0.8, -0.8]


def test_last_value_is_a_cross_exactly_where_it_falls_short(tmp_path: Path) -> None:
    path = trained(tmp_path, seed=2)
    panels = drawn(path)["activations"].figure.axes
    with Record(path) as record:
        last = record.results(LABEL)["activation"][-1].T.ravel()
    markers = [axes.get_lines()[-1].get_marker() for axes in panels]
    wants = [int(axes.get_title()[-1]) for axes in panels]
    short = [a < 0.8 if want else a > -0.8 for a, want in zip(last, wants, strict=True)]
    assert markers == ["X" if miss else "o" for miss in short]
    assert set(markers) == {"X", "o"}


def test_bars_of_the_table_figure_are_the_pulses_of_each_cell(one: Path) -> None:
    _, bars = drawn(one)["table"].figure.axes
    with Record(one) as record:
        pulses = record.array("pulses")
    assert pulses is not None
    assert [patch.get_width() for patch in bars.patches] == pulses.ravel().tolist()


class WithoutTable(Record):
    """A record of a backend that has no table, as a bench has none."""

    @property
    def identity(self) -> dict[str, Any]:
        return {"smu": "KEITHLEY INSTRUMENTS,MODEL 2636B,1,1"}


def test_table_figure_is_left_out_without_a_table(one: Path) -> None:
    with WithoutTable(one) as record:
        names = {figure.name for figure in figures(record, LABEL)}
    assert names == drawn(one).keys() - {"table"}


def test_a_large_array_is_drawn_as_maps_of_cell_against_epoch(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = trained(
        tmp_path, rows=16, cols=16, max_updates=3,
        patterns=rng.integers(0, 2, (20, 16)).tolist(),
        outputs=rng.integers(0, 2, (20, 8)).tolist(),
        held_out_patterns=rng.integers(0, 2, (5, 16)).tolist(),
    )  # fmt: skip
    plus, minus, _ = drawn(path)["conductances"].figure.axes
    assert np.shape(plus.images[0].get_array()) == (128, 3)
    with Record(path) as record:
        conductance_s = record.results(LABEL)["conductance_s"]
    expected_conductance_us = 1e6 * conductance_s[:, :, 1::2].reshape(3, -1).T
    np.testing.assert_allclose(minus.images[0].get_array(), expected_conductance_us, rtol=1e-12)


def test_a_rectangular_array_has_as_many_panels_as_cells(tmp_path: Path) -> None:
    path = trained(
        tmp_path, rows=3, cols=6, max_updates=4, held_out_patterns=["000"],
        patterns=["001", "010", "100"], outputs=["001", "010", "100"],
    )  # fmt: skip
    found = drawn(path)
    assert len(found["conductances"].figure.axes) == 18
    assert len(found["activations"].figure.axes) == 9


def test_predictions_are_written_as_answers(one: Path) -> None:
    axes = drawn(one)["predictions"].figure.axes[0]
    with Record(one) as record:
        prediction = record.results(LABEL, "predictions")["prediction"].ravel()
    words = {1: "1", 0: "0", -1: "undecided"}
    assert [text.get_text() for text in axes.texts] == [words[int(p)] for p in prediction]


@pytest.mark.parametrize("population", [None, 6])
def test_a_killed_run_is_drawn_as_far_as_it_came(tmp_path: Path, population: int | None) -> None:
    path = killed(tmp_path, 5, population)
    training = training_of(path)
    found = drawn(path)
    assert len(training.epoch) == 5
    assert not training.ended
    assert "predictions" not in found
    assert "error" in found
    with Record(tmp_path / "run.h5") as record:
        rows = record.results(LABEL)["pulses"]
    # The rows say how many pulses the array had before the epoch: an independent count.
    np.testing.assert_array_equal(training.pulses.sum(axis=(-2, -1)), rows[4])


def test_a_record_without_rows_gives_no_figures(tmp_path: Path) -> None:
    assert drawn(killed(tmp_path, 0)) == {}


def test_cells_of_a_few_arrays_are_named_with_their_array(tmp_path: Path) -> None:
    with Record(trained(tmp_path, population=2)) as record:
        (table,) = [one for one in figures(record, "train_manhattan") if one.name == "table"]
    names = [text.get_text() for text in table.figure.axes[1].get_yticklabels()]
    assert (len(names), len(set(names))) == (32, 32)
    assert (names[0], names[16], names[31]) == (
        *("array 0: (0, 0)", "array 1: (0, 0)", "array 1: (3, 3)"),
    )


def test_a_population_of_one_is_drawn_as_the_array_that_it_is(one: Path, tmp_path: Path) -> None:
    path = trained(tmp_path, population=1)
    assert drawn(path).keys() == drawn(one).keys()
    np.testing.assert_array_equal(training_of(path).pulses, training_of(one).pulses)


def test_histogram_of_convergence_counts_every_array_that_converged(many: Path) -> None:
    histogram, share = drawn(many)["convergence"].figure.axes
    with Record(many) as record:
        summary = record.results(LABEL, "summary")
    converged, epoch = summary["converged"][0], summary["epoch"][0]
    heights = {round(p.get_x() + p.get_width() / 2): p.get_height() for p in histogram.patches}
    assert 0 < converged.sum() < converged.size
    assert {e: h for e, h in heights.items() if h} == {
        int(e): np.sum(epoch[converged] == e) for e in np.unique(epoch[converged])
    }
    (line,) = share.get_lines()
    assert line.get_ydata()[-1] == pytest.approx(100 * converged.mean())


def test_bars_of_answers_fill_the_whole_width(many: Path) -> None:
    first, *_ = drawn(many)["predictions"].figure.axes
    widths = np.array([patch.get_width() for patch in first.patches]).reshape(3, 10)
    np.testing.assert_allclose(widths.sum(axis=0), 100)
    with Record(many) as record:
        prediction = record.results(LABEL, "predictions")["prediction"][..., 0]
        converged = record.results(LABEL, "summary")["converged"][0]
    np.testing.assert_allclose(widths[0], 100 * (prediction[:, converged] == 0).mean(axis=1))


def test_no_steeper_slope_is_needed_exactly_where_arrays_converged(many: Path) -> None:
    training = training_of(many)
    factor = diagnose(training).slope_factor
    np.testing.assert_array_equal(factor <= 1, training.converged[-1])


def test_with_the_slope_it_asks_for_the_best_epoch_is_past_every_target(many: Path) -> None:
    training = training_of(many)
    diagnosis = diagnose(training)
    reachable = np.flatnonzero(np.isfinite(diagnosis.slope_factor))
    assert reachable.size
    for array in reachable:
        steeper = 1.000001 * diagnosis.slope_factor[array] * training.beta_per_a
        activation = np.tanh(steeper * training.current_a[:, array])
        past = np.where(training.outputs == 1, activation >= 0.8, activation <= -0.8)
        assert past.all(axis=(-2, -1)).any()
        gentler = np.tanh(0.99 * steeper * training.current_a[:, array])
        past = np.where(training.outputs == 1, gentler >= 0.8, gentler <= -0.8)
        assert not past.all(axis=(-2, -1)).any()


def test_the_passage_on_settings_says_what_the_table_can_move(many: Path) -> None:
    caption = drawn(many)["settings"].caption
    assert "the whole table moves a cell by 2.09 µS" in caption  # 10 · (664.4 − 455.5) nS
    assert "β = 6." in caption


def test_figures_of_failure_are_left_out_where_all_arrays_converged(tmp_path: Path) -> None:
    path = trained(tmp_path, population=5, patterns=["0001"], outputs=["01"])
    with Record(path) as record:
        assert record.results(LABEL, "summary")["converged"].all()
    names = drawn(path).keys()
    assert "convergence" in names
    assert not {"separation", "settings"} & names


def test_the_step_is_loaded_without_matplotlib() -> None:
    code = (
        "import sys, hwloop.steps.manhattan.train_manhattan, hwloop.figures.manhattan.figures, hwloop.report.write;"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def classifying(folder: Path, *, population: int | None = None, updates: int = 50) -> Path:
    return trained(
        folder, population=population, stop="classified", max_updates=updates, beta_per_a=6e7,
        held_out_patterns=["0000"],
    )  # fmt: skip


def test_patterns_that_are_wrong_are_counted_where_classes_stop_the_training(
    tmp_path: Path,
) -> None:
    path = classifying(tmp_path)
    above, below = error_figure(training_of(path)).figure.axes
    with Record(path) as record:
        rows = record.results(LABEL)
        outputs = np.array(record.resolved["steps"][0]["settings"]["outputs"])
    wanted = np.where(outputs == 1, rows["current_a"], -np.inf).max(axis=-1)
    other = np.where(outputs == 0, rows["current_a"], -np.inf).max(axis=-1)
    (line, _) = below.get_lines()
    np.testing.assert_array_equal(line.get_ydata(), (wanted <= other).sum(axis=-1))
    assert line.get_ydata()[-1] == 0 < line.get_ydata()[0]
    assert above.get_title("right") == f"converged at epoch {len(rows['epoch'])}"


def test_no_slope_is_advised_where_classes_stop_the_training(tmp_path: Path) -> None:
    path = classifying(tmp_path, population=30, updates=2)
    with Record(path) as record:
        assert not record.results(LABEL, "summary")["converged"].all()
    assert settings_figure(training_of(path)) is None


def test_maps_before_and_after_share_their_colours(one: Path) -> None:
    before, before_w, after, after_w = final_figure(training_of(one)).figure.axes
    with Record(one) as record:
        first_conductance_s = record.results(LABEL)["conductance_s"][0]
        last_conductance_s = record.array("final_conductance_s")
    assert last_conductance_s is not None
    np.testing.assert_allclose(before.images[0].get_array(), 1e6 * first_conductance_s, rtol=1e-12)
    np.testing.assert_allclose(after.images[0].get_array(), 1e6 * last_conductance_s, rtol=1e-12)
    np.testing.assert_allclose(
        after_w.images[0].get_array(),
        1e6 * (last_conductance_s[:, 0::2] - last_conductance_s[:, 1::2]),
        rtol=1e-12,
    )
    assert before.images[0].get_clim() == after.images[0].get_clim()
    assert before_w.images[0].get_clim() == after_w.images[0].get_clim()
