"""Units as programs and people write them: dimension and power of ten."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

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
_OWN_SCALE = frozenset(
    ("°c", "degc", "deg c", "deg. c", "min", "minutes", "h", "hours", "%", "db", "dbm", "deg")
)
_GREEK = str.maketrans({"µ": "u", "μ": "u"})
_REFERENCE = re.compile(r"\s+vs\.?\s.*$")


@dataclass(frozen=True)
class WrittenUnit:
    """Unit of a column: ``dimension`` is the symbol of the SI unit, ``power`` that of ten.

    The dimension is "1" for a plain number, "?" for a unit with its own scale (°C, minutes, %),
    which no reader takes.
    """

    dimension: str
    power: int

    @property
    def symbol(self) -> str:
        """Return the symbol with its prefix, such as ``uS``; "" for a plain number."""
        prefix = next(key for key, power in _PREFIXES.items() if power == self.power)
        return "" if self.dimension == "1" else prefix + self.dimension


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
