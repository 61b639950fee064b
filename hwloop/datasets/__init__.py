"""Measured data as files, and the readers that turn a lab's own layout into them.

A reader of your own is a :class:`Reader` under the entry point group ``hwloop.readers``.
"""

from hwloop.datasets.columns import (
    MeasuredConditions,
    Measurement,
    read_measurement,
    write_measurement,
)
from hwloop.datasets.importing import (
    Columns,
    Extract,
    Reader,
    fault,
    finite_number,
    first_lines,
    import_table,
    text_lines,
)

__all__ = [
    "Columns",
    "Extract",
    "MeasuredConditions",
    "Measurement",
    "Reader",
    "fault",
    "finite_number",
    "first_lines",
    "import_table",
    "read_measurement",
    "text_lines",
    "write_measurement",
]
