"""Source meters of other libraries in the role of ours: they read, and they hold levels.

Protection of the array is not left to the other library: compliance and levels are checked here
before they are set, read back through it and compared. The width of its pulses would depend on the
computer, so every train is refused. A reading as large as the compliance counts as a reading at
compliance, because such drivers do not report it.
"""

from __future__ import annotations

import importlib
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import Field
from typing_extensions import override

from hwloop.array.operations import Flag
from hwloop.errors import ConfigError, HwloopError, InstrumentFault, UnexpectedReply, Unsupported
from hwloop.settings.units import PositiveAmpere, PositiveVolt
from hwloop_drivers.instruments.families.common import number, refuse_above
from hwloop_drivers.instruments.families.identified import Verdict
from hwloop_drivers.instruments.families.scpi import ScpiInstrument
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.roles import (
    Measured,
    PulseGenerator,
    SourceMeter,
    SourceSetup,
    Train,
    TrainPoint,
)

SIX_DIGITS = 5e-6  # relative: the most that public drivers send
AT_LIMIT = 5e-3  # relative: a reading so near to the compliance is at it
OVERFLOW = 9.9e36
MEASURE_RANGE = ":SENS:CURR:RANG"  # SCPI-99, volume 2, 18.3
RANGE_OVER = 1.05  # a range is answered as its nominal value, or as its largest
STATUS_OVER_RANGE, STATUS_COMPLIANCE = 1 << 0, (1 << 3) | (1 << 16)  # of a 2400: 18-50


class ForeignSettings(LinkSettings):
    """Settings of a foreign driver: its class, and the abilities of its instrument.

    ``class``: with its module, as ``pymeasure.instruments.keithley.Keithley2400``. ``identity``:
    a part of the answer to ``*IDN?``. ``most_v``, ``least_a``, ``most_a``: the largest level, the
    smallest and the largest compliance. ``channel``: the attribute
    that is the channel, of an instrument with several. ``prepare``: attributes that are set before
    anything else. ``names``: attributes whose names differ from the library's usual ones.
    ``lock_range``: false for an instrument whose output is not limited by its measurement range,
    or that has no ``:SENSe:CURRent:RANGe``.
    """

    class_: str = Field(alias="class", pattern=r"^\w+(\.\w+)+$")
    identity: str = Field(min_length=1)
    most_v: PositiveVolt
    least_a: PositiveAmpere
    most_a: PositiveAmpere
    channel: str = ""
    prepare: dict[str, Any] = Field(default_factory=dict)
    names: dict[str, str] = Field(default_factory=dict)
    lock_range: bool = True


