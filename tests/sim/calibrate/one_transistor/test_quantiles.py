"""Quantiles of values with gaps, beside NumPy's own."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import median_abs_deviation

from hwloop_sim.calibrate.one_transistor.quantiles import median, quantiles, spread

GAPPED = arrays(
    np.float64,
    array_shapes(min_dims=1, max_dims=3),
    elements=st.one_of(st.floats(-1e3, 1e3), st.just(np.nan)),
)


@given(GAPPED, st.floats(0, 1))
def test_quantiles_are_those_of_numpy_with_or_without_gaps(values: np.ndarray, part: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row of gaps alone is NaN in both
        wanted = np.nanquantile(values, [part, 0.5], axis=-1)
    np.testing.assert_allclose(quantiles(values, part, 0.5), wanted, rtol=1e-9, atol=1e-9)


def test_the_spread_is_the_deviation_of_normal_values_and_not_of_outliers() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(3.0, 0.5, (2, 20001))
    values[0, :1000] = 1e6
    found = spread(values)
    np.testing.assert_allclose(
        found, median_abs_deviation(values, axis=1, scale="normal"), rtol=1e-5
    )
    np.testing.assert_allclose(found, 0.5, rtol=0.1)
    np.testing.assert_allclose(median(values), 3.0, atol=0.05)
