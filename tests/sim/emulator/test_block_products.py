"""The compiled product of blocks, against whole tiles multiplied vector by vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.blocks import BlockBatch, CellBlock, MovingWindow
from hwloop.array.operations import Flag, Reading
from hwloop.array.settings import ArraySettings
from hwloop.backend.by_vectors import by_vectors
from hwloop.backend.kind import OpenRequest
from hwloop_sim.emulator.backend import EmulatedArray, SimSettings, open_sim
from tests.characterised import LIMITS

DEVICE = {"model": "soft_bounds", "min_conductance_s": 1e-9, "max_conductance_s": 1e-3}
BLOCKS = (
    CellBlock(0, 0, 0, 4, tuple(range(12))),
    CellBlock(1, 1, 2, 4, (18, 12, 13, 14, 15, 16, 17)),
    CellBlock(0, 12, 0, 4, (0, 18)),
)
ADC = {"adc": {"bits": 8, "range": {"kind": "calibrated", "margin": 0.1}}}
NOISE = {"effects": [{"effect": "white_noise", "fraction": 0.05, "amplifier_a": 1e-7}]}


def emulated(sim: dict[str, Any], *, population: int | None = None, **limits: Any) -> EmulatedArray:
    array = ArraySettings.parse(
        {
            "rows": 16,
            "cols": 8,
            "tiles": 2,
            "limits": LIMITS | limits,
            "read": {"read_v": 0.1},
        }
    )
    request = OpenRequest(array, population, np.random.default_rng(5))
    backend = open_sim(SimSettings.parse({"device": DEVICE, **sim}), request)
    shape = backend.description.shape
    backend._cells.set_conductance(np.random.default_rng(6).uniform(1e-6, 1e-4, shape))
    return backend


def images_batch(images: int, *, begin: int = 0, **more: Any) -> BlockBatch:
    images_v = np.random.default_rng(7).uniform(-0.1, 0.1, (40, 2, 5, 6))
    images_v[:, 0][images_v[:, 0] < 0] = 0.0  # as after a ReLU
    own_v = images_v[begin : begin + images]
    return BlockBatch(own_v, BLOCKS, 2, MovingWindow(3, 3, 1, 1), constant_v=0.1, **more)


def expected(backend: EmulatedArray, batch: BlockBatch) -> Reading:
    return by_vectors(batch, backend.description.shape, backend.multiply)


def joined(readings: list[Reading]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.concatenate([one.current_a for one in readings], axis=-2),
        np.concatenate([one.flags for one in readings], axis=-2),
    )


@pytest.mark.parametrize("population", [None, 2])
@pytest.mark.parametrize(
    "sim",
    [
        {},
        {"wires": {"row_ohm": 20.0, "col_ohm": 10.0}},
        {"converters": {"dac": {"bits": 6, "low_v": -0.1, "high_v": 0.1}}},
        {"converters": {"tiles": {"rows": 5, "cols": 3}}},
    ],
)
def test_one_pass_equals_whole_tiles_vector_by_vector(
    sim: dict[str, Any], population: int | None
) -> None:
    backend = emulated(sim, population=population)
    batch = images_batch(3)
    found, wanted = backend.multiply_blocks(batch), expected(backend, batch)
    np.testing.assert_allclose(found.current_a, wanted.current_a, rtol=1e-12, atol=1e-18)
    assert found.current_a.shape == (*(() if population is None else (2,)), 90, 12)
    assert not found.flags.any()


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 3),
    width=st.integers(1, 3),
    padding=st.integers(0, 2),
    stride=st.integers(1, 3),
    channels=st.integers(1, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_windows_of_any_kind_equal_their_patches_times_the_conductances(
    height: int, width: int, padding: int, stride: int, channels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    backend = emulated({})
    images_v = rng.uniform(-0.1, 0.1, (2, channels, 4, 5)) * rng.integers(0, 2, (2, 1, 4, 5))
    entries = channels * height * width
    order = tuple(int(i) for i in rng.permutation(entries)[:16])
    batch = BlockBatch(
        images_v,
        (CellBlock(1, 0, 3, 5, order),),
        2,
        MovingWindow(height, width, padding, stride),
    )
    ((_, vectors_v),) = batch.pieces(2)
    cells = backend._cells.conductance_s[1, : len(order), 3:8]
    found = backend.multiply_blocks(batch).current_a
    np.testing.assert_allclose(found, vectors_v[:, list(order)] @ cells, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("sim", [{}, {"converters": ADC}, {"converters": ADC, **NOISE}, NOISE])
def test_how_many_vectors_come_at_a_time_changes_no_bit(sim: dict[str, Any]) -> None:
    whole, parted = emulated(sim), emulated(sim)
    first = {"calibrate": True}
    one = joined(
        [
            whole.multiply_blocks(images_batch(10, **first)),
            whole.multiply_blocks(images_batch(30, begin=10)),
        ]
    )
    parts = [parted.multiply_blocks(images_batch(10, **first))]
    for begin in range(10, 40, 7):
        parts.append(parted.multiply_blocks(images_batch(min(7, 40 - begin), begin=begin)))
    other = joined(parts)
    assert one[0].tobytes() == other[0].tobytes()
    assert one[1].tobytes() == other[1].tobytes()
    if sim:
        assert (
            one[0].tobytes()
            != joined([emulated({}).multiply_blocks(images_batch(40))])[0].tobytes()
        )


def test_the_noise_of_a_product_has_the_variance_of_its_cells_and_the_amplifier() -> None:
    backend = emulated(NOISE)
    row_v = np.zeros((20_000, 19))
    row_v[:, [0, 1]] = 0.1, -0.05
    batch = BlockBatch(row_v, (CellBlock(0, 0, 0, 4, tuple(range(16))),), 2)
    found = backend.multiply_blocks(batch).current_a
    cells = backend._cells.conductance_s[0, :2, :4]
    expected_a = row_v[0, :2] @ cells
    sigma_a = np.sqrt(np.square(row_v[0, :2]) @ np.square(0.05 * cells) + 1e-14)
    # Standard errors: sigma/√n of a mean, sigma/√(2n) of a standard deviation.
    assert np.all(np.abs(found.mean(axis=0) - expected_a) < 5 * sigma_a / np.sqrt(20_000))
    np.testing.assert_allclose(found.std(axis=0), sigma_a, rtol=5 / np.sqrt(40_000))
    normal = (found - expected_a) / sigma_a
    assert abs(np.corrcoef(normal.T) - np.eye(4)).max() < 5 / np.sqrt(20_000)


def test_the_currents_follow_from_the_codes_to_the_last_bit() -> None:
    backend = emulated({"converters": ADC | {"tiles": {"rows": 5, "cols": 3}}})
    reading = backend.multiply_blocks(images_batch(4, calibrate=True))
    assert reading.codes is not None
    assert reading.codes.values.dtype == np.uint8
    assert reading.codes.values.shape[-1] > reading.current_a.shape[-1]
    assert reading.codes.currents().tobytes() == reading.current_a.tobytes()


def test_each_block_has_the_range_of_its_own_currents() -> None:
    backend = emulated({"converters": ADC})
    codes = backend.multiply_blocks(images_batch(10, calibrate=True)).codes
    wanted = expected(emulated({}), images_batch(10)).current_a
    assert codes is not None
    for block in range(3):
        own = slice(4 * block, 4 * block + 4)
        reach_a = np.abs(wanted[:, own]).max() * 1.1
        np.testing.assert_allclose(codes.high_a[own], reach_a, rtol=1e-12)


def test_a_conversion_over_range_has_no_current_and_the_code_of_its_end() -> None:
    backend = emulated({"converters": ADC})
    small = images_batch(2)
    backend.multiply_blocks(
        BlockBatch(small.voltage_v / 10, BLOCKS, 2, small.windows, 0.01, calibrate=True)
    )
    reading = backend.multiply_blocks(small)
    over = reading.flags == Flag.OVER_RANGE
    assert over.any()
    assert np.isnan(reading.current_a[over]).all()
    assert reading.codes is not None
    ends = (reading.codes.values == 0) | (reading.codes.values == reading.codes.top)
    assert ends[over].all()
    assert np.isfinite(reading.current_a[~over]).all()


@pytest.mark.parametrize("bound_a", [3e-5, 5e-5])
def test_currents_beyond_the_compliance_are_flagged_as_whole_tiles_flag_them(
    bound_a: float,
) -> None:
    # A row of 8 cells takes 40 uA, a column of 12 cells 60 uA.
    backend = emulated({}, current_a=bound_a)
    backend._cells.set_conductance(np.full((2, 16, 8), 5e-5))
    batch = BlockBatch(np.full((3, 19), 0.1), BLOCKS, 2)
    found, wanted = backend.multiply_blocks(batch), expected(backend, batch)
    assert (found.flags == Flag.COMPLIANCE).any()
    np.testing.assert_array_equal(found.flags, wanted.flags)
    np.testing.assert_array_equal(np.isnan(found.current_a), found.flags != 0)


@pytest.mark.parametrize(
    "sim",
    [
        {"cell_law": {"law": "sinh", "nonlinearity_per_v": 2.0}},
        {
            "effects": [
                {
                    "effect": "random_telegraph",
                    "amplitude": 0.1,
                    "capture_s": 1.0,
                    "emission_s": 1.0,
                }
            ]
        },
        {"converters": {"dac": {"bits": 6, "low_v": -0.1, "high_v": 0.1, "noise_v": 1e-4}}},
    ],
)
def test_other_cells_and_drivers_are_multiplied_vector_by_vector(sim: dict[str, Any]) -> None:
    backend = emulated(sim)
    batch = images_batch(1)
    assert not backend._blocks.can(backend._cells, batch, bound_a=1.0)
    found = backend.multiply_blocks(batch)
    assert np.isfinite(found.current_a).all()
    assert backend.now_s() == pytest.approx(backend.duration_s(batch))
