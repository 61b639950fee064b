"""Absolute maximum ratings of an array, and the checks of an operation against them."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from hwloop.array.biasing import Scheme, stress, worst_half_select_v
from hwloop.array.blocks import BlockBatch
from hwloop.array.line_bounds import LineBounds
from hwloop.array.operations import Operation, PulseMap, PulsePair, Ramp, ReadMap, VectorBatch
from hwloop.errors import LimitError
from hwloop.messages import cell_name
from hwloop.settings.model import Settings
from hwloop.settings.units import (
    Count,
    NegativeVolt,
    PositiveAmpere,
    PositiveJoule,
    PositiveSecond,
    PositiveVolt,
)
from hwloop.types import FloatArray


class Limits(Settings):
    """Absolute maximum ratings of the array; they belong to it, not to the procedure.

    ``positive_v``, ``negative_v``: the range of pulse amplitudes, signed. ``read_v``: largest
    magnitude of a read or input voltage. ``half_select_v``: largest magnitude on any cell
    outside of its own pulses: while others are pulsed, and between and around its own.
    ``current_a``: compliance of every output. ``pulse_width_s``: longest pulse.
    ``pulse_energy_j``: bound on |amplitude| · current_a · width of one pulse, the most that it can
    deliver into a cell at the compliance. ``pulses_per_device``: in its life. ``gate_v``: highest
    gate voltage of a 1T1R cell.
    """

    positive_v: PositiveVolt
    negative_v: NegativeVolt
    read_v: PositiveVolt
    half_select_v: PositiveVolt
    current_a: PositiveAmpere
    pulse_width_s: PositiveSecond
    pulse_energy_j: PositiveJoule
    pulses_per_device: Count
    gate_v: PositiveVolt | None = Field(default=None)


def check_operation(
    operation: Operation, limits: Limits, scheme: Scheme, lines: LineBounds | None = None
) -> None:
    """Raise :class:`LimitError` naming cell, value and bound if a limit would be exceeded.

    ``lines``: bounds of a station's lines; None: every line has the level of the scheme.
    The life of the devices is not checked here: that needs their history (see the guard).
    """
    match operation:
        case PulseMap():
            _check_pulse(operation, limits, scheme, lines)
        case PulsePair():
            for pulse in operation.pulses:
                _check_pulse(pulse, limits, scheme, lines)
        case ReadMap():
            _check_magnitude(operation.read_v, limits.read_v)
        case Ramp():
            # The other pulses lie between these two, of the cells, gates and lines alike.
            for pulse in operation.ends():
                _check_pulse(pulse, limits, scheme, lines)
            _check_magnitude(operation.read_v, limits.read_v)
        case VectorBatch():
            _check_vectors(operation, limits.read_v)
        case BlockBatch():
            _check_blocks(operation, limits.read_v)


def _check_pulse(pulse: PulseMap, limits: Limits, scheme: Scheme, lines: LineBounds | None) -> None:
    amplitude_v = pulse.amplitude_v
    lowest_v, highest_v = pulse.extremes_v
    if highest_v > limits.positive_v:
        _refuse(amplitude_v, amplitude_v.argmax(), "exceeds", "positive_v", limits.positive_v)
    if lowest_v < limits.negative_v:
        _refuse(amplitude_v, amplitude_v.argmin(), "is below", "negative_v", limits.negative_v)
    if pulse.width_s > limits.pulse_width_s:
        raise LimitError(
            f"width_s {pulse.width_s:g} exceeds limits.pulse_width_s {limits.pulse_width_s:g}"
        )
    _check_energy(pulse, limits)
    _check_half_select(pulse, limits, scheme, lines)
    _check_gate(pulse, limits)


def _check_energy(pulse: PulseMap, limits: Limits) -> None:
    magnitude_v = pulse.largest_v
    energy_j = magnitude_v * limits.current_a * pulse.width_s
    if energy_j > limits.pulse_energy_j:
        place = _place(pulse.amplitude_v, np.abs(pulse.amplitude_v).argmax())
        raise LimitError(
            f"{cell_name(place)}: a pulse of {magnitude_v:g} V and {pulse.width_s:g} s delivers up"
            f" to {energy_j:.3g} J at limits.current_a {limits.current_a:g}; exceeds"
            f" limits.pulse_energy_j {limits.pulse_energy_j:g}"
        )


def _check_half_select(
    pulse: PulseMap, limits: Limits, scheme: Scheme, lines: LineBounds | None
) -> None:
    magnitude_v = pulse.largest_v
    bound = stress(scheme) if lines is None else lines.stress(magnitude_v)
    if magnitude_v * bound.worst <= limits.half_select_v:
        return
    seen_v = worst_half_select_v(scheme, pulse.amplitude_v, bound)
    if seen_v.max() > limits.half_select_v:
        place = _place(seen_v, seen_v.argmax())
        at_levels_v = worst_half_select_v(scheme, pulse.amplitude_v)[place]
        reason = lines.reason(magnitude_v) if lines and seen_v[place] > at_levels_v else ""
        raise LimitError(
            f"{cell_name(place)}: {'up to ' if reason else ''}{seen_v[place]:g} V while"
            f" half-selected (scheme {scheme}{'; ' if reason else ''}{reason}) exceeds"
            f" limits.half_select_v {limits.half_select_v:g}"
        )


def _check_gate(pulse: PulseMap, limits: Limits) -> None:
    if pulse.gate_v is None:
        return
    place: tuple[int, ...] | None = None
    gate_v = pulse.gate_v
    if isinstance(gate_v, np.ndarray):
        index = gate_v.argmin() if gate_v.min() < 0 else gate_v.argmax()
        place = _place(gate_v, index)
        gate_v = float(gate_v[place])
    where = "" if place is None else f"{cell_name(place)}: "
    if limits.gate_v is None:
        raise LimitError(f"{where}gate_v {gate_v:g} given, but the array has no limits.gate_v")
    if not 0 <= gate_v <= limits.gate_v:
        raise LimitError(
            f"{where}gate_v {gate_v:g} is outside 0 to limits.gate_v {limits.gate_v:g}"
        )


def _check_magnitude(read_v: float, bound_v: float) -> None:
    if abs(read_v) > bound_v:
        raise LimitError(f"read_v {read_v:g} exceeds limits.read_v {bound_v:g}")


def _check_vectors(batch: VectorBatch, bound_v: float) -> None:
    magnitude_v = np.abs(batch.voltage_v)
    if magnitude_v.max(initial=0.0) > bound_v:
        *_, vector, line = place = _place(batch.voltage_v, magnitude_v.argmax())
        raise LimitError(
            f"vector {vector}, {batch.driven[:3]} {line}: voltage_v {batch.voltage_v[place]:g}"
            f" exceeds limits.read_v {bound_v:g}"
        )


def _check_blocks(batch: BlockBatch, bound_v: float) -> None:
    """Check every voltage that a vector can have: those given, the constant one, and 0 V."""
    low_v, high_v = batch.extremes_v
    if max(-low_v, high_v) <= bound_v:
        return
    if batch.constant_v is not None and abs(batch.constant_v) > bound_v:
        raise LimitError(f"constant_v {batch.constant_v:g} exceeds limits.read_v {bound_v:g}")
    place = _place(batch.voltage_v, np.abs(batch.voltage_v).argmax())
    raise LimitError(
        f"voltage_v at {place} is {batch.voltage_v[place]:g}; exceeds limits.read_v {bound_v:g}"
    )


def _refuse(
    amplitude_v: FloatArray, index: np.intp, relation: str, name: str, bound_v: float
) -> None:
    place = _place(amplitude_v, index)
    raise LimitError(
        f"{cell_name(place)}: amplitude_v {amplitude_v[place]:g} {relation}"
        f" limits.{name} {bound_v:g}"
    )


def _place(values: FloatArray, index: np.intp) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(index, values.shape))
