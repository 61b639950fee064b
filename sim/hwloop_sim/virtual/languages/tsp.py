"""TSP as Keithley's instruments speak it: each message is Lua, replies are what it prints.

After the Series 2600B reference manual, 2600BS-901-01: remote messages, scripts, error queue.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from hwloop_sim.virtual.circuit.instrument import VirtualInstrument
from hwloop_sim.virtual.languages.lua_sandbox import (
    MOST_INSTRUCTIONS,
    LuaRunError,
    OutOfMemory,
    Sandbox,
)
from hwloop_sim.virtual.languages.tsp_format import Format, error_text
from hwloop_sim.virtual.languages.tsp_tables import (
    Cell,
    LuaFault,
    Node,
    TspError,
    as_number,
    within,
)

SYNTAX, RUNTIME = -285, -286
MOST_ERRORS = 100
RECOVERABLE = 20.0
OVERFLOWED = TspError(-350, "Queue overflow")
OUT_OF_MEMORY = TspError(-225, "Out of memory or TSP memory allocation error")
MOST_DELAY_S = 1e6
MOST_LINES = 100_000
MOST_BYTES = 1 << 24
"""Of the output queue, and of a script that is being loaded."""
MOST_ERROR_TEXT = 255  # SCPI-99, 21.8.1
_EXIT = "TSP:0: exit"


class VirtualTspInstrument(VirtualInstrument):
    """An instrument that speaks TSP: subclasses declare names in :attr:`root`, and :meth:`reset`.

    ``root`` holds the globals of scripts: ``root.on("smu.source.level", get=…, set=…)``,
    ``root.function("channel.close", …)``, ``root.constant("smu.ON", 1)``, ``root.node("smu")`` for
    a table to declare in. All of it must be declared before the end of ``__init__``. A setter or
    function that raises :class:`hwloop_sim.virtual.languages.tsp_tables.TspError` puts it into the
    error queue and the script goes on, as on the real instruments; names that were not declared are
    runtime errors (-286), which stop it.
    """

    model = ""
    serial = "0000000"
    version = "1.0.0"
    line_hz = 50.0
    ascii_precision = 6
    """The default of ``format.asciiprecision``; 0 is automatic."""
    no_error = "Queue Is Empty"
    show_errors: tuple[str, tuple[int, ...]] = ("showerrors", (0, 1))
    """Attribute of ``localnode`` by which errors are sent unasked, and its values."""
    instructions = MOST_INSTRUCTIONS
    """Number of Lua instructions after which a script is stopped as a runaway."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.errors: deque[TspError] = deque()
        self.root = Node()
        self.format = Format(self.ascii_precision)
        self._settings: Mapping[str, object] = kwargs["settings"]
        self._printed: list[str] = []
        self._printed_bytes = self._script_bytes = 0
        self._event_status = 0
        self._sandbox: Sandbox | None = None
        self._script: tuple[str, bool, list[str]] | None = None
        self._scripts: dict[str, Any] = {}
        self._timer_s = 0.0
        self._prompts = Cell(0, choices=(0, 1))
        self._show_errors = Cell(0, choices=self.show_errors[1])
        self._declare_language()
        self._declare_status()
        self._declare_front_panel()

    @property
    def identity(self) -> str:
        """Return the answer to the query ``*IDN?``."""
        return f"Keithley Instruments Inc., Model {self.model}, {self.serial}, {self.version}"

    @abstractmethod
    def reset(self) -> None:
        """Reset the instrument, as ``reset()`` and ``*RST`` do; the caller resets the language.

        Example::

          def reset(self) -> None:
              self._relays.become(frozenset())
        """

    def trigger(self) -> None:
        """Trigger, as ``*TRG`` does; nothing happens unless an instrument waits for it."""

    def wait_complete(self) -> None:
        """Advance the time until no action is pending, as ``waitcomplete()`` does.

        A wait that nothing would end is a TspError, where the real instrument waits for ever.
        """

    @override
    def device_clear(self) -> None:
        self._script = None

    @override
    def receive(self, message: str) -> str | None:
        self._printed, self._printed_bytes = [], 0
        for line in message.splitlines():
            self._line(line.strip("\r\n"))
            if int(self._show_errors.value) & 1:
                self._printed += [f"{error.code} {error.text}" for error in self.errors]
                self.errors.clear()
            if self._prompts.value:
                ready = "TSP?" if self.errors else "TSP>"
                self._printed.append(">>>>" if self._script is not None else ready)
        return "\n".join(self._printed) if self._printed else None

    def queue_error(self, error: TspError) -> None:
        """Put an error into the queue; when it is full, the last one becomes an overflow."""
        error = TspError(error.code, error.text[:MOST_ERROR_TEXT])
        self._event_status |= 16 if error.code > -200 or error.code <= -220 else 32
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(error)
        else:
            self.errors[-1] = OVERFLOWED

    def emit(self, text: str) -> None:
        """Put one line into the output queue; a script that fills it is stopped as a runaway."""
        self._printed_bytes += len(text)
        if len(self._printed) >= MOST_LINES or self._printed_bytes > MOST_BYTES:
            raise LuaFault("output queue full")
        self._printed.append(text)

    def _line(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        if word == "abort":
            self.device_clear()
        elif self._script is not None:
            if word == "endscript":
                self._end_script()
            else:
                self._load(line)
        elif word in {"loadscript", "loadandrunscript"}:
            self._script = (rest.strip(), word == "loadandrunscript", [])
            self._script_bytes = 0
        elif word.startswith("*"):
            for unit in line.split(";"):
                self._common(unit.strip())
        elif word:
            self._run_text(line)

    def _lua(self) -> Sandbox:
        """Return the sandbox, made when first needed, after the subclass has declared its names."""
        if self._sandbox is None:
            self._sandbox = Sandbox(self.queue_error, instructions=self.instructions)
            for name in self.root.members():
                self._sandbox.define(str(name), self.root.index(name))
        return self._sandbox

    def _run_text(self, text: str) -> None:
        try:
            chunk = self._lua().compile(text)
        except OutOfMemory:
            self._forget_all()
            return
        except LuaRunError as exc:
            self.queue_error(TspError(SYNTAX, error_text("Syntax", str(exc))))
            return
        self._run(chunk)

    def _run(self, chunk: Any) -> None:
        try:
            self._lua().run(chunk)
        except OutOfMemory:
            self._forget_all()
        except LuaRunError as exc:
            if str(exc).endswith(_EXIT):
                return
            self.queue_error(TspError(RUNTIME, error_text("Runtime", str(exc))))
            self.stopped()

    def _forget_all(self) -> None:
        """Start anew with an empty memory: every variable and script is lost."""
        self._sandbox = None
        self._scripts.clear()
        self.queue_error(OUT_OF_MEMORY)
        self.stopped()

    def stopped(self) -> None:
        """Handle a script that a runtime error has stopped; outputs stay as they are."""

    def _load(self, line: str) -> None:
        """Add a line to the script that is being loaded; give up one that has no end."""
        self._script_bytes += len(line) + 1
        if self._script_bytes > MOST_BYTES:
            self._script = None
            self.queue_error(OUT_OF_MEMORY)
        elif self._script is not None:
            self._script[2].append(line)

    def _end_script(self) -> None:
        if self._script is None:
            return
        name, runs, lines = self._script
        self._script = None
        try:
            script = self._new_script("\n".join(lines), name)
        except TspError as exc:
            self.queue_error(exc)
            return
        if runs:
            self._run(script.run)

    def _new_script(self, source: str, name: str = "") -> Any:
        try:
            script = self._lua().script(name, source)
        except OutOfMemory:
            raise OUT_OF_MEMORY from None
        except LuaRunError as exc:
            raise TspError(SYNTAX, error_text("Syntax", str(exc))) from None
        if name:
            if not name.isidentifier():
                raise TspError(-282, "Illegal program name")
            self._scripts[name] = script
            self._lua().set_global(name, script)
        return script

    def _delete_script(self, name: Any) -> None:
        if self._scripts.pop(str(name), None) is None:
            raise TspError(-293, "Referenced name does not exist")
        self._lua().set_global(str(name), None)

    def _declare_language(self) -> None:
        root = self.root
        root.function("print", lambda *values: self.emit(self.format.tabbed(values)))
        root.function("printnumber", lambda *v: self.emit(self.format.numbers(v)))
        root.function("printbuffer", lambda *v: self.emit(self.format.buffers(*v)))
        root.attach("format", self.format)
        root.function("delay", self._delay)
        root.function("exit", _exit)
        root.function("opc", self._opc)
        root.function("reset", lambda *_: self._reset())
        root.function("waitcomplete", lambda *_: self.wait_complete())
        scripts = root.node("script")
        scripts.function("new", self._new_script)
        scripts.function("delete", self._delete_script)
        scripts.function("user.catalog", lambda: list(self._scripts))
        timer = root.node("timer")
        timer.function("reset", self._restart_timer)
        timer.function("measure.t", lambda: self._clock.now_s - self._timer_s)

    def _declare_status(self) -> None:
        root = self.root
        root.function("errorqueue.next", self.next_error)
        root.function("errorqueue.clear", lambda: self.errors.clear())
        root.on("errorqueue.count", get=lambda: float(len(self.errors)))
        root.function("status.reset", lambda: None)
        root.on("status.condition", get=lambda: 4.0 if self.errors else 0.0)
        root.on("status.standard.event", get=self._take_event_status)
        for register in ("request_enable", "standard.enable"):
            cell = Cell(0, lowest=0, highest=65535)
            root.on(f"status.{register}", get=cell.get, set=cell.set)

    def _declare_front_panel(self) -> None:
        node = self.root.node("localnode")
        node.on("model", get=lambda: self.model)
        node.on("serialno", get=lambda: self.serial)
        node.on("version", get=lambda: self.version)
        node.on("revision", get=lambda: self.version)
        node.on("linefreq", get=lambda: self.line_hz)
        node.on("prompts", get=self._prompts.get, set=self._prompts.set)
        node.on(self.show_errors[0], get=self._show_errors.get, set=self._show_errors.set)
        node.function("reset", lambda: self._reset())
        enable, screen = Cell(1, choices=(0, 1)), Cell(0)
        self.root.on("beeper.enable", get=enable.get, set=enable.set)
        self.root.function("beeper.beep", lambda _duration_s, _hz: None)
        self.root.function("display.clear", lambda: None)
        self.root.function("display.settext", lambda _text: None)
        self.root.on("display.screen", get=screen.get, set=screen.set)

    def next_error(self) -> tuple[float, str, float, float]:
        """Take the oldest error: code, text, severity, node."""
        if not self.errors:
            return 0.0, self.no_error, 0.0, 1.0
        error = self.errors.popleft()
        return float(error.code), error.text, RECOVERABLE, 1.0

    def _common(self, command: str) -> None:
        header, _, _ = command.upper().partition(" ")
        match header:
            case "*IDN?":
                self.emit(self.identity)
            case "*RST":
                self._reset()
            case "*CLS":
                self.errors.clear()
                self._event_status = 0
            case "*OPC":
                self._opc()
            case "*ESR?":
                self.emit(str(int(self._take_event_status())))
            case "*TRG":
                self.trigger()
            case "*WAI":
                self._completes()
            case "*ESE" | "*SRE" | "":
                pass
            case _:
                self._common_question(header)

    def _common_question(self, header: str) -> None:
        answers = {"*STB?": "4" if self.errors else "0", "*OPC?": "1"}
        answers |= dict.fromkeys(("*ESE?", "*SRE?", "*TST?"), "0")
        if header not in answers:
            self.queue_error(TspError(SYNTAX, f"TSP Syntax error at line 1: near `{header}'"))
            return
        if header == "*OPC?" and not self._completes():
            return
        self.emit(answers[header])

    def _completes(self) -> bool:
        """Wait for what is pending; return False, with an error, where that has no end."""
        try:
            self.wait_complete()
        except TspError as exc:
            self.queue_error(exc)
            return False
        return True

    def _reset(self) -> None:
        self.format.reset()
        self.reset()

    def _opc(self) -> None:
        self._event_status |= 1

    def _take_event_status(self) -> float:
        value, self._event_status = self._event_status, 0
        return float(value)

    def _delay(self, duration_s: Any) -> None:
        self._clock.advance(within(as_number(duration_s), 0.0, MOST_DELAY_S))

    def _restart_timer(self) -> None:
        self._timer_s = self._clock.now_s


def _exit() -> None:
    raise LuaFault(_EXIT)
