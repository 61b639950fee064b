"""Converters with MemTorch's range for each vector, against its quantisation written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwloop.array.blocks import BlockBatch, CellBlock
from hwloop.array.operations import Flag, Hold, VectorBatch
from hwloop_sim.emulator.converters import memtorch_levels_a
from tests.emulated import emulated


def quantised(values: list[float], bits: int) -> list[float]:
    """Quantise as ``linear_quantize`` and ``det_sf`` of MemTorch 1.1.6 do, overflow rate 0."""
    if len(set(values)) == 1:
        return values
    step = 2.0 ** (1 - bits + math.ceil(math.log2(max(map(abs, values)) + 1e-12)))
    bound = 2 ** (bits - 1)
    return [max(-bound, min(bound - 1, math.floor(one / step + 0.5))) * step for one in values]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_each_vector_is_quantised_in_a_power_of_two_of_its_own(bits: int) -> None:
    rng = np.random.default_rng(bits)
    current_a = rng.normal(size=(50, 6)) * np.exp(rng.normal(size=(50, 1)) * 3)
    expected = [quantised(list(row), bits) for row in current_a]
    np.testing.assert_allclose(memtorch_levels_a(current_a, bits), expected, rtol=1e-12)


def test_the_top_code_is_clipped_and_equal_currents_are_left() -> None:
    # The range of 0.99 is 1: 4 codes of 0.5, of which the highest is 0.5.
    np.testing.assert_array_equal(memtorch_levels_a(np.array([[0.99, 0.1]]), 2), [[0.5, 0.0]])
    np.testing.assert_array_equal(memtorch_levels_a(np.array([[0.3, 0.3]]), 2), [[0.3, 0.3]])


def test_blocks_and_vectors_are_converted_alike() -> None:
    converters = {"adc": {"bits": 4, "range": {"kind": "memtorch"}}, "tiles": {"rows": 3}}
    backend = emulated(6, 4, converters=converters, device={"model": "vteam"})
    conductance_s = np.random.default_rng(1).uniform(1e-3, 2e-2, (6, 4))
    backend.hold(Hold(conductance_s, np.ones((6, 4), dtype=np.bool_)))
    voltage_v = np.random.default_rng(2).uniform(0, 0.5, (20, 6))
    expected = sum(
        memtorch_levels_a(voltage_v[:, rows] @ conductance_s[rows], 4)
        for rows in (slice(0, 3), slice(3, 6))
    )
    vectors = backend.multiply(VectorBatch(voltage_v))
    np.testing.assert_allclose(vectors.current_a, expected)
    blocks = (CellBlock(0, 0, 0, 4, tuple(range(6))),)
    answer = backend.multiply_blocks(BlockBatch(voltage_v, blocks, 1))
    np.testing.assert_allclose(answer.current_a, expected)
    assert answer.codes is None
    assert backend.description.code_bits is None


def test_a_current_beyond_the_compliance_is_flagged_and_no_number() -> None:
    converters = {"adc": {"bits": 4, "range": {"kind": "memtorch"}}}
    backend = emulated(2, 3, converters=converters, current_a=1.2e-2, device={"model": "vteam"})
    held = np.array([[2e-3, 2e-3, 1.9e-2], [2e-3, 2.5e-3, 1.9e-2]])
    backend.hold(Hold(held, np.ones((2, 3), dtype=np.bool_)))
    answer = backend.multiply(VectorBatch(np.full((1, 2), 0.5)))
    assert np.isnan(answer.current_a).tolist() == [[False, False, True]]
    assert answer.flags.tolist() == [[0, 0, Flag.COMPLIANCE]]
