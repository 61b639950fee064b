"""Preview a procedure: its operations, worst voltages and duration, without running it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.array.biasing import worst_half_select_v
from hwloop.array.blocks import BlockBatch
from hwloop.array.limits import check_operation
from hwloop.array.line_bounds import LineBounds
from hwloop.array.maps import most_addressed
from hwloop.array.operations import (
    Hold,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    ReadMap,
    VectorBatch,
)
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.guard import Guard, line_bounds
from hwloop.errors import LimitError, Unsupported
from hwloop.procedure.procedure import Procedure
from hwloop.settings.units import format_quantity
from hwloop.steps.contract import PlannedOperation


@dataclass(frozen=True)
class PreviewedOperation:
    """One kind of operation of a step, at its worst case, and its highest count.

    ``duration_s``: of all of them together on the array.
    """

    label: str
    summary: str
    at_most: int
    duration_s: float


@dataclass(frozen=True)
class WorstCase:
    """Bound of what a procedure does, beside the limit of the array that it is held against.

    ``value``, ``limit``: in ``unit``, signed; "" is a count. A negative limit is a lower one.
    ``setting``: the limit's name below ``array.limits``.
    """

    summary: str
    value: float
    setting: str
    limit: float
    unit: str = ""

    @property
    def exceeds(self) -> bool:
        """Return whether the value is beyond the limit by more than rounding."""
        beyond = self.value > self.limit if self.limit > 0 else self.value < self.limit
        rounded = bool(self.unit) and math.isclose(self.value, self.limit, rel_tol=1e-12)
        return beyond and not rounded

    def texts(self) -> tuple[str, str, str]:
        """Return summary, value and limit for a table."""
        value, limit = (
            format_quantity(one, self.unit) if self.unit else str(one)
            for one in (self.value, self.limit)
        )
        return self.summary, value, limit

    def __str__(self) -> str:
        """Return the bound in a sentence with its limit."""
        summary, value, limit = self.texts()
        return f"{summary}: {value} exceeds limits.{self.setting} {limit}"


@dataclass(frozen=True)
class Preview:
    """Upper bounds of everything that a procedure does.

    ``highest_v``, ``lowest_v``: of the pulses, signed; the other voltages are magnitudes.
    ``pulses_per_device`` counts from the array's ``pulses_before`` and its earlier runs.
    ``remarks``: what the steps say besides, one line each.
    """

    operations: tuple[PreviewedOperation, ...]
    highest_v: float
    lowest_v: float
    half_selected_v: float
    read_v: float
    pulses_per_device: int
    pulse_energy_j: float
    remarks: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Expected time on the array, at most."""
        return sum(operation.duration_s for operation in self.operations)

    def worst_cases(self, array: ArraySettings) -> tuple[WorstCase, ...]:
        """Return the bounds beside the limits of the array, in the order of its limits."""
        limits = array.limits
        half_selected = f"half-selected cell ({array.biasing})"
        return (
            WorstCase("highest pulse", self.highest_v, "positive_v", limits.positive_v, "V"),
            WorstCase("lowest pulse", self.lowest_v, "negative_v", limits.negative_v, "V"),
            WorstCase(
                half_selected, self.half_selected_v, "half_select_v", limits.half_select_v, "V"
            ),
            WorstCase("read", self.read_v, "read_v", limits.read_v, "V"),
            WorstCase(
                "energy of a pulse at the compliance",
                self.pulse_energy_j,
                "pulse_energy_j",
                limits.pulse_energy_j,
                "J",
            ),
            WorstCase(
                "pulses per device",
                self.pulses_per_device,
                "pulses_per_device",
                limits.pulses_per_device,
            ),
        )

    def refuse_beyond_limits(self, array: ArraySettings) -> None:
        """Raise :class:`LimitError` with every bound that is beyond its limit."""
        beyond = [str(case) for case in self.worst_cases(array) if case.exceeds]
        if beyond:
            raise LimitError("the procedure may exceed its limits: " + "; ".join(beyond))


