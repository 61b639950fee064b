"""Lua as an instrument runs it: no way out of its environment, no way to run for ever.

Instrument code sees tables that stand for :class:`hwloop_sim.virtual.languages.tsp_tables.Node`; it
never gets hold of a Python object. Instructions, processor time and memory are bounded, and no
function works for long within one instruction: pattern matching is Lua itself
(``lua_patterns.lua``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from typing import Any

from hwloop_sim.virtual.languages.tsp_tables import LuaFault, Node, TspError, Value

MOST_INSTRUCTIONS = 50_000_000  # below a second of Lua, or 200 000 calls to the instrument
MOST_CPU_S = 5.0  # of Lua itself, without what the instrument does for it
MOST_MEMORY = 64 << 20
MOST_ITEMS, MOST_DEPTH = 1_000_000, 20  # of a table that is handed to the instrument
SOURCE, PATTERNS = "lua_sandbox.lua", "lua_patterns.lua"


# Comments and strings, which stay as they are, or the head of a loop over a plain name.
_WALK = re.compile(
    r"""--\[\[.*?\]\]|--[^\n]*|\[\[.*?\]\]|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
    r"""|(?P<head>\bfor\s+[\w\s,]+?\bin\s+)(?P<list>[A-Za-z_][\w.]*)(?=\s+do\b)""",
    re.DOTALL,
)


class LuaRunError(Exception):
    """Lua's own error text, with the place that Lua names."""


class OutOfMemory(LuaRunError):
    """The sandbox is full, and must be replaced."""


class Sandbox:
    """One instrument's Lua state.

    ``queue``: called with every :class:`TspError` that a table or function reports: such an error
    does not stop a script, as on the real instruments; a :class:`LuaFault` does.
    """

    def __init__(
        self, queue: Callable[[TspError], None], *, instructions: int = MOST_INSTRUCTIONS
    ) -> None:
        from lupa import lua51  # Lua 5.1 is the nearest to the instruments' 5.0

        self._queue = queue
        self._instructions = instructions
        self._lua = lua51.LuaRuntime(
            encoding="latin-1",
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_nothing,
            max_memory=MOST_MEMORY,
        )
        self._pcall: Any = self._lua.globals().pcall
        self._proxies: dict[Node, Any] = {}
        self._failure: Exception | None = None
        folder = resources.files("hwloop_sim.virtual.languages")
        source, patterns = (folder.joinpath(n).read_text("utf-8") for n in (SOURCE, PATTERNS))
        (
            self._env,
            self._builtins,
            self._compile,
            self._node,
            self._owner,
            self._callable,
            self._script,
            self._limit,
            self._sethook,
            self._spend,
        ) = self._lua.execute(source, patterns)

    def define(self, name: str, value: Value) -> None:
        """Define a name that every script finds, unless it makes a variable of that name."""
        self._builtins[name] = self.to_lua(value)

    def set_global(self, name: str, value: Any) -> None:
        """Set a variable as a script could have done."""
        self._env[name] = value

    def compile(self, text: str) -> Any:
        """Compile text to a Lua function; raise :class:`LuaRunError` with Lua's syntax error."""
        try:
            chunk, message = self._compile(_WALK.sub(_walked, text))
        except MemoryError as exc:
            raise OutOfMemory(str(exc)) from None
        if chunk is None:
            raise LuaRunError(message)
        return chunk

    def script(self, name: str, source: str) -> Any:
        """Make a script object: callable, with ``name``, ``source``, ``run``."""
        chunk = self.compile(source)
        try:
            return self._script(name, source, chunk)
        except MemoryError as exc:
            raise OutOfMemory(str(exc)) from None

    def run(self, function: Any) -> None:
        """Run a Lua function; raise :class:`LuaRunError` with Lua's runtime error.

        Any other exception of a table or function ends the script, even inside a pcall, and is
        raised again.
        """
        self._limit(self._instructions, MOST_CPU_S)
        try:
            result = self._pcall(function)
        finally:
            self._sethook()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        ok, *rest = result if isinstance(result, tuple) else (result,)
        if ok:
            return
        message = rest[0] if rest else None
        if isinstance(message, BaseException):
            raise message
        if "not enough memory" in str(message):
            raise OutOfMemory(str(message))
        raise LuaRunError(str(message))

    def to_lua(self, value: Value) -> Any:
        """Convert a value to its Lua counterpart; a node becomes a table that stands for it."""
        if isinstance(value, Node):
            if value not in self._proxies:
                self._proxies[value] = self._proxy(value)
            return self._proxies[value]
        if isinstance(value, list | tuple):
            return self._lua.table_from([self.to_lua(item) for item in value])
        if callable(value):
            return self._function(value)
        return value

    def from_lua(self, value: Any) -> Any:
        """Convert a Lua value to Python: a node for its table, a list for a plain table.

        Raises :class:`LuaFault` for tables in tables without end.
        """
        return self._converted(value, [MOST_ITEMS], 0)

    def _converted(self, value: Any, left: list[int], depth: int) -> Any:
        left[0] -= 1
        if type(value).__name__ != "_LuaTable":
            return value
        node = self._owner(value)
        if node is not None:
            return node
        if depth > MOST_DEPTH or left[0] < 0:
            raise LuaFault("table too large")
        return [self._converted(item, left, depth + 1) for item in value.values()]

    def _proxy(self, node: Node) -> Any:
        kept: dict[Any, Any] = {}  # a function is the same whenever it is looked up

        def index(key: Any) -> tuple[Any, Any]:
            if key in kept:
                return None, kept[key]
            fault, value = self._ask(node.index, key)
            made = self.to_lua(value)
            if callable(value):
                kept[key] = made
            return fault, made

        def assign(key: Any, value: Any) -> str | None:
            return self._ask(lambda: node.assign(key, self.from_lua(value)))[0]

        def keys() -> tuple[Any, Any]:
            fault, names = self._ask(lambda: list(node.members()))
            return fault, self.to_lua(names)

        return self._node(node, index, assign, keys)

    def _function(self, function: Callable[..., Value]) -> Any:
        def call(*arguments: Any) -> tuple[Any, ...]:
            fault, result = self._ask(lambda: function(*map(self.from_lua, arguments)))
            if fault is not None:
                return fault, 0
            if isinstance(result, tuple):
                return False, len(result), *map(self.to_lua, result)
            return (False, 0) if result is None else (False, 1, self.to_lua(result))

        return self._callable(call)

    def _ask(self, asked: Callable[..., Any], *arguments: Any) -> tuple[str | None, Any]:
        """Call ``asked``; return the error that Lua is to raise, or None, and the result."""
        try:
            return None, asked(*arguments)
        except TspError as exc:
            self._queue(exc)
            return None, None
        except LuaFault as exc:
            return str(exc), None
        except Exception as exc:  # noqa: BLE001 - raised again by run()
            self._failure = exc
            self._limit(0, 0)
            self._sethook(self._spend, "", 1)
            return str(exc) or "stopped", None


def _walked(found: re.Match[str]) -> str:
    """Put what walks a table, as Lua 5.0 does by itself, into the head of a loop."""
    if found["list"] is None:
        return found[0]
    return f"{found['head']}__each({found['list']})"


def _nothing(_object: object, name: str, _setting: bool) -> str:
    """Refuse access from Lua to any attribute of a Python object."""
    raise AttributeError(name)
