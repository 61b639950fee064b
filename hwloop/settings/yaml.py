"""Read YAML files, and name file and line of every mistake."""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from hwloop.errors import ConfigError


def read_text(path: Path | Traversable) -> str:
    """Return the text of a UTF-8 file; raises :class:`ConfigError` with the file and the reason."""
    try:
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

    Raises :class:`ConfigError` with ``file`` and line where it is not valid, or a key stands twice
    in a mapping.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - derived from SafeLoader
    except yaml.MarkedYAMLError as exc:
        line = f"line {exc.problem_mark.line + 1}: " if exc.problem_mark else ""
        raise ConfigError(f"{line}{exc.problem or 'not valid YAML'}", file=file) from None
    except yaml.YAMLError as exc:
        raise ConfigError(f"not valid YAML: {exc}", file=file) from None


class _StrictLoader(yaml.SafeLoader):
    """Loader that refuses a mapping in which a key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value!r} stands twice", key_node.start_mark
                )
            seen.add(str(key_node.value))
        return super().construct_mapping(node, deep)
