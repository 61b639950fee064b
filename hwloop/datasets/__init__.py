"""Measured data as files, and the readers that turn a lab's own layout into them.

A reader of your own is a :class:`Reader` under the entry point group ``hwloop.readers``.
"""

from hwloop.datasets.importing import (
    Extract,
    Reader,
    fault,
    finite_number,
    import_measurement,
)
from hwloop.datasets.measurement import (
    Conditions,
    Measurement,
    read_measurement,
    write_measurement,
)
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable, TableColumn

__all__ = [
    "Conditions",
    "DataFile",
    "DataTable",
    "Extract",
    "Measurement",
    "Reader",
    "TableColumn",
    "TableOptions",
    "fault",
    "finite_number",
    "import_measurement",
    "read_measurement",
    "write_measurement",
]
