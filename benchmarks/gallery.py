"""Run every procedure on the emulator and show its figures: docs/gallery.md, by `make gallery`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

from hwloop import plugins
from hwloop.errors import ConfigError
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.plotting.style import SavedFigure, save_figures
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.record.reader import Record

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "gallery.md"
IMAGES = ROOT / "docs" / "images" / "gallery"
WIDTH_PX = 760
COLOURS = 128
HEAD = """# Gallery

Every figure that the shipped procedures give on the emulator, made by `make gallery`. A report
(`hwloop run … --report`, `hwloop report RECORD`) shows the same of any run, measured or emulated.
"""


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    for old in IMAGES.glob("*.png"):
        old.unlink()
    parts, shown = [HEAD], set[tuple[str, str]]()
    for file in sorted((ROOT / "procedures").glob("*.yaml")):
        try:
            procedure = load_procedure(file)
        except ConfigError as exc:  # of a data set that is not here
            print(f"{file.name}: left out: {exc}")
            continue
        print(file.name, flush=True)
        parts.append(section(file, procedure, shown))
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def section(file: Path, procedure: Procedure, shown: set[tuple[str, str]]) -> str:
    """What the procedure is for, the command, and those of its figures that are not shown yet."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        run_procedure(procedure, RunOptions("sim", path))
        with Record(path) as record:
            saved = list(drawn(record, Path(folder), shown))
        lines = [f"## {procedure.name}", "", " ".join(procedure.about.split()), ""]
        lines += ["```", f"hwloop run procedures/{file.name} --backend sim --report", "```", ""]
        for one in saved:
            name = f"{file.stem}_{one.path.name}"
            shrink(one.path, IMAGES / name)
            lines += [f"![{one.title}](images/gallery/{name})", "", f"*{one.title}.* {one.caption}"]
            lines += [""]
    return "\n".join(lines)


def drawn(record: Record, folder: Path, shown: set[tuple[str, str]]) -> Iterator[SavedFigure]:
    for entry in record.resolved["steps"]:
        figures = plugins.load(plugins.STEPS, entry["step"]).figures
        if not figures or entry["label"] not in record.labels:
            continue
        draw = resolve_name(figures)
        new = [
            one for one in draw(record, entry["label"]) if (entry["step"], one.name) not in shown
        ]
        shown.update((entry["step"], one.name) for one in new)
        prefix = f"{entry['label']}-"
        yield from save_figures(new, folder, prefix=prefix, origin=record.origin)


def shrink(source: Path, target: Path) -> None:
    """Fewer pixels and colours: a page of dozens of figures stays light."""
    from PIL import Image

    with Image.open(source) as image:
        flat = image.convert("RGB")
        height = round(flat.height * WIDTH_PX / flat.width)
        small = flat.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
        small.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    main()
