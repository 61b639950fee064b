"""Hardware-in-the-loop control of memristor crossbars: bench, emulator or recording.

For scripts and notebooks: :func:`load` a procedure, :func:`run` it, :func:`open_array` for loops of
your own, and :class:`Record` to read what was recorded. They are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwloop.notebook import NotebookRecord as Record
    from hwloop.notebook import OpenArray, Run, load, open_array, run

__all__ = ["OpenArray", "Record", "Run", "__version__", "load", "open_array", "run"]

__version__: str


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for: commands need none of them."""
    if name == "__version__":
        return import_module("importlib.metadata").version("hwloop")
    if name not in __all__:
        raise AttributeError(f"module 'hwloop' has no attribute {name!r}")
    own = "NotebookRecord" if name == "Record" else name
    found = getattr(import_module("hwloop.notebook"), own)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
