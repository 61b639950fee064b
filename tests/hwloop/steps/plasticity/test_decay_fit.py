"""Fits of decays: the numbers that were put in, the errors of SciPy, and what is not determined."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from hwloop.steps.plasticity.decay_fit import (
    double_exponential,
    exponential,
    fit_decays,
    stretched_exponential,
)

TIMES_S = np.geomspace(1e-3, 1.0, 25)


def test_each_law_returns_what_made_the_data() -> None:
    single = 2.0 + 3.0 * np.exp(-TIMES_S / 0.05)
    double = 1.0 + 2.0 * np.exp(-TIMES_S / 0.01) + 1.0 * np.exp(-TIMES_S / 0.2)
    stretched = 1e-6 + 4e-6 * np.exp(-((TIMES_S / 0.03) ** 0.6))
    one = fit_decays(exponential(TIMES_S), TIMES_S, single[:, None])
    assert one.settings[0, 0] == pytest.approx(0.05, rel=1e-6)
    assert one.factors[:, 0] == pytest.approx([2.0, 3.0], rel=1e-6)
    two = fit_decays(double_exponential(TIMES_S), TIMES_S, double[:, None])
    assert sorted(two.settings[:, 0]) == pytest.approx([0.01, 0.2], rel=1e-4)
    slow = fit_decays(stretched_exponential(TIMES_S), TIMES_S, stretched[:, None])
    assert slow.settings[:, 0] == pytest.approx([0.03, 0.6], rel=1e-5)
    assert slow.factors[:, 0] == pytest.approx([1e-6, 4e-6], rel=1e-5)


def test_the_standard_errors_are_those_of_scipy() -> None:
    rng = np.random.default_rng(3)
    values = 2.0 + 3.0 * np.exp(-TIMES_S / 0.05) + 0.02 * rng.normal(size=TIMES_S.size)
    found = fit_decays(exponential(TIMES_S), TIMES_S, values[:, None])
    best, covariance = curve_fit(
        lambda t, c, a, tau: c + a * np.exp(-t / tau), TIMES_S, values, p0=(2.0, 3.0, 0.05)
    )
    mine = [*found.factors[:, 0], found.settings[0, 0]]
    errors = [*found.factor_errors[:, 0], found.setting_errors[0, 0]]
    assert mine == pytest.approx(best, rel=1e-4)
    assert errors == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-3)


def test_a_time_that_the_data_do_not_determine_is_not_a_number() -> None:
    rng = np.random.default_rng(4)
    flat = 1.0 + 1e-3 * rng.normal(size=(TIMES_S.size, 20))
    found = fit_decays(exponential(TIMES_S), TIMES_S, flat)
    assert np.isnan(found.settings[0]).mean() > 0.8
    few = fit_decays(exponential(TIMES_S[:3]), TIMES_S[:3], flat[:3])
    assert np.isnan(few.settings).all()
    assert np.isnan(few.factors).all()


def test_a_cell_with_a_gap_is_left_out_and_the_others_are_fitted() -> None:
    values = np.stack([1 + np.exp(-TIMES_S / 0.05)] * 2, axis=1)
    values[4, 0] = np.nan
    found = fit_decays(exponential(TIMES_S), TIMES_S, values)
    assert np.isnan(found.settings[0, 0])
    assert found.settings[0, 1] == pytest.approx(0.05, rel=1e-6)
