"""What a preview says of rests: of the groups of cells that the backend makes."""

from collections.abc import Iterator

import numpy as np
import pytest

from hwloop.array.geometry import Geometry
from hwloop.backend.base import Description
from hwloop.steps.plasticity.rhythm import says_groups
from hwloop.types import BoolArray


class _InGroups:
    """A backend that addresses its cells in the given groups."""

    def __init__(self, shape: tuple[int, int], size: int) -> None:
        self.description = Description("one", Geometry(rows=shape[0], cols=shape[1]))
        self._shape, self._size = shape, size

    def groups(self) -> Iterator[BoolArray]:
        cells = np.arange(int(np.prod(self._shape))).reshape(self._shape)
        for group in range(0, cells.size, self._size):
            yield cells // self._size == group // self._size


@pytest.mark.parametrize(
    ("size", "cells", "said"),
    [
        (6, None, "the rests pass once for all cells here, and are counted for each"),
        (1, None, "the rests pass once for each cell, one after the other"),
        (1, ((0, 1), (1, 1)), "the rests pass once for each cell, one after the other"),
        (1, ((0, 1),), "the rests pass once for all cells here, and are counted for each"),
        (6, ((0, 1),), "the rests pass once for all cells here, and are counted for each"),
    ],
)
def test_preview_says_how_often_rests_pass_by_the_groups_of_the_backend(
    size: int, cells: tuple[tuple[int, int], ...] | None, said: str
) -> None:
    assert says_groups("the rests", cells)(_InGroups((2, 3), size)) == said  # type: ignore[arg-type]
