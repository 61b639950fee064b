"""Keysight B2900 source-measure units; commands after the SCPI reference, B2910-90030."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from typing_extensions import override

from hwloop.array.operations import Flag
from hwloop.errors import UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.common import number
from hwloop_drivers.instruments.families.identified import KEYSIGHT
from hwloop_drivers.instruments.families.scpi import ScpiInstrument
from hwloop_drivers.instruments.families.source_meter import (
    LOW_LIMIT_A,
    ScpiSourceMeter,
    measured,
)
from hwloop_drivers.instruments.keysight_b2900.acquisition import (
    Acquisition,
    Timing,
    plan_acquisition,
)
from hwloop_drivers.instruments.keysight_b2900.models import (
    MODELS,
    KeysightB2900Settings,
    settling_s,
)
from hwloop_drivers.instruments.keysight_b2900.train import TICK_S, TrainPlan, plan_train
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import (
    Measured,
    PulseGenerator,
    SourceMeter,
    SourceSetup,
    Train,
    TrainPoint,
)

LIST_LINE = 100
STATUS_COMPLIANCE, STATUS_OVER_RANGE = 0b110, 1 << 13  # of a reading: SCPI reference, table 1-2
SAME_APERTURE = 1e-3  # relative: apertures that differ less read back alike


class KeysightB2900Channel(ScpiSourceMeter):
    """One channel as voltage source and ammeter."""

    def __init__(self, link: Link, settings: KeysightB2900Settings, number_: int) -> None:
        super().__init__(link, settings)
        self._settings = settings
        self._model = MODELS[settings.model]
        self._name = f"{settings.model} channel {number_}"
        self._source, self._sense = f":SOUR{number_}", f":SENS{number_}"
        self._trigger, self._list = f":TRIG{number_}", f"(@{number_})"
        self._level_header, self._output_header = f"{self._source}:VOLT", f":OUTP{number_}"
        self._limit_question = f"{self._sense}:CURR:PROT?"
        self._trip_question = f"{self._sense}:CURR:PROT:TRIP?"
        self._read_question = f":MEAS? {self._list}"
        self._range_v = self._model.limits.ranges_v[0] * self._model.limits.over
        self._aperture_s = 0.0
        self._limit_range_a = self._model.limits.ranges_a[0]
        self._read_range_a: float | None = None
        self._protecting: dict[str, float | str] = {}

    def read_back(self) -> dict[str, object]:
        """Return range, compliance, integration time and sense as the instrument has them."""
        return {
            "source_range_v": self._ask(f"{self._source}:VOLT:RANG?"),
            "compliance_current_a": self._ask(f"{self._sense}:CURR:PROT?"),
            "aperture_s": self._ask(f"{self._sense}:CURR:APER?"),
            "four_wire": self._ask(f"{self._sense}:REM?") == 1,
        }

    def turn_off(self) -> None:
        """Abort what is under way, go to 0 V and switch off; not read back."""
        self.link.write(f":ABOR {self._list}")
        self.link.write(f"{self._source}:VOLT 0")
        self.link.write(f"{self._source}:CURR 0")
        self.link.write(f"{self._output_header} OFF")
        self._level_v = 0.0

    @override
    def set_up(self, setup: SourceSetup) -> None:
        limits = self._model.limits
        range_v = limits.range_for(self._name, setup)
        self._limit_range_a = limits.range_of_limit(setup.compliance_a)
        self._read_range_a = limits.measure_range_for(self._name, setup)
        if self._read_range_a is not None and self._read_range_a > self._limit_range_a:
            # No range above the smallest that holds the limit is used: user's guide, 6-4.
            raise Unsupported(
                f"{self._name}: measurement range {self._read_range_a:g} A is above the"
                f" {self._limit_range_a:g} A range of the compliance, {setup.compliance_a:g} A"
            )
        source, sense, write = self._source, self._sense, self._set
        nplc = setup.nplc if self._settings.nplc is None else self._settings.nplc
        for command in (
            f"{source}:FUNC:MODE VOLT",
            f"{source}:FUNC DC",
            f"{source}:VOLT:MODE FIX",
            f"{source}:VOLT 0",
            f"{sense}:CURR:PROT {number(LOW_LIMIT_A)}",
            f"{source}:VOLT:RANG:AUTO 0",
            f"{source}:VOLT:RANG {number(range_v)}",
            f"{sense}:CURR:PROT {number(setup.compliance_a)}",
            f"{sense}:FUNC:OFF:ALL",
            f'{sense}:FUNC "CURR"',
        ):
            write(command)
        self._aperture_s = nplc / self._ask(":SYST:LFR?")
        write(f"{sense}:CURR:APER {number(self._aperture_s)}")
        self._set_read_range()
        words = {
            f"{sense}:REM": "1" if self._settings.four_wire else "0",
            f"{source}:WAIT": "0",  # it would come between a trigger and its step
            f"{sense}:WAIT": "1",  # until a level has settled: SCPI reference, 4-91
            f"{self._output_header}:ON:AUTO": "0",
            f"{self._output_header}:OFF:AUTO": "0",
            f"{self._output_header}:OFF:MODE": "ZERO",
        }
        for header, word in words.items():
            write(f"{header} {word}")
        write(":FORM:ELEM:SENS CURR,STAT")
        self._protecting = {
            f"{source}:VOLT:RANG": range_v,
            f"{source}:VOLT:RANG:AUTO": "0",
            f"{sense}:CURR:PROT": setup.compliance_a,
        }
        # After all settings, since one may change another.
        functions: dict[str, float | str] = {f"{source}:FUNC:MODE": "VOLT", f"{source}:FUNC": "DC"}
        self._confirm(functions | self._protecting | self._read_settings() | words)
        self._range_v, self._level_v = range_v * limits.over, 0.0

    def _read_settings(self) -> dict[str, float | str]:
        """Return aperture and range of readings, as they are to be read back."""
        ranging: dict[str, float | str] = {f"{self._sense}:CURR:RANG:AUTO": "1"}
        if self._read_range_a is not None:
            ranging = {
                f"{self._sense}:CURR:RANG:AUTO": "0",
                f"{self._sense}:CURR:RANG": self._read_range_a,
            }
        return {f"{self._sense}:CURR:APER": self._aperture_s, **ranging}

    def _set_read_range(self) -> None:
        if self._read_range_a is None:
            self._set(f"{self._sense}:CURR:RANG:AUTO 1")
        else:
            self._set_range(self._read_range_a)

    def _set_range(self, range_a: float) -> None:
        self._set(f"{self._sense}:CURR:RANG:AUTO 0")
        self._set(f"{self._sense}:CURR:RANG {number(range_a)}")

    def _confirm(self, settings: Mapping[str, float | str]) -> None:
        self._confirm_together(settings, rel_tol={"APER": SAME_APERTURE})

    @override
    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        # Widths from 50 µs in steps of 1 µs; at most 2500 steps of their common divisor.
        self._plan(points)

    @override
    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        # The range of readings is fixed for the train: that of the limit, where pulses are made.
        plan = self._plan(points)
        self._refuse_levels(*plan.levels_v)
        range_a = self._limit_range_a
        if self._read_range_a is not None and not plan.has_unmeasured_levels:
            range_a = self._read_range_a
        timing = Timing(self._aperture_s, settling_s(range_a), self._model.between_readings_s)
        acquisition = plan_acquisition(self._name, plan, timing)
        question = f":INIT {self._list};*WAI;:FETC:ARR? {self._list}"
        timeout_s = 2 * plan.duration_s + self._settings.timeout_s
        source = self._source
        try:
            self._send(plan)
            self._send_acquisition(acquisition, range_a)
            reply = self.link.query(question, timeout_s=timeout_s)
        finally:
            for restored in (f"{source}:VOLT:MODE FIX", f"{source}:FUNC DC", f"{source}:VOLT 0"):
                self.link.write(restored)
            self._level_v = 0.0
        self._set_read_range()
        self._set(f"{self._sense}:CURR:APER {number(self._aperture_s)}")
        self._set(f"{self._sense}:WAIT 1")
        readings = self._readings(question, reply, acquisition.count)
        return Train.of(
            [_mean(readings[part.start : part.stop]) for part in acquisition.wanted], seen=readings
        )

    def _plan(self, points: Sequence[TrainPoint]) -> TrainPlan:
        return plan_train(
            self._name,
            points,
            least_interval_s=self._model.least_interval_s,
            most_v=self._model.limits.most_v,
        )

    def _send(self, plan: TrainPlan) -> None:
        write, source = self._set, self._source
        write(f"{source}:VOLT 0")
        if plan.pulse_us is None:
            for start in range(0, len(plan.levels_v), LIST_LINE):
                line = ",".join(number(v) for v in plan.levels_v[start : start + LIST_LINE])
                write(f"{source}:LIST:VOLT{'' if start == 0 else ':APP'} {line}")
            write(f"{source}:VOLT:MODE LIST")
        else:
            self._set_confirmed(f"{source}:VOLT:TRIG", plan.levels_v[0])
            write(f"{source}:PULS:DEL 0")
            self._set_confirmed(f"{source}:PULS:WIDT", plan.pulse_us * TICK_S)
            write(f"{source}:FUNC PULS")
        self._send_trigger("TRAN", plan.period_us * TICK_S, plan.count, 0.0)

    def _send_acquisition(self, acquisition: Acquisition, range_a: float) -> None:
        """Send the readings of a train, and read back what protects the array during it."""
        self._set_range(range_a)
        self._set(f"{self._sense}:CURR:APER {number(acquisition.aperture_s)}")
        self._set(f"{self._sense}:WAIT 0")  # it would come between a trigger and its reading
        spacing_s = max(acquisition.spacing_us * TICK_S, self._model.least_interval_s)
        self._send_trigger("ACQ", spacing_s, acquisition.count, acquisition.delay_s)
        ranging: dict[str, float | str] = {
            f"{self._sense}:CURR:RANG": range_a,
            f"{self._sense}:CURR:RANG:AUTO": "0",
        }
        self._confirm(self._protecting | ranging)

    def _send_trigger(self, action: str, period_s: float, count: int, delay_s: float) -> None:
        header = f"{self._trigger}:{action}"
        for command in (
            f"{header}:SOUR TIM",
            f"{header}:TIM {number(period_s)}",
            f"{header}:COUN {count}",
            f"{header}:DEL {number(delay_s)}",
        ):
            self._set(command)

    @override
    def _measured(self, current_a: float, status: int) -> Measured:
        bits = {"compliance": STATUS_COMPLIANCE, "over_range": STATUS_OVER_RANGE}
        return measured(current_a, status, **bits)


def _mean(readings: Sequence[Measured]) -> Measured:
    """Return the mean of readings of one level; NaN with all their flags where one has any."""
    flags = Flag(0)
    for reading in readings:
        flags |= reading.flags
    return Measured(math.fsum(r.current_a for r in readings) / len(readings), flags)


class KeysightB2900(ScpiInstrument):
    """A B2900 with its one channel, or two named ``1`` and ``2``."""

    makers, models = KEYSIGHT, tuple(MODELS)

    def __init__(self, link: Link, settings: KeysightB2900Settings) -> None:
        super().__init__(link, settings)
        self.models = (settings.model,)
        names = MODELS[settings.model].channels
        self._channels = {
            name: KeysightB2900Channel(link, settings, number_)
            for number_, name in enumerate(names, start=1)
        }

    @override
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        return dict(self._channels)

    @override
    def read_back(self) -> dict[str, object]:
        return {
            f"{name}.{key}" if name else key: value
            for name, channel in self._channels.items()
            for key, value in channel.read_back().items()
        }

    @override
    def safe_state(self) -> None:
        for channel in self._channels.values():
            channel.turn_off()
        still_on = [name or "1" for name, c in self._channels.items() if c.source_enabled]
        if still_on:
            raise UnexpectedReply(
                f"{self.link.address}: output {' and '.join(still_on)} is still on"
            )


KEYSIGHT_B2900 = InstrumentKind(
    name="keysight_b2900",
    summary="Keysight B2900A, B2900B and B2900BL source-measure units, one or two channels, SCPI",
    settings=KeysightB2900Settings,
    make=KeysightB2900,
)
