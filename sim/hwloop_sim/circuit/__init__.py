"""The circuit of an array: cells between wires, drivers and meters, solved exactly.

:func:`solve` answers with every voltage and current; :class:`Crossbar` keeps what it worked out
while the state does not change; :func:`solve_cells` is for cells whose current is not
proportional to their voltage; :func:`first_order` is an approximation that says how good it is.
"""

from hwloop_sim.circuit.cells import BehindTransistor, CellLaw, Polynomial, Sinh, behind, triode_ohm
from hwloop_sim.circuit.crossbar import Crossbar
from hwloop_sim.circuit.first_order import FirstOrder, first_order
from hwloop_sim.circuit.newton import solve_cells
from hwloop_sim.circuit.passive import solve
from hwloop_sim.circuit.solution import Solution
from hwloop_sim.circuit.wires import Wires

__all__ = [
    "BehindTransistor",
    "CellLaw",
    "Crossbar",
    "FirstOrder",
    "Polynomial",
    "Sinh",
    "Solution",
    "Wires",
    "behind",
    "first_order",
    "solve",
    "solve_cells",
    "triode_ohm",
]
