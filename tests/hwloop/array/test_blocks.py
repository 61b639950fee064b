"""Batches of vectors for blocks: their vectors, their layout, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.array.blocks import BlockBatch, CellBlock, MovingWindow
from hwloop.array.codes import Codes, packed, smallest_type, unpacked
from hwloop.array.limits import Limits, check_operation
from hwloop.backend.shapes import check_shape
from hwloop.errors import BackendError, LimitError
from tests.characterised import LIMITS

IMAGES_V = np.arange(2 * 2 * 3 * 4, dtype=float).reshape(2, 2, 3, 4) / 1000
BLOCKS = (
    CellBlock(0, 0, 0, 3, tuple(range(5))),
    CellBlock(1, 2, 1, 3, (7, 5, 6, 8)),
    CellBlock(0, 5, 4, 2, tuple(range(9))),
)


def test_the_vectors_of_windows_are_the_patches_written_out() -> None:
    batch = BlockBatch(
        IMAGES_V, BLOCKS, tiles=2, windows=MovingWindow(2, 2, padding=1, stride=2), constant_v=0.5
    )
    padded = np.pad(IMAGES_V, [(0, 0), (0, 0), (1, 1), (1, 1)])
    expected = [
        [*padded[image, :, top : top + 2, left : left + 2].ravel(), 0.5]
        for image in range(2)
        for top in (0, 2)
        for left in (0, 2, 4)
    ]
    found = [own_v for _, own_v in batch.pieces(1)]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert (batch.vectors, batch.entries, batch.columns) == (12, 9, 8)


def test_voltages_that_someone_can_write_to_are_copied_and_settled_ones_taken_as_they_are() -> None:
    settled_v = IMAGES_V.copy()
    settled_v.setflags(write=False)
    view_v = IMAGES_V[:]
    view_v.setflags(write=False)
    single = settled_v.astype(np.float32)
    single.setflags(write=False)
    taken = [
        BlockBatch(values, BLOCKS, tiles=2, windows=MovingWindow(2, 2), constant_v=0.02).voltage_v
        is values
        for values in (IMAGES_V, view_v, single, settled_v)
    ]
    assert taken == [False, False, False, True]
    batch = BlockBatch(-IMAGES_V, BLOCKS, tiles=2, windows=MovingWindow(2, 2), constant_v=0.02)
    assert batch.extremes_v == (-0.047, 0.02)
    assert not np.shares_memory(batch.voltage_v, IMAGES_V)


def test_blocks_of_one_tile_are_driven_one_after_the_other() -> None:
    batch = BlockBatch(IMAGES_V, BLOCKS, tiles=2, windows=MovingWindow(2, 2), constant_v=0.1)
    assert [[at for at, _ in driven] for driven in batch.rounds] == [[0, 3], [6]]


def test_a_layout_gives_the_same_batch_again() -> None:
    batch = BlockBatch(
        IMAGES_V, BLOCKS, tiles=2, windows=MovingWindow(2, 2, 1, 2), constant_v=0.5, calibrate=True
    )
    again = BlockBatch.with_layout(batch.layout(), batch.voltage_v)
    for name in ("blocks", "tiles", "windows", "constant_v", "calibrate", "digest"):
        assert getattr(again, name) == getattr(batch, name)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"voltage_v": np.where(IMAGES_V == 0.007, np.nan, IMAGES_V)}, r"\(0, 0, 1, 3\) is nan"),
        ({"blocks": ()}, "blocks is empty"),
        ({"windows": MovingWindow(4, 2)}, r"images of \(3, 4\): smaller than their window"),
        ({"constant_v": None}, "block 1: a row of no entry; vectors have 8"),
        ({"tiles": 1}, "block 1: tile 1 of 1 tiles"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(change: dict[str, object], match: str) -> None:
    whole = {"voltage_v": IMAGES_V, "blocks": BLOCKS, "tiles": 2, "windows": MovingWindow(2, 2)}
    with pytest.raises(ValueError, match=match):
        BlockBatch(**{**whole, "constant_v": 0.1, **change})  # type: ignore[arg-type]


def test_the_limits_hold_for_every_voltage_of_every_image_and_for_the_constant() -> None:
    limits = Limits.parse({**LIMITS, "read_v": 0.2})
    images_v = IMAGES_V.copy()
    images_v[1, 0, 2, 3] = -0.21
    with pytest.raises(LimitError, match=r"voltage_v at \(1, 0, 2, 3\) is -0.21; exceeds limits"):
        check_operation(
            BlockBatch(images_v, BLOCKS, 2, MovingWindow(2, 2), constant_v=0.1), limits, "V/2"
        )
    with pytest.raises(LimitError, match=r"constant_v 0\.3 exceeds limits\.read_v 0\.2"):
        check_operation(
            BlockBatch(IMAGES_V, BLOCKS, 2, MovingWindow(2, 2), constant_v=0.3), limits, "V/2"
        )
    check_operation(
        BlockBatch(IMAGES_V, BLOCKS, 2, MovingWindow(2, 2), constant_v=0.2), limits, "V/2"
    )


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((2, 13, 6), r"block 2 ends at row 14, column 6; a tile has 13 rows"),
        ((3, 14, 6), "blocks are for 2 tiles; the array has 3"),
        ((5, 2, 14, 6), None),
    ],
)
def test_blocks_beyond_their_tile_are_refused(shape: tuple[int, ...], match: str | None) -> None:
    batch = BlockBatch(IMAGES_V, BLOCKS, 2, MovingWindow(2, 2), constant_v=0.1)
    if match is None:
        check_shape(batch, shape)
        return
    with pytest.raises(BackendError, match=match):
        check_shape(batch, shape)


def test_codes_of_partial_sums_are_added_in_order() -> None:
    codes = Codes(
        np.array([[0, 255, 100]], np.uint8),
        np.array([0, 1, 0]),
        np.array([-1.0, 0.0, -2.0]),
        np.array([1.0, 3.0, 2.0]),
        np.array([254.0, 255.0, 254.0]),
    )
    # -1 A, and code 100 of 254 between -2 and 2 A: -2 + 100 * 4 / 254
    np.testing.assert_allclose(codes.currents(), [[-1 - 2 + 400 / 254, 3.0]], rtol=1e-15)


def test_codes_of_four_bits_take_half_a_byte_the_lowest_first() -> None:
    assert packed(np.array([[1, 2, 15]], np.uint8), 4).tolist() == [0x21, 0x0F]
    # 5 bits each: 10001 and 00011, from the lowest: 10001 110 | 00
    assert packed(np.array([17, 3], np.uint8), 5).tolist() == [0b01110001, 0]


@given(st.integers(1, 32), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_packed_codes_of_any_bits_come_back_and_take_no_more_room(
    bits: int, count: int, seed: int
) -> None:
    own = np.random.default_rng(seed).integers(0, 2**bits, (2, count))
    codes = own.astype(smallest_type(2**bits - 1))
    stored = packed(codes, bits)
    assert stored.nbytes == -(-2 * count * bits // 8)
    again = unpacked(stored, bits, codes.shape)
    assert (again.dtype, again.tolist()) == (codes.dtype, codes.tolist())


def test_codes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="code 16 has more than 4 bits"):
        packed(np.array([3, 16], np.uint8), 4)
    with pytest.raises(ValueError, match="3 bytes are not 7 codes of 4 bits"):
        unpacked(np.zeros(3, np.uint8), 4, (7,))
    with pytest.raises(ValueError, match="0 bits; expected 1 to 32"):
        unpacked(np.zeros(0, np.uint8), 0, (7,))


def test_the_smallest_type_that_holds_the_codes() -> None:
    assert [np.dtype(smallest_type(top)).itemsize for top in (255, 256, 65535, 65536)] == [
        1,
        2,
        2,
        4,
    ]
