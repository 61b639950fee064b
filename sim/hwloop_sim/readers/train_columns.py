"""Trains of one pulse side by side: a header, then one column per train and one row per pulse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.measurement import train_columns as columns_of_trains
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.roles import COUNTERS
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.datasets.tables.units import WrittenUnit
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop_sim.readers.cycle_columns import states
from hwloop_sim.readers.ignored import left_out
from hwloop_sim.readers.tables import Table, check_agreement, nameless, quantity
from hwloop_sim.readers.train_units import (
    CONDUCTANCE_UNITS,
    CURRENT_UNITS,
    in_siemens,
    is_value,
    spelled,
    unit_in_file_or_given,
)

_UNITS = (*CONDUCTANCE_UNITS, *CURRENT_UNITS)
_LEAST_VALUES = 3
_MOST_NAMED = 8
_POLARITY = re.compile(
    r"\b(?:ltp|ltd|potentiation|depression|set|reset|program|erase|pot|dep)(?![^\W\d_])",
    re.IGNORECASE,
)
_AT_VOLTS = re.compile(r"[+-]?\d+(?:\.\d+)?\s*m?V\b")
_OF_A_TERMINAL = re.compile(r"V([A-Za-z]{1,4}\d?)$")
_ENDS = re.compile(
    r"(?<![^\W\d_])(before|after|initial|final|start|end|first|last|pre|post)(?![^\W\d_])",
    re.IGNORECASE,
)
_WHICH = re.compile(r"[\W\d_]+|(?<![^\W_])[^\W\d_](?![^\W_])")
"""Digits and lone letters of a name, which say which train a column holds."""
_WORD = re.compile(r"[^\W\d_]+")
_APART = (
    (frozenset(("before", "pre", "initial")), frozenset(("after", "post", "final")),
     "before and after a pulse"),
    (frozenset(("lrs", "low", "rlrs")), frozenset(("hrs", "high", "rhrs")),
     "after SET and after RESET"),
)  # fmt: skip
"""Words of two columns that do not hold trains side by side, and what these columns hold."""

_SUMMARY = frozenset(
    [
        "mean",
        "average",
        "avg",
        "median",
        "max",
        "min",
        "maximum",
        "minimum",
        "sum",
        "total",
        "mittelwert",
    ]
)
"""Words of a column that is computed from the trains beside it."""

_OF_THE_PULSE = ("amplitude_v", "width_s", "voltage_v", "gate_v", "read_v")


def judge(source: DataFile) -> str:
    """Return "" if two columns or more can be trains, and the pulse is the same in all rows."""
    table = source.table
    if nameless(table):
        return nameless(table)
    if not isinstance(states(table), str):
        return "its columns are the states of cycles, after SET and after RESET: no trains"
    terminal = _terminal(table)
    if terminal:
        return (
            f"{' and '.join(terminal)} are voltage and current of one terminal: no trains; choose"
            f" with --column voltage_v={terminal[0]} --column current_a={terminal[1]}"
        )
    trains = _trains(table)
    labels = {one.label for one in trains}
    others = [one for one in table.columns if one.label not in labels and one.role not in COUNTERS]
    named = any(one.role for one in trains)
    # One train, or trains by names that say nothing: only if there is nothing else.
    if not trains or (others and not (named and len(trains) > 1)) or not (named or trains[1:]):
        shown = ", ".join(f"{one.label} is {one.role or 'not known'}" for one in table.columns[:6])
        return f"it has {len(trains) or 'no'} column of conductances: {shown}"
    if len(table.columns) < 2:
        return "it has one column; expected two or more"
    return _unlike_trains(table, trains)


def _unlike_trains(table: DataTable, trains: Sequence[TableColumn]) -> str:
    """Return why columns of states are no trains of one pulse side by side; "" if they may be."""
    apart = _words_apart(trains)
    if apart:
        return f"its columns are states {apart}: no trains"
    if len({one.role for one in trains}) > 1:
        shown = ", ".join(f"{one.label} is {one.role}" for one in trains[:4])
        return f"its columns of states are of several quantities: {shown}"
    kinds = {one.unit for one in trains}
    if len(kinds) > 1:
        return f"its columns of states have several units: {', '.join(map(_unit_text, trains))}"
    ends = [one.label for one in trains if _ENDS.search(one.name)]
    if ends:
        return f"{', '.join(ends)}: by their names the states before or after something, no trains"
    for column in table.columns:
        if column.role in _OF_THE_PULSE and np.ptp(column.values) != 0:
            return f"its {column.label} varies from row to row: no trains of one pulse"
    return ""


def _words_apart(trains: Sequence[TableColumn]) -> str:
    """Return "before and after a pulse", or the like, where the names of states say so; else ""."""
    words = [_tokens(column) for column in trains]
    for first, second, what in _APART:
        if any(one & first for one in words) and any(one & second for one in words):
            return what
    return ""


def _tokens(column: TableColumn) -> set[str]:
    """Return the words of a name, in small letters."""
    return {word.casefold() for word in _WORD.findall(column.name)}


def _terminal(table: DataTable) -> tuple[str, ...]:
    """Return a voltage and a current such as ``VB`` and ``IB``, as parameter analysers name them.

    Empty where no column without a role is one of such a pair.
    """
    named = {column.name.strip(): column.label for column in table.columns if not column.role}
    for name, label in named.items():
        match = _OF_A_TERMINAL.match(name)
        if match is not None and f"I{match[1]}" in named:
            return label, named[f"I{match[1]}"]
    return ()


def _unit_text(column: TableColumn) -> str:
    return f"{column.label} {spelled(column.unit) if column.unit else 'without one'}"


def _trains(table: DataTable) -> list[TableColumn]:
    """Return the columns that hold states: those that say so, else those that say nothing."""
    values = [column for column in table.columns if is_value(column)]
    named = [column for column in values if column.role]
    return named or _numbered(table) or values


def _numbered(table: DataTable) -> list[TableColumn]:
    """Return columns such as ``train 1``, ``train 2``: the number says which, each holds a train.

    One such column alone is a counter, and so is one without a number in its name.
    """
    found = [column for column in table.of_role("train") if column.unit is None]
    stems = {column.name.strip().rstrip("0123456789") for column in found}
    numbered = all(column.name.strip()[-1:].isdecimal() for column in found)
    if len(found) < 2 or len(stems) > 1 or not numbered:
        return []
    return [replace(column, role="") for column in found]


def read(source: DataFile, options: Mapping[str, str]) -> Extract:
    """Return trains in siemens; each ends at its first empty field, which no value may follow."""
    amplitude_v = quantity(source.path, options, "amplitude_v", "V")
    width_s = quantity(source.path, options, "width_s", "s")
    table = source.table
    chosen = _chosen(table, options.get("columns"))
    _refuse_own_pulses(table, chosen)
    agreement = check_agreement(table)
    unit = unit_in_file_or_given(source, chosen, options.get("unit"), _UNITS)
    conductance_s = [_train(source, column, unit, options) for column in chosen]
    sizes = [len(train) for train in conductance_s]
    many = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    count, empty = len(chosen), table.rows * len(chosen) - sum(sizes)
    columns = columns_of_trains(
        conductance_s,
        cells=[0] * count,
        amplitudes_v=[amplitude_v] * count,
        widths_s=[width_s] * count,
    )
    messages = [
        f"{count} {'train' if count == 1 else 'trains'} of {many} values in {spelled(unit)}, to"
        " siemens",
        *filter(None, [agreement, left_out(table, chosen, polarity=np.ones(table.rows))]),
        *([f"{empty} empty fields after the ends of trains left out"] if empty else []),
        f"all {sum(sizes)} values of these columns are used",
    ]
    return Extract("trains", columns, {}, messages)


def _refuse_own_pulses(table: DataTable, chosen: Sequence[TableColumn]) -> None:
    """Refuse trains whose names say that their pulses differ: one pulse is given for all."""
    for pattern, what in ((_POLARITY, "polarities"), (_AT_VOLTS, "voltages")):
        found = [pattern.search(column.name) for column in chosen]
        said = dict.fromkeys(match[0].casefold() for match in found if match is not None)
        if len(said) > 1:
            raise ConfigError(
                f"its columns say several {what}, {', '.join(said)}, and one pulse is given for"
                " all; take those of one with --set columns=NAME,NAME",
                file=str(table.path),
            )


def _chosen(table: DataTable, wanted: str | None) -> Sequence[TableColumn]:
    trains = _trains(table)
    if wanted is None:
        _refuse_unlike(table, trains)
        return trains
    by_label = {column.label: column for column in trains}
    picked = [name.strip() for name in wanted.split(",")]
    for name in picked:
        if name not in by_label:
            raise ConfigError(
                f"has no column {name!r}{nearest(name, by_label)}", file=str(table.path)
            )
    return [by_label[name] for name in picked]


def _refuse_unlike(table: DataTable, trains: Sequence[TableColumn]) -> None:
    """Refuse columns whose names say nothing and differ in more than a number or a letter.

    So are some that are computed from others, such as an average beside the trains of cells.
    """
    summaries = [one.label for one in trains if _SUMMARY & _tokens(one)]
    if summaries and len(summaries) < len(trains):
        others = [one.label for one in trains if one.label not in summaries]
        raise ConfigError(
            f"{', '.join(summaries)} may be computed from the columns beside: name those that are"
            f" trains with --set 'columns={','.join(others[:_MOST_NAMED])}'",
            file=str(table.path),
        )
    stems = {_WHICH.sub("", one.name).casefold() for one in trains if not one.role}
    if len(stems) > 1:
        labels = [column.label for column in trains]
        raise ConfigError(
            f"its columns {', '.join(labels[:_MOST_NAMED])}{', …' if labels[_MOST_NAMED:] else ''}"
            " do not say what they hold: name those that are trains with --set"
            f" columns={','.join(labels[:2])}, or a quantity with --column",
            file=str(table.path),
        )


def _train(
    source: DataFile, column: TableColumn, unit: WrittenUnit, options: Mapping[str, str]
) -> Table:
    table = source.table
    table.numbers(column, gaps=True)  # refuses text and values over range
    gaps = np.isnan(column.values)
    count = int(np.argmax(gaps)) if gaps.any() else gaps.size
    if not gaps[count:].all():
        after = count + int(np.argmax(~gaps[count:]))
        raise table.fault(
            count,
            f"a gap in column {column.label!r}",
            f"a value: it goes on at {table.place_of(after)}; leave the column out with --set"
            " columns=NAME,NAME",
        )
    values = column.values[:count]
    conductance_s = in_siemens(source, values, unit, options)
    wrong = ~(conductance_s > 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(
            row, f"{column.label} {values[row]:g}", "a value above 0, or of the read voltage's sign"
        )
    if count < _LEAST_VALUES:
        raise ConfigError(
            f"column {column.label!r} has {count} values: expected {_LEAST_VALUES} or more",
            file=str(source.path),
        )
    return conductance_s


TRAIN_COLUMNS = Reader(
    name="train_columns",
    summary="trains of one pulse side by side: a header, one train a column",
    judge=judge,
    read=read,
    options={
        "amplitude_v": "of the pulse, signed",
        "width_s": "of the pulse",
        "read_v": "where the values are currents, signed as they are",
        "unit": f"where the header has none: {', '.join(_UNITS)}",
        "columns": "names of those to take, apart by commas; all if left out",
    },
)
