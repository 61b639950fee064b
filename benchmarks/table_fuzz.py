"""Fuzz of the table door: tables whose numbers are known, written as any program might.

``python -m benchmarks.table_fuzz [COUNT] [SEED]``. Each table has a separator, a decimal mark, an
encoding, line ends, a form of its numbers, a header and lines of noise drawn at random; some get
damage as well. The outcome must be the very numbers, or one line: a wrong number or another
exception is a failure, which is printed with its seed.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hwloop import plugins
from hwloop.datasets.importing import Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.table import DataTable
from hwloop.errors import ConfigError

COUNT = 5000
SEPARATORS = (",", ";", "\t", " ", ", ", "; ", "  ")
ENCODINGS = (
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32", "utf-32-le",
)  # fmt: skip
LINE_ENDS = ("\n", "\r\n", "\r")
FORMS: tuple[Callable[[float], str], ...] = (
    repr,
    lambda value: f"{value:.6e}",
    lambda value: f"{value:+.4E}",
    lambda value: f"{value:.3f}",
    lambda value: f"{value:.0f}",
    lambda value: f"{value:12.5g}".strip(),
    lambda value: f"{value:.8E}".replace("E", "D"),
    lambda value: f"{value:.4e}".replace("e", "d"),
    lambda value: f"{value * 1e-110:.7E}".replace("E", ""),  # three digits without their letter
)
NAMES = (
    "Voltage (V)", "Current (µA)", "Time (s)", "V", "I", "t", "G_uS", "Pulse #",
    "Resistance (kOhm)", "Spannung (V)", "x", "", "AV", "Gate Voltage (V)",
    "Conductance", "Zeit/ms", "width_ms", "G std (uS)", "|Z| (ohm)", "On/Off", "LRS", "HRS (uA)",
    "Time (h)", "noise", "Cycle",
)  # fmt: skip
NOISE = (
    "# operator=N", "% made on Monday", "! 50 Ohm", "# 12", "Title: a sweep", "Date;2024-02-01",
    "Steps,10", "", "[Data]", "key=value, other=3", "Temperature\t300 K", "***End_of_Header***",
    "[2024-01-01]", "<Header>", "{run 1}", "G = 5 +/- 1",
)  # fmt: skip
GAPS = ("", "NaN", "9.9E37", "-", "#REF!", "Overflow")


class _Drawn:
    """Table drawn from a seed: its text as bytes, and the numbers in it, NaN for gaps."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.separator = str(rng.choice(SEPARATORS))
        self.decimal = "," if "," not in self.separator and rng.random() < 0.4 else "."
        self.encoding = str(rng.choice(ENCODINGS))
        rows, columns = int(rng.integers(1, 40)), int(rng.integers(1, 7))
        scale = 10.0 ** rng.integers(-9, 4, columns)
        forms = [FORMS[i] for i in rng.integers(0, len(FORMS), columns)]
        values = rng.normal(size=(rows, columns)) * scale
        cells = [[form(float(v)) for form, v in zip(forms, row, strict=True)] for row in values]
        self.numbers = np.array([[_number(cell) for cell in row] for row in cells])
        cells = [[cell.replace(".", self.decimal) for cell in row] for row in cells]
        # An empty field alone in its line, or alone under no name, is no cell.
        if self.separator.strip() and min(rows, columns) > 1 and rng.random() < 0.2:
            row, column = int(rng.integers(rows)), int(rng.integers(columns))
            cells[row][column] = str(rng.choice(GAPS))
            self.numbers[row, column] = np.nan
        self.data = self._written(rng, cells, columns)

    def _written(
        self, rng: np.random.Generator, cells: Sequence[Sequence[str]], columns: int
    ) -> bytes:
        lines = [str(one) for one in rng.choice(NOISE, int(rng.integers(0, 4)))]
        if rng.random() < 0.8:
            names = [str(one) for one in rng.choice(NAMES, columns)]
            if not self.separator.strip():
                names = [name.replace(" ", "_") or "x" for name in names]
            mark = str(rng.choice(["", "", "# "]))
            lines.append(mark + self.separator.join(names))
        ending = self.separator.strip() if rng.random() < 0.1 else ""
        body = [self.separator.join(row) + ending for row in cells]
        if self.separator.strip() and rng.random() < 0.1:  # filled up, each row otherwise
            body = [row + self.separator.strip() * int(rng.integers(0, 4)) for row in body]
        if rng.random() < 0.2:
            body.insert(int(rng.integers(len(body) + 1)), str(rng.choice(["", "# remark"])))
        if rng.random() < 0.1:
            body.append("End of measurement")
        line_end = str(rng.choice(LINE_ENDS))
        text = line_end.join([*lines, *body]) + (line_end if rng.random() < 0.9 else "")
        text += "\x1a" * int(rng.integers(1, 5)) if rng.random() < 0.1 else ""
        return text.encode(self.encoding, errors="replace")


