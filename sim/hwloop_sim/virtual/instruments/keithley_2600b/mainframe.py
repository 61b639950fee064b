"""Parts of a 2600B beside its channels: front panel, digital lines, timers, saved set-ups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.instruments.keithley_2600b.channel import SourceMeasureChannel
from hwloop_sim.virtual.languages.tsp_tables import Cell, Node, TspError, as_number, as_word, within
from hwloop_sim.virtual.mainframe.bits import declare_bits
from hwloop_sim.virtual.mainframe.digital_lines import DigitalLine, DigitalPort, declare_port
from hwloop_sim.virtual.mainframe.events import Events
from hwloop_sim.virtual.mainframe.timers import Timer, declare_timers
from hwloop_sim.virtual.mainframe.user_screen import UserScreen

LINES, TIMERS, SETUPS = 14, 8, range(1, 6)
WITHOUT_LINES = frozenset({"2604B", "2614B", "2634B"})  # topic digio.readport()
LEAST_DELAY_S = 0.5e-6
FIRST_TIMER_EVENT = 100.0
USER = 3.0
MOST_DESCRIPTION = 63


class Mainframe2600B:
    """Declares its tables in ``root``; nothing here reaches the circuit."""

    def __init__(
        self,
        root: Node,
        clock: BenchClock,
        channels: Mapping[str, SourceMeasureChannel],
        *,
        model: str,
        serial: str,
        reset: Callable[[], None],
    ) -> None:
        self._root, self._clock, self._channels, self._reset_all = root, clock, channels, reset
        self.events = Events()
        lines = {
            n: DigitalLine(self.events, clock, event=float(n), none=0.0)
            for n in range(1, LINES + 1)
        }
        self.port = DigitalPort(lines)
        self.timers = {
            n: Timer(
                self.events,
                clock,
                event=FIRST_TIMER_EVENT + n,
                none=0.0,
                least_s=LEAST_DELAY_S,
            )
            for n in range(1, TIMERS + 1)
        }
        if model not in WITHOUT_LINES:
            declare_port(root, self.port)
        declare_timers(root, self.timers)
        declare_bits(root)
        self._cells: list[Cell] = []
        self._saved: dict[int, dict[str, Any]] = {}
        self._declare_display()
        self._declare_setups()
        self._description = self._shipped = f"Keithley Instruments SMU {model} - {serial}"
        root.on("localnode.description", get=lambda: self._description, set=self._describe)

    def reset(self) -> None:
        """Reset the settings, as ``reset()`` does; lines keep their levels."""
        self.port.reset()
        for timer in self.timers.values():
            timer.reset()
        for cell in self._cells:
            cell.reset()

    def _describe(self, text: Any) -> None:
        if not isinstance(text, str) or len(text) > MOST_DESCRIPTION:
            raise TspError(-224, "Illegal parameter value")
        self._description = text if text.strip() else self._shipped

    def _declare_display(self) -> None:
        node, self.screen = self._root.node("display"), UserScreen()
        node.constants(SMUA=0, SMUB=1, SMUA_SMUB=2, USER=USER)
        node.constants(MEASURE_DCAMPS=0, MEASURE_DCVOLTS=1, MEASURE_OHMS=2, MEASURE_WATTS=3)
        node.constants(DIGITS_4_5=4, DIGITS_5_5=5, DIGITS_6_5=6)
        shown = self._cell(2.0 if len(self._channels) > 1 else 0.0, (0, 1, 2, USER))
        node.on("screen", get=shown.get, set=shown.set)

        def on_user_screen(act: Callable[..., None]) -> Callable[..., None]:
            def acts(*given: Any) -> None:
                shown.value = USER
                act(*given)

            return acts

        node.function("clear", on_user_screen(self.screen.clear))
        node.function("settext", on_user_screen(self.screen.write))
        node.function("setcursor", on_user_screen(self.screen.set_cursor))
        node.function("getcursor", self.screen.cursor)
        node.function("gettext", self.screen.read)
        node.function("sendkey", lambda _key: None)
        menu: dict[str, str] = {}
        node.function(
            "loadmenu.add", lambda name, code, _memory=0: menu.update({as_word(name): str(code)})
        )
        node.function("loadmenu.delete", lambda name: menu.pop(as_word(name), None) and None)
        node.function("loadmenu.catalog", lambda: list(menu))
        node.constants(SAVE=1, DONT_SAVE=0)
        node.function("trigger.wait", self._wait_for_key)
        node.function("trigger.clear", lambda: None)
        for letter in self._channels:
            digits, func = self._cell(5, (4, 5, 6)), self._cell(1, (0, 1, 2, 3))
            node.on(f"smu{letter}.digits", get=digits.get, set=digits.set)
            node.on(f"smu{letter}.measure.func", get=func.get, set=func.set)

    def _cell(self, value: float, choices: tuple[float, ...]) -> Cell:
        self._cells.append(Cell(value, choices=choices))
        return self._cells[-1]

    def _wait_for_key(self, timeout_s: Any) -> bool:
        """Wait for the TRIG key, which nobody presses: topic *display.trigger.wait()*."""
        self._clock.advance(within(as_number(timeout_s), 0, 1e5))
        return False

    def _declare_setups(self) -> None:
        node, poweron = self._root.node("setup"), Cell(0, choices=(0, *SETUPS))
        node.on("poweron", get=poweron.get, set=poweron.set)
        node.function("save", self._save)
        node.function("recall", self._recall)
        self._root.function("fs.is_dir", lambda _path: False)  # no drive is plugged in

    def _save(self, place: Any) -> None:
        if place not in SETUPS:
            raise TspError(-224, "Illegal parameter value")
        channels = {letter: channel.saved() for letter, channel in self._channels.items()}
        cells = [cell.value for cell in self._cells]
        self._saved[int(place)] = {"channels": channels, "cells": cells}

    def _recall(self, place: Any) -> None:
        """Reset, and set what was saved: the defaults as shipped (topic *Saved setups*)."""
        if place not in (0, *SETUPS):
            raise TspError(-224, "Illegal parameter value")
        self._reset_all()
        saved = self._saved.get(int(place))
        if saved is None:
            return
        for letter, settings in saved["channels"].items():
            self._channels[letter].recall(settings)
        for cell, value in zip(self._cells, saved["cells"], strict=True):
            cell.value = value