def refuse_beyond_limits(procedure: Procedure) -> None:
    """Raise :class:`LimitError` where a planned operation would exceed a limit of the array."""
    for label, planned in _planned(procedure):
        try:
            check_operation(planned.operation, procedure.array.limits, procedure.array.biasing)
        except LimitError as exc:
            raise LimitError(f"{label}: {exc}") from None


def refuse_unsupported(procedure: Procedure, backend: CrossbarBackend) -> None:
    """Raise what the backend would raise for a planned operation that it cannot do, and its step.

    The message begins with the label of the step.
    """
    guard = Guard(backend, procedure.array)
    for label, planned in _planned(procedure):
        try:
            guard.check(planned.operation)
        except LimitError as exc:
            raise LimitError(f"{label}: {exc}") from None
        except Unsupported as exc:
            raise Unsupported(f"{label}: {exc}") from None


def preview(
    procedure: Procedure, backend: CrossbarBackend, *, pulses_before: NDArray[np.int64] | int = 0
) -> Preview:
    """Compute upper bounds for a procedure; durations are those that ``backend`` expects.

    ``pulses_before``: of each cell in earlier runs, (rows, cols), besides the array's own.
    """
    array = procedure.array
    lines = line_bounds(backend.description, array)
    planned = list(_planned(procedure))
    pulses = [pulse for _, entry in planned for pulse in _worst_pulses(entry.operation)]
    return Preview(
        operations=tuple(
            PreviewedOperation(
                label,
                describe(entry.operation, array),
                entry.at_most,
                entry.at_most * backend.duration_s(entry.operation),
            )
            for label, entry in planned
        ),
        highest_v=max((float(pulse.amplitude_v.max()) for pulse in pulses), default=0.0),
        lowest_v=min((float(pulse.amplitude_v.min()) for pulse in pulses), default=0.0),
        half_selected_v=max((_half_selected(pulse, array, lines) for pulse in pulses), default=0.0),
        read_v=max((_read(entry.operation) for _, entry in planned), default=0.0),
        pulses_per_device=_pulses_per_device(procedure, pulses_before),
        pulse_energy_j=max((_energy(pulse, array) for pulse in pulses), default=0.0),
        remarks=tuple(
            f"{prepared.label}: {prepared.plan.remark(backend)}"
            for prepared in procedure.steps
            if prepared.plan.remark is not None
        ),
    )


def describe(operation: Operation, array: ArraySettings) -> str:
    """Describe an operation in one line with its figures."""
    cells = array.rows * array.cols
    match operation:
        case PulseMap():
            addressed = most_addressed(operation.addressed)
            train = "" if operation.count == 1 else f", {operation.count} times"
            if operation.rhythm_s:
                train += f" {format_quantity(operation.interval_s or 0.0, 's')} apart"
            return (
                f"pulse {addressed} of {cells} cells,"
                f" {format_quantity(_magnitude(operation), 'V')},"
                f" {format_quantity(operation.width_s, 's')}{train}{_gate_text(operation)}"
            )
        case PulsePair():
            return _pair_text(operation, cells)
        case ReadMap():
            addressed = most_addressed(operation.addressed)
            return f"read {addressed} of {cells} cells, {_read_text(operation)}"
        case Ramp():
            return _ramp_text(operation, cells)
        case VectorBatch():
            return (
                f"multiply {operation.voltage_v.shape[-2]} vectors{_lines_text(operation)},"
                f" up to {format_quantity(_read(operation), 'V')}"
            )
        case BlockBatch():
            blocks = len(operation.blocks)
            return (
                f"multiply {operation.vectors} vectors by {blocks} block{'s' * (blocks > 1)}"
                f"{_lines_text(operation)},"
                f" up to {format_quantity(_read(operation), 'V')}"
            )
        case Hold():
            addressed = most_addressed(operation.addressed)
            return f"set {addressed} of {cells} cells to conductances, without a pulse"
        case _:
            return f"wait {format_quantity(operation.duration_s, 's')}"


def _planned(procedure: Procedure) -> Iterator[tuple[str, PlannedOperation]]:
    for prepared in procedure.steps:
        for planned in prepared.plan.operations:
            yield prepared.label, planned


