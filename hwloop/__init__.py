"""Hardware-in-the-loop control of memristor crossbars: bench, emulator or recording.

For scripts and notebooks: :func:`load` a procedure, :func:`run` it, :func:`open_array` for loops of
your own, and :class:`Record` to read what was recorded. They are loaded when first used.
"""

TYPE_CHECKING = False  # no module is imported here: the working folder may be on the path still
if TYPE_CHECKING:
    from hwloop.notebook.open_arrays import OpenArray, open_array
    from hwloop.notebook.record import NotebookRecord as Record
    from hwloop.notebook.running import Run, load, run

__all__ = ["OpenArray", "Record", "Run", "load", "open_array", "run"]

__version__: str

_PLACES = {
    "OpenArray": ("open_arrays", "OpenArray"),
    "Record": ("record", "NotebookRecord"),
    "Run": ("running", "Run"),
    "load": ("running", "load"),
    "open_array": ("open_arrays", "open_array"),
    "run": ("running", "run"),
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for: commands need none of them."""
    from importlib import import_module

    if name == "__version__":
        version: str = import_module("importlib.metadata").version("hwloop")
        return version
    if name not in _PLACES:
        raise AttributeError(f"module 'hwloop' has no attribute {name!r}")
    module, own = _PLACES[name]
    found = getattr(import_module(f"hwloop.notebook.{module}"), own)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
