"""Output of the command line about procedures, records and installed plug-ins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hwloop import plugins
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import Event
from hwloop.backend.kind import LifeKind
from hwloop.backend.origin import Origin
from hwloop.backend.registered import backend_kind
from hwloop.datasets.calibrations import shipped
from hwloop.errors import ConfigError
from hwloop.execution.execute import request_for
from hwloop.execution.limited_reads import limited_at_first, limited_reads
from hwloop.execution.preview import Preview, preview, refuse_beyond_limits, refuse_unsupported
from hwloop.procedure.procedure import Procedure
from hwloop.record.comparison import Quantity, compare_records, origin_of_record
from hwloop.record.growing import read_growing
from hwloop.record.life import NO_NAME, beginning_of, life_path, read_life
from hwloop.record.notes import Notes, read_notes
from hwloop.record.reader import Record
from hwloop.settings.units import duration_text, format_quantity
from hwloop.settings.yaml import read_yaml
from hwloop.station.evidence import evidence_in, shipped_evidence
from hwloop.terminal import plain_console


def print_preview(procedure: Procedure, backend: str, *, life_folder: Path | None = None) -> None:
    """Check a procedure against its limits and a backend, and print what it would do.

    ``life_folder``: where the ledger of the array is, if it has one; its pulses count.
    Raises :class:`hwloop.errors.LimitError` after the tables where a bound exceeds its limit.
    """
    kind = backend_kind(backend)
    refuse_beyond_limits(procedure)
    request, _ = request_for(procedure, seed=procedure.seed)
    settings = procedure.backend_settings(kind)
    with kind.open_dry(settings, request) as opened:
        refuse_unsupported(procedure, opened)
        before, life_text = _life_before(
            procedure.array, backend, kind.origin_of(settings), kind.life_of(settings), life_folder
        )
        seen = preview(procedure, opened, pulses_before=before)
        events = opened.take_events()
        doubtful = limited_reads(procedure, opened.description)
        if kind.twins:
            doubtful += limited_at_first(procedure.array, opened)
    array, console = procedure.array, plain_console()
    verdict = "exceeds its limits" if any(c.exceeds for c in seen.worst_cases(array)) else "valid"
    console.print(
        f"{procedure.name}: {verdict}. {array.rows} × {array.cols} array,"
        f" biasing {array.biasing}, backend {backend}."
    )
    console.print(_operations_table(seen))
    console.print(_limits_table(seen, array))
    console.print(f"Expected duration on the array: at most {duration_text(seen.duration_s)}.")
    for remark in seen.remarks:
        console.print(remark, soft_wrap=True)
    if life_text:
        console.print(life_text)
    events += [Event("warning", text) for text in doubtful]
    for event in events:
        console.print(f"{event.level}: {event.message}", style=_colour(event.level))
    seen.refuse_beyond_limits(array)


def _life_before(
    array: ArraySettings, backend: str, origin: Origin, kind: LifeKind | None, folder: Path | None
) -> tuple[NDArray[np.int64] | int, str]:
    """Return the pulses of each cell in earlier runs, (rows, cols) or 0, and a line about them.

    ``folder``: where the ledger is; None: the life is not asked for.
    """
    if kind is None or folder is None:
        return 0, ""
    if array.name is None:
        return 0, f"warning: {NO_NAME}"
    path = life_path(folder, array.name, kind)
    life = read_life(path, array.name)
    pulses = life.table(array.geometry.shape)["pulses"]
    runs = sum(1 for entry in (*life.entries, *life.running) if entry.cells)
    if not runs:
        event = beginning_of(path, array.name, backend=backend, origin=origin)
        return pulses, f"{event.level}: {event.message}"
    return pulses, f"Ledger {path}: {pulses.max()} pulses of a cell at most; runs: {runs}."


def print_touch(procedure: Procedure, backend: str) -> None:
    """Test the hardware without a pulse, and print what is found as it is found."""
    kind = backend_kind(backend)
    if kind.check_connectivity is None:
        raise ConfigError(f"backend {backend!r} has no hardware to touch: give a --station")
    request, _ = request_for(procedure, seed=procedure.seed)
    console = plain_console()
    for text in kind.check_connectivity(procedure.backend_settings(kind), request):
        console.print(text)


def print_comparison(first: Path, second: Path, out: Path | None) -> None:
    """Print how far two records are apart, and draw it where ``out`` names a folder."""
    quantities = compare_records(first, second)
    console = plain_console()
    origins = [origin_of_record(path) for path in (first, second)]
    for name, path, origin in zip(("first", "second"), (first, second), origins, strict=True):
        console.print(f"{name}: {origin} ({path})", soft_wrap=True)
    print_distances(console, quantities)
    console.print("first, second: medians at the end. if equal: mean for equal distributions.")
    console.print("95 %: what equal distributions of independent values stay below.")
    for one in quantities:
        if one.failed:
            console.print(f"{one.name}: {one.failed} failed values left out")
    if out is not None:
        from hwloop.plotting.style import save_figures
        from hwloop.record.comparison_figures import draw

        footer = f"first {origins[0]}, second {origins[1]}"
        figures = draw(quantities, (first.stem, second.stem))
        for saved in save_figures(figures, out, origin=footer):
            console.print(f"figure: {saved.path}", soft_wrap=True)


def print_distances(console: Console, quantities: Sequence[Quantity]) -> None:
    """Print a line a quantity: medians and Kolmogorov-Smirnov distance of both."""
    heads = ("quantity", "values", "first", "second", "KS", "if equal", "95 %")
    rows = [heads, *(_compared(one) for one in quantities)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        console.print(line.rstrip(), soft_wrap=True)


def _compared(one: Quantity) -> tuple[str, ...]:
    f = one.figures()
    unit = "" if one.unit == "1" else one.unit
    return (
        one.name,
        f"{f['values_first']}/{f['values_second']}",
        *(format_quantity(f[key], unit) for key in ("median_first", "median_second")),
        *(f"{f[key]:.3f}" for key in ("ks", "ks_expected", "ks_95")),
    )


def print_plugins(evidence: Iterable[Path] = ()) -> None:
    """List what is installed, with a line each; ``evidence``: folders of records besides ours."""
    console = plain_console()
    for title, group in (
        ("Backends", plugins.BACKENDS),
        ("Steps", plugins.STEPS),
        ("Device models", plugins.DEVICES),
        ("Effects", plugins.EFFECTS),
        ("Readers", plugins.READERS),
        ("Instruments", plugins.INSTRUMENTS),
    ):
        lines = ((name, _summary(group, name)) for name in plugins.names(group))
        _print_list(console, title, lines)
    _print_list(console, "Calibrations", _calibrations())
    met = [*shipped_evidence(), *evidence_in(evidence)]
    none = ("none", "no record of `hwloop accept` on a box; see docs/how-to/accept-a-bench.md")
    _print_list(console, "Evidence of boxes that were met", met or [none])


def print_record(path: Path) -> None:
    """Print what is in a record, of a run in progress too."""
    lines, table, log, run_id = read_growing(
        path,
        lambda record: (
            list(_run_lines(record)),
            _results_table(record),
            record.log,
            str(record.attrs["run_id"]),
        ),
    )
    console = plain_console()
    for line in (*lines, *note_lines(read_notes(path, run_id))):
        console.print(line, soft_wrap=True)
    print_unbroken(table)
    for time, level, message in log:
        console.print(f"{time}  {level}: {message}", style=_colour(level))


def note_lines(notes: Notes) -> Iterator[str]:
    """Yield the lines about the tags and notes of a run or an import."""
    if notes.tags:
        yield f"tags         {', '.join(notes.tags)}"
    for time_utc, text in notes.texts:
        yield f"note         {text} ({time_utc[:19]})"


def print_instruments(path: Path) -> None:
    """Print the settings that were read back for a record, and the station file as it was."""
    console = plain_console()
    for line in read_growing(path, lambda record: list(_instrument_lines(record))):
        console.print(line)


def _instrument_lines(record: Record) -> Iterator[str]:
    units = record.identity_units
    for name, said in record.identity.items():
        if not isinstance(said, dict):
            yield f"{name}: {said}"
            continue
        yield f"{name}: {said.get('id', '')}"
        for key, value in said.items():
            if key != "id":
                yield f"  {key}: {value} {units.get(f'{name}.{key}', '')}".rstrip()
    text = record.station_text
    yield f"station file:\n{text}" if text else "There was no station file."


def _run_lines(record: Record) -> Iterator[str]:
    attrs = record.attrs
    yield f"record       {record.path}"
    yield f"procedure    {attrs['procedure']}, seed {attrs['seed']}"
    yield f"numbers      {record.origin}"
    yield f"status       {record.status} ({record.status_meaning})"
    is_running = record.status == "running"
    ended = attrs["ended_utc"] or ("now" if is_running else "not ended in order")
    yield f"time         {attrs['started_utc']} to {ended}"
    shape = " × ".join(map(str, record.shape))
    yield f"array        {shape} on backend {attrs['backend']}"
    yield f"written by   hwloop {attrs['hwloop_version']}, on {attrs['host']}"
    for label in record.labels:
        outcome = record.outcome(label)
        unended = "has not ended yet" if is_running else "did not get to its end"
        yield f"outcome      {label}: {outcome[1] if outcome else unended} ({record.origin})"
    kinds = Counter(record.operation_kinds)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield f"operations   {len(record)}{f': {counts}' if counts else ''}"


def _results_table(record: Record) -> Table:
    table = table_of("result", "rows", "shape of a row", "unit")
    for label in record.labels:
        for name in record.tables(label):
            units = record.units(label, name)
            for column, values in record.results(label, name).items():
                place = "/".join(part for part in (label, name, column) if part)
                shape = " × ".join(map(str, values.shape[1:])) or "-"
                table.add_row(place, str(len(values)), shape, units[column])
    return table


def _operations_table(seen: Preview) -> Table:
    table = table_of("step", "operation", "at most", "time on the array")
    for operation in seen.operations:
        table.add_row(
            operation.label,
            operation.summary,
            f"{operation.at_most} ×",
            duration_text(operation.duration_s),
        )
    return table


def _limits_table(seen: Preview, array: ArraySettings) -> Table:
    table = table_of("worst case", "value", "limit")
    for case in seen.worst_cases(array):
        table.add_row(*case.texts(), style="red" if case.exceeds else None)
    return table


def _summary(group: str, name: str) -> str:
    try:
        loaded = plugins.load(group, name)
    except ConfigError as exc:
        return str(exc)
    proof = getattr(loaded, "proof", "")  # of an instrument's driver
    return f"{loaded.summary} (rests on: {proof})" if proof else str(loaded.summary)


def _calibrations() -> Iterable[tuple[str, str]]:
    for name, file in shipped().items():
        try:
            title = read_yaml(file)["title"]
        except (ConfigError, KeyError, TypeError) as exc:
            title = f"cannot be read: {exc}"
        yield name, str(title)


def _print_list(console: Console, title: str, lines: Iterable[tuple[str, str]]) -> None:
    console.print(title, style="bold")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    for name, text in lines:
        table.add_row(f"  {name}", text)
    console.print(table)


def table_of(*columns: str) -> Table:
    """Return an empty table in the style of all output."""
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_unbroken(table: Table) -> None:
    """Print a table as wide as it is: a name in it stays one word, in a pipe as well."""
    console = plain_console()
    unbounded = console.options.update(max_width=1000)
    width = console.measure(table, options=unbounded).maximum
    plain_console(width=max(width, console.width)).print(table)


def _colour(level: str) -> str:
    return {"warning": "yellow", "error": "red"}.get(level, "none")