def _pair_text(pair: PulsePair, cells: int) -> str:
    addressed = most_addressed(pair.addressed)
    first, second = (
        f"{format_quantity(float(one.amplitude_v.flat[np.abs(one.amplitude_v).argmax()]), 'V')}"
        f" for {format_quantity(one.width_s, 's')}"
        for one in pair.pulses
    )
    return (
        f"pair {addressed} of {cells} cells, {first}, then {second} after"
        f" {format_quantity(pair.interval_s, 's')}{_gate_text(pair.pulses[0])}"
    )


def _ramp_text(ramp: Ramp, cells: int) -> str:
    addressed = most_addressed(ramp.addressed)
    first, last = ramp.ends()
    return (
        f"ramp {addressed} of {cells} cells, up to {ramp.steps} pulses of up to"
        f" {format_quantity(max(_magnitude(first), _magnitude(last)), 'V')},"
        f" {format_quantity(ramp.width_s, 's')}"
        f"{_gate_text(max(first, last, key=lambda pulse: pulse.highest_gate_v or 0.0))},"
        f" each read at {_read_text(ramp)}"
    )


def _read_text(read: ReadMap | Ramp) -> str:
    """Return the voltage of a read, of both signs where it is of both polarities."""
    if read.both_polarities:
        return f"±{format_quantity(abs(read.read_v), 'V')}"
    return format_quantity(read.read_v, "V")


def _gate_text(pulse: PulseMap) -> str:
    if pulse.highest_gate_v is None:
        return ""
    several = "up to " if isinstance(pulse.gate_v, np.ndarray) else ""
    return f", gate {several}{format_quantity(pulse.highest_gate_v, 'V')}"


def _lines_text(batch: VectorBatch | BlockBatch) -> str:
    return "" if batch.driven == "rows" else " from the columns, measured at the rows"


def _worst_pulses(operation: Operation) -> tuple[PulseMap, ...]:
    """Return the pulses of an operation that are its worst in any respect."""
    match operation:
        case PulseMap():
            return (operation,)
        case PulsePair():
            return operation.pulses
        case Ramp():
            return operation.ends()
    return ()


def _magnitude(pulse: PulseMap) -> float:
    return pulse.largest_v


def _half_selected(pulse: PulseMap, array: ArraySettings, lines: LineBounds | None) -> float:
    bound = None if lines is None else lines.stress(_magnitude(pulse))
    return float(worst_half_select_v(array.biasing, pulse.amplitude_v, bound).max())


def _read(operation: Operation) -> float:
    match operation:
        case ReadMap() | Ramp():
            return abs(operation.read_v)
        case VectorBatch():
            return float(np.abs(operation.voltage_v).max(initial=0.0))
        case BlockBatch():
            return max(map(abs, operation.extremes_v))
    return 0.0


def _energy(pulse: PulseMap, array: ArraySettings) -> float:
    return _magnitude(pulse) * array.limits.current_a * pulse.width_s


def _pulses_per_device(procedure: Procedure, pulses_before: NDArray[np.int64] | int) -> int:
    """Count the pulses of the cell that may get most, those before this run included."""
    array = procedure.array
    # In Python's integers, which do not wrap around.
    counts = np.full(array.geometry.shape, array.pulses_before, dtype=object) + pulses_before
    for prepared in procedure.steps:
        of_step = np.zeros(array.geometry.shape, dtype=object)
        for planned in prepared.plan.operations:
            match planned.operation:
                case PulseMap() as pulse:
                    each = int(pulse.count) * planned.at_most
                    of_step = of_step + pulse.addressed.astype(object) * each
                case PulsePair() as pair:
                    of_step = of_step + pair.addressed.astype(object) * 2 * planned.at_most
                case Ramp() as ramp:
                    each = ramp.steps * planned.at_most
                    of_step = of_step + ramp.addressed.astype(object) * each
        if prepared.plan.any_cell:
            of_step = np.full(of_step.shape, of_step.max())
        bound = prepared.plan.pulses_per_cell
        counts = counts + (of_step if bound is None else np.minimum(of_step, bound))
    return int(counts.max())
