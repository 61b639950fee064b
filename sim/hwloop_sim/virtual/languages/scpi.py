"""SCPI as instruments parse it: short and long forms, optional nodes, compound messages.

After SCPI-99, volume 1, chapter 6, and IEEE 488.2.
"""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.instrument import VirtualInstrument
from hwloop_sim.virtual.languages.scpi_status import COMPLETE, SUMMARIES, Register, Status

UNDEFINED = (-113, "Undefined header")
NOT_ALLOWED = (-108, "Parameter not allowed")
MISSING = (-109, "Missing parameter")
WRONG_TYPE = (-104, "Data type error")
OUT_OF_RANGE = (-222, "Parameter data out of range")
ILLEGAL = (-224, "Illegal parameter value")
QUEUE_OVERFLOW = (-350, "Queue overflow")
SCALES = {"": 1.0, "K": 1e3, "M": 1e-3, "U": 1e-6, "N": 1e-9, "P": 1e-12, "MA": 1e6}
MOST_DIGITS = 255  # of a number as text: IEEE 488.2, 7.7.2.4
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)")


class ScpiError(Exception):
    """An entry of the error queue: (code, text)."""


@dataclass(frozen=True)
class Arguments:
    """The parameters of one command, as text."""

    values: tuple[str, ...]

    def text(self, index: int = 0) -> str:
        """Return a parameter as written, without quotes."""
        try:
            return self.values[index].strip("'\"")
        except IndexError:
            raise ScpiError(*MISSING) from None

    def _only(self) -> str:
        """Return the one parameter of a command that takes no more."""
        if len(self.values) > 1:
            raise ScpiError(*NOT_ALLOWED)
        return self.text()

    def number(
        self, *, lowest: float = -math.inf, highest: float = math.inf, default: float | None = None
    ) -> float:
        """Parse a number in any SCPI form; ScpiError outside the bounds."""
        word = self._only().upper()
        named = {"MIN": lowest, "MINIMUM": lowest, "MAX": highest, "MAXIMUM": highest}
        if default is not None:
            named |= {"DEF": default, "DEFAULT": default}
        value = named[word] if word in named else parse_number(word)
        if not lowest <= value <= highest:
            raise ScpiError(*OUT_OF_RANGE)
        return value

    def numbers(self) -> list[float]:
        """Parse all parameters as numbers."""
        if not self.values:
            raise ScpiError(*MISSING)
        return [parse_number(value) for value in self.values]

    def boolean(self) -> bool:
        """Parse ON, OFF or a number."""
        word = self._only().upper()
        return word == "ON" or (word != "OFF" and parse_number(word) != 0)

    def choice(self, *forms: str) -> str:
        """Match one of the words, in short or long form; return its short form."""
        word = self._only().upper()
        for form in forms:
            if word in spellings(form):
                return spellings(form)[0]
        raise ScpiError(*ILLEGAL)


Setter = Callable[[Arguments], None]
Getter = Callable[[Arguments], str | None]


def parse_number(text: str) -> float:
    """Parse a decimal number with or without a unit, or a hexadecimal, octal or binary one."""
    if len(text) > MOST_DIGITS:
        raise ScpiError(*WRONG_TYPE)
    word = text.strip().upper()
    if word in {"INF", "INFINITY"}:
        return 9.9e37
    if word[:2] in {"#H", "#Q", "#B"}:
        try:
            return float(int(word[2:], {"H": 16, "Q": 8, "B": 2}[word[1]]))
        except (ValueError, OverflowError):
            raise ScpiError(*WRONG_TYPE) from None
    match = _NUMBER.fullmatch(word)
    if match is None:
        raise ScpiError(*WRONG_TYPE)
    digits, unit = match.groups()
    for base in ("OHM", "HZ", "V", "A", "S", "W", ""):
        prefix = unit.removesuffix(base)
        if unit.endswith(base) and prefix in SCALES:
            return _finite(float(digits) * SCALES[prefix])
    raise ScpiError(*WRONG_TYPE)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ScpiError(*OUT_OF_RANGE)
    return value


def split_outside(text: str, separator: str) -> list[str]:
    """Split at separators that are neither in quotes nor in parentheses."""
    parts, begin, quote, depth = [], 0, "", 0
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character == "(") - (character == ")")
            if character == separator and depth == 0:
                parts.append(text[begin:place])
                begin = place + 1
    return [*parts, text[begin:]]


def spellings(form: str) -> tuple[str, str]:
    """Return short and long form, in capitals, of a node that is written as VOLTage."""
    return "".join(c for c in form if not c.islower()), form.upper()


