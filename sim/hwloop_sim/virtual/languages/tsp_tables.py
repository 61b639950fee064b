"""The tables of an instrument that speaks TSP: attributes, functions, constants, sub-tables."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, Union

from typing_extensions import override

Value = Union[None, bool, float, str, "Node", list[Any], tuple[Any, ...], Callable[..., Any]]
Key = str | int
Getter = Callable[[], Value]
Setter = Callable[[Any], None]
_PART = re.compile(r"[A-Za-z_]\w*|\[\d+\]")


class TspError(Exception):
    """An error for the queue, (code, text), while the script goes on."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


class LuaFault(Exception):
    """A runtime error, -286, that stops the script on its present line."""


@dataclass(frozen=True)
class Attribute:
    """The getter and the setter of an attribute; None where it has none."""

    get: Getter | None
    set: Setter | None


class Node:
    """A table of an instrument; names that it does not have are runtime errors.

    A path is written as in TSP: ``source.levelv``, ``slot[1].idn``. A function gets its Lua
    arguments; it returns None, one value, or a tuple of several; a list becomes a Lua table.
    """

    def __init__(self) -> None:
        self._members: dict[Key, Any] = {}

    def on(self, path: str, *, get: Getter | None = None, set: Setter | None = None) -> None:  # noqa: A002 - what TSP does
        """Declare an attribute that can be read, written, or both."""
        self._declare(path, Attribute(get, set))

    def function(self, path: str, function: Callable[..., Value]) -> None:
        """Declare a function; a wrong number of arguments is a runtime error."""
        signature = inspect.signature(function)

        def checked(*arguments: Any) -> Value:
            try:
                signature.bind(*arguments)
            except TypeError as exc:
                raise LuaFault(f"{path}: {exc}") from None
            return function(*arguments)

        self._declare(path, checked)

    def constant(self, path: str, value: Value) -> None:
        """Declare a value that cannot be changed."""
        self._declare(path, value)

    def constants(self, **values: float) -> None:
        """Declare several constants by their names."""
        for name, value in values.items():
            self.constant(name, value)

    def node(self, path: str) -> Node:
        """Return the sub-table of a path, made if it is not there."""
        at = self
        for key in _keys(path):
            below = at._members.setdefault(key, Node())
            if not isinstance(below, Node):
                raise TypeError(f"{path}: {key} is no table")
            at = below
        return at

    def attach(self, path: str, node: Node) -> None:
        """Attach an existing table under a path."""
        self._declare(path, node)

    def index(self, key: Any) -> Value:
        """Return the member that Lua reads; LuaFault if it cannot be read."""
        member = self._members.get(key, _ABSENT)
        if member is _ABSENT:
            raise LuaFault(f"attempt to access field {_shown(key)}, which is not there")
        if isinstance(member, Attribute):
            if member.get is None:
                raise LuaFault(f"attempt to read field {_shown(key)}, which is write-only")
            return member.get()
        value: Value = member
        return value

    def assign(self, key: Any, value: Any) -> None:
        """Set the member that Lua writes; LuaFault if it cannot be written."""
        member = self._members.get(key, _ABSENT)
        if member is _ABSENT:
            raise LuaFault(f"attempt to set field {_shown(key)}, which is not there")
        if not isinstance(member, Attribute) or member.set is None:
            raise LuaFault(f"attempt to set field {_shown(key)}, which is read-only")
        member.set(value)

    def members(self) -> dict[Key, Any]:
        """Return every declared member, by its key."""
        return dict(self._members)

    def _declare(self, path: str, member: Any) -> None:
        *above, last = _keys(path)
        at = self
        for key in above:
            at = at.node(str(key) if isinstance(key, str) else f"[{key}]")
        at.put(last, member)

    def put(self, key: Key, member: Any) -> None:
        """Store a member under a key that need not be a name."""
        self._members[key] = member


class Values(Node):
    """Numbers that are read by their place, from 1, nil beyond the end; ``read`` returns all."""

    def __init__(self, read: Callable[[], list[Any]]) -> None:
        super().__init__()
        self.read = read

    @override
    def index(self, key: Any) -> Value:
        if isinstance(key, int | float) and not isinstance(key, bool):
            values = self.read()
            value: Value = values[int(key) - 1] if 1 <= key <= len(values) else None
            return value
        return super().index(key)


class ReadingBuffer(Values):
    """Rows of numbers; ``columns`` names them, the first of which are the readings themselves.

    Each column can be read as ``buffer.NAME[i]``, the readings also as ``buffer[i]``, and all can
    be passed to ``printbuffer``.
    """

    def __init__(self, *columns: str, capacity: int) -> None:
        self._rows: dict[str, list[Any]] = {name: [] for name in columns}
        super().__init__(lambda: self._rows[columns[0]])
        self.size = capacity
        for name in columns:
            self.attach(name, Values(partial(self._rows.__getitem__, name)))
        self.on("n", get=lambda: self.n)
        self.on("capacity", get=lambda: float(self.size))
        self.function("clear", self.clear)

    @property
    def n(self) -> float:
        """Return the number of rows."""
        return float(len(self.read()))

    def append(self, **row: Any) -> None:
        """Append a row; the oldest is dropped when the buffer is full."""
        for name, values in self._rows.items():
            values.append(row[name])
            del values[: -self.size]

    def clear(self) -> None:
        """Clear all rows of the buffer."""
        for values in self._rows.values():
            values.clear()


class Cell:
    """A plain setting with its bounds or its choices, as most attributes are.

    ``after``: called after each change.
    """

    def __init__(
        self,
        value: float,
        *,
        lowest: float = -math.inf,
        highest: float = math.inf,
        choices: Collection[float] | None = None,
        after: Callable[[], None] | None = None,
    ) -> None:
        self.value = self.default = value
        self._lowest, self._highest, self._choices = lowest, highest, choices
        self._after = after

    def get(self) -> float:
        """Return the present value of the setting."""
        return self.value

    def set(self, value: Any) -> None:
        """Set the value; :class:`TspError` beyond its bounds, and it stays as it was."""
        wanted = as_number(value)
        if self._choices is not None:
            one_of(wanted, self._choices)
        self.value = within(wanted, self._lowest, self._highest)
        if self._after is not None:
            self._after()

    def reset(self) -> None:
        """Reset to the initial value, without calling ``after``."""
        self.value = self.default


def as_number(value: Any) -> float:
    """Return a number; true and false are 1 and 0; :class:`TspError` for anything else."""
    if isinstance(value, int | float) and not math.isnan(value):
        return float(value)
    raise TspError(-104, "Data type error")


def as_word(value: Any) -> Any:
    """Return a text or number that may be looked up; :class:`TspError` for a table."""
    if isinstance(value, str | int | float):
        return value
    raise TspError(-104, "Data type error")


def within(value: float, lowest: float, highest: float) -> float:
    """Return the value; :class:`TspError` beyond the bounds."""
    if value > highest:
        raise TspError(1101, "Parameter too big")
    if value < lowest:
        raise TspError(1102, "Parameter too small")
    return value


def one_of(value: float, choices: Collection[float]) -> float:
    """Return the value; :class:`TspError` if it is not among the choices."""
    if value not in choices:
        raise TspError(-224, "Illegal parameter value")
    return value


_ABSENT = object()


def _keys(path: str) -> list[Key]:
    parts = _PART.findall(path)
    return [int(part[1:-1]) if part.startswith("[") else part for part in parts]


def _shown(key: Any) -> str:
    return f"`{key}'" if isinstance(key, str) else f"[{key!r}]"
