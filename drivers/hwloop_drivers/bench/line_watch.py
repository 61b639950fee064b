"""Watch the wiring during a run: doubt reads that a fault would give, and look at the lines.

Every read is judged. A line none of whose cells conducts any more, cells that turned to zero or to
compliance, unpulsed cells that read otherwise than before, two lines that read as each other did:
then every cell and every relay is looked at, at the read voltage, and the run ends with the name of
the line. Faults that no read shows, such as a relay to ground that does not close, are looked for
before the first pulse and from time to time; see decision 0036 for how often.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from hwloop.array.operations import (
    Flag,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    ReadMap,
    Wait,
)
from hwloop.array.settings import ArraySettings
from hwloop.errors import InstrumentFault
from hwloop.types import BoolArray, FloatArray
from hwloop_drivers.bench.exchanged_lines import (
    LEAST_CELLS,
    LEAST_MOVED,
    MOVED,
    KnownCells,
    exchanged_lines,
)
from hwloop_drivers.bench.wiring_check import ConnectivityCheck, LineProbe
from hwloop_drivers.station.wired_circuit import WiredCircuit

SHARE = 0.1  # of the time of a run: most that checks without a doubt take, once it is long
DOUBT_SHARE = 0.25  # the same, of checks because of doubts that a cell by itself may give
REPEATS, LEAST_REPEATS = 512, 16  # reads of unpulsed cells that tell how well reads repeat
SCATTERS = 5  # times the usual difference of two reads: a cell has moved


class LineWatch:
    """The state of every cell as its latest read shows it, and what is due to be checked.

    ``measure_s``: expected time of one measurement with its routing. ``forming``: lines may have no
    cell that conducts yet.
    """

    def __init__(
        self,
        probe: LineProbe,
        circuit: WiredCircuit,
        array: ArraySettings,
        *,
        measure_s: float,
        forming: bool = False,
    ) -> None:
        self._probe, self._circuit, self._array = probe, circuit, array
        self._least_conductance_s = circuit.station.self_test.least_conductance_s
        shape = array.geometry.shape
        self._seen_conductance_s = np.full(shape, np.nan)  # inf at compliance or over range
        self._up, self._down = np.zeros((2, *shape), np.bool_)  # pulsed since it was read
        self._judged = [np.full(count, not forming) for count in shape]
        switched = sum(isinstance(ends, dict) for ends in circuit.station.wiring.lines.values())
        self._relays_s = 2 * switched * measure_s
        self._whole_s = self._relays_s + array.rows * array.cols * measure_s
        self._elapsed_s = self._checked_s = 0.0
        self._due_s = self._relays_s
        self._doubted_s = -np.inf
        self._conducted = False  # whether any cell has conducted yet
        self._repeats: deque[float] = deque(maxlen=REPEATS)  # |change of ln G| without a pulse

    def before(self, operation: Operation, duration_s: float) -> bool:
        """Look at the lines if that is due before an operation; return whether it was."""
        due = self._elapsed_s - self._checked_s >= self._due_s
        looks = due and self._relays_s > 0 and not isinstance(operation, ReadMap | Wait)
        if looks:
            self._look_at_relays()
        self._elapsed_s += 0.0 if isinstance(operation, Wait) else duration_s
        if isinstance(operation, PulseMap):
            self._note_pulses(operation.amplitude_v)
        elif isinstance(operation, PulsePair):
            for pulse in operation.pulses:
                self._note_pulses(pulse.amplitude_v)
        elif isinstance(operation, Ramp):
            self._note_pulses(operation.start_v)
        return looks

    def after_read(self, reading: Reading, read_v: float) -> None:
        """Judge the reads of an operation, (rows, cols)."""
        addressed = (reading.flags & Flag.NOT_ADDRESSED) == 0
        if not addressed.any():
            return
        now_conductance_s = _apparent(reading, read_v)
        before = self._known()
        change = self._change(now_conductance_s)
        repeated = addressed & ~self._up & ~self._down & np.isfinite(change)
        doubts = addressed & (self._doubtful(now_conductance_s) | (repeated & (change > MOVED)))
        self._take(now_conductance_s, addressed)
        if self._dead_lines(addressed) or self._exchanged(before):
            self._look_at_all(before)
        elif doubts.any() and self._elapsed_s - self._doubted_s >= self._whole_s / DOUBT_SHARE:
            self._doubted_s = self._elapsed_s
            self._look_at_all(before)
        # Last, so that reads are not judged by themselves.
        self._repeats.extend(change[repeated & (now_conductance_s > 0)].tolist())

    def after_ramp(self, ramp: Ramp, reading: Reading) -> None:
        """Judge the latest read of each cell of a ramp, (steps, rows, cols)."""
        given = (reading.flags & Flag.NOT_ADDRESSED) == 0
        last = np.maximum(given.sum(axis=0) - 1, 0)[None]
        latest = Reading(
            np.take_along_axis(reading.current_a, last, 0)[0],
            np.take_along_axis(reading.flags, last, 0)[0],
        )
        self.after_read(latest, ramp.read_v)

    def _note_pulses(self, amplitude_v: FloatArray) -> None:
        self._up |= amplitude_v > 0
        self._down |= amplitude_v < 0

    def _known(self) -> KnownCells:
        return KnownCells(self._seen_conductance_s.copy(), self._up.copy(), self._down.copy())

    def _change(self, now_conductance_s: FloatArray) -> FloatArray:
        """Return the magnitude of the change of ln G since the latest read; not finite: unknown."""
        with np.errstate(divide="ignore", invalid="ignore"):
            change: FloatArray = np.abs(np.log(now_conductance_s / self._seen_conductance_s))
        return change

    def _doubtful(self, now_conductance_s: FloatArray) -> BoolArray:
        """Return the cells that turned to zero or to a limit: by a fault, or by themselves."""
        before_conductance_s = self._seen_conductance_s
        known = ~np.isnan(before_conductance_s)
        zero = self._is_zero(now_conductance_s) & ~self._is_zero(before_conductance_s)
        limited = np.isinf(now_conductance_s) & ~np.isinf(before_conductance_s)
        doubtful: BoolArray = (zero & known) | limited
        return doubtful

    def _is_zero(self, conductance_s: FloatArray) -> BoolArray:
        zero: BoolArray = np.abs(conductance_s) < self._least_conductance_s
        return zero

    def _take(self, now_conductance_s: FloatArray, which: BoolArray) -> None:
        """Enter fresh reads of the cells ``which``."""
        self._seen_conductance_s[which] = now_conductance_s[which]
        self._up[which] = self._down[which] = False
        conducts = which & ~self._is_zero(now_conductance_s)
        self._conducted |= bool(conducts.any())
        self._judged[0] |= conducts.any(axis=1)
        self._judged[1] |= conducts.any(axis=0)

    def _dead_lines(self, fresh: BoolArray) -> bool:
        """Return whether no cell of a line conducts, after reads of those that last did.

        ``fresh``: the cells that were read just now. Only lines with a fresh zero are judged, and
        none with a single cell, which may be what it reads.
        """
        if not self._conducted:
            return False
        fresh, zero = fresh.copy(), self._is_zero(self._seen_conductance_s)
        for axis, judged in enumerate(self._judged):
            suspects = (zero & fresh).any(axis=1 - axis) & judged
            for line in np.flatnonzero(suspects):
                cells = np.zeros_like(fresh)
                cells[(line, slice(None)) if axis == 0 else (slice(None), line)] = True
                if cells.sum() > 1 and not self._conducts(cells, fresh):
                    return True
        return False

    def _conducts(self, cells: BoolArray, fresh: BoolArray) -> bool:
        """Return whether a cell of a line conducts now; reads those not ``fresh``, best first."""
        if (cells & fresh & ~self._is_zero(self._seen_conductance_s)).any():
            return True
        known_conductance_s = np.nan_to_num(np.abs(self._seen_conductance_s))
        order = np.argsort(-known_conductance_s, axis=None)
        for place in zip(*np.unravel_index(order, cells.shape), strict=True):
            if not cells[place] or fresh[place]:
                continue
            one = np.zeros_like(cells)
            one[place] = fresh[place] = True
            self._read(one)
            if not self._is_zero(self._seen_conductance_s)[place]:
                return True
        return False

    def _exchanged(self, before: KnownCells) -> str | None:
        moved = MOVED
        if len(self._repeats) >= LEAST_REPEATS:
            moved = float(np.clip(SCATTERS * np.median(self._repeats), LEAST_MOVED, MOVED))
        return exchanged_lines(before, self._seen_conductance_s, moved=moved)

    def _read(self, which: BoolArray) -> None:
        read_v = self._array.read.read_v
        reading = self._probe.read(ReadMap(which, read_v))
        self._take(_apparent(reading, read_v), which)

    def _look_at_relays(self) -> None:
        """Look at every relay; at the cells as well where pulses or faults leave them unknown."""
        known = self._known()
        if np.isnan(known.conductance_s).any() or (known.up | known.down).any():
            self._look_at_all(known)
            return
        check = self._check()
        if [*check.apart(), *check.ground(), *check.other_outputs()]:
            self._look_at_all(known)
        else:
            self._passed()

    def _look_at_all(self, before: KnownCells) -> None:
        """Read every cell, look at every line, and raise what is wrong with them.

        ``before``: the cells as they were known before the read that is in doubt.
        """
        self._read(np.ones_like(before.up))
        if not self._conducted:
            return
        check = self._check()
        problems = check.apart() or [*self._crossed(check, before), *self._dead(check)]
        exchanged = self._exchanged(before)
        if not problems and exchanged is not None:
            problems = [f"{exchanged} read as each other did before: their leads are exchanged"]
        problems = problems or [*check.ground(), *check.other_outputs()]
        if problems:
            raise InstrumentFault(
                f"the wiring has changed during the run: {'; '.join(problems)}; no operation since"
                " the last check is to be believed"
            )
        self._passed()

    def _check(self) -> ConnectivityCheck:
        # At compliance it is not known how well a cell conducts: nothing is expected of it.
        seen_conductance_s = np.nan_to_num(self._seen_conductance_s, posinf=0.0)
        return ConnectivityCheck(self._probe, self._circuit, self._array, seen_conductance_s)

    def _crossed(self, check: ConnectivityCheck, before: KnownCells) -> list[str]:
        """Return the exchange of a row with a column, unless pulses can have written what it reads.

        A cross of cells that no longer conduct is written by hardly any step; in two rows or
        columns it is one cell of each.
        """
        zero = self._is_zero(self._seen_conductance_s) & ~self._is_zero(before.conductance_s)
        if min(zero.shape) <= 2:
            zero &= before.unexplained(self._seen_conductance_s)
        if zero.sum() < LEAST_CELLS:
            return []
        return check.crossed()

    def _dead(self, check: ConnectivityCheck) -> list[str]:
        """Return faults of lines that no current reaches, or whose source is at its limit."""
        rows, cols = self._array.geometry.shape
        limited = np.isinf(self._seen_conductance_s)
        judged = (
            self._judged[0] & (cols > 1) & ~limited.any(axis=1),
            self._judged[1] & (rows > 1) & ~limited.any(axis=0),
        )
        faults = check.reach(judged=judged) if (judged[0].any() or judged[1].any()) else []
        for axis, kind in enumerate(("row", "col")):
            for line in np.flatnonzero(limited.all(axis=1 - axis)):
                faults += check.stays_grounded(f"{kind}{line}")
        return faults

    def _passed(self) -> None:
        self._checked_s = self._elapsed_s
        self._due_s = min(2 * self._due_s, self._relays_s / SHARE)


def _apparent(reading: Reading, read_v: float) -> FloatArray:
    """Return current over voltage, siemens; inf at compliance or over range."""
    limited = (reading.flags & (Flag.COMPLIANCE | Flag.OVER_RANGE)) != 0
    apparent: FloatArray = np.where(limited, np.inf, reading.current_a / read_v)
    return apparent
