"""Numbers with SI units: read them from text, write them for people."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

_PREFIXES = {  # power of ten
    "f": -15,
    "p": -12,
    "n": -9,
    "u": -6,
    "µ": -6,  # micro sign
    "μ": -6,  # Greek mu
    "m": -3,
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
}
_DISPLAY = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_SPELLINGS = {"ohm": ("ohm", "Ohm", "Ω", "Ω")}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\D*)$")


def parse_quantity(value: object, unit: str) -> float:
    """Read ``5e-6``, ``"5e-6"`` or ``"50 ms"`` as a finite number of ``unit``.

    Raises :class:`ValueError` with the accepted forms when it is none of these.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected {_form(unit)}")
    number = _parse_text(value, unit) if isinstance(value, str) else float(value)
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number of {unit}")
    return number


def _parse_text(text: str, unit: str) -> float:
    match = _NUMBER.match(text)
    if match is None:
        raise ValueError(f"expected {_form(unit)}")
    digits, written = match.groups()
    written = written.strip()
    if not written:
        return float(digits)
    for spelling in _SPELLINGS.get(unit, (unit,)):
        prefix = written.removesuffix(spelling)
        if prefix != written and prefix in _PREFIXES:
            # In decimal: "50 ms" is the very number that 50e-3 is, so that two spellings
            # give one record; in binary they would differ in the last bit.
            return float(Decimal(digits).scaleb(_PREFIXES[prefix]))
    raise ValueError(f"expected {_form(unit)}; got the unit {written!r}")


def _form(unit: str) -> str:
    if unit == "1":
        return "a number without a unit, such as 5e-3"
    return f"a number of {unit}, such as 5e-3 or 5 m{unit}"


def format_quantity(value: float, unit: str, *, digits: int = 4) -> str:
    """Write a number for people: ``format_quantity(3.2e-7, "S") == "320 nS"``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}".rstrip()
    power = 3 * math.floor(math.log10(abs(value)) / 3)
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 10.0 ** (power + 3):
        power += 3
    power = min(max(power, -15), 9)
    return f"{rounded / 10.0**power:.{digits}g} {_DISPLAY[power]}{unit}".rstrip()


def _in(unit: str) -> BeforeValidator:
    return BeforeValidator(lambda value: parse_quantity(value, unit))


Volt = Annotated[float, _in("V")]
Ampere = Annotated[float, _in("A")]
Second = Annotated[float, _in("s")]
Siemens = Annotated[float, _in("S")]
Ohm = Annotated[float, _in("ohm")]
Joule = Annotated[float, _in("J")]
Kelvin = Annotated[float, _in("K")]
PerAmpere = Annotated[float, _in("1/A")]
Metre = Annotated[float, _in("m")]
MetrePerSecond = Annotated[float, _in("m/s")]
Number = Annotated[float, _in("1")]

PositiveMetre = Annotated[Metre, Field(gt=0)]
PositiveVolt = Annotated[Volt, Field(gt=0)]
NegativeVolt = Annotated[Volt, Field(le=0)]
PositiveAmpere = Annotated[Ampere, Field(gt=0)]
PositiveSecond = Annotated[Second, Field(gt=0)]
PositiveSiemens = Annotated[Siemens, Field(gt=0)]
PositiveOhm = Annotated[Ohm, Field(gt=0)]
Resistance = Annotated[Ohm, Field(ge=0)]
PositiveJoule = Annotated[Joule, Field(gt=0)]
Fraction = Annotated[Number, Field(ge=0)]
"""A standard deviation as a fraction of the value that it scatters."""
Count = Annotated[int, Field(strict=True, ge=1)]


def duration_text(seconds: float) -> str:
    """Format a duration for people, such as ``"3 min 20 s"``."""
    if seconds < 60:
        return format_quantity(seconds, "s", digits=3)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
