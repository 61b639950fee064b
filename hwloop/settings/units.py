"""Numbers with SI units: read them from text, write them for people."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from hwloop.types import LARGEST_NUMBER, SMALLEST_NUMBER

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

    Raises :class:`ValueError` with the accepted forms when it is none of these, and with the bounds
    where its magnitude is so large or small that arithmetic with it would not be finite or exact.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected {_form(unit)}")
    try:
        number = _parse_text(value, unit) if isinstance(value, str) else float(value)
    except (OverflowError, ArithmeticError):  # more digits than a number or its exponent can have
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number of {unit}")
    if number and not SMALLEST_NUMBER <= abs(number) <= LARGEST_NUMBER:
        raise ValueError(
            f"expected 0 or a magnitude of {SMALLEST_NUMBER:g} to {LARGEST_NUMBER:g}, beyond which"
            " double precision cannot compute with it"
        )
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
    rounded = float(f"{value:.{digits}g}")
    if not math.isfinite(rounded):  # the largest numbers, rounded up
        rounded = value
    power = min(max(3 * math.floor(math.log10(abs(rounded)) / 3), -15), 9)
    return f"{rounded / 10.0**power:.{digits}g} {_DISPLAY[power]}{unit}".rstrip()


@dataclass(frozen=True)
class Unit:
    """The SI unit of a number, as an annotation of its type: ``Annotated[float, Unit("V")]``.

    Reports, tables and the JSON schema take the unit from it, never from the field's name.
    ``symbol``: "1" for a plain number.
    """

    symbol: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON schema of the number with the key ``unit``."""
        return {**handler(schema), "unit": self.symbol}


def _in(unit: str) -> BeforeValidator:
    return BeforeValidator(lambda value: parse_quantity(value, unit))


Volt = Annotated[float, Unit("V"), _in("V")]
Ampere = Annotated[float, Unit("A"), _in("A")]
Second = Annotated[float, Unit("s"), _in("s")]
Siemens = Annotated[float, Unit("S"), _in("S")]
Ohm = Annotated[float, Unit("ohm"), _in("ohm")]
Farad = Annotated[float, Unit("F"), _in("F")]
Joule = Annotated[float, Unit("J"), _in("J")]
Kelvin = Annotated[float, Unit("K"), _in("K")]
Hertz = Annotated[float, Unit("Hz"), _in("1")]
Metre = Annotated[float, Unit("m"), _in("m")]
ElectronVolt = Annotated[float, Unit("eV"), _in("1")]
MetrePerSecond = Annotated[float, Unit("m/s"), _in("m/s")]
SiemensPerVolt = Annotated[float, Unit("S/V"), _in("1")]
SiemensPerSquareVolt = Annotated[float, Unit("S/V2"), _in("1")]
SquareMetrePerVoltSecond = Annotated[float, Unit("m2/(V s)"), _in("1")]
SquareMetrePerSecondOhm = Annotated[float, Unit("m2/(s ohm)"), _in("1")]
PerAmpere = Annotated[float, Unit("1/A"), _in("1/A")]
PerSecond = Annotated[float, Unit("1/s"), _in("1")]
PerVolt = Annotated[float, Unit("1/V"), _in("1")]
VoltPerMetre = Annotated[float, Unit("V/m"), _in("1")]
KelvinPerWatt = Annotated[float, Unit("K/W"), _in("1")]
PerCubicMetre = Annotated[float, Unit("1/m3"), _in("1")]
Number = Annotated[float, Unit("1"), _in("1")]


def _not_zero(value: float) -> float:
    if value == 0:
        raise ValueError("0 V: neither polarity")
    return value


EitherVolt = Annotated[Volt, AfterValidator(_not_zero)]
"""A voltage of either polarity, not 0."""

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
PerDecade = Annotated[Count, Field(le=1000)]
"""Points in a decade of a logarithmic scale."""

SUFFIXES = {
    "V": "_v",
    "A": "_a",
    "s": "_s",
    "S": "_s",
    "ohm": "_ohm",
    "F": "_f",
    "J": "_j",
    "K": "_k",
    "Hz": "_hz",
    "m": "_m",
    "eV": "_ev",
    "m/s": "_m_per_s",
    "S/V": "_s_per_v",
    "S/V2": "_s_per_v2",
    "m2/(V s)": "_m2_per_vs",
    "m2/(s ohm)": "_m2_per_s_ohm",
    "1/A": "_per_a",
    "1/V": "_per_v",
    "1/s": "_per_s",
    "1/m3": "_per_m3",
    "V/m": "_v_per_m",
    "K/W": "_k_per_w",
    "1/Hz": "_per_hz",
}
"""What a name ends in whose unit this is. A name in siemens has the word ``conductance`` as well:
every other name in ``_s`` is in seconds."""


def without_suffix(name: str, unit: str) -> str:
    """Return a name without the suffix of its unit, for where the unit stands beside it."""
    return name.removesuffix(SUFFIXES.get(unit, "")) or name


def duration_text(seconds: float) -> str:
    """Format a duration for people, such as ``"3 min 20 s"``."""
    if seconds < 60:
        return format_quantity(seconds, "s", digits=3)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
