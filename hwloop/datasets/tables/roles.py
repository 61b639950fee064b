"""Quantities that columns hold, and the names that people and programs give them.

One vocabulary for all readers: what is a time, a voltage or a counter is never a conductance.
"""

from __future__ import annotations

import re
import unicodedata

from hwloop.datasets.tables.role_words import (
    COUNT,
    COUNTED,
    GATE,
    OFF,
    ON,
    OTHERWISE,
    PULSE,
    READING,
    REMARKS,
    SPREADS,
    STEMS,
    WIDTH,
    WORDS,
    set_of,
)
from hwloop.datasets.tables.units import UNKNOWN_UNIT, WrittenUnit, unit_of

DIMENSIONS = {
    "time_s": "s",
    "width_s": "s",
    "voltage_v": "V",
    "amplitude_v": "V",
    "read_v": "V",
    "gate_v": "V",
    "current_a": "A",
    "conductance_s": "S",
    "resistance_ohm": "ohm",
    "temperature_k": "K",
    "power_w": "W",
    "frequency_hz": "Hz",
    "charge_c": "C",
    "capacitance_f": "F",
    "pulse": "1",
    "cycle": "1",
    "train": "1",
    "cell": "1",
    "index": "1",
}
"""Role of a column → SI unit of its values."""

COUNTERS = frozenset(("pulse", "cycle", "train", "cell", "index"))
"""Roles of plain numbers that count or address."""

_DEFAULT = {  # of a column whose name says nothing, by its unit
    "V": "voltage_v",
    "A": "current_a",
    "s": "time_s",
    "S": "conductance_s",
    "ohm": "resistance_ohm",
    "K": "temperature_k",
    "W": "power_w",
    "Hz": "frequency_hz",
    "C": "charge_c",
    "F": "capacitance_f",
}

_OF_A_PULSE = {"s": "width_s", "V": "amplitude_v"}
"""Role of a column such as "Pulse (ms)" or "Pulse (V)", by the dimension of its unit."""

