"""Currents of a device model under the stimuli of a history, for many parameters at once.

State equations run all variants of the parameters as cells of one device; other models run one
variant after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.calibrate.operations.history import History, Read, Stimulus
from hwloop_sim.cells.device import DeviceKind
from hwloop_sim.devices.common.state_device import StateModel, per_cell, state_model

Twin = Callable[[History, Sequence[Any], FloatArray], FloatArray]
"""Function from history, settings of each variant and first conductances, (variants, cells),
siemens, to currents, (variants, reads, cells), amperes."""


def twin_of(name: str) -> Twin:
    """Return the function that runs the device model ``name`` on a history."""
    kind: DeviceKind[Any] = plugins.load(plugins.DEVICES, name)
    equation = state_model(kind)
    if equation is None:
        return lambda history, variants, first_conductance_s: _of_kind(
            kind, history, variants, first_conductance_s
        )
    return lambda history, variants, first_conductance_s: _of_equation(
        equation, history, variants, first_conductance_s
    )


def varied(settings: Any, values: Mapping[str, float]) -> Any:
    """Return settings with other values, unchecked: during a fit they may be out of range."""
    return settings.model_copy(update=dict(values))


def _of_equation(
    model: StateModel[Any],
    history: History,
    variants: Sequence[Any],
    first_conductance_s: FloatArray,
) -> FloatArray:
    from hwloop_sim.devices.common import integrate

    cells = first_conductance_s.shape[1]
    signs = np.array([[-1.0 if one.flipped else 1.0] for one in variants])
    nominal = [model.parameters(one) for one in variants]
    drawn = np.empty((len(variants), cells), dtype=[(name, np.float64) for name in nominal[0]])
    for name in nominal[0]:
        drawn[name] = np.array([one[name] for one in nominal])[:, None]
    p = per_cell(drawn.ravel(), first_conductance_s.shape)
    flat = drawn.ravel()
    with np.errstate(all="ignore"):
        state = np.clip(model.state(first_conductance_s, p), *model.bounds(p))
    seen_a = []
    for event in history.events:
        if isinstance(event, Stimulus):
            voltage_v = signs * event.voltage_v
            state = integrate.advance(model.compiled, state, voltage_v, event.duration_s, flat)
        else:
            seen_a.append(_shown_a(model, event, state, signs, p))
    return np.stack(seen_a, axis=1)


def _shown_a(
    model: StateModel[Any], read: Read, state: FloatArray, signs: FloatArray, p: Any
) -> FloatArray:
    if model.current_a is None:
        return np.asarray(model.conductance_s(state, p) * read.read_v)
    up_a = signs * model.current_a(state, signs * read.read_v, p)
    if not read.both_polarities:
        return np.asarray(up_a)
    return np.asarray((up_a - signs * model.current_a(state, -signs * read.read_v, p)) / 2)


def _of_kind(
    kind: DeviceKind[Any],
    history: History,
    variants: Sequence[Any],
    first_conductance_s: FloatArray,
) -> FloatArray:
    events = _maps(history.selected_only())
    return np.array(
        [
            _of_device(kind, events, one, first_conductance_s[index])
            for index, one in enumerate(variants)
        ]
    )


def _maps(history: History) -> list[PulseMap | Read]:
    """Convert pulses to maps of one row; equal ones share one map, which a device checks once."""
    made: dict[object, PulseMap] = {}
    events: list[PulseMap | Read] = []
    for event in history.events:
        if isinstance(event, Read):
            events.append(event)
            continue
        gate_v = event.gate_v
        gate_v = gate_v[None, :] if isinstance(gate_v, np.ndarray) else gate_v
        gate = gate_v.tobytes() if isinstance(gate_v, np.ndarray) else gate_v
        key = (event.voltage_v.tobytes(), event.width_s, event.count, gate)
        if key not in made:
            made[key] = PulseMap(event.voltage_v[None, :], event.width_s, event.count, gate_v)
        events.append(made[key])
    return events


def _of_device(
    kind: DeviceKind[Any],
    events: Sequence[PulseMap | Read],
    settings: Any,
    first_conductance_s: FloatArray,
) -> FloatArray:
    shape = (1, first_conductance_s.size)
    device = kind.make(settings, shape, np.random.default_rng(0))
    device.set_conductance(first_conductance_s.reshape(shape))
    seen_a = []
    for event in events:
        if isinstance(event, PulseMap):
            device.pulse(event)
            continue
        shown_a = device.current_a(np.asarray(event.read_v))
        if event.both_polarities:
            shown_a = (shown_a - device.current_a(np.asarray(-event.read_v))) / 2
        seen_a.append(shown_a[0])
    return np.array(seen_a)
