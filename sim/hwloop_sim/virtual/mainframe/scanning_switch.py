"""Scans of a switch mainframe: a list of steps, each closed after the event that it waits for.

After the topics *scan* of Keithley's help of the 37xx and 70xB. Scans here switch and do not
measure: there is no meter in the mainframe. Whether the channels of the last step stay closed is
not said; they do here.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from hwloop_sim.virtual.languages.tsp_switch import ALL_SLOTS, TspSwitch
from hwloop_sim.virtual.languages.tsp_tables import Cell, TspError, Value
from hwloop_sim.virtual.mainframe.digital_lines import DigitalLine, DigitalPort, declare_port
from hwloop_sim.virtual.mainframe.events import Events, EventStimulus

LINES = 14
OPEN_ALL, OPEN_SELECTIVE, FIXED_BACKPLANE = 0.0, 1.0, 2.0
EMPTY, BUILDING, RUNNING, FAILED, SUCCESS = 0.0, 1.0, 2.0, 4.0, 6.0
EVENTS = {
    "SCAN_READY": 24.0,
    "SCAN_START": 25.0,
    "SCAN_COMP": 26.0,
    "IDLE": 27.0,
    "CHANNEL_READY": 28.0,
    "SEQUENCE_COMP": 50.0,
    "MEASURE_COMP": 56.0,
}
MOST_SCANS = 2e9
DEADLOCK = TspError(-214, "Trigger deadlock: the scan waits for an event that nothing makes")


class _Gate:
    """A stimulus with its detector: passed at once without an event, else after it."""

    def __init__(self, events: Events, switch: ScanningSwitch, default: float) -> None:
        self._switch = switch
        self.stimulus = EventStimulus(events, self.pass_, default)
        self.detected = False

    def pass_(self) -> None:
        """Let the next wait pass."""
        self.detected = True

    def clear(self) -> None:
        self.detected = False

    def wait(self) -> None:
        """Wait for the event; TspError where nothing more happens on the bench."""
        if self.stimulus.event == 0:
            return
        self._switch.wait_for(lambda: self.detected)
        self.detected = False


class ScanningSwitch(TspSwitch):
    """A switch mainframe with digital lines and scans."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.events = Events()
        self.port = DigitalPort(
            {
                n: DigitalLine(self.events, self._clock, event=float(n), none=0.0)
                for n in range(1, LINES + 1)
            }
        )
        declare_port(self.root, self.port)
        self._steps: list[frozenset[str]] = []
        self._state, self._scans, self._done = EMPTY, 0, 0
        self._count = Cell(1, lowest=1, highest=MOST_SCANS)
        self._bypass = Cell(1, choices=(0, 1))
        self._mode = Cell(OPEN_ALL, choices=(OPEN_ALL, OPEN_SELECTIVE, FIXED_BACKPLANE))
        self._arm = _Gate(self.events, self, 0.0)
        self._channel = _Gate(self.events, self, EVENTS["SEQUENCE_COMP"])
        self._declare_scan()

    @override
    def reset(self) -> None:
        super().reset()
        self.port.reset()
        self._reset_scan()

    def wait_for(self, done: Any) -> None:
        """Advance until something has happened; TspError where nothing is to come."""
        self._clock.advance_while_due(lambda: not done())
        if not done():
            raise DEADLOCK

    def _reset_scan(self) -> None:
        self._steps, self._state, self._scans, self._done = [], EMPTY, 0, 0
        for cell in (self._count, self._bypass, self._mode):
            cell.reset()
        for gate in (self._arm, self._channel):
            gate.stimulus.reset()
            gate.clear()

    def _declare_scan(self) -> None:
        scan = self.root.node("scan")
        scan.constants(OFF=0, ON=1, MODE_OPEN_ALL=0, MODE_OPEN_SELECTIVE=1, MODE_FIXED_ABR=2)
        scan.constants(
            EMPTY=0, BUILDING=1, RUNNING=2, ABORTED=3, FAILED=4, FAILED_INIT=5, SUCCESS=6
        )
        scan.node("trigger").constants(**{f"EVENT_{name}": n for name, n in EVENTS.items()})
        for name, cell in (("scancount", self._count), ("bypass", self._bypass)):
            scan.on(name, get=cell.get, set=cell.set)
        scan.on("mode", get=self._mode.get, set=self._mode.set)
        scan.on("stepcount", get=lambda: float(len(self._steps)))
        for name, gate in (("arm", self._arm), ("channel", self._channel)):
            node = scan.node(f"trigger.{name}")
            node.on("stimulus", get=gate.stimulus.get, set=gate.stimulus.set)
            node.function("clear", gate.clear)
            node.function("set", gate.pass_)
        scan.function("create", self._create)
        scan.function("add", self._add)
        scan.function("list", self._list)
        scan.function("reset", self._reset_scan)
        scan.function("execute", self._execute)
        scan.function("state", self._progress)

    def _create(self, channels: Any) -> None:
        self._steps, self._state = [], EMPTY
        if channels != "":
            self._add(channels)

    def _add(self, channels: Any) -> None:
        """Add a step for each channel, or for each pattern, in the order of the list."""
        if not isinstance(channels, str):
            raise TspError(-104, "Data type error")
        for part in (word.strip() for word in channels.split(",")):
            if part in self._patterns:
                self._steps.append(self._wanted(part))
                continue
            listed = self._listed(part)
            ranged = ":" in part or part == ALL_SLOTS or part.startswith("slot")
            for channel in listed:
                # A forbidden channel of a range is left out, one by itself is an error.
                if not (ranged and channel in self._forbidden):
                    self._steps.append(self._wanted(channel))
        self._state = BUILDING

    def _list(self) -> str:
        steps = enumerate(self._steps, start=1)
        return "\n".join(f"{n}) STEP: {','.join(self.relays.in_order(s))}" for n, s in steps)

    def _progress(self) -> tuple[Value, ...]:
        return self._state, float(self._scans), float(self._done)

    def _execute(self) -> tuple[Value, ...]:
        """Scan, and return when that has ended; a wait without end leaves it failed."""
        if not self._steps:
            raise TspError(-221, "Settings conflict: the scan list is empty")
        self._state, self._scans, self._done = RUNNING, 0, 0
        used = frozenset().union(*self._steps)
        before = self.relays.closed
        self._become(frozenset() if self._mode.value == OPEN_ALL else before - used)
        try:
            self._run_scans()
        except TspError:
            self._state = FAILED
            raise
        self._state = SUCCESS
        return self._progress()

    def _run_scans(self) -> None:
        kept = self.relays.closed
        self.events.emit(EVENTS["SCAN_READY"])
        bypassed = bool(self._bypass.value) and self._arm.stimulus.event != 0
        for scan in range(int(self._count.value)):
            self._arm.wait()
            self.events.emit(EVENTS["SCAN_START"])
            for number, step in enumerate(self._steps):
                # The event before is the completion of the last step, which is there already.
                follows = self._channel.stimulus.event == EVENTS["SEQUENCE_COMP"]
                if not follows and not (bypassed and scan == number == 0):
                    self._channel.wait()
                self._become(kept | step)
                self.events.emit(EVENTS["CHANNEL_READY"])
                self.events.emit(EVENTS["SEQUENCE_COMP"])
                self._done = number + 1
            self._scans = scan + 1
        self.events.emit(EVENTS["SCAN_COMP"])
        self.events.emit(EVENTS["IDLE"])
