"""Read YAML files, and name file and line of every mistake.

A file may come from anywhere: its size, the depth of its nesting, what its aliases expand to and
its whole numbers are bounded, and how many values it has, each before memory is taken for it.
"""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop.messages import one_line
from hwloop.settings.foreign_files import read_bounded
from hwloop.settings.model import MAX_DEPTH
from hwloop.types import LARGEST_INTEGER

MAX_TEXT_BYTES = 8 * 2**20
"""Largest file or text in YAML, and largest content with every alias written out."""

MAX_TOKENS = 2**18
"""Most tokens of a text: a number in a list takes two, with its comma. Some 5 s of scanning."""

_VALUE_CHARACTERS = 8  # at least, so that aliases make no more than a million


def read_text(path: Path | Traversable) -> str:
    """Return the text of a UTF-8 file; raises :class:`ConfigError` with the file and the reason."""
    try:
        if isinstance(path, Path):
            return read_bounded(path, MAX_TEXT_BYTES).decode("utf-8")
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", file=str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("cannot be read: it is not UTF-8 text", file=str(path)) from None


def read_yaml(path: Path | Traversable) -> Any:
    """Return the content of a YAML file; raises :class:`ConfigError` with file, line and reason."""
    return parse_yaml(read_text(path), file=str(path))


def parse_yaml(text: str, *, file: str = "") -> Any:
    """Return the content of a text in YAML.

    Raises :class:`ConfigError` with ``file`` and line where it is not valid, a key stands twice in
    a mapping, or a bound is exceeded.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - derived from SafeLoader
    except yaml.MarkedYAMLError as exc:
        line = f"line {exc.problem_mark.line + 1}: " if exc.problem_mark else ""
        raise ConfigError(f"{line}{exc.problem or 'not valid YAML'}", file=file) from None
    except yaml.reader.ReaderError as exc:
        number = 1 + text.count("\n", 0, exc.position)
        reason = f"the character {text[exc.position]!a} is not allowed in YAML"
        raise ConfigError(f"line {number}: {reason}", file=file) from None
    # The scanner itself converts the digits of "%YAML 9…9" and of escapes such as "\UFFFFFFFF".
    except (yaml.YAMLError, ValueError, OverflowError) as exc:
        raise ConfigError(f"not valid YAML: {one_line(str(exc), 200)}", file=file) from None


class _StrictLoader(yaml.SafeLoader):
    """Loader that refuses keys that stand twice, and content beyond the bounds of this module."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._tokens = 0
        self._characters = 0
        self._sizes: dict[int, int] = {}

    @override
    def fetch_more_tokens(self) -> Any:
        self._tokens += 1
        if self._tokens > MAX_TOKENS:
            raise _error(
                f"has more than {MAX_TOKENS} values and separators up to here; put large tables"
                " into a file of numbers",
                self.get_mark(),
            )
        return super().fetch_more_tokens()

    @override
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if self._depth == MAX_DEPTH:
            raise _error(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        self._depth += 1
        before = self._characters
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                raise _error(f"the alias {event.anchor!r} contains itself", event.start_mark)
            self._characters += self._sizes[id(node)]
            if self._characters > MAX_TEXT_BYTES:
                raise _error(
                    f"expands to more than {MAX_TEXT_BYTES // 2**20} MiB with its aliases written"
                    " out",
                    event.start_mark,
                )
        else:
            own = len(node.value) if isinstance(node, yaml.ScalarNode) else 0
            self._characters += own + _VALUE_CHARACTERS
            self._sizes[id(node)] = self._characters - before
        return node

    @override
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        # What a constructor raises for "!!int x", "!!bool x", "2001-99-99" or "!!timestamp x".
        except (ValueError, KeyError, IndexError, AttributeError, TypeError, OverflowError):
            kind = node.tag.rpartition(":")[2]
            raise _error(f"{_shown(node)} is not a valid {kind}", node.start_mark) from None

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value if node.id == "mapping" else ():  # else refused by super()
            if not isinstance(key_node, yaml.ScalarNode):
                raise _error("a key must be a single value", key_node.start_mark)
            if key_node.value in seen:
                raise _error(f"the key {key_node.value!r} stands twice", key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)

    def construct_bounded_int(self, node: yaml.ScalarNode) -> int:
        """Return a whole number of at most 64 bits."""
        number = self.construct_yaml_int(node)
        if abs(number) > LARGEST_INTEGER:
            raise _error(
                f"{_shown(node)} is beyond the largest whole number, {LARGEST_INTEGER};"
                " write a quantity as 1e20",
                node.start_mark,
            )
        return int(number)


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_bounded_int)


def _error(problem: str, mark: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)


def _shown(node: yaml.Node) -> str:
    text = repr(node.value) if isinstance(node, yaml.ScalarNode) else "this"
    return text if len(text) <= 60 else text[:57] + "…"
