"""Units as programs and people write them: dimension, power of ten, and minutes to days."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from hwloop.types import FloatArray

_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_WORDS_OF_PREFIXES = {
    "femto": -15, "pico": -12, "nano": -9, "micro": -6, "milli": -3, "": 0, "kilo": 3, "mega": 6,
    "giga": 9,
}  # fmt: skip
_SYMBOLS = {
    "V": "V", "A": "A", "s": "s", "S": "S", "ohm": "ohm", "Ohm": "ohm", "OHM": "ohm", "ohms": "ohm",
    "Ohms": "ohm", "Ω": "ohm", "K": "K", "W": "W", "F": "F", "Hz": "Hz", "J": "J", "C": "C",
    "sec": "s", "secs": "s", "Sec": "s", "Secs": "s", "volt": "V", "volts": "V", "Volt": "V",
    "Volts": "V", "amp": "A", "amps": "A", "Amp": "A", "Amps": "A",
}  # fmt: skip
_WORDS = {
    "volt": "V", "amp": "A", "ampere": "A", "second": "s", "sec": "s", "siemens": "S", "mho": "S",
    "ohm": "ohm", "kelvin": "K", "watt": "W", "farad": "F", "hertz": "Hz", "joule": "J",
    "coulomb": "C",
}  # fmt: skip
_PLAIN = frozenset(("1", "#", "-", "bits", "count", "counts", "a.u.", "arb. unit"))
_MEGA = frozenset(("ohm", "Hz", "W"))
_OWN_SCALE = frozenset(("°c", "degc", "deg c", "deg. c", "%", "db", "dbm", "deg"))
_TIMES = {
    "min": 60, "mins": 60, "minute": 60, "minutes": 60, "minuten": 60,
    "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "stunden": 3600,
    "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip
_GREEK = str.maketrans({"µ": "u", "μ": "u"})
_REFERENCE = re.compile(r"\s+(vs\.?|since)\s.*$")  # "V vs. Ref.", "hours since 2024-01-01" of CF


@dataclass(frozen=True)
class WrittenUnit:
    """Unit of a column: ``dimension`` is the symbol of the SI unit, ``power`` that of ten.

    The dimension is "1" for a plain number, "?" for a unit with its own scale (°C, %), which no
    reader takes. ``seconds``: of a minute, an hour or a day; 1 for every other unit.
    """

    dimension: str
    power: int
    seconds: int = 1

    @property
    def symbol(self) -> str:
        """Return the symbol with its prefix, such as ``uS``; "" for a plain number."""
        if self.seconds != 1:
            return next(key for key, seconds in _TIMES.items() if seconds == self.seconds)
        prefix = next(key for key, power in _PREFIXES.items() if power == self.power)
        return "" if self.dimension == "1" else prefix + self.dimension

    def in_si(self, values: FloatArray) -> FloatArray:
        """Return values of this unit in the SI unit; the same array where they are in it."""
        if self.seconds != 1:
            return np.asarray(values * self.seconds)
        if self.power == 0:
            return values
        # By division: 454.48 / 1e9 is the double nearest to 454.48e-9, the product is not.
        scaled = values / 10.0**-self.power if self.power < 0 else values * 10.0**self.power
        return np.asarray(scaled)


UNKNOWN_UNIT = WrittenUnit("?", 0)
"""Unit of a column that states one which is not known here, or has a scale of its own."""


def unit_of(text: str) -> WrittenUnit | None:
    """Return the unit in a text such as ``mV``, ``[µA]``, ``Volts`` or ``V vs. Ref.``.

    None where it is none, and where its prefix may be mistaken: a megaampere is a milliampere in
    capitals, so mega is taken of ohms, hertz and watts only.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_GREEK)
    plain = _REFERENCE.sub("", plain.strip().strip("()[]").strip())
    if not plain:
        return None
    if plain in _PLAIN:
        return WrittenUnit("1", 0)
    if plain.casefold() in _OWN_SCALE:
        return UNKNOWN_UNIT
    # In capitals H is a henry, HRS a high-resistance state, MIN a minimum.
    if plain.casefold() in _TIMES and not (plain.isupper() and len(plain) <= 3):
        return WrittenUnit("s", 0, _TIMES[plain.casefold()])
    return _symbol(plain) or _word(plain.casefold())


def _symbol(plain: str) -> WrittenUnit | None:
    for symbol, dimension in _SYMBOLS.items():
        prefix = plain.removesuffix(symbol)
        if prefix != plain and prefix in _PREFIXES:
            power = _PREFIXES[prefix]
            return WrittenUnit(dimension, power) if power < 6 or dimension in _MEGA else None
    # v and a, but no other letter, are sometimes written small.
    if plain in ("v", "a", "mv", "ma", "ua", "na", "pa", "uv", "nv"):
        return WrittenUnit(plain[-1].upper(), _PREFIXES[plain[:-1]])
    return None


def _word(plain: str) -> WrittenUnit | None:
    for word, dimension in _WORDS.items():
        for ending in (word, f"{word}s", f"{word}e"):
            prefix = plain.removesuffix(ending)
            if prefix != plain and prefix in _WORDS_OF_PREFIXES:
                return WrittenUnit(dimension, _WORDS_OF_PREFIXES[prefix])
    return None
