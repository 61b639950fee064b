"""The reading buffers of the 2450 in SCPI; reference manual 2450-901-01, section 6, TRACe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwloop_sim.virtual.circuit.smu import CURR, VOLT
from hwloop_sim.virtual.instruments.keithley_2450.core import (
    BUFFERS,
    LEAST_ROWS,
    MOST_ROWS,
    RES,
    Buffer,
    Core,
)
from hwloop_sim.virtual.languages.scpi import (
    ILLEGAL,
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    scientific,
)
from hwloop_sim.virtual.languages.scpi_smu import ScpiSmu

SENSE_FORMS = {VOLT: "VOLTage[:DC]", CURR: "CURRent[:DC]", RES: "RESistance"}
UNITS = {VOLT: "Volt DC", CURR: "Amp DC", RES: "Ohm"}
ELEMENTS = {
    "READ": "readings",
    "SOUR": "sourcevalues",
    "STAT": "statuses",
    "SOURSTAT": "sourcestatuses",
    "REL": "relativetimestamps",
}
ELEMENT_FORMS = ("READing", "SOURce", "STATus", "SOURSTATus", "RELative", "UNIT", "SOURUNIT")
STATISTICS: dict[str, Callable[..., Any]] = {
    "AVERage": np.mean,
    "MAXimum": np.max,
    "MINimum": np.min,
    "STDDev": np.std,
    "PK2Pk": np.ptp,
}


class Traces:
    """The commands that measure into buffers and read them."""

    def __init__(self, box: ScpiSmu, core: Core) -> None:
        self._box, self._core = box, core

    def add_commands(self) -> None:
        """Register the buffer commands at the instrument."""
        on = self._box.on
        on(":READ", get=self._read)
        on(":MEASure", get=self._read)
        for function, form in SENSE_FORMS.items():
            on(f":MEASure:{form}", get=lambda a, f=function: self._read_as(f, a))  # type: ignore[misc]
        on(":FETCh", get=lambda a: self._last(self._buffer(a, 0), a.values[1:]))
        on(":TRACe:DATA", get=self._data)
        on(":TRACe:CLEar", set=lambda a: self._buffer(a, 0).clear())
        on(":TRACe:MAKE", set=self._make)
        on(":TRACe:DELete", set=self._delete)
        on(":TRACe:ACTual", get=lambda a: str(int(self._buffer(a, 0).n)))
        on(":TRACe:ACTual:END", get=lambda a: str(int(self._buffer(a, 0).n)))
        on(":TRACe:POINts", set=self._resize, get=lambda a: str(self._buffer(a, 0).size))
        on(":TRACe:TRIGger", set=lambda a: _drop(self._core.read(self._buffer(a, 0))))
        for form in STATISTICS:
            on(f":TRACe:STATistics:{form}", get=lambda a, f=form: self._statistic(f, a))  # type: ignore[misc]

    def named(self, name: str) -> Buffer:
        """Return a buffer by its name; ScpiError for an unknown one."""
        if name not in self._core.buffers:
            raise ScpiError(*ILLEGAL)
        return self._core.buffers[name]

    def _buffer(self, arguments: Arguments, index: int) -> Buffer:
        given = len(arguments.values) > index
        return self.named(arguments.text(index) if given else BUFFERS[0])

    def _make(self, arguments: Arguments) -> None:
        name = arguments.text(0)
        size = Arguments((arguments.text(1),)).number(lowest=LEAST_ROWS, highest=MOST_ROWS)
        if name in self._core.buffers:
            raise ScpiError(*ILLEGAL)
        self._core.make_buffer(name, int(size))

    def _delete(self, arguments: Arguments) -> None:
        name = arguments.text(0)
        if name in BUFFERS or name not in self._core.buffers:
            raise ScpiError(*ILLEGAL)
        del self._core.buffers[name]

    def _resize(self, arguments: Arguments) -> None:
        size = Arguments(arguments.values[:1]).number(lowest=LEAST_ROWS, highest=MOST_ROWS)
        buffer = self._buffer(arguments, 1)
        buffer.clear()
        buffer.size = int(size)

    def _read(self, arguments: Arguments) -> str:
        buffer = self._buffer(arguments, 0)
        self._core.read(buffer)
        return self._last(buffer, arguments.values[1:])

    def _read_as(self, function: str, arguments: Arguments) -> str:
        self._core.now.measures = function
        return self._read(arguments)

    def _last(self, buffer: Buffer, elements: tuple[str, ...]) -> str:
        if not buffer.n:
            raise ScpiError(-230, "Data corrupt or stale")
        return self._rows(buffer, int(buffer.n), int(buffer.n), elements)

    def _data(self, arguments: Arguments) -> str:
        buffer = self._buffer(arguments, 2)
        first, last = (Arguments((arguments.text(n),)).number(lowest=1) for n in (0, 1))
        if last > buffer.n:
            raise ScpiError(*OUT_OF_RANGE)
        return self._rows(buffer, int(first), int(last), arguments.values[3:])

    def _rows(self, buffer: Buffer, first: int, last: int, elements: tuple[str, ...]) -> str:
        words = [Arguments((e,)).choice(*ELEMENT_FORMS) for e in elements or ("READ",)]
        units = {"UNIT": UNITS[self._core.now.measures], "SOURUNIT": UNITS[self._core.smu.function]}
        columns = {w: buffer.column(ELEMENTS[w]) for w in words if w in ELEMENTS}
        return ",".join(
            scientific(columns[w][n]) if w in columns else units[w]
            for n in range(first - 1, last)
            for w in words
        )

    def _statistic(self, form: str, arguments: Arguments) -> str:
        buffer = self._buffer(arguments, 0)
        if not buffer.n:
            raise ScpiError(-230, "Data corrupt or stale")
        return scientific(float(STATISTICS[form](buffer.read())))


def _drop(_: object) -> None:
    """Discard a reading that is in its buffer already."""
