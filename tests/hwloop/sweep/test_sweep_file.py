"""Sweeps that a file describes, and the figure that it chooses."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hwloop.errors import ConfigError
from hwloop.sweep.chosen_figure import draw_chosen
from hwloop.sweep.command import sweep
from hwloop.sweep.grid import points
from hwloop.sweep.manifest import read_manifest
from hwloop.sweep.point import Ended
from hwloop.sweep.sweep_file import ChosenFigure, read_sweep_file
from hwloop.sweep.table import Result

PROCEDURE = """
name: small
about: Reads of a small array.
seed: 1
array:
  rows: 2
  cols: 2
  limits: {positive_v: 1, negative_v: -1, read_v: 0.2, half_select_v: 0.5, current_a: 1,
    pulse_width_s: 1, pulse_energy_j: 1, pulses_per_device: 5}
  read: {read_v: 0.1}
backends: {sim: {device: {model: vteam}}}
steps: [{step: read_map, settings: {repeats: 2}}]
"""
SWEEP = """
name: sizes
about: Two sizes of array.
procedure: small.yaml
set: [steps.0.settings.repeats=1]
over: ["array.rows+array.cols=2+3,4+5", "array.read.read_v=0.1,0.2"]
figure: {kind: map, x: array.rows+array.cols, lines: array.read.read_v, y: read_map.repeat,
  labels: {2+3: small}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(PROCEDURE, encoding="utf-8")
    path = tmp_path / "sizes.yaml"
    path.write_text(SWEEP, encoding="utf-8")
    return path


def test_a_sweep_file_runs_every_point_and_saves_its_figure(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = typer.Typer()
    command.command()(sweep)
    result = CliRunner().invoke(command, [str(file), "--workers", "1", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert len(list(out.glob("small-*.h5"))) == 4
    assert (out / "sizes.png").is_file()
    manifest = read_manifest(out)
    assert manifest.over == ("array.rows+array.cols=2+3,4+5", "array.read.read_v=0.1,0.2")
    assert manifest.overrides == ("steps.0.settings.repeats=1",)
    assert manifest.procedure.endswith("small.yaml")


def test_settings_joined_by_a_plus_change_together() -> None:
    found = points(["a.b+c=1+x,2+y", "d=3"])
    assert [point.overrides for point in found] == [
        ("a.b=1", 'c="x"', "d=3"),
        ("a.b=2", 'c="y"', "d=3"),
    ]


NAMED = """
name: cells
procedure: small.yaml
over:
  - key: backends.sim.effects+steps.0.settings.repeats
    values:
      fresh: [[], 1]
      drifting: [[{effect: drift, nu: 0.1}], 2]
figure: {kind: lines, x: backends.sim.effects+steps.0.settings.repeats, y: read_map.repeat}
"""


def test_named_values_go_to_the_settings_and_their_names_to_figure_table_and_page(
    file: Path, tmp_path: Path
) -> None:
    file.write_text(NAMED, encoding="utf-8")
    out = tmp_path / "out"
    command = typer.Typer()
    command.command()(sweep)
    words = [str(file), "--workers", "1", "-o", str(out), "--report"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    described = read_sweep_file(file)
    assert described is not None
    assert [point.overrides for point in points(described.axes)] == [
        ("backends.sim.effects=[]", "steps.0.settings.repeats=1"),
        (
            'backends.sim.effects=[{"effect": "drift", "nu": 0.1}]',
            "steps.0.settings.repeats=2",
        ),
    ]
    manifest = read_manifest(out)
    assert manifest.figure is not None
    assert list(manifest.figure.labels.values()) == ["fresh", "drifting"]
    page = (out / "sweep-report.html").read_text(encoding="utf-8")
    assert "<td>fresh</td>" in page
    assert "<td>drifting</td>" in page
    assert 'alt="cells' in page


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ("a+b=1+2,3", "3 has 1 parts for 2 settings"),
        ("a+b=1+2+3", "1\\+2\\+3 has 3 parts for 2 settings"),
        ("a+a=1+2", "is given twice"),
    ],
)
def test_parts_that_do_not_fit_the_settings_are_refused(over: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        points([over])


def test_a_result_that_no_point_has_ends_the_sweep_after_its_first_point(
    file: Path, tmp_path: Path
) -> None:
    text = SWEEP.replace("y: read_map.repeat", "y: read_map.repeats")
    file.write_text(text, encoding="utf-8")
    command, out = typer.Typer(), tmp_path / "out"
    command.command()(sweep)
    for _ in range(2):  # also where that point stands already
        result = CliRunner().invoke(command, [str(file), "--workers", "1", "-o", str(out)])
        assert isinstance(result.exception, ConfigError)
        words = "figure.y: read_map.repeats is no result of a point; there are read_map.repeat"
        assert str(result.exception).startswith(words)
        assert len(list(out.glob("small-*.h5"))) == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("small.yaml", "absent.yaml", "there is no procedure"),
        ("x: array.rows+array.cols", "x: seed", "figure.x: seed is not swept; there are"),
        ("figure:", "figures:", "unknown key"),
        ("over:", "overs:", "overs: unknown key; did you mean 'over'"),
        ("kind: map", "kind: pie", "figure.kind"),
        (", lines: array.read.read_v", "", "a map needs lines"),
    ],
)
def test_a_sweep_file_with_a_mistake_is_refused_with_its_place(
    file: Path, old: str, new: str, words: str
) -> None:
    file.write_text(SWEEP.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_sweep_file(file)


def test_a_procedure_is_no_sweep(file: Path) -> None:
    assert read_sweep_file(file.with_name("small.yaml")) is None


def test_lines_show_each_result_and_its_interval() -> None:
    results = [
        Result(point, Ended(point.index, "", "completed", "", 1.0), 1.0, figures, "")
        for point, figures in zip(
            points(["x=1,2", "kind=a,b"]),
            [
                {"infer.accuracy": 0.1 * n, "infer.accuracy_low": 0.1 * n - 0.05}
                | {"infer.accuracy_high": 0.1 * n + 0.02}
                for n in range(1, 5)
            ],
            strict=True,
        )
    ]
    chosen = ChosenFigure(kind="lines", x="x", lines="kind", labels={"a": "first"})
    figure = draw_chosen(chosen, results, name="one").figure
    (axes,) = figure.axes
    first, second = axes.containers
    assert first.lines[0].get_ydata().tolist() == pytest.approx([0.1, 0.3])
    assert second.lines[0].get_ydata().tolist() == pytest.approx([0.2, 0.4])
    ends = [segment[:, 1].tolist() for segment in first.lines[2][0].get_segments()]
    assert ends == [pytest.approx([0.05, 0.12]), pytest.approx([0.25, 0.32])]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["first", "b"]


def test_panels_of_a_map_share_their_colours_and_one_scale() -> None:
    results = [
        Result(point, Ended(point.index, "", "completed", "", 1.0), 1.0, {"y": float(value)}, "")
        for point, value in zip(points(["p=a,b", "x=1,2", "z=1,2"]), range(8), strict=True)
    ]
    chosen = ChosenFigure(kind="map", x="x", lines="z", panels="p", y="y")
    first, second, scale = draw_chosen(chosen, results, name="one").figure.axes
    assert first.images[0].get_array().tolist() == [[0.0, 2.0], [1.0, 3.0]]
    assert second.images[0].get_array().tolist() == [[4.0, 6.0], [5.0, 7.0]]
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0.0, 7.0)
    assert scale.get_ylabel() == "y"


def test_cases_stand_side_by_side_without_a_line_between_them() -> None:
    results = [
        Result(point, Ended(point.index, "", "completed", "", 1.0), 1.0, {"y": float(value)}, "")
        for point, value in zip(points(["x=a,b", "kind=1,2"]), range(4), strict=True)
    ]
    chosen = ChosenFigure(
        kind="lines", x="x", lines="kind", y="y", labels={"a": "a long name here"}
    )
    (axes,) = draw_chosen(chosen, results, name="one").figure.axes
    first, second = (container.lines[0] for container in axes.containers)
    assert (first.get_linestyle(), second.get_linestyle()) == ("None", "None")
    assert first.get_ydata().tolist() == [0.0, 2.0]
    assert (first.get_xdata() + second.get_xdata()).tolist() == pytest.approx([0.0, 2.0])
    assert all(first.get_xdata() < second.get_xdata())
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a long name\nhere", "b"]
