"""The read map against conductances that are given."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.operations import Flag
from hwloop.errors import ConfigError
from hwloop.steps.characterise.read_map import READ_MAP
from tests.characterised import emulated, equal, results

GIVEN_CONDUCTANCE_S = np.array([[4e-9, 10e-9, 20e-9], [5e-9, 30e-9, 38e-9]])
DEVICE = {
    "model": "soft_bounds",
    "initial": {"distribution": "given", "values_conductance_s": GIVEN_CONDUCTANCE_S.tolist()},
}


def test_the_map_is_the_given_one_and_its_figures_those_of_its_cells() -> None:
    found = results(READ_MAP, {"repeats": 2}, emulated(DEVICE, shape=(2, 3)))
    figures = found["figures"][0]
    equal(found[""][0].conductance_s, GIVEN_CONDUCTANCE_S)
    equal(figures.mean_conductance_s, GIVEN_CONDUCTANCE_S)
    assert figures.median_conductance_s == pytest.approx(15e-9)
    assert figures.ln_sigma == pytest.approx(np.std(np.log(GIVEN_CONDUCTANCE_S), ddof=1))
    assert np.all(figures.read_sigma_conductance_s == 0)
    assert found["outcome"][0].reached


def test_the_scatter_of_reads_is_the_noise_that_was_put_in() -> None:
    noise = {"effects": [{"effect": "white_noise", "fraction": 0.02}]}
    array = emulated(DEVICE, shape=(2, 3), population=50, sim=noise)
    figures = results(READ_MAP, {"repeats": 40}, array)["figures"][0]
    assert figures.mean_conductance_s.shape == (50, 2, 3)
    relative = figures.read_sigma_conductance_s / figures.mean_conductance_s
    # 300 cells of 40 reads, both polarities averaged: 0.02 / sqrt(2), known to 0.7 %.
    assert np.sqrt((relative**2).mean()) == pytest.approx(0.02 / np.sqrt(2), rel=0.03)


def test_cells_at_compliance_are_named_and_no_numbers() -> None:
    # 7.3 nA flow into the cells of row 1 while one of them is read, 3.4 nA into those of row 0.
    array = emulated(DEVICE, shape=(2, 3), current_a=3.5e-9)
    found = results(READ_MAP, {}, array)
    row, figures, outcome = found[""][0], found["figures"][0], found["outcome"][0]
    assert np.isnan(row.conductance_s[1]).all()
    assert (row.flags[1] == Flag.COMPLIANCE).all()
    assert np.isnan(figures.mean_conductance_s[1]).all()
    equal(row.conductance_s[0], GIVEN_CONDUCTANCE_S[0])
    assert figures.median_conductance_s == pytest.approx(10e-9)
    assert not outcome.reached
    assert "3 of 6 cells" in outcome.message
    assert "cell (1, 2)" in outcome.message


def test_only_the_chosen_cells_are_read() -> None:
    found = results(READ_MAP, {"cells": [[0, 1], [1, 2]]}, emulated(DEVICE, shape=(2, 3)))
    assert np.isfinite(found[""][0].conductance_s).sum() == 2
    assert found["outcome"][0].reached


def test_a_cell_outside_of_the_array_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cells: cell \(2, 0\) is not in the array of 2 × 3"):
        results(READ_MAP, {"cells": [[2, 0]]}, emulated(DEVICE, shape=(2, 3)))
