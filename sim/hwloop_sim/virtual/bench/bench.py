"""A station's virtual bench: its instruments, their servers, one circuit, one emulated array."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.station.parts import InstrumentEntry
from hwloop.station.station import Station
from hwloop_sim.cells.choice import make_cells
from hwloop_sim.cells.device import Device
from hwloop_sim.emulator.backend import SimSettings
from hwloop_sim.virtual.bench.faults import Fault, Faults, Stalled
from hwloop_sim.virtual.bench.hislip import serve_hislip
from hwloop_sim.virtual.bench.servers import (
    Endless,
    Hangup,
    serve_serial,
    serve_socket,
)
from hwloop_sim.virtual.circuit.cell_reads import CellReads
from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.dummy import DummyArray
from hwloop_sim.virtual.circuit.instrument import VirtualInstrument
from hwloop_sim.virtual.witnesses.keysight_infiniivision import KeysightInfiniiVision

VIRTUAL_INSTRUMENTS = "hwloop.virtual_instruments"
WITNESSES: dict[str, type[VirtualInstrument]] = {"keysight_infiniivision": KeysightInfiniiVision}
POLL_S = 20e-3
LINE_ENDS = {"LF": b"\n", "CR": b"\r", "CR LF": b"\r\n", "LF CR": b"\n\r"}


def _compile(settings: SimSettings, array: ArraySettings) -> None:
    """Compile the device model and its read noise, on cells that nobody else uses.

    Compiled at the first pulse or reading, they would outlast the time-outs of the links that wait.
    """
    rng = np.random.default_rng(0)
    shape = array.geometry.shape
    cells = make_cells(
        settings.device, settings.effects, shape, device_rng=rng, effects_rng=rng.spawn(1)[0]
    )
    if cells.half_select:
        cells.pulse(PulseMap(np.full(shape, 1e-3), 1e-6))
    if cells.read_noise:
        reads = CellReads(cells, fraction=0.0, quiet_v=1.0, rng=rng)
        reads.noise_a(np.zeros(shape), np.ones(shape, dtype=np.bool_))


class VirtualBench:
    """The instruments of a station with virtual addresses, and the servers that reach them.

    The emulated cells are the same that the emulator makes of ``settings`` and ``seed``, so that a
    run over the instruments can be compared with one on the emulator; with ``dummy`` they are the
    resistors of the station's self-test instead. All effects of the cells act, those of a read on
    every reading of an instrument. The instruments have noise and converters of their own in place
    of the emulator's converters.
    """

    def __init__(
        self,
        station: Station,
        array: ArraySettings,
        settings: SimSettings,
        *,
        seed: int,
        dummy: bool = False,
    ) -> None:
        if station.virtual is None:
            raise ConfigError(f"station {station.name} has no virtual bench", key="virtual")
        station.check_geometry(array.geometry)
        self.station = station
        self.seed = seed
        self.lock = threading.RLock()
        self.clock = BenchClock(real_time=station.virtual.real_time)
        # In the order in which the runner and the emulator draw them.
        rng = np.random.default_rng(seed).spawn(2)[0]
        device_rng, noise_rng, effects_rng = rng.spawn(3)
        (reads_rng,) = rng.spawn(1)
        if settings.cell_law is not None:
            raise ConfigError(
                "the cells of a virtual bench are linear; remove the law, or use the emulator",
                key="backends.sim.cell_law",
            )
        self.device: Device
        reads = None
        if dummy:
            self.device = _dummy(station)
        else:
            self.device = cells = make_cells(
                settings.device,
                settings.effects,
                array.geometry.shape,
                device_rng=device_rng,
                effects_rng=effects_rng,
            )
            _compile(settings, array)
            reads = CellReads(
                cells, fraction=settings.read_noise, quiet_v=array.limits.read_v, rng=reads_rng
            )
        gate_v = array.read.gate_v
        self.circuit = Circuit(
            station,
            self.device,
            self.clock,
            quiet_v=array.limits.read_v,
            harmless_v=array.limits.half_select_v,
            gate_on_v=None if gate_v is None else gate_v / 2,
            wires=None if settings.wires is None or dummy else settings.wires.wires(),
            reads=reads,
        )
        self._pulse_v = array.limits.half_select_v * (1 + 1e-9)  # above it a cell is pulsed
        self.clients = 0
        self.last_client_s = time.monotonic()
        self.instruments: dict[str, VirtualInstrument] = {}
        self._ends = {
            name: LINE_ENDS[station.virtual.line_ends.get(name, "LF")]
            for name in station.instruments
        }
        self._faults = {name: Faults() for name in station.instruments}
        for name, entry in station.instruments.items():
            noise = noise_rng.spawn(1)[0] if station.virtual.noise else None
            self.instruments[name] = self._make(name, entry, noise)
            for message in station.virtual.earlier_messages.get(name, ()):
                self.instruments[name].receive(message)
        self.witness = self._make_witness()
        self.addresses: dict[str, str] = {}
        self.witness_address = ""
        self._stops: dict[str, Callable[[], None]] = {}
        self.messages = dict.fromkeys(self.instruments, 0)
        self.struck_host_s = 0.0
        self._stalling = False
        self.clock.on_elapse(self._stall_in_pulse)  # after the circuit has applied the time

    def start(self) -> None:
        """Start one server for every address, and the polling of the instruments."""
        for name, entry in self.station.instruments.items():
            _, interface, *number = entry.address.split(":")
            port = _InstrumentPort(self, name)
            if interface == "socket":
                address, stop = serve_socket(port, int(number[0]) if number else 0)
            elif interface == "hislip":
                address, stop = serve_hislip(port, int(number[0]) if number else 0)
            elif interface == "serial":
                path, stop = serve_serial(port)
                plain = self.instruments[name].serial_lines
                address = path if plain else f"ASRL{path}::INSTR"
            else:
                raise ConfigError(
                    f"{entry.address}: a virtual address is virtual:socket, virtual:hislip or"
                    " virtual:serial",
                    key=f"instruments.{name}.address",
                )
            self.addresses[name] = address
            self._stops[name] = stop
        if self.witness is not None:
            self.witness_address, self._stops["witness of the bench"] = serve_socket(
                _WitnessPort(self, self.witness)
            )
        self._stops[""] = self._poll()

    def stop(self) -> None:
        """Stop all servers and the polling."""
        for name in list(self._stops):
            self._stops.pop(name)()

    def status(self) -> dict[str, Any]:
        """Return the state of every output and line now, and the pulses that no model covers."""
        with self.lock:
            return {
                "now_s": self.clock.now_s,
                "outputs_on": {
                    f"{name}.{channel}" if channel else name: on
                    for name, instrument in self.instruments.items()
                    for channel, on in instrument.output_states().items()
                },
                "outputs_v": self.circuit.output_volts(),
                "lines_v": self.circuit.line_volts(),
                "closed": list(self.circuit.closed_channels()),
                "floating": list(self.circuit.floating_lines()),
                "unmodelled": list(self.circuit.unmodelled),
                "messages": dict(self.messages),
                "struck_host_s": self.struck_host_s,
                "pulses": self.circuit.pulses.tolist(),
                "conductance_s": self.device.conductance_s.tolist(),
            }

    def add_fault(self, fault: Fault) -> None:
        """Inject a fault into an instrument or into the wiring."""
        with self.lock:
            match fault.kind:
                case "break":
                    self.circuit.break_line(fault.line)
                case "exchange":
                    self.circuit.exchange(fault.line, fault.other)
                case _ if fault.instrument not in self.instruments:
                    raise ConfigError(f"there is no instrument {fault.instrument!r}")
                case "stick_open" | "stick_closed":
                    closed = fault.kind == "stick_closed"
                    self.circuit.stick(fault.instrument, fault.channel, closed=closed)
                case _:
                    self._faults[fault.instrument].add(fault)

    def answer(self, name: str, message: str) -> bytes | None:
        """Return an instrument's reply to a message, with its pending faults; None for no reply."""
        virtual = self.station.virtual
        if virtual is not None and virtual.latency_s:
            time.sleep(virtual.latency_s)
        with self.lock:
            self.messages[name] += 1
            self.last_client_s = time.monotonic()  # a serial port has no connections to count
            fault = self._faults[name].next(message)
            if fault is not None and self._is_cut_off(name, fault):
                return None
            if fault is not None and fault.kind == "trip":
                self.struck_host_s = self.struck_host_s or time.time()
                self.instruments[name].trip()
                fault = None
            reply = self._receive(name, message, fault)
            if fault is not None and reply is not None and fault.kind != "stall":
                self._strike(name, fault)
        if fault is None or reply is None or fault.kind == "stall":
            return None if reply is None else self._wired(name, reply)
        if fault.kind == "silent":
            return None
        if fault.kind == "stream":
            raise Endless
        if fault.kind == "garbage":
            return b"\x00#?~!\n"
        time.sleep(fault.delay_s)
        return self._wired(name, reply)

    def _wired(self, name: str, reply: str) -> bytes:
        """Return the bytes of a reply, each line with the end that this instrument makes."""
        end = self._ends[name]
        if reply.startswith("#"):  # a block, in whose data a line feed is no end
            return reply.encode("latin-1") + end
        return b"".join(line.encode("latin-1") + end for line in reply.split("\n"))

    def linked(self, name: str, change: int) -> None:
        """Count a client of an instrument, or with "" of the bench itself: +1 came, -1 went."""
        with self.lock:
            self.clients += change
            self.last_client_s = time.monotonic()
            if name and change > 0:
                self._faults[name].linked()

    def _receive(self, name: str, message: str, fault: Fault | None) -> str | None:
        self._stalling = fault is not None and fault.kind == "stall"
        try:
            return self.instruments[name].receive(message)
        except Stalled:
            if fault is not None:
                self._strike(name, fault)
            return None
        finally:
            self._stalling = False

    def _is_cut_off(self, name: str, fault: Fault) -> bool:
        """Return whether a message is not obeyed; raise :class:`Hangup` if the link ends."""
        if fault.kind not in {"drop", "gone", "ignore", "hang"}:
            return False
        self.struck_host_s = self.struck_host_s or time.time()
        # A serial port ends with its hang-up, and its name stays reserved until the bench stops.
        listens = self.addresses.get(name, "").startswith("TCPIP")
        if fault.kind == "gone" and listens and name in self._stops:
            self._stops.pop(name)()
        if fault.kind in {"drop", "gone"}:
            raise Hangup
        return True

    def _strike(self, name: str, fault: Fault) -> None:
        self.struck_host_s = self.struck_host_s or time.time()
        self._faults[name].spend(fault)

    def _stall_in_pulse(self, _: float) -> None:
        if self._stalling and np.abs(self.circuit.cell_volts()).max() > self._pulse_v:
            raise Stalled

    def _poll(self) -> Callable[[], None]:
        """Start to poll the instruments; return a function that ends it."""
        ended = threading.Event()

        def poll() -> None:
            while not ended.wait(POLL_S):
                with self.lock:
                    for instrument in self.instruments.values():
                        instrument.poll()

        threading.Thread(target=poll, daemon=True, name="poll").start()
        return ended.set

    def _make_witness(self) -> VirtualInstrument | None:
        """Make the oscilloscope of the station; it is none of the instruments of a run."""
        entry = self.station.witness
        if entry is None:
            return None
        if entry.kind not in WITNESSES:
            known = ", ".join(WITNESSES)
            raise ConfigError(f"there is no virtual {entry.kind!r}: {known}", key="witness.kind")
        settings = {**entry.settings, "probes": entry.probes}
        return WITNESSES[entry.kind](
            "witness", self.circuit, self.clock, noise=None, settings=settings
        )

    def _make(
        self, name: str, entry: InstrumentEntry, noise: np.random.Generator | None
    ) -> VirtualInstrument:
        try:
            kind: Any = plugins.load(VIRTUAL_INSTRUMENTS, entry.kind)
        except ConfigError as exc:
            raise exc.below(f"instruments.{name}.kind") from None
        made: VirtualInstrument = kind(
            name, self.circuit, self.clock, noise=noise, settings=entry.settings
        )
        return made


