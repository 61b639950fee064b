"""The command line: thin; a command imports what it needs only when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hwloop import plugins
from hwloop.cli import catalogue
from hwloop.cli.options import (
    chosen_backend,
    close_observer,
    json_writer,
    load,
    observer_for,
    write_report_of,
)
from hwloop.errors import ConfigError, HwloopError, Stopped
from hwloop.terminal import outlive_terminal, prepare_streams, say
from hwloop.types import LARGEST_INTEGER

app = typer.Typer(
    name="hwloop",
    help="Hardware in the loop for memristor crossbars: one procedure, run on a bench, on an"
    " emulator, or on a recording.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ProcedureFile = Annotated[Path, typer.Argument(help="The procedure, a YAML file.")]
RecordFile = Annotated[
    Path, typer.Argument(help="The record of a run, or an import; an HDF5 file.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a setting, e.g. steps.0.settings.beta_per_a=5e6.",
    ),
]
Backend = Annotated[
    str | None,
    typer.Option(
        help="What stands for the array, see `hwloop list`; left out: the bench of --station, the"
        " replay of --recording, else the emulator."
    ),
]
Population = Annotated[
    int | None,
    typer.Option(
        min=1, max=LARGEST_INTEGER, help="Emulate this many arrays in one vectorised run."
    ),
]
StationFile = Annotated[
    Path | None, typer.Option(help="The station, a YAML file, for a backend that has one.")
]
Recording = Annotated[
    Path | None,
    typer.Option(help="The record, or imported trains, that answer, for such a backend."),
]


Calibration = Annotated[
    str | None,
    typer.Option(help="What the emulated array is: a calibration, by name or path."),
]


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001 - main() has taken it
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        say(f"hwloop {installed('hwloop')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    procedure: ProcedureFile,
    *,
    backend: Backend = None,
    population: Population = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_INTEGER, help="Instead of the procedure's own.")
    ] = None,
    overrides: Overrides = None,
    calibration: Calibration = None,
    recording: Recording = None,
    station: StationFile = None,
    out: Annotated[
        Path, typer.Option(help="Folder for the record, or its file name (.h5).")
    ] = Path("runs"),
    report: Annotated[
        bool, typer.Option("--report", help="Write the HTML report as well.")
    ] = False,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, for programs.")
    ] = False,
) -> None:
    """Run a procedure and record it."""
    from hwloop.execution.observer import Quiet
    from hwloop.execution.runner import RunOptions, record_path, run_procedure
    from hwloop.execution.stopping import stop_on_signal

    outlive_terminal()
    with stop_on_signal(ends_process=True) as stop:
        chosen = chosen_backend(backend, recording, station)
        loaded = load(chosen, procedure, overrides, calibration, recording, station)
        path = record_path(out, loaded, loaded.seed if seed is None else seed)
        options = RunOptions(chosen, path, population=population, seed=seed)
        observer = observer_for(json_lines=json_lines)
        stop.check()
        try:
            result = run_procedure(loaded, options, observer or Quiet(), stop=stop)
        finally:
            close_observer(observer)
    if json_lines:
        json_writer().emit(
            "end", status=result.status, origin=result.origin, record=str(result.path)
        )
    else:
        for label, outcome in result.outcomes.items():
            if outcome.reached:  # what was missed ends the command as its error
                say(result.outcome_text(label))
        for text in (result.beginning, result.life):
            if text:
                say(text)
        say(f"record: {result.path}")
    if report:
        write_report_of(result.path, None, overwrite=False, quiet=json_lines)
    result.raise_unless_reached()


@app.command()
def check(
    procedure: ProcedureFile,
    *,
    backend: Backend = None,
    overrides: Overrides = None,
    calibration: Calibration = None,
    recording: Recording = None,
    station: StationFile = None,
    touch: Annotated[
        bool,
        typer.Option(
            "--touch",
            help="Then connect: identities, settings read back, a self-test of the wiring at read"
            " voltage; no pulse.",
        ),
    ] = False,
    out: Annotated[
        Path,
        typer.Option(help="Folder or file of the record, beside which the array's ledger is."),
    ] = Path("runs"),
) -> None:
    """Validate a procedure and say what it would do, without touching hardware."""
    from hwloop.cli.printing import print_preview, print_touch
    from hwloop.execution.runner import record_folder

    chosen = chosen_backend(backend, recording, station)
    loaded = load(chosen, procedure, overrides, calibration, recording, station)
    print_preview(loaded, chosen, life_folder=record_folder(out))
    if touch:
        print_touch(loaded, chosen)


@app.command("list")
def list_(
    *,
    evidence: Annotated[
        list[Path] | None,
        typer.Option(help="A folder with records of `hwloop accept`; may be given several times."),
    ] = None,
) -> None:
    """List backends, steps, device models, instruments and the evidence for them, a line each."""
    from hwloop.cli.printing import print_plugins

    print_plugins(evidence or ())


@app.command()
def show(
    record: Annotated[
        Path,
        typer.Argument(
            help="The record of a run, or an import; with --ledger also a ledger or its folder."
        ),
    ],
    *,
    life: Annotated[
        bool,
        typer.Option("--ledger", help="Show the life of the record's array over all its runs."),
    ] = False,
    instruments: Annotated[
        bool,
        typer.Option(
            "--instruments", help="Show the settings read back, and the station file as it was."
        ),
    ] = False,
) -> None:
    """Say what is in a record or import, what a run was measured with, or what a ledger holds."""
    from hwloop.datasets.measurement import is_measurement

    if is_measurement(record):
        from hwloop.cli.imports import print_import

        if instruments or life:
            option = "--instruments" if instruments else "--ledger"
            raise ConfigError(f"{record}: is an import, which has none: show it without {option}")
        print_import(record)
        return
    from hwloop.cli.lives import print_lives
    from hwloop.cli.printing import print_instruments, print_record

    if instruments:
        print_instruments(record)
    elif life:
        print_lives(record)
    else:
        print_record(record)


app.command()(catalogue.runs)
app.command()(catalogue.note)


@app.command()
def replay(
    record: RecordFile,
    *,
    procedure: Annotated[
        Path | None, typer.Option(help="Run this procedure instead of the recorded one.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Run the recorded procedure against its record, or another against imported trains."""
    from hwloop.datasets.measurement import is_measurement
    from hwloop.execution.reproduce import replay_import, reproduce

    if is_measurement(record):
        operations = replay_import(record, procedure, overrides or ())
        say(f"answered by the import: {operations} operations, each as it was recorded")
        return
    same = reproduce(record, procedure_file=procedure, overrides=overrides or ())
    extent = "" if same.complete else ", as far as the record goes"
    say(f"identical to the last bit{extent}: {same.operations} operations, {same.rows} rows")


