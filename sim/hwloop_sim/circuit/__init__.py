"""The circuit of an array: cells between wires, drivers and meters, solved exactly.

:func:`solve` returns every voltage and current; :class:`Crossbar` keeps the transfer matrix of one
state; :func:`solve_cells` is for cells whose current is not proportional to their voltage.
"""

from hwloop_sim.circuit.cells import BehindTransistor, CellLaw, Polynomial, Sinh
from hwloop_sim.circuit.crossbar import Crossbar
from hwloop_sim.circuit.newton import solve_cells
from hwloop_sim.circuit.passive import solve
from hwloop_sim.circuit.solution import Solution
from hwloop_sim.circuit.wires import Wires

__all__ = [
    "BehindTransistor",
    "CellLaw",
    "Crossbar",
    "Polynomial",
    "Sinh",
    "Solution",
    "Wires",
    "solve",
    "solve_cells",
]
