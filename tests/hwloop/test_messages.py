"""How messages name places and suggest names."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.messages import first_place


def test_first_place_is_the_first_true_entry_in_the_order_of_memory() -> None:
    mask = np.zeros((2, 3, 4), dtype=np.bool_)
    mask[1, 2, 3] = mask[1, 0, 2] = True
    assert first_place(mask) == (1, 0, 2)
    assert all(type(index) is int for index in first_place(mask))


def test_first_place_works_on_a_broadcast_mask() -> None:
    mask = np.broadcast_to(np.array([False, True]), (3, 2))
    assert first_place(mask) == (0, 1)


def test_first_place_refuses_a_mask_without_a_true_entry() -> None:
    with pytest.raises(ValueError, match="no entry is True"):
        first_place(np.zeros((2, 2), dtype=np.bool_))
