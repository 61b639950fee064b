"""The compiled loop of a state equation: right, and compiled once for each text of its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from hwloop import plugins
from hwloop.types import FloatArray
from hwloop_sim.devices.common import integrate
from hwloop_sim.devices.common.state_device import drawn_parameters, state_model

SPEED = 2.0
NONE = np.zeros(1, dtype=[("unused", np.float64)])


def _steady(v: float) -> float:
    return SPEED * v


_compiled_steady = integrate.compiled(_steady)


def rate(x: float, v: float, p: Any) -> float:
    return _compiled_steady(v)  # type: ignore[no-any-return]


def next_break_point(x: float, v: float, p: Any) -> float:
    return 1.0 if v > 0.0 else 0.0


def advanced(loop: Any) -> float:
    """The state after 0.1 s at 0.5 V from 0.25: 0.25 + 0.05 V s · speed."""
    return float(integrate.advance(loop, np.array([0.25]), np.array([0.5]), 0.1, NONE)[0])


def test_a_loop_is_compiled_once_for_each_text_of_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    first = integrate.advancing(rate, next_break_point)
    assert advanced(first) == pytest.approx(0.35, rel=1e-12)
    assert sum(first.stats.cache_misses.values()) == 1
    again = integrate.advancing(rate, next_break_point)
    assert advanced(again) == pytest.approx(0.35, rel=1e-12)
    assert sum(again.stats.cache_hits.values()) == 1
    # A constant of a function that the rate calls: another model, though no file has changed.
    monkeypatch.setattr(f"{__name__}.SPEED", 6.0)
    monkeypatch.setattr(f"{__name__}._compiled_steady", integrate.compiled(_steady))
    other = integrate.advancing(rate, next_break_point)
    assert advanced(other) == pytest.approx(0.55, rel=1e-12)
    assert sum(other.stats.cache_misses.values()) == 1


@pytest.mark.parametrize("spread", [False, True])
def test_a_large_array_in_threads_moves_as_each_of_its_cells_alone(spread: bool) -> None:
    # Some cells stand beside their like, some have no voltage; right values: cell by cell.
    kind = plugins.load(plugins.DEVICES, "vteam")
    model = state_model(kind)
    assert model is not None
    rng = np.random.default_rng(5)
    cells = 5000
    state = np.repeat(rng.uniform(0.2, 0.8, cells // 4), 4)
    voltage_v = rng.choice([0.21, -0.21, 0.0], cells)
    settings = kind.settings.parse({"spread": {"k_off_m_per_s": {"sigma": 0.1}}} if spread else {})
    parameters = drawn_parameters(model.parameters(settings), settings, (cells,), rng)

    def moved(own: slice) -> FloatArray:
        one = parameters[own] if spread else parameters
        return integrate.advance(model.compiled, state[own], voltage_v[own], 5e-9, one)

    whole = moved(slice(None))
    alone = [moved(slice(i, i + 1))[0] for i in range(0, cells, 7)]
    assert (whole[::7] == alone).all()
    assert (whole != state).sum() > cells / 2


def test_a_model_that_cannot_be_told_by_its_text_is_compiled_and_not_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    made: dict[str, Any] = {}
    exec("def typed(x, v, p):\n    return 4.0 * v\n", made)  # noqa: S102 - as in an interpreter
    with pytest.raises(integrate.NoFixedText):
        integrate.made_of(made["typed"])
    assert advanced(integrate.advancing(made["typed"], next_break_point)) == pytest.approx(0.45)
    assert list(tmp_path.rglob("*.nbi")) == []


def named(function: Any, found: set[str]) -> set[str]:
    """The full names of a compiled function and of all compiled ones that it calls."""
    plain = function.py_func
    name = f"{plain.__module__}.{plain.__qualname__}"
    if name not in found:
        found.add(name)
        for one in plain.__code__.co_names:
            value = plain.__globals__.get(one)
            if hasattr(value, "py_func"):
                named(value, found)
    return found


def test_no_function_of_a_loop_has_the_name_of_one_of_another_model() -> None:
    # From a cache, functions of equal names stand for each other: TEAM moved as VTEAM does.
    loops = [plugins.load(plugins.DEVICES, one) for one in ("team", "vteam")]
    team, vteam = (named(state_model(one).compiled, set()) for one in loops)
    assert (len(team), len(vteam)) == (10, 8)
    assert not team & vteam


def test_a_sequence_moves_each_variant_as_its_pulses_one_by_one() -> None:
    kind = plugins.load(plugins.DEVICES, "yakopcic")
    model: Any = state_model(kind)
    nominal = model.parameters(kind.settings())
    variants, cells = 3, 2
    parameters = np.empty(variants * cells, dtype=[(name, np.float64) for name in nominal])
    for name, value in nominal.items():
        parameters[name] = value
    parameters["a_p_per_s"] *= np.repeat([1.0, 2.0, 0.5], cells)
    state = np.linspace(0.2, 0.7, variants * cells).reshape(variants, cells)
    sign = np.array([1.0, 1.0, -1.0])
    volts = np.array([[0.3, 0.4], [0.0, -0.5], [0.35, 0.0], [-0.4, 0.3]])
    widths_s = np.array([1e-4, 2e-4, 3e-4, 1e-4])
    seen_after = np.array([0, 1, 1, 4])
    seen = integrate.follow(
        model.compiled_sequence, state, sign, volts, widths_s, parameters, seen_after
    )
    alone = [state]
    for volt, width_s in zip(volts, widths_s, strict=True):
        both_v = sign[:, None] * volt
        alone.append(
            integrate.advance(model.compiled, alone[-1], both_v, float(width_s), parameters)
        )
    assert seen.shape == (4, variants, cells)
    assert np.ptp(seen, axis=0).min() > 1e-4
    np.testing.assert_array_equal(seen, [alone[count] for count in seen_after])


def test_a_sequence_in_threads_is_that_of_each_variant_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = integrate.following(rate, next_break_point)
    state = np.linspace(0.1, 0.3, 12).reshape(4, 3)
    volts = np.linspace(0.1, 0.5, 15).reshape(5, 3)
    given = (np.ones(4), volts, np.full(5, 0.02), np.zeros(12, NONE.dtype), np.array([2, 5]))
    one = integrate.follow(loop, state, *given)
    monkeypatch.setattr(integrate, "_MANY_PULSES", 1)
    np.testing.assert_array_equal(integrate.follow(loop, state, *given), one)
    np.testing.assert_allclose(one[1], state + SPEED * 0.02 * volts.sum(axis=0), rtol=1e-9)


def _after(x: float, duration: float, v: float, p: Any) -> float:
    return x + 0.125 * v * duration


def test_a_model_with_a_solution_in_closed_form_is_not_integrated() -> None:
    loop = integrate.advancing(rate, next_break_point, _after)
    assert advanced(loop) == pytest.approx(0.25 + 0.125 * 0.05, rel=1e-14)
