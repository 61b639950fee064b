"""A station's virtual bench: its instruments, their servers, one circuit, one emulated array."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.array import ArraySettings
from hwloop.errors import ConfigError
from hwloop.station import InstrumentEntry, Station
from hwloop_sim.backend import SimSettings
from hwloop_sim.cells import make_cells
from hwloop_sim.virtual.circuit import Circuit
from hwloop_sim.virtual.clock import BenchClock
from hwloop_sim.virtual.faults import Fault, Faults
from hwloop_sim.virtual.instrument import VirtualInstrument
from hwloop_sim.virtual.servers import Hangup, serve_hislip, serve_serial, serve_socket

VIRTUAL_INSTRUMENTS = "hwloop.virtual_instruments"


class VirtualBench:
    """The instruments of a station with virtual addresses, ready to be spoken to.

    The emulated cells are the very ones that the emulator makes of ``settings`` and ``seed``, so
    that a run over the instruments can be compared with one on the emulator. The instruments have
    noise of their own instead of the emulator's read noise, and converters of their own.
    """

    def __init__(
        self, station: Station, array: ArraySettings, settings: SimSettings, *, seed: int
    ) -> None:
        if station.virtual is None:
            raise ConfigError(f"station {station.name} has no virtual bench", key="virtual")
        station.check_geometry(array.geometry)
        self.station = station
        self.lock = threading.RLock()
        self.clock = BenchClock(real_time=station.virtual.real_time)
        # As the runner and the emulator draw them.
        rng = np.random.default_rng(seed).spawn(2)[0]
        device_rng, noise_rng, effects_rng = rng.spawn(3)
        self.device = make_cells(
            settings.device,
            settings.effects,
            array.geometry.shape,
            device_rng=device_rng,
            effects_rng=effects_rng,
        )
        self.circuit = Circuit(station, self.device, self.clock, quiet_v=array.limits.half_select_v)
        self.clients = 0
        self.last_client_s = time.monotonic()
        self.instruments: dict[str, VirtualInstrument] = {}
        self._faults = {name: Faults() for name in station.instruments}
        for name, entry in station.instruments.items():
            noise = noise_rng.spawn(1)[0] if station.virtual.noise else None
            self.instruments[name] = self._make(name, entry, noise)
        self.addresses: dict[str, str] = {}
        self._stops: list[Callable[[], None]] = []

    def start(self) -> None:
        """Listen at every address."""
        for name, entry in self.station.instruments.items():
            _, interface, *number = entry.address.split(":")
            port = _InstrumentPort(self, name)
            if interface == "socket":
                address, stop = serve_socket(port, int(number[0]) if number else 0)
            elif interface == "hislip":
                address, stop = serve_hislip(port, int(number[0]) if number else 0)
            elif interface == "serial":
                address, stop = serve_serial(port)
            else:
                raise ConfigError(
                    f"{entry.address}: a virtual address is virtual:socket, virtual:hislip or"
                    " virtual:serial",
                    key=f"instruments.{name}.address",
                )
            self.addresses[name] = address
            self._stops.append(stop)

    def stop(self) -> None:
        """Stop listening."""
        while self._stops:
            self._stops.pop()()

    def status(self) -> dict[str, Any]:
        """The state of every output and line now, and what happened that no model covers."""
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
                "unmodelled": list(self.circuit.unmodelled),
                "conductance_s": self.device.conductance_s.tolist(),
            }

    def add_fault(self, fault: Fault) -> None:
        """Let an instrument misbehave."""
        if fault.instrument not in self.instruments:
            raise ConfigError(f"there is no instrument {fault.instrument!r}")
        with self.lock:
            if fault.kind in {"stick_open", "stick_closed"}:
                self.circuit.stick(
                    fault.instrument, fault.channel, closed=fault.kind == "stick_closed"
                )
            else:
                self._faults[fault.instrument].add(fault)

    def answer(self, name: str, message: str) -> bytes | None:
        """What an instrument answers to a message, its faults included."""
        virtual = self.station.virtual
        if virtual is not None and virtual.latency_s:
            time.sleep(virtual.latency_s)
        with self.lock:
            fault = self._faults[name].next(message)
            if fault is not None and fault.kind == "drop":
                raise Hangup
            if fault is not None and fault.kind == "ignore":
                return None
            reply = self.instruments[name].receive(message)
        if fault is None or reply is None:
            return None if reply is None else reply.encode("latin-1") + b"\n"
        if fault.kind == "silent":
            return None
        if fault.kind == "garbage":
            return b"\x00#?~!\n"
        time.sleep(fault.delay_s)
        return reply.encode("latin-1") + b"\n"

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


class _InstrumentPort:
    """One instrument as its server sees it."""

    def __init__(self, bench: VirtualBench, name: str) -> None:
        self._bench = bench
        self._name = name

    def answer(self, message: str) -> bytes | None:
        return self._bench.answer(self._name, message)

    def device_clear(self) -> None:
        with self._bench.lock:
            self._bench.instruments[self._name].device_clear()

    def connected(self, change: int) -> None:
        with self._bench.lock:
            self._bench.clients += change
            self._bench.last_client_s = time.monotonic()