def _dummy(station: Station) -> Device:
    if station.self_test.dummy_ohm is None:
        raise ConfigError("no resistors are given for a dummy", key="self_test.dummy_ohm")
    return DummyArray(station.self_test.dummy_ohm)


class _InstrumentPort:
    """One instrument of the bench, as its server addresses it."""

    def __init__(self, bench: VirtualBench, name: str) -> None:
        self._bench = bench
        self._name = name

    def answer(self, message: str) -> bytes | None:
        return self._bench.answer(self._name, message)

    def device_clear(self) -> None:
        with self._bench.lock:
            self._bench.instruments[self._name].device_clear()

    def connected(self, change: int) -> None:
        self._bench.linked(self._name, change)


class _WitnessPort:
    """The oscilloscope of the bench, as its server addresses it; it has no faults."""

    def __init__(self, bench: VirtualBench, witness: VirtualInstrument) -> None:
        self._bench, self._witness = bench, witness

    def answer(self, message: str) -> bytes | None:
        with self._bench.lock:
            reply = self._witness.receive(message)
        return None if reply is None else reply.encode("latin-1") + b"\n"

    def device_clear(self) -> None:
        with self._bench.lock:
            self._witness.device_clear()

    def connected(self, change: int) -> None:
        self._bench.linked("", change)
