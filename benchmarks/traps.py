"""A folder full of traps: files named like libraries, which a run in it must not execute."""

from __future__ import annotations

from pathlib import Path

TRAPS = (
    *("hwloop", "hwloop_drivers", "hwloop_sim", "numpy", "yaml", "serial", "pyvisa", "pyvisa_py"),
    *("typing", "json", "signal", "pathlib", "pydantic", "typer", "h5py", "lupa", "distributed"),
)
"""Modules that a run, its watchdog, its virtual bench or its workers import."""


def lay_traps(folder: Path) -> Path:
    """Fill a folder with files named like libraries; one that is run leaves ``<name>.sprung``."""
    folder.mkdir()
    for name in TRAPS:
        trap = (
            f"open({str(folder / name) + '.sprung'!r}, 'w').close()\nraise SystemExit({name!r})\n"
        )
        (folder / f"{name}.py").write_text(trap, encoding="utf-8")
    return folder


def sprung(folder: Path) -> list[str]:
    """Return the names of the traps that were run."""
    return sorted(path.stem for path in folder.glob("*.sprung"))
