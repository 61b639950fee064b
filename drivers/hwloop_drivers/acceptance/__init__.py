"""The acceptance test of a bench: it is tried on known resistors, and what it promises is judged.

``hwloop accept`` runs every test of :mod:`hwloop_drivers.acceptance.checks` on resistors in the
array's place, with an oscilloscope as witness where there is one, and writes a record and a page.
"""
