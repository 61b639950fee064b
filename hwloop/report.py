"""One self-contained HTML page about a record, and its figures as PNG."""

from __future__ import annotations

import base64
import html
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwloop import plugins
from hwloop.describe import STATUS_MEANING, status_words
from hwloop.errors import ConfigError, RecordError
from hwloop.plot import SavedFigure, save_figures
from hwloop.record_reader import Record
from hwloop.units import format_quantity

_UNITS = {"v": "V", "a": "A", "j": "J", "k": "K"}
_LONGEST = 200

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
:root {{ color-scheme: light dark; --line: #8884; --soft: #8881; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }}
h1 {{ line-height: 1.2; margin-bottom: .2rem; }} h2 {{ margin-top: 2.2rem; }}
.outcome {{ font-size: 1.15rem; border-left: .3rem solid; padding: .4rem .9rem; margin: 1rem 0; }}
.good {{ border-color: #009e73; }} .bad {{ border-color: #d55e00; }}
table {{ border-collapse: collapse; }} th, td {{ text-align: left; vertical-align: top;
  padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--line); }}
th {{ font-weight: 600; white-space: nowrap; }}
figure {{ margin: 1.5rem 0; break-inside: avoid; }}
figure img {{ max-width: 100%; background: #fff; }}
figcaption {{ font-size: .92rem; max-width: 48rem; }}
pre {{ background: var(--soft); padding: 1rem; overflow-x: auto; font-size: .85rem; }}
</style></head><body>
{body}
</body></html>
"""


@dataclass(frozen=True)
class ReportFiles:
    """Where a report was written."""

    html: Path
    figures: tuple[Path, ...]


def write_report(record_path: Path, out: Path | None, *, overwrite: bool = False) -> ReportFiles:
    """Write the page, by default ``<record>-report.html``, and its figures in a folder beside it.

    Raises :class:`RecordError` where the record cannot be read or the output exists; nothing is
    left half-written.
    """
    page = out or record_path.with_name(f"{record_path.stem}-report.html")
    folder = page.with_name(f"{page.stem.removesuffix('-report')}-figures")
    with Record(record_path) as record:
        for existing in (page, folder):
            if existing.exists() and not overwrite:
                raise RecordError(f"{existing}: exists already; give --overwrite to replace it")
        page.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=page.parent, prefix=".report-") as scratch:
            drawn = _draw(record, Path(scratch) / "figures")
            text = _PAGE.format(title=_text(record.path.stem), body="\n".join(_body(record, drawn)))
            (Path(scratch) / page.name).write_text(text, encoding="utf-8")
            return _publish(Path(scratch), page, folder)


def _publish(scratch: Path, page: Path, folder: Path) -> ReportFiles:
    if folder.exists():
        shutil.rmtree(folder)
    figures: tuple[Path, ...] = ()
    if (scratch / "figures").is_dir():
        (scratch / "figures").replace(folder)
        figures = tuple(sorted(folder.iterdir()))
    (scratch / page.name).replace(page)
    return ReportFiles(page, figures)


def _draw(record: Record, folder: Path) -> dict[str, list[SavedFigure]]:
    """Label → its saved figures."""
    entries = record.resolved["steps"]
    drawn: dict[str, list[SavedFigure]] = {}
    for entry in entries:
        label = entry["label"]
        try:
            figures = plugins.load(plugins.STEPS, entry["step"]).figures
        except ConfigError:  # the step's package is not installed here: the record still reads
            continue
        if figures is not None and label in record.labels:
            prefix = f"{label}-" if len(entries) > 1 else ""
            drawn[label] = save_figures(figures(record, label), folder, prefix=prefix)
    return drawn


def _body(record: Record, drawn: dict[str, list[SavedFigure]]) -> Iterator[str]:
    attrs = record.attrs
    yield f"<h1>{_text(attrs['procedure'])}</h1>"
    yield f"<p>{_text(record.resolved['about'])}</p>"
    yield from _outcomes(record)
    yield "<h2>The run</h2>"
    yield _table(_run(record))
    for label, figures in drawn.items():
        if figures:
            yield f"<h2>{_text(label)}</h2>"
        yield from map(_figure, figures)
    yield "<h2>What was asked</h2>"
    for entry in record.resolved["steps"]:
        yield f"<h3>{_text(entry['label'])}</h3>"
        yield _table(_flat(entry["settings"]))
    yield "<h3>The array and its limits</h3>"
    yield _table(_flat(record.resolved["array"]))
    yield "<h3>What stood for the array</h3>"
    yield _table(_flat(record.identity))
    yield from _log(record)
    yield "<h2>The procedure as read</h2>"
    if record.overrides:
        yield f"<p>With <code>--set {_text('; --set '.join(record.overrides))}</code></p>"
    yield f"<pre>{_text(record.procedure_text)}</pre>"


def _outcomes(record: Record) -> Iterator[str]:
    for label in record.labels:
        outcome = record.outcome(label)
        reached, words = outcome or (False, "did not get to its end")
        kind = "good" if reached else "bad"
        yield f'<p class="outcome {kind}"><b>{_text(label)}</b>: {_text(words)}</p>'
    if record.status != "completed":
        meaning = STATUS_MEANING.get(record.status, "")
        yield f'<p class="outcome bad">The run is <b>{record.status}</b>: {_text(meaning)}.</p>'


def _run(record: Record) -> Iterator[tuple[str, str]]:
    attrs = record.attrs
    yield "status", status_words(record)
    yield "backend", attrs["backend"]
    yield "array", " × ".join(map(str, record.shape))
    yield "population", str(attrs["population"] or "one array")
    yield "seed", str(attrs["seed"])
    yield "began", attrs["started_utc"]
    yield "ended", attrs["ended_utc"] or "not in order"
    yield "duration", format_quantity(record.duration_s, "s", digits=3)
    kinds = Counter(record.operation_kinds)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield "operations", f"{len(record)}: {counts}" if kinds else "none"
    pulses = record.array("pulses")
    if pulses is not None:
        bound = record.resolved["array"]["limits"]["pulses_per_device"]
        yield "pulses", f"{pulses.sum()} in all, at most {pulses.max()} on a device (limit {bound})"
    yield "record", record.path.name
    yield "written by", f"hwloop {attrs['hwloop_version']} on {attrs['host']}, {attrs['platform']}"
    yield "versions", f"Python {attrs['python_version']}, NumPy {attrs['numpy_version']}"


def _figure(figure: SavedFigure) -> str:
    data = base64.b64encode(figure.path.read_bytes()).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{_text(figure.title)}">'
        f"<figcaption><b>{_text(figure.title)}.</b> {_text(figure.caption)}</figcaption></figure>"
    )


def _log(record: Record) -> Iterator[str]:
    if not record.log:
        return
    yield "<h2>Log</h2>"
    yield _table((f"{time} {level}", message) for time, level, message in record.log)


def _flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (key path, value with its unit)."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None and value != "":
            yield f"{prefix}{key}", _value(key, value)


def _value(key: str, value: Any) -> str:
    if isinstance(value, list):
        text = " ".join("".join(map(str, row)) for row in value) if _are_bits(value) else str(value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(value)} entries)"
    unit = _unit(key)
    if unit and isinstance(value, int | float) and not isinstance(value, bool):
        return format_quantity(value, unit)
    return str(value)


def _unit(key: str) -> str:
    """The unit that a key names; _s is siemens where a conductance or a spread is meant."""
    suffix = key.rsplit("_", 1)[-1] if "_" in key else ""
    if suffix == "s":
        return "s" if key in {"width_s", "pulse_width_s", "read_time_s", "duration_s"} else "S"
    return _UNITS.get(suffix, "")


def _are_bits(value: list[Any]) -> bool:
    return all(isinstance(row, list) and set(row) <= {0, 1} for row in value)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{_text(a)}</th><td>{_text(b)}</td></tr>" for a, b in rows)
    return f"<table>{cells}</table>"


def _text(value: object) -> str:
    return html.escape(str(value))