def _pattern(header: str) -> re.Pattern[str]:
    """Compile a regular expression for a header such as ``[:SOURce[1]]:VOLTage[:LEVel]``."""
    source = ""
    for token in re.findall(r"\[|\]|:|\*?[A-Za-z]+|\d+", header):
        if token == "[":  # noqa: S105 - a bracket
            source += "(?:"
        elif token == "]":  # noqa: S105 - a bracket
            source += ")?"
        elif token == ":" or token.isdigit():  # noqa: S105 - a colon
            source += token
        else:
            source += f"(?:{'|'.join(re.escape(word) for word in sorted(set(spellings(token))))})"
    return re.compile(source)


class VirtualScpiInstrument(VirtualInstrument):
    """An instrument that speaks SCPI: subclasses register their commands with :meth:`on`."""

    identity = ""
    errors_kept = 10
    """Errors that the queue holds: of the 2400, 18-109."""

    def __init__(
        self,
        name: str,
        circuit: Circuit,
        clock: BenchClock,
        *,
        noise: np.random.Generator | None,
        settings: Mapping[str, object],
    ) -> None:
        super().__init__(name, circuit, clock, noise=noise, settings=settings)
        self._commands: list[tuple[re.Pattern[str], Setter | None, Getter | None]] = []
        self._errors: deque[tuple[int, str]] = deque()
        self._kept: dict[str, str] = {}
        self._defaults: dict[str, str] = {}
        self._found: dict[str, tuple[Setter | None, Getter | None]] = {}
        self.status = Status()
        self._add_common()
        self._add_status()

    def on(self, header: str, *, set: Setter | None = None, get: Getter | None = None) -> None:  # noqa: A002 - what SCPI does
        """Register the setter and the getter of a header."""
        self._commands.append((_pattern(header), set, get))

    def keep(self, header: str, default: str, *choices: str) -> None:
        """Register a setting that has no effect here, and is returned as it was set.

        ``choices``: the words it may be, as for :meth:`Arguments.choice`; a number where there are
        none.
        """
        self._kept[header] = default

        def told(arguments: Arguments) -> None:
            if choices:
                self._kept[header] = arguments.choice(*choices)
            else:
                self._kept[header] = f"{arguments.number():g}"

        self._defaults[header] = default
        self.on(header, set=told, get=lambda _: self._kept[header])

    def keep_whole(self, header: str, default: str, lowest: int, highest: int) -> None:
        """Register a whole number that has no effect here, and is returned as it was set."""
        self._kept[header] = self._defaults[header] = default

        def told(arguments: Arguments) -> None:
            self._kept[header] = f"{arguments.number(lowest=lowest, highest=highest):.0f}"

        self.on(header, set=told, get=lambda _: self._kept[header])

    def switch_kept(self, header: str, *, on: bool) -> None:
        """Register an ON/OFF setting that has no effect here, and is returned as it was set."""
        self._kept[header] = self._defaults[header] = str(int(on))

        def told(arguments: Arguments) -> None:
            self._kept[header] = str(int(arguments.boolean()))

        self.on(header, set=told, get=lambda _: self._kept[header])

    def reset_kept(self) -> None:
        """Reset the settings without effect to their registered defaults."""
        self._kept = dict(self._defaults)

    @abstractmethod
    def reset(self) -> None:
        """Reset the instrument, as *RST does.

        Example::

          def reset(self) -> None:
              self._smu.reset(range_v=20.0, range_a=1e-4)
              self.reset_kept()
        """

    @override
    def device_clear(self) -> None:
        pass

    @override
    def receive(self, message: str) -> str | None:
        replies, path = [], ""
        for unit in split_outside(message.strip(), ";"):
            if not unit.strip():
                continue
            try:
                path, reply = self._unit(unit.strip(), path)
            except ScpiError as exc:
                self._keep_error(int(exc.args[0]), str(exc.args[1]))
                self.status.error(int(exc.args[0]))
                break
            if reply is not None:
                replies.append(reply)
        return ";".join(replies) if replies else None

    def _unit(self, unit: str, path: str) -> tuple[str, str | None]:
        """Obey one message unit below the last header path; return its path and the reply."""
        header, _, rest = unit.partition(" ")
        asks = header.endswith("?")
        header = header.rstrip("?").upper()
        arguments = Arguments(
            tuple(part.strip() for part in split_outside(rest, ",") if part.strip())
        )
        if header.lstrip(":").startswith("*"):
            return path, self._run(header.lstrip(":"), arguments, asks=asks)
        full = header if header.startswith(":") else f"{path}:{header}"
        reply = self._run(full, arguments, asks=asks)
        return full.rpartition(":")[0], reply

    def _run(self, header: str, arguments: Arguments, *, asks: bool) -> str | None:
        setter, getter = self._find(header)
        if asks and getter is not None:
            return getter(arguments)
        if asks or setter is None:
            raise ScpiError(*UNDEFINED)
        setter(arguments)
        return None

    def _find(self, header: str) -> tuple[Setter | None, Getter | None]:
        """Return setter and getter of a header; the first of each where it is registered twice."""
        if header not in self._found:
            matching = [(s, g) for pattern, s, g in self._commands if pattern.fullmatch(header)]
            if not matching:
                raise ScpiError(*UNDEFINED)
            setter = next((s for s, _ in matching if s is not None), None)
            getter = next((g for _, g in matching if g is not None), None)
            self._found[header] = (setter, getter)
        return self._found[header]

    def _add_common(self) -> None:
        self.on("*IDN", get=lambda _: self.identity)
        self.on("*RST", set=lambda _: self.reset())
        self.on("*CLS", set=lambda _: self._clear_status())
        self.on("*OPC", set=lambda _: self.status.standard.latch(COMPLETE), get=lambda _: "1")
        self.on("*WAI", set=lambda _: None)
        self.on("*OPT", get=lambda _: "0")
        self.on("*TST", get=lambda _: "0")
        self.on(":SYSTem:ERRor[:NEXT]", get=self._next_error)
        self.on(":SYSTem:ERRor:ALL", get=lambda _: self._all_errors(self._next_error))
        self.on(":SYSTem:ERRor:COUNt", get=lambda _: str(len(self._errors)))
        self.on(":SYSTem:ERRor:CODE[:NEXT]", get=self._next_code)
        self.on(":SYSTem:ERRor:CODE:ALL", get=lambda _: self._all_errors(self._next_code))
        self.on(":SYSTem:CLEar", set=lambda _: self._clear_status())
        self.on(":STATus:QUEue[:NEXT]", get=self._next_error)

    def _add_status(self) -> None:
        status = self.status
        self.on("*ESR", get=lambda _: str(status.standard.take()))
        self.on("*STB", get=lambda _: str(status.byte(errors=bool(self._errors))))
        self.on(
            "*ESE",
            set=lambda a: _set_enable(status.standard, a, 255),
            get=lambda _: str(status.standard.enable),
        )
        self.on("*SRE", set=self._set_service, get=lambda _: str(status.service_enable))
        self.on(":STATus:PRESet", set=lambda _: status.preset())
        self.on(":STATus:CLEar", set=lambda _: status.clear())
        forms = {"MEAS": "MEASurement", "QUES": "QUEStionable", "OPER": "OPERation"}
        for name in SUMMARIES:
            self._add_register(f":STATus:{forms[name]}", name)

    def _add_register(self, header: str, name: str) -> None:
        register = self.status.registers[name]
        self.on(f"{header}[:EVENt]", get=lambda _: str(register.take()))
        self.on(f"{header}:CONDition", get=lambda _: str(self.condition(name)))
        self.on(
            f"{header}:ENABle",
            set=lambda a: _set_enable(register, a, 65535),
            get=lambda _: str(register.enable),
        )

    def condition(self, register: str) -> int:  # noqa: ARG002 - for boxes that have conditions
        """Return the present condition bits of MEAS, QUES or OPER."""
        return 0

    def _set_service(self, arguments: Arguments) -> None:
        self.status.service_enable = int(arguments.number(lowest=0, highest=255))

    def _clear_status(self) -> None:
        self._errors.clear()
        self.status.clear()

    def _keep_error(self, code: int, text: str) -> None:
        """Keep an error; the last place of a full queue says so: SCPI 1999, 21.8.1."""
        if len(self._errors) < self.errors_kept:
            self._errors.append((code, text))
        else:
            self._errors[-1] = QUEUE_OVERFLOW

    def _take_error(self) -> tuple[int, str]:
        return self._errors.popleft() if self._errors else (0, "No error")

    def _next_error(self, _: Arguments) -> str:
        code, text = self._take_error()
        return f'{code},"{text}"'

    def _next_code(self, _: Arguments) -> str:
        return str(self._take_error()[0])

    def _all_errors(self, take: Callable[[Arguments], str]) -> str:
        """Return all errors, oldest first, and empty the queue; the one of no error if empty."""
        return ",".join(take(Arguments(())) for _ in range(max(len(self._errors), 1)))


def _set_enable(register: Register, arguments: Arguments, most: int) -> None:
    register.enable = int(arguments.number(lowest=0, highest=most))


def scientific(value: float) -> str:
    """Format a number as most instruments do."""
    return f"{value:+.9E}"
