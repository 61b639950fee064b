"""Keysight B2900 source-measure units; commands after the SCPI reference, B2910-90030."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import override

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.common import number
from hwloop_drivers.instruments.families.identified import KEYSIGHT
from hwloop_drivers.instruments.families.scpi import ScpiInstrument
from hwloop_drivers.instruments.families.source_meter import (
    LOW_LIMIT_A,
    ScpiSourceMeter,
    measured,
)
from hwloop_drivers.instruments.keysight_b2900.models import (
    LIMITS,
    MODELS,
    KeysightB2900Settings,
    near_models,
)
from hwloop_drivers.instruments.keysight_b2900.train import TICK_S, Readings, TrainPlan, plan_train
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
        self._range_v = LIMITS.ranges_v[0] * LIMITS.over
        self._aperture_s = 0.0

    def read_back(self) -> dict[str, object]:
        """Return range, compliance and integration time as the instrument has them."""
        return {
            "source_range_v": self._ask(f"{self._source}:VOLT:RANG?"),
            "compliance_current_a": self._ask(f"{self._sense}:CURR:PROT?"),
            "aperture_s": self._ask(f"{self._sense}:CURR:APER?"),
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
        measure_a = limits.measure_range_for(self._name, setup)
        source, sense, write = self._source, self._sense, self._set
        nplc = setup.nplc if self._settings.nplc is None else self._settings.nplc
        self._send_setting(f"{source}:FUNC:MODE", "VOLT")
        self._send_setting(f"{source}:FUNC", "DC")
        write(f"{source}:VOLT:MODE FIX")
        write(f"{source}:VOLT 0")
        write(f"{sense}:CURR:PROT {number(LOW_LIMIT_A)}")
        self._send_setting(f"{source}:VOLT:RANG", range_v)
        self._send_setting(f"{source}:VOLT:RANG:AUTO", "0")
        self._send_setting(f"{sense}:CURR:PROT", setup.compliance_a)
        write(f"{sense}:FUNC:OFF:ALL")
        write(f'{sense}:FUNC "CURR"')
        self._aperture_s = nplc / self._ask(":SYST:LFR?")
        self._send_setting(f"{sense}:CURR:APER", self._aperture_s)
        if measure_a is None:
            self._send_setting(f"{sense}:CURR:RANG:AUTO", "1")
        else:
            self._send_setting(f"{sense}:CURR:RANG:AUTO", "0")
            self._send_setting(f"{sense}:CURR:RANG", measure_a)
        self._send_setting(f"{sense}:REM", "1" if self._settings.four_wire else "0")
        # The instrument's own waits would come between a trigger and what it triggers.
        self._send_setting(f"{source}:WAIT", "0")
        self._send_setting(f"{sense}:WAIT", "0")
        self._send_setting(f"{self._output_header}:ON:AUTO", "0")
        self._send_setting(f"{self._output_header}:OFF:AUTO", "0")
        self._send_setting(f"{self._output_header}:OFF:MODE", "ZERO")
        write(":FORM:ELEM:SENS CURR,STAT")
        self._confirm_settings()
        self._range_v, self._level_v = range_v * LIMITS.over, 0.0

    @override
    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        # Widths from 50 µs in steps of 1 µs; at most 2500 steps of their common divisor.
        self._plan(points)

    @override
    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        plan = self._plan(points)
        self._refuse_levels(*plan.levels_v)
        if plan.readings is not None:
            self._refuse_readings(points, plan.readings)
        self._send(plan)
        timeout_s = 2 * plan.duration_s + self._settings.timeout_s
        source = self._source
        try:
            if plan.readings is None:
                question = f":INIT:TRAN {self._list};*OPC?"
                self.link.query(question, timeout_s=timeout_s)
                return Train()
            question = f":INIT {self._list};*WAI;:FETC:ARR? {self._list}"
            reply = self.link.query(question, timeout_s=timeout_s)
        finally:
            for restored in (f"{source}:VOLT:MODE FIX", f"{source}:FUNC DC", f"{source}:VOLT 0"):
                self.link.write(restored)
            self._level_v = 0.0
        wanted = plan.readings.wanted
        readings = self._readings(question, reply, len(wanted))
        kept = [m for m, is_wanted in zip(readings, wanted, strict=True) if is_wanted]
        return Train.of(kept, seen=readings)

    def _plan(self, points: Sequence[TrainPoint]) -> TrainPlan:
        return plan_train(self._name, points, least_interval_s=self._model.least_interval_s)

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
        readings = plan.readings
        if readings is not None:
            spacing_s = max(readings.spacing_us * TICK_S, self._model.least_interval_s)
            delay_s = readings.first_us * TICK_S - self._aperture_s
            self._send_trigger("ACQ", spacing_s, len(readings.wanted), delay_s)

    def _send_trigger(self, action: str, period_s: float, count: int, delay_s: float) -> None:
        header = f"{self._trigger}:{action}"
        for command in (
            f"{header}:SOUR TIM",
            f"{header}:TIM {number(period_s)}",
            f"{header}:COUN {count}",
            f"{header}:DEL {number(delay_s)}",
        ):
            self._set(command)

    def _refuse_readings(self, points: Sequence[TrainPoint], readings: Readings) -> None:
        shortest_s = min(point.width_s for point in points if point.measure)
        room_s = readings.spacing_us * TICK_S or shortest_s
        for bound_s, what in ((shortest_s, "level"), (room_s, "spacing of readings")):
            if self._aperture_s > bound_s * (1 + 1e-9):
                raise Unsupported(
                    f"{self._name}: a {what} of {bound_s:g} s is shorter than its reading,"
                    f" {self._aperture_s:g} s"
                )

    @override
    def _measured(self, current_a: float, status: int) -> Measured:
        bits = {"compliance": STATUS_COMPLIANCE, "over_range": STATUS_OVER_RANGE}
        return measured(current_a, status, **bits)


class KeysightB2900(ScpiInstrument):
    """A B2900 with its one channel, or two named ``1`` and ``2``."""

    makers, models = KEYSIGHT, tuple(MODELS)

    def __init__(self, link: Link, settings: KeysightB2900Settings) -> None:
        super().__init__(link, settings)
        self.models, self.near = (settings.model,), near_models(settings.model)
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
    summary="Keysight B2900A source-measure units, one or two channels, SCPI",
    settings=KeysightB2900Settings,
    make=KeysightB2900,
)
