"""A Keithley 2400 as voltage source and ammeter.

Ranges, resolutions and compliance after the 2400's data sheet; 5½ digits, readings that last as
long as their integration time.
"""

from __future__ import annotations

import math

from hwloop_sim.virtual.scpi import (
    ILLEGAL,
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    ScpiInstrument,
    scientific,
)

RANGES_A = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
RANGES_V = (0.2, 2.0, 20.0, 200.0)
OVER = 1.05
OFF_SHARE = 5e-3  # of the current range: what an output that is off, mode NORMAL, may carry
COUNTS = 1e5  # a range has this many steps
NOISE_COUNTS = 3.0  # at 1 NPLC, peak about 1e-5 of the range; falls with the root of the time
MOST_POINTS = 2500
LINE_HZ = 50.0
OVERFLOW = 9.9e37
ELEMENTS = {"VOLT": 0, "CURR": 1, "RES": 2, "TIME": 3, "STAT": 4}
FORMS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus")


class Keithley2400(ScpiInstrument):
    """One output, named as the instrument."""

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2400,0000000,C32   Oct  4 2010 14:20:11/A02  /K/J"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.reset()
        self._add_source()
        self._add_sense()
        self._add_output()

    def output_states(self) -> dict[str, bool]:
        """Its one output."""
        return {"": self._on}

    def reset(self) -> None:
        """Volts, 0 V, 100 µA compliance, output off."""
        self._on = False
        self._level_v, self._range_v = 0.0, RANGES_V[2]
        self._list: list[float] = []
        self._mode = "FIX"
        self._delay_s, self._count, self._nplc = 0.0, 1, 1.0
        self._compliance_a, self._measure_a, self._auto = 1.05e-4, 1e-4, True
        self._measuring, self._off_mode = True, "NORM"
        self._elements = list(ELEMENTS)
        self._readings: list[str] = []
        self._drive()

    def _add_source(self) -> None:
        self.on(
            ":SOURce[1]:FUNCtion[:MODE]",
            set=lambda a: _only(a.choice("VOLTage", "CURRent", "MEMory"), "VOLT"),
            get=lambda _: "VOLT",
        )
        level = ":SOURce[1]:VOLTage"
        self.on(f"{level}[:LEVel][:IMMediate][:AMPLitude]", set=self._set_level, get=self._level)
        self.on(f"{level}:RANGe", set=self._set_range, get=lambda _: scientific(self._range_v))
        self.on(f"{level}:MODE", set=self._set_mode, get=lambda _: self._mode)
        self.on(":SOURce[1]:LIST:VOLTage", set=self._set_list, get=self._get_list)
        self.on(":SOURce[1]:LIST:VOLTage:APPend", set=self._append)
        self.on(":SOURce[1]:LIST:VOLTage:POINts", get=lambda _: str(len(self._list)))
        self.on(":SOURce[1]:DELay", set=self._set_delay, get=lambda _: scientific(self._delay_s))

    def _add_sense(self) -> None:
        current = ":SENSe[1]:CURRent[:DC]"
        self.on(
            f"{current}:PROTection[:LEVel]",
            set=self._set_compliance,
            get=lambda _: scientific(self._compliance_a),
        )
        self.on(f"{current}:PROTection:TRIPped", get=lambda _: str(int(self._limited())))
        self.on(f"{current}:RANGe[:UPPer]", set=self._set_measure, get=self._get_measure)
        self.on(f"{current}:RANGe:AUTO", set=self._set_auto, get=lambda _: str(int(self._auto)))
        for function in ("CURRent", "VOLTage", "RESistance"):
            self.on(
                f":SENSe[1]:{function}[:DC]:NPLCycles",
                set=self._set_nplc,
                get=lambda _: scientific(self._nplc),
            )
        self.on(":SENSe[1]:FUNCtion[:ON]", set=self._sense_on, get=lambda _: '"CURR:DC"')
        self.on(":SENSe[1]:FUNCtion:OFF:ALL", set=lambda _: self._sense(on=False))
        self.on(":FORMat:ELEMents[:SENSe[1]]", set=self._set_elements, get=self._get_elements)
        self.on(":SYSTem:RSENse", set=lambda a: _ignore(a.boolean()), get=lambda _: "0")
        self.on(":SYSTem:AZERo[:STATe]", set=lambda a: _ignore(a.text()), get=lambda _: "1")

    def _add_output(self) -> None:
        self.on(":OUTPut[1][:STATe]", set=self._switch, get=lambda _: str(int(self._on)))
        self.on(":OUTPut[1]:SMODe", set=self._set_off_mode, get=lambda _: self._off_mode)
        self.on(":TRIGger:COUNt", set=self._set_count, get=lambda _: str(self._count))
        self.on(":INITiate[:IMMediate]", set=lambda _: self._run_sweep())
        self.on(":ABORt", set=lambda _: None)
        self.on(":READ", get=lambda _: self._read())
        self.on(":FETCh", get=lambda _: ",".join(self._readings))
        self.on(":MEASure[:CURRent[:DC]]", get=lambda _: self._read())

    def _set_level(self, arguments: Arguments) -> None:
        bound_v = self._range_v * OVER
        self._level_v = arguments.number(lowest=-bound_v, highest=bound_v, default=0.0)
        self._drive()

    def _level(self, _: Arguments) -> str:
        return scientific(self._level_v)

    def _set_range(self, arguments: Arguments) -> None:
        wanted_v = abs(arguments.number(lowest=-210, highest=210))
        self._range_v = next(r for r in RANGES_V if wanted_v <= r * OVER)

    def _set_mode(self, arguments: Arguments) -> None:
        self._mode = arguments.choice("FIXed", "LIST", "SWEep")
        if self._mode == "SWE":
            self._mode = "FIX"
            raise ScpiError(*ILLEGAL)

    def _set_list(self, arguments: Arguments) -> None:
        self._list = []
        self._append(arguments)

    def _append(self, arguments: Arguments) -> None:
        values = arguments.numbers()
        if any(abs(v) > self._range_v * OVER for v in values):
            raise ScpiError(*OUT_OF_RANGE)
        if len(self._list) + len(values) > MOST_POINTS:
            raise ScpiError(-223, "Too much data")
        self._list += values

    def _get_list(self, _: Arguments) -> str:
        return ",".join(scientific(v) for v in self._list)

    def _set_delay(self, arguments: Arguments) -> None:
        self._delay_s = arguments.number(lowest=0, highest=9999.999, default=0.0)

    def _set_compliance(self, arguments: Arguments) -> None:
        self._compliance_a = abs(arguments.number(lowest=-1.05, highest=1.05, default=1.05e-4))
        self._drive()

    def _set_measure(self, arguments: Arguments) -> None:
        wanted_a = abs(arguments.number(lowest=-1.05, highest=1.05))
        self._measure_a = next(r for r in RANGES_A if wanted_a <= r * OVER)
        self._auto = False

    def _get_measure(self, _: Arguments) -> str:
        return scientific(self._measure_a)

    def _set_auto(self, arguments: Arguments) -> None:
        self._auto = arguments.boolean()

    def _set_nplc(self, arguments: Arguments) -> None:
        self._nplc = arguments.number(lowest=0.01, highest=10, default=1.0)

    def _sense_on(self, arguments: Arguments) -> None:
        if not arguments.text().upper().startswith("CURR"):
            raise ScpiError(*ILLEGAL)
        self._sense(on=True)

    def _sense(self, *, on: bool) -> None:
        self._measuring = on

    def _set_elements(self, arguments: Arguments) -> None:
        words = [Arguments((value,)).choice(*FORMS) for value in arguments.values]
        self._elements = sorted(set(words), key=lambda word: ELEMENTS[word])

    def _get_elements(self, _: Arguments) -> str:
        return ",".join(self._elements)

    def _switch(self, arguments: Arguments) -> None:
        self._on = arguments.boolean()
        self._drive()

    def _set_off_mode(self, arguments: Arguments) -> None:
        self._off_mode = arguments.choice("HIMPedance", "NORMal", "ZERO", "GUARd")
        self._drive()

    def _set_count(self, arguments: Arguments) -> None:
        self._count = int(arguments.number(lowest=1, highest=MOST_POINTS, default=1))

    def _drive(self) -> None:
        """Off, it holds 0 V in the modes NORMAL and ZERO; the relay opens in the others."""
        level_v, limit_a = self._level_v, self._compliance_a
        if not self._on:
            level_v = 0.0
            if self._off_mode == "NORM":
                limit_a = min(limit_a, self._measure_a * OFF_SHARE)
        held = self._on or self._off_mode in {"NORM", "ZERO"}
        self._circuit.drive(
            self._name, volts=level_v if held else None, limit_a=limit_a, on=self._on
        )

    def _limited(self) -> bool:
        return self._on and self._circuit.sense(self._name).limited

    def _read(self) -> str:
        self._run_sweep()
        return ",".join(self._readings)

    def _run_sweep(self) -> None:
        if not self._on:
            raise ScpiError(803, "Not permitted with OUTPUT off")
        self._readings = []
        for n in range(self._count):
            if self._mode == "LIST" and self._list:
                self._level_v = self._list[n % len(self._list)]
                self._drive()
            self._clock.advance(self._delay_s)
            self._readings.append(self._reading())

    def _reading(self) -> str:
        if self._measuring:
            self._clock.advance(self._nplc / LINE_HZ)
        sensed = self._circuit.sense(self._name)
        current_a, over = self._displayed(sensed.amperes)
        if not self._measuring:
            current_a = OVERFLOW  # nothing was measured
        status = int(over) | (int(sensed.limited) << 3)
        values = (sensed.volts, current_a, OVERFLOW, self._clock.now_s, float(status))
        return ",".join(scientific(values[ELEMENTS[word]]) for word in self._elements)

    def _displayed(self, current_a: float) -> tuple[float, bool]:
        """A current in the steps of the range it is measured in, and whether it is beyond it."""
        range_a = self._measure_a
        if self._auto:
            range_a = next((r for r in RANGES_A if abs(current_a) <= r * OVER), RANGES_A[-1])
        step_a = range_a / COUNTS
        if self._noise is not None:
            spread = NOISE_COUNTS * step_a / math.sqrt(self._nplc)
            current_a += float(self._noise.normal()) * spread
        if abs(current_a) > range_a * OVER:
            return OVERFLOW, True
        return round(current_a / step_a) * step_a, False


def _only(word: str, wanted: str) -> None:
    if word != wanted:
        raise ScpiError(*ILLEGAL)


def _ignore(_: object) -> None:
    """A setting without effect on this circuit: leads have no resistance."""
