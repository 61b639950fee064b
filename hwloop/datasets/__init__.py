"""Measured data as files, and the readers that turn a lab's own layout into them.

A reader of your own is a :class:`Reader` under the entry point group ``hwloop.readers``.
"""

from hwloop.datasets.importing import (
    Extract,
    Reader,
    fault,
    finite_number,
    first_lines,
    import_measurement,
    text_lines,
)
from hwloop.datasets.measurement import (
    Conditions,
    Measurement,
    read_measurement,
    write_measurement,
)

__all__ = [
    "Conditions",
    "Extract",
    "Measurement",
    "Reader",
    "fault",
    "finite_number",
    "first_lines",
    "import_measurement",
    "read_measurement",
    "text_lines",
    "write_measurement",
]