@app.command()
def report(
    record: Annotated[
        Path,
        typer.Argument(help="The record of a run, or an import; or the folder of a sweep."),
    ],
    *,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The HTML file.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing report.")
    ] = False,
) -> None:
    """Write one self-contained HTML page about a record, with its figures as PNG, or a sweep."""
    if record.is_dir():
        from hwloop.sweep.report import write_sweep_report

        say(f"report: {write_sweep_report(record, out, overwrite=overwrite)}")
        return
    write_report_of(record, out, overwrite=overwrite, quiet=False)


@app.command()
def compare(
    first: RecordFile,
    second: RecordFile,
    *,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A folder for the figures, as PNG.")
    ] = None,
) -> None:
    """Compare two records, or an import with either: devices, distributions, and figures."""
    from hwloop.datasets.measurement import is_measurement

    if is_measurement(first) or is_measurement(second):
        from hwloop.cli.imports import print_recordings

        print_recordings(first, second, out)
        return
    from hwloop.cli.printing import print_comparison

    print_comparison(first, second, out)


@app.command()
def wiring(
    station: Annotated[Path, typer.Argument(help="The station, a YAML file.")],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="The drawing: .png, .svg or .pdf.")],
) -> None:
    """Draw how a station's instruments are wired to the lines of the array."""
    from hwloop.station.drawing import draw_wiring
    from hwloop.station.station import load_station

    draw_wiring(load_station(station), out)
    say(f"wiring: {out}")


def main() -> None:
    """Run the command line: an error is one line and an exit code of its own class."""
    prepare_streams()
    debug = "--debug" in sys.argv  # wherever it stands, also behind the command
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        _add_commands()
        app()
    except KeyboardInterrupt:
        if debug:
            raise
        say("hwloop: stopped", err=True)
        sys.exit(Stopped.exit_code)
    except MemoryError as exc:
        if debug:
            raise
        say(f"hwloop: needs more memory than there is: {exc}", err=True)
        sys.exit(1)
    except (HwloopError, OSError) as exc:
        if debug:
            raise
        for message in _messages(exc):
            say(f"hwloop: {message}", err=True)
        sys.exit(exc.exit_code if isinstance(exc, HwloopError) else 1)


def _messages(exc: HwloopError | OSError) -> list[str]:
    """Return the lines of an error: its message, its notes, and a working folder that is gone."""
    text = str(exc)
    if isinstance(exc, OSError) and exc.filename is not None:
        text = f"{exc.filename}: {exc.strerror or exc}"
    messages = [text, *getattr(exc, "__notes__", ())]
    try:
        Path.cwd()
    except FileNotFoundError:
        gone = "the working folder has been deleted: change to one that exists"
        if isinstance(exc, OSError) and exc.filename is None:
            return [gone]
        messages.append(gone)
    return messages


def _add_commands() -> None:
    """Add the commands that installed packages register, where they have not been added yet."""
    known = {command.name for command in app.registered_commands}
    for name in plugins.names(plugins.COMMANDS):
        if name in known:
            continue
        app.command(name)(plugins.load(plugins.COMMANDS, name))


if __name__ == "__main__":
    main()
