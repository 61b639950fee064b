"""Currents of a device model under the stimuli of a history, for many parameters at once.

State equations run all variants of the parameters as cells of one device; other models run one
variant after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.calibrate.operations.history import History, Read
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
    nominal = [model.parameters(one) for one in variants]
    drawn = np.empty((len(variants), cells), dtype=[(name, np.float64) for name in nominal[0]])
    for name in nominal[0]:
        drawn[name] = np.array([one[name] for one in nominal])[:, None]
    flat = drawn.ravel()
    sign = np.array([-1.0 if one.flipped else 1.0 for one in variants])
    stimuli = history.stimuli
    with np.errstate(all="ignore"):
        p = per_cell(flat, first_conductance_s.shape)
        state = np.clip(model.state(first_conductance_s, p), *model.bounds(p))
    seen = integrate.follow(
        model.compiled_sequence,
        state,
        sign,
        np.array([one.voltage_v for one in stimuli]).reshape(-1, cells),
        np.array([one.duration_s for one in stimuli]),
        flat,
        _stimuli_before(history),
    )
    shown_a = _shown_a(model, history.reads, seen, sign[:, None], p)
    return np.moveaxis(shown_a, 0, 1)


def _stimuli_before(history: History) -> NDArray[np.int64]:
    """Return how many stimuli came before each read."""
    is_read = np.array([isinstance(event, Read) for event in history.events])
    return np.asarray(np.cumsum(~is_read)[is_read], dtype=np.int64)


def _shown_a(
    model: StateModel[Any], reads: Sequence[Read], seen: FloatArray, sign: FloatArray, p: Any
) -> FloatArray:
    """Compute the currents at states ``seen``, (reads, variants, cells), amperes.

    ``sign``: of the voltage on each variant, (variants, 1).
    """
    read_v = np.array([read.read_v for read in reads])[:, None, None]
    if model.current_a is None:
        return np.asarray(model.conductance_s(seen, p) * read_v)
    shown_a = sign * model.current_a(seen, sign * read_v, p)
    both = np.array([read.both_polarities for read in reads])
    if both.any():
        down_a = sign * model.current_a(seen[both], -sign * read_v[both], p)
        shown_a[both] = (shown_a[both] - down_a) / 2
    return np.asarray(shown_a)


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
