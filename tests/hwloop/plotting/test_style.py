"""What all figures share."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from hwloop.errors import RecordError
from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure


@pytest.mark.parametrize(
    ("values", "unit", "label"),
    [
        ([3.2e-7, 1e-8], "S", "G (nS)"),
        ([1e-9], "S", "G (nS)"),
        ([-0.1, 0.05], "V", "G (mV)"),
        ([1.0], "s", "G (s)"),
        ([0.0], "A", "G (A)"),
        ([], "A", "G (A)"),
        ([float("nan"), 2e-3], "A", "G (mA)"),
        ([6e6], "Ω", "G (MΩ)"),
    ],
)
def test_an_axis_takes_the_prefix_of_its_largest_value(
    values: list[float], unit: str, label: str
) -> None:
    assert plot.AxisScale.of(values, unit).label("G") == label


@given(st.floats(min_value=1e-25, max_value=1e25))
def test_a_scaled_number_has_one_to_three_digits_before_its_point(value: float) -> None:
    scaled = value * plot.AxisScale.of([value], "S").factor
    assert 0.999999 <= scaled < 1000.001


@given(st.integers(min_value=1, max_value=10**6), st.integers(min_value=1, max_value=40))
def test_ticks_are_thinned_to_the_number_that_fits(count: int, at_most: int) -> None:
    ticks = plot.thinned(count, at_most=at_most)
    assert ticks[0] == 0
    assert len(ticks) <= at_most
    assert len(ticks) == count or len(np.unique(np.diff(ticks))) <= 1


def test_a_signed_map_is_as_wide_on_both_sides_of_zero() -> None:
    assert plot.symmetric_span(np.array([-3.0, 1.0, np.nan])) == (-3.0, 3.0)
    assert plot.finite_span(np.array([np.nan])) == (0.0, 0.0)


def test_style_leaves_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    with plot.style():
        assert mpl.rcParams["axes.grid"] is True
    assert dict(mpl.rcParams) == before


def test_style_does_not_depend_on_the_users_settings() -> None:
    with mpl.rc_context({"lines.linewidth": 9.0, "image.origin": "lower"}), plot.style():
        assert mpl.rcParams["lines.linewidth"] != 9.0
        assert mpl.rcParams["image.origin"] == "upper"


def test_numbers_in_a_map_are_light_on_dark_and_dark_on_light() -> None:
    with plot.style():
        axes = plot.new_figure(2, 2).subplots()
        image = plot.map_of(axes, np.array([[0.0, 1.0]]), span=(0.0, 1.0))
        plot.write_numbers(axes, image, np.array([["low", "high"]]))
    ink = {text.get_text(): text.get_color() for text in axes.texts}
    assert ink == {"low": "#ffffff", "high": "#111111"}


def figure(name: str) -> NamedFigure:
    with plot.style():
        drawn = plot.new_figure(2, 1)
        drawn.subplots().plot([0, 1])
    return NamedFigure(name, f"Title {name}", "Caption.", drawn)


def test_figures_are_saved_in_order_as_png(tmp_path: Path) -> None:
    saved = plot.save_figures(
        [figure("b"), figure("a")], tmp_path / "new", prefix="x-", origin="emulated"
    )
    assert [item.path.name for item in saved] == ["x-b.png", "x-a.png"]
    # 2 in × 1 in at 150 dots an inch, and a footer of 0.18 in.
    assert imread(saved[0].path).shape[:2] == (177, 300)
    assert saved[0].title == "Title b"


def test_the_footer_says_where_the_numbers_come_from_and_leaves_the_figure_as_it_is(
    tmp_path: Path,
) -> None:
    saved = [
        imread(plot.save_figures([figure("a")], tmp_path / name, origin=origin)[0].path)
        for name, origin in (("none", ""), ("one", "emulated"), ("two", "measured"))
    ]
    footers = [image[150:].mean(axis=-1).min() for image in saved]
    assert footers[0] == 1.0
    assert max(footers[1:]) < 0.7
    assert (saved[1][150:] != saved[2][150:]).any()
    assert (saved[1][:150] == saved[0][:150]).all()


def test_a_saved_figure_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(RecordError, match=r"a\.png: exists already; choose another folder"):
        plot.save_figures([figure("a")], tmp_path, origin="emulated")
    assert (tmp_path / "a.png").read_bytes() == b"mine"


def test_a_file_is_no_folder_for_figures(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(RecordError, match="is a file; pass a folder for the figures"):
        plot.save_figures([figure("a")], tmp_path / "a", origin="emulated")


def test_no_folder_is_made_without_a_figure(tmp_path: Path) -> None:
    assert plot.save_figures([], tmp_path / "none", origin="emulated") == []
    assert not (tmp_path / "none").exists()