def _number(text: str) -> float:
    """Return the number that a program wrote, with the exponents of Fortran."""
    text = text.casefold().replace("d", "e")
    return float(text if "e" in text else re.sub(r"(?<=\d)(?=[+-]\d{3}$)", "e", text))


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return the bytes cut off, or with some replaced, doubled or taken out."""
    place = int(rng.integers(len(data) + 1))
    length = int(rng.integers(1, 12))
    kind = int(rng.integers(4))
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + rng.integers(0, 256, length, dtype=np.uint8).tobytes() + data[place:]
    if kind == 2:
        return data[:place] + data[place + length :]
    return data[:place] + data[place : place + 20 * length] * 2 + data[place + length :]


def outcome(seed: int, folder: Path) -> str:
    """Return ``same``, ``refused`` or ``damaged`` for a seed; raises AssertionError if wrong."""
    drawn = _Drawn(seed)
    rng = np.random.default_rng([seed, 1])
    harm = rng.random() < 0.2
    path = folder / f"{seed}.txt"
    path.write_bytes(damaged(drawn.data, rng) if harm else drawn.data)
    source = DataFile(path)
    try:
        table = source.table
    except ConfigError as exc:
        refuse_lines(exc)
        return "damaged" if harm else "refused"
    finally:
        _ask_readers(source)
        path.unlink()
    if harm:
        return "damaged"  # it may hold other numbers
    assert_same(table, drawn.numbers, f"seed {seed}: {drawn.data[:200]!r}")
    return "same"


def _ask_readers(source: DataFile) -> None:
    """Let every reader judge and read; any exception but a ConfigError goes through."""
    readers: dict[str, Reader] = plugins.load_all(plugins.READERS)
    given = {"amplitude_v": "1 V", "width_s": "1 ms", "unit": "S", "read_v": "0.1", "line": "bit"}
    given |= {"program_v": "1 V", "erase_v": "-1 V"}
    for reader in readers.values():
        if reader.objection(source):
            continue
        try:
            reader.read(source, {key: given[key] for key in reader.options if key in given})
        except ConfigError as exc:
            refuse_lines(exc)


def refuse_lines(error: ConfigError) -> None:
    """Raise AssertionError where a refusal is more than one line."""
    assert "\n" not in str(error), str(error)  # noqa: S101


def assert_same(table: DataTable, numbers: np.ndarray, where: str) -> None:
    """Raise AssertionError unless the table holds these numbers, or fewer rows and says so."""
    found = np.stack([column.values for column in table.columns], axis=1)
    if len(found) == len(numbers) - 1:
        said = any("left out" in note and "no line end" in note for note in table.notes)
        assert said, f"{where}: a row is missing"  # noqa: S101
        numbers = numbers[:-1]
    text = [i for i, column in enumerate(table.columns) if column.is_text]
    keep = [i for i in range(numbers.shape[1]) if i not in text]
    assert found.shape == numbers.shape, f"{where}: {found.shape}"  # noqa: S101
    wrong = found[:, keep] != numbers[:, keep]
    wrong &= ~(np.isnan(found[:, keep]) & np.isnan(numbers[:, keep]))
    # A cell that could not be read is NaN with a fault, which no reader takes as a number.
    faults = {(fault.row, i) for i, column in enumerate(table.columns) for fault in column.faults}
    for row, column in np.argwhere(wrong):
        assert (row, keep[column]) in faults, (  # noqa: S101
            f"{where}: row {row}: {found[row]} for {numbers[row]}"
        )


def main(arguments: Sequence[str]) -> int:
    """Run and print the outcomes; 1 where a table came out wrong."""
    count = int(arguments[0]) if arguments else COUNT
    first = int(arguments[1]) if len(arguments) > 1 else 0
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            try:
                found[outcome(seed, Path(folder))] += 1
            except Exception as exc:  # noqa: BLE001 - that is what is looked for
                found["wrong"] += 1
                print(f"seed {seed}: {type(exc).__name__}: {exc}")
    print(f"{count} tables: {', '.join(f'{n} {name}' for name, n in found.most_common())}")
    return int(found["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
