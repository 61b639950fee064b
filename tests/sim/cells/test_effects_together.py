"""Effects composed: their order, their draws, their place in a record, and what they leave alone."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop import plugins
from hwloop.array.operations import PulseMap, ReadMap, VectorBatch, Wait
from hwloop.errors import ConfigError
from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.comparison import differences
from hwloop.record.reader import Record
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.cells.device import Device
from hwloop_sim.cells.effect import make_effects
from hwloop_sim.emulator.backend import SimSettings
from tests.emulated import DEVICE, Steps, emulated, everywhere, non_ideal, read_all

PROCEDURE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
EVERY: dict[str, dict[str, Any]] = {
    "programming_error": {"sigma_conductance_us": [0.05], "valid_to_conductance_s": 1e-4},
    "device_to_device": {"sigma": 0.05},
    "cycle_to_cycle": {"sigma": 0.2},
    "short_term": {"tau_s": 0.3, "beta": 0.8, "volatile": 0.4, "consolidation": 0.2},
    "relaxation": {"sigma": 0.02, "tau_s": 0.5, "beta": 0.7},
    "drift": {"nu": 0.002, "nu_sigma": 0.001},
    "read_disturb": {"rate": 1e-6, "reference_v": 0.1},
    "endurance": {
        "min_conductance_s": 0,
        "max_conductance_s": 1e-4,
        "closes_at_conductance_s": 0,
        "half_cycles": 1e4,
    },
    "state_bounds": {
        "min_conductance_s": 1e-9,
        "max_conductance_s": 5e-5,
        "min_sigma": 0.1,
        "max_sigma": 0.1,
    },
    "metal_oxide_failure": {
        "cycles": 1e4,
        "mode": "gradual",
        "high": {"p": [1.0, 0.1, 0.0, 0.01], "stable_ohm": 1e9},
        "on_ohm": 1e3,
        "off_ohm": 1e4,
    },
    "finite_states": {"states": 4096, "min_conductance_s": 0, "max_conductance_s": 5e-5},
    "stuck": {
        "high_fraction": 0.02,
        "high_conductance_s": 1e-5,
        "low_fraction": 0.02,
        "low_conductance_s": 0,
    },
    "random_telegraph": {"amplitude": 0.01, "capture_s": 0.1, "emission_s": 0.1},
    "flicker_noise": {"fraction": 0.005, "low_hz": 0.1, "high_hz": 100},
    "white_noise": {"fraction": 0.005, "amplifier_a": "10 pA"},
}
ALL = tuple({"effect": name, **values} for name, values in EVERY.items())
CONVERTERS = {
    "dac": {"bits": 10, "low_v": -0.2, "high_v": 0.2, "noise_v": 1e-5},
    "adc": {
        "bits": 12,
        "range": {"kind": "fixed", "low_a": -1e-5, "high_a": 1e-5},
        "gain_sigma": 0.01,
    },
    "tiles": {"rows": 3, "cols": 2},
}


def exercise(backend: Any) -> list[np.ndarray]:
    """A few of everything; what was read."""
    rows, cols = backend.description.geometry.shape
    vectors = VectorBatch(np.linspace(-0.1, 0.1, 5 * rows).reshape(5, rows))
    answers = []
    for _ in range(3):
        backend.pulse(PulseMap(np.full((rows, cols), 2.0), 1e-3, count=2))
        backend.wait(Wait(0.3))
        answers.append(backend.multiply(vectors).current_a)
        read = ReadMap.every_cell((rows, cols), read_v=0.1, both_polarities=True)
        answers.append(backend.read(read).current_a)
    return answers


def test_every_effect_that_is_installed_is_tried_here() -> None:
    assert set(plugins.names(plugins.EFFECTS)) == set(EVERY)
    orders = [plugins.load(plugins.EFFECTS, name).order for name in EVERY]
    assert orders == sorted(set(orders)), "each has a place of its own in the order"


def test_with_every_effect_two_arrays_of_one_seed_are_the_same_and_of_two_are_not() -> None:
    one, same, other = (
        exercise(emulated(effects=ALL, converters=CONVERTERS, seed=seed)) for seed in (1, 1, 2)
    )
    for first, second, third in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, third)


def test_with_every_effect_a_population_of_one_is_an_array_alone_to_the_last_bit() -> None:
    alone = exercise(emulated(effects=ALL, converters=CONVERTERS))
    population = exercise(emulated(effects=ALL, converters=CONVERTERS, population=1))
    for one, many in zip(alone, population, strict=True):
        np.testing.assert_array_equal(one, many[0])


@pytest.mark.parametrize("name", [name for name in EVERY if name != "read_disturb"])
def test_each_effect_changes_what_is_read(name: str) -> None:
    narrow = {"endurance": {"max_conductance_s": 1e-6}, "state_bounds": {"max_conductance_s": 1e-6}}
    without = exercise(emulated(20, 20))
    with_it = exercise(
        emulated(20, 20, effects=[{"effect": name} | EVERY[name] | narrow.get(name, {})])
    )
    assert any((a != b).any() for a, b in zip(without, with_it, strict=True))


@pytest.mark.parametrize("added", list(EVERY))
def test_one_more_effect_changes_no_draw_of_the_others(added: str) -> None:
    stuck = {"effect": "stuck", "high_fraction": 0.5, "high_conductance_s": 1e-3}
    trap = {"effect": "random_telegraph", "amplitude": 0.5, "capture_s": 1, "emission_s": 1}
    more = {"effect": added, **EVERY[added]}
    masks = []
    for effects in ([stuck, trap], [stuck, trap, more], [more, trap, stuck]):
        if added in {"stuck", "random_telegraph"}:
            effects = [stuck, trap, *(effect for effect in effects if effect is more)]
        cells = non_ideal(*effects, shape=(30, 30))
        masks.append([cells.conductance_s > 0.4e-3])
        cells.wait(1.0)
        masks[-1].append(cells.conductance_s > 0.4e-3)
    if added != "stuck":
        assert all(np.array_equal(mask, masks[0]) for mask in masks[1:])


def test_the_order_in_a_procedure_does_not_matter() -> None:
    effects = (
        {"effect": "finite_states", "states": 3, "min_conductance_s": 0, "max_conductance_s": 2e-4},
        {"effect": "device_to_device", "sigma": 0.5},
        {"effect": "state_bounds", "min_conductance_s": 6e-5, "max_conductance_s": 1.2e-4},
        {"effect": "stuck", "low_fraction": 0.2, "low_conductance_s": 3e-5},
    )
    shown = [non_ideal(*order, shape=(9, 9)).conductance_s for order in permutations(effects)]
    assert all((values == shown[0]).all() for values in shown)
    # Spread, then held at the bounds, then at levels; a stuck cell is at none of them.
    assert set(np.unique(shown[0])) == {3e-5, 1e-4}


def test_scatter_comes_after_the_factor_of_the_cell_and_before_its_bounds() -> None:
    effects = (
        {"effect": "state_bounds", "min_conductance_s": 1e-6, "max_conductance_s": 1.001e-4},
        {"effect": "cycle_to_cycle", "sigma": 0.5},
        {"effect": "device_to_device", "of": "step", "measured": [1.0, 3.0]},
    )
    cells = non_ideal(*effects)
    cells.pulse(everywhere(cells, 0.1))
    factor = (cells.conductance_s - 1e-4) / 1e-7
    assert factor.max() == pytest.approx(1.0, rel=1e-6)  # the bound is one step of 1 V away
    assert (factor < 0.2).any()


@settings(max_examples=20, deadline=None)
@given(st.sets(st.sampled_from(sorted(EVERY))), st.lists(st.floats(-3, 3), max_size=4))
def test_any_set_of_effects_leaves_conductances_that_are_numbers_of_0_or_more(
    names: set[str], volts: list[float]
) -> None:
    cells = non_ideal(*({"effect": name, **EVERY[name]} for name in names), shape=(4, 5))
    for amplitude_v in volts:
        cells.pulse(everywhere(cells, amplitude_v))
        cells.wait(1.0)
        assert np.isfinite(cells.conductance_s).all()
        assert (cells.conductance_s >= 0).all()


def test_effects_that_do_nothing_change_nothing() -> None:
    idle = (
        {"effect": "device_to_device", "sigma": 0},
        {"effect": "cycle_to_cycle", "sigma": 0},
        {"effect": "stuck"},
        {"effect": "white_noise", "fraction": 0},
        {"effect": "random_telegraph", "amplitude": 0, "capture_s": 1, "emission_s": 1},
    )
    for plain, with_them in zip(
        exercise(emulated()), exercise(emulated(effects=idle)), strict=True
    ):
        # Where no current flows, what rounding leaves is another on another processor.
        rounding = 1e-15 * np.abs(plain).max()
        np.testing.assert_allclose(with_them, plain, rtol=1e-12, atol=rounding)


def test_a_model_without_a_state_to_put_refuses_effects_that_change_it() -> None:
    class Rigid(Device):
        conductance_s = np.ones((2, 2))

        def check(self, pulse: PulseMap) -> None: ...

        def pulse(self, pulse: PulseMap) -> None: ...

    def made(effect: dict[str, Any]) -> list[Any]:
        chosen = SimSettings.parse({"device": DEVICE, "effects": [effect]}).effects
        return make_effects(chosen, (2, 2), np.random.default_rng(1))

    NonIdealDevice(Rigid(), made({"effect": "stuck", "high_fraction": 1, "high_conductance_s": 2}))
    with pytest.raises(ConfigError, match="Rigid cannot be set to a conductance"):
        NonIdealDevice(Rigid(), made({"effect": "drift", "nu": 0.1}))


def test_a_device_under_no_effect_is_the_device() -> None:
    cells, bare = NonIdealDevice(Steps(np.ones((2, 2))), []), Steps(np.ones((2, 2)))
    for device in (cells, bare):
        device.pulse(everywhere(device, 1.5, 3))
        device.wait(10.0)
    assert (cells.conductance_s == bare.conductance_s).all()
    assert not cells.volatile


def procedure_with(*effects: dict[str, Any], **sim: Any) -> Any:
    text = "[" + ", ".join(_flow(effect) for effect in effects) + "]"
    overrides = [f"backends.sim.effects={text}"]
    overrides += [f"backends.sim.{key}={_flow(value)}" for key, value in sim.items()]
    return load_procedure(PROCEDURE, overrides)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    return str(value)


def test_the_record_says_which_effects_and_converters_with_all_their_settings(
    tmp_path: Path,
) -> None:
    procedure = procedure_with(*ALL, converters=CONVERTERS)
    run_procedure(procedure, RunOptions("sim", tmp_path / "run.h5"))
    with Record(tmp_path / "run.h5") as record:
        identity = record.identity
    effects = {effect.pop("effect"): effect for effect in identity["effects"]}
    assert list(effects) == list(EVERY)
    assert effects["drift"]["activation_ev"] == 0.0, "defaults are recorded"
    assert effects["white_noise"]["amplifier_a"] == 1e-11
    assert identity["converters"]["tiles"] == {"rows": 3, "cols": 2}
    assert identity["converters"]["adc"]["range"]["kind"] == "fixed"


@pytest.mark.parametrize("population", [None, 3])
def test_a_run_with_every_effect_repeats_and_replays_to_the_last_bit(
    tmp_path: Path, population: int | None
) -> None:
    procedure = procedure_with(*ALL, converters=CONVERTERS)
    paths = [tmp_path / f"{name}.h5" for name in "ab"]
    for path in paths:
        run_procedure(procedure, RunOptions("sim", path, population=population))
    assert differences(*paths) == []
    assert reproduce(paths[0]).complete


def test_a_read_is_not_disturbed_by_the_reads_of_others() -> None:
    disturb = {"effect": "read_disturb", "rate": 0.01, "reference_v": 0.1}
    backend = emulated(2, 2, effects=[disturb])
    mask = np.array([[True, False], [False, False]])
    before_a = read_all(backend)[1, 1]
    backend2 = emulated(2, 2, effects=[disturb])
    for _ in range(5):
        backend2.read(ReadMap(mask, 0.1))
    after_a = read_all(backend2)
    assert after_a[1, 1] == pytest.approx(before_a, rel=1e-12)
    assert after_a[0, 0] == pytest.approx(before_a * np.exp(0.05), rel=1e-12)


def test_a_vector_disturbs_the_rows_that_it_drives() -> None:
    disturb = {"effect": "read_disturb", "rate": 0.01, "reference_v": 0.1, "exponent": 2}
    backend = emulated(3, 2, effects=[disturb])
    before_a = read_all(emulated(3, 2, effects=[disturb]))
    backend.multiply(VectorBatch(np.array([[0.1, 0.0, -0.2], [0.1, 0.0, 0.0]])))
    moved = np.log(read_all(backend) / before_a)
    np.testing.assert_allclose(moved, [[0.02] * 2, [0.0] * 2, [-0.04] * 2], atol=1e-12)
