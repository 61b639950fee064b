"""Beside badcrossbar, which knows driven lines and one resistance per segment."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from hwloop_sim.circuit import Wires, solve
from tests.sim.circuit.cases import four_decades, with_faults

badcrossbar = pytest.importorskip(
    "badcrossbar",
    reason="badcrossbar is not installed (pip install -e .[peers]; its pycairo needs"
    " Debian's libcairo2-dev and pkg-config)",
)


@pytest.mark.parametrize("shape", [(4, 4), (9, 16), (64, 64)])
@pytest.mark.parametrize("ohm", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("cells", [four_decades, with_faults])
def test_currents_and_voltages_agree(cells, shape: tuple[int, int], ohm: float) -> None:  # type: ignore[no-untyped-def]
    cells_conductance_s = cells(*shape)
    row_v = np.random.default_rng(3).uniform(-0.5, 0.5, (2, shape[0]))
    with np.errstate(divide="ignore"), contextlib.redirect_stdout(io.StringIO()):
        theirs = badcrossbar.compute(
            row_v.T, 1 / cells_conductance_s, r_i_word_line=ohm, r_i_bit_line=2 * ohm
        )
    ours = solve(cells_conductance_s, row_v=row_v, wires=Wires(row_ohm=ohm, col_ohm=2 * ohm))
    scale_a = np.abs(ours.cell_a).max()
    np.testing.assert_allclose(ours.col_a, theirs.currents.output, rtol=0, atol=1e-9 * scale_a)
    for vector in range(2):
        cell_a = theirs.currents.device[..., vector]
        np.testing.assert_allclose(ours.cell_a[vector], cell_a, rtol=0, atol=1e-9 * scale_a)
        word_v, bit_v = (
            v[..., vector] for v in (theirs.voltages.word_line, theirs.voltages.bit_line)
        )
        np.testing.assert_allclose(ours.word_v[vector], word_v, rtol=0, atol=5e-10)
        np.testing.assert_allclose(ours.bit_v[vector], bit_v, rtol=0, atol=5e-10)
