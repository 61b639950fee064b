"""Wires in the emulator: reads, products and pulses through them, and half-selected cells."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.biasing import Scheme, line_fractions
from hwloop.array.operations import PulseMap, ReadMap, VectorBatch
from hwloop.errors import ConfigError, Unsupported
from hwloop.testing import check_backend
from hwloop.types import FloatArray
from hwloop_sim.circuit import Sinh, Wires, solve, solve_cells
from hwloop_sim.emulator.backend import SimSettings
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.readout import Tiles
from tests.biased_cells import cell_voltages_v
from tests.emulated import DEVICE, Steps, emulated, read_all

LINES = {"row_ohm": "10 ohm", "col_ohm": "20 ohm", "driver_ohm": 50, "sense_ohm": 30}
WIRES = Wires(row_ohm=10.0, col_ohm=20.0, driver_ohm=50.0, sense_ohm=30.0)
LOW_OHMIC = DEVICE | {
    "shift": {"distribution": "lognormal", "median_conductance_s": "100 uS", "sigma": 0.8}
}
SCHEMES: list[Scheme] = ["V/2", "V/3", "grounded"]


class Bent(Steps):
    """Cells of I = G sinh(3 V)/3."""

    linear = False

    def current_a(self, voltage_v: FloatArray) -> FloatArray:
        return self.conductance_s * np.sinh(3 * voltage_v) / 3


def wired(rows: int, cols: int, **sim: object):  # type: ignore[no-untyped-def]
    return emulated(rows, cols, device=LOW_OHMIC, wires=LINES, **sim)  # type: ignore[arg-type]


def cells_conductance_s(rows: int, cols: int, **sim: object) -> FloatArray:
    """The conductances of the same array, without wires."""
    return read_all(emulated(rows, cols, device=LOW_OHMIC, **sim)) / 0.1  # type: ignore[arg-type]


def test_a_product_is_that_of_the_circuit() -> None:
    vectors_v = np.random.default_rng(1).uniform(-0.2, 0.2, (9, 6))
    backend = wired(6, 5)
    expected = solve(cells_conductance_s(6, 5), row_v=vectors_v, wires=WIRES).col_a
    for _ in range(3):  # solved at first, a matrix later
        current_a = backend.multiply(VectorBatch(vectors_v)).current_a
        np.testing.assert_allclose(current_a, expected, rtol=1e-9, atol=1e-18)
    assert np.abs(expected).max() < 0.97 * np.abs(vectors_v @ cells_conductance_s(6, 5)).max()


def test_each_tile_has_wires_of_its_own() -> None:
    vectors_v = np.random.default_rng(1).uniform(-0.2, 0.2, (4, 7))
    conductance_s = cells_conductance_s(7, 5)
    expected = np.zeros((4, 5))
    for rows in (slice(0, 3), slice(3, 6), slice(6, 7)):
        for cols in (slice(0, 4), slice(4, 5)):
            part = solve(conductance_s[rows, cols], row_v=vectors_v[:, rows], wires=WIRES)
            expected[:, cols] += part.col_a
    current_a = wired(7, 5, converters={"tiles": {"rows": 3, "cols": 4}}).multiply(
        VectorBatch(vectors_v)
    )
    np.testing.assert_allclose(current_a.current_a, expected, rtol=1e-9, atol=1e-18)


def test_a_read_sees_its_cell_through_its_lines_all_others_at_0_v() -> None:
    backend, conductance_s = wired(4, 5), cells_conductance_s(4, 5)
    seen_a = read_all(backend)
    for row, col in np.ndindex(4, 5):
        one_v = 0.1 * (np.arange(4) == row)
        solution = solve(conductance_s, row_v=one_v, wires=WIRES)
        assert seen_a[row, col] == pytest.approx(solution.col_a[col], rel=1e-9)
    mask = np.zeros((4, 5), dtype=bool)
    mask[2, 3] = True
    single = backend.read(ReadMap(mask, 0.1)).current_a
    assert single[2, 3] == pytest.approx(seen_a[2, 3], rel=1e-9)
    assert np.isnan(single[~mask]).all()


def test_an_emulator_with_wires_keeps_to_the_contract() -> None:
    amplitude_v = np.zeros((4, 4))
    amplitude_v[1, 2] = 2.0
    for population in (None, 3):
        check_backend(
            lambda population=population: emulated(4, 4, wires=LINES, population=population),  # type: ignore[misc]
            pulse=PulseMap(amplitude_v, 1e-3),
            read_v=0.1,
            relative_tolerance=1e-3,
        )


def test_wires_without_resistance_change_nothing() -> None:
    vectors = VectorBatch(np.random.default_rng(1).uniform(-0.2, 0.2, (4, 6)))
    plain = emulated(6, 5, device=LOW_OHMIC)
    ideal = emulated(6, 5, device=LOW_OHMIC, wires={})
    for answer in (read_all, lambda backend: backend.multiply(vectors).current_a):
        np.testing.assert_allclose(answer(ideal), answer(plain), rtol=1e-9)


def test_a_pulse_that_wires_weaken_is_judged_by_what_reaches_the_cell() -> None:
    backend = emulated(4, 5, device=LOW_OHMIC, wires={**LINES, "pulses": "at_begin"})
    pulse = PulseMap(np.full((4, 5), 2.0), 1e-3)
    left = r"; of 2 V the wires leave 1\.\d+ V at cell \(\d, \d\); backends\.sim\.wires\.pulses: ideal "
    with pytest.raises(Unsupported, match=left):
        backend.check(pulse)
    with pytest.raises(Unsupported, match=r"it does not cover 1.5 V$"):
        backend.check(PulseMap(np.full((4, 5), 1.5), 1e-3))
    weak = emulated(4, 5, wires=LINES)
    before_a = read_all(weak)
    weak.pulse(pulse)
    assert (read_all(weak) > before_a).all()


def test_a_model_that_knows_one_pulse_takes_it_as_whole_and_tells_so_once() -> None:
    pulse = PulseMap(np.full((4, 5), 2.0), 1e-3)
    through, wireless = wired(4, 5), emulated(4, 5, device=LOW_OHMIC)
    for backend in (through, wireless):
        for _ in range(2):
            backend.check(pulse)
            backend.pulse(pulse)
    np.testing.assert_array_equal(through._cells.conductance_s, wireless._cells.conductance_s)
    (event,) = through.take_events()
    assert event.level == "warning"
    assert re.match(
        r"of 2 V the wires leave 1\.\d+ V at cell \(\d, \d\); the device model knows", event.message
    )
    assert not through.take_events()
    with pytest.raises(Unsupported, match=r"it does not cover 1.5 V$"):
        through.check(PulseMap(np.full((4, 5), 1.5), 1e-3))


def test_ideal_pulses_move_cells_as_without_wires_and_reads_see_the_wires() -> None:
    pulse = PulseMap(np.full((4, 5), 2.0), 1e-3)
    ideal = emulated(4, 5, device=LOW_OHMIC, wires={**LINES, "pulses": "ideal"})
    wireless = emulated(4, 5, device=LOW_OHMIC)
    for backend in (ideal, wireless):
        backend.check(pulse)
        backend.pulse(pulse)
    np.testing.assert_array_equal(ideal._cells.conductance_s, wireless._cells.conductance_s)
    assert (read_all(ideal) < read_all(wireless)).all()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("wires", [None, Wires(), WIRES])
def test_every_selected_cell_gets_what_its_own_circuit_gives_it(
    scheme: Scheme, wires: Wires | None
) -> None:
    rng = np.random.default_rng(4)
    conductance_s = 10 ** rng.uniform(-6, -3, (5, 4))
    amplitude_v = np.where(rng.random((5, 4)) < 0.5, rng.choice([1.5, -2.0], (5, 4)), 0.0)
    wiring = ArrayLines(wires, Tiles(), scheme, (5, 4))
    reached_v = wiring.selected(Steps(conductance_s), PulseMap(amplitude_v, 1e-3)).amplitude_v
    for row, col in np.ndindex(5, 4):
        if amplitude_v[row, col] == 0:
            assert reached_v[row, col] == 0
            continue
        rows, cols = line_fractions(scheme, (5, 4), row=np.array([row]), col=np.array([col]))
        volts = amplitude_v[row, col]
        solution = solve(
            conductance_s, row_v=volts * rows[0], col_v=volts * cols[0], wires=wires or Wires()
        )
        assert reached_v[row, col] == pytest.approx(solution.cell_v[row, col], rel=1e-9)


@pytest.mark.parametrize("scheme", [*SCHEMES, "floating", "1T1R"])
@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 4)])
def test_pulses_of_cells_that_are_not_linear_see_the_voltages_of_their_own_circuit(
    scheme: Scheme, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(6)
    conductance_s = 10 ** rng.uniform(-5, -3, shape)
    amplitude_v = np.zeros((5, 4))
    amplitude_v[1, 2], amplitude_v[3, 0] = 1.5, -2.0
    stresses = ArrayLines(WIRES, Tiles(), scheme, (5, 4)).stresses(
        Bent(conductance_s), PulseMap(amplitude_v, 1e-3)
    )
    # Where lines float, in the order in which a bench addresses cells: column by column.
    order = [(3, 0), (1, 2)] if scheme == "floating" else [(1, 2), (3, 0)]
    for (row, col), seen in zip(order, stresses, strict=True):
        rows, cols = line_fractions(scheme, (5, 4), row=np.array([row]), col=np.array([col]))
        volts = amplitude_v[row, col]
        on = np.ones((5, 1)) if scheme != "1T1R" else np.eye(5)[:, [row]]
        for array in np.ndindex(shape[:-2]):
            expected = solve_cells(
                conductance_s[array] * on,
                Sinh(3.0),
                row_v=volts * rows[0],
                col_v=volts * cols[0],
                wires=WIRES,
            ).cell_v
            np.testing.assert_allclose(seen.amplitude_v[array], expected * on, atol=1e-8)


def heard(wiring: ArrayLines, conductance_s: FloatArray, pulse: PulseMap) -> FloatArray:
    """Sum of voltage times count that every cell hears of."""
    total = np.zeros(np.broadcast_shapes(conductance_s.shape, pulse.amplitude_v.shape))
    for stress in wiring.stresses(Steps(conductance_s), pulse):
        total += stress.amplitude_v * stress.count
    return total


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SCHEMES), st.integers(0, 1000), st.booleans(), st.booleans())
def test_half_selected_cells_hear_of_every_pulse_as_in_a_plain_loop(
    scheme: Scheme, seed: int, wires: bool, population: bool
) -> None:
    rng = np.random.default_rng(seed)
    shape = (2, 4, 5) if population else (4, 5)
    amplitude_v = np.where(rng.random(shape) < 0.4, rng.choice([1.0, -2.0, 0.5], shape), 0.0)
    conductance_s = 10 ** rng.uniform(-6, -4, shape)
    expected = np.zeros(shape)
    for place in np.argwhere(amplitude_v):
        *array, row, col = (int(index) for index in place)
        expected[tuple(array)] += 3 * cell_voltages_v(
            scheme, (4, 5), row=row, col=col, amplitude_v=amplitude_v[tuple(place)]
        )
    wiring = ArrayLines(Wires() if wires else None, Tiles(), scheme, (4, 5))
    total = heard(wiring, conductance_s, PulseMap(amplitude_v, 1e-3, 3))
    np.testing.assert_allclose(total, expected, atol=1e-9)


def test_in_a_1t1r_array_only_the_selected_cell_hears_of_a_pulse() -> None:
    amplitude_v = np.zeros((3, 4))
    amplitude_v[0, 1], amplitude_v[2, 3] = 1.5, -1.0
    for wires in (None, Wires()):
        wiring = ArrayLines(wires, Tiles(), "1T1R", (3, 4))
        total = heard(wiring, np.full((3, 4), 1e-5), PulseMap(amplitude_v, 1e-3))
        np.testing.assert_allclose(total[amplitude_v != 0], [1.5, -1.0])
        np.testing.assert_allclose(total[amplitude_v == 0], 0.0, atol=1e-12)


def test_a_whole_row_sees_the_gate_of_the_cell_that_is_selected_on_it() -> None:
    amplitude_v, gate_v = np.zeros((3, 4)), np.zeros((3, 4))
    amplitude_v[0, 1], amplitude_v[0, 3], amplitude_v[2, 3] = 1.5, 2.0, -1.0
    gate_v[0, 1], gate_v[0, 3], gate_v[2, 3] = 1.1, 1.7, 3.0
    pulse = PulseMap(amplitude_v, 1e-3, gate_v=gate_v)
    wiring = ArrayLines(WIRES, Tiles(), "1T1R", (3, 4))
    stresses = list(wiring.stresses(Steps(np.full((3, 4), 1e-5)), pulse))
    for stress, row, gate in zip(stresses, (0, 0, 2), (1.1, 1.7, 3.0), strict=True):
        seen = np.asarray(stress.gate_v)
        assert (seen[row] == gate).all()
        assert (np.delete(seen, row, axis=0) == 0).all()
    reached = wiring.selected(Steps(np.full((2, 3, 4), 1e-5)), pulse)
    assert np.array_equal(reached.gate_v, np.broadcast_to(gate_v, (2, 3, 4)))


@pytest.mark.parametrize("make", [Steps, Bent])
@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 4)])
def test_a_read_of_a_1t1r_array_has_the_transistors_of_one_row_on(
    make: type[Steps], shape: tuple[int, ...]
) -> None:
    conductance_s = 10 ** np.random.default_rng(3).uniform(-5, -3, shape)
    wiring = ArrayLines(WIRES, Tiles(), "1T1R", (5, 4))
    read_a = wiring.read(make(conductance_s), np.ones((5, 4), dtype=bool), 0.2)
    for place in np.ndindex(shape):
        # One cell, its driver, the segments on its way, and what its row's other cells draw.
        *array, row, col = place
        alone_conductance_s = np.zeros((5, 4))
        alone_conductance_s[row] = conductance_s[(*array, row)]
        volts = {"row_v": 0.2 * np.eye(5)[row], "wires": WIRES}
        if make is Steps:
            expected = solve(alone_conductance_s, **volts)  # type: ignore[arg-type]
        else:
            expected = solve_cells(alone_conductance_s, Sinh(3.0), **volts)  # type: ignore[arg-type]
        assert read_a[place] == pytest.approx(expected.col_a[col], rel=1e-8)


def test_floating_lines_settle_by_the_cells_also_without_wires() -> None:
    amplitude_v = np.zeros((2, 2))
    amplitude_v[0, 0] = 1.2
    wiring = ArrayLines(None, Tiles(), "floating", (2, 2))
    total = heard(wiring, np.full((2, 2), 1e-5), PulseMap(amplitude_v, 1e-3))
    # The three others are in series between the driven lines, the last one the other way round.
    np.testing.assert_allclose(total, [[1.2, 0.4], [0.4, -0.4]], rtol=1e-9)


class HalfSelect(Steps):
    """Cells whose model knows every voltage."""

    half_select = True


def with_device(make: Callable[[FloatArray], Steps], rows: int, cols: int, **sim: object):  # type: ignore[no-untyped-def]
    """An emulator of these cells, each at 1 mS."""
    backend = emulated(rows, cols, **sim)  # type: ignore[arg-type]
    backend._cells._device = make(np.full(backend.description.shape, 1e-3))  # type: ignore[attr-defined]
    backend._cells._seen_conductance_s = None  # type: ignore[attr-defined]
    return backend


def test_half_selected_cells_move_if_the_model_says_so_and_stay_if_not() -> None:
    amplitude_v = np.zeros((3, 3))
    amplitude_v[1, 1] = 2.0
    for make, expected_v in (
        (HalfSelect, [[0, 1, 0], [1, 2, 1], [0, 1, 0]]),
        (Steps, [[0, 0, 0], [0, 2, 0], [0, 0, 0]]),
    ):
        backend = with_device(make, 3, 3)
        backend.pulse(PulseMap(amplitude_v, 1e-3))
        moved_conductance_s = read_all(backend) / 0.1 - 1e-3
        np.testing.assert_allclose(moved_conductance_s, 1e-6 * np.array(expected_v), atol=1e-12)


def test_through_wires_half_selected_cells_see_a_little_of_everything() -> None:
    amplitude_v = np.zeros((3, 3))
    amplitude_v[1, 1] = 2.0
    backend = with_device(HalfSelect, 3, 3, wires=LINES)
    before_conductance_s = np.full((3, 3), 1e-3)
    backend.pulse(PulseMap(amplitude_v, 1e-3))
    rows, cols = line_fractions("V/2", (3, 3), row=np.array([1]), col=np.array([1]))
    seen_v = solve(before_conductance_s, row_v=2 * rows[0], col_v=2 * cols[0], wires=WIRES).cell_v
    moved_conductance_s = backend._cells.conductance_s - before_conductance_s
    np.testing.assert_allclose(moved_conductance_s, 1e-6 * seen_v, rtol=1e-6, atol=1e-15)
    assert moved_conductance_s[0, 0] != 0
    assert moved_conductance_s[1, 1] < 1.9e-6


def test_cells_that_are_not_linear_are_read_and_multiplied_by_their_own_law() -> None:
    backend = with_device(Bent, 2, 3)
    np.testing.assert_allclose(read_all(backend, 0.2), 1e-3 * np.sinh(0.6) / 3, rtol=1e-12)
    voltage_v = np.array([[0.2, -0.1], [0.0, 0.3]])
    expected = (1e-3 * np.sinh(3 * voltage_v) / 3).sum(axis=1)
    current_a = backend.multiply(VectorBatch(voltage_v)).current_a
    np.testing.assert_allclose(current_a, np.repeat(expected[:, None], 3, axis=1), rtol=1e-12)


@pytest.mark.parametrize("population", [None, 2])
def test_and_through_wires_by_newton(population: int | None) -> None:
    backend = with_device(Bent, 2, 3, wires=LINES, population=population)
    voltage_v = np.array([[0.2, -0.1], [0.0, 0.3]])
    current_a = backend.multiply(VectorBatch(voltage_v)).current_a
    expected = solve_cells(np.full((2, 3), 1e-3), Sinh(3.0), row_v=voltage_v, wires=WIRES).col_a
    np.testing.assert_allclose(
        current_a, np.broadcast_to(expected, current_a.shape), rtol=1e-6, atol=1e-12
    )


@pytest.mark.parametrize(
    ("wires", "words"),
    [
        ({"row_ohm": -1}, r"wires\.row_ohm"),
        ({"row_ohm": "1 V"}, "expected a number of ohm"),
        ({"row_ohms": 1}, r"wires\.row_ohms: unknown key"),
        ({"row_ends": "top"}, r"wires\.row_ends"),
    ],
)
def test_wires_outside_their_validity_are_refused(wires: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SimSettings.parse({"device": DEVICE, "wires": wires})
