"""The compiled product of pieces: in one pass with its conversion, and by groups of vectors."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Flag
from hwloop.types import FloatArray
from hwloop_sim.compiled import block_products as compiled
from hwloop_sim.compiled.block_kernels import LANES

WIDTHS = np.array([5, 8])
HEIGHTS = (7, 4)


def pieces(rng: np.random.Generator, *, noisy: bool) -> compiled.Pieces:
    cells = int(WIDTHS @ HEIGHTS)
    return compiled.Pieces(
        rows=rng.permutation(12)[: sum(HEIGHTS)],
        begin=np.cumsum([0, *HEIGHTS]),
        widths=WIDTHS,
        matrix=rng.uniform(1e-6, 1e-4, cells),
        variance=rng.uniform(1e-16, 1e-14, cells) if noisy else np.empty(0),
    )


def vectors(values: FloatArray) -> compiled.Gathered:
    """Return vectors as they are, with a constant as their last entry."""
    entries = np.append(np.arange(values.shape[1]), -1)
    return compiled.Gathered(values, entries, (1, 1), 0, 0, constant=0.05)


def sparse(rng: np.random.Generator, count: int) -> FloatArray:
    """Return vectors of 11 entries, some of them 0 in every vector, others in most."""
    return rng.uniform(-0.1, 0.1, (count, 11)) * (rng.random((count, 11)) < rng.random(11))


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 3 * LANES),
    first=st.integers(0, 2 * LANES),
    noisy=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_products_in_parts_and_converted_in_the_same_pass_have_the_same_bits(
    count: int, first: int, noisy: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    own, x = pieces(rng, noisy=noisy), sparse(rng, count)
    noise = compiled.DrawnNoise(1e-14 if noisy else 0.0, key=3, draw=1, first=first)
    whole_a = compiled.multiply(vectors(x), own, vectors=count, noise=noise)
    one_a = [
        compiled.multiply(
            vectors(x[at : at + 1]),
            own,
            vectors=1,
            noise=compiled.DrawnNoise(noise.fixed_variance_a2, 3, 1, first + at),
        )
        for at in range(count)
    ]
    assert np.concatenate(one_a).tobytes() == whole_a.tobytes()

    columns = int(WIDTHS.sum())
    reach_a = float(np.abs(whole_a).max()) * rng.uniform(0.5, 1.2)
    conversion = compiled.Conversion(
        gain=rng.uniform(0.9, 1.1, columns),
        offset=rng.normal(size=columns) * 1e-7,
        low=np.full(columns, -reach_a),
        high=np.full(columns, reach_a),
        top=np.full(columns, 254.0),
        bound_a=float(np.quantile(np.abs(whole_a), 0.9)),
        at_bound=Flag.COMPLIANCE,
        beyond=Flag.OVER_RANGE,
    )
    codes, other = np.empty((2, count, columns), np.uint8)
    level_a, flags = compiled.multiply_and_convert(vectors(x), own, conversion, codes, noise=noise)
    assert flags.tobytes() == compiled.convert(whole_a, conversion, other).tobytes()
    assert codes.tobytes() == other.tobytes()
    assert level_a.tobytes() == whole_a.tobytes()


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 3 * LANES), share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_currents_metered_in_the_same_pass_are_nan_and_flagged_where_beyond_the_bound(
    count: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    own, x = pieces(rng, noisy=False), sparse(rng, count)
    wanted_a = compiled.multiply(vectors(x), own, vectors=count)
    bound_a = float(np.quantile(np.abs(wanted_a), share))
    found_a, flags = compiled.multiply_and_meter(
        vectors(x), own, vectors=count, bound_a=bound_a, at_bound=Flag.COMPLIANCE
    )
    beyond = np.abs(wanted_a) > bound_a
    np.testing.assert_array_equal(flags, beyond * Flag.COMPLIANCE)
    np.testing.assert_array_equal(found_a, np.where(beyond, np.nan, wanted_a))


def test_neighbouring_pieces_of_the_same_entries_equal_each_alone() -> None:
    rng = np.random.default_rng(8)
    x, rows = sparse(rng, 50), rng.permutation(12)[:9]
    cells = rng.uniform(1e-6, 1e-4, (2, 9 * 4))
    both = compiled.Pieces(
        np.tile(rows, 2), np.array([0, 9, 18]), np.array([4, 4]), cells.ravel(), np.empty(0)
    )
    found_a = compiled.multiply(vectors(x), both, vectors=50)
    whole = np.concatenate([x, np.full((50, 1), 0.05)], axis=1)[:, rows]
    wanted_a = np.concatenate([whole @ one.reshape(9, 4) for one in cells], axis=1)
    np.testing.assert_allclose(found_a, wanted_a, rtol=1e-12)


def test_pieces_equal_their_part_of_the_vectors_times_their_cells() -> None:
    rng = np.random.default_rng(4)
    own, x = pieces(rng, noisy=False), sparse(rng, 70)
    found = compiled.multiply(vectors(x), own, vectors=70)
    whole = np.concatenate([x, np.full((70, 1), 0.05)], axis=1)
    upper = own.matrix[: 7 * 5].reshape(7, 5)
    lower = own.matrix[7 * 5 :].reshape(4, 8)
    expected = np.concatenate(
        [whole[:, own.rows[:7]] @ upper, whole[:, own.rows[7:]] @ lower], axis=1
    )
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-18)


def test_normal_numbers_of_neighbouring_groups_and_pieces_are_all_different() -> None:
    rng = np.random.default_rng(5)
    own = pieces(rng, noisy=False)
    still = np.zeros((3 * LANES, 11))
    found = compiled.multiply(
        compiled.Gathered(still, np.append(np.arange(11), -1), (1, 1), 0, 0, constant=0.0),
        own,
        vectors=len(still),
        noise=compiled.DrawnNoise(1.0, key=9),
    )
    assert len(np.unique(found)) > 0.999 * found.size  # single precision: a few may meet
    assert abs(found.mean()) < 5 / np.sqrt(found.size)
    np.testing.assert_allclose(found.std(), 1.0, rtol=5 / np.sqrt(2 * found.size))