_BRACKETS = re.compile(r"[(\[<{][^()\[\]<>{}]*[)\]>}]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TOKEN = re.compile(r"#|[^\W\d_]+")
_IN_BRACKETS = re.compile(r"\s*[(\[{]([^()\[\]{}]+)[)\]}]")
_AFTER_SLASH = re.compile(r"^(?P<name>[^/]*[^/\s])\s*/\s*(?P<unit>[^/]+)$")
_LAST_WORD = re.compile(r"^(?P<name>.*[^\s,])(?P<mark>\s*,\s*|\s+)(?P<unit>[^\s,]+)$")
_LIKE_A_UNIT = re.compile(  # of a quantity with a prefix of whatever kind: "MA", "?A", "10^-6 A"
    r"([^\W\d_]|\W)?(V|A|S|s|Ω|ohms?|volts?|amps?|secs?|siemens)$", re.IGNORECASE
)
_FACTOR = re.compile(
    r"\d\s*[*×]|[*×]\s*\d|\de[+-]?\d|\be-\d|\b10\s*[-^⁻]"
    r"|\b(pico|nano|micro|milli|kilo|mega)\b",
    re.IGNORECASE,
)
_WITHOUT_NUMBER = re.compile(r"(?<!\d)(?<!\d\s)(?<![^\W\d_])[^\W\d_]+(?![^\W_])")
_PREPOSITION = re.compile(r"\s+in$", re.IGNORECASE)
_IMPEDANCE = re.compile(
    r"(?<![^\W\d_])z(re|im|real|imag|mod|phz|phase|abs)?\d*(?![^\W\d_])", re.IGNORECASE
)
_DIFFERENCE = re.compile(r"(?<![^\W_])(d|[Dd]elta|[Δδ∆])[ _]?[GRIVQC](?![^\W_])")
_MAGNITUDE = re.compile(r"\|[^|]+\||±|\+/-")
_NODE = re.compile(r"[VIvi]\((?!.?[VA]\))[\w:.,#$+-]+\)")
"""Node of SPICE, such as V(out) and I(R1); not I(MA) or I(10^-6 A), whose unit is not known."""

_SUFFIX = re.compile(r"^(?P<name>.*[^\W_])_(?P<unit>[^\W\d_]+)$")


def unit_in_name(name: str) -> tuple[str, WrittenUnit | None]:
    """Return a name without its unit, and the unit: ``"G (uS)"``, ``"Zeit/s"``, ``"I, uA"``.

    A unit stands in brackets, after a slash, or as the last word. One that is written but not
    known is :data:`~hwloop.datasets.tables.units.UNKNOWN_UNIT`: it is never taken for none. The
    unit after an underscore is one only where the name is of that quantity: ``i_a`` is a current
    in amperes, ``V_A`` a voltage.
    """
    stripped = name.strip()
    found = _unit_in_brackets(stripped) or _unit_after_slash(stripped)
    found = found or _unit_as_last_word(stripped) or _unit_after_underscore(name)
    base = name if found is None else found[0]
    if _is_measured(base) and _is_scaled(base):
        return base, UNKNOWN_UNIT
    return found or (name, None)


def _unit_after_underscore(name: str) -> tuple[str, WrittenUnit] | None:
    match = _SUFFIX.match(name)
    role = _named(match["name"]) if match is not None else ""
    if match is None or not role:
        return None
    unit = unit_of(match["unit"])
    if unit is not None and fits(role, unit):
        return match["name"], in_dimension(unit, DIMENSIONS[role])
    if DIMENSIONS[role].casefold() == match["unit"].casefold():
        return match["name"], WrittenUnit(DIMENSIONS[role], 0)
    return None


def _unit_in_brackets(name: str) -> tuple[str, WrittenUnit] | None:
    """Return name and unit where a bracket holds more than a place or a remark."""
    written = [text for text in _IN_BRACKETS.findall(name) if not _is_remark(text, name)]
    if not written:
        return None
    units = {unit_of(text) or UNKNOWN_UNIT for text in written}
    if units == {UNKNOWN_UNIT} and _NODE.match(name):
        return None
    unit = units.pop() if len(units) == 1 else UNKNOWN_UNIT
    return _IN_BRACKETS.sub(" ", name).strip(), unit


def _is_remark(text: str, name: str) -> bool:
    """Return whether a bracket says which one, where or how it was measured: [1], (CH1), (set)."""
    if text.strip().isdecimal():
        return True
    tokens = set(_tokens(text))
    is_unit = unit_of(text) is not None and not _is_state(text, name)
    return bool(tokens) and not is_unit and tokens <= REMARKS and "/" not in text


def _is_state(text: str, name: str) -> bool:
    """Return whether "hrs" is a high-resistance state, not the hours of a time."""
    return text.strip("()[]{} ") == "hrs" and not WORDS["time_s"] & set(_tokens(name))


def _unit_after_slash(name: str) -> tuple[str, WrittenUnit] | None:
    match = _AFTER_SLASH.match(name)
    if match is None or name.casefold().endswith("n/a"):  # not applicable
        return None
    unit = unit_of(match["unit"])
    if unit is None and _is_measured(match["name"]):
        unit = UNKNOWN_UNIT  # "Current/uArms", and ratios such as "R/R0"
    return (match["name"], unit) if unit is not None else None


def _unit_as_last_word(name: str) -> tuple[str, WrittenUnit] | None:
    """Return name and unit of ``"Current uA"``, ``"Current in uA"`` and ``"Current, uA"``."""
    match = _LAST_WORD.match(name)
    if match is None or not _is_measured(match["name"]) or _is_state(match["unit"], name):
        return None
    of_time = _named(_PREPOSITION.sub("", match["name"])) == "time_s"
    if match["unit"].casefold() in OTHERWISE and not of_time:
        return None  # "res min" is no time, "time min" is one in minutes
    unit = unit_of(match["unit"])
    if unit is None:
        after_comma = match["mark"].strip() and not _is_remark(match["unit"], name)
        if not after_comma and not _LIKE_A_UNIT.match(match["unit"]):
            return None
        unit = UNKNOWN_UNIT
    elif unit.dimension == "1":
        return None
    return _PREPOSITION.sub("", match["name"]), unit


def _is_scaled(name: str) -> bool:
    """Return whether a name holds a factor or a unit at a place where none is read.

    "Current x1e6", "uA Current", "Current micro"; not "Current at 100 mV", whose unit is of a
    number.
    """
    if _FACTOR.search(name):
        return True
    units = (unit_of(word) for word in _WITHOUT_NUMBER.findall(name))
    return any(unit is not None and unit.power != 0 for unit in units)


def _is_measured(name: str) -> bool:
    role = _named(_PREPOSITION.sub("", name))
    return bool(role) and role not in COUNTERS


def in_dimension(unit: WrittenUnit, dimension: str) -> WrittenUnit:
    """Return the unit in a dimension that it is often written for: "Time (S)", "G (us)"."""
    confused = {unit.dimension, dimension} == {"s", "S"} and unit.seconds == 1
    return WrittenUnit(dimension, unit.power) if confused else unit


def fits(role: str, unit: WrittenUnit) -> bool:
    """Return whether a column of that role can have that unit; s and S are often confused."""
    return in_dimension(unit, DIMENSIONS[role]).dimension == DIMENSIONS[role]


def role_of(name: str, unit: WrittenUnit | None) -> str:
    """Return the role of a column by its name, or by its unit where the name says nothing.

    "" where neither says it, and where they contradict each other. ``name``: without the unit.
    """
    role = _named(name)
    if role is None:
        return ""
    if name.strip() == "T" and role == "time_s":  # a time or a temperature
        unit_is = unit.dimension if unit is not None else ""
        return {"s": "time_s", "S": "time_s", "K": "temperature_k"}.get(unit_is, "")
    if unit is None or (role and unit == UNKNOWN_UNIT):
        return role
    if _is_gate_current(role, unit):
        return ""
    if role == "pulse" and unit.dimension in _OF_A_PULSE:
        return _OF_A_PULSE[unit.dimension]
    if not role or (role in COUNTERS and unit.dimension != "1"):  # "Train 1 (uS)"
        return _DEFAULT.get(unit.dimension, "")
    if role == "capacitance_f" and _tokens(name) == ["c"] and not fits(role, unit):
        return _DEFAULT.get(unit.dimension, "")  # a cell or a cycle: "C1 (uS)"
    if role == "temperature_k" and unit.dimension == "s":
        return "time_s"  # "T (s)", "Temp. (s)"
    return role if fits(role, unit) else ""


def contradicts(name: str, unit: WrittenUnit | None) -> bool:
    """Return whether a name says one quantity and the unit another, as in "Voltage (A)"."""
    named = _named(name)
    if unit is None or unit == UNKNOWN_UNIT or _is_gate_current(named or "", unit):
        return False
    return bool(named) and not role_of(name, unit)


def _is_gate_current(role: str, unit: WrittenUnit) -> bool:
    """Return whether a column is the current of a gate, which no reader takes: "Gate (A)"."""
    return role == "gate_v" and unit.dimension == "A"


def _tokens(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", _BRACKETS.sub(" ", name))
    plain = "".join(one for one in plain if not unicodedata.combining(one))
    return [token.casefold() for token in _TOKEN.findall(_CAMEL.sub(" ", plain))]


def says_spread(text: str) -> bool:
    """Return whether a longer name says an uncertainty: "standard deviation of the current"."""
    return bool(SPREADS & set(_tokens(text)))


def says_no_value(name: str) -> bool:
    """Return whether a name says no measured value: an error, a ratio, an impedance, a limit.

    ``name``: with its unit or without.
    """
    tokens = set(_tokens(name))
    is_ratio = bool(tokens & ON and tokens & OFF)
    return is_ratio or bool(_IMPEDANCE.search(name)) or _named(unit_in_name(name)[0]) is None


def _is_derived(name: str, tokens: set[str]) -> bool:
    """Return whether a name says what is computed from measured values, or an impedance."""
    if tokens & OTHERWISE or (tokens & ON and tokens & OFF):
        return True
    return any(one.search(name) for one in (_MAGNITUDE, _IMPEDANCE, _DIFFERENCE))


def _named(name: str) -> str | None:
    """Return the role that a name says; "" if it says none, None if it is no measured value."""
    tokens = set(_tokens(name))
    if _is_derived(name, tokens):
        return None
    if "t" in tokens and tokens & set_of("pulse puls set reset write program prog"):
        return "width_s"  # "t_pulse"
    if "time" in tokens and tokens & set_of("pulse pulses puls"):
        return None  # of a pulse, or how long it was
    if tokens & WIDTH:
        return "width_s"
    role = _measured(tokens)
    if role == "voltage_v" and tokens & GATE:
        return "gate_v"
    if role == "current_a" and tokens & GATE:
        return None
    if not role and tokens & set_of("vg vgs gate"):
        return "gate_v"
    if role == "voltage_v" or (not role and tokens & set_of("amplitude vread vmeas")):
        return _of_voltage(tokens)
    return role or _counted(tokens)


def _of_voltage(tokens: set[str]) -> str:
    if tokens & READING and not tokens & set_of("measured"):
        return "read_v" if tokens & set_of("read reading vread lese meas vmeas") else "voltage_v"
    return "amplitude_v" if tokens & PULSE else "voltage_v"


def _measured(tokens: set[str]) -> str:
    if "id" in tokens and len(tokens) > 1:
        return ""  # "device_id", but "ID" alone is the current of a drain
    plain = tokens - COUNT - {"amp"} if tokens & set_of("pulse cycle") else tokens
    for role, words in WORDS.items():
        long = {word for word in words if len(word) > 2}
        short = words - long
        if plain & long - {"applied"}:
            return role
        # A letter counts alone, or beside a word for where it is measured.
        rest = plain - short
        if plain & short and not rest - STEMS - READING - PULSE - GATE - set_of("memristor"):
            return role
    return ""


def _counted(tokens: set[str]) -> str:
    for role, words in COUNTED.items():
        if tokens & words and not tokens - words - COUNT - set_of("of the applied total"):
            return role
    if tokens & COUNT and tokens - set_of("id"):
        return "index"
    return ""