class ForeignSourceMeter(ScpiInstrument, SourceMeter):
    """A source meter behind another library's class, over a link of ours.

    The other library speaks through the same link, so that the link's guarantees hold for it:
    bounded calls, no stale answers, the wire log. ``names``: the library's attributes for the
    level, its range, the compliance, the reading, its integration time and the output. The reading
    may be a method that returns a mapping with ``current``, and perhaps ``status`` as of a 2400.
    """

    names: Mapping[str, str]
    prepare: Mapping[str, Any] = {}

    def __init__(self, link: Link, settings: ForeignSettings, *, library: str) -> None:
        super().__init__(link, settings)
        self.models = (settings.identity.upper(),)
        self._settings = settings
        self._called = _known_names(self.names, settings.names)
        self._class = _class(settings.class_, library)
        self._made: Any = None
        self._range_v = self._compliance_a = 0.0
        self._level_v = 0.0

    @override
    def judge(self, identity: str) -> Verdict:
        # The station says which part of the answer has to be there.
        held = any(model in identity.upper() for model in self.models)
        return Verdict.ACCEPTED if held else Verdict.OTHER

    @abstractmethod
    def _make(self, made_by: Any) -> Any:
        """Return the other library's instrument, made on our link."""

    @abstractmethod
    def _put(self, name: str, value: object) -> None:
        """Set one attribute of the other library's instrument."""

    @abstractmethod
    def _take(self, name: str) -> object:
        """Return one attribute of the other library's instrument."""

    @abstractmethod
    def _discard(self) -> None:
        """Discard the other library's instrument; send nothing."""

    @override
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        return {"": self}

    @override
    def read_back(self) -> dict[str, object]:
        return {
            "driver": self._settings.class_,
            "compliance_current_a": self.compliance_current,
        }

    @override
    def reset(self) -> None:
        self._discard()
        self._made = None
        super().reset()
        self._level_v = 0.0

    @override
    def safe_state(self) -> None:
        try:
            self._set_value("level", 0.0)
        finally:
            self._set_value("enabled", False)
        self._level_v = 0.0
        if self.source_enabled:
            raise UnexpectedReply(f"{self.link.address}: the output is still on")

    @override
    def set_up(self, setup: SourceSetup) -> None:
        settings = self._settings
        refuse_above("level", setup.range_v, settings.most_v, "V")
        refuse_above("compliance", setup.compliance_a, settings.most_a, "A")
        if setup.compliance_a < settings.least_a:
            raise Unsupported(
                f"{self.link.address}: compliance {setup.compliance_a:g} A is below its"
                f" {settings.least_a:g} A"
            )
        for name, value in {**self.prepare, **settings.prepare}.items():
            self._guarded(lambda name=name, value=value: self._put(name, value))
        self._set_confirmed_as("level", 0.0)
        if self._called["range"]:
            self._set_value("range", abs(setup.range_v))
        if settings.lock_range:  # no compliance is allowed far below the range in use
            self._set(f"{MEASURE_RANGE} {number(min(setup.compliance_a, self.compliance_current))}")
        self._set_confirmed_as("compliance", setup.compliance_a)
        self._lock(setup.compliance_a)
        if self._called["nplc"]:
            self._set_confirmed_as("nplc", setup.nplc)
        self._range_v, self._compliance_a = abs(setup.range_v), setup.compliance_a
        self._level_v = 0.0

    @property
    @override
    def source_voltage(self) -> float:
        return self._level_v

    @source_voltage.setter
    def source_voltage(self, level_v: float) -> None:
        self.refuse_level(level_v)
        refuse_above(f"{self.link.address}: level", level_v, self._range_v, "V")
        self._set_confirmed_as("level", level_v)
        self._finish()
        self._level_v = level_v

    @property
    @override
    def compliance_current(self) -> float:
        return self._number("compliance")

    @property
    @override
    def source_enabled(self) -> bool:
        said = self._guarded(lambda: self._take(self._called["enabled"]))
        if said not in {True, False, "on", "off", "ON", "OFF"}:
            raise UnexpectedReply(
                f"{self.link.address}: {self._called['enabled']} answered {said!r}"
            )
        return said in {True, "on", "ON"}

    @source_enabled.setter
    def source_enabled(self, on: bool) -> None:
        self._set_value("enabled", on)
        self._finish()

    @property
    @override
    def tripped(self) -> bool:
        return Flag.COMPLIANCE in self.measure_current().flags

    @override
    def measure_current(self) -> Measured:
        if self._settings.lock_range:
            self._set(f"{MEASURE_RANGE}:AUTO ON")
        current_a, status = self._reading()
        self._lock(self._compliance_a)
        flags = Flag(0)
        if abs(current_a) >= OVERFLOW or status & STATUS_OVER_RANGE:
            flags |= Flag.OVER_RANGE
        elif status & STATUS_COMPLIANCE or abs(current_a) >= self._compliance_a * (1 - AT_LIMIT):
            flags |= Flag.COMPLIANCE
        return Measured(math.nan if flags else current_a, flags)

    def _reading(self) -> tuple[float, int]:
        """Return the current, amperes, and the status of its reading; 0 where there is none."""
        taken = self._guarded(lambda: self._take(self._called["current"]))
        if not callable(taken):
            return self._as_number("current", taken), 0
        fields = self._guarded(taken)
        if not (isinstance(fields, Mapping) and "current" in fields):
            raise UnexpectedReply(
                f"{self.link.address}: {self._called['current']} answered {fields!r}"
            )
        status = self._as_number("current", fields.get("status", 0))
        return self._as_number("current", fields["current"]), int(status)

    def _lock(self, limit_a: float) -> None:
        """Lock the measurement range that carries the compliance, and read it back.

        In many source meters the range in use limits the output, and an automatic one stays where
        the last reading left it.
        """
        if not self._settings.lock_range:
            return
        self._set(f"{MEASURE_RANGE} {number(limit_a)}")
        range_a = self._ask(f"{MEASURE_RANGE}?")
        if range_a * RANGE_OVER < limit_a * (1 - SIX_DIGITS):
            raise InstrumentFault(
                f"{self.link.address}: {MEASURE_RANGE} was set to {number(limit_a)} but reads back"
                f" {number(range_a)}, which limits the output below its compliance"
            )

    @override
    def refuse_level(self, level_v: float) -> None:
        refuse_above("level", level_v, self._settings.most_v, "V")

    @override
    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        # Always: nothing in the instrument would make the widths.
        raise Unsupported(
            f"{self._settings.class_} makes no pulses here: the width of {len(points)} levels"
            " would be the computer's; use one of hwloop's own drivers, or a pulse generator"
        )

    @override
    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        self.refuse_train(points)
        raise AssertionError  # pragma: no cover - it is always refused

    @override
    def shutdown(self) -> None:
        try:
            super().shutdown()
        finally:
            self._discard()

    def foreign(self) -> Any:
        """Return the other library's instrument, or its channel; made at the first use."""
        if self._made is None:
            self._made = self._guarded(lambda: self._make(self._class))
        if not self._settings.channel:
            return self._made
        return getattr(self._made, self._settings.channel)

    def _set_value(self, what: str, value: object) -> None:
        self._guarded(lambda: self._put(self._called[what], value))

    def _set_confirmed_as(self, what: str, value: float) -> None:
        """Set through the other library, ask it, and compare."""
        name = self._called[what]
        self._guarded(lambda: self._put(name, value))
        question = self._called.get(f"{what}_read", name)
        if not question:
            return
        read = self._number(f"{what}_read" if f"{what}_read" in self._called else what)
        if not math.isclose(read, value, rel_tol=SIX_DIGITS, abs_tol=1e-15):
            raise InstrumentFault(
                f"{self.link.address}: {name} was set to {number(value)} but reads back"
                f" {number(read)}"
            )

    def _number(self, what: str) -> float:
        name = self._called[what]
        return self._as_number(what, self._guarded(lambda: self._take(name)))

    def _as_number(self, what: str, value: object) -> float:
        name = self._called[what]
        try:
            found = float(cast("float", value))
        except (TypeError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            raise UnexpectedReply(f"{self.link.address}: {name} is {value!r}, not a number")
        return found

    def _finish(self) -> None:
        """Wait until the instrument has finished: another may be addressed next."""
        reply = self.link.query("*OPC?").strip()
        if reply != "1":
            raise UnexpectedReply(f"{self.link.address}: *OPC? answered {reply!r}")

    def _guarded(self, action: Any) -> Any:
        """Run an action of the other library; turn what it raises into an UnexpectedReply."""
        try:
            return action()
        except HwloopError:
            raise
        except Exception as exc:
            raise UnexpectedReply(
                f"{self.link.address}: {self._settings.class_} failed: {type(exc).__name__}: {exc}"
            ) from exc


def _known_names(usual: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    unknown = set(given) - set(usual)
    if unknown:
        raise ConfigError(
            f"{', '.join(sorted(unknown))}: what can be named is {', '.join(usual)}",
            key="settings.names",
        )
    return {**usual, **given}


def _class(path: str, library: str) -> Any:
    """Import and return the class; raises :class:`ConfigError` where it does not exist."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as exc:
        raise ConfigError(
            f"{path}: {exc}; {library} comes with pip install 'hwloop[third-party]'",
            key="settings.class",
        ) from exc
    except AttributeError:
        raise ConfigError(f"{path}: {module} has no {name}", key="settings.class") from None
