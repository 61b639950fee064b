"""The emulator as a backend: cells, noise, converters, compliance, and a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pydantic import ValidationInfo, model_validator
from typing_extensions import override

from hwloop.array.blocks import BlockBatch, DrivenLines
from hwloop.array.maps import most_addressed
from hwloop.array.operations import (
    Flag,
    Hold,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
    any_limited,
    unlimited,
)
from hwloop.array.operations import limited as limited_pulses
from hwloop.backend.base import CrossbarBackend, Description, Event
from hwloop.backend.kind import BackendKind, OpenRequest
from hwloop.backend.shapes import check_shape
from hwloop.errors import BackendError, ConfigError, Unsupported
from hwloop.messages import cell_name
from hwloop.settings.field_units import units_of
from hwloop.settings.model import Settings, folder_of
from hwloop.settings.units import Fraction, PositiveSecond
from hwloop.types import BoolArray, FlagArray, FloatArray
from hwloop_sim.calibration.twin import in_place_of_device, whole_twin
from hwloop_sim.cells.choice import DeviceChoice, make_cells
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.cells.current_law import CellLawSettings
from hwloop_sim.cells.effect import EffectChoice
from hwloop_sim.cells.known_pulses import UnknownPulse
from hwloop_sim.emulator.block_products import BlockProducts
from hwloop_sim.emulator.limit_events import LimitEvents
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.products import Product, Products, joined
from hwloop_sim.emulator.readout import ConverterSettings, Readout, metered
from hwloop_sim.emulator.sides import FromColumns, Side
from hwloop_sim.emulator.wire_settings import WireSettings
from hwloop_sim.emulator.wired_pulses import pulse_through_wires


class SimSettings(Settings):
    """Settings of the emulated array.

    ``calibration``: the name of a shipped calibration or the path of a file, which completes the
    keys beside it; see :func:`hwloop_sim.calibration.twin.whole_twin`. ``device``: ``model`` names
    the device model, the other keys are its settings. ``cell_law``: current-voltage law, where the
    model has none. ``effects``: non-idealities of the cells, ``effect`` names each. ``wires``:
    resistances of the lines; left out, they are ideal. ``converters``: DAC, ADC and tiles of a
    multiplication. ``read_noise``: standard deviation of each cell's current in each read, as a
    fraction of it; the effect ``white_noise`` has more settings. ``read_time_s``: duration of one
    read, or of one vector of a multiplication, on the emulator's clock.
    """

    device: DeviceChoice
    cell_law: CellLawSettings | None = None
    effects: tuple[EffectChoice, ...] = ()
    wires: WireSettings | None = None
    converters: ConverterSettings = ConverterSettings()
    read_noise: Fraction = 0.0
    read_time_s: PositiveSecond = 1e-3

    @model_validator(mode="before")
    @classmethod
    def _twin(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("calibration"), str):
            return data
        try:
            return whole_twin(data, folder_of(info))
        except ConfigError as exc:
            raise ValueError(str(exc)) from None


class EmulatedArray(CrossbarBackend):
    """A population of arrays of one device model; see :class:`SimSettings`.

    Time passes before the effect of an operation: a read shows the cells at its end. Cells are
    pulsed and read one after the other; from the end of a pulse to that of the next of a rhythm
    each waits the interval and the width of the next. All rows of a vector are multiplied at once,
    or where lines float, its products are summed from reads of single cells. Nothing is driven
    between operations.
    """

    def __init__(
        self,
        cells: NonIdealDevice,
        lines: ArrayLines,
        readout: Readout,
        request: OpenRequest,
        *,
        from_columns: FromColumns,
        blocks_rng: np.random.Generator,
        read_noise: float = 0.0,
        read_time_s: float = 1e-3,
        identity: dict[str, object] | None = None,
        units: dict[str, str] | None = None,
    ) -> None:
        population = request.array.outer_shape(request.population)
        self._description = Description(
            name="sim",
            geometry=request.array.geometry,
            population=population,
            multiply="superposition" if lines.one_by_one else "parallel",
            identity=identity or {},
            units=units or {},
            code_bits=None if readout.adc is None or readout.adc.each_vector else readout.adc.bits,
            holds=True,
        )
        self._cells = cells
        self._lines = lines
        self._readout = readout
        self._rng = request.rng
        self._compliance_a = request.array.limits.current_a
        self._pulse_limits = lines.pulse_limits(bound_a=self._compliance_a)
        self._read_noise = read_noise
        self._read_time_s = read_time_s
        cells_of_vector = request.array.rows * request.array.cols if lines.one_by_one else 1
        self._vector_time_s = cells_of_vector * read_time_s
        products = Products(lines, cells.read_noise, fraction=read_noise, rng=request.rng)
        self._sides: dict[DrivenLines, Side] = {
            "rows": Side(cells, lines, readout, products),
            "cols": from_columns.side(cells, fraction=read_noise, rng=request.rng),
        }
        self._blocks = BlockProducts(lines, readout, fraction=read_noise, rng=blocks_rng)
        self._limits = LimitEvents()
        self._latest: tuple[int, int, object, PulseMap] | None = None
        self._now_s = 0.0
        self._closed = False

    @property
    @override
    def description(self) -> Description:
        return self._description

    @override
    def groups(self) -> Iterator[BoolArray]:
        if not self._lines.one_by_one:
            yield from super().groups()
            return
        # As on a bench: where lines float, what is read of a cell depends on the order.
        rows, cols = shape = self._description.geometry.shape
        for col, row in np.ndindex(cols, rows):
            group = np.zeros(shape, dtype=np.bool_)
            group[row, col] = True
            yield group

    @override
    def now_s(self) -> float:
        return self._now_s

    @override
    def check(self, operation: Operation) -> None:
        check_shape(operation, self._description.shape)
        match operation:
            case PulseMap():
                self._reached(operation)
            case PulsePair():
                for pulse in operation.pulses:
                    self._reached(pulse)
            case Ramp():
                for pulse in operation.pulses():
                    self._reached(pulse)
            case VectorBatch() | BlockBatch():  # the converters are alike on both sides
                self._readout.check(operation.voltage_v)

    @override
    def duration_s(self, operation: Operation) -> float:
        match operation:
            case ReadMap():
                cells = most_addressed(operation.addressed)
                reads = 2 * cells if operation.both_polarities else cells
                return float(reads * self._read_time_s)
            case VectorBatch():
                return float(operation.voltage_v.shape[-2] * self._vector_time_s)
            case BlockBatch():
                return float(operation.vectors * len(operation.rounds) * self._vector_time_s)
        return super().duration_s(operation)

    @override
    def pulse(self, pulse: PulseMap) -> FlagArray:
        self._refuse_if_closed()
        self.check(pulse)
        one, rest = (pulse, 0) if pulse.interval_s is None else (pulse.single(), pulse.count - 1)
        between_s = (pulse.interval_s or 0.0) + pulse.width_s
        self._elapse(self.duration_s(pulse) - rest * between_s)
        flags = unlimited(pulse, self._description.shape)
        self._apply(one, flags)
        for _ in range(rest):
            self._elapse(between_s)
            self._apply(one, flags)
        self._note_limited(flags)
        return flags

    @override
    def pair(self, pair: PulsePair) -> FlagArray:
        self._refuse_if_closed()
        self.check(pair)
        between_s = pair.interval_s + pair.second_width_s
        self._elapse(self.duration_s(pair) - between_s)
        flags = unlimited(pair, self._description.shape)
        first, second = pair.pulses
        self._apply(first, flags)
        self._elapse(between_s)
        self._apply(second, flags)
        self._note_limited(flags)
        return flags

    def _apply(self, pulse: PulseMap, flags: FlagArray) -> None:
        """Apply pulses to the cells now, and mark those that a limit has cut, in place."""
        _mark(flags, self._pulse_limits.limited(self._cells, pulse))
        if self._lines.integrated_pulses and self._cells.continuous is not None:
            pulse_through_wires(self._lines, self._cells, pulse)
        elif self._cells.half_select:
            for stress in self._lines.stresses(self._cells, pulse):
                self._cells.pulse(stress)
        else:
            self._cells.pulse(self._reached(pulse))
        # A cell that a pulse has turned on meets the compliance before its pulse ends.
        _mark(flags, self._pulse_limits.limited(self._cells, pulse))

    @override
    def read(self, read: ReadMap) -> Reading:
        self._begin(read)
        conductance_s = self._cells.conductance_s
        current_a = self._currents_a(read)
        reads = 2 if read.both_polarities else 1
        if self._read_noise:
            noise = self._rng.normal(size=(reads, *current_a.shape)).mean(axis=0)
            current_a = current_a * (1 + self._read_noise * noise)
        addressed = None if read.addressed.all() else read.addressed
        for noise_ in self._cells.read_noise:
            variance_a2 = noise_.conductance_variance_s2(conductance_s) * read.read_v**2
            if addressed is not None:  # what is not read needs no number
                variance_a2 *= addressed
            noise_.add(current_a, variance_a2, unit_a2=1.0, reads=reads)
        noisy = bool(self._cells.read_noise)  # its numbers come from compiled loops
        reading = metered(current_a, self._compliance_a, addressed, loaded=noisy)
        levels_v = (read.read_v, -read.read_v) if read.both_polarities else (read.read_v,)
        for level_v in levels_v if not self._cells.linear else levels_v[:1]:
            limited = self._lines.limited(self._cells, level_v, bound_a=self._compliance_a)
            if limited is not None:
                limited = limited & read.addressed
                _spoil(reading, limited)
                self._limits.note("read", limited)
        self._cells.note_read(lambda: _read_voltages_v(read))
        return reading

    @override
    def multiply(self, batch: VectorBatch) -> Reading:
        self._refuse_if_closed()
        self.check(batch)
        side = self._sides[batch.driven]
        voltage_v = side.readout.drive(batch.voltage_v)
        unit_v = float(np.abs(voltage_v).max(initial=0.0)) or 1.0
        partial_a = [
            side.products.noisy(product, unit_v=unit_v)
            for product in self._partial_products(side, voltage_v, unit_v)
        ]
        limited = [
            side.lines.limited_products(
                side.cells, voltage_v[..., rows], rows, bound_a=self._compliance_a
            )
            for rows in side.lines.row_slices
        ]
        # A sum of reads may exceed the compliance that each of them keeps.
        bound_a = np.inf if self._lines.one_by_one else self._compliance_a
        reading = side.readout.read(partial_a, compliance_a=bound_a)
        for mask in limited:
            _spoil(reading, mask)
        self._cells.note_read(lambda: _vector_voltages_v(voltage_v, batch.driven))
        return reading

    @override
    def multiply_blocks(self, batch: BlockBatch) -> Reading:
        self._refuse_if_closed()
        self.check(batch)
        if not self._blocks.can(self._cells, batch, bound_a=self._compliance_a):
            return super().multiply_blocks(batch)
        self._elapse(self.duration_s(batch))
        return self._blocks.answer(self._cells, batch, bound_a=self._compliance_a)

    @override
    def hold(self, hold: Hold) -> None:
        self._begin(hold)
        self._cells.hold(hold.conductance_s, hold.addressed)

    @override
    def wait(self, wait: Wait) -> None:
        self._begin(wait)

    @override
    def make_safe(self) -> None:
        pass

    @override
    def close(self) -> None:
        self._closed = True

    @override
    def take_events(self) -> list[Event]:
        ranges = [event for side in self._sides.values() for event in side.readout.take_events()]
        return [*self._limits.take(), *self._cells.take_events(), *ranges]

    def _begin(self, operation: Operation) -> None:
        self._refuse_if_closed()
        self.check(operation)
        self._elapse(self.duration_s(operation))

    def _reached(self, pulse: PulseMap) -> PulseMap:
        """Return the pulse as the cells take it; raise what the model refuses, with the reason.

        A model that knows single pulses alone takes what it was meant to get: its step is that of
        the pulse that a bench sends. This is told once.
        """
        applied = self._applied(pulse)
        try:
            self._cells.check(applied)
        except Unsupported as exc:
            self._cells.check(pulse)
            lost_v = np.where(pulse.addressed, np.abs(pulse.amplitude_v - applied.amplitude_v), 0.0)
            place = tuple(int(i) for i in np.unravel_index(int(lost_v.argmax()), lost_v.shape))
            asked_v = np.broadcast_to(pulse.amplitude_v, lost_v.shape)[place]
            left = (
                f"of {asked_v:.4g} V the wires leave {applied.amplitude_v[place]:.4g} V at"
                f" {cell_name(place)}"
            )
            if isinstance(exc, UnknownPulse) and self._lines.integrated_pulses:
                self._limits.note_lost(left)
                return pulse
            raise Unsupported(
                f"{exc}; {left}; backends.sim.wires.pulses: ideal lets the wires act on reads and"
                " products alone"
            ) from None
        return applied

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise BackendError("the emulated array is closed")

    def _note_limited(self, flags: FlagArray) -> None:
        if any_limited(flags):
            self._limits.note("pulse", limited_pulses(flags))

    def _elapse(self, duration_s: float) -> None:
        self._now_s += duration_s
        self._cells.wait(duration_s)

    def _currents_a(self, read: ReadMap) -> FloatArray:
        """Return the current of every cell that is read, free of read noise."""
        up_a = self._lines.read(self._cells, read.addressed, read.read_v)
        if self._cells.linear or not read.both_polarities:
            return up_a
        return (up_a - self._lines.read(self._cells, read.addressed, -read.read_v)) / 2

    def _applied(self, pulse: PulseMap) -> PulseMap:
        """Return the voltages at the selected cells; kept while pulse and state are the same."""
        conductance_s = self._cells.conductance_s
        if self._latest is None or self._latest[:2] != (id(pulse), id(conductance_s)):
            applied = self._lines.selected(self._cells, pulse)
            self._latest = (id(pulse), id(conductance_s), (pulse, conductance_s), applied)
        return self._latest[3]

    def _partial_products(self, side: Side, voltage_v: FloatArray, unit_v: float) -> list[Product]:
        """Compute the products of each row of tiles; vector by vector where cells vary in time."""
        vectors = voltage_v.shape[-2]
        size = 1 if self._cells.time_varying else max(vectors, 1)
        chunks = []
        for begin in range(0, max(vectors, 1), size):
            chunk_v = voltage_v[..., begin : begin + size, :]
            self._elapse(chunk_v.shape[-2] * self._vector_time_s)
            chunks.append(
                [
                    side.products.of(side.cells, chunk_v, rows, unit_v=unit_v)
                    for rows in side.lines.row_slices
                ]
            )
        return [joined(products) for products in zip(*chunks, strict=True)]


def _spoil(reading: Reading, limited: BoolArray | None) -> None:
    """Mark the currents, in place, that were read with a source at its compliance: no numbers."""
    if limited is not None:
        reading.current_a[limited] = np.nan
        _mark(reading.flags, limited)


def _mark(flags: FlagArray, limited: BoolArray | None) -> None:
    """Flag, in place, what a source at its compliance has spoilt."""
    if limited is not None:
        flags[limited] |= np.uint8(Flag.COMPLIANCE)


def _read_voltages_v(read: ReadMap) -> FloatArray:
    """Return the voltage at each cell, read by read, (reads, ..., rows, cols)."""
    once_v = np.where(read.addressed, read.read_v, 0.0)
    return np.stack([once_v, -once_v] if read.both_polarities else [once_v])


def _vector_voltages_v(voltage_v: FloatArray, driven: DrivenLines) -> FloatArray:
    """Return the voltage at each cell, vector by vector, broadcastable to (..., rows, cols)."""
    each_v = np.moveaxis(voltage_v, -2, 0)
    return each_v[..., None] if driven == "rows" else -each_v[..., None, :]


def open_sim(settings: SimSettings, request: OpenRequest) -> EmulatedArray:
    """Make the emulated array that ``settings`` describe."""
    outer = request.array.outer_shape(request.population)
    shape = (*outer, *request.array.geometry.shape)
    # The order of the spawns fixes the draws of a seed: new ones come last.
    device_rng, array_rng, effects_rng, readout_rng, blocks_rng, rows_rng = request.rng.spawn(6)
    cells = make_cells(
        settings.device,
        settings.effects,
        shape,
        device_rng=device_rng,
        effects_rng=effects_rng,
        law=settings.cell_law,
    )
    wires = None if settings.wires is None else settings.wires.wires()
    return EmulatedArray(
        cells,
        ArrayLines(
            wires,
            settings.converters.tiles,
            request.array.biasing,
            request.array.geometry.shape,
            pulses="ideal" if settings.wires is None else settings.wires.pulses,
        ),
        Readout(settings.converters, shape, readout_rng),
        OpenRequest(request.array, request.population, array_rng),
        from_columns=FromColumns(
            wires, settings.converters, request.array.biasing, shape, rows_rng
        ),
        blocks_rng=blocks_rng,
        read_noise=settings.read_noise,
        read_time_s=settings.read_time_s,
        identity={"emulator": "hwloop_sim", **settings.model_dump(mode="json")},
        units=units_of(settings),
    )


SIM = BackendKind(
    name="sim",
    summary="Emulated array or population: device model, variability, noise",
    settings=SimSettings,
    open=open_sim,
    twins=True,
    with_calibration=in_place_of_device,
)
